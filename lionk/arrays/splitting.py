"""How a point is divided among functions: Douglas-Rachford steps on their proximal operators, then Newton's."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from functools import reduce
from operator import sub
from typing import Any, NamedTuple

from ..errors import NotAvailable
from . import namespace as _xp
from . import plain, reductions
from . import roots as _roots
from .entry_steps import EntrySteps
from .namespace import Array, Namespace
from .newton import newton, solvable
from .numbers import Numbers

STEPS, FIXED = 400, 60  # at most, where values can be seen; and where they cannot
MEMORY = 12, 5  # past steps that the next one is made of; the second beyond 1000 entries
PATIENCE = 40, 5  # steps without progress, after which the points are taken as they are; the second next to rounding
DRIFT = 0.03  # how much steps that are alike may differ, relative
FARTHEST = 2.0**24  # steps taken at once, where one step is like the last
REACH = 1e16  # what the length of the proximal steps changes by at most: where there is no split it has no limit
NEWTON = 3, 9, 20, 60, 180  # steps after which Newton's method is tried
ROUNDS = 200  # of projections, where the parts of a split are not in their domains
TRIAL = 40  # steps that are to leave a tenth; else steps that went too far are answered in the other way
RENEWAL = 8  # steps from one look at the length of the proximal steps to the next
FINE = 2.0**16  # times rounding: the residual that lengths of entries end at, where they gain no more
VAGUE = 2.0**12  # in units of rounding: where t s is less of the longest part, s is asked for again with longer steps


def split(
    xp: Namespace, functions: list[Any], y: Array, batch: int, shortest: Any = 0.0,
    apart: Callable[[Array], bool] | None = None, t: Any = None, again: int = 3,
) -> tuple[list[Array], Array]:  # fmt: skip
    """``(u, s)``: u_i in the domain of each function, and s in all subdifferentials there; ``sum u = y`` in the limit.

    Of two functions these are the fixed points of ``z -> y - prox_2(y - 2 prox_1(z) + z) + z - prox_1(z)`` (Lions and
    Mercier 1979), of n those of n - 1 such z, coupled in a chain (Malitsky and Tam 2023, arXiv 2108.02897), by
    Anderson's method (1965) with an orthonormal basis of the last changes of the residual ``y - sum u``: 10 to 40 steps
    to rounding for most pairs, in place of hundreds. A step that doubles the least residual is taken back; for a while,
    where that leads nowhere and values can be seen, half of it is tried, and half of that, with what it has shown of
    the changes. Where a step is like the last one, a part drifts towards the next kink, and as many steps as before are
    taken at once, twice as many each time. The length t of the proximal steps follows ``|u|/|s|``, where values can be
    seen.

    The residual is minus a monotone function of z. So where values can be seen and the unknowns are few, what is left
    after some steps is left to ``newton``: it takes about 6 in place of hundreds where slopes differ by orders of
    magnitude. Where it stalls, as where a part drifts or there is no split, the other steps go on. Those of one problem
    with many unknowns have a length for each entry, as long as that helps. They end where y is ``apart`` from all sums
    of parts, asked of the residual.

    Far out, where ``t s`` is lost in the rounding of a part, it is split ``again`` with a longer t; s is 0 where it is
    lost at last. A caller that knows how many times longer than s the parts are says so: t is at least ``shortest``.
    """
    n = len(functions)
    problem = _Problem(xp, functions, y, batch, t)
    if isinstance(shortest, float):
        t = problem.t
        problem.t = max(t, shortest) if isinstance(t, float) else xp.maximum(t, shortest + 0 * t)
    start = xp.stack([(i / n) * y for i in range(1, n)], axis=batch)
    began, of, s = problem.t, problem.of, problem.start(start)
    if not _roots.visible(y, s.u, s.v):
        return problem.found(_State(*_xp.looped(lambda s: tuple(problem.step(_State(*s))), tuple(s), FIXED - 1)))
    few, problem.halves, sought = solvable(start, batch), False, s.size / 10
    real = problem.alone and not few and not _xp.is_complex(y)
    entries = EntrySteps(xp, lambda z: problem.residual(z, batch), problem.unit) if real else None
    whole = problem.length(problem.y) + problem.length(s.u) + problem.length(s.v)
    since, noise = 0, _xp.eps(y) * whole
    for k in range(1, STEPS):
        far = s.size > 64 * noise  # next to rounding, steps that are alike may be rounding too
        drifting = (s.stride >= 2 * s.before) & (s.stride < FARTHEST) & far
        since = 0 if k == 1 or bool(of.any((s.size < 0.9 * s.least) | drifting)) else since + 1
        close = not bool(of.any(far))
        if not bool(of.any(s.size > 2 * noise)) or since > PATIENCE[close]:
            break
        if k % RENEWAL == 0 and apart is not None and apart(problem.left(s)):
            return problem.found(s)
        if k % RENEWAL == 0 and not close:
            longest = of.maximum(problem.length(s.u), problem.length(s.v))
            known = _xp.eps(y) * longest <= whole  # parts may grow without end: there is no split
            if not bool(of.any((s.size > 2 * noise) & known)):
                break
            ratio = problem.ratio(longest, problem.length(s.z - problem.sums(s.u)))
            if not 1 / 4 < ratio < 4 and 1 / REACH < problem.t * ratio / began < REACH:
                problem.t, problem.known, problem.steps = problem.t * ratio, (None, None), 1.0
                s = problem.best(s)
                sums = problem.sums(s.near_u)
                s = problem.start(sums + ratio * (s.near_z - sums))
                continue
        if k % TRIAL == 0:
            problem.halves = problem.halves != bool(of.any(s.least > sought))
            sought = s.least / 10
        if entries and k % RENEWAL == 1 and entries.of_use:
            s = problem.best(s)
            z, problem.steps = entries.at(s.near_z, s.near, s.least)
            s = problem.start(z)
            if not entries.of_use and s.size <= FINE * noise:
                break
        s = problem.step(s)
        if few and k in NEWTON:
            z, enough = problem.best(s).near_z, 2 * float(noise if problem.alone else xp.max(noise))
            there = problem.start(newton(xp, problem.residual, z, problem.unit, enough, batch))
            if bool(of.any(there.size < of.minimum(s.size, s.least) / 2)):
                s, since = there, 0
    parts, shared = problem.found(s)
    longest = reduce(xp.maximum, [reductions.norm(xp, u, batch) for u in parts])
    size = problem.t * reductions.norm(xp, shared, batch)
    vague = (size < VAGUE * _xp.eps(y) * longest) & xp.isfinite(longest)
    if not bool(xp.any(vague)):
        return parts, shared
    if not again:
        return parts, xp.where(_xp.spread(xp, vague, y), xp.zeros_like(y), shared)
    length, one = xp.where(vague, longest, xp.zeros_like(size)), xp.ones_like(size)
    ratio = length / xp.where(vague, xp.maximum(size, _xp.eps(y) * length), one)
    longer, slope = split(xp, functions, y, batch, t=problem.t * float(xp.max(ratio)), again=again - 1)
    chosen = _xp.spread(xp, vague, y)
    parts = [xp.where(chosen, new, old) for new, old in zip(longer, parts, strict=True)]
    return parts, xp.where(chosen, slope, shared)


class _State(NamedTuple):
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


class _Problem(Numbers):
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

    def start(self, z: Array) -> _State:
        xp, (u, v, residual) = self.xp, self.at(z)
        if self.unit is None:
            size = xp.maximum(xp.maximum(xp.abs(self.y), xp.abs(u)), xp.abs(v))
            self.unit = _xp.spread(xp, reductions.unit_scale(xp, size, self.batch), self.y)
        size = self.length(residual)
        one, unknown = self.ones(size), math.nan * residual
        most = MEMORY[_xp.event_size(z, self.batch) > 1000]
        basis = xp.zeros_like(xp.stack([residual] * most))
        near = u, v, z, residual
        return _State(*near, *near, size, size, one, one, unknown, basis, basis, unknown, unknown)

    def best(self, s: _State) -> _State:
        """With the present u and v, if their residual is the least; of steps that are alike, the last."""
        better = s.size <= (1 + DRIFT) * s.least
        if self.alone and not better:
            return s
        pairs = ((s.u, s.near_u), (s.v, s.near_v), (s.z, s.near_z), (s.residual, s.near))
        u, v, z, residual = (self.choose(better, new, old) for new, old in pairs)
        return s._replace(near_u=u, near_v=v, near_z=z, near=residual)

    def left(self, s: _State) -> Array:
        """What the parts leave of y, where the residual was least."""
        sums = self.xp.sum(s.near_u, axis=self.batch, keepdims=True)
        return self.parts(self.y - sums - s.near_v)[0]

    def found(self, s: _State) -> tuple[list[Array], Array]:
        s = self.best(s)
        shared = (s.near_z - self.sums(s.near_u)) / self.t
        return [*self.parts(s.near_u), *self.parts(s.near_v)], self.parts(shared)[0]

    def step(self, s: _State) -> _State:
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

    def _ahead(self, s: _State, step: Array, forget: Any, half: Any) -> tuple[Array, dict[str, Array]]:
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

    def _without(self, s: _State, change: Array, image: Array) -> list[Array]:
        """What is left of both, of the residual's side what is orthogonal to the basis."""
        parts = reductions.inner(self.xp, s.basis, change[None, ...], self.batch + 1)
        parts = _xp.spread(self.xp, parts, s.basis)
        pairs = ((change, s.basis), (image, s.images))
        return [a - self.xp.sum(parts * b, axis=0) for a, b in pairs]


def _row(a: Array, batch: int) -> Array:
    """Each problem as a row of its own."""
    return a[(slice(None),) * batch + (None, ...)]


def rest(parts: list[Array], i: int, y: Array) -> Array:
    """y less all parts but one."""
    return reduce(sub, [*parts[:i], *parts[i + 1 :]], y)


def mended(xp: Namespace, functions: list[Any], parts: list[Array], y: Array, batch: int) -> list[Array] | None:
    """A split of y next to these parts, each part in its domain: by projecting what the others leave of y, in turn.

    That lowers ``|y - sum u|`` over the product of the domains. None where y is farther than a split can be wrong by,
    or no projection is known.
    """
    size = reductions.norm(xp, y, batch)
    if reductions.none(reductions.norm(xp, reduce(sub, parts, y), batch) <= 0.03 * size):
        return None
    try:
        for _ in range(ROUNDS):
            for i, k in enumerate(functions):
                parts = [*parts[:i], k.domain._project(xp, rest(parts, i, y), batch), *parts[i + 1 :]]
            if reductions.none(reductions.norm(xp, reduce(sub, parts, y), batch) > _xp.eps(y) * size):
                break
    except NotAvailable:
        return None
    return parts
