"""Tables of numbers from CSV and NPY files, checked so that what is wrong is said in one line with its place."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..console import BadInput

Array = Any


@dataclass(frozen=True)
class Table:
    """Features (n x p, float64), their names, and the column to predict: floats, or texts."""

    features: Array
    names: tuple[str, ...]
    target: Array
    target_name: str


def read(path: Path, target: str) -> Table:
    """The table of a file. Raises BadInput, naming line and column."""
    if path.is_dir():
        raise BadInput(f"--data {path} is a directory; name a .csv or .npy file in it")
    if not path.is_file():
        raise BadInput(f"--data {path}: there is no such file")
    if path.suffix.lower() == ".npy":
        return _table(path, *_read_npy(path), target)
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        return _table(path, *_read_csv(path), target)
    raise BadInput(f"--data {path}: the name must end in .csv or .npy")


def _read_npy(path: Path) -> tuple[list[str], list[Any], list[int]]:
    try:
        with path.open("rb") as file:  # NumPy leaves it open after some errors
            a = np.load(file, allow_pickle=False)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception:  # of a damaged header NumPy raises what it likes
        raise BadInput(f"{path} is no NumPy file of numbers, or damaged, or too large for the memory") from None
    if not isinstance(a, np.ndarray) or a.ndim != 2 or a.dtype.kind not in "fiub":
        found = f"shape {a.shape} of {a.dtype}" if isinstance(a, np.ndarray) else "an archive"
        raise BadInput(f"{path} must hold a matrix of real numbers, a sample a row; it holds {found}")
    return [str(i) for i in range(a.shape[1])], list(a.astype(float).T), list(range(a.shape[0]))


def _read_csv(path: Path) -> tuple[list[str], list[Any], list[int]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not text in UTF-8 (byte {error.start}); save it as a UTF-8 CSV file") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from None
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        cells = {d: len(next(_reader(text, d), ())) for d in ",;\t"}
        reader = _reader(text, max(cells, key=lambda d: cells[d]), strict=True)
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        begin = lines[-1] + 1 if lines else 1
        raise BadInput(f"{path}, the row from line {begin}: {error}; is there a quote that is not closed?") from None
    if not rows:
        raise BadInput(f"{path} is empty")
    if all(map(_is_number, rows[0])):
        names = [str(i) for i in range(len(rows[0]))]
    else:
        names, rows, lines = rows[0], rows[1:], lines[1:]
        twice = [n for i, n in enumerate(names) if n in names[:i]]
        if twice:
            raise BadInput(f"{path}: two columns are named {twice[0]!r}")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(names):
            raise BadInput(f"{path}, line {line}: {len(row)} cells, but the first line has {len(names)}")
    return names, [list(c) for c in zip(*rows, strict=True)] or [[] for _ in names], lines


def _reader(text: str, delimiter: str, strict: bool = False) -> Any:
    """Rows of cells; lines end as a file's do, and not within quotes."""
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=strict)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _table(path: Path, names: list[str], columns: list[Any], lines: list[int], target: str) -> Table:
    where = _column(path, names, target)
    if len(names) < 2:
        raise BadInput(f"{path} has one column only; features are needed beside the target")
    if len(lines) < 2:
        raise BadInput(f"{path} has {len(lines)} row(s) of data; at least 2 are needed")
    features = [_numbers(path, c, n, lines) for i, (c, n) in enumerate(zip(columns, names, strict=True)) if i != where]
    wanted = columns[where]
    if isinstance(wanted, list) and not all(map(_is_number, wanted)):
        blank = [line for cell, line in zip(wanted, lines, strict=True) if not cell]
        if blank:
            raise BadInput(f"{path}, line {blank[0]}: the target {names[where]!r} is empty")
        goal = np.asarray(wanted)
    else:
        goal = _numbers(path, wanted, names[where], lines)
    rest = tuple(n for i, n in enumerate(names) if i != where)
    return Table(np.stack(features, axis=1), rest, goal, names[where])


def _column(path: Path, names: list[str], target: str) -> int:
    if target in names:
        return names.index(target)
    try:
        return range(len(names))[int(target)]
    except (ValueError, IndexError):
        shown = ", ".join(n[:40] for n in names[:12]) + (", ..." if len(names) > 12 else "")
        raise BadInput(f"{path} has no column {target!r}; --target is one of: {shown}, or a number from 0") from None


def _numbers(path: Path, column: Any, name: str, lines: list[int]) -> Array:
    """A column as floats; the first cell that is none is named with its line."""
    if isinstance(column, list):
        for cell, line in zip(column, lines, strict=True):
            if not cell:
                raise BadInput(f"{path}, line {line}, column {name!r}: the cell is empty; fill it or drop the row")
            if not _is_number(cell):
                raise BadInput(f"{path}, line {line}, column {name!r}: {cell[:40]!r} is not a number")
    values = np.asarray(column, dtype=float)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        place = f"line {lines[bad[0]]}" if isinstance(column, list) else f"row {bad[0]}"
        raise BadInput(f"{path}, {place}, column {name!r}: {values[bad[0]]} is not a finite number; "
                       "fill it or drop the row")  # fmt: skip
    return values
