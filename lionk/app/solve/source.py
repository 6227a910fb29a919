"""Where the samples come from: a bundled problem or the user's table, and which rows are kept out of the fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...solver.losses import loss_of
from ..console import BadInput, bad_input
from ..tables.sheet import Reading
from ..tables.table import Table
from .model import Problem, build, guess_loss
from .problems import BUNDLED
from .setup import read_k

DATES = {"day-first": True, "month-first": False}
DECIMALS = (".", ",")


@dataclass(frozen=True)
class Source:
    """What the user says of the table; the texts of ``columns``, ``drop`` and ``categorical`` hold names."""

    data: Path
    reading: Reading
    target: str | None
    columns: str | None
    drop: str | None
    categorical: str | None
    drop_first: bool
    missing: str
    dates: str | None
    empty: str | None

    @property
    def words(self) -> tuple[str, ...]:
        """The words that stand for nothing, beside those that always do."""
        return tuple(w.strip() for w in (self.empty or "").split(",") if w.strip())


@dataclass(frozen=True)
class Task:
    """A problem, the table that it was made from, rows kept out of the fit, and K and lam as asked for."""

    problem: Problem
    table: Table
    rest: Table | None
    k_text: str
    weight_decay: float
    scaling: str
    names: bool = True  # has the file names of columns?
    empty: tuple[str, ...] = ()  # words that stand for nothing


def check_texts(how: Reading, dates: str | None) -> None:
    """Are the words that the options take among those that they know?"""
    if how.decimal not in (None, *DECIMALS):
        raise BadInput(f"--decimal {how.decimal}: choose '.' or ','")
    if dates not in (None, *DATES):
        raise BadInput(f"--dates {dates}: choose day-first or month-first")
    if how.separator not in (None, "tab", "space") and len(how.separator) != 1:
        raise BadInput(f"--separator {how.separator!r} must be one character, or the word tab or space")


def read_table(s: Source) -> tuple[Table, bool]:
    """The table of a file, and whether the file names its columns. Raises BadInput."""
    from ..tables.design import Wishes, split, table
    from ..tables.file import read
    from ..tables.sheet import emptied

    check_texts(s.reading, s.dates)
    if s.target is None:
        raise BadInput("--data needs --target COLUMN: the name of the column to predict, or its number from 0")
    sheet = emptied(read(s.data, s.reading), s.words)
    wishes = Wishes(
        s.target,
        None if s.columns is None else split(s.columns, sheet),
        split(s.drop, sheet),
        split(s.categorical, sheet),
        s.missing,
        s.drop_first,
        s.reading.decimal,
        None if s.dates is None else DATES[s.dates],
    )
    return table(sheet, wishes), sheet.names


def read_task(
    name: str | None,
    source: Source | None,
    loss: str | None,
    k: str | None,
    weight_decay: float | None,
    *,
    standardize: bool = True,
    hold_out: float | None = None,
    seed: int = 0,
) -> Task:
    """The problem (the first bundled one, if none is named), K as a text, and lam."""
    with bad_input(ValueError, of="--"):
        loss_of(loss or "squared")
    if weight_decay is not None and not 0 <= weight_decay < math.inf:
        raise BadInput(f"--weight-decay must be a finite number >= 0, got {weight_decay}")
    if hold_out is not None and not 0 < hold_out < 1:
        raise BadInput(f"--hold-out must be a share of the rows between 0 and 1, such as 0.25, got {hold_out}")
    names, intercept, scaling = True, True, "standardise" if standardize else "none"
    if source is not None:
        k, lam, title = k or "l1", 1.0, source.data.name
        read_k(k)  # before the file is read
        table, names = read_table(source)
        loss = loss or guess_loss(table)
    else:
        title = next(iter(BUNDLED)) if name is None else name
        if title not in BUNDLED:
            raise BadInput(f"--problem {title}: choose one of {', '.join(BUNDLED)} ('list' describes them)")
        b = BUNDLED[title]
        k = next(iter(b.weight_decay)) if k is None else k
        read_k(k)  # before the data are made
        lam = b.weight_decay.get(k.partition(":")[0], 1.0)
        table, loss, intercept = b.load(), loss or b.loss, b.intercept
        scaling = b.scaling if standardize else "none"
    whole, rest = build(table, loss, name=title, scaling=scaling, intercept=intercept), None
    if hold_out is not None:
        table, rest = parted(table, hold_out, whole.classes, seed)
        with bad_input(BadInput, of=f"--hold-out {hold_out:g} leaves {len(table.target)} row(s) for the fit: "):
            whole = build(table, loss, name=title, scaling=scaling, intercept=intercept, classes=whole.classes)
    return Task(whole, table, rest, k, lam if weight_decay is None else weight_decay, scaling, names,
                () if source is None else source.words)  # fmt: skip


def parted(table: Table, share: float, classes: tuple[str, ...], seed: int) -> tuple[Table, Table]:
    """The rows of the fit and those kept out of it, each class in the same share where there are enough of it."""
    from sklearn.model_selection import train_test_split

    rows: Any = range(len(table.target))
    try:
        parts = train_test_split(rows, test_size=share, random_state=seed, stratify=table.target if classes else None)
    except ValueError:  # a class of one row, or fewer rows than classes
        try:
            parts = train_test_split(rows, test_size=share, random_state=seed)
        except ValueError:
            raise BadInput(
                f"--hold-out {share:g} of {len(table.target)} rows leaves nothing to fit or to test"
            ) from None
    fit, rest = parts
    return table.take(sorted(fit)), table.take(sorted(rest))
