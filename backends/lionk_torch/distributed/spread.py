"""dK of an array in even pieces, without gathering it: sums and extremes are finished by all-reduces.

K's own hooks run on a DTensor. Their namespace is ``Spread``: that of PyTorch, where it works entry by entry, and
reductions whose results every rank gets. The k-th largest entry, which ``top_k`` and its relatives sort for, is found
by counting: 8 bits at a time, from all entries to those that share its leading bits. What a K needs beyond that is
refused with a NotTraceableError, before it is sent.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

import lionk
from lionk.recording.program import ARITHMETIC, COMPARISONS, LOGICAL, TESTS, UNARY, NotTraceableError

_AS_THEY_ARE = {
    *ARITHMETIC, *COMPARISONS, *LOGICAL, *TESTS, *UNARY, "where", "clip", "zeros_like", "ones_like", "astype",
    "moveaxis", "isdtype", "finfo", "result_type", "bool", "complex64", "complex128", "float32", "float64",
}  # fmt: skip


def possible(K: lionk.ConvexFunction, p: Any) -> bool:
    """Is p real, in even pieces, and K a function to try? A rank without entries could not take part in an extreme."""
    if K.traits.structure == "matrix" or p.is_complex() or not p.numel():
        return False
    parts = [1] * p.ndim
    for size, placement in zip(p.device_mesh.shape, p.placements, strict=True):
        if type(placement) is Shard:
            parts[placement.dim] *= size
        elif type(placement) is not Replicate:
            return False
    return all(n % k == 0 for n, k in zip(p.shape, parts, strict=True))


def subgradient(K: Any, r: Any) -> Any:
    """``K.subgradient(r)`` of a DTensor. Raises NotTraceableError where K asks for more than entries and reductions."""
    wide = r.to(torch.promote_types(r.dtype, torch.float32))
    return K._subgradient(Spread(), wide, 0).to(r.dtype)


class Entries(NamedTuple):
    """All entries of an array, in any order: they can be sorted, and no more."""

    array: Any
    shape: tuple[int, ...]


class Sorted(NamedTuple):
    """The entries in ascending order, of which single ones are asked for."""

    array: Any
    shape: tuple[int, ...]

    def __getitem__(self, key: Any) -> Any:
        if not (isinstance(key, tuple) and len(key) == 2 and key[0] is Ellipsis and isinstance(key[1], int)):
            raise NotTraceableError("only single entries of a sorted array are found without gathering it")
        return nth(self.array, key[1])


class Spread:
    """The namespace of DTensors in even pieces."""

    __name__ = "lionk_torch.distributed.spread"

    def __init__(self) -> None:
        import array_api_compat.torch as xp

        self._xp: Any = xp

    def __getattr__(self, name: str) -> Any:
        if name not in _AS_THEY_ARE:
            raise NotTraceableError(f"{name} is not done in pieces")
        return getattr(self._xp, name)

    def sign(self, x: Any) -> Any:
        return torch.where(x != x, x, torch.sign(x))  # compat writes nan by a mask

    def sum(self, x: Any, **axes: Any) -> Any:
        return _finished(self._xp.sum(x, **axes))

    def max(self, x: Any, **axes: Any) -> Any:
        return _finished(self._xp.max(x, **axes))

    def min(self, x: Any, **axes: Any) -> Any:
        return _finished(self._xp.min(x, **axes))

    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        if x.ndim > 1 and tuple(shape) == (x.numel(),):
            return Entries(x, tuple(shape))
        if tuple(shape)[: x.ndim] == tuple(x.shape):  # axes to broadcast along
            return self._xp.reshape(x, shape)
        raise NotTraceableError("reshape is not done in pieces")

    def sort(self, x: Any, axis: int = -1, descending: bool = False) -> Sorted:
        if descending or axis != -1 or len(x.shape) != 1:
            raise NotTraceableError("a sorted array is not made in pieces")
        return Sorted(x.array if isinstance(x, Entries) else x, x.shape)


def _finished(a: Any) -> Any:
    placements = [Replicate() if p.is_partial() else p for p in a.placements]
    return a.redistribute(a.device_mesh, placements)


def nth(x: Any, n: int) -> Any:
    """Entry n of the sorted x, NaN last, as a number that every rank has: from counts, 8 bits at a time."""
    here = x.to_local().reshape(-1)
    bits = 8 * here.element_size()
    key = here.contiguous().view(torch.int32 if bits == 32 else torch.int64).to(torch.int64)
    low = torch.iinfo(torch.int64).max >> (64 - bits)  # all bits but the sign
    key = torch.where(here.isnan(), low, torch.where(key < 0, key ^ low, key))  # in the order of the numbers
    found = torch.zeros((), dtype=torch.int64, device=here.device)
    left = torch.full_like(found, n % x.numel())
    for shift in range(bits - 8, -8, -8):
        digit = (key >> shift) & 255
        if shift == bits - 8:
            digit = digit ^ 128  # negative ones first
        count = _summed(torch.bincount(digit, minlength=256), x).cumsum(0)
        place = torch.searchsorted(count, left, right=True)
        left = left - torch.where(place > 0, count[place - 1], 0)
        key = key[digit == place]
        found = found << 8 | (place ^ 128 if shift == bits - 8 else place)
    value = _float_of(found, low, here.dtype)
    return DTensor.from_local(value, x.device_mesh, [Replicate()] * x.device_mesh.ndim, run_check=False)


def _summed(a: torch.Tensor, like: Any) -> torch.Tensor:
    """The sum over the ranks that hold different pieces."""
    placements = [Replicate() if p.is_replicate() else Partial() for p in like.placements]
    return DTensor.from_local(a, like.device_mesh, placements, run_check=False).full_tensor()


def _float_of(found: torch.Tensor, low: int, dtype: torch.dtype) -> torch.Tensor:
    if dtype == torch.float64:
        return torch.where(found == low, math.nan, torch.where(found < 0, found ^ low, found).view(dtype))
    narrow = found.to(torch.int32)
    return torch.where(narrow == low, math.nan, torch.where(narrow < 0, narrow ^ low, narrow).view(dtype))
