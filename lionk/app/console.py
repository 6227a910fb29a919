"""How the commands speak: results on one stream, problems on stderr in one line, and the exit codes."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Column, Table

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
    """What cannot be written, or printed to ``out``, is told later: it does not keep back what comes after it."""
    try:
        yield
    except Failed as error:
        problems.append(str(error))
    except OSError as error:
        problems.append(f"the output cannot be written: {error.strerror or error}")
        drop(out.file)


def drop(stream: IO[str]) -> None:
    """What is left for this stream goes nowhere, so that neither a later line nor the end of Python fails on it."""
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


def complain(message: object, kind: str) -> None:
    """One line on stderr."""
    say(f"lionk: {kind}: {' '.join(str(message).split())}", err=True)


def reason(error: BaseException) -> str:
    """The text of an exception; that of a KeyError is its argument."""
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


def console(to_stderr: bool = False, width: int = 100) -> Console:
    """Where tables go. Without a terminal there is no colour, and lines have this width."""
    made = Console(stderr=to_stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=to_stderr, highlight=False, width=width)


right, unbroken = partial(Column, justify="right"), partial(Column, no_wrap=True)  # columns: of numbers, of names


def table(*columns: Column | str, rows: Iterable[Iterable[Any]], title: str | None = None) -> Table:
    """A table in the style of all commands."""
    made = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        made.add_row(*row)
    return made


def output_path(text: str, option: str, suffixes: tuple[str, ...] = ()) -> Path | None:
    """A file to write, checked before the work begins; None for "none"."""
    if text == "none":
        return None
    path = Path(text)
    if path.is_dir():
        raise BadInput(f"{option} {text} is a directory; name a file in it, or give {option} none")
    if not path.parent.is_dir():
        raise BadInput(f"{option} {text}: there is no directory {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise BadInput(f"{option} {text} cannot be written; name another file, or give {option} none")
    if suffixes and path.suffix.lower() not in suffixes:
        raise BadInput(f"{option} {text}: the name must end in one of {', '.join(suffixes)}")
    return path


def check_folder(path: Path) -> None:
    """A folder for the files of a run, checked before the work begins: it is there, or can be made."""
    if path.exists() and not path.is_dir():
        raise BadInput(f"--out {path} is a file; name a folder")
    there = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise BadInput(f"--out {path} cannot be made in {there}; name another folder")


def make_folder(path: Path) -> None:
    """Make the folder, if it is not there. Git ignores what is in one that is made here."""
    if not path.is_dir():
        with writing(path):
            path.mkdir(parents=True)
            (path / ".gitignore").write_text("*\n", encoding="utf-8")


def apart(files: dict[str, Path | None]) -> None:
    """Files of a command, by their options: no two are the same, so that none is written over another."""
    seen: dict[Path, str] = {}
    for option, path in files.items():
        if path is not None and str(path) != "-":
            first = seen.setdefault(path.resolve(), option)
            if first != option:
                raise BadInput(f"{first} and {option} are the same file, {path}; name two")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """A file that cannot be written, as on a full disk, is named."""
    try:
        yield
    except OSError as error:
        name = "stdout" if str(path) == "-" else path
        raise Failed(f"{name} cannot be written: {error.strerror or error}") from None


def plain(value: Any) -> Any:
    """A value for strict JSON: NaN and infinities, which it lacks, become null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return plain(value.tolist())


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write the file, or stdout where the path is ``-``."""
    text = json.dumps(plain(value), allow_nan=False, indent=1)
    if str(path) == "-":
        say(text)
    else:
        write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write the file. Raises Failed."""
    with writing(path):
        path.write_text(text, encoding="utf-8")
