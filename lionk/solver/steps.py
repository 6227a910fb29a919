"""The dynamics of Lion-K as they are: with a learning rate that is given, the plateau rule, or batches."""

from __future__ import annotations

import math
from typing import Any

from ..arrays.containers import is_container, scaled, tree_norm
from ..optimizer.jobs import coefficient
from ..theory.certificate import Certificate, certificate_of
from ..theory.lyapunov import coefficients_of
from ..theory.record import Iterate, Record
from .ahead import Ahead
from .method import Method, Seen
from .plateau import FIRST, PlateauRule
from .progress import Progress
from .trail import Trail


class Steps(Method):
    """Steps of Lion-K, each checked against the theory."""

    def __init__(self, run: Any) -> None:
        super().__init__(run)
        self.K = run.backend.bind(run.opt.K, run.now.x)
        self.trail = Trail(run, self.K)
        small = is_container(run.now.x) or run.size < run.backend.small
        self._rate = None if run.lr is None or callable(run.lr) else float(coefficient("lr", run.lr))
        self._at: tuple[Any, float, Any] = (None, 0.0, None)  # a learning rate, the tolerance, and the coefficients
        self._ahead = Ahead(run, self.trail)
        opt, now = run.opt, run.now
        self._stepped = opt.bind(now.x, now.m, self._ahead.dK) if small else self._by_runner(run.backend.runner(opt))

    def begin(self) -> None:
        return

    def ahead(self, point: Any) -> Any:
        self._ahead.made = None
        if self._rate is None or self._rate != self._at[0] or not self._ahead.possible:
            return point
        return self._ahead.go(point, self._stepped, *self._at)

    def measure(self, point: Any) -> Seen[float]:
        run, now, lam = self.run, self.run.now, self.run.lam
        lr = self._lr(point.grad) if self._rate is None else self._rate
        if lr != self._at[0]:
            run.opt.check_product(lr, lam)
            known = lr > 0 and (run.opt.decay == "implicit" or lr * lam < 1)
            self._at = lr, run.tolerance(lr), coefficients_of(run.opt, lr) if known else None
        if len(now.pending) >= self.trail.steps > 1:
            self.trail.settle(now)
        elif now.noted < now.count:
            self.trail.note(now)
        weight = None
        if self.trail.bounded:
            self.trail.join(now)
            weight = now.average.weight or None
        now.pending.append(Iterate(now.count, now.x, now.m, point.f, point.grad, *self._at, weight))
        seen = self.trail.note(now)
        if self.trail.full(now):
            self.trail.settle(now)
        return seen

    def advance(self, point: Any, seen: Seen[float]) -> None:
        run, now, rule = self.run, self.run.now, self.run.now.rule
        if isinstance(rule, PlateauRule) and rule.diverged(seen.gap, seen.objective):
            self.trail.settle(now)
            now.x, now.m, now.average, now.fresh = now.best_x, now.best_m, now.best_average, None
            now.pending, now.settled = [], False
            now.record.restarts += 1
            return
        made = self._ahead.made or self._stepped(now.x, now.m, point.grad, seen.lr)
        now.x, now.m = run.backend.synchronize(made)

    def settle(self, p: Progress) -> None:
        self.trail.settle(p)

    def _by_runner(self, runner: Any) -> Any:
        """The next x and m; those before the step stay, for the certificate."""
        copied = self.run.backend.asarray
        return lambda x, m, grad, lr: runner(copied(x), copied(m), grad, lr=lr)

    def _lr(self, grad: Any) -> float:
        run, now = self.run, self.run.now
        if now.rule is None and run.lr is None and not run.evaluate.stochastic:
            now.rule = PlateauRule(FIRST / run.lam if run.lam else self._free_step(grad))
        if isinstance(now.rule, PlateauRule):
            return now.rule.lr
        if run.lr is None:  # stochastic: linearly to 0
            return (FIRST / run.lam if run.lam else FIRST) * (1 - now.count / run.maxiter)
        return float(coefficient("lr", run.lr(now.count)))

    def _free_step(self, grad: Any) -> float:
        """First lr without a radius: a tenth of the size of x0, or of 1 for each coordinate."""
        run = self.run
        length = float(tree_norm(run.opt.K.subgradient(scaled(grad, -1.0))))
        return FIRST * max(float(tree_norm(run.now.x)), math.sqrt(run.size)) / length if length > 0 else FIRST

    def exhausted(self, seen: Seen[float]) -> str | None:
        run, now = self.run, self.run.now
        if isinstance(now.rule, PlateauRule) and seen.lr * (run.lam or 1.0) < 4 * run.eps:
            return f"lr = {seen.lr:.2g} is below rounding; the gap stays at {now.best_gap:.3g}"
        return None

    def certificate(self, **numbers: Any) -> Certificate:
        run = self.run
        assert isinstance(run.now.record, Record)
        convex = False if run.now.not_convex else run.convex
        return certificate_of(run.opt, run.now.record, convex=convex, stochastic=run.evaluate.stochastic, **numbers)
