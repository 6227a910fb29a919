"""One run of `minimize`: the loop over iterates, what is measured at each, and what a checkpoint holds."""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from ..arrays import namespace as _xp
from ..arrays.containers import is_container, leaves, named_leaves, tree_norm
from ..backend.protocol import Backend
from ..errors import LionKWarning, NonFiniteError, NotAvailable
from ..optimizer.jobs import coefficient
from ..optimizer.lion_k import LionK, State
from ..theory.certificate import Point, Record, certificate_of
from ..theory.lyapunov import coefficients_of
from ..theory.objective import scaled
from . import measures
from .evaluation import Evaluation, is_finite
from .result import History, Info, Result
from .step_rule import FIRST, PlateauRule


@dataclass
class Progress:
    """Everything that a checkpoint must hold: the run as it stands at an iterate, before the step from it."""

    x: Any
    m: Any
    best_x: Any
    best_m: Any
    count: int = 0
    best_gap: float = math.inf
    record: Record = field(default_factory=Record)
    rule: PlateauRule | None = None

    def copy(self) -> Progress:
        return replace(self, record=replace(self.record), rule=None if self.rule is None else replace(self.rule))


@dataclass
class Run:
    opt: LionK
    lr: Any
    evaluate: Evaluation
    backend: Backend
    tol: float
    atol: float
    maxiter: int
    convex: bool | None
    certify: bool
    path: Path | None
    every: int
    now: Progress
    history: History = field(default_factory=lambda: History([], [], [], [], [], [], []))
    safe: Progress | None = None  # the last iterate that was finite and is fully accounted for
    saved_f: float | None = None  # f where a resumed run begins, as the checkpoint has it
    unsaved: str = ""  # why the last save failed, if it did

    def __post_init__(self) -> None:
        self.lam = float(self.opt.weight_decay)
        arrays = leaves(self.now.x)
        self.xp, self.like = _xp.namespace(arrays[0]), arrays[0]
        self.size = sum(math.prod(a.shape) for a in arrays)
        self.eps = max(_xp.eps(self.xp, a) for a in arrays)
        self.run_step = self.backend.runner(self.opt)

    # -- the loop ------------------------------------------------------------------------------------------------

    def loop(self, callback: Any, bar: Any) -> Result:
        before, before_lr = None, 0.0
        first = self.now.count
        while True:
            now = self.now
            point = self.evaluate(now.x, now.count)
            if point is None:
                if not self.history.f:
                    raise ValueError("batches is empty: there is no step to make")
                return self.finish("the batches are used up", success=True)
            f, grad, finite = point
            if not (finite and math.isfinite(f)):
                self._refuse(f, grad)
            self._require_same(f)
            if now.rule is None and self.lr is None and not self.evaluate.stochastic:
                now.rule = PlateauRule(FIRST / self.lam if self.lam else self._free_step(grad))
            lr = self._lr(now)
            seen, slack = self._measure(f, grad, lr)
            here = Point(now.x, now.m, f, grad, seen.objective, seen.distance)
            if before is not None and self.certify:
                now.record.observe(self.opt, before_lr, before, here, self.eps, slack, self.backend.numbers)
            for series, value in zip(self.history, seen, strict=True):
                series.append(value)
            if seen.gap < now.best_gap or self.evaluate.stochastic or now.count == 0:
                now.best_x, now.best_m, now.best_gap = now.x, now.m, seen.gap
            self.safe = now.copy()
            if now.count % self.every == 0 and now.count > first:
                self._save_on_the_way()
            if bar is not None:
                bar.update(now.count - bar.n)
                bar.set_postfix(objective=f"{seen.objective:.6g}", gap=f"{seen.gap:.2e}", lr=f"{lr:.1e}")
            end = self._end(seen, lr)
            if callback is not None and callback(
                Info(now.count, now.x, f, seen.objective, seen.gap, seen.lyapunov, seen.distance, lr)
            ):
                end = end or ("stopped by the callback", False)
            if end is not None:
                return self.finish(*end)
            before, before_lr = here, lr
            if now.rule is not None and now.rule.diverged(seen.gap, seen.objective):
                now.x, now.m, before = now.best_x, now.best_m, None
                now.record.restarts += 1
            else:
                now.x, now.m = self.backend.synchronize(self._step(now, grad, lr))
            now.count += 1

    def _step(self, now: Progress, grad: Any, lr: float) -> tuple[Any, Any]:
        """The next x and m; those before the step stay, for the certificate."""
        if is_container(now.x) or self.size < self.backend.small:
            x, state = self.opt.step(now.x, grad, State(now.m, now.count), lr=lr)
            return x, state.m
        self.opt.check_product(lr, self.lam)
        return self.run_step(self.backend.asarray(now.x), self.backend.asarray(now.m), grad, lr=lr)

    def _lr(self, now: Progress) -> float:
        if now.rule is not None:
            return now.rule.lr
        if self.lr is None:  # stochastic: linearly to 0
            return (FIRST / self.lam if self.lam else FIRST) * (1 - now.count / self.maxiter)
        return float(coefficient("lr", self.lr(now.count) if callable(self.lr) else self.lr))

    def _free_step(self, grad: Any) -> float:
        """First lr without a radius: a tenth of the size of x0, or of 1 for each coordinate."""
        length = float(tree_norm(self.opt.K.subgradient(scaled(grad, -1.0))))
        return FIRST * max(float(tree_norm(self.now.x)), math.sqrt(self.size)) / length if length > 0 else FIRST

    def _refuse(self, f: float, grad: Any) -> NoReturn:
        bad = [p or "the gradient" for p, a in named_leaves(grad) if not bool(is_finite(a))]
        what = f"f is {f}" if not math.isfinite(f) else f"a NaN or infinite entry in {', '.join(bad)}"
        step = self.now.count
        if self.safe is None:
            raise NonFiniteError(f"at the start (step {step}): {what}; choose an x0 where f is finite", step, None)
        self.now = self.safe
        result = self.finish(f"stopped at step {step}: {what}", success=False)
        where = f" The checkpoint {self.path} holds the last good point." if self.path is not None else ""
        where = f" The {self.unsaved}." if self.unsaved else where
        raise NonFiniteError(
            f"step {step}: {what}. The last good point is that of step {self.now.count} (.result); try a smaller lr."
            + where,
            step,
            result,
        )

    def _require_same(self, f: float) -> None:
        saved, self.saved_f = self.saved_f, None
        if saved is None or self.evaluate.stochastic or abs(f - saved) <= math.sqrt(self.eps) * (1 + abs(saved)):
            return
        raise ValueError(
            f"at the point where {self.path} ends, f was {saved:.9g}, but now it is {f:.9g}; resume with the same data "
            "and objective, or start anew with another file"
        )

    def tolerance(self, lr: float) -> float:
        """Of membership in dom K*: rounding of x, which a step with small lr lam does not mend, relative to the set."""
        floor = 8 * self.eps * math.sqrt(max(self.size, 1))
        return floor + (2 * self.eps / max(lr * self.lam, 1e-4) if self.lam else 0.0)

    def _measure(self, f: float, grad: Any, lr: float) -> tuple[History, float]:
        """The numbers of this iterate, and the tolerance of membership that they were taken with."""
        K, now, lam, slack = self.opt.K, self.now, self.lam, self.tolerance(lr)
        known = lr > 0 and (self.opt.decay == "implicit" or lr * lam < 1)
        c = coefficients_of(self.opt, lr).c if known else None
        gap, F, H = self.backend.numbers(measures.values, K, f, now.x, now.m, grad, c, slack, lam=lam)
        inside = math.isfinite(F)
        distance = 0.0 if inside else self.backend.numbers(measures.distance, K, now.x, lam=lam)[0]
        H = H if inside else math.inf
        return History(f, F - f, F, gap, H, distance, lr), slack

    def _end(self, seen: History, lr: float) -> tuple[str, bool] | None:
        now = self.now
        if not self.evaluate.stochastic:
            first = self.history.gap[0]
            target = self.atol + self.tol * (abs(seen.objective) if self.lam else first)
            if math.isfinite(seen.objective) and math.isfinite(seen.gap) and seen.gap <= target:
                return f"gap {seen.gap:.3g} <= {target:.3g}", True
            if now.rule is not None and lr * (self.lam or 1.0) < 4 * self.eps:
                return f"lr = {lr:.2g} is below rounding; the gap stays at {now.best_gap:.3g}", False
        if now.count >= self.maxiter:
            if self.evaluate.stochastic:
                return f"all {self.maxiter} steps made", True
            made = f"maxiter = {self.maxiter} steps made"
            if now.count > self.maxiter:
                made = f"{now.count} steps were made before, which is more than maxiter = {self.maxiter}"
            return f"{made}; best gap {now.best_gap:.3g}", False
        return None

    # -- the end -------------------------------------------------------------------------------------------------

    def finish(self, message: str, success: bool) -> Result:
        now, K, lam = self.now, self.opt.K, self.lam
        self.save()
        x = self._feasible(now.best_x)
        point = self.evaluate(x, now.count) if not self.evaluate.stochastic else None
        f, grad = (self.history.f[-1], None) if point is None else (point.f, point.grad)
        F, gap, rounding, distance = self.backend.numbers(measures.final, K, f, x, grad, lam=lam)
        if success and (not math.isfinite(F) or math.isinf(gap)):
            message, success = f"{message}, but at the last point F is {F:.3g} and the gap {gap:.3g}", False
        dtype = _xp.real_dtype(self.xp, self.like)
        arrays = [self.xp.asarray(v, dtype=dtype, device=_xp.device(self.like)) for v in self.history]
        certificate = certificate_of(
            self.opt, now.record, eps=self.eps, gap=gap, rounding=rounding, distance=distance, convex=self.convex,
            stochastic=self.evaluate.stochastic,
        )  # fmt: skip
        return Result(
            x=x, fun=f, objective=F, gap=gap, gap_rounding=rounding, distance=distance,
            nit=now.count, success=success, message=message, history=History(*arrays), certificate=certificate,
            state=State(now.m, now.count), last_x=now.x, weight_decay=lam, unsaved=self.unsaved,
        )  # fmt: skip

    def _feasible(self, x: Any) -> Any:
        """x, or the nearest feasible point where x is outside by no more than rounding, so that F and G are finite."""
        if not self.lam:
            return x
        domain, y = self.opt.K.conjugate.domain, scaled(x, self.lam)
        inside, near = self.backend.numbers(measures.membership, self.opt.K, x, self.tolerance(0.0), lam=self.lam)
        if inside or not near:
            return x
        try:
            return scaled(domain.project(y), 1 / self.lam)
        except NotAvailable:
            return x

    # -- files ---------------------------------------------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        o = self.opt
        lr = "schedule" if callable(self.lr) else None if self.lr is None else float(self.lr)
        return {"K": repr(o.K), "betas": list(o.betas), "weight_decay": self.lam, "decay": o.decay, "lr": lr}

    def save(self) -> bool:
        """Write the last accounted iterate, if there is one; could it be done?

        Its own history entry is left out: a resumed run makes it again.
        """
        if self.path is None or self.safe is None:
            return False
        p = self.safe
        arrays = {"x": p.x, "m": p.m, "best_x": p.best_x, "best_m": p.best_m}
        meta = {
            "count": p.count,
            "f": self.history.f[p.count],
            "best_gap": p.best_gap,
            "record": asdict(p.record),
            "rule": None if p.rule is None else asdict(p.rule),
            "history": {n: v[: p.count] for n, v in self.history._asdict().items()},
            "settings": self._settings(),
        }
        from ..checkpoint import file as checkpoint  # here, so that `import lionk` stays light

        try:
            checkpoint.save(self.path, arrays, meta)
        except (OSError, MemoryError) as error:  # a full disk must not cost the run
            why = getattr(error, "strerror", None) or str(error) or "out of memory"
            self.unsaved = f"checkpoint {self.path} was not written: {why}"
        else:
            self.unsaved = ""
        return not self.unsaved

    def _save_on_the_way(self) -> None:
        """A warning for the first of the saves in a row that fail."""
        failed_before = self.unsaved
        self.save()
        if self.unsaved and not failed_before:
            again = f"the run goes on, and tries again every {self.every} steps"
            warnings.warn(f"step {self.now.count}: {self.unsaved}; {again}", LionKWarning, stacklevel=4)

    def load(self) -> None:
        assert self.path is not None
        now = self.now
        like = {"x": now.x, "m": now.m, "best_x": now.x, "best_m": now.m}
        from ..checkpoint import file as checkpoint

        arrays, meta = checkpoint.load(self.path, like=like)
        if meta.get("settings") != self._settings():
            raise ValueError(
                f"{self.path} was written with {meta.get('settings')}, but this run has {self._settings()}; "
                "resume with the same settings, or start anew with another file"
            )
        rule = None if meta["rule"] is None else PlateauRule(**meta["rule"])
        self.now = Progress(
            **arrays, count=int(meta["count"]), best_gap=meta["best_gap"], record=Record(**meta["record"]), rule=rule
        )
        self.history, self.saved_f = History(**meta["history"]), meta["f"]
        self.evaluate.skip(self.now.count)
