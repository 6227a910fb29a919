"""The sets whose support functions add the k largest entries."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import roots as _roots
from ..arrays.namespace import Array, Namespace
from ..arrays.value import value_class
from ..errors import NotAvailable
from .base import ArraySet


@value_class
class TopK(ArraySet):
    """The set whose support function adds the k largest entries.

    ``absolute``: ``{ |y|_inf <= 1, |y|_1 <= k }``, support = sum of the k largest ``|x|`` (k = 1: the l1 ball).
    Otherwise ``{ 0 <= y <= 1, sum y = k }``, support = sum of the k largest ``x`` (k = 1: the simplex); k may be any
    real number > 0 there: of k = 2.5 the third one counts by half.
    The empty array has support 0 in the first case and -inf (an empty set) in the second.
    """

    k: float = 1
    absolute: bool = True

    def __post_init__(self) -> None:
        if self.absolute:
            whole("k", self.k)
        elif isinstance(self.k, bool) or not isinstance(self.k, (int, float)) or not 0 < self.k < math.inf:
            raise ValueError(f"k must be a finite number > 0, got {self.k!r}")

    @property
    def _rank(self) -> int:
        return math.ceil(self.k)

    def diameter(self, shape: tuple[int, ...]) -> float:
        n = math.prod(shape)
        if self.absolute:
            return 2.0 * math.sqrt(min(self.k, n))
        return math.sqrt(2.0 * max(min(self.k, n - self.k), 0))

    def _traits(self) -> dict[str, Any]:
        names = ("even", "absolute", "minimum_at_zero")
        return {"structure": "order", **dict.fromkeys(names, self.absolute)}

    def _spec(self) -> dict[str, Any]:
        name = "top_k" if self.absolute else "capped_simplex" if isinstance(self.k, int) else "cvar"
        return {"name": name, "k": self.k}

    def _check(self, x: Array, batch: int) -> int:
        n = _xp.event_size(x, batch)
        if n and self.k > n:
            raise ValueError(f"k = {self.k} is larger than the number of entries, {n}; choose 1 <= k <= {n}")
        return n

    def _magnitude(self, xp: Namespace, x: Array) -> Array:
        if self.absolute:
            return xp.abs(x)
        if _xp.is_complex(x):
            raise TypeError("the sum of the k largest entries needs real entries, got a complex array")
        return x

    def _tied(self, xp: Namespace, c: Array, batch: int) -> tuple[Array, Array, Array]:
        """Which entries are above the k-th largest, which equal it, and the share of each of those."""
        r = self._magnitude(xp, c)
        cut, larger, equal = (_xp.spread(xp, v, r) for v in reductions.order_statistic(xp, r, self._rank, batch))
        return r > cut, r == cut, _xp.divide(xp, self.k - larger, equal)

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        if not self._check(x, batch):
            empty = reductions.total(xp, self._magnitude(xp, x), batch)
            return empty if self.absolute else empty - math.inf
        r = self._magnitude(xp, x)
        cut = reductions.kth_largest(xp, r, self._rank, batch)
        if self.k == 1:
            return cut
        below = r <= _xp.spread(xp, cut, r)  # not of NaN, which the sum keeps
        rest = self.k - reductions.total(xp, xp.astype(~below, r.dtype), batch)
        return reductions.total(xp, xp.where(below, xp.zeros_like(r), r), batch) + rest * cut

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        if not self._check(c, batch):
            return c
        above, at, share = self._tied(xp, c, batch)
        one = xp.ones_like(share + xp.zeros_like(xp.abs(c)))
        picked = xp.where(above, one, xp.where(at, share * one, 0 * one))
        return _xp.sign(xp, c) * picked if self.absolute else xp.where(xp.isnan(c), c, picked)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        if not self._check(y, batch):
            return y
        r, room = self._magnitude(xp, y), self.k * reductions.slack(xp, y, batch)
        if self.absolute:
            near = _xp.clip(xp, r, None, 1.0)
            fits = reductions.total(xp, near, batch) <= self.k + room
        else:  # a member, up to the rounding of its sum, is its own projection, bit for bit
            near = y
            within = reductions.peak(xp, y - _xp.clip(xp, y, 0.0, 1.0), batch) == 0
            fits = (xp.abs(reductions.total(xp, y, batch) - self.k) <= room) & within
        if not reductions.none(~fits):
            near = xp.where(_xp.spread(xp, fits, r), near, self._levelled(xp, r, batch))
        if not self.absolute:
            return near
        return _xp.sign(xp, y) * near if _xp.is_complex(y) else xp.where(y < 0, -near, near)

    def _levelled(self, xp: Namespace, r: Array, batch: int) -> Array:
        """``clip(r - level, 0, 1)`` with the sum k. The level is in [cut - 1, cut], cut the k-th largest entry:
        relative to it, entries near it lose no digits however large they are.
        """
        cut = _xp.spread(xp, reductions.kth_largest(xp, r, self._rank, batch), r)
        if self.k != 1 or xp.__name__ in reductions.ORDER_STATISTIC:
            return self._level(xp, r - cut, float(self.k), batch, span=(-1.0, 0.0))
        r = r - cut
        falling = xp.flip(xp.sort(_xp.flat(xp, r, batch), axis=-1), axis=-1)
        steps = xp.astype(xp.arange(1, falling.shape[-1] + 1, device=_xp.device(r)), falling.dtype)
        level = xp.max((reductions.running_sum(xp, falling) - 1) / steps, axis=-1)
        return _summing(xp, _xp.clip(xp, r - _xp.spread(xp, level, r), 0.0, 1.0), 1.0, batch)

    def _level(
        self,
        xp: Namespace,
        r: Array,
        total: Any,
        batch: int,
        free: Array | None = None,
        span: tuple[float, float] | None = None,
    ) -> Array:
        """``clip(r - t, 0, 1)`` with t such that the free entries sum to ``total``: its root, then one exact step.

        ``span``: an interval that holds t (None: from the free entries).
        """
        if free is None:
            free = xp.ones_like(r, dtype=xp.bool)
        weight = xp.astype(free, r.dtype)
        if span is None:
            some = xp.where(free, r, -math.inf * xp.ones_like(r)), xp.where(free, r, math.inf * xp.ones_like(r))
            top, bottom = (
                xp.max(_xp.flat(xp, some[0], batch), axis=-1),
                xp.min(_xp.flat(xp, some[1], batch), axis=-1) - 1,
            )
        else:
            zero = xp.zeros_like(reductions.total(xp, r, batch))
            bottom, top = span[0] + zero, span[1] + zero

        def clipped(t: Array) -> Array:
            return weight * _xp.clip(xp, r - _xp.spread(xp, t, r), 0.0, 1.0)

        def between(moved: Array) -> Array:
            """The free entries between 0 and 1, as ones."""
            return weight * xp.astype((moved > 0) & (moved < 1), r.dtype)

        def lack(t: Array) -> Array:
            return total - reductions.total(xp, clipped(t), batch)

        def slope(t: Array) -> Array:
            return reductions.total(xp, between(r - _xp.spread(xp, t, r)), batch)

        t = _roots.piecewise_root(xp, lack, slope, bottom, top, total)
        moved = r - _xp.spread(xp, t, r)
        inner = between(moved)
        ones = reductions.total(xp, weight * xp.astype(moved >= 1, r.dtype), batch)
        count = reductions.total(xp, inner, batch)
        exact = _xp.divide(xp, reductions.total(xp, inner * xp.where(inner > 0, r, 0 * r), batch) + ones - total, count)
        return _summing(xp, clipped(xp.where(count > 0, exact, t)), total, batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        if not self._check(y, batch):
            return reductions.total(xp, xp.abs(y), batch)
        r = self._magnitude(xp, y)
        above = xp.max(_xp.flat(xp, r, batch), axis=-1) - 1
        total = reductions.total(xp, _xp.finite(xp, r), batch) - self.k
        if self.absolute:
            return _xp.clip(xp, xp.maximum(above, total), 0.0, None)
        below = -xp.min(_xp.flat(xp, r, batch), axis=-1)
        return _xp.clip(xp, xp.maximum(xp.maximum(above, below), xp.abs(total) / self.k), 0.0, None)

    def _face_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        if not self._check(x, batch):
            return reductions.total(xp, xp.abs(x), batch)
        above, at, share = self._tied(xp, x, batch)
        left = self.k - reductions.total(xp, xp.astype(above, share.dtype), batch)
        fixed = xp.where(above, _xp.sign(xp, x) if self.absolute else xp.ones_like(x), xp.zeros_like(x))
        if not self.absolute:
            return reductions.norm(xp, s - xp.where(at, self._level(xp, s, left, batch, at), fixed), batch)
        at_zero = at & (x == 0)  # ties at zero may take either sign and need not use up what is left
        r = xp.abs(s) if not _xp.is_complex(s) else None
        if r is None:
            raise NotAvailable("the subdifferential distance of top_k is for real arrays; use K.fenchel_young")
        signed = xp.where(at_zero, r, _xp.sign(xp, x) * s)
        capped = at_zero & _xp.spread(
            xp, reductions.total(xp, xp.where(at_zero, _xp.clip(xp, r, 0.0, 1.0), 0 * r), batch) <= left, r
        )
        nearest = xp.where(capped, _xp.clip(xp, r, 0.0, 1.0), self._level(xp, signed, left, batch, at))
        sign = xp.where(at_zero, xp.where(s < 0, -xp.ones_like(s), xp.ones_like(s)), _xp.sign(xp, x))
        return reductions.norm(xp, s - xp.where(at, sign * nearest, fixed), batch)


def whole(name: str, k: Any) -> int:
    """A count. ValueError if it is none."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"{name} must be a whole number >= 1, got {k!r}")
    return k


def _summing(xp: Namespace, p: Array, total: Any, batch: int) -> Array:
    """p, of which the entries between 0 and 1 share what the sum lacks: the rounding of their common level, n times."""
    for _ in range(2):  # the second time for the entries that came to 0 or 1
        lack = total - reductions.total(xp, p, batch)
        if _xp.visible(lack) and reductions.none(xp.abs(lack) > 4 * _xp.eps(p) * total):
            break
        inner = (p > 0) & (p < 1)
        share = _xp.divide(xp, lack, reductions.total(xp, xp.astype(inner, p.dtype), batch))
        p = xp.where(inner, _xp.clip(xp, p + _xp.spread(xp, share, p), 0.0, 1.0), p)
    return p
