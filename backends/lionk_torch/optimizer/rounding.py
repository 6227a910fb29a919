"""What the optimizer keeps so that 16-bit parameters lose no step: ``lionk.optimizer.rounding`` on its tensors.

Sharded parameters are rounded in pieces, to the bits of the whole.
"""

from __future__ import annotations

from typing import Any

import torch

from lionk.optimizer.rounding import KEYS, keys

from ..distributed import sharded


def is_low(a: torch.Tensor) -> bool:
    """Has it 16 bits, so that a step may be lost?"""
    return a.is_floating_point() and a.dtype.itemsize < 4


def prepare(p: Any, here: torch.Tensor, state: dict[str, Any], how: str) -> None:
    """Make what is kept for ``here``, the piece of p, as before the first step."""
    if how == "nearest" or not is_low(here):
        return
    if how == "stochastic":
        state.setdefault("step", -1)  # the number of the last step
    elif "low" not in state:
        state["low"] = sharded.in_place_of(torch.zeros_like(here), p)


def begin(p: Any, here: torch.Tensor, state: dict[str, Any], how: str, seed: int, start: int) -> dict[str, Any]:
    """What a step of ``here``, the piece of p, needs beside it, by the names of ``Variant.beside``.

    ``start``: the number of entries of the parameters before p, for random numbers of its own.
    """
    prepare(p, here, state, how)
    if how == "nearest" or not is_low(here):
        return {}
    if how == "kahan":
        return {"low": sharded.local(state["low"], p)}
    state["step"] += 1
    return {"index": start, **dict(zip(KEYS, keys(seed, state["step"]), strict=True))}
