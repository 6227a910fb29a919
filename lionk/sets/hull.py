"""Convex hulls: of the union of two sets, and of finitely many points."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import roots as _roots
from ..arrays.namespace import Array, Namespace
from ..arrays.value import value_class
from ..errors import NotAvailable
from .base import ArraySet, joint_traits
from .rules import ball_radius
from .top_k import TopK


@value_class
class Hull(ArraySet):
    """``conv(C1 u C2)``; its support function is the larger of the two.

    The oracle is that of the larger one, and halfway between both where they are equal. Distance, projection and
    membership need one of the two to be a Euclidean ball about 0, of radius R: the hull is the union of the sets
    ``w C + (1-w) R B`` over w in [0, 1]; ``d(w) = dist(y, w C) - (1-w) R`` is convex in w and falls while the support
    function of C is larger than R times the length at the residual ``y - P_wC(y)``: one scalar root (derived here).
    """

    first: ArraySet
    second: ArraySet

    def _traits(self) -> dict[str, Any]:
        both = joint_traits(self.first._traits(), self.second._traits())
        known = self._rest_and_radius
        return {**both, "selection": "composed", "prox": known is not None and known[0]._traits().get("prox", True)}

    @property
    def _rest_and_radius(self) -> tuple[ArraySet, float] | None:
        """The other set and the radius, where one of the two is a Euclidean ball about 0."""
        pairs = [(c, ball_radius(b)) for c, b in ((self.first, self.second), (self.second, self.first))]
        return next(((c, r) for c, r in pairs if r is not None), None)

    @property
    def stacks(self) -> bool:
        return self.first.stacks or self.second.stacks

    def diameter(self, shape: tuple[int, ...]) -> float:
        """An upper bound if the sets hold 0: the sum of the two diameters."""
        return self.first.diameter(shape) + self.second.diameter(shape)

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        return xp.maximum(self.first._support(xp, x, batch), self.second._support(xp, x, batch))

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        lead = _xp.spread(xp, self.first._support(xp, c, batch) - self.second._support(xp, c, batch), c)
        one, two = self.first._lmo(xp, c, batch), self.second._lmo(xp, c, batch)
        return xp.where(lead > 0, one, xp.where(lead < 0, two, one / 2 + two / 2))

    def _split(self, xp: Namespace, y: Array, batch: int) -> tuple[Array, Array, Array]:
        """``P_wC(y)``, the residual, and the part of the ball, ``(1-w) R``, at the best w."""
        if self._rest_and_radius is None:
            raise NotAvailable(
                "membership, distance and projection of the hull of two sets are known where one of them is a "
                "Euclidean ball, so maximum(K1, K2) needs a multiple of l2 for one of the two"
            )
        c, radius = self._rest_and_radius

        def near(w: Array) -> Array:
            factor = _xp.spread(xp, w, y)
            safe = xp.where(factor > 0, factor, xp.ones_like(factor))
            near = _xp.scaled_map(xp, lambda z: c._project(xp, z, batch), safe, y)
            return xp.where(factor > 0, near, xp.zeros_like(y))

        def rise(w: Array) -> Array:
            s = y - near(w)
            return radius * reductions.norm(xp, s, batch) - c._support(xp, s, batch)

        zero = xp.zeros_like(reductions.peak(xp, y, batch))
        w = _roots.root(xp, rise, zero + _xp.eps(y), zero + 1, first=True)
        w = xp.where(rise(zero + 1) < 0, zero + 1, xp.where(rise(zero) >= 0, zero, w))
        return near(w), y - near(w), (1 - w) * radius

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        near, s, rest = self._split(xp, y, batch)
        length = reductions.norm(xp, s, batch)
        shorter = _xp.spread(xp, rest, s) * _xp.divide(xp, s, _xp.spread(xp, length, s) + 0 * s)
        room = reductions.slack(xp, y, batch) * self._scale(xp, y)
        return xp.where(_xp.spread(xp, length > rest + room, s), near + shorter, y)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        infinite = reductions.poison(xp, y, batch)
        _, s, rest = self._split(xp, _xp.finite(xp, y), batch)
        return xp.clip(reductions.norm(xp, s, batch) - rest, 0.0, None) + infinite

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        return self._violation(xp, y, batch)

    def _scale(self, xp: Namespace, y: Array) -> Any:
        return self.first._scale(xp, y) + self.second._scale(xp, y)


@value_class
class Polytope(ArraySet):
    """The convex hull of finitely many points, the rows of ``vertices`` (m x n).

    The oracle is the mean of the vertices that are tied for the maximum: a subgradient, in general not of least norm.
    The projection is the active-set method of Wolfe (1976) for a fixed number of steps, four for each vertex of the
    largest face: it ends at the exact face, so that the error is rounding, unless the vertices are nearly affinely
    dependent. What it returns is always a member.
    """

    vertices: Any

    def __post_init__(self) -> None:
        v = self.vertices
        _xp.floating(v, "vertices")
        if v.ndim != 2 or 0 in v.shape or _xp.is_complex(v):
            raise ValueError(f"vertices must be real, m x n, one vertex a row, got shape {tuple(v.shape)}")

    def _traits(self) -> dict[str, Any]:
        return {**super()._traits(), "selection": "composed", "needs": ("linalg",)}

    def _spec(self) -> dict[str, Any]:
        return {"name": "polytope", "vertices": self.vertices}

    def diameter(self, shape: tuple[int, ...]) -> float:
        v = self.vertices
        xp = _xp.namespace(v)
        return max(float(xp.max(reductions.norm(xp, v - v[i, :], 1))) for i in range(v.shape[0]))

    def _rows(self, xp: Namespace, x: Array, batch: int) -> tuple[Array, Array]:
        v = _xp.parameter(xp, self.vertices, x, "vertices")
        z = _xp.flat(xp, x, batch)
        if v.shape[1] != z.shape[-1]:
            raise ValueError(f"the vertices have {v.shape[1]} entries, but the argument has {z.shape[-1]}")
        return v, z

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        v, z = self._rows(xp, x, batch)
        return xp.max(z @ xp.matrix_transpose(v), axis=-1)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        v, z = self._rows(xp, c, batch)
        w = TopK(1, absolute=False)._lmo(xp, z @ xp.matrix_transpose(v), batch)
        return xp.reshape(w @ v, c.shape)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        near = self._near(xp, y, batch)
        room = reductions.slack(xp, y, batch) * self._scale(xp, y)
        outside = _xp.spread(xp, self._separation(xp, y, near, batch) > room, y)
        return xp.where(outside | xp.isnan(y), near, y)  # a member is its own projection, bit for bit

    def _near(self, xp: Namespace, y: Array, batch: int) -> Array:
        v, z = self._rows(xp, y, batch)
        centre = xp.mean(v, axis=0)
        v, z = v - centre, z - centre
        gram, b = v @ xp.matrix_transpose(v), z @ xp.matrix_transpose(v)
        size = reductions.unit_scale(xp, gram, 0)
        b = b - xp.max(b, axis=-1, keepdims=True)  # a constant, whose digits those of a far point would drown in
        w = _weights(xp, gram / size, b / size, min(v.shape[0], v.shape[1] + 1))
        return xp.reshape(w @ v + centre, y.shape)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        infinite = reductions.poison(xp, y, batch)
        y = _xp.finite(xp, y)
        return self._separation(xp, y, self._near(xp, y, batch), batch) + infinite

    def _scale(self, xp: Namespace, y: Array) -> Any:
        return reductions.peak(xp, _xp.parameter(xp, self.vertices, y, "vertices"), 0)


def _weights(xp: Namespace, gram: Array, b: Array, face: int) -> Array:
    """``argmin w'Gw/2 - b'w`` on the simplex, G with entries up to 1, for each b: Wolfe's method on masks.

    Where the step of ``towards_least`` loses no vertex, the one with the steepest descent enters.
    """
    m = gram.shape[0]
    place = xp.arange(m, device=_xp.device(gram))
    noise = 8 * m * _xp.eps(gram)
    eye = xp.eye(m, dtype=gram.dtype, device=_xp.device(gram))

    def one_hot(a: Array) -> Array:
        return place == xp.argmax(a, axis=-1, keepdims=True)

    active = one_hot(b - xp.sum(eye * gram, axis=-1) / 2)
    w = xp.astype(active, gram.dtype)
    for _ in range(4 * face + 4):
        w, gone, reached = towards_least(xp, gram, b, w, active, noise)
        descent = b - w @ gram
        outside = xp.where(active, -math.inf * xp.ones_like(w), descent)
        level = xp.sum(w * descent, axis=-1, keepdims=True) + noise * (1 + xp.max(xp.abs(b), axis=-1, keepdims=True))
        active = (active & ~gone) | (one_hot(outside) & (outside > level) & reached)
    return w


def towards_least(
    xp: Namespace, gram: Array, b: Array, w: Array, active: Array, ridge: float
) -> tuple[Array, Array, Array]:
    """A step of Wolfe's method (1976): w towards the least ``w'Gw/2 - b'w`` of the affine hull of the active vertices.

    It ends where the first weight vanishes. Returns the weights, which of them vanished, and whether none did. The last
    axis holds the vertices; ``ridge`` keeps the system solvable where they are nearly affinely dependent.
    """
    on = xp.astype(active, gram.dtype)
    eye = xp.eye(gram.shape[-1], dtype=gram.dtype, device=_xp.device(gram))
    firm = gram + 1 + ridge * eye  # the same function where the weights add up to 1, and invertible on a face
    system = on[..., :, None] * firm * on[..., None, :] + (1 - on)[..., None] * eye
    both = xp.linalg.solve(system, xp.stack([on, on * b], axis=-1))
    ones, free = both[..., 0], both[..., 1]
    least = free - (xp.sum(free, axis=-1, keepdims=True) - 1) / xp.sum(ones, axis=-1, keepdims=True) * ones
    leaving = active & (least <= 0)
    ratio = xp.where(leaving, _xp.divide(xp, w, w - least), xp.ones_like(w))
    part = xp.min(ratio, axis=-1, keepdims=True)
    gone = leaving & (ratio <= part)
    w = xp.where(active & ~gone, xp.clip((1 - part) * w + part * least, 0.0, None), xp.zeros_like(w))
    return w / xp.sum(w, axis=-1, keepdims=True), gone, ~xp.any(leaving, axis=-1, keepdims=True)
