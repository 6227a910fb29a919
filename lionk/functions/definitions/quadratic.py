"""Quadratic forms, kept by their eigenvalues so that conjugate, prox and value need no solver."""

from __future__ import annotations

from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays.namespace import Array, Namespace
from ...arrays.operator import positive_eigen
from ...arrays.value import value_class
from ...sets.base import ConvexSet
from ...sets.box import Whole
from ..array_function import ArrayFunction
from ..base import ConvexFunction, Traits
from .scalar import power


@value_class
class Quadratic(ArrayFunction):
    """``1/2 <x, P x>``, ``P = V diag(w) V^T``, w > 0, on all entries as one vector; conjugate ``1/2 <y, P^-1 y>``."""

    values: Any
    vectors: Any

    def _rotate(self, xp: Namespace, x: Array, batch: int) -> tuple[Array, Array, Array]:
        w = _xp.parameter(xp, self.values, x, "matrix")
        v = _xp.parameter(xp, self.vectors, x, "matrix")
        z = _xp.flat(xp, x, batch)
        if z.shape[-1] != w.shape[0]:
            raise ValueError(f"matrix is {w.shape[0]} x {w.shape[0]}, but the argument has {z.shape[-1]} entries")
        return z @ v, w, xp.matrix_transpose(v)

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        z, w, _ = self._rotate(xp, _xp.finite(xp, x), batch)
        return xp.sum(w * xp.abs(z) ** 2, axis=-1) / 2 + reductions.poison(xp, x, batch)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        z, w, vt = self._rotate(xp, x, batch)
        return xp.reshape((w * z) @ vt, x.shape)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        z, w, vt = self._rotate(xp, x, batch)
        return xp.reshape((z / (1 + t * w)) @ vt, x.shape)

    def _dual(self) -> ConvexFunction:
        return Quadratic(1 / self.values, self.vectors, conjugate=self)

    def _domain(self) -> ConvexSet:
        return Whole()

    def _traits(self) -> Traits:
        return Traits(absolute=False, symmetric=False, smooth=True, structure="reduce")

    def _spec(self) -> dict[str, Any]:
        xp = _xp.namespace(self.values)
        return {"name": "quadratic", "matrix": (self.vectors * self.values) @ xp.matrix_transpose(self.vectors)}


def quadratic(matrix: Any = None) -> ConvexFunction:
    """``1/2 x' P x`` for a real symmetric positive definite ``matrix`` P (n x n); None: the identity.

    Raises TypeError or ValueError if P is not such a matrix.
    """
    if matrix is None:
        return power(2)
    _, w, v = positive_eigen(matrix, "matrix")
    return Quadratic(w, v)
