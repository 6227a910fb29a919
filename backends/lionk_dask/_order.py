"""The k-th largest entry of an array in chunks: a search by counting, in which blocks send histograms and no entries.
And the k largest ones, of which each block sends its own, for a k that fits on one worker.

The bits of a float, read as a whole number (flipped where it is negative), are ordered like the floats. The search
finds them 16 at a time: every block counts its entries by the next 16 bits among those that share the bits found so
far, the counts are added in a tree, and the digit that holds the k-th largest is chosen. Two rounds for float32, four
for float64; exact, lazy, and in each round every block sends 65,536 counts (radix selection; Knuth, TAOCP vol. 3, 5.2).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

BITS = 16
FAN_IN = 8


def kth_largest(r: Any, k: int) -> Any:
    """0-d, of r's dtype; NaN counts as larger than all. One chunk is sorted where it is."""
    import dask.array as da
    import numpy as np
    from dask import delayed

    blocks, empty = r.to_delayed(optimize_graph=False).ravel(), np.empty((), r.dtype)
    if len(blocks) == 1:
        return da.from_delayed(delayed(_partition)(blocks[0], k), (), meta=empty)
    count, add, choose = delayed(_count), delayed(_add), delayed(_choose)
    state: Any = (0, k)  # the bits found so far, and the place among the entries that have them
    for shift in range(8 * r.dtype.itemsize - BITS, -1, -BITS):
        state = choose(_tree(add, [count(b, state, shift) for b in blocks]), state)
    return da.from_delayed(delayed(_float)(state, r.dtype), (), meta=empty)


def largest(r: Any, k: int) -> Any:
    """The k largest entries in descending order; NaN counts as larger than all."""
    import dask.array as da
    import numpy as np
    from dask import delayed

    merge = partial(delayed(_largest), k)
    found = [merge([b]) for b in r.to_delayed(optimize_graph=False).ravel()]
    return da.from_delayed(_tree(merge, found), (k,), meta=np.empty((0,), r.dtype))


def _tree(merge: Callable[[list[Any]], Any], parts: list[Any]) -> Any:
    while len(parts) > 1:
        parts = [merge(parts[i : i + FAN_IN]) for i in range(0, len(parts), FAN_IN)]
    return parts[0]


def _largest(k: int, blocks: list[Any]) -> Any:
    import numpy as np

    flat = np.concatenate([b.ravel() for b in blocks])
    return np.sort(flat if flat.size <= k else np.partition(flat, flat.size - k)[flat.size - k :])[::-1]


def _partition(block: Any, k: int) -> Any:
    import numpy as np

    flat = block.ravel()
    return np.partition(flat, flat.size - k)[flat.size - k]


def _ordered(block: Any) -> Any:
    """Unsigned numbers in the order of the floats; -0 is 0, and every NaN is the largest."""
    import numpy as np

    plain = np.where(np.isnan(block), np.nan, block + 0.0).astype(block.dtype).ravel()
    size = plain.dtype.itemsize
    bits, top = plain.view(f"u{size}"), np.array(1 << (8 * size - 1), dtype=f"u{size}")
    return np.where(bits & top, ~bits, bits | top)


def _count(block: Any, state: tuple[int, int], shift: int) -> Any:
    import numpy as np

    u, found = _ordered(block), state[0]
    rest = u >> np.array(shift, dtype=u.dtype)
    if shift + BITS < 8 * u.itemsize:
        rest = rest[(rest >> np.array(BITS, dtype=u.dtype)) == found]
    return np.bincount((rest & np.array((1 << BITS) - 1, dtype=u.dtype)).astype(np.int64), minlength=1 << BITS)


def _add(counts: list[Any]) -> Any:
    return sum(counts[1:], counts[0])


def _choose(counts: Any, state: tuple[int, int]) -> tuple[int, int]:
    """The largest digit with at least k entries at or above it, and the place among its own entries."""
    import numpy as np

    found, k = state
    reach = np.cumsum(counts[::-1])
    i = int(np.searchsorted(reach, k))
    return found << BITS | (len(counts) - 1 - i), k - (int(reach[i - 1]) if i else 0)


def _float(state: tuple[int, int], dtype: Any) -> Any:
    import numpy as np

    size = dtype.itemsize
    top = 1 << (8 * size - 1)
    bits = state[0] ^ top if state[0] & top else state[0] ^ ((1 << 8 * size) - 1)
    return np.array(bits, dtype=f"u{size}").view(dtype)[()]
