"""``lionk check``: the universal properties of one convex function, as a table."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

import lionk
from lionk.checking.report import FAILS, HOLDS, Report
from lionk.conformance.ports.target import named

from .console import BadInput, Failed, bad_input, command, console, table
from .files import Json, json_path, write_json
from .functions import parse_k


@command
def check(
    name: Annotated[
        str, typer.Argument(help="The function to check: NAME:param=value,..., or module:attribute for your own.")
    ],
    xp: Annotated[
        str, typer.Option(help="Check it on arrays of this library: numpy, torch, jax, ..., or a module.")
    ] = "numpy",
    dtype: Annotated[
        str, typer.Option(help="The type of the numbers: float64, float32, complex128 or complex64.")
    ] = "float64",
    shape: Annotated[
        str | None,
        typer.Option(
            help="Shape of the argument, for example 6 or 4,3. By default one that fits is chosen.", metavar="N[,N...]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random points.")] = 0,
    json: Json = None,
) -> None:
    """Check a function K: is it convex, and are its conjugate, its set and its prox right?

    The exit code is 1 if a property fails, or none applies. lionk.check_K does the same in Python.

    Examples: lionk check huber:delta=0.5; lionk check my_functions:my_k --xp torch
    """
    path = json_path(json)
    with bad_input(ImportError, TypeError, ValueError, RuntimeError, KeyError):
        library = xp if xp in lionk.backends() else import_module(xp)
        report = lionk.check_K(load(name), library, shape=_shape(shape), dtype=dtype, seed=seed)
    if path is None:
        _show(console(), report)
    else:
        verdicts = [{f: getattr(v, f) for f in ("side", "property", "outcome", "reason")} for v in report.verdicts]
        facts = {f: getattr(report, f) for f in ("name", "library", "dtype", "shape", "ok")}
        write_json(path, {**facts, "verdicts": verdicts})
    if not report.ok:
        wrong = len(report.failures)
        raise Failed(f"{report.name}: " + (f"{wrong} properties do not hold" if wrong else "no property applies"))


def load(text: str) -> Any:
    """The function of a name with parameters, or of ``module:attribute``, found from the working directory too."""
    _, colon, attribute = text.partition(":")
    if not colon or "=" in attribute:
        name, parameters = parse_k(text)
        return lionk.K(name, **parameters)
    found = named(text)
    made = found() if callable(found) and not isinstance(found, lionk.ConvexFunction) else found
    if not isinstance(made, lionk.ConvexFunction):
        raise BadInput(f"{text} is {type(made).__name__}; give a convex function, or what builds one without arguments")
    return made


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    sizes = [s.strip() for s in text.split(",")]
    if not all(s.isdecimal() for s in sizes):
        raise BadInput(f"--shape {text}: give sizes with commas, such as 6 or 4,3")
    return tuple(map(int, sizes))


_STYLES = {HOLDS: "green", FAILS: "bold red"}


def _show(out: Console, report: Report) -> None:
    rows = (
        (name.replace("_", " "), *(f"[{_STYLES.get(o, 'dim')}]{o}[/]" for o in outcomes))
        for name, *outcomes in report.rows
    )
    out.print(table("property", "K", "K*", rows=rows))
    for v in report.verdicts:
        if v.outcome != HOLDS:
            style = _STYLES.get(v.outcome, "dim")
            out.print(f"[{style}]{v.side} {v.outcome}: {escape(v.property.replace('_', ' '))}: {escape(v.reason)}[/]")
    out.print(escape(report.summary))
