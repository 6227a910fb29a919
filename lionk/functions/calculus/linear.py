"""A function after a linear map: ellipsoids, rotations, Kronecker and whitened norms."""

from __future__ import annotations

from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays.namespace import Array, Namespace
from ...arrays.operator import Operator, inverse, positive_root, square
from ...arrays.value import replace, value_class
from ...errors import NotAvailable
from ...sets.base import ConvexSet
from ...sets.box import Whole
from ...sets.preimage import Preimage
from ..array_function import ArrayFunction
from ..base import ConvexFunction, Traits, inherited
from ..definitions.euclidean import L2
from ..registry.entries import array_function
from .rows import after_rows


@value_class
class LinearMap(ArrayFunction):
    """``K(B x)`` for an invertible B; selection ``B^H dK(B x)``; conjugate ``K*(B^-H y)`` (Rockafellar 1970, Thm 16.3).

    Least norm and prox are kept for orthogonal B only.
    """

    inner: ArrayFunction
    operator: Operator

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        return self.inner._value(xp, self._mapped(xp, x, batch), batch, self._room(xp, x, batch, tol))

    def _mapped(self, xp: Namespace, x: Array, batch: int) -> Array:
        b = self.operator
        return reductions.limit(xp, lambda x: b(xp, x, batch), lambda x: b.sizes(xp, x, batch), x)

    def _room(self, xp: Namespace, x: Array, batch: int, tol: Any) -> Any:
        """The tolerance of the inner domain: B x is as far from exact as the set of all such x says; one number,
        which the parts of B x can take, for all of the batch.
        """
        if self.operator.orthogonal or not isinstance(self.domain, Preimage):
            return tol
        room = self.domain._scale(xp, x, batch) / self.inner.domain._scale(xp, x, batch)
        return tol * (reductions.peak(xp, room, 0) if batch and hasattr(room, "shape") else room)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        b = self.operator
        return b.adjoint(xp, self.inner._subgradient(xp, b(xp, x, batch), batch), batch)

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        b = self.operator
        value, s, size = self.inner._measured(xp, self._mapped(xp, x, batch), batch, self._room(xp, x, batch, tol))
        return value, b.adjoint(xp, s, batch), size + reductions.products(xp, s, b.sizes(xp, x, batch), batch)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        b = self.operator
        if b.orthogonal:
            return b.adjoint(xp, self.inner._prox(xp, b(xp, x, batch), t, batch), batch)
        if isinstance(self.conjugate.domain, Preimage) and self.inner.traits.homogeneous:
            return x - t * self.conjugate.domain._project(xp, x / t, batch)
        if isinstance(self.domain, Preimage) and self.inner.conjugate.traits.homogeneous:
            return self.domain._project(xp, x, batch)
        raise NotAvailable(f"{type(self.inner).__name__} after a map that is not orthogonal has no known prox")

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        b = self.operator
        if b.orthogonal:
            return self.inner._subdifferential_distance(xp, b(xp, x, batch), b(xp, s, batch), batch)
        return super()._subdifferential_distance(xp, x, s, batch)

    def _dual(self) -> ConvexFunction:
        return LinearMap(self.inner.conjugate, self.operator.dual, conjugate=self)

    def _domain(self) -> ConvexSet:
        return Whole() if isinstance(self.inner.domain, Whole) else Preimage(self.inner.domain, self.operator)

    def _traits(self) -> Traits:
        k, orthogonal = self.inner.traits, self.operator.orthogonal
        ball = self.operator.vector and self.inner in (L2, L2.conjugate)
        return replace(
            k,
            absolute=False,
            symmetric=False,
            structure="matrix" if k.structure == "matrix" or not self.operator.vector else "reduce",
            stacks=not self.operator.vector,
            selection=k.selection if orthogonal or k.smooth else inherited(k),
            prox=(k.prox and orthogonal) or ball,
        )

    def _spec(self) -> dict[str, Any]:
        b = self.operator
        return {"name": "linear_map", "K": self.inner.spec, "left": b.left, "right": b.right, "vector": b.vector}


def linear_map(K: Any, left: Any, right: Any = None, vector: bool | None = None) -> ConvexFunction:
    """``K(left x)`` on all entries as one vector, or ``K(left X right)`` on matrices.

    Parameters
    ----------
    K : convex function of one array
    left, right : n x n arrays, invertible
        ``right`` given (or ``vector=False``): the two sides of a matrix. ``left`` alone may be p x n with independent
        rows, p < n: then ``K* = k*(z)`` where ``y = left' z``, and ``+inf`` where there is no such z.

    Raises
    ------
    ValueError
        A factor is not invertible, or the rows of ``left`` depend on one another.
    """
    K = array_function(K, "linear_map")
    vector = right is None if vector is None else vector
    if vector and getattr(left, "ndim", 0) == 2 and left.shape[0] != left.shape[1]:
        return after_rows(K, left)
    parts = [None if m is None else inverse(m, n) for m, n in ((left, "left"), (right, "right"))]
    return LinearMap(K, Operator(left, parts[0], right, parts[1], vector))


def ellipsoid(matrix: Any = None) -> ConvexFunction:
    """``sqrt(x' P x)``, P symmetric positive definite; None: l2."""
    return L2 if matrix is None else LinearMap(L2, Operator(*positive_root(matrix, "matrix"), vector=True))


def rotated(K: ArrayFunction, rotation: Any) -> ConvexFunction:
    """``K(Q x)`` for an orthogonal Q (n x n)."""
    if rotation is None:
        return K
    xp = square(rotation, "rotation")
    identity = xp.eye(rotation.shape[0], dtype=rotation.dtype, device=_xp.device(rotation))
    error = xp.max(xp.abs(xp.matrix_transpose(rotation) @ rotation - identity))
    if not bool(error <= 100 * rotation.shape[0] * _xp.eps(rotation)):
        raise ValueError(f"rotation must be orthogonal; Q'Q differs from the identity by {float(error):.3g}")
    return LinearMap(K, Operator(rotation, xp.matrix_transpose(rotation), vector=True, orthogonal=True))


def two_sided(K: ArrayFunction, left: Any, right: Any, roots: bool) -> ConvexFunction:
    """``K(L X R)``, or ``K(L^(1/2) X R^(1/2))`` with ``roots``; a missing factor is the identity."""
    if left is None and right is None:
        return K
    parts: list[Any] = []
    for m, n in ((left, "left"), (right, "right")):
        if m is None:
            parts += [None, None]
        else:
            parts += positive_root(m, n) if roots else (m, inverse(m, n))
    return LinearMap(K, Operator(*parts))
