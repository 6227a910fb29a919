"""Tables of text (CSV and its kin) as sheets: encoding, comments, separator, names, and the line of each row."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..console import BadInput
from . import header
from .sheet import Frame, Reading, Sheet, filled, names_of

SAMPLE = 50  # lines that the separator is judged by
_SEPARATORS = {"tab": "\t", "space": " "}
_OTHERS = {
    b"PK\3\4": "a zip archive or a spreadsheet (.zip, .xlsx, .ods)",
    b"\x1f\x8b": "a gzip file (.csv.gz)",
    b"PAR1": "a Parquet file (.parquet)",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet (.xls)",
    b"%PDF": "a PDF",
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"<?xml": "XML",
    b'{"': "JSON",
    b'[{"': "JSON",
}


def read_text(path: Path, data: bytes, how: Reading) -> Sheet:
    text, notes = _decode(path, data, how.encoding)
    skipped, text = _comments(text if "\n" in text else text.replace("\r", "\n"))
    if not text.strip():
        raise BadInput(f"{path} is empty")
    separator = _SEPARATORS.get(how.separator or "", how.separator) or _separator(text)
    where = _places(text, separator, skipped)
    spare = _spare(text, separator)
    if spare:
        text = _lengthened(text, separator) if spare == "last" else f'""{separator}{text}'
        notes.append(f"the first line has one name less than the others have cells, so the {spare} column has none")
    frame = _parse(path, text, separator, skipped)
    if spare == "first" and separator == "," and _whole(frame.iloc[1:, 0]):
        width = frame.shape[1]
        raise BadInput(f"{path}, {where(0)}: {width - 1} names, but the lines below have {width} cells; add the name "
                       "that is missing, or, if commas mark decimals, save the table with semicolons")  # fmt: skip
    kept, told = filled((frame != "").any(axis=1).to_numpy(), _blank(text, separator, frame.shape[1]))
    notes += told
    frame = frame.iloc[kept].reset_index(drop=True)
    first, why = header.names(frame, True if spare else how.header, path)
    if why:
        option = "--header" if first is None else "--no-header"
        notes.append(f"{why} ({option} reads it otherwise)")
    if first is not None and (again := (frame.iloc[1:] == frame.iloc[0]).all(axis=1).to_numpy()).any():
        notes.append(
            f"{again.sum()} line(s) left out that repeat the names, the first {where(int(kept[1:][again][0]))}"
        )
        stay = np.r_[True, ~again]
        frame, kept = frame[stay], kept[stay]
    begin = 0 if first is None else 1
    frame = frame.iloc[begin:].reset_index(drop=True)
    frame.columns, told = names_of(range(frame.shape[1]) if first is None else first)
    return Sheet(str(path), frame, lambda i: where(int(kept[i + begin])), begin == 1, separator, (*notes, *told))


def _decode(path: Path, data: bytes, encoding: str | None) -> tuple[str, list[str]]:
    if encoding is None:
        begin = data[:200].lstrip().lower()
        kind = next((kind for start, kind in _OTHERS.items() if begin.startswith(start.lower())), "")
        if kind:
            raise BadInput(
                f"{path} is {kind}, not a table in text; give the file the name of its kind, or save the table as CSV"
            )
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            encoding = "utf-16"
        elif b"\0" in data[:4000]:
            encoding = _utf_16(data[:4000])
            if encoding is None:
                line = data.count(b"\n", 0, data.index(b"\0")) + 1
                raise BadInput(f"{path} is no text: line {line} has zero bytes; save the table as CSV in UTF-8")
        else:
            try:
                return data.decode("utf-8-sig"), []
            except UnicodeDecodeError:
                if (both := _mixed(data)) is not None:
                    return both
                encoding = "cp1252"
                if not _decodes(data, encoding):
                    encoding = "latin-1"  # which takes every byte
    try:
        text = data.decode(encoding)
    except LookupError:
        raise BadInput(f"--encoding {encoding}: Python knows no such encoding; try utf-8, cp1252 or utf-16") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path}, line {line}: not text in {encoding}; give another --encoding, or leave it out"
        ) from None
    return text.removeprefix("\ufeff"), [f"read as {encoding}, as it is not UTF-8 (--encoding NAME reads it otherwise)"]


def _mixed(data: bytes) -> tuple[str, list[str]] | None:
    """Text whose lines come from files of UTF-8 and of Windows-1252; None if no line beyond ASCII is UTF-8."""
    lines, others, first = data.split(b"\n"), 0, 0
    made, any_utf_8 = [], False
    for place, line in enumerate(lines, start=1):
        if line.isascii() or _decodes(line, "utf-8"):
            any_utf_8 = any_utf_8 or not line.isascii()
            made.append(line.decode("utf-8"))
        elif _decodes(line, "cp1252"):
            others, first = others + 1, first or place
            made.append(line.decode("cp1252"))
        else:
            return None
    if not any_utf_8:
        return None
    note = f"read {others} line(s) as cp1252, as they are not UTF-8 like the rest; the first is line {first}"
    return "\n".join(made).removeprefix("\ufeff"), [note]


def _utf_16(start: bytes) -> str | None:
    """The kind of UTF-16 that text without a mark at its start is in: most second bytes, or most first ones, are 0."""
    first, second = (start[i::2].count(0) / max(len(start[i::2]), 1) for i in (0, 1))
    return "utf-16-le" if second > 0.7 and first < 0.1 else "utf-16-be" if first > 0.7 and second < 0.1 else None


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _comments(text: str) -> tuple[int, str]:
    """How many lines at the top are comments (#) or blank, and the text without them; a ``sep=;`` of Excel too."""
    skipped = 0
    while text:
        line, end, rest = text.partition("\n")
        bare = line.strip()
        if bare and not bare.startswith("#") and not (len(bare) == 5 and bare.lower().startswith("sep=")):
            break
        if bare.startswith("#") and _is_head(bare, rest):
            text = text.replace("#", "", 1)  # as NumPy writes the names of columns
            break
        text, skipped = rest, skipped + 1
        if not end:
            break
    return skipped, text


def _is_head(comment: str, rest: str) -> bool:
    if rest.startswith("#") or not rest.strip():
        return False
    cut = _separator(rest)
    cells_ = _counts(comment.lstrip("#").strip(), cut)
    return cells_ == _counts(rest.partition("\n")[0], cut) and cells_[0] > 1


def _rows(text: str, separator: str) -> Any:
    """Rows of cells; lines end as a file's do, and not within quotes."""
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)


def _separator(text: str) -> str:
    """The separator that cuts the first lines, and the names above them, into the same number of cells.

    Commas come after the others, as they may be decimals, and spaces last, as they may stand within texts.
    """
    counts = {s: _counts(text, s) for s in ("\t", ";", "|", ",", " ")}
    shares = {s: _share(found, found[:1]) for s, found in counts.items()}
    if not any(shares.values()):  # perhaps a title above the names
        shares = {s: _share(found, found[1:2]) for s, found in counts.items()}
    best = max(shares.values())
    if shares[" "] >= 0.9 and "  " in text.partition("\n")[0]:
        return " "  # columns set under each other, perhaps with a tab before the last
    return next(s for s, share in shares.items() if share >= min(best, 0.9)) if best else ","


def _share(counts: list[int], names: list[int]) -> float:
    """The share of lines with the most usual number of cells, if the names have as many, or one less."""
    cells, times = Counter(counts).most_common(1)[0] if counts else (0, 0)
    return times / len(counts) if cells > 1 and names and names[0] in (cells, max(cells - 1, 2)) else 0.0


def _first_rows(text: str, separator: str) -> list[list[str]]:
    """The cells of the first lines that are not blank."""
    try:
        plain = text.replace("\t", " ") if separator == " " else text
        return [row for row, _ in zip(_rows(plain, separator), range(SAMPLE), strict=False) if row]
    except csv.Error:
        return []


def _counts(text: str, separator: str) -> list[int]:
    """How many cells each of the first lines has."""
    return [len(row) - (separator == " " and not row[-1]) for row in _first_rows(text, separator)]


def _spare(text: str, separator: str) -> str:
    """Which column has no name, where the first line has one cell less than each of the others; "" if it has not.

    The last one, where all lines below end with a separator; else the first, as R writes the names of rows.
    """
    rows = _first_rows(text, separator)
    if len(rows) < 2 or {len(row) for row in rows[1:]} != {len(rows[0]) + 1}:
        return ""
    return "last" if not any(row[-1] for row in rows[1:]) else "first"


def _whole(cells_: Any) -> bool:
    """Are these whole numbers, of which some are equal? Then they name no rows, and may be parts of decimals."""
    return bool(cells_.str.fullmatch(r"-?\d*").all() and cells_.duplicated().any())


def _lengthened(text: str, separator: str) -> str:
    """The text with one more cell, which is empty, in its first row."""
    reader = _rows(text, separator)
    next(reader)
    lines = text.split("\n")
    lines[reader.line_num - 1] = lines[reader.line_num - 1].rstrip("\r") + separator
    return "\n".join(lines)


def _parse(path: Path, text: str, separator: str, skipped: int) -> Frame:
    """The cells as texts, by pandas. What it cannot read is looked at again, to be named by its line."""
    kind: dict[str, Any] = {"sep": r"\s+"} if separator == " " else {"sep": separator, "skipinitialspace": True}
    try:
        frame = pd.read_csv(
            io.StringIO(text), header=None, dtype=str, keep_default_na=False, na_filter=False, skip_blank_lines=False,
            **kind,
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        _ragged(path, text, separator, skipped)
        raise BadInput(f"{path}: {error}") from None
    if '\\"' in text:
        _ragged(path, text, separator, skipped)  # a quote that is written so would end its cell
    if separator != " " and ((frame.iloc[:, -1] == "") & (frame != "").any(axis=1)).any():
        _ragged(path, text, separator, skipped)  # a line that is cut short ends so
    return frame.apply(lambda column: column.str.strip())


def _ragged(path: Path, text: str, separator: str, skipped: int) -> None:
    """Raises BadInput at the first row that is not as long as most."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    counts = _counts(text, separator)
    width, begin = Counter(counts).most_common(1)[0][0] if counts else 0, 1
    try:
        for row in reader:
            line = skipped + begin
            if row and len(row) != (width := width or len(row)):
                cells_ = "1 cell" if len(row) == 1 else f"{len(row)} cells"
                title = "delete it if it is a title" if begin == 1 else "mend or delete the line"
                raise BadInput(
                    f"{path}, line {line}: {cells_}, but most lines have {width}; {title}, or, if {separator!r} does "
                    "not part the columns, give --separator"
                )
            begin = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(
            f"{path}, the row from line {skipped + begin}: {error}; is there a quote that is not closed?"
        ) from None


def _blank(text: str, separator: str, width: int) -> Callable[[int], bool]:
    """Is an empty row a blank line, which is no row, and not one of empty cells? Asked by its number."""

    @cache
    def lengths() -> list[int]:
        return [len(row) for row in _rows(text, separator)]

    return lambda row: separator == " " or lengths()[row] < min(2, width)


def _places(text: str, separator: str, skipped: int) -> Callable[[int], str]:
    """The line of a row, found when it is asked for."""

    def where(row: int) -> str:
        if separator == " ":
            return f"line {skipped + row + 1}"
        reader, begin = _rows(text, separator), 1
        for i, _ in enumerate(reader):
            if i == row:
                break
            begin = reader.line_num + 1
        return f"line {skipped + begin}"

    return where
