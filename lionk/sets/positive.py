"""Sets of nonnegative arrays, and of arrays whose positive part lies in a set."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.namespace import Array, Namespace
from ..arrays.value import value_class
from .base import ArraySet


def part(xp: Namespace, x: Array) -> Array:
    """``max(x, 0)``; NaN stays."""
    if _xp.is_complex(x):
        raise TypeError("complex entries have no positive part; use a real array")
    return _xp.clip(xp, x, 0.0, None)


@value_class
class Positive(ArraySet):
    """``{ y : max(y, 0) in C }``, and with ``only`` those of them that are nonnegative: ``{ y in C : y >= 0 }``.

    C depends on absolute values only, so that the projections are ``P_C(max(y, 0))``, with the negative entries kept
    or set to 0 (derived here).
    """

    inner: ArraySet
    only: bool = True

    @property
    def stacks(self) -> bool:
        return self.inner.stacks

    def diameter(self, shape: tuple[int, ...]) -> float:
        """``|y - z|^2 <= |y|^2 + |z|^2`` for nonnegative y and z."""
        return self.inner.diameter(shape) / math.sqrt(2) if self.only else math.inf if math.prod(shape) else 0.0

    def _traits(self) -> dict[str, Any]:
        return {**self.inner._traits(), "even": False, "absolute": False}

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        return self.inner._support(xp, part(xp, x), batch)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        return where_positive(xp, c, self.inner._lmo(xp, part(xp, c), batch), xp.zeros_like(c))

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        near = self.inner._project(xp, part(xp, y), batch)
        return where_positive(xp, y, near, xp.zeros_like(y) if self.only else y)

    def _bounding(self, xp: Namespace, r: Array, batch: int) -> Array:
        return r if self.only else part(xp, r)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        beyond = self.inner._violation(xp, part(xp, y), batch)
        return xp.maximum(beyond, reductions.peak(xp, part(xp, -y), batch)) if self.only else beyond

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        return self.inner._scale(xp, part(xp, y), batch)


def where_positive(xp: Namespace, x: Array, there: Array, elsewhere: Array) -> Array:
    """``there`` where x > 0, NaN where x is, ``elsewhere`` else."""
    return xp.where(x > 0, there, xp.where(x <= 0, elsewhere, x))
