"""How a point is divided among functions: Douglas-Rachford steps on their proximal operators, then Newton's."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import sub
from typing import Any

from ..errors import NotAvailable
from . import namespace as _xp
from . import reductions
from . import roots as _roots
from .entry_steps import EntrySteps
from .namespace import Array, Namespace
from .newton import newton, solvable
from .split_steps import FARTHEST, Problem, State

STEPS, FIXED = 400, 60  # at most, where values can be seen; and where they cannot
PATIENCE = 40, 5  # steps without progress, after which the points are taken as they are; the second next to rounding
REACH = 1e16  # what the length of the proximal steps changes by at most: where there is no split it has no limit
NEWTON = 3, 9, 20, 60, 180  # steps after which Newton's method is tried
ROUNDS = 200  # of projections, where the parts of a split are not in their domains
TRIAL = 40  # steps that are to leave a tenth; else steps that went too far are answered in the other way
RENEWAL = 8  # steps from one look at the length of the proximal steps to the next
FINE = 2.0**16  # times rounding: the residual that lengths of entries end at, where they gain no more
VAGUE = 2.0**12  # in units of rounding: where t s is less of the longest part, s is asked for again with longer steps


def split(
    xp: Namespace, functions: list[Any], y: Array, batch: int, shortest: Any = 0.0,
    apart: Callable[[list[Array]], bool] | None = None, t: Any = None, again: int = 3,
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
    with many unknowns have a length for each entry, as long as that helps. They end where these parts show
    that y is ``apart`` from all sums.

    Far out, where ``t s`` is lost in the rounding of a part, it is split ``again`` with a longer t; s is 0 where it is
    lost at last. A caller that knows how many times longer than s the parts are says so: t is at least ``shortest``.
    """
    n = len(functions)
    problem = Problem(xp, functions, y, batch, t)
    if isinstance(shortest, float):
        t = problem.t
        problem.t = max(t, shortest) if isinstance(t, float) else xp.maximum(t, shortest + 0 * t)
    start = xp.stack([(i / n) * y for i in range(1, n)], axis=batch)
    began, of, s = problem.t, problem.of, problem.start(start)
    if not _roots.visible(y, s.u, s.v):
        return problem.found(State(*_xp.looped(lambda s: tuple(problem.step(State(*s))), tuple(s), FIXED - 1)))
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
        if k % RENEWAL == 0 and apart is not None and apart(problem.found(s)[0]):
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
