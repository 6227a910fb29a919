"""Sums and extremes inside a compiled loop, which keeps as many results as it takes entries at once.

``LANES`` entries in a row are added to as many sums: that is one vector instruction after the other, and the sums stay
in the first cache. After ``ROUNDS`` of them the sums are added up by halves, and the last ``FEW`` in double precision,
so that the error does not grow with the number of entries. Of columns, the lanes are the columns themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from lionk.recording.emit import function

from .entries import KEPT, Kinds, Words, entry, indented, names, rows

LANES, ROUNDS = 512, 32
FEW = 16  # lanes that are added one after the other
STARTS = {"sum": "zero", "max": "real(-inf)", "min": "real(inf)"}
_JOIN = {
    "sum": "{0} = {0} + {1}",
    "max": "{0} = {0} if ({0} >= {1} or {0} != {0}) else {1}",
    "min": "{0} = {0} if ({0} <= {1} or {0} != {0}) else {1}",
}
Targets = tuple[tuple[str, str], ...]  # "sum", "max" or "min", and the name of what is reduced


def _joins(targets: Targets) -> list[str]:
    return [_JOIN[op].format(f"l{k}_[i]", t) for k, (op, t) in enumerate(targets)]


def lanes(count: int) -> list[str]:
    """The lanes of so many targets, which every row takes again."""
    return [f"l{k}_ = np.empty({LANES}, real)" for k in range(count)]


def reduced(arrays: Words, body: list[str], targets: Targets, out: str = "a") -> list[str]:
    """Lines that reduce one row of these arrays, into a0, a1, ...; ``body`` is what is done to an entry before."""
    every = list(enumerate(targets))
    cut = [f"{a}_ = {a}row[k : k + {LANES}]" for a in arrays]
    some = [f"w = min({LANES}, n - g)", *(f"l{k}_[:w] = {STARTS[op]}" for k, (op, _) in every)]
    some += [f"for k in range(g, min(g + {LANES * ROUNDS}, n), {LANES}):"]
    some += indented([*cut, f"for i in range({arrays[0]}_.size):", *indented([*body, *_joins(targets)])])
    # the upper half of the lanes joins the lower one, as vectors do
    halve = ["h = (w + 1) // 2"]
    for k, (op, _) in every:
        halve += [f"u_ = l{k}_[h:w]", "for i in range(u_.size):", *indented([_JOIN[op].format(f"l{k}_[i]", "u_[i]")])]
    some += [f"while w > {FEW}:", *indented([*halve, "w = h"]), "for i in range(w):"]
    some += indented([_JOIN[op].format(f"{out}{k}", f"l{k}_[i]") for k, (op, _) in every])
    start = [f"{out}{k} = {'np.float64(0)' if op == 'sum' else STARTS[op]}" for k, (op, _) in every]
    rows = [*(f"{a}row = {a}_" for a in arrays), f"n = {arrays[0]}_.size"]
    return [*rows, *start, f"for g in range(0, n, {LANES * ROUNDS}):", *indented(some)]


@lru_cache(KEPT)
def reduction(
    arrays: Words, slices: Words, numbers: Words, read: Words, lines: Words, kinds: Kinds,
    targets: Targets, along: int | None, real: Any,
) -> Callable[..., Any]:  # fmt: skip
    """``loop(*arrays, *slices, *numbers)``: a tuple of what is reduced, of all entries or of each slice.

    ``targets``: what is reduced are those of ``arrays`` that the loop itself has.
    """
    from numba import njit

    outside = tuple(a for a in arrays if a not in {t for _, t in targets})
    sized = outside[0]
    body = entry(arrays, slices, read, lines, kinds, along)
    for _, t in targets:
        body = [line.replace(f"{t}_[i] = ", f"{t} = ") for line in body]
    every = list(enumerate(targets))
    found = [f"a{k}" for k, _ in every]
    if along == 0:
        text = [f"a{k} = np.full((1, {sized}__.shape[1]), {STARTS[op]})" for k, (op, _) in every]
        text += [f"l{k}_ = a{k}[0]" for k, _ in every]
        inner = [f"for i in range({sized}_.size):", *indented([*body, *_joins(targets)])]
    else:
        text, inner = lanes(len(targets)), reduced(outside, body, targets)
        if along is not None:
            text += [f"o{k} = np.empty(({sized}__.shape[0], 1), real)" for k, _ in every]
            inner += [f"o{k}[r, 0] = a{k}" for k, _ in every]
            found = [f"o{k}" for k, _ in every]
    if along is not None:
        inner = [f"for r in range({sized}__.shape[0]):", *indented([*rows(outside, slices, along), *inner])]
    mark = "_" if along is None else "__"
    arguments = [f"{a}{mark}" for a in (*outside, *slices)] + list(numbers)
    whole = ["one, zero = real(1), real(0)", *text, *inner, f"return ({', '.join(found)},)"]
    return njit(nogil=True, error_model="numpy")(function("loop", arguments, whole, names(real)))
