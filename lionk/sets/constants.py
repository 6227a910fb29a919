"""Arrays of sum 0 that a constant takes into a set."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import roots as _roots
from ..arrays.namespace import Array, Namespace
from ..arrays.value import value_class
from ..errors import NotAvailable
from .base import ArraySet, but_for_rounding, settled
from .box import Whole
from .rules import ball_radius, interval


def mean(xp: Namespace, x: Array, batch: int) -> Array:
    """The mean of the event, to broadcast against it."""
    return _xp.spread(xp, reductions.total(xp, x, batch) / max(_xp.event_size(x, batch), 1), x)


def constant(
    xp: Namespace, slope: Callable[[Array], Array], x: Array, batch: int, within: bool, middle: bool = False
) -> Array:
    """A constant c where ``slope(c)``, nondecreasing, passes 0; ``middle``: of them all, if it is 0 between two.

    ``within``: c is between -max |x| and max |x|; else that interval is grown first.
    """
    if _xp.is_complex(x):
        raise NotAvailable(
            "the constant of complex entries is a root in two real numbers, which is not sought here; "
            "use real arrays, or center a multiple of l2"
        )
    size = _xp.spread(xp, reductions.peak(xp, x, batch), x)
    low, high = -size, size
    for _ in range(0 if within else 24):
        low = xp.where(slope(low) > 0, 4 * low - 1, low)
        high = xp.where(slope(high) < 0, 4 * high + 1, high)
    if not middle:
        return _roots.root(xp, slope, low, high)
    first, last = (
        _roots.root(xp, f, low, high, first=True)
        for f in (slope, lambda c: xp.where(slope(c) > 0, 0 * c + 1, 0 * c - 1))
    )
    return first + (last - first) / 2


@value_class
class UpToConstants(ArraySet):
    """``{ y : sum y = 0, and y + c is in C for a number c }``: C, projected along the constants.

    Its support function is that of C at ``x - mean x``. The projection is ``P_C(y + c) - c`` with c such that its sum
    is 0: one scalar root (derived here). A point is outside by what a hyperplane proves: no member is refused.
    """

    inner: ArraySet
    matrices: bool = False  # are axes before the last two blocks, also where the inner set is the whole space?

    @property
    def stacks(self) -> bool:
        return self.matrices or self.inner.stacks

    def diameter(self, shape: tuple[int, ...]) -> float:
        return self._width(self.inner, shape)

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        z = x - mean(xp, x, batch)
        if self._unbounded:
            z = but_for_rounding(xp, z, _xp.spread(xp, reductions.peak(xp, x, batch), z), batch)
        return self.inner._support(xp, z, batch)

    @property
    def _unbounded(self) -> bool:
        """Is C the whole space, or an interval of numbers without an end? Then every array of sum 0 is a member."""
        ends = interval(self.inner)
        return isinstance(self.inner, Whole) or (ends is not None and math.isinf(ends[1] - ends[0]))

    def _bounding(self, xp: Namespace, r: Array, batch: int) -> Array:
        return mean(xp, r, batch) + xp.zeros_like(r) if self._unbounded else r

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        s = self.inner._lmo(xp, c - mean(xp, c, batch), batch)
        return s - mean(xp, s, batch)

    def _shift(self, xp: Namespace, y: Array, batch: int, middle: bool = False) -> Array:
        """A c that takes y of sum 0 nearest to C; ``middle``: the middle of them."""
        if isinstance(self.inner, Whole) or ball_radius(self.inner) is not None:  # the nearest point of the line is y
            return _xp.spread(xp, xp.zeros_like(reductions.total(xp, y, batch)), y)
        absolute = self.inner._traits().get("absolute", True)

        def slope(c: Array) -> Array:
            return mean(xp, y + c - self.inner._project(xp, y + c, batch), batch)

        return constant(xp, slope, y, batch, absolute, middle)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        return settled(xp, y, self._near(xp, y - mean(xp, y, batch), batch), batch)

    def _near(self, xp: Namespace, z: Array, batch: int) -> Array:
        """The projection of z, whose sum is 0; taking the mean off takes c off, without its rounding."""
        if self._unbounded:  # z is a member
            return z
        near = self.inner._project(xp, z + self._shift(xp, z, batch), batch)
        return near - mean(xp, near, batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        infinite = reductions.poison(xp, y, batch)
        y = _xp.finite(xp, y)
        z = y - mean(xp, y, batch)
        lack = xp.abs(reductions.total(xp, y, batch)) / math.sqrt(max(_xp.event_size(y, batch), 1)) + infinite
        if self._unbounded:
            return lack
        return xp.maximum(lack, self._separation(xp, z, self._near(xp, z, batch), batch))

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        """Beside the size of C that of y, which its sum is rounded with."""
        return self.inner._scale(xp, y, batch) + reductions.peak(xp, _xp.finite(xp, y), batch)
