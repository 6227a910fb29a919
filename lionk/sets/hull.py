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
from .intersection import Intersection
from .rules import Minkowski, alternated, rest_and_radius
from .top_k import TopK

ACCURACY = 1e-4  # of a projection on a sum of two sets by iteration, as that of ``Minkowski``


@value_class
class Hull(ArraySet):
    """``conv(C1 u C2)``; its support function is the larger of the two.

    The oracle is that of the larger one, and halfway between both where they are equal. The hull is the union of the
    sets ``w C1 + (1-w) C2`` over w in [0, 1], whose distance from y is convex in w and falls while the support function
    of C1 is the larger one at the residual: one scalar root (derived here). If one of the two is a Euclidean ball about
    0, the nearest point of such a sum is closed. Else it is that of an iteration, as in ``Minkowski``, and a point is
    outside by what a hyperplane proves: no member is refused. That is for sets of vectors which are no sums, hulls or
    intersections themselves; of others it is not available.
    """

    first: ArraySet
    second: ArraySet

    HALVINGS = 26

    def _traits(self) -> dict[str, Any]:
        both = joint_traits(self.first._traits(), self.second._traits())
        parts = [c._traits() for c in (self.first, self.second)]
        projects = self._direct or self._rest_and_radius is not None
        accuracy = [c.get("accuracy", 0.0) for c in parts] + [ACCURACY] * (self._rest_and_radius is None)
        prox = projects and all(c.get("prox", True) for c in parts)
        return {**both, "selection": "composed", "prox": prox, "accuracy": max(accuracy) if prox else 0.0}

    @property
    def _direct(self) -> bool:
        """Are both projected without an iteration, so that there is one only, and none with decompositions?"""
        return not (self.stacks or iterates(self.first) or iterates(self.second))

    @property
    def _rest_and_radius(self) -> tuple[ArraySet, float] | None:
        return rest_and_radius(self.first, self.second)

    @property
    def stacks(self) -> bool:
        return self.first.stacks or self.second.stacks

    def diameter(self, shape: tuple[int, ...]) -> float:
        """An upper bound if the sets hold 0: the sum of the two diameters."""
        return self._width(self.first, shape) + self._width(self.second, shape)

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        return xp.maximum(self.first._support(xp, x, batch), self.second._support(xp, x, batch))

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        lead = _xp.spread(xp, self.first._support(xp, c, batch) - self.second._support(xp, c, batch), c)
        one, two = self.first._lmo(xp, c, batch), self.second._lmo(xp, c, batch)
        return xp.where(lead > 0, one, xp.where(lead < 0, two, one / 2 + two / 2))

    def _split(self, xp: Namespace, y: Array, batch: int) -> tuple[Array, Array, Any]:
        """The nearest point of ``w C1 + (1-w) C2`` at the best w, where C2 is a ball only its part in ``w C1``; the
        residual, and how long the other part may be.
        """
        known = self._rest_and_radius
        if known is None and not self._direct:
            raise NotAvailable(
                "membership, distance and projection of the hull of two sets are known where one of them is a "
                "Euclidean ball, or where both are sets of vectors that are projected without an iteration; "
                "maximum(K1, K2) needs a multiple of l2 for one of the two, or functions of vectors that are no sums, "
                "maxima or infimal convolutions"
            )
        zero = xp.zeros_like(reductions.peak(xp, y, batch))
        if known is None:
            found = self._near(xp, y, batch)
            return found, y - found, zero
        c, radius = known

        def near(w: Array) -> Array:
            return _shrunk(xp, c, w, y, batch)

        def rise(w: Array) -> Array:
            s = y - near(w)
            return radius * reductions.norm(xp, s, batch) - c._support(xp, s, batch)

        w = _roots.root(xp, rise, zero + _xp.eps(y), zero + 1, first=True)
        w = xp.where(rise(zero + 1) < 0, zero + 1, xp.where(rise(zero) >= 0, zero, w))
        return near(w), y - near(w), (1 - w) * radius

    def _near(self, xp: Namespace, y: Array, batch: int) -> Array:
        """By halving, each time from the part in C1 that was the last one's."""

        def parted(start: Array, w: Array) -> tuple[Array, Array]:
            parts = (self.first, w), (self.second, 1 - w)
            one, two = (lambda z, c=c, t=t: _shrunk(xp, c, t, z, batch) for c, t in parts)
            return alternated(xp, one, two, y, start, batch)

        def halved(state: tuple[Array, ...]) -> tuple[Array, ...]:
            low, high, u = state
            w = low + (high - low) / 2
            u, v = parted(u, w)
            r = y - u - v
            below = self.second._support(xp, r, batch) < self.first._support(xp, r, batch)
            return xp.where(below, w, low), xp.where(below, high, w), u

        zero = xp.zeros_like(reductions.peak(xp, y, batch))
        _, w, u = _xp.looped(halved, (zero, zero + 1, xp.zeros_like(y)), self.HALVINGS)
        u, v = parted(u, w)
        return u + v

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        near, s, rest = self._split(xp, y, batch)
        if self._rest_and_radius is None:
            return self._outside(xp, y, near, [(self, near)], batch)
        room = reductions.slack(xp, y, batch) * self._scale(xp, y, batch)
        length = reductions.norm(xp, s, batch)
        shorter = _xp.spread(xp, rest, s) * _xp.divide(xp, s, _xp.spread(xp, length, s) + 0 * s)
        return xp.where(_xp.spread(xp, length > rest + room, s), near + shorter, y)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        infinite, z = reductions.poison(xp, y, batch), _xp.finite(xp, y)
        near, s, rest = self._split(xp, z, batch)
        if self._rest_and_radius is None:
            return self._separation(xp, z, near, batch) + infinite
        return _xp.clip(xp, reductions.norm(xp, s, batch) - rest, 0.0, None) + infinite

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        return self._violation(xp, y, batch) if self._rest_and_radius else super()._distance(xp, y, batch)

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        return self.first._scale(xp, y, batch) + self.second._scale(xp, y, batch)


def iterates(c: Any) -> bool:
    """Is the projection on this set, or on one that it is made of, an iteration over two sets?"""
    if isinstance(c, (Minkowski, Hull)):
        return c._rest_and_radius is None or iterates(c._rest_and_radius[0])
    return isinstance(c, Intersection) or any(isinstance(v, ArraySet) and iterates(v) for v in vars(c).values())


def _shrunk(xp: Namespace, c: ArraySet, w: Array, y: Array, batch: int) -> Array:
    """The projection on ``w C``, 0 for w = 0."""
    factor = _xp.spread(xp, w, y)
    safe = xp.where(factor > 0, factor, xp.ones_like(factor))
    near = _xp.scaled_map(xp, lambda z: c._project(xp, z, batch), safe, y)
    return xp.where(factor > 0, near, xp.zeros_like(y))


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
        return xp.where(xp.isnan(y), near, self._outside(xp, y, near, [(self, near)], batch))

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

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
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
    w = xp.where(active & ~gone, _xp.clip(xp, (1 - part) * w + part * least, 0.0, None), xp.zeros_like(w))
    return w / xp.sum(w, axis=-1, keepdims=True), gone, ~xp.any(leaving, axis=-1, keepdims=True)
