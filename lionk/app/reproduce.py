"""``lionk reproduce NAME``: experiments that end in a picture and numbers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

import lionk
from lionk.backend import missing

from .console import BadInput, command, console, output_path, write_json
from .solve import PICTURES

TARGETS = {"training": "digits, two small networks: Lion-K with five K against AdamW, and weights against 1/lam"}


def _targets() -> list[str]:
    return list(TARGETS)


@command
def reproduce(
    target: Annotated[
        str | None, typer.Argument(help="What to run; without it: the list.", autocompletion=_targets, metavar="NAME")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each optimizer.", min=1)] = 3,
    steps: Annotated[int, typer.Option(help="Steps of each run.", min=1)] = 200,
    plot: Annotated[
        str | None, typer.Option(help="Picture to write, or none. Default: lionk-NAME.png.", metavar="PATH")
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(
            "--json", help="Numbers to write, or none; - is stdout. Default: lionk-NAME.json.", metavar="PATH"
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Write the files; print nothing but problems.")] = False,
) -> None:
    """Run an experiment and write its picture and its numbers.

    Example: lionk reproduce training --seeds 5
    """
    out = console(to_stderr=json == "-")
    if target is None:
        for name, text in TARGETS.items():
            out.print(f"{name:<12}{text}")
        return
    if target not in TARGETS:
        raise BadInput(f"{target}: choose one of {', '.join(TARGETS)}")
    plot_path = output_path(f"lionk-{target}.png" if plot is None else plot, "--plot", PICTURES)
    json_path = Path("-") if json == "-" else output_path(f"lionk-{target}.json" if json is None else json, "--json")
    nets = _training(seeds, steps, out, quiet)
    if plot_path is not None:
        from . import training_figure

        training_figure.save(nets, plot_path)
    if json_path is not None:
        write_json(json_path, _numbers(nets))
    if not quiet:
        for name, curves in nets.items():
            out.print(_table(name, curves))
        for path in (plot_path, json_path):
            if path is not None and str(path) != "-":
                out.print(f"[dim]wrote[/dim] {path}", soft_wrap=True)


def _training(seeds: int, steps: int, out: Console, quiet: bool) -> dict[str, Any]:
    lacking = [lionk.backends()[name].why_unavailable() for name in ("torch", "jax")] + [missing("optax", "jax")]
    if any(lacking):
        raise BadInput(f"training needs PyTorch, JAX and optax: {'; '.join(filter(None, lacking))}")
    from .training import digits, jax_curves, torch_curves

    data, start = digits(), time.perf_counter()

    def tick(text: str) -> None:
        if not quiet:
            out.print(f"[dim]{time.perf_counter() - start:5.1f} s[/dim]  {text}")

    return {
        "PyTorch, convolutional": list(torch_curves(data, seeds, steps, tick)),
        "JAX, two layers": list(jax_curves(data, seeds, steps, tick)),
    }


def _table(name: str, curves: list[Any]) -> Table:
    table = Table(title=f"{name} network", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    watched = any(c.distance is not None for c in curves)
    columns = ["optimizer", "lr", "lam", "training loss", "test accuracy", *(["inside after"] if watched else [])]
    for column in columns:
        table.add_column(column, justify="left" if column == "optimizer" else "right", no_wrap=True)
    for c in curves:
        inside = [] if c.distance is None else [f"{_step(c.inside())}, at most {_step(c.predicted_inside())}"]
        table.add_row(
            c.recipe.name, f"{c.recipe.lr:g}", f"{c.recipe.lam:g}", _spread(c.train_loss, 1, 3),
            _spread(c.accuracy, 100, 1) + " %", *inside,
        )  # fmt: skip
    return table


def _step(step: int | None) -> str:
    return "more than the run" if step is None else str(step)


def _spread(values: Any, factor: float, digits: int) -> str:
    """Mean, and the range over the seeds."""
    low, mean, high = (f"{factor * float(v):.{digits}f}" for v in (values.min(), values.mean(), values.max()))
    return f"{mean} ({low} to {high})"


def _numbers(nets: dict[str, list[Any]]) -> dict[str, Any]:
    return {
        "format": "lionk reproduce 1",
        "lionk": lionk.__version__,
        "target": "training",
        "nets": {
            name: [
                {
                    "optimizer": c.recipe.name, "K": c.recipe.K, "lr": c.recipe.lr, "weight_decay": c.recipe.lam,
                    "loss": c.loss.round(5), "train_loss": c.train_loss, "accuracy": c.accuracy, "distance": c.distance,
                    "inside": None if c.distance is None else c.inside(),
                    "predicted_inside": None if c.distance is None else c.predicted_inside(),
                    "bounded": c.what, "largest": None if c.end is None else abs(c.end).max(),
                }
                for c in curves
            ]
            for name, curves in nets.items()
        },
    }  # fmt: skip
