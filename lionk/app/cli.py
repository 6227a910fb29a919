"""The command ``lionk`` and its subcommands."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

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


class _Flags:
    """In ``--help`` a flag shows no type, which newer versions of Typer print as ``<bool>``: it takes no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for p in params:
            if getattr(p, "is_flag", False) and p.metavar is None:
                p.metavar = ""
        return params


class _Command(_Flags, TyperCommand):
    pass


class _Group(_Flags, TyperGroup):
    pass


app = typer.Typer(
    cls=_Group,
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


app.command(cls=_Command)(solve)
app.command(cls=_Command)(predict)
app.command(cls=_Command)(functions)
app.command(cls=_Command)(reproduce)
app.command(cls=_Command)(check)
app.command(cls=_Command)(convert)
app.command(cls=_Command)(doctor)
app.command(cls=_Command)(conform)
app.command(cls=_Command)(bench)
