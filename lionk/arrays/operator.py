"""Invertible linear maps of arrays: ``B x`` on all entries as one vector, or ``L X R`` on matrices."""

from __future__ import annotations

from typing import Any

from ..errors import NotAvailable
from . import namespace as _xp
from .namespace import Array, Namespace
from .spectral import adjoint, check_matrix, eigh
from .value import Value, value_class


@value_class
class Operator(Value):
    """``x -> left x right``, with the inverses of both factors; a missing factor is the identity.

    ``vector``: the event is one column, ``left`` is n x n. Otherwise the last two axes are a matrix.
    """

    left: Any
    left_inverse: Any
    right: Any = None
    right_inverse: Any = None
    vector: bool = False
    orthogonal: bool = False

    def __call__(self, xp: Namespace, x: Array, batch: int) -> Array:
        return self._multiply(xp, x, batch, self._factor(xp, self.left, x), self._factor(xp, self.right, x))

    def adjoint(self, xp: Namespace, x: Array, batch: int) -> Array:
        return self._multiply(xp, x, batch, *self._adjoints(xp, self.left, self.right, x))

    def inverse(self, xp: Namespace, x: Array, batch: int) -> Array:
        factors = (self._factor(xp, f, x) for f in (self.left_inverse, self.right_inverse))
        return self._multiply(xp, x, batch, *factors)

    def inverse_adjoint(self, xp: Namespace, x: Array, batch: int) -> Array:
        return self._multiply(xp, x, batch, *self._adjoints(xp, self.left_inverse, self.right_inverse, x))

    def sizes(self, xp: Namespace, x: Array, batch: int) -> Array:
        """``|left| |x| |right|``: what the rounding of ``left x right`` is relative to, entry by entry."""
        factors = (self._factor(xp, f, x) for f in (self.left, self.right))
        return self._multiply(xp, xp.abs(x), batch, *(None if f is None else xp.abs(f) for f in factors))

    @property
    def dual(self) -> Operator:
        """``B^-H``, whose inverse is ``B^H``."""
        if self.orthogonal:
            return self
        parts = (self.left_inverse, self.left, self.right_inverse, self.right)
        a, b, c, d = (None if p is None else adjoint(_xp.namespace(p), p) for p in parts)
        return Operator(a, b, c, d, self.vector)

    def _factor(self, xp: Namespace, factor: Any, x: Array) -> Any:
        return None if factor is None else _xp.parameter(xp, factor, x, "the matrix")

    def _adjoints(self, xp: Namespace, left: Any, right: Any, x: Array) -> tuple[Any, Any]:
        both = self._factor(xp, left, x), self._factor(xp, right, x)
        one, two = (None if f is None else adjoint(xp, f) for f in both)
        return one, two

    def _multiply(self, xp: Namespace, x: Array, batch: int, left: Any, right: Any) -> Array:
        if self.vector:
            z = _xp.flat(xp, x, batch)
            self._check(left, z.shape[-1], "entries")
            return xp.reshape((left @ z[..., None])[..., 0], x.shape)
        check_matrix(x, "a two-sided linear map")
        if left is not None:
            self._check(left, x.shape[-2], "rows")
            x = left @ x
        if right is not None:
            self._check(right, x.shape[-1], "columns")
            x = x @ right
        return x

    def _check(self, factor: Array, n: int, what: str) -> None:
        if factor.shape[0] != n:
            raise ValueError(f"the matrix is {factor.shape[0]} x {factor.shape[0]}, but the argument has {n} {what}")


def square(matrix: Any, name: str) -> Namespace:
    """The namespace of a real square matrix; TypeError or ValueError, naming the argument, if it is none."""
    xp = _xp.namespace(matrix, name=name)
    _xp.floating(matrix, name)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or _xp.is_complex(matrix):
        raise ValueError(f"{name} must be real and square, got shape {tuple(matrix.shape)} and dtype {matrix.dtype}")
    return xp


def inverse(matrix: Any, name: str) -> Any:
    """The inverse; ValueError if the matrix is singular to working precision."""
    xp = square(matrix, name)
    s = xp.linalg.svdvals(matrix)
    if not bool(s[-1] > matrix.shape[0] * _xp.eps(matrix) * s[0]):
        raise ValueError(f"{name} must be invertible; its smallest singular value is {float(s[-1]):.3g}")
    return xp.linalg.inv(matrix)


def positive_root(matrix: Any, name: str) -> tuple[Any, Any]:
    """``P^(1/2)`` and its inverse; ValueError if P is not symmetric positive definite."""
    xp, w, v = positive_eigen(matrix, name)
    root = xp.sqrt(w)
    vt = xp.matrix_transpose(v)
    return (v * root) @ vt, (v / root) @ vt


def positive_eigen(matrix: Any, name: str) -> tuple[Namespace, Array, Array]:
    """Namespace, eigenvalues and eigenvectors; ValueError if the matrix is not symmetric positive definite."""
    xp = square(matrix, name)
    skew = xp.max(xp.abs(matrix - xp.matrix_transpose(matrix)))
    if not bool(skew <= 100 * _xp.eps(matrix) * xp.max(xp.abs(matrix))):
        raise ValueError(f"{name} must be symmetric; its largest asymmetry is {float(skew):.3g}")
    try:
        w, v = eigh(xp, (matrix + xp.matrix_transpose(matrix)) / 2)
    except AttributeError as error:
        raise NotAvailable(
            f"this library has no eigenvalues for {name}; build the function with NumPy and move it, K.to(like=x)"
        ) from error
    if not bool(xp.min(w) > 0):
        raise ValueError(f"{name} must be positive definite; its smallest eigenvalue is {float(xp.min(w)):.3g}")
    return xp, w, v
