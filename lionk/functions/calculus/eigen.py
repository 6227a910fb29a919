"""The eigen lift: from a function of a vector to a function of symmetric matrices through their eigenvalues."""

from __future__ import annotations

import math
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays import spectral as _spectral
from ...arrays.namespace import Array, Namespace
from ...arrays.value import replace, value_class
from ...sets.base import ConvexSet
from ...sets.box import Whole
from ...sets.eigen import Eigen, check_square
from ..array_function import ArrayFunction, outside_is_infinite
from ..base import ConvexFunction, Traits
from ..enclosure import size_of_values
from ..registry.entries import array_function


@value_class
class EigenLift(ArrayFunction):
    """``K(X) = k(eigenvalues of (X + X^H)/2)`` for a symmetric k (Davis 1957; Lewis 1996).

    ``dK(X) = Q dk(w) Q^H``, symmetric. The conjugate, ``only=True``, is ``k*(eigenvalues of Y)`` on symmetric matrices
    and ``+inf`` elsewhere. prox and projection act on the eigenvalues; least norm is kept. Matrices are the last two
    axes, square; leading axes are independent blocks.
    """

    inner: ArrayFunction
    only: bool = False

    def _validate(self) -> None:
        if not self.inner.traits.symmetric:
            raise ValueError(
                f"eigen_lift needs a function that ignores the order of its entries, and {self.inner!r} does not; use "
                "max, capped_simplex, log_sum_exp, exp, relu, l1, ..."
            )

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        check_square(x)
        w = _spectral.eigenvalues(xp, x)
        # Rounding of eigenvalues is relative to x, so that the matrix is a member or not; its eigenvalues are moved.
        v = reductions.total(xp, self.inner._value(xp, w, w.ndim - 1, math.inf), batch)
        if not isinstance(self.domain, Eigen):
            return v
        return outside_is_infinite(
            xp, v, self.domain._violation_with(xp, x, w, batch), tol * self.domain._scale(xp, x, batch)
        )

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        check_square(x)
        merge = self.inner.traits.structure != "elementwise" and not self.inner.traits.smooth
        return _spectral.map_eigenvalues(
            xp, x, lambda w: self.inner._subgradient(xp, w, w.ndim - 1), rank=True, merge=merge
        )

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        value, s = self._value(xp, x, batch, tol), self._subgradient(xp, x, batch)
        return value, s, reductions.total(xp, size_of_values(self.inner, xp, _spectral.eigenvalues(xp, x)), batch)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        check_square(x)
        near = _spectral.map_eigenvalues(
            xp, x, lambda w: self.inner._prox(xp, w, _xp.beside(xp, t, w), w.ndim - 1), rank=False, merge=False
        )
        return near if self.only else near + (x - _spectral.symmetric_part(xp, x))

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        if self.only:  # any skew matrix may be added to a subgradient
            s = _spectral.symmetric_part(xp, s)
        return super()._subdifferential_distance(xp, x, s, batch)

    def _dual(self) -> ConvexFunction:
        return EigenLift(self.inner.conjugate, not self.only, conjugate=self)

    def _domain(self) -> ConvexSet:
        if isinstance(self.inner.domain, Whole) and not self.only:
            return Whole()
        return Eigen(self.inner.domain, self.only)

    def _traits(self) -> Traits:
        return replace(
            self.inner.traits, absolute=False, symmetric=False, structure="matrix", stacks=True, needs=("linalg",)
        )

    def _spec(self) -> dict[str, Any]:
        return {"name": "eigen_lift", "k": self.inner.spec, "only": self.only}


def eigen_lift(k: Any, only: bool = False) -> ConvexFunction:
    """``k(eigenvalues of the symmetric part of X)`` for a symmetric k: ``lambda_max = eigen_lift(max)``.

    ``only=True``: ``+inf`` for matrices that are not symmetric, which is what conjugates are.
    """
    return EigenLift(array_function(k, "eigen_lift"), only)
