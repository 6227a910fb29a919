"""What the anchored rule decides, each decision in one text for one problem and for many.

The numbers of a run are floats, or arrays with an entry for each of many problems; ``xp`` is ``arrays.plain`` or the
library of the arrays. Nothing here branches on a number, and nothing moves: ``anchored`` and ``many`` do. ``s`` is the
state of the rule, ``AnchoredState`` or ``Many``.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..theory.lower_bound import CURVED, Average, below, magnitude
from ..theory.record import ROUNDING

FIRST = 1 / 3  # of the way to the point that -g selects: the length of the first step
RISE = 1.5  # L grows where a neighbour shows more than so many times it,
STEEPEST = 2.0  # but by no more than so much at once,
FALL = 0.8  # and falls by this elsewhere,
DROP = 0.1  # or by this where a neighbour shows less than so many times it:
FLAT = 1e-4
GAIN = 0.1  # of L |x' - y|^2: what a steady step must gain
LEARNING = 2  # pairs of neighbours that set L at once
KINK = 30.0  # times the smallest L, while the gradient jumps as far as ever: f has kinks.
FADE = 0.9  # A step too long may show a jump that no other comes near to; so much of the largest is left at the next
PATIENCE = 30  # evaluations without a smaller F, then back to the best point
DUE = 30  # evaluations between looks at the proven gap:
SLOW = 0.1  # steps are slow if it is still more than so much of what it was, and so is L
PATIENT = 480  # evaluations of many problems at once, after which a slow one is solved alone
STALE = 100  # evaluations in which neither F nor its bound improves: rounding ends the run,
SETTLED = 10  # and these do where F is 0 to rounding
RETRIES = 60  # evaluations in a row that are not finite


class Pair(NamedTuple):
    """The point of the run beside the anchor that it was made from."""

    gx: Any  # <g, x>
    mx: Any  # <m, x>, of the average
    bregman: Any  # f(anchor) - f(x) - <g, anchor - x>, >= 0 for convex f
    terms: Any  # the magnitudes in it
    jump: Any  # |g - g'|^2
    apart: Any  # |x - anchor|^2

    def bends(self, rounding: Any) -> Any:
        """Is f seen to lie below a tangent of its own?"""
        return self.bregman < -CURVED * self.terms - 8 * rounding

    def local(self, xp: Any) -> Any:
        """L between the two: for a convex f with an L-Lipschitz gradient at most L; 0 where nothing is seen."""
        return self.jump / xp.where(self.bregman > 0, 2 * self.bregman, math.inf)


def share(s: Any) -> Any:
    """Of the gradient at hand in the average since the last restart."""
    return s.t / (s.mass + s.t)


def measured(
    xp: Any, s: Any, f: Any, numbers: tuple[Any, ...], average: Average, part: Any, lam: Any, unit: float
) -> tuple[Any, ...]:  # fmt: skip
    """F, its rounding, the gap G/lam, a lower bound of min F, the average with this gradient, and the pair: from what
    ``measures.neighbours`` computes.

    ``part`` is the share of this gradient in the average; None leaves that as it is.
    """
    dual, gx, gg, size, K_g, K_m, mx, jump, turn, apart = numbers
    scale = magnitude(f, gg, size, K_g, lam, xp)
    if part is not None:
        average = average.then(1 - part, part, f - gx, scale)
    F, rounding = f + dual / lam, unit * (abs(f) + abs(dual) / lam)
    lower = xp.maximum(below(f - gx, scale, K_g / lam, unit), average.bound(K_m, lam, unit, xp))
    fall = s.f - f
    pair = Pair(gx, mx, fall - turn, abs(fall) + abs(turn), jump, apart)
    return F, rounding, F - f + gx + K_g / lam, lower, average, pair


def improves(s: Any, gap: Any, low: Any) -> Any:
    """Has F, or F less its lower bound, fallen by more than rounding since one of them last did?"""
    return (gap < 0.999 * s.known) | (low + 1e-9 * abs(low) < s.lowest)


def reached(gap: Any, F: Any, tol: float, atol: float) -> Any:
    """Is the gap as small as was asked for?"""
    return (gap < math.inf) & (gap <= atol + (tol and tol * abs(F)))


def room(low: Any, tol: float, atol: float, eps: float) -> Any:
    """How far below 0 a bound may be by what is asked for, and by rounding in f that nobody sees."""
    return atol + max(tol, math.sqrt(eps)) * abs(low)


def is_zero(xp: Any, low: Any, gap: Any, stale: Any, eps: float, scale: Any) -> Any:
    """Is F 0 to the rounding of ``scale``, with more of it once neither F nor its bound improves?"""
    return xp.maximum(abs(low), gap) <= xp.where(stale >= SETTLED, ROUNDING * eps * scale, eps * scale)


def first(xp: Any, gg: Any, away: Any, size: Any) -> Any:
    """L of the first step, from ``measures.reach``."""
    reachable, steep = (away > 0) & (away < math.inf), (gg > 0) & (gg < math.inf)
    length = xp.sqrt(xp.where(reachable, away, xp.maximum(size, 1.0)))
    return xp.where(steep, xp.sqrt(gg) / (FIRST * length), 1.0)


def learned(xp: Any, s: Any, pair: Pair, f: Any, eps: float) -> tuple[Any, ...]:
    """L from neighbours, as it is where rounding hides it; how many pairs there were, the smallest L, the largest jump,
    and whether f has kinks: L has grown, and the gradient jumps as far as ever.
    """
    where, local = xp.where, pair.local(xp)
    seen = (pair.jump == 0) | (pair.bregman > 8 * eps * (abs(f) + abs(s.f)))
    fallen = where((local > 0) & (local < FLAT * s.L), DROP * s.L, FALL * s.L)
    risen = where(local > RISE * s.L, xp.minimum(local, STEEPEST * s.L), fallen)
    L = where((s.pairs < LEARNING) & (local > 0), xp.maximum(local, 0.01 * s.L), risen)
    L, pairs, jump = where(seen, L, s.L), where(seen, s.pairs + 1, s.pairs), jumped(xp, s, pair)
    least = where(pairs >= LEARNING, xp.minimum(s.least, L), s.least)
    return L, pairs, least, jump, (L > KINK * least) & (pair.jump > 0.01 * jump)


def jumped(xp: Any, s: Any, pair: Pair) -> Any:
    """How far the gradient jumps, ``|g - g'|^2``: at these neighbours, whether or not F fell, or at those before."""
    return xp.maximum(FADE * s.jump, pair.jump)


def steady(L: float, pair: Pair) -> float:
    """L where f is not convex: by the gradients alone."""
    local = math.sqrt(pair.jump / pair.apart) if pair.apart > 0 else L
    return min(max(local, L / 4), 4 * L) or L


def fell(s: Any, F: Any, rounding: Any, gain: Any = 0.0) -> Any:
    """Did F fall by the plain step that led here? If not, a shorter one is made."""
    return F <= s.F - gain + 2 * rounding


def shorter(xp: Any, L: Any, local: Any) -> Any:
    """L of a step that is made again because F did not fall."""
    return xp.minimum(xp.maximum(local, 2 * L), 100 * L)


def nearer(xp: Any, L: Any, failed: Any) -> Any:
    """L of a step that is made again because f or K* was not finite, so many times in a row."""
    return xp.where(failed < 4, 4 * L, 64 * L)


def returns(s: Any, F: Any, rounding: Any, since: Any) -> Any:
    """Back to the best point? F is above where the momentum began, or has not been smaller for long."""
    return ((s.t > 2) & (F > s.start + 2 * rounding)) | (since > PATIENCE)


def grown(xp: Any, t: Any) -> tuple[Any, Any]:
    """The count of the momentum after t, and how far to extrapolate (Beck, Teboulle 2009)."""
    following = (1 + xp.sqrt(1 + 4 * t * t)) / 2
    return following, (t - 1) / following
