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
from typing import Any

from ..arrays import plain
from ..arrays.containers import is_container, leaves, scaled
from ..functions.bound import bound
from ..theory.anchored import AnchoredRecord, certificate_of_anchored, optimality, rounding_of_step
from ..theory.certificate import Certificate
from ..theory.lower_bound import Average
from ..theory.objective import nearest_feasible
from ..theory.record import ROUNDING
from . import measures, rule
from .bundle import Bundle
from .combined import combined
from .evaluation import in_range
from .method import Method, Seen
from .secants import Secants
from .state import AnchoredState


class Anchored(Method):
    """``fast`` steps; ``secants`` where these are slow, ``steady`` if f is not convex, the ``bundle`` for kinks."""

    def __init__(self, run: Any, memory: int) -> None:
        super().__init__(run)
        K = run.opt.K
        self.K, self.bound = run.backend.bind(K, run.now.x), bound(K, run.now.x)
        self.dual = K.conjugate
        self.slack = run.tolerance(0.0)
        self.bundle, self.secants = Bundle(self, memory), Secants(self, memory)
        self._usable = True  # are f, its gradient and the squares of gradients finite?
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
        return nearest_feasible(self.run.opt.K, x, self.run.lam)

    def prox(self, anchor: Any, slope: Any, L: float) -> Any:
        """``argmin <slope, z> + (L/2) |z - anchor|^2 + K*(lam z)/lam``."""
        lam = self.run.lam
        moved = combined(lam, anchor, -lam / L, slope)
        return scaled(self.bound.conjugate.prox(moved, lam / L), 1 / lam)

    # -- what is seen --------------------------------------------------------------------------------------------

    def measure(self, point: Any) -> Seen[float]:
        now = self.run.now
        seen = self._measured(point)
        self.run.note(now, now.count, [now.x], [now.m], [now.average], Seen(*[[v] for v in seen]))
        return seen

    def _measured(self, point: Any) -> Seen[float]:
        now, s, lam, f, g = self.run.now, self.state, self.run.lam, point.f, point.grad
        lr = 1 / s.L if s.L > 0 else 0.0
        self._usable = bool(point.finite) and (all(map(in_range, leaves(g))) if is_container(g) else in_range(g))
        if not self._usable:
            return _nowhere(f, lr)
        m, average, before, share = now.m, now.average, None, None
        if s.mode != "bundle":
            share, before = rule.share(s), now.kept.get("anchor")
            m = combined(1 - share, m, -share, g)
            average = average if s.mass else Average()
        last = None if before is None else now.kept["grad"]
        numbers = self.numbers(measures.neighbours, now.x, m, g, before, last, self.slack)
        self._usable = numbers[2] + numbers[7] < math.inf  # |g|^2 and |g-g'|^2
        if not self._usable:
            return _nowhere(f, lr)
        F, rounding, gap, lower, average, pair = rule.measured(plain, s, f, numbers, average, share, lam, self.run.unit)
        self._fresh, distance = (m, average, pair), 0.0
        if not math.isfinite(F):
            distance = self.run.backend.numbers(measures.distance, self.run.opt.K, now.x, lam=lam)[0]
        return Seen(f, F, gap, F + s.L / 2 * pair.apart, distance, lr, lower, rounding)

    def exhausted(self, seen: Seen[float]) -> str | None:  # noqa: ARG002  (others look)
        now = self.run.now
        if self.state.stale >= rule.STALE:
            return f"neither F nor its bound improved in {rule.STALE} evaluations; best gap {now.best_gap:.3g}"
        return None

    # -- the next point ------------------------------------------------------------------------------------------

    def advance(self, point: Any, seen: Seen[float]) -> None:
        now, s = self.run.now, self.state
        if not math.isfinite(seen.objective):
            self._retreat(point, seen)
            return
        now.m, now.average, pair = self._fresh
        s.failed, s.mass = 0, s.mass + s.t
        s.stale = self._stale(s)
        known = "anchor" in now.kept and s.mode != "bundle"
        if self.run.convex is None and not now.not_convex and self._bent(point, seen, pair, known):
            now.not_convex, self.record.not_convex = True, now.count
            self.restart("steady")
        elif s.mode == "bundle":
            self.bundle.advance(point, seen.objective, pair.gx)
        elif s.mode == "secants":
            self._learn(point, seen, pair)
        elif not s.tested or self._fell(seen, pair):
            self._steer(point, seen, pair, known)
        now.x, now.m = self.run.backend.synchronize((now.x, now.m))

    def _bent(self, point: Any, seen: Seen[float], pair: rule.Pair, known: bool) -> bool:
        """Is f seen not to be convex?"""
        below = self.run.contradicted(self.run.now) or self.run.now.average.bends(pair.mx, point.f, self.run.unit)
        return bool(below or (known and pair.bends(seen.rounding)))

    def _stale(self, s: AnchoredState) -> int:
        now = self.run.now
        gap = now.best_gap if now.not_convex or self.run.convex is False else now.low - now.lower
        if not rule.improves(s, gap, now.low):
            return s.stale + 1
        s.known, s.lowest = min(gap, s.known), now.low
        return 0

    def _fell(self, seen: Seen[float], pair: rule.Pair) -> bool:
        """Did F fall by the plain step that led here? If not, a shorter one is made."""
        s, record = self.state, self.record
        record.compared += 1
        gain = rule.GAIN * s.L * pair.apart if s.mode == "steady" else 0.0
        if rule.fell(s, seen.objective, seen.rounding, gain):
            return True
        record.taken_back += 1
        s.jump = rule.jumped(plain, s, pair)
        self._shorter(rule.shorter(plain, s.L, pair.local(plain)))
        return False

    def _retreat(self, point: Any, seen: Seen[float]) -> None:
        """f or K* is not finite at the point of the run."""
        now, s = self.run.now, self.state
        s.failed += 1
        if s.mode == "bundle" and s.failed <= rule.RETRIES:
            self.bundle.retreat()
        elif s.mode == "secants" and now.kept and s.failed <= rule.RETRIES:
            s.L *= 4
            self.secants.choose()
        elif "anchor" not in now.kept or s.failed > rule.RETRIES:
            if not self._usable:
                self.run.refuse(point.f, point.grad)
            s.stale = rule.STALE
        else:
            self.record.outside += point.finite and seen.distance > 0
            self._shorter(rule.nearer(plain, s.L, s.failed))

    def _shorter(self, L: float) -> None:
        """A plain step from the anchor, with a larger L."""
        now, s = self.run.now, self.state
        s.L, s.t, s.mass, s.tested, s.start = L, 1.0, 0.0, True, s.F
        now.x = now.kept["before"] = self._made(now.kept["anchor"], now.kept["grad"])

    def restart(self, mode: str) -> None:
        """At the best point, where f is evaluated again."""
        now, s = self.run.now, self.state
        if s.mode == "secants":
            s.L, s.pairs = s.least, 0  # it was for the rest of f
        s.mode, s.t, s.mass, s.tested, s.start, s.since = mode, 1.0, 0.0, False, math.inf, 0
        now.x, now.kept = now.low_x, {}
        self.record.restarts += 1

    def _steer(self, point: Any, seen: Seen[float], pair: rule.Pair, known: bool) -> None:
        now, s = self.run.now, self.state
        F = seen.objective
        s.since = 0 if now.low >= F else s.since + 1
        if s.L == 0:
            s.L = self.first(now.x, point.grad)
        elif known and s.mode == "steady":
            s.L = rule.steady(s.L, pair)
        elif known:
            s.L, s.pairs, s.least, s.jump, kinked = rule.learned(plain, s, pair, seen.f, self.run.eps)
            if kinked and self.bundle.possible:
                self.record.kinked = now.count
                self.bundle.start(point, pair.gx)
                return
            if now.count >= s.due and self._slow():
                self.restart("secants")
                s.least, self.record.secants = s.L, self.record.secants or now.count
                return
            if rule.returns(s, F, seen.rounding, s.since):
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
        grown, ahead = rule.grown(plain, s.t)
        s.t, s.tested = (1.0 if s.mode == "steady" else grown), ahead == 0
        now.x = self._ahead(x, before, ahead) if ahead else x

    def _slow(self) -> bool:
        """Has the proven gap hardly fallen since fast steps were last judged, and L neither?"""
        now, s = self.run.now, self.state
        gap, L = s.then
        s.then, s.due = (now.low - now.lower, s.L), now.count + rule.DUE
        return self.secants.possible and s.then[0] > rule.SLOW * gap and s.L > rule.SLOW * L

    def _learn(self, point: Any, seen: Seen[float], pair: rule.Pair) -> None:
        """By the curvature that f has shown; where it has kinks, L grows, and the gradient jumps as far as ever."""
        s = self.state
        s.jump = max(s.jump, pair.jump)
        if s.L > rule.KINK * s.least and pair.jump > 0.01 * s.jump and self.bundle.possible:
            self.record.kinked = self.run.now.count
            self.bundle.start(point, pair.gx)
        elif s.stale >= rule.STALE // 2:
            s.due, s.stale = math.inf, 0
            self.restart("fast")
        else:
            self.secants.advance(point, seen.objective, seen.rounding)

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
                numbers, K, L = self.run.backend.numbers, self.run.opt.K, self.state.L
                size, width = numbers(rounding_of_step, K, x, anchor, slope, L, lam=self.run.lam)
                scale, residual = scale + size, max(abs(residual) - width, 0.0) if math.isfinite(width) else residual
            record = self.record
            record.exact, record.excess = record.exact + 1, max(record.excess, abs(residual) / (scale or 1.0))

    def first(self, x: Any, grad: Any) -> float:
        """L of the first step."""
        return float(rule.first(plain, *self.numbers(measures.reach, x, grad)))

    def certificate(self, **numbers: Any) -> Certificate:
        run = self.run
        return certificate_of_anchored(run.opt.K, self.record, run.lam, convex=run.convex, **numbers)


def _nowhere(f: float, lr: float) -> Seen[float]:
    """What is seen where f or its gradient is not finite, or too large."""
    return Seen(f, math.inf, math.inf, math.inf, 0.0, lr, -math.inf, 0.0)
