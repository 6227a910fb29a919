"""Convex sets that are known by what a user can compute: a projection, or a linear-minimisation oracle."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.far import from_afar
from ..arrays.namespace import Array, Namespace
from ..arrays.value import value_class
from ..errors import NotAvailable
from .base import ArraySet
from .hull import towards_least

Map = Callable[[Array], Array]


@value_class
class Own(ArraySet):
    """What both kinds share: a map of arrays, the diameter, and claims that become traits of the support function."""

    map: Map
    width: float = math.inf
    claims: tuple[tuple[str, Any], ...] = ()

    needs: ClassVar[tuple[str, ...]] = ()

    def _traits(self) -> dict[str, Any]:
        known = {"selection": "composed", "needs": self.needs, "bounded_domain": math.isfinite(self.width)}
        return {**super()._traits(), **known, **dict(self.claims)}

    def diameter(self, shape: tuple[int, ...]) -> float:
        return self.width if math.prod(shape) else 0.0

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        return self.width / 2 if math.isfinite(self.width) else 1.0

    def _each(self, xp: Namespace, f: Map, y: Array, batch: int) -> Array:
        """f of every event: a user's map knows no batches."""
        if batch == 0:
            return _shaped(f(y), y)
        events = xp.reshape(y, (math.prod(y.shape[:batch]), *y.shape[batch:]))
        done = [_shaped(f(event), event) for event in (events[i, ...] for i in range(events.shape[0]))]
        return xp.reshape(xp.stack(done), (*y.shape[:batch], *done[0].shape)) if done else y

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        z = _xp.finite(xp, y)
        return reductions.norm(xp, z - self._project(xp, z, batch), batch) + reductions.poison(xp, y, batch)


def _shaped(s: Array, y: Array) -> Array:
    """What a user's map made of y. Raises ValueError if it is no array of the shape of y."""
    if made := _xp.unlike(s, y):
        raise ValueError(
            f"a projection and an oracle return an array of the shape they get: {made} for {tuple(y.shape)}"
        )
    return s


@value_class
class Projectable(Own):
    """The set that ``map`` projects onto: ``P(y)``, the nearest point. Members are where ``P(y) = y``."""

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        if not _xp.event_size(c, batch):
            return c
        raise NotAvailable("a set known by its projection only has no linear minimisation oracle; see from_lmo")

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        return self._each(xp, self.map, y, batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        return self._distance(xp, y, batch)


@value_class
class Oracle(Own):
    """The hull of what ``map`` answers: ``map(c)`` is a member s with the largest ``<c, s>``.

    Projection by Wolfe's algorithm (1976, "Finding the nearest point in a polytope"), ``8 (n + 1)`` affine steps, at
    most ``STEPS``, on at most n + 1 members. Accuracy of up to 30 entries in the tests, relative to the set's scale:
    1e-8 for polytopes and Euclidean balls (1e-3 in single precision), 1e-3 for other curved sets (1e-2). A point is
    outside by what a hyperplane proves, the one normal to y - P(y); so a member is never refused.
    """

    STEPS: ClassVar[int] = 128
    needs: ClassVar[tuple[str, ...]] = ("linalg",)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        return self._each(xp, self.map, c, batch) + _xp.only_nan(xp, c)  # an argmax would hide them

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        def near(z: Array, _: Any) -> Array:
            return self._each(xp, lambda v: v + self._residual(xp, v), z, batch)

        return from_afar(xp, near, y, lambda: self._lmo(xp, y, batch), batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        z = _xp.finite(xp, y)
        return self._separation(xp, z, self._project(xp, z, batch), batch) + reductions.poison(xp, y, batch)

    def _residual(self, xp: Namespace, y: Array) -> Array:
        """``P(y) - y``: the point of least norm of the set moved by -y."""
        n = math.prod(y.shape)
        if n >= self.STEPS:
            raise NotAvailable(
                f"the projection onto a set known by its oracle is for fewer than {self.STEPS} entries, got {n}; "
                "give a projection (from_projection)"
            )
        if _xp.is_complex(y):
            raise NotAvailable("the projection onto a set known by its oracle is for real arrays")
        start = self.map(y) - y
        slots = xp.arange(n + 1, device=_xp.device(y))
        corner = xp.astype(slots == 0, y.dtype)
        points, weights = corner[:, None] * xp.reshape(start, (1, n)), corner
        active, settled = slots == 0, slots[0] == 0
        for _ in range(min(self.STEPS, 8 * (n + 1))):
            z = weights @ points
            new = xp.reshape(self.map(xp.reshape(-z, y.shape)) - y, (n,))
            better = settled & (xp.sum(z * (z - new)) > 0)
            free = slots == xp.min(xp.where(active, n, slots))
            taken = better & free & ~active
            points = xp.where(taken[:, None], new[None, :], points)
            active = active | taken
            weights, active, settled = _affine_step(xp, points, weights, active, z)
        return xp.reshape(weights @ points, y.shape)


def _affine_step(xp: Namespace, points: Array, weights: Array, active: Array, z: Array) -> tuple[Array, Array, Array]:
    """Towards the point of least norm in the affine hull of the active points, as far as weights stay nonnegative.

    Coordinates are taken about z, the present point, whose norm they need not lose digits to. A step that rounding
    makes worse is not taken. Returns the weights, what is active, and whether the point of least norm was reached.
    """
    e = (points - z[None, :]) * xp.astype(active, points.dtype)[:, None]
    size = reductions.unit_scale(xp, e, 0)
    e = e / size
    gram, b = e @ xp.matrix_transpose(e), -(e @ (z / size))
    moved, _, reached = towards_least(xp, gram, b, weights, active, 64 * _xp.eps(e))
    there = moved @ points
    good = xp.sum(there * there) <= xp.sum(z * z)
    weights = xp.where(good, moved, weights)
    return weights, weights > 0, ~good | reached[0]
