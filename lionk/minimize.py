"""`minimize`: run Lion-K on a function until its certified gap is small, with history, checkpoints and certificate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from . import _xp
from .backend import Backend, backend_of
from .errors import NonFiniteError, NotAvailable
from .optimizer import LionK, State
from .step_rule import FIRST, PlateauRule
from .theory.certificate import Certificate, Point, Record, certificate_of
from .theory.lyapunov import coefficients_of, lyapunov
from .theory.objective import distance_to_domain, gap_rounding, kkt_gap, objective, over, scaled
from .tree import is_container, leaves, named_leaves, tree_norm


class History(NamedTuple):
    """One entry for each iterate, as 1-D arrays of x's library (lists of floats while the run goes on)."""

    f: Any  # f(x)
    conjugate: Any  # K*(lam x)/lam, inf outside the constraint
    objective: Any  # F = f + K*(lam x)/lam
    gap: Any  # G/lam, an upper bound of F - min F for convex f (G at lam = 0)
    lyapunov: Any  # H at the lr of the step that follows
    distance: Any  # from lam x to dom K*
    lr: Any  # of the step that follows


class Info(NamedTuple):
    """What a callback sees: the iterate ``x`` after ``nit`` steps, and its numbers as floats."""

    nit: int
    x: Any
    f: float
    objective: float
    gap: float
    lyapunov: float
    distance: float
    lr: float


@dataclass(frozen=True)
class Result:
    """The end of a run.

    Attributes
    ----------
    x : array or container
        The best point (by gap), moved to the nearest feasible one if it was outside by rounding.
    fun, objective : float
        f and F there.
    gap, gap_rounding : float
        For convex f, ``F(x) - min F <= gap + gap_rounding`` (weight_decay > 0 and full gradients; else nan).
    distance : float
        From ``lam x`` to dom K*.
    nit : int
        Steps made, over all resumed runs.
    success : bool
        Did the gap reach the tolerance (stochastic: were all steps made)?
    message : str
    history : History
    certificate : Certificate
        Which statements of the theory held along the run.
    state : State
        Of the optimizer after the last step; ``last_x``: the last iterate.
    """

    x: Any
    fun: float
    objective: float
    gap: float
    gap_rounding: float
    distance: float
    nit: int
    success: bool
    message: str
    history: History
    certificate: Certificate
    state: State
    last_x: Any


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    *,
    K: Any,
    weight_decay: float,
    lr: Any = None,
    betas: tuple[float, float] = (0.9, 0.99),
    decay: str = "explicit",
    state_dtype: Any = None,
    jac: Any = None,
    batches: Callable[[int], Any] | Iterable[Any] | None = None,
    seed: int | None = None,
    convex: bool | None = None,
    tol: float = 1e-3,
    atol: float = 0.0,
    maxiter: int = 10_000,
    callback: Callable[[Info], Any] | None = None,
    progress: bool = False,
    certify: bool = True,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 500,
    resume: bool = False,
) -> Result:
    """Minimise ``F(x) = f(x) + K*(weight_decay x)/weight_decay`` by Lion-K.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> f`` or, with ``jac=True``, ``fun(x) -> (f, grad)``. In a stochastic run it gets a second argument.
    x0 : array or container of arrays
        Start; it is not modified. Where it is infeasible the run first closes the distance to the constraint.
    K : str, dict or ConvexFunction
        A plain K serves every array of a container; ``lionk.blocks`` gives each its own.
    weight_decay : float
        lam >= 0; the constraint is ``lam x`` in dom K*.
    lr : float, callable or None
        None: a rule that needs no tuning. It lowers lr where the gap stops falling (stochastic: linearly to 0).
    betas, decay, state_dtype
        As in ``LionK``.
    jac : True, callable or None
        True: fun returns the gradient too; a callable: ``jac(x)``; None: the library's own autodiff, where it has one.
    batches : callable or iterable, optional
        Stochastic run: ``batches(count)``, or the next item, is passed to ``fun`` as its second argument. The run ends
        after ``maxiter`` steps, or with the iterable.
    seed : int, optional
        Stochastic run: a random generator of the library, made from (seed, count), is passed to ``fun`` instead.
    convex : bool, optional
        Assert that f is convex, so that the certificate may say so; False: that it is not.
    tol, atol : float
        Stop when ``gap <= atol + tol |F|`` (at weight_decay = 0: ``G <= atol + tol G(x0)``).
    maxiter : int
        At most so many steps, over all resumed runs.
    callback : callable, optional
        Called with ``Info`` at every iterate; a true return value stops the run.
    progress : bool
        Show a progress bar (tqdm).
    certify : bool
        Check the identity and the inequality of the theory at every step: a few more evaluations of K.
    checkpoint, checkpoint_every, resume
        File to write every so many steps and at the end (safetensors with JSON); ``resume=True`` starts from it, and
        the trajectory continues bit for bit.

    Returns
    -------
    Result

    Raises
    ------
    NonFiniteError
        f or its gradient became NaN or infinite; ``.result`` holds the run up to there, the checkpoint is written.
    TypeError, ValueError
        An argument is of the wrong kind or out of range.

    Examples
    --------
    >>> import lionk, array_api_strict as xp
    >>> target = xp.asarray([2.0, 0.3])
    >>> fun = lambda x: (float(xp.sum((x - target) ** 2)) / 2, x - target)
    >>> result = lionk.minimize(fun, xp.zeros(2), K="l1", weight_decay=1.0, jac=True, convex=True)
    >>> result.success, [round(float(v), 2) for v in result.x]
    (True, [1.0, 0.3])
    """
    _check_numbers(weight_decay, tol, atol, maxiter, checkpoint_every)
    if resume and checkpoint is None:
        raise ValueError("resume=True needs checkpoint=PATH")
    backend = backend_of(x0)
    opt = LionK(over(K, x0), 0.0 if lr is None else lr, betas, float(weight_decay), decay, state_dtype)
    evaluate = _Evaluation(fun, jac, backend, batches, seed)
    m0 = opt.init(x0).m
    x0 = backend.synchronize(x0)
    path = None if checkpoint is None else Path(checkpoint)
    now = _Progress(x0, m0, x0, m0)
    run = _Run(
        opt, lr, evaluate, backend, tol, atol, maxiter, convex, certify and not evaluate.stochastic, path,
        checkpoint_every, now,
    )  # fmt: skip
    if resume:
        run.load()
    bar = _bar(progress, maxiter, run.now.count)
    try:
        return run.loop(callback, bar)
    except KeyboardInterrupt:
        run.save()
        raise
    finally:
        if bar is not None:
            bar.close()


def _check_numbers(weight_decay: Any, tol: Any, atol: Any, maxiter: Any, every: Any) -> None:
    for name, v in (("weight_decay", weight_decay), ("tol", tol), ("atol", atol)):
        if isinstance(v, bool) or not isinstance(v, (int, float)) or not 0 <= v < math.inf:
            raise ValueError(f"{name} must be a finite number >= 0, got {v!r}")
    for name, v, least in (("maxiter", maxiter, 0), ("checkpoint_every", every, 1)):
        if isinstance(v, bool) or not isinstance(v, int) or v < least:
            raise ValueError(f"{name} must be a whole number >= {least}, got {v!r}")


def _bar(progress: bool, maxiter: int, count: int) -> Any:
    if not progress:
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError("progress=True needs tqdm: pip install 'lionk[cli]'") from None
    return tqdm(total=maxiter, initial=count, unit="step")


class _Evaluation:
    """f and its gradient at a point, checked, as a float and arrays."""

    def __init__(self, fun: Any, jac: Any, backend: Backend, batches: Any, seed: int | None) -> None:
        if batches is not None and seed is not None:
            raise ValueError("give batches or seed, not both: each is the second argument of fun")
        self.stochastic = batches is not None or seed is not None
        self.backend, self.batches, self.seed = backend, batches, seed
        self._items = None if batches is None or callable(batches) else iter(batches)
        if jac is True:
            self._both = fun
        elif callable(jac):
            self._both = lambda *a: (fun(*a), jac(*a))
        elif jac is None and backend.value_and_grad is not None:
            self._both = backend.value_and_grad(fun)
        elif jac is None:
            raise ValueError(
                f"{backend.name} arrays have no automatic differentiation: pass jac=True (fun returns f and its "
                "gradient) or jac=callable, or use torch or JAX arrays"
            )
        else:
            raise TypeError(f"jac must be True, a callable or None, got {jac!r}")

    def skip(self, count: int) -> None:
        """After a resume: an iterable is advanced to where it was."""
        for _ in range(count if self._items is not None else 0):
            next(self._items, None)  # type: ignore[call-overload]

    def __call__(self, x: Any, count: int) -> tuple[float, Any] | None:
        """None when the batches are used up."""
        extra: tuple[Any, ...] = ()
        if self._items is not None:
            try:
                extra = (next(self._items),)
            except StopIteration:
                return None
        elif self.batches is not None:
            extra = (self.batches(count),)
        elif self.seed is not None:
            extra = (self.backend.random(self.seed, count),)
        out = self._both(x, *extra)
        if not (isinstance(out, tuple) and len(out) == 2):
            raise TypeError(f"fun must return (f, grad) with jac=True, got {type(out).__name__}")
        f, grad = out
        if getattr(f, "ndim", 0) != 0:
            raise ValueError(f"f must be a number or a 0-d array, got shape {tuple(f.shape)}")
        paths = [p for p, _ in named_leaves(x)]
        if is_container(grad) != is_container(x) or [p for p, _ in named_leaves(grad)] != paths:
            raise ValueError(f"the gradient must be a container like x, with {paths}")
        for (path, a), b in zip(named_leaves(grad), leaves(x), strict=True):
            if tuple(getattr(a, "shape", (None,))) != tuple(b.shape):
                where = f" at {path}" if path else ""
                raise ValueError(f"the gradient{where} must have shape {tuple(b.shape)}, got {getattr(a, 'shape', a)!r}")
        return float(f), grad


@dataclass
class _Progress:
    """Everything that a checkpoint must hold: the run as it stands at an iterate, before the step from it."""

    x: Any
    m: Any
    best_x: Any
    best_m: Any
    count: int = 0
    best_gap: float = math.inf
    record: Record = field(default_factory=Record)
    rule: PlateauRule | None = None

    def copy(self) -> _Progress:
        return replace(self, record=replace(self.record), rule=None if self.rule is None else replace(self.rule))


@dataclass
class _Run:
    opt: LionK
    lr: Any
    evaluate: _Evaluation
    backend: Backend
    tol: float
    atol: float
    maxiter: int
    convex: bool | None
    certify: bool
    path: Path | None
    every: int
    now: _Progress
    history: History = field(default_factory=lambda: History([], [], [], [], [], [], []))
    safe: _Progress | None = None  # the last iterate that was finite and is fully accounted for

    def __post_init__(self) -> None:
        self.lam = float(self.opt.weight_decay)
        arrays = leaves(self.now.x)
        self.xp, self.like = _xp.namespace(arrays[0]), arrays[0]
        self.size = sum(math.prod(a.shape) for a in arrays)
        self.eps = max(_xp.eps(self.xp, a) for a in arrays)

    # -- the loop ------------------------------------------------------------------------------------------------

    def loop(self, callback: Any, bar: Any) -> Result:
        before, before_lr = None, 0.0
        first = self.now.count
        while True:
            now = self.now
            point = self.evaluate(now.x, now.count)
            if point is None:
                return self.finish("the batches are used up", success=True)
            f, grad = point
            self._require_finite(f, grad)
            if now.rule is None and self.lr is None and not self.evaluate.stochastic:
                now.rule = PlateauRule(FIRST / self.lam if self.lam else self._free_step(grad))
            lr = self._lr(now)
            seen, slack = self._measure(f, grad, lr)
            here = Point(now.x, now.m, f, grad, seen.objective, seen.distance)
            if before is not None and self.certify:
                now.record.observe(self.opt, before_lr, before, here, self.eps, slack)
            for series, value in zip(self.history, seen, strict=True):
                series.append(value)
            if seen.gap < now.best_gap or self.evaluate.stochastic or now.count == 0:
                now.best_x, now.best_m, now.best_gap = now.x, now.m, seen.gap
            self.safe = now.copy()
            if now.count % self.every == 0 and now.count > first:
                self.save()
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
                x, state = self.opt.step(now.x, grad, State(now.m, now.count), lr=lr)
                now.x, now.m = self.backend.synchronize((x, state.m))
            now.count += 1

    def _lr(self, now: _Progress) -> float:
        if now.rule is not None:
            return now.rule.lr
        if self.lr is None:  # stochastic: linearly to 0
            return (FIRST / self.lam if self.lam else FIRST) * (1 - now.count / self.maxiter)
        return float(self.lr(now.count) if callable(self.lr) else self.lr)

    def _free_step(self, grad: Any) -> float:
        """First lr without a radius: a tenth of the size of x0, or of 1 for each coordinate."""
        length = float(tree_norm(self.opt.K.subgradient(scaled(grad, -1.0))))
        return FIRST * max(float(tree_norm(self.now.x)), math.sqrt(self.size)) / length if length > 0 else FIRST

    def _require_finite(self, f: float, grad: Any) -> None:
        bad = [p or "the gradient" for p, a in named_leaves(grad) if not bool(self.xp.all(self.xp.isfinite(a)))]
        if math.isfinite(f) and not bad:
            return
        what = f"f is {f}" if not math.isfinite(f) else f"a NaN or infinite entry in {', '.join(bad)}"
        where = f" The checkpoint {self.path} holds the last good point." if self.path is not None else ""
        step = self.now.count
        if self.safe is None:
            raise NonFiniteError(f"at the start (step {step}): {what}; choose an x0 where f is finite", step, None)
        self.now = self.safe
        self.save()
        result = self.finish(f"stopped at step {step}: {what}", success=False)
        raise NonFiniteError(
            f"step {step}: {what}. The last good point is that of step {self.now.count} (.result); try a smaller lr.{where}",
            step,
            result,
        )

    def tolerance(self, lr: float) -> float:
        """Of membership in dom K*: rounding of x, which a step with small lr lam does not mend, relative to the set."""
        floor = 8 * self.eps * math.sqrt(max(self.size, 1))
        return floor + (2 * self.eps / max(lr * self.lam, 1e-4) if self.lam else 0.0)

    def _measure(self, f: float, grad: Any, lr: float) -> tuple[History, float]:
        """The numbers of this iterate, and the tolerance of membership that they were taken with."""
        K, now, lam, slack = self.opt.K, self.now, self.lam, self.tolerance(lr)
        gap = float(kkt_gap(K, now.x, grad, lam, slack)) / (lam or 1.0)
        F = float(objective(K, f, now.x, lam, slack))
        inside = math.isfinite(F)
        distance = 0.0 if inside else float(distance_to_domain(K, now.x, lam))
        H = math.inf
        if inside and lr > 0 and (self.opt.decay == "implicit" or lr * lam < 1):
            c = coefficients_of(self.opt, lr).c
            H = float(lyapunov(K, f, now.x, now.m, lam, c, slack))
        return History(f, F - f, F, gap, H, distance, lr), slack

    def _end(self, seen: History, lr: float) -> tuple[str, bool] | None:
        now = self.now
        if not self.evaluate.stochastic:
            first = self.history.gap[0]
            target = self.atol + self.tol * (abs(seen.objective) if self.lam else first)
            if math.isfinite(seen.objective) and seen.gap <= target:
                return f"gap {seen.gap:.3g} <= {target:.3g}", True
            if now.rule is not None and lr * (self.lam or 1.0) < 4 * self.eps:
                return f"lr = {lr:.2g} is below rounding; the gap stays at {now.best_gap:.3g}", False
        if now.count >= self.maxiter:
            if self.evaluate.stochastic:
                return f"all {self.maxiter} steps made", True
            return f"maxiter = {self.maxiter} steps made; best gap {now.best_gap:.3g}", False
        return None

    # -- the end -------------------------------------------------------------------------------------------------

    def finish(self, message: str, success: bool) -> Result:
        now, K, lam = self.now, self.opt.K, self.lam
        self.save()
        x = self._feasible(now.best_x)
        point = self.evaluate(x, now.count) if not self.evaluate.stochastic else None
        f, grad = point if point is not None else (self.history.f[-1], None)
        gap = rounding = math.nan
        if grad is not None and lam:
            gap = float(kkt_gap(K, x, grad, lam)) / lam
            rounding = float(gap_rounding(K, x, grad, lam)) / lam
        distance = float(distance_to_domain(K, x, lam)) if lam else 0.0
        dtype = _xp.real_dtype(self.xp, self.like)
        arrays = [self.xp.asarray(v, dtype=dtype, device=_xp.device(self.like)) for v in self.history]
        certificate = certificate_of(
            self.opt, now.record, eps=self.eps, gap=gap, rounding=rounding, distance=distance, convex=self.convex,
            stochastic=self.evaluate.stochastic,
        )  # fmt: skip
        return Result(
            x=x, fun=f, objective=float(objective(K, f, x, lam)), gap=gap, gap_rounding=rounding, distance=distance,
            nit=now.count, success=success, message=message, history=History(*arrays), certificate=certificate,
            state=State(now.m, now.count), last_x=now.x,
        )  # fmt: skip

    def _feasible(self, x: Any) -> Any:
        """x, or the nearest feasible point where x is outside by no more than rounding, so that F and G are finite."""
        if not self.lam:
            return x
        domain, y = self.opt.K.conjugate.domain, scaled(x, self.lam)
        if bool(domain.contains(y, 0.0)) or not bool(domain.contains(y, self.tolerance(0.0))):
            return x
        try:
            return scaled(domain.project(y), 1 / self.lam)
        except NotAvailable:
            return x

    # -- files ---------------------------------------------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        o = self.opt
        return {"K": repr(o.K), "betas": list(o.betas), "weight_decay": self.lam, "decay": o.decay}

    def save(self) -> None:
        """Write the last accounted iterate. Its own history entry is left out: a resumed run makes it again."""
        if self.path is None or self.safe is None:
            return
        p = self.safe
        arrays = {"x": p.x, "m": p.m, "best_x": p.best_x, "best_m": p.best_m}
        meta = {
            "count": p.count,
            "best_gap": p.best_gap,
            "record": asdict(p.record),
            "rule": None if p.rule is None else asdict(p.rule),
            "history": {n: v[: p.count] for n, v in self.history._asdict().items()},
            "settings": self._settings(),
        }
        from . import checkpoint  # here, so that `import lionk` stays light

        checkpoint.save(self.path, arrays, meta)

    def load(self) -> None:
        assert self.path is not None
        now = self.now
        like = {"x": now.x, "m": now.m, "best_x": now.x, "best_m": now.m}
        from . import checkpoint

        arrays, meta = checkpoint.load(self.path, like=like)
        if meta.get("settings") != self._settings():
            raise ValueError(
                f"{self.path} was written with {meta.get('settings')}, but this run has {self._settings()}; resume with "
                "the same settings, or start anew with another file"
            )
        rule = None if meta["rule"] is None else PlateauRule(**meta["rule"])
        self.now = _Progress(
            **arrays, count=int(meta["count"]), best_gap=meta["best_gap"], record=Record(**meta["record"]), rule=rule
        )
        self.history = History(**meta["history"])
        self.evaluate.skip(self.now.count)
