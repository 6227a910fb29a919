"""A step length for each entry: where slopes differ from entry to entry, and few numbers couple the entries."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import namespace as _xp
from .namespace import Array, Namespace
from .newton import difference

LEAST, LOWERED = 1e-9, 16  # bound of the derivative, beside 1, and what it is divided by after progress
PROGRESS, GAIN = 0.5, 1e-4  # what is left of the residual after progress; and at most of it all, where lengths helped


class EntrySteps:
    """Step lengths for ``residual(z) = 0``, minus a monotone function: one over the diagonal of its derivative.

    That is found from one residual more, at ``z + h`` with signs in h that are as good as random: what the other
    entries do to one then cancels (Bekas, Kokiopoulou and Saad 2007). As in Levenberg's method (1944) the derivative is
    bounded below, more and more loosely as the residual falls. Where it no longer does, or not twice in succession
    where much was gained, they are ``of_use`` no more: all lengths are 1, and z as it was at first if not much was.
    """

    def __init__(self, xp: Namespace, residual: Callable[[Array], Array], unit: Array) -> None:
        self.xp, self.residual, self.unit = xp, residual, unit
        self.bound, self.last, self.stalled, self.of_use = 1.0, math.inf, False, True
        self.first: tuple[Array, float] | None = None

    def at(self, z: Array, r: Array, size: float) -> tuple[Array, Any]:
        """Where to go on from, at present z with its residual and the size of that, and the lengths there."""
        xp = self.xp
        self.first = self.first or (z, size)
        better, gained = size <= PROGRESS * self.last, size <= GAIN * self.first[1]
        self.of_use, self.last, self.stalled = better or (gained and not self.stalled), size, not better
        if not self.of_use:
            return z if gained else self.first[0], 1.0
        self.bound = max(self.bound / LOWERED, LEAST) if better else self.bound
        index = xp.reshape(xp.arange(math.prod(z.shape), device=_xp.device(z)), z.shape)
        h = difference(xp, z, self.unit)
        there = z + xp.where(index * index % 8191 % 2 == 0, h, -h)
        slope = (r - self.residual(there)) / (there - z)
        return z, 1 / xp.where(slope > self.bound, slope, self.bound * xp.ones_like(slope))
