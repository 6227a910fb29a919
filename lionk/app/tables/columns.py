"""The kind of each column: a number, yes or no, a date, a text; and what is none of the model's business."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..console import BadInput, first_of
from . import cells
from .sheet import Sheet
from .table import Column

Array = Any
LEVELS = 20  # texts of so many different kinds are categories, and more only where each is frequent
FREQUENT = 10
CODE = re.compile(r"0\d{2,}")  # of a place, a product, a patient
NOTHING = frozenset(s * (10.0**k - 1) for s in (1, -1) for k in range(2, 7))  # -999 and its kin, put for no value
LONG = re.compile(r"[+-]?[1-9]\d{16,}")  # whole numbers that double precision rounds
ROUNDED = "rounded to 16 digits (--drop it if it names the rows)"
INDEX = re.compile(
    r"column 1|unnamed: ?\d+|(|.*[ _.-])(id|no|nr)|\w+Id|\w+ID|index|level_0|row ?names?|row|#|obs|case", re.IGNORECASE
)


@dataclass(frozen=True)
class Habits:
    """What holds for the whole file: the mark of decimals (None: nothing tells), and whether a date's day is first."""

    point: str | None = None
    day_first: bool | None = None

    def or_else(self, form: str) -> Habits:
        """These, and where nothing tells, those of a column that was read in this form before."""
        point = form if form in (cells.POINT, cells.COMMA) else None
        return Habits(self.point or point, cells.day_first(form) if self.day_first is None else self.day_first)


def texts_of(column: Any) -> Any:
    """The cells that hold something, or None if the column is typed already."""
    if not pd.api.types.is_string_dtype(column.dtype):
        return None
    return column[~cells.missing(column)]


def habits(sheet: Sheet, decimal: str | None, day_first: bool | None) -> Habits:
    """Look at all columns: one that can be read one way only tells how to read the others."""
    point = decimal
    if point is None:
        found = {
            cells.decimal(cells.either(t))
            for t in map(texts_of, map(sheet.frame.get, sheet.frame))
            if t is not None and len(t)
        }
        told = found & {cells.POINT, cells.COMMA}
        point = told.pop() if len(told) == 1 else None
    return Habits(point, day_first)


def column(sheet: Sheet, name: str, common: Habits, *, text: bool = False, ways: str = "") -> Column:
    """Read one column. Raises BadInput where a few cells contradict all others, or two readings are possible.

    ``ways``: what the user may do about such cells, beside mending them.
    """
    cells_ = sheet.frame[name]
    full = texts_of(cells_)
    if name in sheet.nested:
        return replace(_text(name, cells_, full), aside="its cells are lists or records")
    if full is None:
        return _typed(sheet, name, cells_, text)
    if not len(full):
        return Column(name, "empty", np.full(len(cells_), np.nan), "all cells are empty", aside="it is empty")
    if text:
        return _text(name, cells_, full)
    words = tuple(sorted(set(cells_[cells.missing(cells_)]) - {""}))
    return replace(_read(sheet, name, cells_, full, common, ways), words=words)


def _read(sheet: Sheet, name: str, cells_: Any, full: Any, common: Habits, ways: str) -> Column:
    pair = cells.flags(full)
    if pair is not None:
        lower = cells_.str.lower()
        values = np.where(lower == pair[1], 1.0, np.where(lower == pair[0], 0.0, np.nan))
        return Column(name, "flag", values, f"{pair[0]} or {pair[1]}", flag=pair)
    dates, both = all(map(cells.COMPACT.fullmatch, full)) and cells.date_formats(full), cells.either(full)
    return (
        (None if dates else _number(sheet, name, cells_, full, both, common, ways))
        or _date(sheet, name, cells_, full, common, ways)
        or _text(name, cells_, full, _strangers(full, both, common))
    )


def _strangers(full: Any, both: dict[str, cells.Numbers], common: Habits) -> str:
    """A word on texts that keep a column, most of whose cells are numbers, from being one of numbers."""
    good = max((both[p].good for p in ([common.point] if common.point else both)), key=sum)
    if 2 * good.sum() <= len(full):
        return ""
    others = full[~good]
    return f"; {int(good.sum())} are numbers, but {others.mode().iloc[0]!r} is not (--empty if it stands for nothing)"


def _spread(full: Any, index: Any, values: Array) -> Array:
    """Values of the full cells, with NaN where there is nothing."""
    return pd.Series(values, index=full.index).reindex(index).to_numpy(dtype=float)


def _number(
    sheet: Sheet, name: str, cells_: Any, full: Any, both: dict[str, cells.Numbers], common: Habits, ways: str
) -> Column | None:
    """``both``: the cells as numbers, with each mark of the decimals."""
    own = cells.decimal(both)
    point = own or common.point
    if own is None and point is None and cells.ambiguous(both):
        marks = {",": "", ";": "[.,]"}.get(sheet.separator, ",")  # semicolons are of those who write decimal commas
        grouped = full[full.str.contains(marks)] if marks else full[:0]
        if len(grouped):
            row = int(grouped.index[0])
            raise BadInput(
                f"{_at(sheet, row, name)}: {grouped.iloc[0]!r} may be a number with decimals or with thousands; give "
                "--decimal , or --decimal ."
            )
    found = [both[p] for p in ([point] if point else both)]
    best = max(found, key=lambda n: int(n.good.sum()))
    wrong = int((~best.good).sum())
    if wrong and not cells.few(wrong, len(full)):
        return None
    if wrong:
        row = int(full.index[np.flatnonzero(~best.good)[0]])
        lacks = "is not a number, as the column's other cells are"
        if best.symbol and best.symbol not in full[row]:
            lacks = f"lacks the {best.symbol} that the column's other cells have"
        raise BadInput(
            f"{_at(sheet, row, name)}: {full[row][:40]!r} {lacks}; mend or "
            f"empty the cell{', or delete the line if it holds units' * (row == 0)}{ways}"
        )
    values = _spread(full, cells_.index, best.values)
    for place in np.flatnonzero(np.isinf(values)).tolist():
        shown = str(cells_.iloc[place])[:40]
        raise BadInput(f"{_at(sheet, place, name)}: {shown!r} is not a finite number; mend or empty the cell")
    made = measured(name, values)
    extras = [f"in {best.symbol}"] * bool(best.symbol) + ["decimal commas"] * (best.point == cells.COMMA and own == ",")
    extras += ["some with leading zeros (--categorical if they are codes)"] * any(map(CODE.fullmatch, full))
    extras += [ROUNDED] * any(map(LONG.fullmatch, full))
    return replace(made, detail=", ".join([made.detail, *extras]), form=point or "", unit=best.symbol)


def measured(name: str, values: Array) -> Column:
    """A column of numbers; one that only counts the rows is set aside."""
    full = values[~np.isnan(values)]
    if not full.size:
        return Column(name, "empty", values, "all cells are empty", aside="it is empty")
    names = bool(INDEX.fullmatch(name)) and len(values) > 2 and full.size == len(values) == len(np.unique(full))
    aside = "it numbers the rows" if names and bool((full == np.round(full)).all()) else ""
    low, high = float(full.min()) + 0.0, float(full.max()) + 0.0
    digits = 15 if f"{low:.6g}" == f"{high:.6g}" and low < high else 6  # as of milliseconds since 1970
    return Column(name, "number", values, f"{low:.{digits}g} to {high:.{digits}g}{_told(full)}", aside=aside)


def _told(full: Array) -> str:
    """A word on an end of the values that is far from all others, occurs again and again, and may stand for nothing."""
    for end in (full.min(), full.max()):
        rest, times = full[full != end], int((full == end).sum())
        if float(end) in NOTHING and times > 1 and rest.size and np.abs(rest - end).min() > np.ptp(rest):
            return f"; {end:g} is there {times} times (--empty {end:g} if it stands for nothing)"
    return ""


def _date(sheet: Sheet, name: str, cells_: Any, full: Any, common: Habits, ways: str) -> Column | None:
    forms = cells.date_formats(full)
    usual = "" if forms else cells.usual_format(full[full.str.fullmatch(cells.DATE_LIKE)])
    if usual:
        wrong = full[np.isnan(cells.days(full, usual))]
        if 2 * len(wrong) > len(full):
            return None
        row = int(wrong.index[0])
        if not cells.few(len(wrong), len(full)):
            return _text(
                name, cells_, full, f"; {len(full) - len(wrong)} are dates of one form, and {full[row]!r} has another"
            )
        raise BadInput(
            f"{_at(sheet, row, name)}: {full[row][:40]!r} is not a date, as the column's other cells are; mend or "
            f"empty the cell{ways}"
        )
    if not forms:
        return None
    if len(forms) > 1:
        if common.day_first is None:
            row = int(full.index[0])
            raise BadInput(
                f"{_at(sheet, row, name)}: {full[row]!r} may begin with the day or with the month; give --dates "
                "day-first or --dates month-first"
            )
        forms = forms[:1] if common.day_first else forms[1:]
    read = _dated(name, _spread(full, cells_.index, cells.days(full, forms[0])), forms[0])
    extras = [", in UTC"] * bool(full.str.contains(cells.OFFSET).any())
    extras += [", years of two digits as 1969 to 2068"] * ("%y" in forms[0])
    return replace(read, detail="".join([read.detail, *extras]))


def _dated(name: str, values: Array, form: str = "") -> Column:
    if form in cells.CLOCK:
        return Column(name, "date", values, "times of day", form=form)
    ends = [str(np.datetime64(int(np.floor(v)), "D")) for v in (np.nanmin(values), np.nanmax(values))]
    never = "; 9999-12-31 is there (--empty 9999-12-31 if it stands for nothing)" * (ends[1] == "9999-12-31")
    return Column(name, "date", values, f"{ends[0]} to {ends[1]}{never}", form=form)


def _text(name: str, cells_: Any, full: Any, told: str = "") -> Column:
    values = np.where(cells.missing(cells_), "", cells_.to_numpy(dtype=object)).astype(object)
    different = int(full.nunique())
    if int(full.str.lower().nunique()) < different:
        told += "; some differ in capitals alone"
    kinds = f"{different} different: {first_of(str(v)[:20] for v in sorted(full.unique()))}"
    return Column(name, "text", values, kinds + told, aside=_too_many(different, len(full)))


def _too_many(different: int, rows: int) -> str:
    if different == rows and rows > 2:
        return "every row has a text of its own"
    if different > LEVELS and different * FREQUENT > rows:
        return f"it has {different} different texts in {rows} rows"
    return ""


def _typed(sheet: Sheet, name: str, cells_: Any, text: bool) -> Column:
    """A column that comes with its type, from Parquet, a spreadsheet or NumPy."""
    kind = cells_.dtype
    if text:
        shown = cells_.map(lambda v: "" if pd.isna(v) else str(v).removesuffix(".0")).astype(str)
        return _text(name, shown, shown[shown != ""])
    if pd.api.types.is_bool_dtype(kind):
        values = cells_.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
        return Column(name, "flag", values, "false or true", flag=("false", "true"))
    if pd.api.types.is_datetime64_any_dtype(kind):
        if cells_.isna().all():
            return measured(name, np.full(len(cells_), np.nan))
        read = _dated(name, cells.since_1970(cells_))
        return read if cells_.dt.tz is None else replace(read, detail=f"{read.detail}, in UTC")
    if pd.api.types.is_timedelta64_dtype(kind):
        lasted = measured(name, (cells_ / pd.Timedelta(days=1)).to_numpy(dtype=float))
        return replace(lasted, detail=f"{lasted.detail} days")
    if pd.api.types.is_numeric_dtype(kind):
        values = cells_.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
        for row in np.flatnonzero(np.isinf(values)).tolist():
            raise BadInput(f"{_at(sheet, row, name)}: {values[row]} is not a finite number; mend or empty the cell")
        read = measured(name, values)
        rounded = kind.kind in "iu" and np.abs(values).max(initial=0.0) > 2.0**53
        return replace(read, detail=f"{read.detail}, {ROUNDED}") if rounded else read
    shown = cells_.map(lambda v: "" if v is None else str(v)).astype(str)
    return _text(name, shown, shown[~cells.missing(shown)])


def stranger(sheet: Sheet, read: Column, kind: str, flag: tuple[str, str] | None, form: str) -> int:
    """The first row of a column whose cell is none of this kind, as it was read with another one."""
    full = texts_of(sheet.frame[read.name])
    if full is None:
        return 0
    if kind == "flag":
        fits = full.str.lower().isin(flag or ()).to_numpy()
    elif kind == "date":
        fits = ~np.isnan(cells.days(full, form))
    else:
        fits = cells.numbers(full, form or cells.POINT).good
    return int(full.index[int(np.argmin(fits))])


def _at(sheet: Sheet, row: int, name: str) -> str:
    return f"{sheet.file}, {sheet.where(row)}, column {name!r}"
