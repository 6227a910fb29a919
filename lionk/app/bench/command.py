"""``lionk bench``: how far each library is from the limit of the memory of this machine, and how it compares."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ..console import BadInput, command, console, one_of, right, table, unbroken
from ..files import PICTURES, apart, json_path, output_path, to_file, write_json, writing
from . import options, speed
from .aims import AIMS, COLUMNS, ROWS
from .busy import busy
from .machine import machine

if TYPE_CHECKING:
    from .overhead import Overhead

LIMIT = "limit: five streams"
FUNCTIONS = ("huber", "pseudo_huber", "softsign", "log_cosh", "l2", "log_sum_exp", "top_k")

OPTIONS = "options"
GROUPS = (*speed.SHAPES, OPTIONS, speed.POLAR)
SECONDS = 3.0  # for the steps of one table


@dataclass(frozen=True)
class Row:
    """The median of the milliseconds of a step, and that of its ratios to the first of its group, timed beside it."""

    group: str
    name: str
    ms: float
    ratio: float
    aim: float | None = None


@command
def bench(
    json: Annotated[str | None, to_file(help="Write the numbers as JSON too; '-' is the terminal.")] = None,
    plot: Annotated[str | None, to_file(help="Draw the ratios into this file.")] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="Measure each table this long (default 3), or each call of --against (0.5)."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--only",
            help="Make only one table (" + ", ".join(GROUPS) + "), only one part of the counts, or only the calls of "
            "--against that have these words in their names.",
        ),
    ] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help="Print numbers that are the same on every machine, in place of times.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="With --counts: compare with the record. Exit code 1 if a count grew.")
    ] = False,
    record: Annotated[
        bool, typer.Option("--record", help="With --counts: write the counts into the record: the change is meant.")
    ] = False,
    file: Annotated[
        str | None,
        to_file(help="The record of counts. By default asv_bench/counts.json of the checkout."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Compare this checkout with that commit: run the same calls with both, in turns, and say what became "
            "slower or faster. With --counts: compare the counts of both.",
            metavar="COMMIT",
        ),
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(
            help="For --against: run both in an environment that asv makes, such as virtualenv:3.11. By default "
            "in this Python.",
        ),
    ] = None,
    overhead: Annotated[
        bool, typer.Option("--overhead", help="Print only what a call costs beside its arithmetic.")
    ] = False,
    solver: Annotated[
        bool,
        typer.Option(
            "--solver", help="Print only how many evaluations of f minimize needs until it has certified a gap."
        ),
    ] = False,
    processes: Annotated[
        int,
        typer.Option(
            "--busy", min=0, help="Time the steps while this many other processes compute, ours and the peers' alike."
        ),
    ] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="For --solver: take six functions K instead of all.")] = False,
) -> None:
    """Measure how fast a step is with every library here, and with other libraries' Lion.

    The unit is the limit of the memory. A step reads x, m and the gradient, and it writes x and m. A loop that does
    only that is timed right before each step, in the same process and on the same arrays. The steps take turns, and
    medians are printed.

    Times depend on the machine. --counts prints what does not: calls of functions, operations on arrays, memory,
    compilations, evaluations, modules. So slow-downs show there first. --against COMMIT says what became slower or
    faster since that commit.

    Examples: lionk bench --only 2^24; lionk bench --counts --check; lionk bench --against main
    """
    if environment is not None and against is None:
        raise BadInput("--environment is for --against COMMIT")
    if against is not None:
        from .compared import compare  # here, as below

        if check or record or overhead or plot is not None:
            raise BadInput("--against goes with --counts, --only, --seconds, --json and --environment")
        compare(against, counts, group or "", seconds or 0.5, json, environment)
        return
    if solver or quick:
        from .solved import print_tables  # here, as below

        if not solver or check or record or counts or overhead or plot is not None or group is not None:
            raise BadInput("--solver prints its own tables: it goes with --quick and --json")
        print_tables(quick, json)
        return
    if counts or check or record:
        from .counted import count  # here, so that the other commands start as fast as before

        count(check, record, file, group, json)
        return
    path = json_path(json)
    picture = None if plot is None else output_path(plot, "--plot", PICTURES)
    apart({"--json": path, "--plot": picture})
    if overhead and (plot is not None or group is not None):
        raise BadInput("--overhead prints one table: it goes with --json and --seconds, not with --plot or --only")
    one_of(GROUPS, group, "--only")
    out = console(to_stderr=json == "-")
    facts = machine() | ({"busy processes": processes} if processes else {})
    out.print(", ".join(f"{k} {v}" for k, v in facts.items()), style="dim", soft_wrap=True)
    if overhead:
        from .overhead import overheads  # here, as above

        costs = overheads(seconds or SECONDS)
        out.print(_overhead_table(costs))
        if path is not None:
            write_json(path, {"machine": facts, "overhead": [asdict(c) for c in costs]})
        return
    rows: list[Row] = []
    with busy(processes):
        for name in GROUPS if group is None else [group]:
            found = measure(name, seconds or SECONDS)
            gc.collect()
            without = f"{_title(name)}: left out. It needs PyTorch: pip install 'lionk[torch]'"
            out.print(_table(name, found) if found else without, markup=False)
            rows += found
    if path is not None:
        write_json(path, {"machine": facts, "rows": [asdict(r) for r in rows]})
    if picture is not None:
        with writing(picture):
            draw(rows, facts, picture)


def cases(group: str) -> dict[str, Callable[[speed.Arrays], speed.Step]]:
    """What is timed on these shapes, by the name in the table."""
    own = {
        "numpy with numba": ("numpy", "numba"),
        "numpy": ("numpy", "tiles"),
        "torch with numba": ("torch", "numba"),
        "torch compiled": ("torch", "compiled"),
        "torch": ("torch", "tiles"),
    }
    if group == "2^24":
        own |= {"jax with numba": ("jax", "numba"), "jax": ("jax", "jit"), "numpy reference": ("numpy", "reference")}
    found: dict[str, Callable[[speed.Arrays], speed.Step]] = {
        name: partial(speed.runner, library=library, name=way) for name, (library, way) in own.items()
    }
    found["torch optimizer"] = speed.optimizer
    for name in speed.PEERS[: 4 if group == "2^24" else 3]:
        found[name] = partial(speed.peer, name=name)
        if name not in ("lion-pytorch", "optax") and group not in ("GPT-2", "ResNet-50"):
            found[f"{name}, foreach"] = partial(speed.peer, name=name, foreach=True)
    if group == "2^24":
        for name in ("numpy with numba", "numpy", "torch"):
            library, way = own[name]
            for K in (ROWS, COLUMNS):
                found[f"{name}: {K}"] = partial(speed.runner, library=library, name=way, K=K)
        for K in FUNCTIONS:
            found[f"numpy with numba: {K}"] = partial(speed.runner, library="numpy", name="numba", K=K)
            found[f"torch compiled: {K}"] = partial(speed.runner, library="torch", name="compiled", K=K)
    return found


def measure(group: str, seconds: float) -> list[Row]:
    """The rows of one table; what is not installed is left out. Each ratio is to the time of the step's own bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's libraries
        steps = _steps(group)
        found = speed.timings({name: step for name, (step, _, _) in steps.items()}, seconds) if steps else {}
    return [Row(group, name, 1e3 * t.seconds, t.ratio / steps[name][1], steps[name][2]) for name, t in found.items()]


def _steps(group: str) -> dict[str, tuple[speed.Step, float, float | None]]:
    """For each name a step, its bytes in multiples of those of the first one, and the aim of its ratio.

    A table of PyTorch is empty where PyTorch is not installed.
    """
    aims = AIMS.get(group, {})
    if group == speed.POLAR:
        return {name: (step, 1, aims.get(name.partition(" (")[0])) for name, step in speed.polar_factors().items()}
    arrays = speed.Arrays(speed.SHAPES["2^24" if group == OPTIONS else group])
    steps: dict[str, Any] = {LIMIT: (speed.limit(arrays, arrays.flat[1].copy()), 1, None)}
    if group == OPTIONS:
        try:
            return steps | options.steps(arrays)
        except NotImplementedError:
            return {}
    for name, make in cases(group).items():
        with suppress(NotImplementedError):  # what is not installed
            steps[name] = make(arrays), 1, aims.get(name)
    return steps


def _table(group: str, rows: list[Row]) -> Table:
    title = _title(group) if group == OPTIONS else f"{_title(group)}, float32"
    unit = "times its bytes" if group == OPTIONS else "times the first"
    cells = ((r.name, f"{r.ms:.2f}", f"{r.ratio:.2f}", "" if r.aim is None else f"{r.aim:g}") for r in rows)
    return table(unbroken("what"), *map(right, ("ms", unit, "aim")), rows=cells, title=title)


def _overhead_table(rows: list[Overhead]) -> Table:
    cells = ((r.name, r.reference, f"{r.microseconds:.1f}", f"{r.ratio:.2f}", r.aim) for r in rows)
    numbers = map(right, ("us", "times", "aim"))
    return table("call", "compared with", *numbers, rows=cells, title="what a call costs")


def _title(group: str) -> str:
    if group == OPTIONS:
        return "one step on 2^24 by the optimizer of PyTorch"
    return group if group == speed.POLAR else f"one step on {group}"


def draw(rows: list[Row], facts: dict[str, Any], path: Path) -> None:
    """Bars of the ratios, one panel for each table."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from ..style import BLUE, GREY, STYLE

    groups = list(dict.fromkeys(r.group for r in rows))
    with rc_context(STYLE):
        counts = [sum(r.group == g for r in rows) for g in groups]
        figure = Figure(figsize=(8, 0.26 * sum(counts) + 1.2 * len(groups)), layout="constrained")
        axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=counts)[:, 0]
        for group, ax in zip(groups, axes, strict=True):
            some = [r for r in rows if r.group == group][::-1]
            colours = [GREY if r.name.startswith((*speed.PEERS, LIMIT, "torch.optim.")) else BLUE for r in some]
            bars = ax.barh([r.name for r in some], [r.ratio for r in some], color=colours, height=0.7)
            ax.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
            ax.set_xscale("log")
            unit = rows[[r.group for r in rows].index(group)].name
            ax.set_title(fill(f"{_title(group)}, in multiples of {unit.partition(':')[0].partition(' (')[0]}", 45))
        figure.supxlabel(f"{facts['processor']}, {facts['threads']} threads", fontsize=8, color=GREY)
        figure.savefig(path, dpi=130)
