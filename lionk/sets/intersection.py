"""The points that two sets share."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import roots as _roots
from ..arrays.namespace import Array, Namespace
from ..arrays.splitting import split
from ..arrays.value import value_class
from .base import ArraySet, joint_traits, nearer, resolve_tol


@value_class
class Intersection(ArraySet):
    """``{ y : y in C1 and y in C2 }``.

    Where what one of the two sets answers alone lies in the other, it is the answer of both, exactly. Else the
    projection is the proximal step ``P_2(y - a)`` with a from the accelerated form of Dykstra's method (1983): for ``y
    = z + a + b``, a and b in the normal cones at z, ``a = w - P_1(w)``, ``w = a + P_2(y - a)`` is a proximal gradient
    step of length 1 (derived here). Where rounding or a slow end leaves it outside C1, it is drawn towards 0
    until it is in both, if 0 is; so it is a member, and no further from y than that. Membership and distance to one
    of the two are exact.

    Two sets that share no point are told by a d with ``support_1(d) + support_2(-d) < 0``, which puts a hyperplane
    between them. Of the empty set the support is -inf, the distance inf, and the oracle and the projection NaN.
    """

    first: Any
    second: Any

    STEPS = 400
    TURNS = 200  # between the two sets, to see whether they share a point

    @property
    def stacks(self) -> bool:
        return bool(self.first.stacks or self.second.stacks)

    def diameter(self, shape: tuple[int, ...]) -> float:
        """An upper bound: that of the smaller one."""
        return min(self._width(self.first, shape), self._width(self.second, shape))

    def _traits(self) -> dict[str, Any]:
        return joint_traits(self.first._traits(), self.second._traits())

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        return self._extreme(xp, x, batch)[0]

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        return self._extreme(xp, c, batch)[1]

    def _extreme(self, xp: Namespace, c: Array, batch: int) -> tuple[Array, Array]:
        """``inf { support_1(u) + support_2(c - u) }``, that of a split and so an upper end, and a point of both sets
        that is in both subdifferentials at the split, up to the accuracy of ``splitting`` (Rockafellar 1970, 16.4).
        """
        y = _xp.finite(xp, c)
        if not _xp.event_size(c, batch):
            return reductions.total(xp, xp.abs(y), batch), y
        size = reductions.unit_scale(xp, y, batch)
        y = y / _xp.spread(xp, size, y)
        point, enough = self._alone(xp, y, [d._lmo(xp, y, batch) for d in (self.first, self.second)], batch)
        if _roots.visible(y) and reductions.none(~enough):
            value = xp.minimum(self.first._support(xp, y, batch), self.second._support(xp, y, batch))
            return size * value + reductions.poison(xp, c, batch), point + _xp.only_nan(xp, c)
        (u, v), s = split(xp, [_SupportOf(self.first), _SupportOf(self.second)], y, batch)
        zero = xp.zeros_like(y)
        value = reductions.poison(xp, c, batch) + math.inf
        for one, two in ((u, y - u), (y - v, v), (y, zero), (zero, y)):  # towards a part that is 0 it may drift slowly
            value = xp.minimum(value, self.first._support(xp, one, batch) + self.second._support(xp, two, batch))
        s = xp.where(_xp.spread(xp, enough, s), point, self._inside(xp, s, batch)) + _xp.only_nan(xp, c)
        return self._unless_apart(xp, u, y, size * value + reductions.poison(xp, c, batch), s, batch)

    def _alone(self, xp: Namespace, y: Array, points: list[Array], batch: int) -> tuple[Array, Array]:
        """Of a point of each set the one that is in the other set too, and whether there is one."""
        found, enough = points[0], xp.isnan(reductions.poison(xp, y, batch))
        for point, other in zip(points, (self.second, self.first), strict=True):
            inside = other._violation(xp, point, batch) <= _room(xp, other, y, batch)
            found, enough = xp.where(_xp.spread(xp, inside, found), point, found), enough | inside
        return found, enough

    def _unless_apart(
        self, xp: Namespace, u: Array, y: Array, value: Array, s: Array, batch: int
    ) -> tuple[Array, Array]:
        """The support at y and its subgradient; -inf and NaN where the sets share no point: then the part u of a split
        of y has grown without end. Where values can be seen.
        """
        if self._holds_zero or not _roots.visible(u):
            return value, s
        grown = reductions.norm(xp, u, batch) > 1e3 * reductions.norm(xp, y, batch)
        if reductions.none(grown):
            return value, s
        near = _roots.repeated(xp, lambda z: self._in_turn(xp, z, batch), xp.zeros_like(y), self.TURNS)
        apart = grown & self._apart(xp, near, batch) & ~xp.isnan(value)
        value = xp.where(apart, -math.inf + xp.zeros_like(value), value)
        return value, xp.where(_xp.spread(xp, apart, s), math.nan + s, s)

    def _apart(self, xp: Namespace, near: Array, batch: int) -> Array:
        """Is a hyperplane between the two sets, by more than rounding? Its normal is from the first set to ``near``, a
        point of the second one; NaN where one of the two is empty.
        """
        d = near - self.first._project(xp, near, batch)
        d = d / _xp.spread(xp, reductions.unit_scale(xp, d, batch), d)
        one, two = self.first._support(xp, d, batch), self.second._support(xp, -d, batch)
        size = reductions.magnitude(xp, one) + reductions.magnitude(xp, two)
        return (one + two < -64 * reductions.slack(xp, d, batch) * size) | xp.isnan(reductions.poison(xp, d, batch))

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        given, y = y, nearer(xp, y, batch, 1e3)
        points = [c._project(xp, y, batch) for c in (self.first, self.second)]
        point, enough = self._alone(xp, y, points, batch)
        outside = _xp.spread(xp, self._violation(xp, given, batch) != 0, given)
        if _roots.visible(y) and reductions.none(~enough):
            return xp.where(outside, point, given)

        def move(a: Array) -> Array:
            w = a + self.second._project(xp, y - a, batch)
            return w - self.first._project(xp, w, batch)

        a = _roots.accelerated(xp, move, y - points[0], self.STEPS, batch)
        near = self._inside(xp, self.second._project(xp, y - a, batch), batch)
        near = xp.where(_xp.spread(xp, enough, near), point, near)
        if not self._holds_zero and _roots.visible(near):
            off = self.first._violation(xp, near, batch) > 1e-3 * self._scale(xp, near, batch)
            if reductions.some(off):
                apart = off & self._apart(xp, near, batch)
                near = xp.where(_xp.spread(xp, apart, near), math.nan + near, near)
        return xp.where(outside, near, given)  # a member is its own projection, bit for bit

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        away = super()._distance(xp, y, batch)
        nothing = xp.isnan(away) & ~xp.isnan(reductions.poison(xp, y, batch))
        return xp.where(nothing, math.inf + xp.zeros_like(away), away)

    def _in_turn(self, xp: Namespace, z: Array, batch: int) -> Array:
        """z, projected onto the first set, and that onto the second."""
        return self.second._project(xp, self.first._project(xp, z, batch), batch)

    def _inside(self, xp: Namespace, z: Array, batch: int) -> Array:
        """z, drawn towards 0 by as much as it is outside, beyond half of the tolerance of membership; where 0 may be
        outside, projected onto each set in turn.
        """
        if not self._holds_zero:
            for _ in range(2):
                z = self._in_turn(xp, z, batch)
            return z
        room = _room(xp, self, z, batch)
        off = _xp.clip(xp, self._violation(xp, z, batch) - room, 0.0, None)
        one = xp.ones_like(off)

        def beyond(t: Array) -> Array:
            return xp.where(self._violation(xp, _xp.spread(xp, t, z) * z, batch) > room, one, -one)

        low = _roots.bracket(xp, beyond, 0 * one, one)[0]
        return xp.where(_xp.spread(xp, off > 0, z), _xp.spread(xp, low, z) * z, z)

    @property
    def _holds_zero(self) -> bool:
        """Is 0 known to be in both?"""
        return all(c._traits().get("even", True) for c in (self.first, self.second))

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        ratio = self.first._scale(xp, y, batch) / self.second._scale(xp, y, batch)
        return xp.maximum(self.first._violation(xp, y, batch), self.second._violation(xp, y, batch) * ratio)

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        return self.first._scale(xp, y, batch)


def _room(xp: Namespace, c: ArraySet, z: Array, batch: int) -> Any:
    """Half of the tolerance of membership in c."""
    return resolve_tol(_xp.kind(z), z, None, batch) / 2 * c._scale(xp, z, batch)


class _SupportOf:
    """The support function of a set, as far as ``split`` asks for a function."""

    def __init__(self, c: ArraySet) -> None:
        self.set = c

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        return x - _xp.scaled_map(xp, lambda z: self.set._project(xp, z, batch), t, x)
