"""One run of `minimize`: the loop over iterates, its end, and its checkpoints; the moves are those of a ``Method``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ..arrays import namespace as _xp
from ..arrays import plain
from ..arrays.containers import leaves, named_leaves, scaled, tree_map
from ..backend.protocol import Backend
from ..errors import LionKWarning, NonFiniteError, NotAvailable
from ..optimizer.lion_k import LionK, State
from ..theory.certificate import CONTRADICTED
from ..theory.lower_bound import Average, Numbers, rounding_unit
from ..theory.objective import EMPTY, nearest_feasible, told
from . import measures, rule
from .anchored import Anchored
from .evaluation import Evaluation, Value, is_finite
from .method import Method, Seen
from .progress import Progress, load, save
from .result import History, Info, Result
from .state import AnchoredState
from .steps import Steps


@dataclass
class Run:
    opt: LionK
    lr: Any
    rule: str  # "anchored", "plateau", or "lr" for one that is given
    evaluate: Evaluation
    backend: Backend
    tol: float
    atol: float
    maxiter: int
    memory: int
    convex: bool | None
    certify: bool
    path: Path | None
    every: int
    now: Progress
    history: History = field(default_factory=lambda: History([], [], [], [], [], [], [], []))
    safe: Progress | None = None  # the last iterate that was finite and is fully accounted for
    saved_f: float | None = None  # f where a resumed run begins, as the checkpoint has it
    unsaved: str = ""  # why the last save failed, if it did
    first: int = 0  # the step that it begins with
    origin: float | None = None  # |F| at the feasible point nearest to 0, where it was asked for

    def __post_init__(self) -> None:
        self.lam = float(self.opt.weight_decay)
        arrays = leaves(self.now.x)
        self.xp, self.like = _xp.namespace(arrays[0]), arrays[0]
        self.size = sum(math.prod(a.shape) for a in arrays)
        self.eps = max(_xp.eps(a) for a in arrays)
        self.unit = rounding_unit(self.opt.K, [self.now.x, self.now.m])
        self.precision = self.eps  # of f and its gradient, where that is less
        self.mixed = any(a.dtype != b.dtype for a, b in zip(arrays, leaves(self.now.m), strict=True))
        self.last: tuple[Any, Value] | None = None  # where f was evaluated last
        self.told = "" if self.path is None else told(self.opt.K)
        self.method: Method = Anchored(self, self.memory) if self.rule == "anchored" else Steps(self)

    # -- the loop ------------------------------------------------------------------------------------------------

    def loop(self, callback: Any, bar: Any) -> Result:
        self.begin()
        while True:
            result = self.move(self.evaluate(self.now.x, self.now.count), callback, bar)
            if result is not None:
                return result

    def begin(self) -> None:
        self.first = self.now.count
        if self.saved_f is None:
            self.method.begin()

    def move(self, point: Value | None, callback: Any = None, bar: Any = None) -> Result | None:
        """From the iterate of ``now``, where ``point`` is f with its gradient, to the next; the result at the end."""
        now, method = self.now, self.method
        if self.evaluate.eps > self.precision:
            self.precision = self.evaluate.eps
            self.unit = rounding_unit(self.opt.K, [now.x, now.m], self.precision)
        unwatched = callback is None and bar is None
        if unwatched and self.saved_f is None and point is not None and point.finite:
            point = method.ahead(point)
        if point is None:
            if not self.history.f:
                raise ValueError("batches is empty: there is no step to make")
            return self.finish("the batches are used up", success=True)
        if not point.finite and (self.rule != "anchored" or self.safe is None):
            self.refuse(point.f, point.grad)
        if self.saved_f is not None:
            self._require_same(point.f)
        self.last = now.x, point
        seen = method.measure(point)
        due = self.path is not None and now.count % self.every == 0 and now.count > self.first
        if due or callback is not None:
            method.settle(now)
        if point.finite:
            self.safe = now.copy()
        if due:
            self._save_on_the_way()
        if bar is not None:
            bar.update(now.count - bar.n)
            bar.set_postfix(objective=f"{seen.objective:.6g}", gap=f"{seen.gap:.2e}", lr=f"{seen.lr:.1e}")
        end = self._end(seen)
        if callback is not None and callback(self._info(seen)):
            end = end or ("stopped by the callback", False)
        if end is not None:
            return self.finish(*end)
        method.advance(point, seen)
        now.count += 1
        return None

    def _info(self, seen: Seen[float]) -> Info:
        rows, now = self.history, self.now
        return Info(now.count, now.x, *seen[:3], rows.lyapunov[-1], *seen[4:6], rows.momentum_gap[-1])

    def note(
        self, p: Progress, number: int, x: Sequence[Any], m: Sequence[Any], averages: Sequence[Numbers],
        seen: Seen[list[float]], bent: Sequence[bool] = (),
    ) -> None:  # fmt: skip
        """Account for iterates of p, the first of which has this number; twice, after a resume, is as good as once.

        ``bent``: was f seen not to be convex there? Empty where nobody asks.
        """
        best, bounds, stochastic, end = -1, [], self.evaluate.stochastic, len(bent)
        for i, (F, gap, lower, rounding) in enumerate(zip(seen.objective, seen.gap, *seen[6:], strict=True)):
            if F < p.low:
                p.low_x, p.low, p.low_rounding = x[i], F, rounding
            if lower > p.lower:
                p.lower = lower
            if gap < p.best_gap or stochastic or number + i == 0:
                p.best_gap, best = gap, i
            if i < end and bent[i]:
                p.not_convex = True
            bounds.append(bound := self._bound(p))
            if bound < 0 and i < end:
                p.not_convex = self.contradicted(p)
        if best >= 0:
            p.best_x, p.best_m, p.best_average = x[best], m[best], Average(*averages[best])
        self.history.put(number, *seen[:6], bounds)

    def _bound(self, p: Progress) -> float:
        if self.lam == 0 or self.evaluate.stochastic or self.convex is False or p.not_convex:
            return math.inf
        return p.low - p.lower + p.low_rounding

    @property
    def bound(self) -> float:
        """The momentum gap of the lowest point, rounding included; inf where there is none."""
        return self._bound(self.now)

    def contradicted(self, p: Progress) -> bool:
        """Is F below a lower bound of it, by more than is asked for? Then f is not convex, or its gradient wrong."""
        bound = self._bound(p)
        return bound < 0 and bound < -rule.room(p.low, self.tol, self.atol, self.eps)

    def _reached(self, safe: Progress) -> Progress:
        """The snapshot, moved to the last of the iterates that wait since then (``Method.ahead``)."""
        if safe.rule is None and safe.pending and safe.pending[-1].number > safe.count:
            last = safe.pending[-1]
            safe.x, safe.m, safe.count = last.x, last.m, last.number
        return safe

    def refuse(self, f: float, grad: Any) -> NoReturn:
        bad = [p or "the gradient" for p, a in named_leaves(grad) if not bool(is_finite(a))]
        what = f"a NaN or infinite entry in {', '.join(bad)}" if bad else "the square of the gradient overflows"
        what = what if math.isfinite(f) else f"f is {f}"
        way = "try a smaller lr"
        if self.rule == "anchored":
            large = math.isfinite(f) and not bad
            way = "take f in smaller units, or x0 in a dtype with a larger range" if large else "choose another x0"
        step = self.now.count
        if self.lam and math.isinf(self._away(tree_map(self.xp.zeros_like, self.now.x))):
            raise ValueError(EMPTY)
        if self.safe is None:
            raise NonFiniteError(f"at the start (step {step}): {what}; choose an x0 where f is finite", step, None)
        self.now = self._reached(self.safe)
        self.last = None
        result = self.finish(f"stopped at step {step}: {what}", success=False)
        where = f" The checkpoint {self.path} holds the last good point." if self.path is not None else ""
        where = f" The {self.unsaved}." if self.unsaved else where
        raise NonFiniteError(
            f"step {step}: {what}. The last good point is that of step {self.now.count} (.result); {way}." + where,
            step,
            result,
        )

    def _away(self, x: Any) -> float:
        """From lam x to dom K*, inf if it is empty; NaN where no distance is known."""
        try:
            return self.backend.numbers(measures.distance, self.opt.K, x, lam=self.lam)[0]
        except NotAvailable:
            return math.nan

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
        return floor + (2 * self.eps / max(lr * self.lam, 1e-4) if self.lam and self.rule != "anchored" else 0.0)

    def _end(self, seen: Seen[float]) -> tuple[str, bool] | None:
        now = self.now
        if not self.evaluate.stochastic:
            first = self.history.gap[0]
            target = self.atol + self.tol * (abs(seen.objective) if self.lam else first)
            if seen.gap <= target < math.inf:
                return f"gap {seen.gap:.3g} <= {target:.3g}", True
            target = self.atol + self.tol * abs(now.low)
            bound = self.history.momentum_gap[-1]
            if self.contradicted(now):
                if self.convex:
                    return f"momentum gap {bound:.3g} < 0: {CONTRADICTED}", False
            elif bound <= target < math.inf:
                return f"momentum gap {bound:.3g} <= {target:.3g}", True
            if self.rule == "anchored" and self._is_zero(gap := min(seen.gap, now.best_gap, abs(bound))):
                return f"F is 0 to the rounding of where the run began: gap {gap:.3g}", True
            why = self.method.exhausted(seen)
            if why is not None:
                return why, False
        if now.count >= self.maxiter:
            if self.evaluate.stochastic:
                return f"all {self.maxiter} steps made", True
            made = f"maxiter = {self.maxiter} steps made"
            if now.count > self.maxiter:
                made = f"{now.count} steps were made before, which is more than maxiter = {self.maxiter}"
            return f"{made}; best gap {min(now.best_gap, self.bound):.3g}", False
        return None

    def _is_zero(self, gap: float) -> bool:
        """Is F 0 to rounding, so that no relative tolerance can be met?

        Of F where the run began, and of F at 0 where that is smaller: a start far away says nothing of the size of F.
        Once neither F nor its bound improves, more rounding is allowed.
        """
        now, state = self.now, self.now.rule
        first = next((abs(F) for F in self.history.objective if math.isfinite(F)), 0.0)
        assert isinstance(state, AnchoredState)
        numbers = plain, now.low, gap, state.stale, self.eps
        return rule.is_zero(*numbers, first) and rule.is_zero(*numbers, self._scale(first))

    def _scale(self, first: float) -> float:
        """|F| at the feasible point nearest to 0, if it is not 0 and smaller than the first one."""
        if self.origin is None and isinstance(self.method, Anchored):
            x = self.method.nearest(scaled(self.now.x, 0.0))
            point = self.evaluate(x, self.now.count)
            self.origin = math.inf
            if point is not None and point.finite:
                self.origin = abs(self.backend.numbers(measures.final, self.opt.K, point.f, x, None, lam=self.lam)[0])
        return min(self.origin or first, first)

    # -- the end -------------------------------------------------------------------------------------------------

    def finish(self, message: str, success: bool) -> Result:
        now, K, lam = self.now, self.opt.K, self.lam
        self.save()
        self.method.settle(now)
        lowest = self.rule == "anchored" or self.bound < 0.999 * now.best_gap
        x = self._feasible(now.low_x if lowest and math.isfinite(now.low) else now.best_x)
        point = None
        if not self.evaluate.stochastic:
            point = self.last[1] if self.last is not None and self.last[0] is x else self.evaluate(x, now.count)
        f, grad = (self.history.f[-1], None) if point is None else (point.f, point.grad)
        F, gap, rounding, distance, hidden = self.backend.numbers(measures.final, K, f, x, grad, lam=lam)
        rounding *= self.precision / self.eps
        momentum_gap = self.bound + max(F - now.low, 0.0) + hidden if math.isfinite(self.bound) else math.inf
        if success and (not math.isfinite(F) or math.isinf(gap)):
            message, success = f"{message}, but at the last point F is {F:.3g} and the gap {gap:.3g}", False
        dtype = _xp.real_dtype(self.like)
        arrays = [self.xp.asarray(v, dtype=dtype, device=_xp.device(self.like)) for v in self.history]
        certificate = self.method.certificate(
            eps=self.eps, gap=gap, rounding=rounding, momentum_gap=momentum_gap, distance=distance
        )
        if momentum_gap < gap and (success or momentum_gap >= 0):
            gap, rounding = momentum_gap, now.low_rounding
        return Result(
            x=x, fun=f, objective=F, gap=gap, gap_rounding=rounding, momentum_gap=momentum_gap, distance=distance,
            nit=now.count, success=success, message=message, history=History(*arrays), certificate=certificate,
            state=State(now.m, now.count), last_x=now.x, weight_decay=lam, K=K, unsaved=self.unsaved,
        )  # fmt: skip

    def _feasible(self, x: Any) -> Any:
        """x, or the nearest feasible point where x is outside by no more than rounding, so that F and G are finite."""
        if not self.lam:
            return x
        inside, near = self.backend.numbers(measures.membership, self.opt.K, x, self.tolerance(0.0), lam=self.lam)
        return x if inside or not near else nearest_feasible(self.opt.K, x, self.lam)

    # -- files ---------------------------------------------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        o = self.opt
        lr = "schedule" if callable(self.lr) else None if self.lr is None else float(self.lr)
        settings = {"K": self.told, "betas": list(o.betas), "weight_decay": self.lam, "decay": o.decay, "lr": lr}
        return {**settings, "rule": self.rule, **({"memory": self.memory} if self.rule == "anchored" else {})}

    def save(self) -> bool:
        """Write the last accounted iterate, if there is one; could it be done?"""
        if self.path is None or self.safe is None:
            return False
        self.method.settle(self._reached(self.safe))
        try:
            save(self.path, self.safe, self.history, self._settings())
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
            warnings.warn(f"step {self.now.count}: {self.unsaved}; {again}", LionKWarning, stacklevel=5)

    def load(self) -> None:
        assert self.path is not None
        self.now, self.history, self.saved_f = load(self.path, self.now, self._settings())
        self.evaluate.skip(self.now.count)
