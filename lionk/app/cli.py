"""The command ``lionk`` and its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from .bench.command import bench
from .check import check
from .conform.command import conform
from .console import say
from .convert import convert
from .doctor.command import doctor
from .functions import functions
from .predict.command import predict
from .reproduce import reproduce
from .solve.command import solve

app = typer.Typer(
    help="Fit models with Lion-K optimizers (Lion, Muon, all that a convex function K gives), and judge yours.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with 'lionk solve'. Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted.",
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"lionk {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command()(solve)
app.command()(predict)
app.command()(functions)
app.command()(reproduce)
app.command()(check)
app.command()(convert)
app.command()(doctor)
app.command()(conform)
app.command()(bench)
