"""Comparisons, and choices by them, that write into buffers.

On a CPU, PyTorch's comparisons take ten times as long as NumPy's, and its choices wait for each condition that could
not be guessed: there they are made by bits, without a branch.
"""

from __future__ import annotations

from typing import Any

from lionk.recording.program import COMPARISONS

from .numbers import filled

_NAMES = dict(zip(COMPARISONS, ("lt", "le", "gt", "ge", "eq", "ne"), strict=True))


def compare(op: str, a: Any, b: Any, out: Any) -> None:
    """``a < b`` and the like, by its name in the Array API; b may be a number."""
    import numpy as np
    import torch

    if _by_numpy(a, b):
        getattr(np, op)(a.numpy(), b.numpy() if hasattr(b, "dtype") else b, out=out.numpy())
    else:
        getattr(torch, _NAMES[op])(a, b, out=out)


def isfinite(a: Any, out: Any) -> None:
    import numpy as np
    import torch

    if _by_numpy(a):
        np.isfinite(a.numpy(), out=out.numpy())
    else:
        out.copy_(torch.isfinite(a))


def _by_numpy(*given: Any) -> bool:
    import torch

    tensors = [a for a in given if hasattr(a, "dtype")]
    return all(a.device.type == "cpu" and a.dtype in (torch.float32, torch.float64) and not a.is_neg() for a in tensors)


def select(condition: Any, a: Any, b: Any, out: Any, spare: Any) -> None:
    """a where the condition holds, b elsewhere; each may be a number. By bits ``b ^ ((a ^ b) & mask)``."""
    import torch

    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}.get(out.itemsize)
    by_entry = getattr(condition, "shape", ()) == out.shape  # one for each slice can be guessed
    plain = not any(v.is_neg() for v in (a, b, out) if hasattr(v, "dtype"))
    if not (by_entry and plain and bits and out.device.type == "cpu"):
        torch.where(condition, _like(a, out), _like(b, out), out=out)
        return
    mask, chosen = spare.view(bits), out.view(bits)
    mask.copy_(condition)
    if type(a) is float and repr(a) == "0.0":
        torch.sub(mask, 1, out=mask)
        torch.bitwise_and(mask, _like(b, out).view(bits), out=chosen)
        return
    torch.neg(mask, out=mask)
    if type(b) is float and repr(b) == "0.0":
        torch.bitwise_and(mask, _like(a, out).view(bits), out=chosen)
        return
    one, other = (_like(v, out).view(bits).expand(out.shape) for v in (a, b))
    torch.bitwise_xor(one, other, out=chosen)
    torch.bitwise_and(chosen, mask, out=chosen)
    torch.bitwise_xor(chosen, other, out=chosen)


def _like(value: Any, out: Any) -> Any:
    return value if hasattr(value, "dtype") else filled(value, out.dtype, out.device)
