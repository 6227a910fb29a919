"""Sets made of sets: scaled and shifted, spectral, grouped, one for each block, sums."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import roots as _roots
from ..arrays import spectral as _spectral
from ..arrays.namespace import Array, Namespace
from ..arrays.shape_factor import ShapeFactor, at, constant, whole
from ..arrays.value import value_class
from .ball import Ball
from .base import ArraySet, but_for_rounding, joint_traits
from .box import Box

ALTERNATIONS = 150  # steps between two sets


@value_class
class Affine(ArraySet):
    """``factor * C + offset``, with a nonzero number or ``ShapeFactor``, and an offset that broadcasts (None: 0)."""

    inner: ArraySet
    factor: Any = 1.0
    offset: Any = None

    @property
    def stacks(self) -> bool:
        return self.inner.stacks

    def diameter(self, shape: tuple[int, ...]) -> float:
        factor = self.factor.of(shape) if isinstance(self.factor, ShapeFactor) else self.factor
        return abs(factor) * self.inner.diameter(shape)

    def _traits(self) -> dict[str, Any]:
        inner = self.inner._traits()
        if isinstance(self.factor, ShapeFactor):  # on a part of the array the factor is another
            inner = {**inner, "structure": whole(inner.get("structure", "reduce"))}
        if self.offset is None and (constant(self.factor) > 0 or inner.get("even", True)):
            return inner
        same = isinstance(self.offset, (int, float))
        return {**inner, "even": False, "absolute": False, "symmetric": same, "minimum_at_zero": None}

    def _forward(self, xp: Namespace, z: Array, batch: int) -> Array:
        y = z if self.factor == 1 else at(self.factor, z, batch) * z
        return y if self.offset is None else y + _xp.parameter(xp, self.offset, z, "offset")

    def _back(self, xp: Namespace, y: Array, batch: int) -> Array:
        z = y if self.offset is None else y - _xp.parameter(xp, self.offset, y, "offset")
        return z if self.factor == 1 else z / at(self.factor, y, batch)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        return self._forward(xp, self.inner._lmo(xp, c if constant(self.factor) > 0 else -c, batch), batch)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        z = self._back(xp, y, batch)
        near = self.inner._project(xp, z, batch)
        return xp.where(near == z, y, self._forward(xp, near, batch))

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        return abs(at(self.factor, y, batch)) * self.inner._violation(xp, self._back(xp, y, batch), batch)

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        return abs(at(self.factor, y, batch)) * self.inner._distance(xp, self._back(xp, y, batch), batch)

    def _bounding(self, xp: Namespace, r: Array, batch: int) -> Array:
        if constant(self.factor) > 0:
            return self.inner._bounding(xp, r, batch)
        return -self.inner._bounding(xp, -r, batch)

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        size = abs(at(self.factor, y, batch)) * self.inner._scale(xp, y, batch)
        if self.offset is None:
            return size
        offset = _xp.parameter(xp, self.offset, y, "offset")
        return size + (abs(offset) if isinstance(offset, (int, float)) else reductions.peak(xp, offset, 0))

    def _face_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        z = x if constant(self.factor) > 0 else -x
        return abs(at(self.factor, x, batch)) * self.inner._face_distance(xp, z, self._back(xp, s, batch), batch)


@value_class
class Spectral(ArraySet):
    """Matrices whose singular values lie in an absolutely symmetric set; leading axes are independent blocks."""

    inner: ArraySet

    @property
    def stacks(self) -> bool:
        return True

    def diameter(self, shape: tuple[int, ...]) -> float:
        blocks, values = math.prod(shape[:-2]), min(shape[-2:])
        return math.sqrt(blocks) * self.inner.diameter((values,)) if blocks else 0.0

    def _traits(self) -> dict[str, Any]:
        return {"absolute": False, "symmetric": False, "structure": "matrix", "needs": ("linalg",)}

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        _spectral.check_matrix(c, "a spectral set")
        return _spectral.map_singular_values(
            xp, c, lambda s: self.inner._lmo(xp, s, s.ndim - 1), rank=True, merge=not isinstance(self.inner, Box)
        )

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        _spectral.check_matrix(y, "a spectral set")
        noise = _spectral.noise(xp, y)
        return _spectral.map_singular_values(
            xp, y, lambda s: projected_values(xp, self.inner, s, noise), rank=False, merge=False
        )

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        _spectral.check_matrix(y, "a spectral set")
        s = _spectral.singular_values(xp, y)
        return reductions.peak(xp, self.inner._violation(xp, s, s.ndim - 1), batch)

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        _spectral.check_matrix(y, "a spectral set")
        s = _spectral.singular_values(xp, y)
        return reductions.norm(xp, self.inner._distance(xp, s, s.ndim - 1), batch)

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        return self.inner._scale(xp, y, batch)

    def _face_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        """Nuclear norm only: in the singular bases of x the active block is the identity, the rest has norm <= 1."""
        if not isinstance(self.inner, Box):
            return super()._face_distance(xp, x, s, batch)
        radius = self.inner.upper
        u, sv, vh = _spectral.full_svd(xp, x)
        core = xp.matrix_transpose(xp.conj(u)) @ s @ xp.matrix_transpose(xp.conj(vh))
        noise = max(x.shape[-2:]) * _xp.eps(x) * sv[..., :1]
        r, c = (xp.arange(n, device=_xp.device(x)) for n in x.shape[-2:])
        rank = xp.sum(xp.astype(sv > noise, xp.int32), axis=-1)[..., None, None]
        active = (r[:, None] < rank) | (c[None, :] < rank)
        target = xp.astype((r[:, None] == c[None, :]) & active, core.dtype) * radius
        free = xp.where(active, xp.zeros_like(core), core)
        nearest = Spectral(self.inner)._project(xp, free, x.ndim - 2)
        return reductions.norm(xp, core - xp.where(active, target, nearest), batch)


def projected_values(xp: Namespace, inner: ArraySet, s: Array, noise: float) -> Array:
    """Singular values or eigenvalues, projected; those of a member, up to their rounding, stay as they are."""
    size = inner._scale(xp, s, s.ndim - 1)
    if math.isinf(inner.diameter((1,))):  # a cone, which has no scale of its own
        size = size + reductions.peak(xp, _xp.finite(xp, s), s.ndim - 1)
    inside = inner._violation(xp, s, s.ndim - 1) <= noise * size
    return xp.where(inside[..., None], s, inner._project(xp, s, s.ndim - 1))


def ball_radius(c: Any) -> float | None:
    """The radius if the set is a Euclidean (Frobenius) ball about 0, else None."""
    if isinstance(c, Ball):
        return 1.0 if c.q == 2 else None
    if isinstance(c, Spectral):
        return ball_radius(c.inner)
    if isinstance(c, Affine) and c.offset is None and not isinstance(c.factor, ShapeFactor):
        radius = ball_radius(c.inner)
        return None if radius is None else abs(c.factor) * radius
    return None


def rest_and_radius(first: Any, second: Any) -> tuple[Any, float] | None:
    """The other set and the radius, where one of the two is a Euclidean ball about 0."""
    for c, ball in ((first, second), (second, first)):
        radius = ball_radius(ball)
        if radius is not None:
            return c, radius
    return None


def alternated(
    xp: Namespace, first: _roots.Map, second: _roots.Map, y: Array, start: Array, batch: int
) -> tuple[Array, Array]:
    """The u and v of two sets, given by their projections, with u + v nearest to y in the limit, from ``u = start``."""
    u = _roots.accelerated(xp, lambda u: first(y - second(y - u)), start, ALTERNATIONS, batch)
    return u, second(y - u)


def interval(c: Any) -> tuple[float, float] | None:
    """The ends if the set is one interval, of two numbers, for every entry, else None."""
    if isinstance(c, Box) and all(e is None or isinstance(e, (int, float)) for e in (c.lower, c.upper)):
        return (-c.upper if c.lower is None else c.lower), c.upper
    plain = isinstance(c, Affine) and not isinstance(c.factor, ShapeFactor)
    if plain and (c.offset is None or isinstance(c.offset, (int, float))):
        ends = interval(c.inner)
        if ends is not None:
            low, high = sorted(c.factor * e + (c.offset or 0.0) for e in ends)
            return low, high
    return None


@value_class
class Minkowski(ArraySet):
    """``C1 + C2``. Closed if one is a Euclidean ball; else by accelerated alternating projections, a fixed number.

    The iteration decreases ``|y - u - v|`` over u in C1, v in C2 (FISTA, Beck and Teboulle 2009, with the restart of
    O'Donoghue and Candes 2015). Its residual r both bounds the distance from above, by ``|r|``, and, being nearly
    normal to the sum, from below, by ``(<r, y> - support(r))/|r|``: this is the violation, so that a member is never
    refused, and a point at distance d is when the residual has settled: d > 1e-4 of the scale, in the tests, for pairs
    of curved sets, and rounding for polyhedral ones.
    """

    first: Any
    second: Any

    @property
    def _rest_and_radius(self) -> tuple[Any, float] | None:
        return rest_and_radius(self.first, self.second)

    @property
    def stacks(self) -> bool:
        return bool(self.first.stacks or self.second.stacks)

    def diameter(self, shape: tuple[int, ...]) -> float:
        """An upper bound: the sum of the two diameters."""
        return self._width(self.first, shape) + self._width(self.second, shape)

    def _traits(self) -> dict[str, Any]:
        return joint_traits(self.first._traits(), self.second._traits())

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        return self.first._support(xp, x, batch) + self.second._support(xp, x, batch)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        return self.first._lmo(xp, c, batch) + self.second._lmo(xp, c, batch)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        known = self._rest_and_radius
        if known is None:
            u, v = self._split(xp, y, batch)
            return self._outside(xp, y, u + v, [(self.first, u), (self.second, v)], batch)
        c, radius = known
        near = c._project(xp, y, batch)
        gap, room = reductions.norm(xp, y - near, batch), reductions.slack(xp, y, batch) * self._scale(xp, y, batch)
        inside, gap = _xp.spread(xp, gap <= radius + room, y), _xp.spread(xp, gap, y)
        return xp.where(inside, y, near + _xp.divide(xp, radius * (y - near), gap + xp.zeros_like(y)))

    def _bounding(self, xp: Namespace, r: Array, batch: int) -> Array:
        """By turns, until rounding is left, where both sets are unbounded."""
        near = self.first._bounding(xp, r, batch)
        last: Array = self.second._bounding(xp, near, batch)
        if near is r or last is near:
            return last
        first, second = self.first._bounding, self.second._bounding
        last = _roots.repeated(xp, lambda z: second(xp, first(xp, z, batch), batch), last, ALTERNATIONS)
        return but_for_rounding(xp, last, _xp.spread(xp, reductions.peak(xp, last, batch), last), batch)

    def _split(self, xp: Namespace, y: Array, batch: int) -> tuple[Array, Array]:
        """The iteration's u and v: their sum is a member, and the nearest in the limit."""
        one, two = (lambda z, c=c: c._project(xp, z, batch) for c in (self.first, self.second))
        return alternated(xp, one, two, y, xp.zeros_like(y), batch)

    def _near(self, xp: Namespace, y: Array, batch: int) -> Array:
        u, v = self._split(xp, y, batch)
        return u + v

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        infinite = reductions.poison(xp, y, batch)
        y = _xp.finite(xp, y)
        known = self._rest_and_radius
        if known is not None:
            c, radius = known
            return _xp.clip(xp, c._distance(xp, y, batch) - radius, 0.0, None) + infinite
        return self._separation(xp, y, self._near(xp, y, batch), batch) + infinite

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        """The upper bound, where it is not closed."""
        if self._rest_and_radius is not None:
            return self._violation(xp, y, batch)
        return reductions.norm(xp, y - self._near(xp, y, batch), batch)

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        return self.first._scale(xp, y, batch) + self.second._scale(xp, y, batch)
