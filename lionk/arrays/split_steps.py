"""One step of a splitting: Douglas and Rachford's, with Anderson's memory of those before, and how far it goes."""

from __future__ import annotations

import math
from copy import copy
from functools import reduce
from typing import Any, NamedTuple

from . import namespace as _xp
from . import plain, reductions
from .namespace import Array, Namespace
from .numbers import Numbers

MEMORY = 12, 5  # past steps that the next one is made of; the second beyond 1000 entries
DRIFT = 0.03  # how much steps that are alike may differ, relative
FARTHEST = 2.0**24  # steps taken at once, where one step is like the last


class State(NamedTuple):
    u: Array  # all parts but the last, along an axis before those of y; so are z and the residual
    v: Array  # the last part
    z: Array
    residual: Array
    near_u: Array  # and near_v, near_z, near: where the residual was least
    near_v: Array
    near_z: Array
    near: Array  # the residual there
    least: Array  # its length
    size: Array  # of the residual at u, v
    stride: Array  # how many steps were taken at once, and before that
    before: Array
    last: Array  # the step before
    basis: Array  # the last changes of the residual, orthonormal, along a first axis,
    images: Array  # and what z + residual changed by with each
    then: Array  # the residual and z + residual at the last step
    there: Array


class Problem(Numbers):
    """One step of the iteration. The memory is in the ``unit`` of the problem, so that no square overflows."""

    def __init__(self, xp: Namespace, functions: list[Any], y: Array, batch: int, t: Any) -> None:
        super().__init__(xp, batch, y)
        self.functions, self.batch, self.y = functions, batch, _row(y, batch)
        self.unit: Any = None
        self.known: Any = (None, None)
        self.steps: Any = 1.0  # or one for each entry
        self.halves = False  # steps that went too far, in place of taking them back
        self.t = self._length(y / len(functions)) if t is None else t

    def parts(self, z: Array) -> list[Array]:
        return [z[(slice(None),) * self.batch + (i, ...)] for i in range(z.shape[self.batch])]

    def sums(self, u: Array) -> Array:
        """The first, the first two, ... of the parts, added up: ``z`` less what all ``t s`` have in common."""
        return u if len(self.functions) == 2 else self.xp.cumulative_sum(u, axis=self.batch)

    def at(self, z: Array) -> tuple[Array, Array, Array]:
        """All parts but the last, the last, and the residual; one problem keeps what it found at the last z."""
        if not self.alone:
            return self._at(z)
        if z is not self.known[0]:
            self.known = z, self._at(z)
        return self.known[1]

    def _at(self, z: Array) -> tuple[Array, Array, Array]:
        xp, (*rest, last) = self.xp, self.functions
        each = self.parts(z)
        u: list[Array] = []
        left: list[Array] = []
        residual: list[Array] = []
        for i, k in enumerate(rest):
            w = each[i] + (left[-1] - each[i - 1]) if i else each[0]
            u.append(k._prox(xp, w, self.t, self.batch))
            left.append(w - u[-1])
            if i:
                residual.append(each[i] - each[i - 1] - u[i])
        (y,) = self.parts(self.y)
        v = last._prox(xp, y + left[-1] - u[0] + (each[0] - each[-1]), self.t, self.batch)
        residual.append(y - u[0] - v + (each[0] - each[-1]))
        if not rest[1:]:
            return _row(u[0], self.batch), _row(v, self.batch), _row(residual[0], self.batch)
        return xp.stack(u, axis=self.batch), _row(v, self.batch), xp.stack(residual, axis=self.batch)

    def residual(self, z: Array, batch: int) -> Array:
        """That of z, or of many z along axes before those of the problem."""
        if batch == self.batch:
            return self.at(z)[2]
        many = copy(self)
        many.batch, many.y = batch, self.xp.broadcast_to(self.y[None, ...], (z.shape[0], *self.y.shape))
        return many.at(z)[2]

    def length(self, a: Array) -> Any:
        return self.number(reductions.unit_norm(self.xp, a / self.unit, self.batch))

    def ratio(self, u: Any, rest: Any) -> Any:
        """``|u| / |z - u|`` over all problems, 1 where one of the two is rounding; a number where it can be seen."""
        of, there, away = self.xp, self.whole(u), self.whole(rest)
        one: Any = 1.0 if isinstance(there, float) else of.ones_like(there)
        of = plain if isinstance(there, float) else of
        ratio = there / of.where(away > 0, away, one)
        ratio = of.minimum(of.maximum(ratio, 1e-8 * one), 1e8 * one)
        return of.where((away > 64 * _xp.eps(self.y) * there) & (there > 0), ratio, one)

    def _length(self, y: Array) -> Any:
        """The length t of the steps, at which ``t |s|`` is about |u|, from where each function alone takes y."""
        t: Any = 1.0
        for _ in range(2):
            near = [k._prox(self.xp, y, t, self.batch) for k in self.functions]
            sizes = ([reductions.norm(self.xp, a, self.batch) for a in each] for each in (near, [y - u for u in near]))
            t = t * self.ratio(*(reduce(self.xp.maximum, each) for each in sizes))
        return t

    def start(self, z: Array) -> State:
        xp, (u, v, residual) = self.xp, self.at(z)
        if self.unit is None:
            size = xp.maximum(xp.maximum(xp.abs(self.y), xp.abs(u)), xp.abs(v))
            self.unit = _xp.spread(xp, reductions.unit_scale(xp, size, self.batch), self.y)
        size = self.length(residual)
        one, unknown = self.ones(size), math.nan * residual
        most = MEMORY[_xp.event_size(z, self.batch) > 1000]
        basis = xp.zeros_like(xp.stack([residual] * most))
        near = u, v, z, residual
        return State(*near, *near, size, size, one, one, unknown, basis, basis, unknown, unknown)

    def best(self, s: State) -> State:
        """With the present u and v, if their residual is the least; of steps that are alike, the last."""
        better = s.size <= (1 + DRIFT) * s.least
        if self.alone and not better:
            return s
        pairs = ((s.u, s.near_u), (s.v, s.near_v), (s.z, s.near_z), (s.residual, s.near))
        u, v, z, residual = (self.choose(better, new, old) for new, old in pairs)
        return s._replace(near_u=u, near_v=v, near_z=z, near=residual)

    def found(self, s: State) -> tuple[list[Array], Array]:
        s = self.best(s)
        shared = (s.near_z - self.sums(s.near_u)) / self.t
        return [*self.parts(s.near_u), *self.parts(s.near_v)], self.parts(shared)[0]

    def step(self, s: State) -> State:
        of, one, step = self.of, self.ones(s.stride), s.residual * self.steps
        s = self.best(s)
        back, drifts = s.size > 2 * s.least, self.length(step - s.last) <= DRIFT * s.size
        longer = of.where(drifts, of.minimum(2 * s.stride, FARTHEST * one), one)
        stride = of.where(back, of.maximum(s.stride / 4, one), longer)
        half = back & self.halves & (self.length(s.z - s.near_z) > 4 * self.length(s.near))
        ahead, memory = self._ahead(s, step, (back & of.logical_not(half)) | drifts, half)
        far = self.each(stride, step)
        near = s.near * self.steps
        z = self.choose(back, s.near_z + far * near, self.choose(drifts, s.z + far * step, ahead))
        z = self.choose(half, (s.z + s.near_z) / 2, z)
        u, v, residual = self.at(z)
        return s._replace(
            u=u, v=v, z=z, residual=residual, least=of.minimum(s.size, s.least), size=self.length(residual),
            stride=stride, before=s.stride, last=self.choose(back, near, step), **memory,
        )  # fmt: skip

    def _ahead(self, s: State, step: Array, forget: Any, half: Any) -> tuple[Array, dict[str, Array]]:
        """``z + step``, corrected by what the past changes say, and the memory; ``forget`` starts it anew, as does
        ``half`` of a step where it has nothing new to say of them.
        """
        xp, of, then, there = self.xp, self.of, step / self.unit, (s.z + step) / self.unit
        changes = then - s.then, there - s.there
        new = self._without(s, *changes)
        before, left = (self.number(reductions.unit_norm(xp, a, self.batch)) for a in (changes[0], new[0]))
        good = left > 1e-6 * before
        forget = forget | (half & of.logical_not(good))
        good = good & of.logical_not(forget)
        scale = self.each(of.where(good, left, self.ones(left)), step)
        new = [(self.choose(good, a, xp.zeros_like(a)) / scale)[None, ...] for a in new]
        kept = [self._forgotten(forget, a)[1:, ...] for a in (s.basis, s.images)]
        basis, images = (xp.concat(pair) for pair in zip(kept, new, strict=True))
        s = s._replace(basis=basis, images=images)
        memory = {"basis": basis, "images": images, "then": then, "there": there}
        return self.unit * self._without(s, then, there)[1], memory

    def _forgotten(self, forget: Any, memory: Array) -> Array:
        """The memory, along its first axis, of the problems that do not forget."""
        if self.alone:
            return self.xp.zeros_like(memory) if forget else memory
        return self.xp.where(_xp.spread(self.xp, forget, memory[0, ...]), self.xp.zeros_like(memory), memory)

    def _without(self, s: State, change: Array, image: Array) -> list[Array]:
        """What is left of both, of the residual's side what is orthogonal to the basis."""
        parts = reductions.inner(self.xp, s.basis, change[None, ...], self.batch + 1)
        parts = _xp.spread(self.xp, parts, s.basis)
        pairs = ((change, s.basis), (image, s.images))
        return [a - self.xp.sum(parts * b, axis=0) for a, b in pairs]


def _row(a: Array, batch: int) -> Array:
    """Each problem as a row of its own."""
    return a[(slice(None),) * batch + (None, ...)]
