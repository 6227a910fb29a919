"""Many problems as one: the anchored rule on a stack, with L, momentum, restarts and end of its own for each problem.

The numbers of a problem are entries of arrays of shape (B,), and ``rule`` decides on all of them at once. Where
``anchored`` branches on a decision, ``where`` chooses here, so that one array program moves all problems.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.containers import SHORT
from ..errors import NotAvailable
from ..functions.bound import Bound
from ..theory.lower_bound import Average, rounding_unit
from . import measures, rule
from .combined import combined

RUNNING, CERTIFIED, ZERO, EXHAUSTED, CURVES, KINKED, SLOW = range(7)
LARGEST = 1e150  # entry of a gradient in double precision whose square is computed with


class Many(NamedTuple):
    """The problems at an iterate: arrays of shape (B, ...) like x, and of shape (B,).

    What has the name of a field of ``AnchoredState`` or of ``Progress`` is that of each problem.
    """

    x: Any
    anchor: Any
    grad: Any  # at the anchor
    before: Any
    low_x: Any
    m: Any  # the average of minus the gradients since the last restart
    paired: Any  # bool: is there an anchor?
    tested: Any
    L: Any
    t: Any
    mass: Any
    offset: Any  # of the average, as ``Average`` has them
    scale: Any
    steps: Any
    f: Any
    F: Any
    start: Any
    least: Any
    jump: Any
    pairs: Any
    since: Any
    failed: Any
    stale: Any
    known: Any
    lowest: Any
    low: Any
    low_f: Any  # f there
    rounding: Any  # of low
    lower: Any
    origin: Any  # |F| at the first point, or at the feasible one nearest to 0 where it is smaller and not 0
    nit: Any
    end: Any


class Mean(Average):
    """An average whose weights, of each problem, sum to 1."""

    def then(self, keep: Any, add: Any, offset: Any, scale: Any) -> Mean:
        return Mean(1.0, *super().then(keep, add, offset, scale)[1:])


class Stack(Bound):
    """K bound to B problems, with their weight decays."""

    def __init__(self, K: Any, x: Any, lam: Any) -> None:
        super().__init__(K, x[0, ...], 1)
        self.conjugate = Bound(K.conjugate, x[0, ...], 1)
        self._axes = (..., *[None] * (x.ndim - 1))
        self.weigh(lam)
        self.eps, self._like = self.kind.eps, x[0, ...]
        self.precision, self.unit = self.eps, rounding_unit(K, self._like)
        self._short = x.ndim == 2 and x.shape[1] <= SHORT and self.kind.real
        self.together: bool | None = True if K.by_entry else None  # does its prox take a step for each problem?

    def weigh(self, lam: Any) -> None:
        """Take problems of these weight decays from here on."""
        self.lam, self.wide = lam, self.over(lam)  # wide is beside x

    def read(self, f: Any, grad: Any) -> tuple[Any, Any]:
        """f and a copy of its gradient in the precision of x; if theirs is less, bounds are as precise as they are."""
        precision = max(_xp.eps(f), _xp.eps(grad))
        if precision > self.precision:
            self.precision, self.unit = precision, rounding_unit(self.K, self._like, precision)
        return self.xp.astype(f, self.kind.real_dtype), self.kind.asarray(grad, dtype=self._like.dtype, copy=True)

    def over(self, a: Any) -> Any:
        """A number of each problem beside x."""
        return a[self._axes]

    def inner(self, x: Any, y: Any) -> Any:
        return self.xp.vecdot(x, y) if self._short else super().inner(x, y)

    def dual(self, x: Any) -> Any:
        """``K*(lam x)``"""
        return self.conjugate.value(self.wide * x)

    def projected(self, x: Any) -> Any:
        try:
            return self.K.conjugate.domain._project(self.xp, self.wide * x, self._n) / self.wide
        except NotAvailable:
            return x

    def away(self, x: Any) -> Any:
        """From lam x to dom K*."""
        d = self.K.conjugate.domain._distance(self.xp, self.wide * x, self._n)
        return reductions.total(self.xp, d, 1)

    def step(self, anchor: Any, slope: Any, L: Any) -> Any:
        """``argmin <slope, z> + (L/2) |z - anchor|^2 + K*(lam z)/lam``, each problem with its L."""
        rate = self.lam / L
        return self.nearest(combined(self.wide, anchor, self.over(-rate), slope), rate) / self.wide

    def nearest(self, v: Any, t: Any) -> Any:
        """The prox of K*, each problem with its t."""
        dual = self.K.conjugate
        if self.traits.homogeneous:  # a projection, whatever the step
            return dual._prox(self.xp, v, 1.0, self._n)
        if self.together is None:  # asked once, with steps that differ
            probe = t * (1 + self.xp.arange(t.shape[0], dtype=t.dtype, device=_xp.device(t)) / t.shape[0])
            self.together = self._agrees(v, probe)
        if self.together:
            return dual._prox(self.xp, v, self.over(t), self._n)
        return self.xp.stack([dual.prox(v[i, ...], t[i]) for i in range(v.shape[0])])

    def _agrees(self, v: Any, t: Any) -> bool:
        """On the first, the middle and the last problem."""
        dual = self.K.conjugate
        try:
            found = dual._prox(self.xp, v, self.over(t), self._n)
        except Exception:  # of a hook that takes numbers only, in whatever way it fails
            return False
        if found.shape != v.shape:
            return False
        for i in {0, v.shape[0] // 2, v.shape[0] - 1}:
            expected = dual.prox(v[i, ...], t[i])
            away = reductions.peak(self.xp, found[i, ...] - expected, 0)
            if not bool(away <= 1e3 * self.eps * (1 + reductions.peak(self.xp, expected, 0))):
                return False
        return True


def begin(stack: Stack, x: Any) -> Many:
    """Each problem at the feasible point nearest to its start."""
    xp, like = stack.xp, stack.lam
    x = xp.where(stack.over(xp.isfinite(stack.dual(x))), x, stack.projected(x))
    inside = stack.nearest(stack.wide * x, xp.ones_like(like)) / stack.wide
    x = xp.where(stack.over(xp.isfinite(stack.dual(x))), x, inside)
    zero, one, inf = xp.zeros_like(like), xp.ones_like(like), xp.full_like(like, math.inf)
    no, count = like != like, xp.zeros(like.shape, dtype=xp.int32, device=_xp.device(like))
    empty = xp.zeros_like(x)
    return Many(
        x=x, anchor=x, grad=empty, before=x, low_x=x, m=empty, paired=no, tested=no, L=zero, t=one, mass=zero,
        offset=zero, scale=zero, steps=zero, f=zero, F=inf, start=inf, least=inf, jump=zero, pairs=count, since=count,
        failed=count, stale=count, known=inf, lowest=inf, low=inf, low_f=inf,
        rounding=zero, lower=-inf, origin=zero, nit=count,
        end=count,
    )  # fmt: skip


def advance(
    stack: Stack, s: Many, f: Any, grad: Any, tol: float, atol: float, convex: bool | None, first: bool
) -> tuple[Many, tuple[Any, ...]]:
    """Account for f and its gradient at ``s.x``, and move every problem that has not ended; with a row of history.

    ``first``: nothing was evaluated before. What only a few problems ask for is computed where one does.
    """
    xp, over, x, given = stack.xp, stack.over, s.x, f
    where, running, inf = xp.where, s.end == RUNNING, math.inf

    # what is seen, as in ``Anchored.measure``; numbers that are not finite are put aside
    limit = LARGEST if stack.kind.eps < 1e-12 else math.inf
    usable = xp.isfinite(f) & stack.kind.all(xp.abs(grad) < limit, tuple(range(1, x.ndim)))
    if not bool(xp.all(usable)):
        f, grad = where(usable, f, 0.0), where(over(usable), grad, 0.0)
    if first:
        away = measures.selected(stack, x, grad, stack.wide)
        s = s._replace(L=rule.first(xp, *(stack.inner(a, a) for a in (grad, away, x))))
    share = rule.share(s)
    m = combined(over(1 - share), s.m, over(-share), grad)
    numbers = measures.neighbours(stack, x, m, grad, s.anchor, s.grad, None, lam=stack.wide)
    average = Mean(1.0, s.offset, where(s.mass > 0, s.scale, 0.0), s.steps)
    F, rounding, gap, lower, average, pair = rule.measured(xp, s, f, numbers, average, share, stack.lam, stack.unit)
    good, (_, offset, scale, steps), failed = usable & xp.isfinite(F), average, 0 * s.failed
    fine = bool(xp.all(good))
    if not fine:
        F, gap, lower = where(good, F, inf), where(good, gap, inf), where(usable, lower, -inf)
        offset, scale, steps = where(good, offset, s.offset), where(good, scale, s.scale), where(good, steps, s.steps)
        m, failed = where(over(good), m, s.m), where(good, 0, s.failed + 1)

    # the best so far, and the end
    better = running & (F < s.low)
    low, low_x, rest = where(better, F, s.low), where(over(better), x, s.low_x), where(better, rounding, s.rounding)
    low_f = where(better, f, s.low_f)
    lower = where(running, xp.maximum(s.lower, lower), s.lower)
    origin = where(good & ((abs(F) < s.origin) | (s.origin == 0)), abs(F), s.origin) if first else s.origin
    below = low - lower
    improved, bound = rule.improves(s, below, low), below + rest
    stale = where(improved, 0, s.stale + 1)
    end = where(stale >= rule.STALE, EXHAUSTED, 0 * s.end)
    if not fine:
        end = where(~good & (~s.paired | (failed > rule.RETRIES)), EXHAUSTED, end)
    end = where(rule.is_zero(xp, low, xp.minimum(gap, bound), stale, stack.eps, origin), ZERO, end)
    end = where(rule.reached(gap, F, tol, atol) | rule.reached(bound, low, tol, atol), CERTIFIED, end)
    end = where(good & (bound < -rule.room(low, tol, atol, stack.eps)), CURVES, end)
    if convex is None:
        end = where(good & (average.bends(pair.mx, f, stack.unit) | (s.paired & pair.bends(rounding))), CURVES, end)
    end, row = where(running, end, s.end), (given, numbers[0], F, gap, s.L, pair.apart, bound)
    running = end == RUNNING

    # L from the neighbours
    again = ~good | (s.tested & ~rule.fell(s, F, rounding))
    seen = s.paired & ~again
    L, pairs, least, jump, kinked = rule.learned(xp, s, pair, f, stack.eps)
    L, pairs, least = (where(seen, a, b) for a, b in ((L, s.L), (pairs, s.pairs), (least, s.least)))
    jump = where(s.paired & good, jump, s.jump)
    since = where(F <= low, 0, s.since + 1)
    back = seen & rule.returns(s, F, rounding, since)

    # a step from here, or the last one again, shorter, or back to the best point
    anchor, slope, restart = x, grad, again | back
    rare = bool(xp.any(restart))
    if rare:
        shorter = where(good, rule.shorter(xp, s.L, pair.local(xp)), rule.nearer(xp, s.L, failed))
        L, since = where(again, shorter, where(back, 2 * L, L)), where(again, s.since, where(back, 0, since))
        anchor, slope = where(over(again), s.anchor, x), where(over(again), s.grad, grad)
        f, F = where(again, s.f, f), where(again, s.F, F)
    made = stack.step(anchor, slope, L)
    turned = restart | ((s.t > 1) & (stack.inner(anchor - made, made - s.before) > 0))
    t = where(turned, 1.0, s.t)
    grown, ahead = rule.grown(xp, t)
    following = stack.projected(combined(over(1 + ahead), made, over(-ahead), s.before))
    if not stack.traits.homogeneous:
        following = where(over(xp.isfinite(stack.dual(following))), following, made)
    if rare:
        following, grown = where(over(back), low_x, following), where(restart, 1.0, grown)
    moved, onward = over(running), ~back
    return Many(
        x=where(moved, following, x), anchor=anchor, grad=slope, before=made, low_x=low_x,
        m=where(moved, m, s.m), paired=onward, tested=(ahead == 0) & onward, L=where(running, L, s.L),
        t=grown, mass=where(turned, 0.0, s.mass + s.t), offset=offset, scale=scale, steps=steps, f=f, F=F,
        start=where(t == 1, F, s.start), least=least, jump=jump, pairs=pairs, since=since, failed=failed, stale=stale,
        known=where(improved, below, s.known), lowest=where(improved, low, s.lowest), low=low, low_f=low_f,
        rounding=rest, lower=lower, origin=origin, nit=where(running, s.nit + 1, s.nit),
        end=where(running & seen & kinked, KINKED, where(running & seen & (s.nit >= rule.PATIENT), SLOW, end)),
    ), row  # fmt: skip
