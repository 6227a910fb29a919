"""Arrays between two ends whose entries sum to 1: weights of a portfolio with caps."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import roots as _roots
from ..arrays.far import from_afar
from ..arrays.namespace import Array, Namespace
from ..arrays.value import value_class
from .base import ArraySet, settled
from .chain import sequence
from .sorted import _take

SHARES = 8  # at most, of what a sum lacks: next to an end, an entry that gets there leaves the rest to the others


@value_class
class BoxSimplex(ArraySet):
    """``{ y : lower <= y <= upper, sum y = 1 }``, entry by entry; the ends are numbers, tuples or arrays.

    The oracle fills the entries with the largest c up to their upper ends; ties get one level, which is of least norm.
    Levels, and the projection ``clip(y - t, lower, upper)``, are one scalar root. ValueError where the set is empty.
    """

    lower: Any = 0.0
    upper: Any = 1.0

    def diameter(self, shape: tuple[int, ...]) -> float:
        """An upper bound: of y - z no entry exceeds the widest interval, and the sum of all is at most that of each."""
        n = math.prod(shape)
        if not n:
            return 0.0
        room = 2 * min(1 - _sum(self.lower, n), _sum(self.upper, n) - 1)
        return math.sqrt(max(room * (_largest(self.upper) + _largest(_negative(self.lower))), 0.0))

    def _traits(self) -> dict[str, Any]:
        one = all(isinstance(v, (int, float)) for v in (self.lower, self.upper))
        return {"even": False, "absolute": False, "symmetric": one, "structure": "order", "minimum_at_zero": None}

    def _spec(self) -> dict[str, Any]:
        return {"name": "box_simplex", "lower": self.lower, "upper": self.upper}

    def _ends(self, xp: Namespace, y: Array, batch: int) -> tuple[Array, Array]:
        """Both ends for every entry of the event, as one sequence."""
        n, slack = _xp.event_size(y, batch), 8 * _xp.event_size(y, batch) * _xp.eps(y)
        if not any(_traced(v) for v in (self.lower, self.upper)):
            low, high = (_sum(v, n) for v in (self.lower, self.upper))
            if not low <= 1 + slack or not high >= 1 - slack:
                raise ValueError(
                    f"no array of {n} entries between lower={self.lower!r} and upper={self.upper!r} has the sum 1: it "
                    f"is between {low:g} and {high:g}"
                )
        zero = xp.zeros_like(y)
        low, up = (zero + _xp.parameter(xp, v, y, n) for v, n in ((self.lower, "lower"), (self.upper, "upper")))
        return _xp.flat(xp, low, batch), _xp.flat(xp, up, batch)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        z = sequence(xp, c, batch)
        if z.shape[-1] == 0:
            return c
        z = xp.where(xp.isnan(z), xp.zeros_like(z), z)
        low, up = self._ends(xp, c, batch)
        order = xp.argsort(z, axis=-1, descending=True)
        rest = 1 - xp.sum(low, axis=-1, keepdims=True)
        filled = xp.cumulative_sum(_take(xp, up - low, order), axis=-1)
        enough = filled >= rest * (1 - 4 * _xp.eps(c))
        place = xp.sum(xp.astype(~enough, order.dtype), axis=-1, keepdims=True)
        cut = _take(xp, _take(xp, z, order), _xp.clip(xp, place, None, z.shape[-1] - 1))
        fixed = xp.where(z > cut, up, low)
        tied = z == cut
        left = 1 - xp.sum(xp.where(tied, xp.zeros_like(z), fixed), axis=-1)
        s = xp.where(tied, _level(xp, xp.zeros_like(z), low, up, left, tied), fixed)
        return xp.reshape(s, c.shape) + _xp.only_nan(xp, c)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        z = sequence(xp, y, batch)
        if z.shape[-1] == 0:
            return y
        low, up = self._ends(xp, y, batch)
        z, one, free = z - xp.max(z, axis=-1, keepdims=True), xp.ones_like(z[..., 0]), xp.ones_like(z, dtype=xp.bool)

        def near_to(z: Array, _: Any) -> Array:
            return _level(xp, z, low, up, one, free)

        near = from_afar(xp, near_to, z, lambda: xp.reshape(self._lmo(xp, y, batch), z.shape), z.ndim - 1)
        return settled(xp, y, xp.reshape(near, y.shape), batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        z = sequence(xp, _xp.finite(xp, y), batch)
        if z.shape[-1] == 0:
            return reductions.total(xp, y, batch)
        low, up = self._ends(xp, y, batch)
        off = xp.max(xp.maximum(low - z, z - up), axis=-1)
        lack = xp.abs(xp.sum(z, axis=-1) - 1)
        return xp.maximum(_xp.clip(xp, off, 0.0, None), lack) + reductions.poison(xp, y, batch)


def _level(xp: Namespace, r: Array, low: Array, up: Array, total: Array, free: Array) -> Array:
    """``clip(r - t, low, up)`` along the last axis, with t such that the free entries sum to ``total``."""
    weight, infinite = xp.astype(free, r.dtype), math.inf * xp.ones_like(r)

    def clipped(t: Array) -> Array:
        return _xp.clip(xp, r - t[..., None], low, up)

    bottom = xp.min(xp.where(free, r - up, infinite), axis=-1)
    top = xp.max(xp.where(free, r - low, -infinite), axis=-1)

    def between(p: Array) -> Array:
        """The free entries between their ends, as ones."""
        return weight * xp.astype((p > low) & (p < up), r.dtype)

    def lack(t: Array) -> Array:
        return total - xp.sum(weight * clipped(t), axis=-1)

    def slope(t: Array) -> Array:
        return xp.sum(between(r - t[..., None]), axis=-1)

    def shared(p: Array) -> Array:
        """With what the sum lacks, shared among the entries between their ends."""
        inner = between(p)
        share = _xp.divide(xp, total - xp.sum(weight * p, axis=-1), xp.sum(inner, axis=-1))[..., None]
        return xp.where(inner > 0, _xp.clip(xp, p + share, low, up), p)

    return _roots.repeated(xp, shared, clipped(_roots.piecewise_root(xp, lack, slope, bottom, top, total)), SHARES)


def _traced(v: Any) -> bool:
    """Is it an array whose values a compiler does not show?"""
    if not hasattr(v, "shape"):
        return False
    try:
        float(_xp.namespace(v).sum(v))
    except TypeError:
        return True
    return False


def _sum(v: Any, n: int) -> float:
    """The sum of n entries of an end, which broadcasts."""
    if isinstance(v, (int, float)):
        return n * v
    if isinstance(v, tuple):
        return sum(v) * n / len(v)
    return float(_xp.namespace(v).sum(v)) * n / math.prod(v.shape)


def _largest(v: Any) -> float:
    if isinstance(v, (int, float)):
        return v
    return max(v) if isinstance(v, tuple) else float(_xp.namespace(v).max(v))


def _negative(v: Any) -> Any:
    return tuple(-p for p in v) if isinstance(v, tuple) else -v
