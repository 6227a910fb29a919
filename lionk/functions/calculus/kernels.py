"""The kernel lift: from a function of a matrix to a function of a convolution kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...arrays.namespace import Array, Namespace
from ...sets.atoms import Whole
from ...sets.base import ConvexSet
from ...sets.kernels import Kernels, as_matrix
from ..base import ArrayFunction, ConvexFunction, Traits


@dataclass(eq=False, repr=False)
class KernelLift(ArrayFunction):
    """``K(x) = k(M)`` for a kernel x of shape (out, in, k...), M its matrix of shape (out, in k...).

    The reshape keeps inner products, so subgradient, conjugate, prox and projection are those of k, reshaped, and
    least norm is kept. Derived here.
    """

    inner: ArrayFunction

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        return self.inner._value(xp, as_matrix(xp, x, batch), batch, tol)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        return xp.reshape(self.inner._subgradient(xp, as_matrix(xp, x, batch), batch), x.shape)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        return xp.reshape(self.inner._prox(xp, as_matrix(xp, x, batch), t, batch), x.shape)

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        x, s = as_matrix(xp, x, batch), as_matrix(xp, s, batch)
        return self.inner._subdifferential_distance(xp, x, s, batch)

    def _dual(self) -> ConvexFunction:
        return KernelLift(self.inner.conjugate, conjugate=self)

    def _domain(self) -> ConvexSet:
        return Whole() if isinstance(self.inner.domain, Whole) else Kernels(self.inner.domain)

    def _traits(self) -> Traits:
        k = self.inner.traits
        return replace(k, structure="reduce" if k.structure == "rowwise" else k.structure)

    def _spec(self) -> dict[str, Any]:
        return {"name": "kernel_lift", "k": self.inner.spec}


def kernel_lift(k: ConvexFunction) -> ConvexFunction:
    """``k`` of a convolution kernel (out, in, k...) reshaped to the matrix (out, in k...)."""
    if not isinstance(k, ArrayFunction):
        raise TypeError(f"kernel_lift takes a convex function of one array, got {type(k).__name__}")
    return KernelLift(k)
