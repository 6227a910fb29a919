"""Many problems as one: the anchored rule on a stack, with L, momentum, restarts and end of its own for each problem.

The numbers of a problem are entries of arrays of shape (B,), and what ``anchored`` decides by branches is chosen by
``where``, so that one array program moves all problems. Each makes the steps that it would make alone.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.containers import SHORT
from ..errors import NotAvailable
from ..theory.certificate import ROUNDING
from ..theory.lower_bound import CURVED, rounding_unit
from .anchored import DROP, FALL, FIRST, FLAT, KINK, LEARNING, PATIENCE, RETRIES, RISE, SETTLED, STALE, STEEPEST

RUNNING, CERTIFIED, ZERO, EXHAUSTED, CURVES, KINKED = range(6)


class Many(NamedTuple):
    """The problems at an iterate: arrays of shape (B, ...) like x, and of shape (B,)."""

    x: Any
    anchor: Any
    grad: Any  # at the anchor
    before: Any
    low_x: Any
    m: Any  # the average of minus the gradients since the last restart
    known: Any  # bool: is there an anchor?
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
    best: Any  # F less its lower bound, and
    lowest: Any  # F, when one of them last improved
    low: Any
    rounding: Any
    lower: Any
    origin: Any  # |F| at the first point, or at the feasible one nearest to 0 where it is smaller and not 0
    nit: Any
    end: Any


class Stack:
    """K and the weight decays of B problems, with hooks that take all of them."""

    def __init__(self, K: Any, x: Any, lam: Any) -> None:
        self.K, self.dual, self.lam = K, K.conjugate, lam
        kind, _, stacked = K._read(x[0, ...], "x0")
        self.xp, self.axes, self.eps, self.real = kind.xp, 1 + stacked, kind.eps, kind.real
        self.slack = 8 * kind.eps * math.sqrt(max(_xp.event_size(x, 1), 1))
        self.unit = rounding_unit(K, x[0, ...])
        self.together: bool | None = True if K.by_entry else None  # does its prox take a step for each problem?

    def over(self, a: Any, x: Any) -> Any:
        return _xp.spread(self.xp, a, x)

    def inner(self, a: Any, b: Any) -> Any:
        if a.ndim == 2 and a.shape[1] <= SHORT and self.real:  # by the library's own product, which costs less
            return self.xp.vecdot(a, b)
        return reductions.inner(self.xp, a, b, 1)

    def value(self, K: Any, x: Any) -> Any:
        return reductions.total(self.xp, K._value(self.xp, x, self.axes, self.slack), 1)

    def conjugate(self, x: Any) -> Any:
        """``K*(lam x)/lam``"""
        return self.value(self.dual, self.over(self.lam, x) * x) / self.lam

    def projected(self, x: Any) -> Any:
        lam = self.over(self.lam, x)
        try:
            return self.dual.domain._project(self.xp, lam * x, self.axes) / lam
        except NotAvailable:
            return x

    def away(self, x: Any, grad: Any) -> Any:
        """From x to the point that -grad selects."""
        return self.K._subgradient(self.xp, -grad, self.axes) / self.over(self.lam, x) - x

    def prox(self, anchor: Any, slope: Any, L: Any) -> Any:
        """``argmin <slope, z> + (L/2) |z - anchor|^2 + K*(lam z)/lam``, each problem with its L."""
        lam = self.over(self.lam, anchor)
        return self._prox(lam * (anchor - slope / self.over(L, anchor)), self.lam / L) / lam

    def _prox(self, v: Any, t: Any) -> Any:
        if self.K.traits.homogeneous:  # a projection, whatever the step
            return self.dual._prox(self.xp, v, 1.0, self.axes)
        if self.together is None:  # asked once, with steps that differ
            probe = t * (1 + self.xp.arange(t.shape[0], dtype=t.dtype, device=_xp.device(t)) / t.shape[0])
            self.together = self._agrees(v, probe)
        if self.together:
            return self.dual._prox(self.xp, v, self.over(t, v), self.axes)
        return self.xp.stack([self.dual.prox(v[i, ...], t[i]) for i in range(v.shape[0])])

    def _agrees(self, v: Any, t: Any) -> bool:
        """On the first, the middle and the last problem."""
        try:
            found = self.dual._prox(self.xp, v, self.over(t, v), self.axes)
        except Exception:  # of a hook that takes numbers only, in whatever way it fails
            return False
        if found.shape != v.shape:
            return False
        for i in {0, v.shape[0] // 2, v.shape[0] - 1}:
            expected = self.dual.prox(v[i, ...], t[i])
            away = reductions.peak(self.xp, found[i, ...] - expected, 0)
            if not bool(away <= 1e3 * self.eps * (1 + reductions.peak(self.xp, expected, 0))):
                return False
        return True


def begin(stack: Stack, x: Any) -> Many:
    """Each problem at the feasible point nearest to its start."""
    xp, like = stack.xp, stack.lam
    finite = xp.isfinite(stack.conjugate(x))
    x = xp.where(stack.over(finite, x), x, stack.projected(x))
    finite = xp.isfinite(stack.conjugate(x))
    inside = stack._prox(stack.over(stack.lam, x) * x, xp.ones_like(like)) / stack.over(stack.lam, x)
    x = xp.where(stack.over(finite, x), x, inside)
    zero, one, inf = xp.zeros_like(like), xp.ones_like(like), xp.full_like(like, math.inf)
    no, count = like != like, xp.zeros(like.shape, dtype=xp.int32, device=_xp.device(like))
    empty = xp.zeros_like(x)
    return Many(
        x=x, anchor=x, grad=empty, before=x, low_x=x, m=empty, known=no, tested=no, L=zero, t=one, mass=zero,
        offset=zero, scale=zero, steps=zero, f=zero, F=inf, start=inf, least=inf, jump=zero, pairs=count, since=count,
        failed=count, stale=count, best=inf, lowest=inf, low=inf, rounding=zero, lower=-inf, origin=zero, nit=count,
        end=count,
    )  # fmt: skip


def advance(stack: Stack, s: Many, f: Any, grad: Any, tol: float, atol: float, convex: bool | None) -> Any:
    """Account for f and its gradient at ``s.x``, and move every problem that has not ended; with a row of history."""
    xp, lam, unit, inner, over = stack.xp, stack.lam, stack.unit, stack.inner, stack.over
    x, where, finite = s.x, xp.where, xp.isfinite
    running, dual = s.end == RUNNING, stack.conjugate(x)
    good = finite(f) & finite(dual) & xp.all(finite(grad), axis=tuple(range(1, x.ndim)))
    f, dual = where(good, f, 0.0), where(good, dual, 0.0)  # numbers that are not finite are put aside
    grad = where(over(good, x), grad, 0.0)

    # what is seen, as in ``Anchored.measure``
    share = s.t / (s.mass + s.t)
    m = over(1 - share, x) * s.m - over(share, x) * grad
    gx, mx = inner(grad, x), inner(m, x)
    K_g, K_m = stack.value(stack.K, -grad), stack.value(stack.K, m)
    scale = xp.abs(f) + xp.sqrt(inner(grad, grad) * inner(x, x)) + where(finite(K_g), xp.abs(K_g), 0.0) / lam
    offset, total = (1 - share) * s.offset + share * (f - gx), (1 - share) * s.scale + share * scale
    change, move = grad - s.grad, s.anchor - x
    jump, turn, apart = inner(change, change), inner(grad, move), inner(move, move)
    F, rounding = where(good, f + dual, math.inf), unit * (xp.abs(f) + xp.abs(dual))
    steps = (1 - share) * s.steps + 1

    def bound(offset: Any, dual: Any, scale: Any, steps: Any) -> Any:
        found = offset - dual - unit * (1 + steps / 8) * (scale + xp.abs(dual))
        return where(good & finite(found), found, -math.inf)

    gap = where(good, dual + gx + K_g / lam, math.inf)
    one, average = bound(f - gx, K_g / lam, scale, 0.0), bound(offset, K_m / lam, total, steps)
    lower = xp.maximum(s.lower, xp.maximum(one, average))
    lower = where(running, lower, s.lower)
    better = running & good & (F < s.low)
    low, low_x = where(better, F, s.low), where(over(better, x), x, s.low_x)
    low_rounding = where(better, rounding, s.rounding)
    origin = where(good & (s.nit == 0) & ((xp.abs(F) < s.origin) | (s.origin == 0)), xp.abs(F), s.origin)
    momentum_gap = low - lower + low_rounding
    bregman = s.f - f - turn
    terms = xp.abs(s.f - f) + xp.abs(turn)
    bent = offset - mx - f > CURVED * (xp.abs(f) + xp.abs(mx)) + unit * total
    bent = good & (bent | (s.known & (bregman < -CURVED * terms - 8 * rounding))) & (convex is None)
    improved = (low - lower < 0.999 * s.best) | (low * (1 + 1e-9 * xp.sign(low)) < s.lowest)
    stale = where(improved, 0, s.stale + 1)
    zero = where(stale >= SETTLED, ROUNDING * stack.eps * origin, stack.eps * origin)
    end = where(bent, CURVES, 0 * s.end)
    end = where((stale >= STALE) | (~good & (~s.known | (s.failed >= RETRIES))), EXHAUSTED, end)
    end = where((xp.abs(low) <= zero) & (xp.minimum(gap, momentum_gap) <= zero), ZERO, end)
    reached = (good & (gap <= atol + tol * xp.abs(F))) | (momentum_gap <= atol + tol * xp.abs(low))
    end = where(running, where(reached & ~bent, CERTIFIED, end), s.end)
    row = f, dual, F, gap, F + s.L / 2 * apart, 0 * f, where(s.L > 0, 1 / where(s.L > 0, s.L, 1.0), 0.0), momentum_gap
    running = end == RUNNING

    # a plain step, shorter: f is not finite, or F did not fall
    fell = ~s.tested | (F <= s.F + 2 * rounding)
    local = where((jump > 0) & (bregman > 0), jump / where(bregman > 0, 2 * bregman, 1.0), 0.0)
    shorter = xp.minimum(xp.maximum(local, 2 * s.L), 100 * s.L)
    shorter = where(good, shorter, where(s.failed < 3, 4 * s.L, 64 * s.L))
    again = ~good | ~fell

    # L from the neighbours, as in ``Anchored._learn``
    begun = s.L > 0
    first = s.L if bool(xp.all(begun)) else _first(stack, x, grad)
    hidden = (jump > 0) & ~(bregman > 8 * stack.eps * (xp.abs(f) + xp.abs(s.f)))
    seen = s.known & ~again
    learns = seen & begun & ~hidden
    pairs = where(learns, s.pairs + 1, s.pairs)
    fall = where((local > 0) & (local < FLAT * s.L), DROP * s.L, FALL * s.L)
    later = where(local > RISE * s.L, xp.minimum(local, STEEPEST * s.L), fall)
    learned = where((pairs <= LEARNING) & (local > 0), xp.maximum(local, 0.01 * s.L), later)
    L = where(begun, where(learns, learned, s.L), first)
    most = where(seen, xp.maximum(s.jump, jump), s.jump)
    least = where(seen & (pairs >= LEARNING), xp.minimum(s.least, L), s.least)
    kinked = seen & (L > KINK * least) & (jump > 0.01 * most)
    since = where(again, s.since, where(F <= low, 0, s.since + 1))
    back = seen & (((s.t > 2) & (F > s.start + 2 * rounding)) | (since > PATIENCE))
    L = where(back, 2 * L, where(again, shorter, L))

    # the step, from the anchor before where it is made again
    anchor = where(over(again, x), s.anchor, x)
    slope = where(over(again, x), s.grad, grad)
    made = stack.prox(anchor, slope, where(L > 0, L, 1.0))
    restart = again | back | ((s.t > 1) & (inner(anchor - made, made - s.before) > 0))
    t = where(restart, 1.0, s.t)
    grown = (1 + xp.sqrt(1 + 4 * t * t)) / 2
    ahead = where(again | back, 0.0, (t - 1) / grown)
    extrapolated = stack.projected(made + over(ahead, x) * (made - s.before))
    if not stack.K.traits.homogeneous:
        extrapolated = where(over(finite(stack.conjugate(extrapolated)), x), extrapolated, made)
    following = where(over(ahead > 0, x), extrapolated, made)
    following = where(over(back, x), low_x, following)
    mass = where(restart, 0.0, s.mass + s.t)

    moved = Many(
        x=following, anchor=anchor, grad=slope, before=made, low_x=low_x, m=where(over(good, x), m, s.m), known=~back,
        tested=(ahead == 0) & ~back, L=L, t=where(again | back, 1.0, grown), mass=mass,
        offset=where(good, offset, s.offset), scale=where(good, total, s.scale), steps=where(good, steps, s.steps),
        f=where(again, s.f, f), F=where(again, s.F, F),
        start=where(back, math.inf, where(again, s.F, where(t == 1, F, s.start))), least=least, jump=most, pairs=pairs,
        since=where(back, 0, since), failed=where(good, 0, s.failed + 1), stale=stale,
        best=where(improved, xp.minimum(low - lower, s.best), s.best), lowest=where(improved, low, s.lowest),
        low=low, rounding=low_rounding, lower=lower, origin=origin, nit=s.nit + 1, end=end,
    )  # fmt: skip
    kinks = where(running & kinked, KINKED, end)
    if bool(xp.all(running)):
        return moved._replace(end=kinks), row
    final = ("low_x", "low", "rounding", "lower", "origin")
    kept = {
        name: where(over(running, new), new, old) if name not in final else new
        for name, new, old in zip(Many._fields, moved, s, strict=True)
    }
    return Many(**{**kept, "end": kinks}), row


def _first(stack: Stack, x: Any, grad: Any) -> Any:
    """L of the first step, as in ``Anchored.first``."""
    xp, where = stack.xp, stack.xp.where
    reach = stack.away(x, grad)
    length, size, steep = stack.inner(reach, reach), stack.inner(x, x), xp.sqrt(stack.inner(grad, grad))
    size = xp.maximum(xp.sqrt(size), xp.ones_like(size))
    length = where(xp.isfinite(length) & (length > 0), xp.sqrt(length), size)
    return where(xp.isfinite(steep) & (steep > 0), steep / (FIRST * length), 1.0)
