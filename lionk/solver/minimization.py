"""`minimize`: run Lion-K on a function until its certified gap is small, with history, checkpoints and certificate."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..arrays.containers import leaves, named_leaves, tree_map
from ..arrays.namespace import floating
from ..backend.discovery import backend_of
from ..errors import LionKWarning, NonFiniteError
from ..optimizer.lion_k import LionK
from ..theory.anchored import AnchoredRecord
from ..theory.objective import over
from ..theory.record import Record
from .batch import solve
from .evaluation import Evaluation
from .loop import Run
from .progress import Progress
from .result import Info, Result
from .state import AnchoredState

FEWEST, MOST = 40, 400  # gradients that are kept where f has kinks,
ENTRIES = 1 << 22  # of no more entries together where there are more than the fewest


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    *,
    K: Any,
    weight_decay: Any,
    batch: int = 0,
    lr: Any = None,
    rule: str | None = None,
    memory: int | None = None,
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
    """Minimise ``F(x) = f(x) + K*(weight_decay x)/weight_decay`` by Lion-K, with a proof of how near x is.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> f`` or, with ``jac=True``, ``fun(x) -> (f, grad)``. In a stochastic run it gets a second argument.
    x0 : array or container of arrays
        Where the run starts. It is not modified. If it is outside the constraint, the run first gets inside.
    K : str, dict or ConvexFunction
        A plain K serves every array of a container; ``lionk.blocks`` gives each its own.
    weight_decay : float
        lam >= 0; the constraint is ``lam x`` in dom K*. With ``batch=1`` a number > 0, or one for each problem.
    batch : 0 or 1
        1 solves B problems at once. The first axis of x0 counts them. ``fun`` returns f of shape (B,) and, with
        ``jac=True``, gradients in the shape of x0. Each problem has its own steps and its own end, by the anchored
        rule, in one array program. Problems whose f has kinks or is not convex, and slow ones, then go on side by side,
        each by itself: an evaluation of fun serves all of them. The numbers of the result have shape (B,), and those of
        its history (steps, B). Takes no lr, batches, callback, checkpoint.
    lr : float, callable or None
        Learning rate of Lion-K's own steps. None: ``rule`` chooses the steps; a stochastic run then has a rate that
        falls linearly from a tenth of the radius to 0.
    rule : "anchored", "plateau" or None
        How a run without lr moves. There is nothing to tune. "anchored" makes accelerated proximal gradient steps,
        which are steps of Lion-K on an anchored K; it needs a conjugate with a prox. If they are slow, the curvature
        that f has shown makes the steps; if f has kinks, the certificate chooses the weights of the gradients; if f is
        not convex, each step lowers F. "plateau" makes Lion-K's own steps, with an lr that falls when the gap stops
        falling. None: "anchored" where it is possible.
    memory : int, optional
        How many gradients to keep, at most, if f has kinks, or with their points if fast steps are slow (then no more
        than 100). Each is as large as x, and a corner of d dimensions takes d + 1 of them. 1 keeps none. None: 40, or
        up to 400 if together they have at most 4 million entries.
    betas, decay, state_dtype
        As in ``LionK``.
    jac : True, callable or None
        Where the gradient comes from. True: fun returns it too. A callable: ``jac(x)``. None: the autodiff of the
        library, if it has one.
    batches : callable or iterable, optional
        Stochastic run: ``batches(count)``, or the next item, is passed to ``fun`` as its second argument. The run ends
        after ``maxiter`` steps, or with the iterable.
    seed : int, optional
        Stochastic run: a random generator of the library, made from (seed, count), is passed to ``fun`` instead.
    convex : bool, optional
        True: you assert that f is convex, so that the gap is a bound. A run whose gradients put min F above a value
        of F ends without success: f is not convex, or the gradient is not that of f. False: f is not convex, and the
        gap measures stationarity. None: a run takes f for convex until it sees that it is not.
    tol, atol : float
        Stop when the gap, or the momentum gap, is at most ``atol + tol |F|`` (at weight_decay = 0: when
        ``G <= atol + tol G(x0)``).
    maxiter : int
        Stop after this many steps, over all resumed runs. A step is an evaluation of f.
    callback : callable, optional
        Called with ``Info`` at every iterate; a true return value stops the run.
    progress : bool
        Show a progress bar (tqdm).
    certify : bool
        Check the identity and the inequality of the theory at every step: a few more evaluations of K.
    checkpoint, checkpoint_every, resume
        The file to save the run in, every ``checkpoint_every`` steps and at the end (safetensors with JSON).
        ``resume=True`` continues from it, bit for bit. A path that cannot be written is refused before the run. If
        writing fails later, as on a full disk, the old file stays, a LionKWarning says so, and the run goes on and
        tries again. If the end cannot be saved either, another warning and ``Result.unsaved`` say why.

    Returns
    -------
    Result

    Raises
    ------
    NonFiniteError
        f or its gradient became NaN or infinite; ``.result`` holds the run up to there, and so does the checkpoint.
        The anchored rule first tries smaller steps.
    KeyboardInterrupt
        As it came, like whatever ``fun`` and ``callback`` raise, once the checkpoint is written; a note says so.
    TypeError, ValueError
        An argument is of the wrong kind or out of range, or no x is feasible, since dom K* is empty.
    OSError
        The checkpoint is a directory, a device or a pipe, or its folder is missing or read-only; before the run.

    Examples
    --------
    >>> import lionk, array_api_strict as xp
    >>> target = xp.asarray([2.0, 0.3])
    >>> fun = lambda x: (float(xp.sum((x - target) ** 2)) / 2, x - target)
    >>> result = lionk.minimize(fun, xp.zeros(2), K="l1", weight_decay=1.0, jac=True, convex=True)
    >>> result.success, [round(float(v), 2) for v in result.x]
    (True, [1.0, 0.3])
    """
    _check_numbers(weight_decay if batch == 0 else 0.0, tol, atol, maxiter, checkpoint_every)
    tol, atol, maxiter = float(tol), float(atol), int(maxiter)
    if isinstance(batch, bool) or batch not in (0, 1):
        raise ValueError(f"batch must be 0, for one problem, or 1: the first axis of x0 counts them; got {batch!r}")
    if batch:
        others = {
            "lr": lr, "batches": batches, "seed": seed, "callback": callback, "checkpoint": checkpoint,
            "state_dtype": state_dtype, "rule": None if rule == "anchored" else rule,
        }  # fmt: skip
        given = [name for name, value in others.items() if value is not None]
        if given or resume or convex is False:
            raise ValueError(
                "batch=1 runs convex problems by the anchored rule, without checkpoints: leave out "
                + ", ".join(given + ["resume"] * resume + ["convex=False"] * (convex is False))
            )

        def alone(fun: Any, x: Any, lam: float, steps: int) -> Run:
            return _run(fun, x, K, lam, convex=convex, tol=tol, atol=atol, maxiter=steps, memory=memory)

        return solve(fun, x0, K, weight_decay, jac, tol, atol, maxiter, convex, alone)
    if resume and checkpoint is None:
        raise ValueError("resume=True needs checkpoint=PATH")
    run = _run(
        fun, x0, K, weight_decay, convex=convex, tol=tol, atol=atol, maxiter=maxiter, memory=memory, lr=lr, rule=rule,
        betas=betas, decay=decay, state_dtype=state_dtype, jac=jac, batches=batches, seed=seed, certify=certify,
        checkpoint=checkpoint, every=checkpoint_every,
    )  # fmt: skip
    if resume:
        run.load()
    bar = _bar(progress, maxiter, run.now.count)
    try:
        return run.loop(callback, bar)
    except NonFiniteError:  # the last good point is saved
        raise
    except BaseException as stop:  # of fun or callback, or Ctrl-C
        if run.save():
            stop.add_note(f"{run.path} holds the run; resume=True continues it")
        raise
    finally:
        if bar is not None:
            bar.close()
        if run.unsaved:
            warnings.warn(run.unsaved, LionKWarning, stacklevel=2)


def _run(
    fun: Any, x0: Any, K: Any, weight_decay: Any, *, convex: bool | None, tol: float, atol: float, maxiter: int,
    memory: int | None, lr: Any = None, rule: str | None = None, betas: tuple[float, float] = (0.9, 0.99),
    decay: str = "explicit", state_dtype: Any = None, jac: Any = True, batches: Any = None, seed: int | None = None,
    certify: bool = False, checkpoint: str | Path | None = None, every: int = 1,
) -> Run:  # fmt: skip
    """The run that these arguments ask for, where it begins."""
    backend = backend_of(x0, "x0")
    for place, a in named_leaves(x0):
        floating(a, f"x0.{place}" if place else "x0")
    opt = LionK(over(K, x0), 0.0 if lr is None else lr, betas, float(weight_decay), decay, state_dtype)
    chosen = _rule(rule, opt, lr, stochastic=batches is not None or seed is not None)
    if memory is None:
        memory = min(max(FEWEST, ENTRIES // max(sum(math.prod(a.shape) for a in leaves(x0)), 1)), MOST)
    if isinstance(memory, bool) or not isinstance(memory, numbers.Integral) or memory < 1:
        raise ValueError(f"memory must be a whole number >= 1, or None, got {memory!r}")
    evaluate = Evaluation(fun, jac, backend, batches, seed)
    m0 = opt.init(x0).m
    x0 = backend.synchronize(x0)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None:
        from ..checkpoint.file import check  # here, so that `import lionk` stays light

        check(path, {"x0": tree_map(lambda _: None, x0)})  # its containers: arrays are always taken
    anchored = chosen == "anchored"
    now = Progress(
        x0, m0, x0, m0, x0, AnchoredRecord() if anchored else Record(), AnchoredState() if anchored else None
    )
    return Run(
        opt, lr, chosen, evaluate, backend, tol, atol, maxiter, int(memory), convex,
        certify and not evaluate.stochastic, path, every, now,
    )  # fmt: skip


def _check_numbers(weight_decay: Any, tol: Any, atol: Any, maxiter: Any, every: Any) -> None:
    for name, v in (("weight_decay", weight_decay), ("tol", tol), ("atol", atol)):
        if isinstance(v, bool) or not isinstance(v, numbers.Real) or not 0 <= float(v) < math.inf:
            raise ValueError(f"{name} must be a finite number >= 0, got {v!r}")
    for name, v, least in (("maxiter", maxiter, 0), ("checkpoint_every", every, 1)):
        if isinstance(v, bool) or not isinstance(v, numbers.Integral) or int(v) < least:
            raise ValueError(f"{name} must be a whole number >= {least}, got {v!r}")


def _rule(rule: str | None, opt: LionK, lr: Any, *, stochastic: bool) -> str:
    """What the run goes by: "lr" where one is given, or where gradients are of batches."""
    if rule not in (None, "anchored", "plateau"):
        raise ValueError(f"rule must be 'anchored', 'plateau' or None, got {rule!r}")
    if rule is not None and (lr is not None or stochastic):
        raise ValueError(f"rule={rule!r} chooses the steps itself, from full gradients: give no lr, batches or seed")
    if lr is not None or stochastic:
        return "lr"
    possible = opt.weight_decay > 0 and opt.K.conjugate.traits.prox
    if rule == "anchored" and not possible:
        raise ValueError(
            f"rule='anchored' needs weight_decay > 0 and a prox of K*, which {opt.K!r} at {opt.weight_decay} lacks; "
            "use rule='plateau'"
        )
    return rule or ("anchored" if possible else "plateau")


def _bar(progress: bool, maxiter: int, count: int) -> Any:
    if not progress:
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError("progress=True needs tqdm: pip install 'lionk[cli]'") from None
    return tqdm(total=maxiter, initial=count, unit="step")
