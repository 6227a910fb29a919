"""The k-th largest of entries that pass by in tiles: a sample says between which two numbers it lies, and one pass
counts what lies beyond them and collects what lies between.

Exact: if the sample was wrong, the pass is made again with a wider bracket, at last with one that holds everything.
What is collected is a few hundredths of the entries, however many of them are equal (derived here; the idea of the
bracket is that of Floyd and Rivest 1975, CACM 18(3), 165-172).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays.namespace import Array

SAMPLE = 1 << 14  # entries of the sample, and how many are collected without one
WIDTHS = (4.0, 64.0, math.inf)  # of the bracket, in standard deviations of the rank of the sample


class Tally(NamedTuple):
    """Of the entries of a tile: the numbers of those > high, == high, == low and NaN, and those strictly between."""

    above: Any
    at_high: Any
    between: Array
    at_low: Any
    nan: Any


def tally(r: Array, low: float, high: float) -> Tally:
    """The ``Tally`` of the entries of an array."""
    xp = _xp.namespace(r)
    counts = (xp.count_nonzero(b) for b in (r > high, r == high, r == low, xp.isnan(r)))
    above, at_high, at_low, nan = counts
    return Tally(above, at_high, r[(r > low) & (r < high)], at_low, nan)


class Ranking:
    """What the tiles have told of entries, ordered from the largest; NaN counts as larger than all."""

    def __init__(self, low: float, high: float, tallies: list[Tally]) -> None:
        self.low, self.high = low, high
        self.above, self.at_high, self.at_low, self.nan = (
            sum(int(getattr(t, name)) for t in tallies) for name in ("above", "at_high", "at_low", "nan")
        )
        if low == high:
            self.at_low = 0  # they are at_high already
        parts = [t.between for t in tallies]
        self._xp = _xp.namespace(*parts)
        self.between = self._xp.sort(self._xp.concat(parts))

    @property
    def size(self) -> int:
        return self.nan + self.above + self.at_high + int(self.between.shape[0]) + self.at_low

    def largest(self, k: int) -> tuple[float, int, int] | None:
        """The k-th largest entry, how many are larger (NaN not counted), and how many equal it; None if not known."""
        if k <= self.nan:
            return math.nan, 0, 0
        left = k - self.nan - self.above
        if left <= 0:
            return None
        if left <= self.at_high:
            return self.high, self.above, self.at_high
        before, n = self.above + self.at_high, int(self.between.shape[0])
        place = n - (left - self.at_high)
        if place >= 0:
            cut = float(self.between[place])
            larger, equal = (int(self._xp.count_nonzero(b)) for b in (self.between > cut, self.between == cut))
            return cut, before + larger, equal
        return (self.low, before + n, self.at_low) if -place <= self.at_low else None


def brackets(sample: Ranking, k: int, size: int) -> Iterator[tuple[float, float]]:
    """Ever wider intervals that hold the k-th largest of ``size`` entries, as far as a sample of them can tell."""
    n = sample.size
    rank = n * k / size

    def entry(at: float, beyond: float) -> float:
        found = sample.largest(int(at)) if 1 <= at <= n else None
        return beyond if found is None else math.inf if math.isnan(found[0]) else found[0]

    for width in WIDTHS:
        spread = width * (math.sqrt(max(rank * (1 - rank / n), 0.0)) + 0.5)
        yield entry(rank + spread + 1, -math.inf), entry(rank - spread, math.inf)
