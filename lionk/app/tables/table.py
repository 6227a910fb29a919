"""What a table is for a model: columns that were read, features made of them, and a target. pandas is not needed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Array = Any
MISSING = ("drop", "mean", "error")  # what may be done with empty cells


@dataclass(frozen=True)
class Column:
    """One column, read. ``values``: float64 with NaN for nothing, or texts with "" for nothing (kind ``text``).

    ``kind`` is number, flag, date, text or empty; ``detail`` what was seen in it. ``flag``: the words for no and yes;
    ``form``: the format of dates, or the mark of decimals ("" where nothing tells). ``aside``: why it is no feature
    unless asked for.
    """

    name: str
    kind: str
    values: Array
    detail: str = ""
    flag: tuple[str, str] | None = None
    form: str = ""
    aside: str = ""
    words: tuple[str, ...] = ()  # that stand for nothing in it, beside empty cells
    unit: str = ""  # that all numbers have: a currency, %, kg, ...

    @property
    def missing(self) -> Array:
        """Which rows have nothing here, bool."""
        return self.values == "" if self.kind == "text" else np.isnan(self.values)

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(sorted({v for v in self.values.tolist() if v != ""}))


@dataclass(frozen=True)
class Feature:
    """How one column becomes one or more numbers: as it is, as days since ``origin``, or as an indicator a level."""

    name: str
    kind: str  # number, flag, date or text
    levels: tuple[str, ...] = ()
    first: str | None = None  # the level without an indicator, if there is one
    flag: tuple[str, str] | None = None
    origin: float = 0.0
    form: str = ""  # in which it was read, for new rows that do not tell
    unit: str = ""  # of its numbers, which those of new rows must have, too

    @property
    def names(self) -> tuple[str, ...]:
        if self.kind == "text":
            return tuple(f"{self.name}={level}" for level in self.levels)
        return (self.name,)

    def numbers(self, read: Column) -> tuple[Array, Array]:
        """Rows x names, NaN where there is nothing; and which rows have a level that is not known, bool."""
        if self.kind != "text":
            return (read.values - self.origin)[:, None], np.zeros(len(read.values), dtype=bool)
        made = np.stack([read.values == level for level in self.levels], axis=1).astype(float)
        made[read.missing] = np.nan
        known = [*self.levels, *([] if self.first is None else [self.first])]
        return made, ~np.isin(read.values.astype(str), known) & ~read.missing


@dataclass(frozen=True)
class Line:
    """What is told of one column: its kind, what was seen in it, and what was done with it."""

    name: str
    kind: str
    seen: str
    use: str


@dataclass(frozen=True)
class Table:
    """Features (n x p, float64, NaN for nothing), their names, and the column to predict: floats, or texts.

    ``plan`` makes these features of another sheet's columns; ``account`` and ``notes`` say what was read and done.
    """

    features: Array
    names: tuple[str, ...]
    target: Array
    target_name: str
    plan: tuple[Feature, ...] = ()
    account: tuple[Line, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def take(self, rows: Array) -> Table:
        """The table of these rows."""
        return replace(self, features=self.features[rows], target=self.target[rows])
