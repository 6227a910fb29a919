"""``lionk solve``: minimise a loss of a linear model under a constraint, with a certificate, a picture and a trace."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.markup import escape

import lionk
from lionk.errors import reason

from ..console import BadInput, Failed, bad_input, command, complain, console, put_off
from ..files import PICTURES, apart, check_folder, json_path, make_folder, output_path, writing
from ..tables.sheet import Reading
from . import options as opt
from .cluster import connected
from .setup import (
    Setup,
    check_fits,
    check_rate,
    check_resumed,
    checkpoint_path,
    read_backend,
    read_betas,
    read_checkpoint,
    read_k,
    start_of,
)
from .source import Source, Task, read_task

SMALL = 2_000_000  # entries of the design; with fewer, threads of the linear algebra cost more than they bring


@command
def solve(
    problem: opt.ProblemName = None,
    data: opt.Data = None,
    target: opt.Target = None,
    columns: opt.Columns = None,
    drop: opt.Drop = None,
    categorical: opt.Categorical = None,
    drop_first: opt.DropFirst = False,
    missing: opt.Missing = "drop",
    empty: opt.Empty = None,
    standardize: opt.Standardize = True,
    header: opt.Header = None,
    separator: opt.Separator = None,
    decimal: opt.Decimal = None,
    dates: opt.Dates = None,
    encoding: opt.Encoding = None,
    sheet: opt.SheetName = None,
    loss: opt.Loss = None,
    k: opt.KText = None,
    weight_decay: opt.WeightDecay = None,
    hold_out: opt.HoldOut = None,
    cv: opt.Folds = None,
    lams: opt.Lams = None,
    lr: opt.LR = None,
    schedule: opt.Schedule = "constant",
    betas: opt.Betas = "0.9,0.99",
    decay: opt.Decay = "explicit",
    backend: opt.Backend = "numpy",
    device: opt.Device = None,
    scheduler: opt.Scheduler = None,
    dtype: opt.DType = "float64",
    maxiter: opt.MaxIter = 10_000,
    tol: opt.Tol = 1e-3,
    atol: opt.ATol = 0.0,
    seed: opt.Seed = None,
    out: opt.Out = Path("lionk-solve"),
    plot: opt.Plot = None,
    json: opt.Json = None,
    save: opt.Save = None,
    checkpoint: opt.Checkpoint = None,
    resume: opt.Resume = False,
    quiet: opt.Quiet = False,
) -> None:
    """Fit a linear model under a constraint, and certify how close to the optimum it is.

    Without options it fits bounded logistic regression to the Wisconsin breast-cancer data, with every weight
    between -1 and 1. It prints the objective, the certified gap to the best possible value, the constraints that are
    active, and whether the theory held. It writes a picture, a trace and the coefficients into a folder. The exit
    code is 1 if the gap did not reach the tolerance.

    Examples:

    lionk solve --data penguins.csv --target species --save penguins.json

    lionk solve --data prices.csv --target price --k linf --cv 5

    lionk solve --problem digits --k row_l1_l2
    """
    screen = console(to_stderr=json == "-")
    if problem == "list":
        from .report import list_problems

        list_problems(screen)
        return
    files = _files(out, plot, json, save, cv is not None)
    if checkpoint is not None:
        checkpoint = checkpoint_path(str(checkpoint))
    apart({"--data": data, **files, "--checkpoint": checkpoint})
    if resume and (checkpoint is None or not checkpoint.is_file()):
        raise BadInput("--resume needs --checkpoint FILE with a file that a run has saved")
    saved = None if checkpoint is None or not checkpoint.is_file() else read_checkpoint(checkpoint)
    if data is not None and problem is not None:
        raise BadInput("give --data or --problem, not both")
    if data is None and target is not None:
        raise BadInput("--target names a column of --data FILE, which is missing")
    if seed is not None and seed < 0:
        raise BadInput(f"--seed must be a whole number >= 0, got {seed}")
    if scheduler is not None and backend != "dask":
        raise BadInput(f"--scheduler is for --backend dask, not {backend}")
    if lams is not None and cv is None:
        raise BadInput("--lams lists what --cv tries; give --cv FOLDS too, or one --weight-decay")
    if cv is not None and weight_decay is not None:
        raise BadInput("--cv chooses the weight decay; leave --weight-decay out, or give --lams")
    check_rate(lr, schedule)
    chosen_backend, chosen_device = read_backend(backend, device, dtype)
    reading = Reading(header, separator, decimal, encoding, sheet)
    wishes = (reading, target, columns, drop, categorical, drop_first, missing, dates, empty)
    source = None if data is None else Source(data, *wishes)
    task = read_task(problem, source, loss, k, weight_decay, standardize=standardize, hold_out=hold_out, seed=seed or 0)
    setup = Setup(
        task.problem, read_k(task.k_text), task.k_text, task.weight_decay, lr, schedule, read_betas(betas), decay,
        chosen_backend, chosen_device, dtype, maxiter, tol, atol, seed,
    )  # fmt: skip
    check_fits(setup)
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from . import report
    from .live import Live

    if not quiet:
        report.account(screen, task)
    start = time.perf_counter()
    threads = 1 if task.problem.design.size < SMALL else None
    with connected(scheduler), threadpool_limits(limits=threads):
        path = None
        if cv is not None:
            setup, path = _choose(task, setup, lams, cv, seed or 0, screen, quiet)
        if not quiet:
            report.opening(screen, setup)
        with _notes_of_lionk() as told, Live(screen, tol, quiet) as live:
            result, problems = _run(setup, live, checkpoint, saved if resume else None)
            told.append(result.unsaved)
        outcome = report.Outcome(setup, result, time.perf_counter() - start, task.rest)
    if not quiet:
        with put_off(problems, screen):
            report.closing(screen, outcome)
    if result.unsaved:
        checkpoint = None
    _write(files, out, checkpoint, outcome, task, path, missing, problems, None if quiet else screen)
    if problems or not result.success:
        raise Failed("; ".join(problems) or f"not certified to {tol:g}: {result.message}{_advice(outcome)}")


def _files(out: Path, plot: str | None, json: str | None, save: Path | None, path: bool) -> dict[str, Path | None]:
    """Where each file goes, by the option that names it, checked before the work begins; without one, in the folder."""
    check_folder(out)
    return {
        "--plot": out / "picture.png" if plot is None else output_path(plot, "--plot", PICTURES),
        "--json": out / "trace.json" if json is None else json_path(json),
        "--save": None if save is None else output_path(str(save), "--save", (".json",)),
        "the table of coefficients": out / "coefficients.csv" if None in (plot, json) else None,
        "the path over lam": out / "path.png" if path else None,
    }


def _write(
    files: dict[str, Path | None], out: Path, checkpoint: Path | None, o: Any, task: Task, path: Any, missing: str,
    problems: list[str], screen: Any,
) -> None:  # fmt: skip
    """Write all files. One that fails keeps back no other; pictures come last, so that nothing is lost by them."""
    from . import path_figure, report, saved

    def picture(f: Path) -> None:
        from .. import figures  # matplotlib takes as long to load as a small run

        figures.save(o, f)

    writers: list[tuple[Path | None, Callable[[Path], None] | None]] = [
        (checkpoint, None),
        (files["--json"], lambda f: report.save(o, f, path)),
        (files["--save"], lambda f: saved.save(o, task, missing, f)),
        (files["the table of coefficients"], lambda f: report.save_coefficients(o, f)),
        (files["the path over lam"], lambda f: path_figure.save(task, o.setup, path, f)),
        (files["--plot"], picture),
    ]
    for file, write in writers:
        with put_off(problems, screen):
            if file is not None and write is not None:
                if file.parent == out:
                    make_folder(out)
                with writing(file):
                    write(file)
            if file is not None and str(file) != "-" and screen is not None:
                screen.print(f"[dim]wrote[/dim] {escape(str(file))}", soft_wrap=True)


def _choose(
    task: Task, setup: Setup, lams: str | None, folds: int, seed: int, screen: Any, quiet: bool
) -> tuple[Setup, Any]:
    """The run with the weight decay that cross-validation likes best, and the path that it was found on."""
    from . import path_figure
    from .path import follow, read_lams

    values = read_lams(lams)
    with bad_input(lionk.NonFiniteError, ValueError, TypeError, lionk.NotAvailable, of="--cv: "):
        if quiet or not screen.is_terminal:
            path = follow(task, setup, values, folds, seed)
        else:
            with screen.status(f"cross-validation: {len(values)} weight decays") as status:
                path = follow(task, setup, values, folds, seed, lambda t: status.update(f"cross-validation: {t}"))
    if not quiet:
        path_figure.show(screen, path)
    return replace(setup, weight_decay=float(path.lams[path.best])), path


def _advice(o: Any) -> str:
    """What to do where F is so near 0 that no gap is small beside it."""
    scale = abs(o.history["f"][0])
    near = o.setup.weight_decay and abs(o.result.objective) < 1e-2 * scale
    return f"; F is near 0, so give an absolute tolerance, such as --atol {o.setup.tol * scale:.1g}" if near else ""


def _run(setup: Setup, live: Any, checkpoint: Path | None, saved: Any) -> tuple[lionk.Result, list[str]]:
    """The result, and what went wrong along the way."""
    fun, start = setup.problem.fun(setup.backend, setup.dtype, setup.device), start_of(setup)
    if saved is not None:
        check_resumed(setup, saved, float(fun(start)[0]))
    try:
        result = lionk.minimize(
            fun, start, **setup.arguments, callback=live, checkpoint=checkpoint, resume=saved is not None
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
