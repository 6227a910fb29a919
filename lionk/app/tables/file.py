"""A file as a sheet: its cells under the names of their columns, by pandas, and where each row stands in the file."""

from __future__ import annotations

import csv
import gzip
import io
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..console import BadInput
from . import header

Frame = Any
TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat", ".data")
EXCEL = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods")
SUFFIXES = (*TEXT, *EXCEL, ".parquet", ".npy")
SAMPLE = 50  # lines that the separator is judged by
_SEPARATORS = {"tab": "\t", "space": " "}


@dataclass(frozen=True)
class Reading:
    """How a file is to be read. None: as the file itself suggests."""

    header: bool | None = None
    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    sheet: str | None = None


@dataclass(frozen=True)
class Sheet:
    """The cells of a file. ``frame`` has a column a name: of texts, or of numbers, dates, ... where the file has them.

    ``where(i)`` says where row i stands in the file. ``names``: does the file name its columns?
    """

    file: str
    frame: Frame
    where: Callable[[int], str]
    names: bool = True
    separator: str = ""
    notes: tuple[str, ...] = field(default=())


def read(path: Path, how: Reading | None = None) -> Sheet:
    """The sheet of a file. Raises BadInput, naming the line and the way out."""
    how = how or Reading()
    if path.is_dir():
        raise BadInput(f"--data {path} is a directory; name a .csv or .npy file in it")
    if not path.is_file():
        raise BadInput(f"--data {path}: there is no such file")
    suffix = path.with_suffix("").suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    try:
        if suffix in TEXT:
            return _read_text(path, how)
        if suffix in EXCEL:
            return _read_excel(path, how)
        if suffix in (".parquet", ".pq"):
            return _typed(path, _parquet(path))
        if suffix == ".npy":
            return _read_npy(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from None
    raise BadInput(f"--data {path}: the name must end in one of {', '.join(SUFFIXES)}")


# -- text --------------------------------------------------------------------------------------------------------


def _read_text(path: Path, how: Reading) -> Sheet:
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
    frame.columns, told = _names(names)
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


# -- other files -------------------------------------------------------------------------------------------------


def _read_excel(path: Path, how: Reading) -> Sheet:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pd.ExcelFile(path, engine="calamine") as book:
                known = [str(name) for name in book.sheet_names]
                sheet = how.sheet or known[0]
                if sheet not in known:
                    raise BadInput(f"--sheet {sheet}: {path} has {', '.join(known)}")
                cells = book.parse(sheet, header=None, dtype=object, keep_default_na=False)
    except ImportError:
        raise BadInput(f"{path}: Excel files need python-calamine: pip install 'lionk[cli]'") from None
    except (ValueError, IndexError, KeyError, pd.errors.ParserError) as error:
        raise _damaged(path, error) from None
    except Exception as error:
        if type(error).__module__.startswith("python_calamine"):
            raise _damaged(path, error) from None
        raise
    kept = np.flatnonzero((cells.astype(str) != "").any(axis=1).to_numpy())
    cells = cells.iloc[kept].reset_index(drop=True)
    if cells.empty:
        raise BadInput(f"{path}: the sheet {sheet!r} is empty")
    named, why = (how.header, "") if how.header is not None else header.guess(cells)
    if named is None:
        raise BadInput(f"{path}: {why}; give --header if it holds names, --no-header if it is a row like the others")
    names = [_shown(n) for n in cells.iloc[0]] if named else [str(i) for i in range(cells.shape[1])]
    begin = 1 if named else 0
    frame = cells.iloc[begin:].reset_index(drop=True)
    frame.columns, told = _names(names)
    notes = [why] if why else []
    if len(known) > 1:
        notes.append(f"read the sheet {sheet!r} of {len(known)} (--sheet NAME reads another)")
    return Sheet(
        str(path), frame.apply(_settle), lambda i: f"row {int(kept[i + begin]) + 1}", bool(named),
        notes=(*notes, *told),
    )  # fmt: skip


def _damaged(path: Path, error: Exception) -> BadInput:
    return BadInput(f"{path} is damaged, or no spreadsheet: {' '.join(str(error).split())}; save it as CSV")


def _shown(value: Any) -> str:
    """A cell of a spreadsheet as it is seen: whole numbers without a point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _settle(column: Any) -> Any:
    """A column of a spreadsheet with the type that all its cells have, else as texts."""
    full = column[column.map(lambda v: not (isinstance(v, str) and not v.strip()) and v is not None)]
    kinds = {type(v) for v in full}
    if kinds and kinds <= {int, float}:
        return pd.to_numeric(column.where(column.index.isin(full.index)), errors="coerce")
    if kinds and kinds <= {bool}:
        return column.where(column.index.isin(full.index)).astype("boolean")
    dates = [hasattr(v, "year") for v in full]
    if dates and all(dates):
        return pd.to_datetime(column.where(column.index.isin(full.index)).map(str), errors="coerce", format="ISO8601")
    return column.map(_shown).astype(str)


def _parquet(path: Path) -> Frame:
    try:
        return pd.read_parquet(path)
    except ImportError:
        raise BadInput(
            f"{path}: Parquet files need pyarrow: pip install 'lionk[parquet]' (or save the table as CSV)"
        ) from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read, or is no Parquet file: {' '.join(str(error).split())}") from None
    except Exception as error:
        raise BadInput(f"{path} is no Parquet file, or damaged: {' '.join(str(error).split())}") from None


def _typed(path: Path, frame: Frame) -> Sheet:
    """A table that knows the types of its columns. An index with a name is a column like the others."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    frame = frame.reset_index(drop=True)
    frame.columns, told = _names([str(c) for c in frame.columns])
    for name in frame:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            frame[name] = frame[name].astype(frame[name].cat.categories.dtype)
        if frame[name].dtype == object or pd.api.types.is_string_dtype(frame[name].dtype):
            frame[name] = frame[name].map(lambda v: "" if pd.isna(v) else str(v).strip(), na_action=None).astype(str)
    return Sheet(str(path), frame, lambda i: f"row {i}", notes=tuple(told))


def _read_npy(path: Path) -> Sheet:
    try:
        with path.open("rb") as file:  # NumPy leaves it open after some errors
            a = np.load(file, allow_pickle=False)
    except OSError:
        raise
    except Exception:  # of a damaged header NumPy raises what it likes
        raise BadInput(f"{path} is no NumPy file of numbers, or damaged, or too large for the memory") from None
    if not isinstance(a, np.ndarray) or a.ndim != 2 or a.dtype.kind not in "fiub":
        found = f"shape {a.shape} of {a.dtype}" if isinstance(a, np.ndarray) else "an archive"
        raise BadInput(f"{path} must hold a matrix of real numbers, a sample a row; it holds {found}")
    frame = pd.DataFrame(a.astype(float), columns=[str(i) for i in range(a.shape[1])])
    return Sheet(str(path), frame, lambda i: f"row {i}", names=False)


def _names(given: list[str]) -> tuple[list[str], list[str]]:
    """Names that differ: one that is missing is its place, one that comes again is numbered. And what was done."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    empty, again = [], []
    for place, name in enumerate(given, start=1):
        bare = name.strip()
        if not bare:
            bare = f"column {place}"
            empty.append(bare)
        seen[bare] += 1
        if seen[bare] > 1:
            bare = f"{bare} ({seen[bare]})"
            again.append(bare)
        while bare in names:
            bare += "'"
        names.append(bare)
    notes = []
    if empty:
        notes.append(f"{len(empty)} column(s) without a name: {', '.join(empty[:4])}")
    if again:
        notes.append(f"{len(again)} name(s) that occur again: {', '.join(again[:4])}")
    return names, notes
