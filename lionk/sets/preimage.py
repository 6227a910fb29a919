"""The points that an invertible linear map takes into a set: ellipsoids, rotated boxes, whitened spectral balls."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import roots as _roots
from ..arrays.namespace import Array, Namespace
from ..arrays.operator import Operator
from ..arrays.spectral import adjoint, eigh
from ..arrays.value import value_class
from ..errors import NotAvailable
from .base import ArraySet
from .rules import ball_radius


@value_class
class Preimage(ArraySet):
    """``{ x : B x in C }``. The projection is closed for orthogonal B, a scalar root for C a Euclidean ball."""

    inner: ArraySet
    operator: Operator

    @property
    def stacks(self) -> bool:
        return not self.operator.vector

    def diameter(self, shape: tuple[int, ...]) -> float:
        """Exact for orthogonal B, else an upper bound: times the norm of the inverse."""
        size = self._width(self.inner, shape)
        for factor in (self.operator.left_inverse, self.operator.right_inverse):
            if factor is not None and not self.operator.orthogonal:
                size = size * float(_xp.namespace(factor).linalg.svdvals(factor)[0])
        return float(size)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        b = self.operator
        return b.inverse(xp, self.inner._lmo(xp, b.inverse_adjoint(xp, c, batch), batch), batch)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        b = self.operator
        if b.orthogonal:
            return self._kept(xp, y, b.adjoint(xp, self.inner._project(xp, b(xp, y, batch), batch), batch), batch)
        radius = ball_radius(self.inner)
        if radius is None or not b.vector:
            raise NotAvailable(
                "the projection on this set has no closed form: it is known for an orthogonal map and for ellipsoids"
            )
        return self._shrink(xp, y, batch, radius)

    def _shrink(self, xp: Namespace, y: Array, batch: int, radius: float) -> Array:
        """``z = (I + mu B'B)^-1 y`` with mu >= 0 such that ``|B z| = radius``, in the eigenbasis of B'B."""
        left = _xp.parameter(xp, self.operator.left, y, "the matrix")
        w, v = eigh(xp, adjoint(xp, left) @ left)
        a = _xp.flat(xp, y, batch) @ v

        def excess(mu: Array) -> Array:
            return radius - reductions.norm(xp, xp.sqrt(w) * a / (1 + mu[..., None] * w), batch)

        size = reductions.norm(xp, xp.sqrt(w) * a, batch)
        outside = size > radius * (1 + reductions.slack(xp, y, batch))
        top = xp.where(outside, size / (radius * w[..., 0]), xp.zeros_like(size))  # there every entry is small enough
        mu = _roots.root(xp, excess, xp.zeros_like(top), top)
        z = xp.reshape((a / (1 + mu[..., None] * w)) @ xp.matrix_transpose(v), y.shape)
        length = reductions.norm(xp, self.operator(xp, z, batch), batch)
        z = z * _xp.spread(xp, radius / xp.maximum(length, radius + 0 * length), z)  # where rounding left it outside
        return xp.where(_xp.spread(xp, outside, y), z, y)

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        """Where the projection has no closed form a bound, ``|B^-1| dist(B y, C)``, which shrinks as that does."""
        try:
            return super()._distance(xp, y, batch)
        except NotAvailable:
            b = self.operator
            away = self.inner._distance(xp, b(xp, y, batch), batch)
            inverses = (b._factor(xp, f, y) for f in (b.left_inverse, b.right_inverse) if f is not None)
            return away * math.prod(reductions.norm(xp, f) for f in inverses)

    def _bounding(self, xp: Namespace, r: Array, batch: int) -> Array:
        b = self.operator
        z = b.inverse_adjoint(xp, r, batch)
        near = self.inner._bounding(xp, z, batch)
        return r if near is z else b.adjoint(xp, near, batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        b = self.operator
        z = reductions.limit(xp, lambda y: b(xp, y, batch), lambda y: b.sizes(xp, y, batch), y)
        return self.inner._violation(xp, z, batch)

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        """That of C, and what the entries of B y are sums of: their rounding is relative to it."""
        b, y = self.operator, _xp.finite(xp, y)
        scale = self.inner._scale(xp, b(xp, y, batch), batch)
        if b.orthogonal or 0 in y.shape:
            return scale
        return scale + reductions.peak(xp, b.sizes(xp, y, batch), batch)
