"""Sets of symmetric matrices given by their eigenvalues: the spectraplex, the Fantope, matrices between 0 and I."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import spectral as _spectral
from ..arrays.namespace import Array, Namespace
from ..arrays.value import value_class
from .base import ArraySet
from .rules import projected_values


def check_square(x: Array) -> None:
    _spectral.check_matrix(x, "an eigenvalue function")
    if x.shape[-1] != x.shape[-2]:
        raise ValueError(f"eigenvalues need a square matrix in the last two axes, got shape {tuple(x.shape)}")


@value_class
class Eigen(ArraySet):
    """Matrices whose symmetric part has its eigenvalues in a symmetric set; with ``only``, symmetric matrices alone."""

    inner: ArraySet
    only: bool = True

    @property
    def stacks(self) -> bool:
        return True

    def diameter(self, shape: tuple[int, ...]) -> float:
        blocks = math.prod(shape[:-2])
        if not self.only:
            return math.inf
        return math.sqrt(blocks) * self.inner.diameter((shape[-1],)) if blocks else 0.0

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        check_square(c)
        return _spectral.map_eigenvalues(xp, c, lambda w: self.inner._lmo(xp, w, w.ndim - 1), rank=True, merge=True)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        check_square(y)
        noise, even = _spectral.noise(xp, y), _spectral.symmetric_part(xp, y)
        near = _spectral.map_eigenvalues(
            xp, even, lambda w: projected_values(xp, self.inner, w, noise), rank=False, merge=False
        )
        if math.isinf(self.inner.diameter((1,))):
            near = self._lifted(xp, near, noise)
        return near if self.only else xp.where(near == even, y, near + (y - even))

    def _lifted(self, xp: Namespace, near: Array, noise: float) -> Array:
        """In a cone of nonnegative eigenvalues, what rounding left outside, moved inside by as much."""
        w = _spectral.eigenvalues(xp, near)
        below = self.inner._violation(xp, w, w.ndim - 1)
        more = below + noise * reductions.peak(xp, w, w.ndim - 1)
        step = xp.where(below > 0, more, xp.zeros_like(more))[..., None, None]
        return near + xp.astype(step, near.dtype) * xp.eye(near.shape[-1], dtype=near.dtype, device=_xp.device(near))

    def _bounding(self, xp: Namespace, r: Array, batch: int) -> Array:
        even = _spectral.symmetric_part(xp, r)
        if math.isfinite(self.inner.diameter((1,))):
            return r if self.only else even
        near = _spectral.map_eigenvalues(
            xp, even, lambda w: self.inner._bounding(xp, w, w.ndim - 1), rank=False, merge=False
        )
        return r + (near - even) if self.only else near

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        check_square(y)
        return self._violation_with(xp, y, _spectral.eigenvalues(xp, y), batch)

    def _violation_with(self, xp: Namespace, y: Array, w: Array, batch: int) -> Array:
        """The violation of y, whose eigenvalues are w."""
        spread = reductions.peak(xp, self.inner._violation(xp, w, w.ndim - 1), batch)
        return xp.maximum(spread, reductions.peak(xp, _spectral.asymmetry(xp, y), batch)) if self.only else spread

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        check_square(y)
        w = _spectral.eigenvalues(xp, y)
        away = reductions.norm(xp, self.inner._distance(xp, w, w.ndim - 1), batch)
        return xp.hypot(away, reductions.norm(xp, y - _spectral.symmetric_part(xp, y), batch)) if self.only else away

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        """That of the inner set, which is real; a cone has none, and the rounding of eigenvalues is relative to y."""
        scale = self.inner._scale(xp, xp.abs(y) if _xp.is_complex(y) else y, batch)
        return (
            scale if math.isfinite(self.inner.diameter((1,))) else scale + reductions.peak(xp, _xp.finite(xp, y), batch)
        )
