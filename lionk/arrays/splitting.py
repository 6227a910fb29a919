"""How a point is divided between two functions: Douglas-Rachford steps on their proximal operators, accelerated."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from . import namespace as _xp
from . import reductions
from . import roots as _roots
from .namespace import Array, Namespace

STEPS, FIXED = 400, 60  # at most, where values can be seen; and where they cannot
MEMORY = 12, 5  # past steps that the next one is made of; the second beyond 1000 entries
PATIENCE = 40, 5  # steps without progress, after which the points are taken as they are; the second next to rounding
DRIFT = 0.03  # how much steps that are alike may differ, relative
FARTHEST = 2.0**24  # steps taken at once, where one step is like the last
REACH = 1e16  # what the length of the proximal steps changes by at most: where there is no split it has no limit
RENEWAL = 8  # steps from one look at the length of the proximal steps to the next


def split(xp: Namespace, first: Any, second: Any, y: Array, batch: int) -> tuple[Array, Array, Array]:
    """``(u, v, s)`` with u in dom K1, v in dom K2, and s in both subdifferentials there; ``u + v = y`` in the limit.

    The fixed points of ``z -> y - prox_K2(y - 2 prox_K1(z) + z) + z - prox_K1(z)`` (Lions and Mercier 1979), by
    Anderson's method (1965) with an orthonormal basis of the last changes of the residual ``y - u - v``: 10 to 40 steps
    to rounding for most pairs, in place of hundreds. A step that doubles the least residual is taken back. Where a step
    is like the last one, a part drifts towards the next kink, and as many steps as before are taken at once, twice as
    many each time. The length t of the proximal steps follows ``|u|/|s|``, where values can be seen.
    """
    problem = _Problem(xp, first, second, y, batch, _length(xp, first, second, y, batch))
    began, s = problem.t, problem.start(y / 2)
    if not _roots.visible(y, s.u, s.v):
        return problem.found(_State(*_xp.looped(lambda s: tuple(problem.step(_State(*s))), tuple(s), FIXED - 1)))
    since, noise = 0, _xp.eps(y) * (problem.length(y) + problem.length(s.u) + problem.length(s.v))
    for k in range(1, STEPS):
        drifting = (s.stride >= 2 * s.before) & (s.stride < FARTHEST)
        since = 0 if k == 1 or bool(xp.any((s.size < 0.9 * s.least) | drifting)) else since + 1
        close = not bool(xp.any(s.size > 64 * noise))
        if not bool(xp.any(s.size > 2 * noise)) or since > PATIENCE[close]:
            break
        if k % RENEWAL == 0 and not close:
            ratio = _ratio(xp, xp.maximum(*map(problem.length, (s.u, s.v))), problem.length(s.z - s.u))
            if not 1 / 4 < ratio < 4 and 1 / REACH < problem.t * ratio / began < REACH:
                problem.t *= ratio
                s = problem.best(s)
                s = problem.start(s.near_u + ratio * (s.near_z - s.near_u))
                continue
        s = problem.step(s)
    return problem.found(s)


class _State(NamedTuple):
    u: Array
    v: Array
    z: Array
    near_u: Array  # and near_v, near_z: where the residual was least
    near_v: Array
    near_z: Array
    residual: Array  # there
    least: Array  # its length
    size: Array  # of the residual at u, v
    stride: Array  # how many steps were taken at once, and before that
    before: Array
    last: Array  # the step before
    basis: Array  # the last changes of the residual, orthonormal, along a first axis,
    images: Array  # and what z + residual changed by with each
    then: Array  # the residual and z + residual at the last step
    there: Array


class _Problem:
    """One step of the iteration. The memory is in the ``unit`` of the problem, so that no square overflows."""

    def __init__(self, xp: Namespace, first: Any, second: Any, y: Array, batch: int, t: float) -> None:
        self.xp, self.first, self.second, self.y, self.batch, self.t = xp, first, second, y, batch, t
        u, v = self.at(y / 2)
        unit = reductions.unit_scale(xp, xp.maximum(xp.maximum(xp.abs(y), xp.abs(u)), xp.abs(v)), batch)
        self.unit = _xp.spread(xp, unit, y)

    def at(self, z: Array) -> tuple[Array, Array]:
        u = self.first._prox(self.xp, z, self.t, self.batch)
        return u, self.second._prox(self.xp, self.y - 2 * u + z, self.t, self.batch)

    def length(self, a: Array) -> Array:
        return reductions.unit_norm(self.xp, a / self.unit, self.batch)

    def start(self, z: Array) -> _State:
        xp, (u, v) = self.xp, self.at(z)
        residual = self.y - u - v
        size = self.length(residual)
        one, unknown = xp.ones_like(size), math.nan * residual
        most = MEMORY[_xp.event_size(z, self.batch) > 1000]
        basis = xp.zeros_like(xp.stack([residual] * most))
        return _State(u, v, z, u, v, z, residual, size, size, one, one, unknown, basis, basis, unknown, unknown)

    def best(self, s: _State) -> _State:
        """With the present u and v, if their residual is the least; of steps that are alike, the last."""
        better = _xp.spread(self.xp, s.size <= (1 + DRIFT) * s.least, s.z)
        pairs = ((s.u, s.near_u), (s.v, s.near_v), (s.z, s.near_z), (self.y - s.u - s.v, s.residual))
        u, v, z, residual = (self.xp.where(better, new, old) for new, old in pairs)
        return s._replace(near_u=u, near_v=v, near_z=z, residual=residual)

    def found(self, s: _State) -> tuple[Array, Array, Array]:
        s = self.best(s)
        return s.near_u, s.near_v, (s.near_z - s.near_u) / self.t

    def step(self, s: _State) -> _State:
        xp, one, step = self.xp, self.xp.ones_like(s.stride), self.y - s.u - s.v
        s = self.best(s)
        back, drifts = s.size > 2 * s.least, self.length(step - s.last) <= DRIFT * s.size
        longer = xp.where(drifts, xp.minimum(2 * s.stride, FARTHEST * one), one)
        stride = xp.where(back, xp.maximum(s.stride / 4, one), longer)
        worse, alike, far = (_xp.spread(xp, a, step) for a in (back, drifts, stride))
        ahead, memory = self._ahead(s, step, worse | alike)
        z = xp.where(worse, s.near_z + far * s.residual, xp.where(alike, s.z + far * step, ahead))
        u, v = self.at(z)
        return s._replace(
            u=u, v=v, z=z, least=xp.minimum(s.size, s.least), size=self.length(self.y - u - v), stride=stride,
            before=s.stride, last=xp.where(worse, s.residual, step), **memory,
        )  # fmt: skip

    def _ahead(self, s: _State, step: Array, forget: Array) -> tuple[Array, dict[str, Array]]:
        """``z + step``, corrected by what the past changes say, and the memory; ``forget`` starts it anew."""
        xp, then, there = self.xp, step / self.unit, (s.z + step) / self.unit
        changes = then - s.then, there - s.there
        new = self._without(s, *changes)
        before, left = (_xp.spread(xp, reductions.unit_norm(xp, a, self.batch), a) for a in (changes[0], new[0]))
        good = (left > 1e-6 * before) & ~forget
        zero, one = xp.zeros_like(step), xp.ones_like(left)
        new = [(xp.where(good, a, zero) / xp.where(good, left, one))[None, ...] for a in new]
        kept = [xp.where(forget, xp.zeros_like(a), a)[1:, ...] for a in (s.basis, s.images)]
        basis, images = (xp.concat(pair) for pair in zip(kept, new, strict=True))
        s = s._replace(basis=basis, images=images)
        memory = {"basis": basis, "images": images, "then": then, "there": there}
        return self.unit * self._without(s, then, there)[1], memory

    def _without(self, s: _State, change: Array, image: Array) -> list[Array]:
        """What is left of both, of the residual's side what is orthogonal to the basis."""
        parts = reductions.inner(self.xp, s.basis, change[None, ...], self.batch + 1)
        parts = _xp.spread(self.xp, parts, s.basis)
        pairs = ((change, s.basis), (image, s.images))
        return [a - self.xp.sum(parts * b, axis=0) for a, b in pairs]


def _ratio(xp: Namespace, u: Array, rest: Array) -> float:
    """``|u| / |z - u|`` over all blocks, u the longer part, 1 where one of the two is nothing but rounding."""
    there, away = (float(xp.sum(a)) for a in (u, rest))
    return min(max(there / away, 1e-8), 1e8) if away > 64 * _xp.eps(u) * there > 0 else 1.0


def _length(xp: Namespace, first: Any, second: Any, y: Array, batch: int) -> float:
    """The length t of the steps, at which ``t |s|`` is about |u|, from where both functions alone take y/2; else 1."""
    t = 1.0
    for _ in range(2 if _roots.visible(y) else 0):
        near = [k._prox(xp, y / 2, t, batch) for k in (first, second)]
        if not _roots.visible(*near):
            return 1.0
        parts, rests = ([reductions.norm(xp, a, batch) for a in each] for each in (near, [y / 2 - u for u in near]))
        t *= _ratio(xp, xp.maximum(*parts), xp.maximum(*rests))
    return t
