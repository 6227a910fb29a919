"""A function after a matrix with fewer rows than columns: what it does not see costs nothing."""

from __future__ import annotations

from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays.namespace import Array, Namespace
from ...arrays.value import replace, value_class
from ...errors import NotAvailable
from ...sets.base import ConvexSet
from ...sets.box import Whole
from ...sets.rows import RowSpace, Wide
from ..array_function import ArrayFunction, outside_is_infinite
from ..base import ConvexFunction, Traits, inherited


@value_class
class RowMap(ArrayFunction):
    """``k(B x)`` for a p x n matrix B of full row rank, on all entries as one vector.

    The conjugate, ``combined``, is ``k*(z)`` where ``y = B' z`` for a z, which is ``(B B')^-1 B y``, else ``+inf``
    (Rockafellar 1970, Thm 16.3). Selection ``B' dk(B x)``; least norm and prox are kept where the rows of B are
    orthogonal and of one length.
    """

    inner: ArrayFunction
    map: Wide
    combined: bool = False

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        if not self.combined:
            z = reductions.limit(
                xp, lambda x: self.map.times(xp, x, batch, False), lambda x: self.map.sizes(xp, x, batch), x
            )
            return self.inner._value(xp, z, batch, tol)
        infinite, y = reductions.poison(xp, x, batch), _xp.finite(xp, x)
        value = self.inner._value(xp, self.map.times(xp, y, batch, True), batch, tol)
        off = reductions.peak(xp, self.map.off(xp, y, batch), batch) + infinite
        return outside_is_infinite(xp, value, off, tol * (1 + reductions.peak(xp, y, batch)))

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        s = self.inner._subgradient(xp, self.map.times(xp, x, batch, self.combined), batch)
        return self.map.back(xp, s, x, self.combined)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        c = self.map.spread
        if c is None:
            raise NotAvailable(
                f"{type(self.inner).__name__} after a matrix whose rows are not orthogonal and of one length has no "
                "known prox"
            )
        z = self.map.times(xp, x, batch, self.combined)
        near = self.inner._prox(xp, z, t / c if self.combined else t * c, batch)
        if self.combined:
            return self.map.back(xp, near, x, False)
        return x + self.map.back(xp, near - z, x, True)

    def _dual(self) -> ConvexFunction:
        return RowMap(self.inner.conjugate, self.map, not self.combined, conjugate=self)

    def _domain(self) -> ConvexSet:
        if isinstance(self.inner.domain, Whole) and not self.combined:
            return Whole()
        return RowSpace(self.inner.domain, self.map, self.combined)

    def _traits(self) -> Traits:
        k, closed = self.inner.traits, self.map.spread is not None
        return replace(
            k,
            absolute=False,
            symmetric=False,
            smooth=k.smooth and not self.combined,
            bounded_domain=k.bounded_domain and not self.combined,
            structure="reduce",
            along=None,
            selection=k.selection if closed or k.smooth else inherited(k),
            prox=k.prox and closed,
        )

    def _spec(self) -> dict[str, Any]:
        if self.combined:
            return {"name": "conjugate", "K": self.conjugate.spec}
        return {"name": "linear_map", "K": self.inner.spec, "left": self.map.matrix}


def after_rows(k: ArrayFunction, matrix: Any) -> ConvexFunction:
    """``k(B x)`` for a real p x n matrix of full row rank, p < n. ValueError if it is none."""
    xp = _xp.namespace(matrix, name="left")
    _xp.floating(matrix, "left")
    p, n = matrix.shape
    if _xp.is_complex(matrix) or p > n:
        raise ValueError(
            f"left must be real with at most as many rows as columns, got shape {tuple(matrix.shape)} and dtype "
            f"{matrix.dtype}: where rows depend on one another, K* has no known form"
        )
    s = xp.linalg.svdvals(matrix)
    if not bool(s[-1] > n * _xp.eps(matrix) * s[0]):
        raise ValueError(f"the rows of left must be independent; its smallest singular value is {float(s[-1]):.3g}")
    even = bool(s[0] - s[-1] <= 16 * n * _xp.eps(matrix) * s[0])
    spread = float(s[0]) ** 2 if even else None
    gram = matrix @ xp.matrix_transpose(matrix)
    inverse = xp.matrix_transpose(xp.linalg.solve(gram, matrix) if spread is None else matrix / spread)
    return RowMap(k, Wide(matrix, inverse, spread))
