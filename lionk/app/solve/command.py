"""``lionk solve``: minimise a loss of a linear model under a constraint, with a certificate, a picture and a trace."""

from __future__ import annotations

import contextlib
import functools
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

import lionk

from ..console import BadInput, Failed, apart, command, complain, console, output_path, put_off, reason, writing
from .cluster import connected
from .losses import LOSSES
from .problems import BUNDLED
from .setup import (
    SCHEDULES,
    Setup,
    check_fits,
    check_rate,
    check_resumed,
    checkpoint_path,
    read_backend,
    read_betas,
    read_checkpoint,
    read_k,
    read_problem,
)

PICTURES = (".png", ".svg", ".pdf")
SMALL = 2_000_000  # entries of the design; with fewer, threads of the linear algebra cost more than they bring


def _names() -> list[str]:
    return lionk.names() + lionk.algorithms()


def _problems() -> list[str]:
    return list(BUNDLED)


def _losses() -> list[str]:
    return list(LOSSES)


def _schedules() -> list[str]:
    return list(SCHEDULES)


def _backends() -> list[str]:
    return list(lionk.backends())


@command
def solve(
    problem: Annotated[
        str | None,
        typer.Option(
            help=f"A bundled problem on real data: {', '.join(BUNDLED)}; 'list' describes them. Default: the first.",
            autocompletion=_problems,
            metavar="NAME",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Your own data, a sample a row: .csv or .npy; needs --target. The first line of a .csv file "
            "has the names of the columns, unless all its cells are numbers.",
            metavar="FILE",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Column to predict: its name, or number from 0; -1 is the last.", metavar="COLUMN"),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(help="logistic, softmax or squared. Default: by the target.", autocompletion=_losses),
    ] = None,
    k: Annotated[
        str | None,
        typer.Option(
            "--k",
            "-k",
            metavar="NAME[:param=value,...]",
            autocompletion=_names,
            help="The convex function, which is the constraint: l1, lp:p=1.5, ...; see 'lionk functions'.",
        ),
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="lam: the constraint is lam x in dom K*.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate. Default: a rule that needs no tuning.")] = None,
    schedule: Annotated[
        str, typer.Option(help=f"Of --lr: {', '.join(SCHEDULES)}.", autocompletion=_schedules)
    ] = "constant",
    betas: Annotated[str, typer.Option(help="b1 and b2 of the momentum.", metavar="B1,B2")] = "0.9,0.99",
    decay: Annotated[str, typer.Option(help="explicit or implicit weight decay.")] = "explicit",
    backend: Annotated[
        str, typer.Option(help="Array library; 'lionk doctor' says which are here.", autocompletion=_backends)
    ] = "numpy",
    device: Annotated[str | None, typer.Option(help="Device of that library, such as cuda:0.")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Of a Dask cluster, such as tcp://host:8786, with --backend dask.", metavar="ADDRESS"),
    ] = None,
    dtype: Annotated[str, typer.Option(help="float64 or float32.")] = "float64",
    maxiter: Annotated[int, typer.Option(help="At most so many steps.")] = 10_000,
    tol: Annotated[float, typer.Option(help="Stop at gap <= tol |F|.")] = 1e-3,
    atol: Annotated[float, typer.Option(help="Stop at gap <= atol + tol |F|; for problems with min F = 0.")] = 0.0,
    seed: Annotated[
        int | None,
        typer.Option(help="Start from random numbers of this seed. Default: the feasible point nearest to 0."),
    ] = None,
    plot: Annotated[
        str, typer.Option(help="Picture to write (.png, .svg, .pdf), or none.", metavar="PATH")
    ] = "lionk-solve.png",
    json: Annotated[
        str, typer.Option("--json", help="Trace to write, or none; - is stdout.", metavar="PATH")
    ] = "lionk-solve.json",
    checkpoint: Annotated[
        Path | None, typer.Option(help="File to save the run in: every 500 steps and at Ctrl-C.", metavar="FILE")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Write the files; print nothing but problems.")] = False,
) -> None:
    """Fit a linear model under a constraint, and certify how near to the optimum it is.

    Without arguments: bounded logistic regression on the Wisconsin breast-cancer data, |w_i| <= 1. Prints the
    objective, its certified gap, the distance to the constraint set, the active bounds and the verdict of the
    theory; writes a picture and a JSON trace. Exit code 1 if the gap does not reach the tolerance.

    Examples: lionk solve --problem digits --k row_l1_l2; lionk solve --data mine.csv --target price --k linf
    """
    out = console(to_stderr=json == "-")
    if problem == "list":
        from .report import list_problems

        list_problems(out)
        return
    plot_path = output_path(plot, "--plot", PICTURES)
    json_path = Path("-") if json == "-" else output_path(json, "--json")
    if checkpoint is not None:
        checkpoint = checkpoint_path(str(checkpoint))
    apart({"--data": data, "--plot": plot_path, "--json": json_path, "--checkpoint": checkpoint})
    if resume and (checkpoint is None or not checkpoint.is_file()):
        raise BadInput("--resume needs --checkpoint FILE with a file that a run has saved")
    saved = None if checkpoint is None or not checkpoint.is_file() else read_checkpoint(checkpoint)
    if data is not None and problem is not None:
        raise BadInput("give --data or --problem, not both")
    if seed is not None and seed < 0:
        raise BadInput(f"--seed must be a whole number >= 0, got {seed}")
    if scheduler is not None and backend != "dask":
        raise BadInput(f"--scheduler is for --backend dask, not {backend}")
    check_rate(lr, schedule)
    chosen_backend, chosen_device = read_backend(backend, device, dtype)
    task, k_text, lam = read_problem(problem, data, target, loss, k, weight_decay)
    setup = Setup(
        task, read_k(k_text), k_text, lam, lr, schedule, read_betas(betas), decay, chosen_backend, chosen_device, dtype,
        maxiter, tol, atol, seed,
    )  # fmt: skip
    check_fits(setup)
    from .. import figures
    from . import report
    from .live import Live

    if not quiet:
        report.opening(out, setup)
    start = time.perf_counter()
    with connected(scheduler), _one_thread(task.design.size):
        with _notes_of_lionk() as told, Live(out, tol, quiet) as live:
            result, problems = _run(setup, live, checkpoint, saved if resume else None)
            told.append(result.unsaved)
        outcome = report.Outcome(setup, result, time.perf_counter() - start)
    if not quiet:
        with put_off(problems, out):
            report.closing(out, outcome)
    saved_path = None if result.unsaved else checkpoint
    # the picture last: if it fails, nothing is lost
    for path, save in ((saved_path, None), (json_path, report.save), (plot_path, figures.save)):
        with put_off(problems, out):
            if path is not None and save is not None:
                with writing(path):
                    save(outcome, path)
            if path is not None and str(path) != "-" and not quiet:
                out.print(f"[dim]wrote[/dim] {escape(str(path))}", soft_wrap=True)
    if problems or not result.success:
        raise Failed("; ".join(problems) or f"not certified to {tol:g}: {result.message}{_advice(outcome)}")


def _advice(o: Any) -> str:
    """What to do where F is so near 0 that no gap is small beside it."""
    scale = abs(o.history["f"][0])
    near = o.setup.weight_decay and abs(o.result.objective) < 1e-2 * scale
    return f"; F is near 0, so give an absolute tolerance, such as --atol {o.setup.tol * scale:.1g}" if near else ""


def _run(setup: Setup, live: Any, checkpoint: Path | None, saved: Any) -> tuple[lionk.Result, list[str]]:
    """The result, and what went wrong along the way."""
    fun, start = setup.problem.fun(setup.backend, setup.dtype, setup.device), _start(setup)
    if saved is not None:
        check_resumed(setup, saved, float(fun(start)[0]))
    try:
        result = lionk.minimize(
            fun,
            start,
            K=setup.K,
            weight_decay=setup.weight_decay,
            lr=setup.rate,
            betas=setup.betas,
            decay=setup.decay,
            jac=True,
            convex=True,
            tol=setup.tol,
            atol=setup.atol,
            maxiter=setup.maxiter,
            callback=live,
            checkpoint=checkpoint,
            resume=saved is not None,
        )
    except lionk.NonFiniteError as error:
        if not isinstance(error.result, lionk.Result):
            raise Failed(str(error)) from None
        return error.result, [str(error)]
    except KeyboardInterrupt as stop:
        saved = hasattr(stop, "__notes__")  # what minimize says of the checkpoint
        kept = f"; {checkpoint} holds the run, --resume continues it" if saved else ""
        raise KeyboardInterrupt(f"stopped at step {live.step}{kept}") from None
    except (ValueError, TypeError, KeyError, lionk.NotAvailable) as error:
        raise BadInput(reason(error)) from None
    return result, [result.unsaved] if result.unsaved else []


def _start(setup: Setup) -> Any:
    """The feasible point nearest to 0, or, with a seed, normal numbers of the size of the constraint."""
    import numpy as np

    shape, radius = setup.problem.shape, 1 / (setup.weight_decay or 1.0)
    put = functools.partial(setup.backend.asarray, dtype=setup.dtype, device=setup.device)
    if setup.seed is not None:
        return put(np.random.default_rng(setup.seed).standard_normal(shape) * radius)
    zero = put(np.zeros(shape))
    try:
        return setup.K.conjugate.domain.project(zero) * radius if setup.weight_decay else zero
    except lionk.NotAvailable:
        return zero


@contextlib.contextmanager
def _one_thread(entries: int) -> Iterator[None]:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=1 if entries < SMALL else None):
        yield


@contextlib.contextmanager
def _notes_of_lionk() -> Iterator[list[str]]:
    """Warnings of lionk as one line each, but for those in the list that is given, which are told otherwise.

    Those of overflow are left out: a run that overflows ends with an error.
    """
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield told
        finally:
            seen = dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, lionk.LionKWarning))
            for text in seen:
                if text not in told:
                    complain(text, "warning")
