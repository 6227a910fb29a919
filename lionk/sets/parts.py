"""Arrays whose parts lie in a set: heads, experts, the matrices of kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..arrays import reductions
from ..arrays.layout import Layout, Part
from ..arrays.namespace import Array, Namespace
from ..arrays.value import value_class
from .base import ArraySet


@value_class
class Parts(ArraySet):
    """``{ y : every part of y is in C }``."""

    inner: ArraySet
    layout: Layout

    def diameter(self, shape: tuple[int, ...]) -> float:
        each = [(count, self.inner.diameter(part)) for count, part in self.layout.shapes(shape)]
        return math.sqrt(sum(count * size**2 for count, size in each if count))

    def _traits(self) -> dict[str, Any]:
        return traits_of_parts(self.inner._traits(), self.layout)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        return of_parts(self, self.inner._lmo, xp, c, batch)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        return of_parts(self, self.inner._project, xp, y, batch)

    def _bounding(self, xp: Namespace, r: Array, batch: int) -> Array:
        return of_parts(self, self.inner._bounding, xp, r, batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        """The largest of the parts', each relative to its scale."""
        parts = parts_of(self, xp, y, batch)
        sizes = [self._size(xp, part, b, batch) for part, b in parts]
        largest: Any = None
        for (part, b), size in zip(parts, sizes, strict=True):
            v = reductions.peak(xp, self.inner._violation(xp, part, b), batch) * (sizes[0] / size)
            largest = v if largest is None else xp.maximum(largest, v)
        return largest

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        return root_of_squares(xp, [(self.inner._distance(xp, p, b)) for p, b in parts_of(self, xp, y, batch)], batch)

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        part, b = parts_of(self, xp, y, batch)[0]
        return self._size(xp, part, b, batch)

    def _size(self, xp: Namespace, part: Array, within: int, batch: int) -> Any:
        """The scale of C for these parts, the largest of each event."""
        if 0 in part.shape[:within]:
            return 1.0
        scale = self.inner._scale(xp, part, within)
        return reductions.peak(xp, scale, batch) if getattr(scale, "ndim", 0) > batch else scale

    def _face_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        pairs = zip(parts_of(self, xp, x, batch), parts_of(self, xp, s, batch), strict=True)
        return root_of_squares(xp, [self.inner._face_distance(xp, a, c, b) for (a, b), (c, _) in pairs], batch)


def parts_of(lift: Any, xp: Namespace, x: Array, batch: int) -> list[Part]:
    """The parts of x for a function or set with a layout; the inner one's stacks of matrices count as events."""
    stacks = getattr(lift.inner, "traits", lift.inner).stacks  # a function says so in its traits
    parts = lift.layout.parts(xp, x, batch)
    return [(part, max(b, part.ndim - 2)) for part, b in parts] if stacks else parts


def of_parts(lift: Any, f: Callable[[Namespace, Array, int], Array], xp: Namespace, x: Array, batch: int) -> Array:
    """f of every part, in their places."""
    made = [f(xp, part, b) for part, b in parts_of(lift, xp, x, batch)]
    return lift.layout.join(xp, made, x, batch)


def root_of_squares(xp: Namespace, each: list[Array], batch: int) -> Array:
    """The Euclidean norm of the numbers of all parts."""
    found: Any = None
    for d in each:
        n = reductions.norm(xp, d, batch) if d.ndim > batch else d
        found = n if found is None else xp.hypot(found, n)
    return found


def traits_of_parts(inner: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """The traits of a sum over parts, given those of its terms."""
    structure = inner.get("structure", "reduce")
    one = layout.whole or structure == "elementwise"
    return {
        **inner,
        "symmetric": inner.get("symmetric", True) and one,
        "structure": structure if structure == "matrix" or (one and structure == "order") else "reduce",
        "along": None,
        "stacks": False,
    }
