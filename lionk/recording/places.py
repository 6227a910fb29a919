"""The places of entries, from which random numbers are made, as an array that needs no memory."""

from __future__ import annotations

from typing import Any


class Places:
    """The int32 array of one axis ``start, start + 1, ...``, modulo 2^32: whoever needs its entries makes them."""

    ndim = 1

    def __init__(self, start: int, size: int, dtype: Any) -> None:
        self.start, self.dtype, self.shape = wrapped(start), dtype, (size,)

    def __getitem__(self, cut: Any) -> Places:
        """Some in a row."""
        (some,) = cut if isinstance(cut, tuple) else (cut,)
        start, stop, _ = some.indices(self.shape[0])
        return Places(self.start + start, max(stop - start, 0), self.dtype)


def wrapped(number: int) -> int:
    """As 32 bits with a sign."""
    return ((number & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
