"""The files of the commands: checked before the work begins, and written, or named where they cannot be."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from .console import BadInput, Failed, say


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


to_file = partial(typer.Option, metavar="PATH")  # an option that names a file
PICTURES = (".png", ".svg", ".pdf")
#: Of commands that print what ``--json`` writes instead.
Json = Annotated[str | None, to_file(help="Write JSON instead; '-' is the terminal.")]


def json_path(text: str | None) -> Path | None:
    """Where ``--json`` writes, checked before the work begins: ``-`` is the terminal."""
    return None if text is None else Path("-") if text == "-" else output_path(text, "--json")


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
