"""The unit ball of a norm that a rule makes: its support function is the dual norm, whatever the rule."""

from __future__ import annotations

import math
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays import roots as _roots
from ...arrays.namespace import Array, Namespace
from ...arrays.value import value_class
from ...sets.base import ArraySet
from ..array_function import ArrayFunction


@value_class
class UnitBall(ArraySet):
    """``{ x : N(x) <= 1 }`` for a norm N that has a proximal operator, inside the set ``within``.

    ``r = prox_{t N}(y)``, what y has beyond t times the unit ball of N*, makes ``N*(y) >= <r, y>/N(r)``, and this is
    Newton's step from t on the distance of y to that ball, which is convex and falls in t. So N* is found from below in
    a few steps, and the best ``r/N(r)`` is the oracle's member. The projection is the ``prox_{s N}(y)`` of norm 1: one
    scalar root. Derived here.
    """

    norm: ArrayFunction
    within: ArraySet

    STEPS = 40

    @property
    def stacks(self) -> bool:
        return self.norm.traits.stacks

    def diameter(self, shape: tuple[int, ...]) -> float:
        """An upper bound: that of the set around it."""
        return self.within.diameter(shape)

    def _traits(self) -> dict[str, Any]:
        given = vars(self.norm.traits)
        kept = ("even", "absolute", "symmetric", "structure", "minimum_at_zero", "needs", "host", "accuracy")
        return {**{name: given[name] for name in kept}, "selection": "composed"}

    def _beyond(self, xp: Namespace, y: Array, t: Array, batch: int) -> Array:
        """``prox_{t N}(y)``, t > 0."""
        each = _xp.spread(xp, t, y)
        return each * self.norm._prox(xp, y / each, 1.0, batch)

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        y = _xp.finite(xp, x)
        return reductions.inner(xp, y, self._lmo(xp, y, batch), batch) + reductions.poison(xp, x, batch)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        y = _xp.finite(xp, c)
        y = y / _xp.spread(xp, reductions.unit_scale(xp, y, batch), y)

        def member(r: Array) -> Array:
            length = _xp.spread(xp, self.norm._value(xp, r, batch, 0.0), r)
            return _xp.divide(xp, r, length + xp.zeros_like(r))

        def moved(x: Array) -> Array:
            t = reductions.inner(xp, x, y, batch)
            short = (1 - math.sqrt(_xp.eps(y))) * xp.where(t > 0, t, xp.ones_like(t))  # at the end r is all rounding
            better = member(self._beyond(xp, y, short, batch))
            return xp.where(_xp.spread(xp, reductions.inner(xp, better, y, batch) > t, x), better, x)

        return _roots.repeated(xp, moved, member(y), self.STEPS) + _xp.only_nan(xp, c)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        size = reductions.unit_scale(xp, _xp.finite(xp, y), batch)
        z = _xp.finite(xp, y) / _xp.spread(xp, size, y)

        def excess(s: Array) -> Array:  # the unit ball of z is 1/size as large
            return 1 / size - self.norm._value(xp, self._beyond(xp, z, s, batch), batch, 0.0)

        top = self._support(xp, z, batch)
        top = xp.where(top > 0, top, xp.ones_like(top))
        s = _roots.root(xp, excess, _xp.eps(y) * top, top)
        near = _xp.spread(xp, size, y) * self._beyond(xp, z, s, batch)
        length = self.norm._value(xp, near, batch, 0.0)
        near = near / _xp.spread(xp, xp.maximum(length, xp.ones_like(length)), near)  # where rounding left it outside
        return self._kept(xp, y, near, batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        value = self.norm._value(xp, _xp.finite(xp, y), batch, 0.0)
        return _xp.clip(xp, value - 1, 0.0, None) + reductions.poison(xp, y, batch)
