"""The dynamics of Lion-K as they are: with a learning rate that is given, the plateau rule, or batches."""

from __future__ import annotations

import math
from typing import Any

from ..arrays.containers import is_container, tree_norm
from ..optimizer.jobs import coefficient
from ..optimizer.lion_k import State
from ..theory.certificate import Certificate, Point, Record, certificate_of
from ..theory.lower_bound import Average, rounding_unit, tangent
from ..theory.lyapunov import coefficients_of
from ..theory.objective import scaled
from . import measures
from .method import Method, Seen
from .plateau import FIRST, PlateauRule


class Steps(Method):
    """Steps of Lion-K, each checked against the theory."""

    def __init__(self, run: Any) -> None:
        super().__init__(run)
        self.run_step = run.backend.runner(run.opt)
        self.unit = rounding_unit(run.opt.K, run.now.m)
        self._before: tuple[Point, float] | None = None
        self._fresh = (0.0, 0.0)

    def begin(self) -> None:
        return

    def measure(self, point: Any) -> Seen:
        run, now, lam, K = self.run, self.run.now, self.run.lam, self.run.opt.K
        f, grad = point.f, point.grad
        if now.rule is None and run.lr is None and not run.evaluate.stochastic:
            now.rule = PlateauRule(FIRST / lam if lam else self._free_step(grad))
        lr = self._lr()
        slack = run.tolerance(lr)
        known = lr > 0 and (run.opt.decay == "implicit" or lr * lam < 1)
        c = coefficients_of(run.opt, lr).c if known else None
        gap, F, H = run.backend.numbers(measures.values, K, f, now.x, now.m, grad, c, slack, lam=lam)
        inside = math.isfinite(F)
        distance = 0.0 if inside else run.backend.numbers(measures.distance, K, now.x, lam=lam)[0]
        lower = self._bounds(f, grad) if lam and not run.evaluate.stochastic else -math.inf
        here = Point(now.x, now.m, f, grad, F, distance)
        if self._before is not None and run.certify:
            before, before_lr = self._before
            assert isinstance(now.record, Record)
            now.record.observe(run.opt, before_lr, before, here, run.eps, slack, run.backend.numbers)
        self._before = here, lr
        rounding = self.unit * (2 * abs(f) + abs(F)) if inside else 0.0
        return Seen(f, F, gap, H if inside else math.inf, distance, lr, lower, rounding)

    def _bounds(self, f: float, grad: Any) -> float:
        """The better lower bound, of this gradient and of the momentum; f may be seen not to be convex."""
        run, now, lam = self.run, self.run.now, self.run.lam
        weight = now.average.weight or None
        gx, gg, size, K_g, K_m, mx = run.backend.numbers(tangent, run.opt.K, now.x, now.m, grad, weight)
        scale = abs(f) + math.sqrt(gg * size) + abs(K_g) / lam
        self._fresh = f - gx, scale
        if run.convex is None and now.average.bends(mx, f, self.unit):
            now.not_convex = True
        return max(Average(1.0, f - gx, scale).bound(K_g, lam, self.unit), now.average.bound(K_m, lam, self.unit))

    def advance(self, point: Any, seen: Seen) -> None:
        run, now = self.run, self.run.now
        rule, b2 = now.rule, run.opt.betas[1]
        if isinstance(rule, PlateauRule) and rule.diverged(seen.gap, seen.objective):
            now.x, now.m, now.average, self._before = now.best_x, now.best_m, now.best_average, None
            now.record.restarts += 1
        else:
            now.average = now.average.then(b2, 1 - b2, *self._fresh)
            now.x, now.m = run.backend.synchronize(self._step(point.grad, seen.lr))

    def _step(self, grad: Any, lr: float) -> tuple[Any, Any]:
        """The next x and m; those before the step stay, for the certificate."""
        run, now = self.run, self.run.now
        if is_container(now.x) or run.size < run.backend.small:
            x, state = run.opt.step(now.x, grad, State(now.m, now.count), lr=lr)
            return x, state.m
        run.opt.check_product(lr, run.lam)
        return self.run_step(run.backend.asarray(now.x), run.backend.asarray(now.m), grad, lr=lr)

    def _lr(self) -> float:
        run, now = self.run, self.run.now
        if isinstance(now.rule, PlateauRule):
            return now.rule.lr
        if run.lr is None:  # stochastic: linearly to 0
            return (FIRST / run.lam if run.lam else FIRST) * (1 - now.count / run.maxiter)
        return float(coefficient("lr", run.lr(now.count) if callable(run.lr) else run.lr))

    def _free_step(self, grad: Any) -> float:
        """First lr without a radius: a tenth of the size of x0, or of 1 for each coordinate."""
        run = self.run
        length = float(tree_norm(run.opt.K.subgradient(scaled(grad, -1.0))))
        return FIRST * max(float(tree_norm(run.now.x)), math.sqrt(run.size)) / length if length > 0 else FIRST

    def exhausted(self, seen: Seen) -> str | None:
        run, now = self.run, self.run.now
        if isinstance(now.rule, PlateauRule) and seen.lr * (run.lam or 1.0) < 4 * run.eps:
            return f"lr = {seen.lr:.2g} is below rounding; the gap stays at {now.best_gap:.3g}"
        return None

    def certificate(self, **numbers: Any) -> Certificate:
        run = self.run
        assert isinstance(run.now.record, Record)
        convex = False if run.now.not_convex else run.convex
        return certificate_of(run.opt, run.now.record, convex=convex, stochastic=run.evaluate.stochastic, **numbers)
