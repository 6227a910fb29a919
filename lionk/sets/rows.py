"""Sets made by a matrix with fewer rows than columns: what it maps into a set, and combinations of its rows."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.namespace import Array, Namespace
from ..arrays.spectral import adjoint
from ..arrays.value import Value, value_class
from ..errors import NotAvailable
from .base import ArraySet, but_for_rounding, settled
from .box import Whole


@value_class
class Wide(Value):
    """A real p x n matrix B of full row rank, p < n, with its pseudo-inverse ``B' (B B')^-1``.

    ``spread``: c if ``B B' = c I``, else None.
    """

    matrix: Any
    inverse: Any
    spread: float | None = None

    def times(self, xp: Namespace, x: Array, batch: int, dual: bool) -> Array:
        """``B x`` of the event as one column, or ``(B B')^-1 B x``."""
        z = _xp.flat(xp, x, batch)
        b = _xp.parameter(xp, self.inverse if dual else self.matrix, x, "the matrix")
        b = b if dual else adjoint(xp, b)
        if z.shape[-1] != b.shape[0]:
            raise ValueError(f"the matrix has {b.shape[0]} columns, but the argument has {z.shape[-1]} entries")
        return z @ b

    def sizes(self, xp: Namespace, x: Array, batch: int) -> Array:
        """``|B| |x|``: what the rounding of ``B x`` is relative to."""
        b = _xp.parameter(xp, self.matrix, x, "the matrix")
        return _xp.flat(xp, xp.abs(x), batch) @ xp.matrix_transpose(xp.abs(b))

    def back(self, xp: Namespace, z: Array, x: Array, dual: bool) -> Array:
        """``B' z``, or ``B' (B B')^-1 z``, in the shape of x."""
        b = _xp.parameter(xp, self.inverse if dual else self.matrix, x, "the matrix")
        return xp.reshape(z @ (adjoint(xp, b) if dual else b), x.shape)

    def off(self, xp: Namespace, y: Array, batch: int) -> Array:
        """y less its part in the range of B'."""
        return y - self.back(xp, self.times(xp, y, batch, True), y, False)


@value_class
class RowSpace(ArraySet):
    """``{ B' z : z in C }``, or, not ``combined``, ``{ x : B x in C }``.

    The projections are closed where the rows of B are orthogonal and of one length, and where C is the whole space.
    """

    inner: ArraySet
    map: Wide
    combined: bool = True

    def diameter(self, shape: tuple[int, ...]) -> float:
        """An upper bound: times the length of the rows, or the Frobenius norm of B."""
        if not self.combined:
            return math.inf
        b, c = self.map.matrix, self.map.spread
        length = float(reductions.norm(_xp.namespace(b), b)) if c is None else math.sqrt(c)
        return length * self.inner.diameter((b.shape[0],))

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        z = self.map.times(xp, c, batch, not self.combined)
        return self.map.back(xp, self.inner._lmo(xp, z, batch), c, not self.combined)

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        z = self.map.times(xp, x, batch, not self.combined)
        if math.isinf(self.inner.diameter((1,))):
            z = but_for_rounding(xp, z, self.map.sizes(xp, x, batch), batch)
        return self.inner._support(xp, z, batch)

    def _bounding(self, xp: Namespace, r: Array, batch: int) -> Array:
        """With B r, or where B x is in C the z with r = B'z, bounded."""
        z = self.map.times(xp, r, batch, not self.combined)
        near = self.inner._bounding(xp, z, batch)
        if self.combined:
            return r if near is z else r + self.map.back(xp, near - z, r, True)
        return self.map.back(xp, near, r, False)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        if self.map.spread is None and not isinstance(self.inner, Whole):
            raise NotAvailable(
                "the projection onto this set has no closed form: it is known where the rows of the matrix are "
                "orthogonal and of one length"
            )
        z = self.map.times(xp, y, batch, self.combined)
        near = self.inner._project(xp, z, batch)
        if self.combined:
            return settled(xp, y, self.map.back(xp, near, y, False), batch)
        return settled(xp, y, y + self.map.back(xp, near - z, y, True), batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        infinite, y = reductions.poison(xp, y, batch), _xp.finite(xp, y)
        beyond = self.inner._violation(xp, self.map.times(xp, y, batch, self.combined), batch) + infinite
        return xp.maximum(beyond, reductions.peak(xp, self.map.off(xp, y, batch), batch)) if self.combined else beyond

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        """Where the projection has no closed form an upper bound, by that of C, which shrinks as that does."""
        try:
            return super()._distance(xp, y, batch)
        except NotAvailable:
            away = self.inner._distance(xp, self.map.times(xp, y, batch, self.combined), batch)
            back = _xp.parameter(xp, self.map.matrix if self.combined else self.map.inverse, y, "the matrix")
            away = away * reductions.norm(xp, back)
            return away + reductions.norm(xp, self.map.off(xp, y, batch), batch) if self.combined else away

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        inner = self.inner._scale(xp, self.map.times(xp, y, batch, self.combined), batch)
        return inner + reductions.peak(xp, _xp.finite(xp, y), batch)
