"""Steps too small for 16 bits: a step is made in float32, and its result is kept by chance or with its remainder.

bfloat16 has 8 bits: rounded to nearest, a step below ``|p|/512`` is lost, and so is the decay at ``lr lam < 1/512``.

- stochastic: up or down with the odds of the distance, so that the mean is exact. Nothing is kept beside p.
- kahan: what rounding leaves over is kept in ``low``, a tensor like p, and added before the next step. ``p + low`` has
  twice the bits.

Either way the theory holds for the float32 iterate: kahan follows it to 16 bits, stochastic rounding in the mean.
"""

from __future__ import annotations

from typing import Any

import torch

from ._backend import TorchBackend

ROUNDINGS = ("nearest", "stochastic", "kahan")


def check(name: str) -> None:
    if name not in ROUNDINGS:
        raise ValueError(f"rounding must be one of {', '.join(ROUNDINGS)}, got {name!r}")


def widen(p: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
    """p in the precision of the step, with what earlier roundings left over; p itself if it has 32 bits or more."""
    if not p.is_floating_point() or p.dtype.itemsize >= 4:
        return p
    return p.float() + state["low"].float() if "low" in state else p.float()


def narrow(p: torch.Tensor, value: torch.Tensor, state: dict[str, Any], how: str, seed: int, place: int) -> None:
    """Write a float32 value to the 16-bit p. ``place``: the number of p among the parameters, for its own numbers."""
    near = value.to(p.dtype)
    if how == "kahan":
        left = (value - near).to(p.dtype)
        state["low"] = torch.where(left.isfinite(), left, 0)  # p may have overflowed
    else:
        state["step"] = state.get("step", -1) + 1
        generator = TorchBackend().random(seed, state["step"] * 1_000_003 + place, device=p.device)
        near = _by_chance(value, near, generator)
    p.copy_(near)


def _by_chance(value: torch.Tensor, near: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One of the two neighbours of value, such that the mean is value. Both differences are exact in float32."""
    error = value - near
    other = torch.nextafter(near, torch.copysign(torch.full_like(near, torch.inf), error.to(near.dtype)))
    odds = error / (other.float() - near)
    chance = torch.rand(value.shape, generator=generator, device=value.device)
    return torch.where(chance < odds, other, near)  # no step where odds is 0, or NaN at infinite values
