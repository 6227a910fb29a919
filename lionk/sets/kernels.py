"""Convolution kernels whose matrix lies in a set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..arrays.namespace import Array, Namespace
from .base import ArraySet


def as_matrix(xp: Namespace, x: Array, batch: int) -> Array:
    """A kernel (out, in, k...) as the matrix (out, in k...): all axes of the event after its first become one."""
    if x.ndim - batch < 2:
        raise ValueError(
            f"a function of convolution kernels needs the axes (out, in, k...), got an array of {x.ndim} dimension(s)"
        )
    return xp.reshape(x, (*x.shape[: batch + 1], math.prod(x.shape[batch + 1 :])))


@dataclass(eq=False, repr=False)
class Kernels(ArraySet):
    """``{ y : matrix of y in C }``, the matrix being (out, in k...)."""

    inner: ArraySet

    def diameter(self, shape: tuple[int, ...]) -> float:
        return self.inner.diameter((shape[0], math.prod(shape[1:])))

    def _traits(self) -> dict[str, Any]:
        inner = self.inner._traits()
        return {**inner, "structure": "reduce"} if inner.get("structure") == "rowwise" else inner

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        return xp.reshape(self.inner._lmo(xp, as_matrix(xp, c, batch), batch), c.shape)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        return xp.reshape(self.inner._project(xp, as_matrix(xp, y, batch), batch), y.shape)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        return self.inner._violation(xp, as_matrix(xp, y, batch), batch)

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        return self.inner._distance(xp, as_matrix(xp, y, batch), batch)

    def _scale(self, xp: Namespace, y: Array) -> Any:
        return self.inner._scale(xp, as_matrix(xp, y, 0))

    def _face_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        return self.inner._face_distance(xp, as_matrix(xp, x, batch), as_matrix(xp, s, batch), batch)
