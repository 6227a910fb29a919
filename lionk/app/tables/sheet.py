"""What is read of a file: its cells under the names of their columns, and where each row stands in the file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Frame = Any


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

    ``where(i)`` says where row i stands in the file. ``names``: does the file name its columns? ``nested``: columns
    of lists or records, as texts.
    """

    file: str
    frame: Frame
    where: Callable[[int], str]
    names: bool = True
    separator: str = ""
    notes: tuple[str, ...] = field(default=())
    nested: frozenset[str] = frozenset()


def emptied(sheet: Sheet, words: tuple[str, ...]) -> Sheet:
    """The sheet without these words, and these numbers: their cells are empty."""
    if not words:
        return sheet
    texts, numbers = {w.lower() for w in words}, [float(w) for w in words if _is_float(w)]
    frame = sheet.frame.copy(deep=False)
    for name in frame:
        cells_ = frame[name]
        if cells_.dtype.kind in "iuf":
            frame[name] = cells_.where(~cells_.isin(numbers))
        elif cells_.dtype.kind == "M":
            frame[name] = cells_.where(~cells_.dt.strftime("%Y-%m-%d").isin(texts))
        elif hasattr(cells_, "str") and cells_.dtype.kind != "b":
            frame[name] = cells_.where(~cells_.str.lower().isin(texts), "")
    return replace(sheet, frame=frame)


def _is_float(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def filled(full: Any, blank: Callable[[int], bool] = lambda _: False) -> tuple[Any, list[str]]:
    """The rows of a file that count, and what is told of others: those from the first to the last that hold something.

    ``full``: which do, bool; ``blank(row)``: is that empty row a blank line, which is no row?
    """
    some = np.flatnonzero(full)
    if not some.size:
        return some, []
    kept = np.asarray([i for i in range(some[0], some[-1] + 1) if full[i] or not blank(i)])
    after = sum(not blank(i) for i in range(some[-1] + 1, len(full)))
    within = int(some[-1] - some[0] + 1 - len(kept))
    notes = [f"{within} blank line(s) within the table left out"] * bool(within)
    return kept, notes + [f"{after} empty row(s) at the end left out"] * bool(after)


def names_of(given: Iterable[object]) -> tuple[list[str], list[str]]:
    """Names that differ: one that is missing is its place, one that comes again is numbered. And what was done."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    empty, again = [], []
    for place, name in enumerate(given, start=1):
        bare = str(name).strip()
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
