"""What is read of a file: its cells under the names of their columns, and where each row stands in the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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

    ``where(i)`` says where row i stands in the file. ``names``: does the file name its columns?
    """

    file: str
    frame: Frame
    where: Callable[[int], str]
    names: bool = True
    separator: str = ""
    notes: tuple[str, ...] = field(default=())


def names_of(given: list[str]) -> tuple[list[str], list[str]]:
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
