"""The places of entries, from which random numbers are made, as an array that needs no memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..functions.base import ConvexFunction
from ..optimizer.lion_k import LionK
from ..optimizer.rounding import index, signed
from .emit import Arrays
from .extent import seen


class Places:
    """The int32 array of one axis ``start, start + 1, ...``, modulo 2^32: whoever needs its entries makes them."""

    ndim = 1

    def __init__(self, start: int, size: int, dtype: Any) -> None:
        self.start, self.dtype, self.shape = signed(start), dtype, (size,)

    def __getitem__(self, cut: Any) -> Places:
        """Some in a row."""
        (some,) = cut if isinstance(cut, tuple) else (cut,)
        start, stop, _ = some.indices(self.shape[0])
        return Places(self.start + start, max(stop - start, 0), self.dtype)


def with_places(
    opt: LionK, K: ConvexFunction, arrays: Arrays, xp: Any, dtype: Any, contiguous: Callable[[Any], bool]
) -> Arrays:
    """The arrays, the last of which is the place of the first entry, with the places of all, int32 of this ``dtype``.

    ``contiguous`` arrays whose record is of entries need no memory for them.
    """
    *others, start = arrays
    x = arrays[0]
    if not contiguous(others) or seen(opt, K, tuple(x.shape), True)[1].along is not None:
        return *others, index(xp, start, x)
    return *others, Places(start, math.prod(x.shape), dtype)
