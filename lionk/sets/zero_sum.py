"""Arrays whose entries sum to 0 and whose absolute values sum to at most 2: differences of two points of a simplex."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.namespace import Array, Namespace
from ..arrays.value import value_class
from .base import ArraySet, settled
from .chain import sequence
from .top_k import TopK

SIMPLEX = TopK(1, absolute=False)


@value_class
class Differences(ArraySet):
    """``{ y : sum y = 0, sum |y| <= 2 }``; support ``max x - min x``.

    The oracle is that of the maximum minus that of the minimum. The projection is ``p(y) - p(-y)`` for the projection p
    onto the simplex, where the two have no entry in common, and else ``y - mean(y)`` (derived here: both levels are
    found apart, since of each entry at most one part is not 0).
    """

    def diameter(self, shape: tuple[int, ...]) -> float:
        return 2 * math.sqrt(2) if math.prod(shape) > 1 else 0.0

    def _traits(self) -> dict[str, Any]:
        return {"structure": "order", "absolute": False}

    def _spec(self) -> dict[str, Any]:
        return {"name": "range"}

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        z = sequence(xp, x, batch)
        if not z.shape[-1]:
            return reductions.total(xp, x, batch)
        top, bottom = xp.max(z, axis=-1), xp.min(z, axis=-1)
        level = top == bottom  # infinite entries that are alike, too
        top, bottom = (xp.where(level, xp.zeros_like(e), e) for e in (top, bottom))
        return top - bottom

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        return SIMPLEX._lmo(xp, c, batch) - SIMPLEX._lmo(xp, -c, batch)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        z = sequence(xp, y, batch)
        if z.shape[-1] == 0:
            return y
        up, down = SIMPLEX._project(xp, z, z.ndim - 1), SIMPLEX._project(xp, -z, z.ndim - 1)
        centred = z - xp.mean(z, axis=-1, keepdims=True)
        fits = xp.sum(xp.abs(centred), axis=-1, keepdims=True) <= 2
        near = xp.reshape(xp.where(fits, centred, up - down), y.shape)
        return settled(xp, y, near, batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        z = sequence(xp, _xp.finite(xp, y), batch)
        total, size = xp.abs(xp.sum(z, axis=-1)), xp.sum(xp.abs(z), axis=-1)
        return xp.maximum(total, _xp.clip(xp, size - 2, 0.0, None)) + reductions.poison(xp, y, batch)
