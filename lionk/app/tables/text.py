"""Tables of text (CSV and its kin) as sheets: encoding, comments, separator, names, and the line of each row."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..console import BadInput
from . import header
from .sheet import Frame, Reading, Sheet, names_of

SAMPLE = 50  # lines that the separator is judged by
_SEPARATORS = {"tab": "\t", "space": " "}


def read_text(path: Path, how: Reading) -> Sheet:
    text, notes = _decode(path, how.encoding)
    skipped, text = _comments(text)
    if not text.strip():
        raise BadInput(f"{path} is empty")
    separator = _SEPARATORS.get(how.separator or "", how.separator) or _separator(text)
    where = _places(text, separator, skipped)
    row_names = _row_names(text, separator)
    if row_names:
        end = text.index("\n")
        text = f'""{separator}{text[:end]}{text[end:]}'
        notes.append("the first line has one name less than the others have cells, so the first column has none")
    frame = _parse(path, text, separator, skipped)
    kept = np.flatnonzero((frame != "").any(axis=1).to_numpy())  # blank lines are no rows
    frame = frame.iloc[kept].reset_index(drop=True)
    named, why = (True, "") if row_names else (how.header, "") if how.header is not None else header.guess(frame)
    if named is None:
        raise BadInput(f"{path}: {why}; give --header if it holds names, --no-header if it is a row like the others")
    if why:
        option = "--no-header" if named else "--header"
        notes.append(f"{why} ({option} reads it otherwise)")
    names = [str(n) for n in frame.iloc[0]] if named else [str(i) for i in range(frame.shape[1])]
    if named and (again := (frame.iloc[1:] == frame.iloc[0]).all(axis=1).to_numpy()).any():
        notes.append(
            f"{again.sum()} line(s) left out that repeat the names, the first {where(int(kept[1:][again][0]))}"
        )
        stay = np.r_[True, ~again]
        frame, kept = frame[stay], kept[stay]
    begin = 1 if named else 0
    frame = frame.iloc[begin:].reset_index(drop=True)
    frame.columns, told = names_of(names)
    return Sheet(str(path), frame, lambda i: where(int(kept[i + begin])), bool(named), separator, (*notes, *told))


def _decode(path: Path, encoding: str | None) -> tuple[str, list[str]]:
    data = path.read_bytes()
    if path.suffix.lower() == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise BadInput(f"{path} is no gzip file, or is cut off: {error}") from None
    if encoding is None:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            encoding = "utf-16"
        elif b"\0" in data[:4000]:
            raise BadInput(f"{path} is no text: it has zero bytes; save the table as CSV in UTF-8")
        else:
            try:
                return data.decode("utf-8-sig"), []
            except UnicodeDecodeError:
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
    """That which cuts the first lines, and the names above them, into the same number of cells.

    Commas come after the others, as they may be decimals, and spaces last, as they may stand within texts.
    """
    shares = {}
    for separator in ("\t", ";", "|", ",", " "):
        counts = _counts(text, separator)
        cells, times = Counter(counts).most_common(1)[0] if counts else (0, 0)
        fits = cells > 1 and counts[0] in (cells, max(cells - 1, 2))
        shares[separator] = times / len(counts) if fits else 0.0
    best = max(shares.values())
    if shares[" "] >= 0.9 and "  " in text.partition("\n")[0]:
        return " "  # columns set under each other, perhaps with a tab before the last
    return next(s for s, share in shares.items() if share >= min(best, 0.9)) if best else ","


def _counts(text: str, separator: str) -> list[int]:
    """Cells in each of the first lines that are not blank."""
    try:
        plain = text.replace("\t", " ") if separator == " " else text
        rows = [row for row, _ in zip(_rows(plain, separator), range(SAMPLE), strict=False) if row]
    except csv.Error:
        return []
    return [len(row) - (separator == " " and not row[-1]) for row in rows]


def _row_names(text: str, separator: str) -> bool:
    """As R writes them: the first line has one cell less than each of the others."""
    counts = _counts(text, separator)
    return len(counts) > 1 and set(counts[1:]) == {counts[0] + 1}


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
        raise BadInput(f"{path}: {' '.join(str(error).split())}") from None
    if separator != " " and ((frame.iloc[:, -1] == "") & (frame != "").any(axis=1)).any():
        _ragged(path, text, separator, skipped)  # a line that is cut short ends so
    return frame.apply(lambda column: column.str.strip())


def _ragged(path: Path, text: str, separator: str, skipped: int) -> None:
    """Raises BadInput at the first row that is not as long as the first."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    width, begin = 0, 1
    try:
        for row in reader:
            line = skipped + begin
            if row and len(row) != (width := width or len(row)):
                raise BadInput(
                    f"{path}, line {line}: {len(row)} cells, but the first line has {width}; mend the line, or, if "
                    f"{separator!r} does not part the columns, give --separator"
                )
            begin = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(
            f"{path}, the row from line {skipped + begin}: {error}; is there a quote that is not closed?"
        ) from None


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
