"""The unit balls of the k-support norm and of its dual, the Euclidean norm of the k largest entries.

Both rest on the level u of ``r >= 0``, the number with ``sum min(1, r_i/u) = k``; with ``t_j`` the sum of all but the j
largest entries, ``u = min over j < k of t_j/(k - j)``, and 0 if fewer than k entries are positive. Then

    |y|_ksp^2 = min { sum y_i^2/w_i : 0 <= w <= 1, sum w = k } = sum |y_i| max(|y_i|, u)

(Argyriou, Foygel, Srebro 2012, arXiv 1204.5043; McDonald, Pontil, Stamos 2014, arXiv 1406.4445; the level as a minimum
and the projections below are derived here).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import roots as _roots
from ..arrays.namespace import Array, Namespace
from ..arrays.value import value_class
from .base import ArraySet
from .top_k import TopK


class _Order:
    """Which entries of r >= 0 are below the k-th largest, and how many more than k are not: the same of all that a
    function makes of them which rises where it is positive. ``largest``: the k largest, in descending order.
    """

    def __init__(self, xp: Namespace, r: Array, largest: Array, batch: int) -> None:
        k = largest.shape[-1]
        self.xp, self.batch, self.below = xp, batch, r < _xp.spread(xp, largest[..., -1], r)
        self.others = reductions.total(xp, xp.astype(~self.below, r.dtype), batch) - k
        self.left = xp.astype(xp.arange(k, 0, -1, device=_xp.device(r)), r.dtype)

    def level(self, r: Array, largest: Array) -> Array:
        """The level of r, of which ``largest`` are the k largest entries."""
        xp = self.xp
        rest = reductions.total(xp, xp.where(self.below, r, xp.zeros_like(r)), self.batch)
        tails = (rest + self.others * largest[..., -1])[..., None] + reductions.sums_from_end(xp, largest)
        return xp.min(tails / self.left, axis=-1)

    def norm(self, r: Array, largest: Array) -> Array:
        """The k-support norm of r, finite."""
        xp, m = self.xp, reductions.unit_scale(self.xp, largest, self.batch)
        r, largest = r / _xp.spread(xp, m, r), largest / m[..., None]
        level = _xp.spread(xp, self.level(r, largest), r)
        return m * xp.sqrt(reductions.total(xp, r * xp.maximum(r, level), self.batch))


def _k_support_norm(xp: Namespace, r: Array, largest: Array, batch: int) -> Array:
    infinite, r, largest = reductions.poison(xp, r, batch), _xp.finite(xp, r), _xp.finite(xp, largest)
    return _Order(xp, r, largest, batch).norm(r, largest) + infinite


@value_class
class _KBall(ArraySet):
    """What the two balls share: order, scale, and the pair of proximal operators of their gauges.

    Where the projection moves y, it is ``max(0, min(r - t, p r))`` on one ball and ``min(r, max(t, (1-p) r))`` on the
    other, r = |y|, for some threshold t below the k-th largest entry c; with ``d = c - t`` and g the level of the
    positive part of r - t, ``p = g/(t + g)``. So one scalar is left, found by bisection over its logarithm. If fewer
    than k entries are nonzero, both norms are the Euclidean one. Accuracy: a few ulp of max |y|.
    """

    k: int = 1

    def __post_init__(self) -> None:
        TopK(self.k)  # checks k

    def _traits(self) -> dict[str, Any]:
        return {"structure": "order"}

    def _spec(self) -> dict[str, Any]:
        return {"name": "top_k_l2" if isinstance(self, KSupportBall) else "k_support", "k": self.k}

    @abstractmethod
    def _size(self, xp: Namespace, r: Array, largest: Array, batch: int) -> Array:
        """The gauge of ``|y| = r``, of which ``largest`` are the k largest entries."""

    @abstractmethod
    def _gauge(self, order: _Order, r: Array, largest: Array) -> Array:
        """That of finite entries in this order."""

    @abstractmethod
    def _shrunk(self, xp: Namespace, r: Array, cut: Array, t: Array, d: Array, g: Array) -> Array: ...

    @abstractmethod
    def _at(self, xp: Namespace, cut: Array, share: Array) -> tuple[Array, Array]:
        """t and d from the logarithm of the share of c that the one decisive for the size of the result has."""

    def _entries(self, xp: Namespace, x: Array, batch: int) -> tuple[Array, Array]:
        r = xp.abs(x)
        return r, reductions.largest(xp, r, self.k, batch)

    def _empty(self, x: Array, batch: int) -> bool:
        return not TopK(self.k)._check(x, batch)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        if self._empty(y, batch):
            return y
        m = reductions.unit_scale(xp, y, batch)
        r, top = self._entries(xp, y / _xp.spread(xp, m, y), batch)  # what moves an entry moves its copy among them
        cut, order, size = top[..., -1], _Order(xp, r, top, batch), self._size(xp, r, top, batch)

        def excess(a: Array, d: Array) -> Array:
            return _xp.clip(xp, (a - _xp.spread(xp, cut, a)) + _xp.spread(xp, d, a), 0.0, None)

        def shrunk(share: Array) -> tuple[Array, Array]:
            t, d = self._at(xp, cut, share)
            parts = cut, t, d, order.level(excess(r, d), excess(top, d))
            near, largest = (self._shrunk(xp, a, *(_xp.spread(xp, e, a) for e in parts)) for a in (r, top))
            return near, largest

        def excess_size(share: Array) -> Array:  # its logarithm is nearly linear in that of the share
            return xp.log(xp.maximum(m * self._gauge(order, *shrunk(share)), least))

        tiny = float(xp.finfo(cut.dtype).smallest_normal)
        least, low = tiny + 0 * cut, math.log(tiny) + 0 * cut
        share = _roots.root(xp, excess_size, low, 0 * cut, extra=10)
        moved = zip(shrunk(share), (r, top), strict=True)
        near, largest = (xp.where(_xp.spread(xp, cut > 0, a), b, a) for b, a in moved)
        length = _xp.spread(xp, self._gauge(order, near, largest), near)
        near = _xp.sign(xp, y) * _xp.divide(xp, near, length + 0 * near)
        return xp.where(_xp.spread(xp, m * size <= 1 + reductions.slack(xp, y, batch), y), y, near)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        if self._empty(y, batch):
            return reductions.total(xp, xp.abs(y), batch)
        return _xp.clip(xp, self._size(xp, *self._entries(xp, y, batch), batch) - 1, 0.0, None)


@value_class
class KSupportBall(_KBall):
    """``{ |y|_ksp <= 1 }``, the hull of the unit vectors with at most k entries; support: l2 of the k largest ``|x|``.

    The oracle is ``x/|x_S|`` on the k largest, entries tied at the k-th largest multiplied by their equal share.
    """

    def diameter(self, shape: tuple[int, ...]) -> float:
        return 2.0 if math.prod(shape) else 0.0

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        if self._empty(x, batch):
            return reductions.total(xp, xp.abs(x), batch)
        return reductions.norm(xp, self._entries(xp, x, batch)[1], batch)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        if self._empty(c, batch):
            return c
        c = c / _xp.spread(xp, reductions.unit_scale(xp, c, batch), c)
        size = _xp.spread(xp, self._support(xp, c, batch), c)
        return _xp.divide(xp, xp.abs(c) * TopK(self.k)._lmo(xp, c, batch), size + 0 * xp.abs(c))

    def _size(self, xp: Namespace, r: Array, largest: Array, batch: int) -> Array:
        return _k_support_norm(xp, r, largest, batch)

    def _gauge(self, order: _Order, r: Array, largest: Array) -> Array:
        return order.norm(r, largest)

    def _at(self, xp: Namespace, cut: Array, share: Array) -> tuple[Array, Array]:
        return -cut * xp.expm1(share), cut * xp.exp(share)

    def _shrunk(self, xp: Namespace, r: Array, cut: Array, t: Array, d: Array, g: Array) -> Array:
        return _xp.clip(xp, xp.minimum((r - cut) + d, _xp.divide(xp, g, t + g) * r), 0.0, None)

    def _face_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        """The shares of the entries tied at the k-th largest are free: in [0, 1], with a given sum."""
        if self._empty(x, batch):
            return reductions.total(xp, xp.abs(x), batch)
        top = TopK(self.k)
        above, at, _ = top._tied(xp, x, batch)
        left = self.k - reductions.total(xp, xp.astype(above, xp.abs(x).dtype), batch)
        unit = _xp.divide(xp, x, _xp.spread(xp, self._support(xp, x, batch), x) + 0 * x)
        size = reductions.peak(xp, xp.where(at, unit, 0 * unit), batch)  # of each tied entry
        along = _xp.divide(xp, xp.real(xp.conj(unit) * s) if _xp.is_complex(s) else unit * s, xp.abs(unit) ** 2)
        share = xp.where(above, xp.ones_like(along), top._level(xp, along, left, batch, at))
        nearest = xp.where(_xp.spread(xp, size, x) > 0, share, xp.ones_like(share)) * unit
        off = reductions.norm(xp, s - nearest, batch)
        return xp.where(reductions.peak(xp, x, batch) == 0, self._distance(xp, s, batch), off)


@value_class
class TopKL2Ball(_KBall):
    """``{ y : the k largest |y_i| have Euclidean norm <= 1 }``; support: the k-support norm.

    The oracle is ``sign(x) max(|x|, u)/|x|_ksp`` where x is not 0, and 0 there.
    """

    def diameter(self, shape: tuple[int, ...]) -> float:
        n = math.prod(shape)
        return 2.0 * math.sqrt(max(n / self.k, 1.0)) if n else 0.0

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        if self._empty(x, batch):
            return reductions.total(xp, xp.abs(x), batch)
        return _k_support_norm(xp, *self._entries(xp, x, batch), batch)

    def _raised(self, xp: Namespace, c: Array, batch: int) -> tuple[Array, Array]:
        """``|c|`` over its norm, and the level over the norm, which is what the norm's gradient raises it to."""
        c = c / _xp.spread(xp, reductions.unit_scale(xp, c, batch), c)
        r, largest = self._entries(xp, c, batch)
        size = _k_support_norm(xp, r, largest, batch)
        level = _xp.divide(xp, _Order(xp, r, largest, batch).level(r, largest), size)
        return _xp.divide(xp, r, _xp.spread(xp, size, r) + 0 * r), _xp.spread(xp, level, r) + 0 * r

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        if self._empty(c, batch):
            return c
        return _xp.sign(xp, c) * xp.maximum(*self._raised(xp, c, batch))

    def _size(self, xp: Namespace, r: Array, largest: Array, batch: int) -> Array:
        return reductions.norm(xp, largest, batch)

    def _gauge(self, order: _Order, r: Array, largest: Array) -> Array:
        return reductions.norm(order.xp, largest, order.batch)

    def _at(self, xp: Namespace, cut: Array, share: Array) -> tuple[Array, Array]:
        return cut * xp.exp(share), -cut * xp.expm1(share)

    def _shrunk(self, xp: Namespace, r: Array, cut: Array, t: Array, d: Array, g: Array) -> Array:
        return xp.minimum(r, xp.maximum(t, _xp.divide(xp, t, t + g) * r))

    def _face_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        """Free at the zeros of x, up to the level."""
        if self._empty(x, batch):
            return reductions.total(xp, xp.abs(x), batch)
        level = self._raised(xp, x, batch)[1]
        r = xp.abs(s)
        clipped = s * _xp.divide(xp, xp.minimum(r, level), r)
        off = reductions.norm(xp, s - xp.where(x == 0, clipped, self._lmo(xp, x, batch)), batch)
        return xp.where(reductions.peak(xp, x, batch) == 0, self._distance(xp, s, batch), off)
