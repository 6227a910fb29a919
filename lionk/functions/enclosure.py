"""Both ends of a number that is computed: of a closed form, rounding; of an iteration, what it proves."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import roots as _roots
from ..arrays.namespace import Array, Namespace
from ..errors import NotAvailable
from ..sets.box import Whole


def bounds(K: Any, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array]:
    """``(lower, upper)`` of K(x), the sum over the ``batch``, for the public method of ``ArrayFunction``.

    ``K._value`` is exact, or an upper end: that of a representation of x that is feasible. The lower end is Fenchel's
    inequality ``K(x) >= <x, s> - K*(s)``, which holds for any s: here for the selection s from dK(x), at which it is
    an equality; where dK(x) is infinite, for that of a point next to x. Both are widened by the rounding of the terms
    that they are computed from. Derived here.
    """
    value, s, size = K._measured(xp, x, batch, tol)
    lower = value
    if K.traits.accuracy:
        if not (_roots.visible(s) and bool(xp.all(xp.isfinite(s)))):
            pulled = K._subgradient(xp, x * (1 - 8 * _xp.eps(x)), batch)
            s = xp.where(xp.isfinite(s), s, _xp.finite(xp, pulled))
        dual, _, terms = K.conjugate._measured(xp, s, batch, tol)
        lower = reductions.inner(xp, x, s, batch) - dual
        lower = xp.where(xp.isfinite(lower), lower, xp.where(xp.isnan(value), value, -math.inf + xp.zeros_like(value)))
        size = size + terms
    width = rounding(K, xp, x) * size
    if reductions.none(xp.isinf(lower)):
        lower = lower - width
    else:
        lower = lower - xp.where(xp.isinf(lower), xp.zeros_like(width), width)
        if isinstance(K.domain, Whole):  # where K is finite, and too large for the dtype
            most = float(xp.finfo(lower.dtype).max) * xp.ones_like(lower)
            lower = xp.where((lower == math.inf) & ~xp.isinf(reductions.poison(xp, x, batch)), most, lower)
    lower, upper = xp.minimum(lower, value), value + width
    return (reductions.total(xp, lower, 0), reductions.total(xp, upper, 0)) if batch else (lower, upper)


def sharper(
    K: Any, functions: list[Any], xp: Namespace, y: Array, value: Array, s: Array, parts: list[Array], batch: int
) -> Array:
    """s, or where the lower end of K*(y) that it gives is far below the value, the slope of a part of the split of y.

    That may be known to more digits: the s of a split is a difference of parts, which are long where slopes are
    extreme, or y is. Where values can be seen.
    """

    def under(s: Array) -> Array:
        return reductions.inner(xp, y, s, batch) - K._value(xp, s, batch, math.inf)

    if not _roots.visible(value, s):
        return s
    least = under(s)
    if reductions.none(xp.abs(value - least) > K.conjugate.traits.accuracy * xp.abs(value)):
        return s
    for k, part in zip(functions, parts, strict=True):
        slope = k._subgradient(xp, part, batch)
        slope = xp.where(xp.isfinite(slope), slope, s)  # it is infinite at an end of the domain
        if not isinstance(K.domain, Whole):
            try:
                slope = K.domain._project(xp, slope, batch)
            except NotAvailable:
                continue
        lower = under(slope)
        better = lower > least
        s, least = xp.where(_xp.spread(xp, better, s), slope, s), xp.where(better, lower, least)
    return s


def size_of_values(inner: Any, xp: Namespace, w: Array) -> Array:
    """The size of the terms of ``inner`` at the eigenvalues or singular values w of matrices, for ``_measured``.

    All of them are rounded relative to the largest, times the slopes; where these are infinite, those at values that
    are as much closer to their mean.
    """
    _, s, size = inner._measured(xp, w, w.ndim - 1, math.inf)
    room = 16 * w.shape[-1] * _xp.eps(w)
    if w.shape[-1]:
        near = inner._subgradient(xp, (1 - room) * w + room * xp.mean(w, axis=-1, keepdims=True), w.ndim - 1)
        s = xp.where(xp.isfinite(s), s, near)
    return size + reductions.norms(xp, w, s, w.ndim - 1)


def outward(xp: Namespace, lower: Array, upper: Array, dtype: Any) -> tuple[Array, Array]:
    """Both ends in a dtype that may be narrower, rounded away from each other."""
    if lower.dtype == dtype:
        return lower, upper
    step, most = float(xp.finfo(dtype).eps), float(xp.finfo(dtype).max)
    lower = xp.where(lower < math.inf, xp.minimum(lower, most * xp.ones_like(lower)), lower)
    return tuple(xp.astype(e + sign * step * xp.abs(_xp.finite(xp, e)), dtype) for e, sign in ((lower, -1), (upper, 1)))


def rounding(K: Any, xp: Namespace, x: Array) -> float:
    """``(16 + log2 n) eps``: blocked sums, 16 terms to a block; ``max(rows, cols)`` more with singular values."""
    unit = (16 + math.log2(max(math.prod(x.shape), 2))) * _xp.eps(x)
    return unit * max(x.shape[-2:], default=1) if "linalg" in K.traits.needs and x.ndim >= 2 else unit
