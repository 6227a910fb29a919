"""Does the first line of a file hold names, or a sample? Decided by what is below it, and never silently."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..console import BadInput, first_of
from . import cells

Frame = Any
YEARS = (1600, 2200)


def names(frame: Frame, wanted: bool | None, file: object) -> tuple[list[Any] | None, str]:
    """The names in the first row, None where it is a sample, and a word on why; ``wanted``: what --header says, if it
    is given. Raises BadInput where neither it nor the row tells.
    """
    named, why = (wanted, "") if wanted is not None else guess(frame)
    if named is None:
        raise BadInput(f"{file}: {why}; give --header if it holds names, --no-header if it is a row like the others")
    return (list(frame.iloc[0]) if named else None), why


def guess(frame: Frame) -> tuple[bool | None, str]:
    """Names (True), a sample (False) or cannot be told (None), and why, where that is worth a word.

    The first row is judged against its own columns. A text that occurs again below it is a sample's; a text above
    numbers is a name. A row of numbers holds names if they rise or fall and most could be no value of their column,
    as 2019, 2020, 2021 above prices.
    """
    if len(frame) < 2:
        return True, ""
    first = [str(v).strip() for v in frame.iloc[0]]
    columns = [_numbers(frame[c].iloc[1:]) for c in frame]
    texts = [
        i for i, cell in enumerate(first) if not (_is_number(cell) or _has_unit(cell, frame.iloc[:2, i], columns[i]))
    ]
    named = [i for i in texts if first[i].lower() not in cells.MISSING]
    if named:
        full = [i for i, c in enumerate(frame) if not cells.missing(frame[c].iloc[1:].astype(str).str.strip()).all()]
        names = sum(first[i].lower() not in cells.MISSING for i in full)
        if 2 * names < len(full):
            return None, f"the first line names {names} of {len(full)} columns; delete it if it is a title"
        if any(columns[i] is not None for i in named):  # words above numbers
            return True, ""
        below = frame.iloc[1:][~(frame.iloc[1:] == frame.iloc[0]).all(axis=1)]  # a line of names may be repeated
        again = [i for i in named if (below.iloc[:, i].astype(str).str.strip() == first[i]).any()]
        if again:
            return False, f"the first line is a sample, as {first[again[0]]!r} occurs again in its column"
        return True, ""
    values = [float(_value(c)) for c in first if _is_number(c)]
    if len(values) < len(first) - 1 or not values:  # a corner may be empty
        return False, "the first line is a sample, as it has no names"
    steps = np.diff(values)
    if len(values) > 2 and values[0] in (0, 1) and (steps == 1).all():  # as pandas writes columns without names
        if len(values) < len(first) or any(c is None for c in columns):
            return True, f"the first line holds names ({first_of(first)}), as it counts the columns"
        if 2 * sum(not _plausible(v, c) for v, c in zip(values, columns, strict=True)) <= len(values):
            return None, f"the first line, {first_of(first)}, counts the columns and may hold names or values"
    if len(values) > 1 and not ((steps > 0).all() or (steps < 0).all()):
        return False, "the first line is a sample, as all its cells are numbers"
    judged = [(v, c) for v, c in zip([_value(f) for f in first], columns, strict=True) if c is not None]
    strange = sum(not _plausible(v, c) for v, c in judged)
    if 2 * strange > len(judged):
        return True, f"the first line holds names ({first_of(first)}), as these are no values of their columns"
    if len(values) > 1 and all(YEARS[0] <= v <= YEARS[1] and v == round(v) for v in values):
        return None, f"the first line, {first_of(first)}, may hold names or values"
    return False, "the first line is a sample, as all its cells are numbers"


def _is_number(cell: str) -> bool:
    return any(pattern.fullmatch(cell) for pattern in cells.NUMBER.values())


def _has_unit(cell: str, begin: Any, below: Any) -> bool:
    """Is a cell above numbers one of them, with the same currency or unit as the cell below it?"""
    return below is not None and any(map(str.isdigit, cell)) and _numbers(begin) is not None


def _value(cell: str) -> float:
    point = next((p for p, pattern in cells.NUMBER.items() if pattern.fullmatch(cell)), cells.POINT)
    return float(cells.numbers(pd.Series([cell], dtype=str), point).values[0])


def _numbers(column: Any) -> Any:
    """The column as numbers, or None if it is something else."""
    texts = column.astype(str).str.strip()
    texts = texts[~cells.missing(texts)]
    if not len(texts):
        return None
    return next((n.values for n in (cells.numbers(texts, p) for p in cells.NUMBER) if n.good.all()), None)


def _plausible(value: float, column: Any) -> bool:
    """Could the value be one more of the column?"""
    low, high = float(np.min(column)), float(np.max(column))
    span = high - low or abs(high) or 1.0
    return low - span <= value <= high + span
