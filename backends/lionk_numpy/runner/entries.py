"""The text of a loop over entries: what is read and kept, by slices, and in which precision."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from .bits import bits
from .exponential import exponential

Words = tuple[str, ...]
Kinds = tuple[tuple[str, str], ...]  # names of arrays, and their dtypes
KEPT = 256  # compiled loops
# 16 bits lie in memory as integers, since neither NumPy nor numba has all such numbers, and are float32 in a loop.
HALVES = ("float16", "bfloat16")


def indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def places(kinds: Kinds, along: int | None) -> list[str]:
    """The arrays of places, of which only the first one is given."""
    return [a for a, kind in kinds if kind == "int32" and along is None]


def _by_entry(slices: Words, along: int | None) -> Words:
    """The numbers of slices that change from one entry of a row to the next."""
    return slices if along == 0 else ()


def entry(arrays: Words, slices: Words, read: Words, lines: Words, kinds: Kinds, along: int | None) -> list[str]:
    """What is done to one entry, of number i."""
    halves = {a: kind for a, kind in kinds if kind in HALVES}
    counted = places(kinds, along)
    body = [_read(a, halves.get(a), a in counted) for a in (*read, *_by_entry(slices, along))] + list(lines)
    for a in arrays:
        body = [line.replace(f"kept_{a}(", f"narrow_{halves[a]}(" if a in halves else "(") for line in body]
    return body


def rows(arrays: Words, slices: Words, along: int) -> list[str]:
    """The row of number r of each matrix."""
    inner = _by_entry(slices, along)
    found = [f"{a}_ = {a}__[r]" for a in arrays] + [f"{s}_ = {s}__[0]" for s in inner]
    return found + [f"{s} = {s}__[r, 0]" for s in slices if s not in inner]


def names(real: Any) -> dict[str, Any]:
    """What the text of a loop finds."""
    import numpy as np

    return bits() | {
        "real": real, "exp": exponential(), "sqrt": math.sqrt, "copysign": math.copysign, "inf": math.inf,
        "nan": math.nan, "int32": np.int32, "np": np,
    }  # fmt: skip


def _read(a: str, half: str | None, counted: bool) -> str:
    if counted:
        return f"{a} = int32({a}_ + i)"
    return f"{a} = wide_{half}({a}_[i])" if half else f"{a} = {a}_[i]"
