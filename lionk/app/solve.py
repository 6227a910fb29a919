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

import lionk

from .cluster import connected
from .console import BadInput, Failed, command, complain, console, output_path, reason
from .losses import LOSSES
from .problems import BUNDLED
from .setup import SCHEDULES, Setup, check_rate, read_backend, read_betas, read_k, read_problem

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
        Path | None, typer.Option(help="Your own data, a sample a row: .csv or .npy. Needs --target.", metavar="FILE")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Column to predict: its name, or number from 0.", metavar="COLUMN")
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
        checkpoint = output_path(str(checkpoint), "--checkpoint")
    if resume and (checkpoint is None or not checkpoint.is_file()):
        raise BadInput("--resume needs --checkpoint FILE with a file that a run has saved")
    if data is not None and problem is not None:
        raise BadInput("give --data or --problem, not both")

    if scheduler is not None and backend != "dask":
        raise BadInput(f"--scheduler is for --backend dask, not {backend}")
    check_rate(lr, schedule)
    chosen_backend, chosen_device = read_backend(backend, device, dtype)
    task, k_text, lam = read_problem(problem or next(iter(BUNDLED)), data, target, loss, k, weight_decay)
    setup = Setup(
        task, read_k(k_text), k_text, lam, lr, schedule, read_betas(betas), decay, chosen_backend, chosen_device, dtype,
        maxiter, tol, seed,
    )  # fmt: skip
    from . import figures, report
    from .live import Live

    if not quiet:
        report.opening(out, setup)
    start = time.perf_counter()
    with connected(scheduler), _one_thread(task.design.size):
        with _notes_of_lionk(), Live(out, tol, quiet) as live:
            result, trouble = _run(setup, live, checkpoint, resume)
        outcome = report.Outcome(setup, result, time.perf_counter() - start)
    if plot_path is not None:
        figures.save(outcome, plot_path)
    if json_path is not None:
        report.save(outcome, json_path)
    if not quiet:
        report.closing(out, outcome, [p for p in (plot_path, json_path, checkpoint) if p and str(p) != "-"])
    if trouble or not result.success:
        raise Failed(trouble or f"not certified to {tol:g}: {result.message}")


def _run(setup: Setup, live: Any, checkpoint: Path | None, resume: bool) -> tuple[lionk.Result, str]:
    """The result, and what went wrong along the way if something did."""
    backend, dtype = setup.backend, setup.dtype
    try:
        result = lionk.minimize(
            setup.problem.fun(backend, dtype, setup.device),
            _start(setup),
            K=setup.K,
            weight_decay=setup.weight_decay,
            lr=setup.rate,
            betas=setup.betas,
            decay=setup.decay,
            jac=True,
            convex=True,
            tol=setup.tol,
            maxiter=setup.maxiter,
            callback=live,
            checkpoint=checkpoint,
            resume=resume,
        )
    except lionk.NonFiniteError as error:
        if not isinstance(error.result, lionk.Result):
            raise Failed(str(error)) from None
        return error.result, str(error)
    except KeyboardInterrupt:
        kept = checkpoint is not None and checkpoint.is_file()
        saved = f"; {checkpoint} holds the run, --resume continues it" if kept else ""
        raise KeyboardInterrupt(f"stopped at step {live.step}{saved}") from None
    except ImportError as error:  # of what checkpoints need
        raise Failed(str(error)) from None
    except (ValueError, TypeError, KeyError, lionk.NotAvailable) as error:
        raise BadInput(reason(error)) from None
    return result, ""


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
def _notes_of_lionk() -> Iterator[None]:
    """Warnings of lionk as one line each; those of overflow are left out: a run that overflows ends with an error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            seen = dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, lionk.LionKWarning))
            for text in seen:
                complain(text, "warning")
