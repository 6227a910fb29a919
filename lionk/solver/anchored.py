"""The anchored rule: accelerated proximal steps on anchored K, with nothing to tune.

For an anchor y and ``mu = L/lam``, ``K_y* = K* + (mu/2) |. - lam y|^2`` is a member of the family,
``K.moreau(mu).shift(mu lam y)`` up to a constant, and the step of Lion-K on it with ``lr lam = 1``, readout -g, is

    x' = dK_y(-g)/lam = prox_{K*/mu}(lam y - g/mu)/lam = argmin_z <g, z> + (L/2) |z - y|^2 + K*(lam z)/lam,

the proximal gradient step of F. f is evaluated at the extrapolated points only, projected onto the closure of dom K*
so that the gap holds there, and L is taken from neighbours: ``|g - g'|^2 / (2 (f' - f - <g, y' - y>))``, which for a
convex f with an L-Lipschitz gradient is at most L. Beck, Teboulle 2009 (the momentum); O'Donoghue, Candes 2015 (the
restart); the rest is derived here, by experiment.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..arrays.containers import is_container, scaled, tree_map
from ..errors import NotAvailable
from ..functions.bound import bound
from ..theory.anchored import AnchoredRecord, certificate_of_anchored, optimality, rounding_of_step
from ..theory.certificate import ROUNDING, Certificate
from ..theory.lower_bound import CURVED, below, magnitude, rounding_unit
from . import measures
from .bundle import Bundle
from .method import Method, Seen
from .state import AnchoredState

FIRST = 1 / 3  # of the way to the point that -g selects: the length of the first step
RISE = 1.5  # L grows where a neighbour shows more than so many times it,
STEEPEST = 2.0  # but by no more than so much at once,
FALL = 0.8  # and falls by this elsewhere,
DROP = 0.1  # or by this where a neighbour shows less than so many times it:
FLAT = 1e-4
LEARNING = 2  # pairs of neighbours that set L at once
GAIN = 0.1  # of L |x' - y|^2: what a steady step must gain
KINK = 30.0  # times the smallest L, while the gradient jumps as far as ever: f has kinks
PATIENCE = 30  # evaluations without a smaller F, then back to the best point
STALE = 100  # evaluations in which neither F nor its bound improves: rounding ends the run,
SETTLED = 10  # and these do where F is 0 to rounding
RETRIES = 60  # evaluations in a row that are not finite


class Pair(NamedTuple):
    """The point of the run beside the anchor that it was made from."""

    gx: float  # <g, x>
    bregman: float  # f(anchor) - f(x) - <g, anchor - x>, >= 0 for convex f
    terms: float  # the magnitudes in it
    jump: float  # |g - g'|^2
    apart: float  # |x - anchor|^2


class Anchored(Method):
    """``fast`` steps, ``steady`` ones where f is not convex, and the ``bundle`` where it has kinks."""

    def __init__(self, run: Any, memory: int) -> None:
        super().__init__(run)
        K = run.opt.K
        self.K, self.bound = run.backend.bind(K, run.now.x), bound(K, run.now.x)
        self.dual = K.conjugate
        self.unit, self.slack = rounding_unit(K, run.now.x), run.tolerance(0.0)
        self.bundle = Bundle(self, memory)
        self._fresh: Any = None  # the average of gradients with that of the point in it, and its pair

    @property
    def state(self) -> AnchoredState:
        state = self.run.now.rule
        assert isinstance(state, AnchoredState)
        return state

    @property
    def record(self) -> AnchoredRecord:
        record = self.run.now.record
        assert isinstance(record, AnchoredRecord)
        return record

    def numbers(self, function: Any, *args: Any) -> tuple[float, ...]:
        found: tuple[float, ...] = self.run.backend.numbers(function, self.K, *args, lam=self.run.lam)
        return found

    # -- points --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """From the feasible point nearest to x0."""
        now = self.run.now
        now.x = now.best_x = now.low_x = self.nearest(now.x)
        if self.run.convex is False:
            self.state.mode = "steady"

    def nearest(self, x: Any) -> Any:
        """The feasible point nearest to x."""
        if not self.dual_is_finite(x):
            x = self.projected(x)
        if not self.dual_is_finite(x):
            x = scaled(self.dual.prox(scaled(x, self.run.lam), 1.0), 1 / self.run.lam)
        return self.run.backend.synchronize(x)

    def dual_is_finite(self, x: Any) -> bool:
        return math.isfinite(self.numbers(measures.conjugate, x, self.slack)[0])

    def projected(self, x: Any) -> Any:
        try:
            return scaled(self.dual.domain.project(scaled(x, self.run.lam)), 1 / self.run.lam)
        except NotAvailable:
            return x

    def prox(self, anchor: Any, slope: Any, L: float) -> Any:
        """``argmin <slope, z> + (L/2) |z - anchor|^2 + K*(lam z)/lam``."""
        lam = self.run.lam
        moved = combined(lam, anchor, -lam / L, slope)
        return scaled(self.bound.conjugate.prox(moved, lam / L), 1 / lam)

    # -- what is seen --------------------------------------------------------------------------------------------

    def measure(self, point: Any) -> Seen:
        now, s, lam, f = self.run.now, self.state, self.run.lam, point.f
        lr = 1 / s.L if s.L > 0 else 0.0
        if not point.finite:
            return Seen(f, math.inf, math.inf, math.inf, 0.0, lr)
        m, average, before, share = now.m, now.average, None, 0.0
        if s.mode != "bundle":
            share, before = s.t / (s.mass + s.t), now.kept.get("anchor")
            m = combined(1 - share, m, -share, point.grad)
        last = None if before is None else now.kept["grad"]
        dual, gx, gg, size, K_g, K_m, mx, jump, turn, apart = self.numbers(
            measures.neighbours, now.x, m, point.grad, before, last, self.slack
        )
        scale = magnitude(f, gg, size, K_g, lam)
        if s.mode != "bundle":
            average = average.then(1 - share, share, f - gx, scale)
        F, rounding = f + dual / lam, self.unit * (abs(f) + abs(dual) / lam)
        lower = max(below(f - gx, scale, K_g / lam, self.unit), average.bound(K_m, lam, self.unit))
        pair = Pair(gx, s.f - f - turn, abs(s.f - f) + abs(turn), jump, apart)
        self._fresh = m, average, pair, average.bends(mx, f, self.unit)
        distance = 0.0
        if not math.isfinite(F):
            distance = self.run.backend.numbers(measures.distance, self.run.opt.K, now.x, lam=lam)[0]
        return Seen(f, F, F - f + gx + K_g / lam, F + s.L / 2 * apart, distance, lr, lower, rounding)

    def exhausted(self, seen: Seen) -> str | None:  # noqa: ARG002  (others look)
        now = self.run.now
        if self.state.stale >= STALE:
            return f"neither F nor its bound improved in {STALE} evaluations; best gap {now.best_gap:.3g}"
        return None

    # -- the next point ------------------------------------------------------------------------------------------

    def advance(self, point: Any, seen: Seen) -> None:
        now, s = self.run.now, self.state
        if not math.isfinite(seen.objective):
            self._retreat(point, seen)
            return
        now.m, now.average, pair, below = self._fresh
        s.failed, s.mass = 0, s.mass + s.t
        s.stale = self._stale(s)
        known = "anchor" in now.kept and s.mode != "bundle"
        bent = below or (known and pair.bregman < -CURVED * pair.terms - 8 * seen.rounding)
        if bent and self.run.convex is None and not now.not_convex:
            now.not_convex, self.record.not_convex = True, now.count
            self.restart("steady")
        elif s.mode == "bundle":
            self.bundle.advance(point, seen.objective, pair.gx)
        elif not s.tested or self._fell(seen, pair):
            self._steer(point, seen, pair, known)
        now.x, now.m = self.run.backend.synchronize((now.x, now.m))

    def _stale(self, s: AnchoredState) -> int:
        now = self.run.now
        gap = now.best_gap if now.not_convex or self.run.convex is False else now.low - now.lower
        if gap < 0.999 * s.known or now.low < s.lowest - 1e-9 * abs(s.lowest):
            s.known, s.lowest = min(gap, s.known), min(now.low, s.lowest)
            return 0
        return s.stale + 1

    def _fell(self, seen: Seen, pair: Pair) -> bool:
        """Did F fall by the plain step that led here? If not, a shorter one is made."""
        s, record = self.state, self.record
        record.compared += 1
        gain = GAIN * s.L * pair.apart if s.mode == "steady" else 0.0
        if seen.objective <= s.F - gain + 2 * seen.rounding:
            return True
        record.taken_back += 1
        local = pair.jump / (2 * pair.bregman) if pair.bregman > 0 else 0.0
        self._shorter(min(max(local, 2 * s.L), 100 * s.L))
        return False

    def _retreat(self, point: Any, seen: Seen) -> None:
        """f or K* is not finite at the point of the run."""
        now, s = self.run.now, self.state
        s.failed += 1
        if s.mode == "bundle" and s.failed <= RETRIES:
            self.bundle.retreat()
        elif "anchor" not in now.kept or s.failed > RETRIES:
            if not point.finite:
                self.run.refuse(point.f, point.grad)
            s.stale = STALE
        else:
            self.record.outside += point.finite and seen.distance > 0
            self._shorter((4.0 if s.failed < 4 else 64.0) * s.L)

    def _shorter(self, L: float) -> None:
        """A plain step from the anchor, with a larger L."""
        now, s = self.run.now, self.state
        s.L, s.t, s.mass, s.tested, s.start = L, 1.0, 0.0, True, s.F
        now.x = now.kept["before"] = self._made(now.kept["anchor"], now.kept["grad"])

    def restart(self, mode: str) -> None:
        """At the best point, where f is evaluated again."""
        now, s = self.run.now, self.state
        s.mode, s.t, s.mass, s.tested, s.start, s.since = mode, 1.0, 0.0, False, math.inf, 0
        now.x, now.kept = now.low_x, {}
        self.record.restarts += 1

    def _steer(self, point: Any, seen: Seen, pair: Pair, known: bool) -> None:
        now, s = self.run.now, self.state
        F = seen.objective
        s.since = 0 if now.low >= F else s.since + 1
        if s.L == 0:
            s.L = self.first(now.x, point.grad)
        elif known:
            self._learn(seen, pair)
        if s.mode == "fast" and known:
            s.jump = max(s.jump, pair.jump)
            if s.pairs >= LEARNING:
                s.least = min(s.least, s.L)
            if s.L > KINK * s.least and pair.jump > 0.01 * s.jump and self.bundle.possible:
                self.record.kinked = now.count
                self.bundle.start(point, pair.gx)
                return
            if (s.t > 2 and F > s.start + 2 * seen.rounding) or s.since > PATIENCE:
                s.L *= 2
                self.restart("fast")
                return
        before, anchor = now.kept.get("before", now.x), now.x
        s.f, s.F = point.f, F
        now.kept = {"anchor": anchor, "grad": point.grad}
        x = self._made(anchor, point.grad)
        now.kept["before"] = x
        if s.mode == "steady" or (s.t > 1 and self.run.backend.numbers(measures.turned, anchor, x, before)[0] > 0):
            s.t, s.mass = 1.0, 0.0
        if s.t == 1:
            s.start = F
        grown = (1 + math.sqrt(1 + 4 * s.t * s.t)) / 2
        ahead = (s.t - 1) / grown
        s.t, s.tested = (1.0 if s.mode == "steady" else grown), ahead == 0
        now.x = self._ahead(x, before, ahead) if ahead else x

    def _ahead(self, x: Any, before: Any, by: float) -> Any:
        """Extrapolated, and feasible."""
        y = combined(1 + by, x, -by, before)
        y = self.projected(y)
        if not self.run.opt.K.traits.homogeneous and not self.dual_is_finite(y):
            return x
        return y

    def _made(self, anchor: Any, slope: Any) -> Any:
        """The plain step from an anchor, which the certificate checks."""
        x = self.run.backend.synchronize(self.prox(anchor, slope, self.state.L))
        self.check(x, anchor, slope)
        return x

    def check(self, x: Any, anchor: Any, slope: Any) -> None:
        if not self.run.certify:
            return
        residual, scale = self.numbers(optimality, x, anchor, slope, self.state.L, self.slack)
        if math.isfinite(residual):
            if abs(residual) > ROUNDING * self.run.eps * scale:
                scale += self.numbers(rounding_of_step, x, anchor, slope, self.state.L)[0]
            record = self.record
            record.exact, record.excess = record.exact + 1, max(record.excess, abs(residual) / (scale or 1.0))

    def first(self, x: Any, grad: Any) -> float:
        """L of the first step."""
        g, away, size = self.numbers(measures.reach, x, grad)
        length = math.sqrt(away) if 0 < away < math.inf else max(math.sqrt(size), 1.0)
        return math.sqrt(g) / (FIRST * length) if 0 < g < math.inf else 1.0

    def _learn(self, seen: Seen, pair: Pair) -> None:
        """L from the point and the anchor before it."""
        s = self.state
        if s.mode == "steady":
            local = math.sqrt(pair.jump / pair.apart) if pair.apart > 0 else s.L
            s.L = min(max(local, s.L / 4), 4 * s.L) or s.L
            return
        if pair.jump > 0 and not pair.bregman > 8 * self.run.eps * (abs(seen.f) + abs(s.f)):
            return  # rounding hides it
        local = pair.jump / (2 * pair.bregman) if pair.jump > 0 else 0.0
        s.pairs += 1
        if s.pairs <= LEARNING and local > 0:
            s.L = max(local, 0.01 * s.L)
        elif local > RISE * s.L:
            s.L = min(local, STEEPEST * s.L)
        else:
            s.L *= DROP if 0 < local < FLAT * s.L else FALL

    def certificate(self, **numbers: Any) -> Certificate:
        run = self.run
        return certificate_of_anchored(run.opt.K, self.record, run.lam, convex=run.convex, **numbers)


def combined(a: float, x: Any, b: float, y: Any) -> Any:
    """``a x + b y``"""
    return tree_map(lambda u, v: a * u + b * v, x, y) if is_container(x) else a * x + b * y
