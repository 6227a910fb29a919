"""A file as a sheet, by pandas: text, spreadsheets, Parquet and NumPy files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..console import BadInput
from . import header
from .packed import PACKED, unpacked
from .sheet import Frame, Reading, Sheet, filled, names_of
from .text import read_text

TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat", ".data")
EXCEL = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods")
BINARY = (*EXCEL, ".parquet", ".pq", ".npy")
SUFFIXES = (*TEXT, *PACKED, *BINARY)


def read(path: Path, how: Reading | None = None) -> Sheet:
    """The sheet of a file. Raises BadInput, naming the line and the way out."""
    how = how or Reading()
    if str(path).startswith(("http:", "https:", "ftp:")):
        raise BadInput(f"--data {path}: only files are read; download the table first")
    if path.is_dir():
        raise BadInput(f"--data {path} is a directory; name a .csv or .npy file in it")
    if not path.is_file():
        raise BadInput(f"--data {path}: there is no such file")
    suffix = path.suffix.lower()
    if how.sheet is not None and suffix not in EXCEL:
        raise BadInput(f"--sheet {how.sheet} is for files with sheets ({', '.join(EXCEL)}), and {path} is none")
    if suffix in BINARY and (told := [o for o in ("separator", "encoding") if getattr(how, o) is not None]):
        raise BadInput(f"--{told[0]} is for tables in text, and {path} is none; leave it out")
    try:
        if suffix in (*TEXT, *PACKED):
            name, data = unpacked(path)
            if Path(name).suffix.lower() in TEXT:
                return read_text(path, data, how)
            raise BadInput(f"{path} holds {name}; packed tables are text, with names that end in {', '.join(TEXT)}")
        if suffix in EXCEL:
            return _read_excel(path, how)
        if suffix in (".parquet", ".pq"):
            return _typed(path, _parquet(path))
        if suffix == ".npy":
            return _read_npy(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from None
    raise BadInput(f"--data {path}: the name must end in one of {', '.join(SUFFIXES)}")


def _read_excel(path: Path, how: Reading) -> Sheet:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pd.ExcelFile(path, engine="calamine") as book:
                known = [str(name) for name in book.sheet_names]
                sheet = _sheet(how.sheet, known, path)
                cells = book.parse(sheet, header=None, dtype=object, keep_default_na=False)
    except ImportError:
        raise BadInput(f"{path}: Excel files need python-calamine: pip install 'lionk[cli]'") from None
    except (ValueError, IndexError, KeyError, pd.errors.ParserError) as error:
        raise _damaged(path, error) from None
    except Exception as error:
        if type(error).__module__.startswith("python_calamine"):
            raise _damaged(path, error) from None
        raise
    kept, notes = filled((cells.astype(str) != "").any(axis=1).to_numpy())
    cells = cells.iloc[kept].reset_index(drop=True)
    if cells.empty:
        raise BadInput(f"{path}: the sheet {sheet!r} is empty")
    first, why = header.names(cells, how.header, path)
    begin = 0 if first is None else 1
    frame = cells.iloc[begin:].reset_index(drop=True)
    frame.columns, told = names_of(range(cells.shape[1]) if first is None else map(_shown, first))
    notes += [why] if why else []
    if len(known) > 1:
        others = ", ".join(name for name in known if name != sheet)
        notes.append(f"read the sheet {sheet!r} of {len(known)} (--sheet NAME reads another: {others})")
    return Sheet(
        str(path), frame.apply(_settle), lambda i: f"row {int(kept[i + begin]) + 1}", begin == 1,
        notes=(*notes, *told),
    )  # fmt: skip


def _sheet(wanted: str | None, known: list[str], path: Path) -> str:
    """The sheet of this name, in capitals or not, or of this number from 0."""
    if wanted is None or wanted in known:
        return wanted or known[0]
    alike = [name for name in known if name.lower() == wanted.lower()]
    if len(alike) == 1:
        return alike[0]
    if wanted.isdecimal() and int(wanted) < len(known):
        return known[int(wanted)]
    raise BadInput(f"--sheet {wanted}: {path} has {', '.join(known)}; give one of these, or its number from 0")


def _damaged(path: Path, error: Exception) -> BadInput:
    return BadInput(f"{path} is damaged, or no spreadsheet: {error}; save it as CSV")


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
        raise BadInput(f"{path} cannot be read, or is no Parquet file: {error}") from None
    except Exception as error:
        raise BadInput(f"{path} is no Parquet file, or damaged: {error}") from None


def _typed(path: Path, frame: Frame) -> Sheet:
    """A table that knows the types of its columns. An index that does not just count is a column like the others."""
    if not isinstance(frame.index, pd.RangeIndex) or frame.index.name is not None:
        frame = frame.reset_index()
    frame = frame.reset_index(drop=True)
    frame.columns, told = names_of(frame.columns)
    nested = set()
    for name in frame:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            frame[name] = frame[name].astype(frame[name].cat.categories.dtype)
        if frame[name].dtype == object or pd.api.types.is_string_dtype(frame[name].dtype):
            if frame[name].map(lambda v: isinstance(v, (list, tuple, dict, set, np.ndarray)), na_action=None).any():
                nested.add(str(name))
            frame[name] = frame[name].map(_written, na_action=None).astype(str)
    return Sheet(str(path), frame, lambda i: f"row {i}", notes=tuple(told), nested=frozenset(nested))


def _written(value: Any) -> str:
    """A value of a typed table as a text, "" for nothing."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return "" if pd.api.types.is_scalar(value) and pd.isna(value) else str(value).strip()


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
