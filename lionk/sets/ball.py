"""Balls of the lq norms, 1 < q < inf; q = 1 is ``TopK(1)``, q = inf is ``Box()``."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import roots as _roots
from ..arrays.namespace import Array, Namespace
from ..arrays.resolvents import power_root
from ..arrays.value import value_class
from .base import ArraySet


@value_class
class Ball(ArraySet):
    """The unit ball ``{ y : |y|_q <= 1 }`` for 1 < q < inf; its support function is the lp norm, 1/p + 1/q = 1."""

    q: float = 2.0

    def __post_init__(self) -> None:
        if not 1 < self.q < math.inf:
            raise ValueError(f"Ball needs 1 < q < inf, got q={self.q!r}; use TopK(1) for q = 1 and Box() for q = inf")

    @property
    def p(self) -> float:
        return self.q / (self.q - 1)

    def diameter(self, shape: tuple[int, ...]) -> float:
        n = math.prod(shape)
        return 2.0 * n ** max(0.0, 0.5 - 1 / self.q) if n else 0.0

    def _traits(self) -> dict[str, Any]:
        return {"structure": "reduce"}

    def _spec(self) -> dict[str, Any]:
        return {"name": "lp", "p": self.p}

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        return lp_norm(xp, x, self.p, batch)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        c = c / _xp.spread(xp, reductions.unit_scale(xp, c, batch), c)
        size = _xp.spread(xp, _length(xp, c, self.p, batch), c)
        if self.p == 2:
            return _xp.divide(xp, c, size)
        return _xp.sign(xp, c) * _xp.divide(xp, xp.abs(c), size) ** (self.p - 1)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        size = lp_norm(xp, y, self.q, batch)
        inside = size <= 1 + reductions.slack(xp, y, batch)
        if self.q == 2:
            return y / _xp.spread(xp, xp.where(inside, xp.ones_like(size), size), y)
        return xp.where(_xp.spread(xp, inside, y), y, self._shrink(xp, y, batch))

    def _shrink(self, xp: Namespace, y: Array, batch: int) -> Array:
        """Projection of a point outside: ``|z| + m |y|_max |z|^(q-1) = |y|``, with m such that ``|z|_q = 1``.

        Accuracy: a few ulp of max |y|. m <= |y|_p / |y|_max because z^(q-1) <= |y| / (m |y|_max). Derived here.
        """
        scale = _xp.spread(xp, reductions.unit_scale(xp, y, batch), y)
        a = xp.abs(y) / scale

        last: Array | None = None

        def magnitude(m: Array) -> Array:
            nonlocal last
            z = power_root(xp, a, 1 / scale, _xp.spread(xp, m, y), self.q - 1, last)
            last = z if _xp.visible(z) else None
            return z

        def excess(m: Array) -> Array:  # of q = 2 it is linear
            return _xp.divide(xp, xp.ones_like(m), lp_norm(xp, magnitude(m), self.q, batch)) - 1

        top = lp_norm(xp, a, self.p, batch)
        z = magnitude(_roots.root(xp, excess, xp.zeros_like(top), top))
        return _xp.sign(xp, y) * _xp.divide(xp, z, _xp.spread(xp, lp_norm(xp, z, self.q, batch), y))

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        return _xp.positive(xp, lp_norm(xp, y, self.q, batch) - 1)

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        if self.q == 2:
            return self._violation(xp, y, batch)
        return reductions.norm(xp, y - self._project(xp, y, batch), batch)

    def _face_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        at_zero = reductions.peak(xp, x, batch) == 0
        return xp.where(at_zero, self._distance(xp, s, batch), reductions.norm(xp, s - self._lmo(xp, x, batch), batch))


def lp_norm(xp: Namespace, x: Array, p: float, batch: int) -> Array:
    """``(sum |x|^p)^(1/p)``, scaled by the largest entry first."""
    m = reductions.unit_scale(xp, x, batch)
    return m * _length(xp, x / _xp.spread(xp, m, x), p, batch)


def _length(xp: Namespace, x: Array, p: float, batch: int) -> Array:
    """``lp_norm`` where the largest entry is 1 already."""
    return reductions.unit_norm(xp, x, batch) if p == 2 else reductions.total(xp, xp.abs(x) ** p, batch) ** (1 / p)
