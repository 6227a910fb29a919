"""The options of a parameter group of ``LionK``: checked once, in the form that ``state_dict`` keeps, and read."""

from __future__ import annotations

import warnings
from dataclasses import replace
from operator import itemgetter
from typing import Any

import torch
from torch.nn.parameter import is_lazy

import lionk
from lionk.arrays.containers import opened
from lionk.functions.calculus.block_sum import Blocks, ContainerFunction
from lionk.optimizer import decay as decays
from lionk.optimizer import rounding as roundings
from lionk.optimizer.jobs import coefficient
from lionk.optimizer.variants import Variant

# Those that a group's step is made for; others may change without making it anew.
COMPILED = itemgetter(
    "betas", "decay", "state_dtype", "compile", "maximize", "convention", "rounding", "cautious", "cautious_decay",
    "mars", "exchange", "complex_as_real", "hyperball", "radial_brake", "relative",
)  # fmt: skip


def steppable(p: torch.Tensor) -> bool:
    """Are there numbers that a step takes? Lazy parameters have none yet, and frozen weights may be integers."""
    return not is_lazy(p) and (p.is_floating_point() or p.is_complex())


def settle(group: dict[str, Any]) -> None:
    """Check the options of a new group that need no more than themselves, and bring them into their form."""
    spelled = decays.find(group["convention"])
    roundings.check(group["rounding"])
    group["state_dtype"] = _dtype_name(group["state_dtype"])
    for name in ("lr", "weight_decay"):
        group[name] = _checked(name, group[name])
    lr = group["lr"]
    first = group.setdefault("reference_lr", lr.clone() if isinstance(lr, torch.Tensor) else lr)
    if spelled.divides and first == 0:
        raise ValueError(
            f"convention={group['convention']!r} divides by the first lr, which is 0: give the group a "
            "reference_lr, the largest lr of its schedule"
        )


def _checked(name: str, value: Any) -> Any:
    """A number, or a tensor of one entry as it is: its value is read once, as PyTorch's own optimizers do."""
    if not isinstance(value, torch.Tensor):
        return coefficient(name, value)
    if value.numel() != 1:
        raise ValueError(f"Tensor {name} must be 1-element (or a number), got shape {tuple(value.shape)}")
    coefficient(name, value.reshape(()))
    if type(value) in (torch.Tensor, torch.nn.Parameter) and not value.is_meta:  # else it has no value
        coefficient(name, value.item())
    return value


def number(group: dict[str, Any], name: str) -> Any:
    """A learning rate or decay as the step takes it: a number, or a tensor without axes."""
    value = group[name]
    return value.reshape(()) if isinstance(value, torch.Tensor) and value.ndim else value


def method(group: dict[str, Any], K: lionk.ConvexFunction) -> Variant:
    """The optimizer of lionk whose steps the group takes."""
    dtype = group["state_dtype"] and getattr(torch, group["state_dtype"])
    pieces = (
        group["cautious"], group["cautious_decay"], group["maximize"], group["convention"] == "coupled",
        group["hyperball"], group["radial_brake"], group["relative"],
    )  # fmt: skip
    return Variant(K, number(group, "lr"), group["betas"], decay_of(group), group["decay"], dtype, *pieces)


def variants(group: dict[str, Any], method: Variant) -> dict[bool, Variant]:
    """The method with all that the group adds to it: of parameters with 32 bits and more, and (True) with fewer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the method has warned of
        wide = replace(method, mars=group["mars"])
        return {False: wide, True: replace(wide, rounding=group["rounding"])}


def decay_of(group: dict[str, Any]) -> Any:
    """The weight decay of this step, in the sense of ``lionk.LionK``."""
    if group["convention"] == "decoupled":
        return number(group, "weight_decay")
    return decays.at(group["convention"], *(number(group, key) for key in ("weight_decay", "lr", "reference_lr")))


def spec(K: Any) -> dict[str, Any]:
    """K as a group and a checkpoint hold it."""
    function = lionk.K(K)
    if isinstance(function, ContainerFunction) and opened(getattr(function, "tree", None)) is not None:
        raise TypeError(
            "K has a function for each block; give each parameter group its own K instead, or, to couple the "
            "parameters of a group, radial_lift(phi, lionk.blocks(norm)) with one norm for all of them"
        )
    if isinstance(function, Blocks):
        raise TypeError("K is a sum of blocks; give each parameter group its own K instead")
    return function.spec


def _dtype_name(dtype: Any) -> str | None:
    if dtype is None:
        return None
    name = str(dtype).removeprefix("torch.")
    found = getattr(torch, name, None)
    if not (isinstance(found, torch.dtype) and found.is_floating_point):
        raise ValueError(f"state_dtype must be a floating-point dtype of torch, such as torch.float32, got {dtype!r}")
    return name
