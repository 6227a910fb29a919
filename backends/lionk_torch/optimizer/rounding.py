"""Steps too small for 16 bits: a step is made in float32, and its result is kept by chance or with its remainder.

bfloat16 has 8 bits: rounded to nearest, a step below ``|p|/512`` is lost, and so is the decay at ``lr lam < 1/512``.

- stochastic: up or down with the odds of the distance, so that the mean is exact. Nothing is kept beside p.
- kahan: what rounding leaves over is kept in ``low``, a tensor like p, and added before the next step. ``p + low`` has
  twice the bits.

Either way the theory holds for the float32 iterate: kahan follows it to 16 bits, stochastic rounding in the mean.
Sharded parameters are rounded in pieces: kahan as the whole, bit for bit; by chance with numbers of its own in each.
"""

from __future__ import annotations

from typing import Any

import torch

from .._backend import TorchBackend
from ..distributed import sharded

ROUNDINGS = ("nearest", "stochastic", "kahan")


def check(name: str) -> None:
    if name not in ROUNDINGS:
        raise ValueError(f"rounding must be one of {', '.join(ROUNDINGS)}, got {name!r}")


def prepare(p: Any, here: torch.Tensor, state: dict[str, Any], how: str) -> bool:
    """Make what is kept for ``here``, the piece of p, as before the first step. False if p has 32 bits or more."""
    if how == "nearest" or not here.is_floating_point() or here.dtype.itemsize >= 4:
        return False
    if how == "stochastic":
        state.setdefault("step", -1)  # the number of the last step
    elif "low" not in state:
        state["low"] = sharded.in_place_of(torch.zeros_like(here), p)
    return True


def begin(p: Any, here: torch.Tensor, state: dict[str, Any], how: str, seed: int, place: int) -> Any:
    """What a step needs beside ``here``, the piece of p: its remainders, or a generator of random numbers.

    None if p has 32 bits or more. ``place``: the number of p among the parameters, for random numbers of its own.
    """
    if not prepare(p, here, state, how):
        return None
    if how == "kahan":
        return sharded.local(state["low"], p)
    state["step"] += 1
    count = (state["step"] * 1_000_003 + place) * 65_537 + sharded.piece(p)
    return TorchBackend().random(seed, count, device=here.device)


def widen(here: torch.Tensor, beside: Any) -> torch.Tensor:
    """A 16-bit tensor in the precision of the step, with what earlier roundings left over; others as they are."""
    if beside is None:
        return here
    return here.float() + beside.float() if isinstance(beside, torch.Tensor) else here.float()


def narrow(here: torch.Tensor, value: torch.Tensor, beside: Any) -> None:
    """Write a float32 value to the 16-bit tensor ``here``, and what is left over beside it."""
    near = value.to(here.dtype)
    if isinstance(beside, torch.Tensor):
        left = value - near
        beside.copy_(torch.where(left.isfinite(), left, 0))  # p may have overflowed
    else:
        near = _by_chance(value, near, beside)
    here.copy_(near)


def _by_chance(value: torch.Tensor, near: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One of the two neighbours of value, such that the mean is value. Both differences are exact in float32."""
    error = value - near
    other = torch.nextafter(near, torch.copysign(torch.full_like(near, torch.inf), error.to(near.dtype)))
    odds = error / (other.float() - near)
    chance = torch.rand(value.shape, generator=generator, device=value.device)
    return torch.where(chance < odds, other, near)  # no step where odds is 0, or NaN at infinite values
