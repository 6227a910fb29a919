"""How the commands speak: results on one stream, problems on stderr in one line, and the exit codes."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import IO, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Column, Table

from lionk.errors import reason

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class BadInput(Exception):
    """The user gave something unusable. The message is one line: what, where, and the way out."""


class Failed(Exception):
    """The input was fine and the work did not succeed."""


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose known failures end in one line and an exit code, not in a traceback."""

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> None:
        try:
            function(*args, **options)
        except BadInput as error:
            complain(error, "error")
            raise typer.Exit(BAD_INPUT) from None
        except Failed as error:
            complain(error, "failed")
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt as error:
            complain(str(error) or "stopped", "interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            complain(error, "failed")
            drop(sys.stdout)
            raise typer.Exit(FAILED) from None

    return run


@contextlib.contextmanager
def put_off(problems: list[str], out: Console) -> Iterator[None]:
    """Note what cannot be written, or printed to ``out``, and go on, so that what comes after it is written."""
    try:
        yield
    except Failed as error:
        problems.append(str(error))
    except OSError as error:
        problems.append(f"the output cannot be written: {error.strerror or error}")
        drop(out.file)


def drop(stream: IO[str]) -> None:
    """Send what is left for this stream nowhere, so that neither a later line nor the end of Python fails on it."""
    with contextlib.suppress(OSError):  # a stream without a descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(text: str, err: bool = False) -> None:
    """A text on stdout or stderr, as it is."""
    try:
        typer.echo(text, err=err)
    except OSError as error:
        drop(sys.stderr if err else sys.stdout)
        if not isinstance(error, BrokenPipeError):  # the reader of a pipe has seen enough
            raise


def first_of(words: Iterable[str], most: int = 4) -> str:
    """The first of these words, and dots if there are more."""
    words = list(words)
    return ", ".join(words[:most]) + (", ..." if len(words) > most else "")


def complain(message: object, kind: str) -> None:
    """Print one line on stderr."""
    say(f"lionk: {kind}: {' '.join(str(message).split())}", err=True)


def console(to_stderr: bool = False, width: int = 100) -> Console:
    """The console that tables are printed on. Without a terminal it has no colour, and its lines have this width."""
    made = Console(stderr=to_stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=to_stderr, highlight=False, width=width)


def one_of(known: Iterable[str], value: str | None, option: str) -> None:
    """Raises BadInput, with what there is, if an option is given and its value is not among it."""
    known = list(known)
    if value is not None and value not in known:
        raise BadInput(f"{option} {value}: choose one of {', '.join(known)}")


@contextlib.contextmanager
def bad_input(*kinds: type[Exception], of: str = "") -> Iterator[None]:
    """Errors of these kinds are the user's: they become BadInput, after the option ``of`` which they come."""
    try:
        yield
    except kinds as error:
        raise BadInput(f"{of}{reason(error)}") from None


right, unbroken = partial(Column, justify="right"), partial(Column, no_wrap=True)  # columns: of numbers, of names


def table(*columns: Column | str, rows: Iterable[Iterable[Any]], title: str | None = None) -> Table:
    """A table in the style of all commands."""
    made = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        made.add_row(*row)
    return made
