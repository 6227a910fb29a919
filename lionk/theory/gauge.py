"""How near to the bound: the gauge of ``lam x`` in dom K*, and the share of what is at it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays import spectral as _spectral
from ..arrays.namespace import Array, Namespace
from ..arrays.shape_factor import ShapeFactor, at
from ..errors import NotAvailable
from ..functions.array_function import ArrayFunction
from ..functions.base import ConvexFunction
from ..functions.definitions.support import Support
from ..sets.ball import Ball
from ..sets.box import Box, Whole
from ..sets.owl_ball import OwlBall
from ..sets.parts import Parts, parts_of
from ..sets.rules import Affine, Spectral
from ..sets.sorted import Sorted
from ..sets.top_k import TopK


class Nearness(NamedTuple):
    """How near an array is to its bound. ``str(nearness)`` says it in one line."""

    gauge: float  # the least t with lam x in t dom K*: at most 1 in the set; nan where dom K* is everything
    at_bound: float  # the share of entries, singular values, rows, ... whose own gauge is at least 0.99
    pieces: int  # how many of these there are

    def __str__(self) -> str:
        return f"gauge {self.gauge:.3g}, {100 * self.at_bound:.1f} % of {self.pieces} at the bound"


def nearness(K: ConvexFunction, x: Array, weight_decay: float) -> Nearness:
    """The gauge of ``weight_decay x`` in dom K*, and the share at the bound.

    The pieces are what the set bounds one by one: entries (l1), singular values (nuclear), rows, or all as one (l2).

    Raises
    ------
    NotAvailable
        The gauge of this set is not known: of sets that are shifted, sums or hulls, or known by an oracle.

    >>> import lionk, array_api_strict as xp
    >>> print(lionk.theory.nearness(lionk.K("l1"), xp.asarray([2.0, -1.0, 0.5, 2.0]), 0.5))
    gauge 1, 50.0 % of 4 at the bound
    """
    if not isinstance(K, ArrayFunction):
        raise TypeError(f"nearness takes a function of one array, got {type(K).__name__}; ask for each block")
    c = K.conjugate.domain
    if isinstance(c, Whole) or not math.prod(x.shape):
        return Nearness(math.nan, math.nan, 0)
    xp = _xp.namespace(x)
    _xp.floating(x)
    y = weight_decay * (_xp.astype(xp, x, xp.float32) if _xp.is_low_precision(x) else x)
    each = xp.concat([_xp.flat(xp, g, 0) for g in _gauges(xp, c, y, 0)])
    share = xp.mean(xp.astype(each >= 0.99, each.dtype))
    return Nearness(float(xp.max(each)), float(share), int(each.shape[0]))


def _gauges(xp: Namespace, c: Any, y: Array, batch: int) -> list[Array]:
    """The gauge of each piece of y, whose largest is that of y."""
    if isinstance(c, Box):
        low, up = c._ends(xp, xp.abs(y) if c.symmetric else y)
        if c.symmetric:
            return [xp.abs(y) / up]
        parts = [xp.where(sign * y > 0, _ratio(xp, y, end), 0 * y) for sign, end in ((1.0, up), (-1.0, low))]
        return [xp.maximum(*parts)]
    if isinstance(c, Affine) and c.offset is None:
        factor = at(c.factor, y, batch) if isinstance(c.factor, ShapeFactor) else c.factor
        return [g / abs(factor) for g in _gauges(xp, c.inner, y if factor > 0 else -y, batch)]
    if isinstance(c, Parts):
        return [g for part, b in parts_of(c, xp, y, batch) for g in _gauges(xp, c.inner, part, b)]
    if isinstance(c, Spectral):
        s = _spectral.singular_values(xp, y)
        return _gauges(xp, c.inner, s, s.ndim - 1)
    from ..functions.calculus.dual_norm import dual_norm  # here, with the rules that it knows: few runs need them
    from ..functions.calculus.group import Grouped

    if isinstance(c, Grouped):
        y, norms = c._lift._split(xp, y, batch)
        return _gauges(xp, c.inner, norms, batch)
    if isinstance(c, Ball) or (isinstance(c, (TopK, Sorted)) and c.absolute) or isinstance(c, OwlBall):
        norm = dual_norm(Support(c))
        return [xp.asarray(norm._value(xp, y, batch, 0.0))]
    raise NotAvailable(f"the gauge of {c!r} is not known")


def _ratio(xp: Namespace, y: Array, end: Any) -> Array:
    end = end + xp.zeros_like(y)
    return xp.where(end == 0, math.inf * xp.ones_like(y), y / xp.where(end == 0, xp.ones_like(end), end))
