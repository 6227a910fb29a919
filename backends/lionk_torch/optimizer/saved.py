"""What ``LionK.state_dict`` gives and ``load_state_dict`` takes: copies, checked before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ..distributed import sharded
from ..runner.small import side_by_side
from . import options

STATE = frozenset({"m", "last_grad", "has_last", "low", "step"})  # what the state of a parameter may hold
NEEDED = ("lr", "betas", "weight_decay", "K", "reference_lr")  # options that no default could stand for


def copied(state_dict: dict[str, Any]) -> dict[str, Any]:
    """The same with copies of the tensors: they stay as they are when the optimizer goes on."""
    state = {p: {k: _copy(v) for k, v in entries.items()} for p, entries in state_dict["state"].items()}
    return {**state_dict, "state": state}


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def completed(given: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """A ``state_dict`` whose groups have every option: those that it lacks are as in the groups of ``optimizer``.

    Raises ValueError, with the way out, if it is none of ``LionK``, or holds what does not fit the parameters.
    """
    if not (isinstance(given, dict) and {"state", "param_groups"} <= given.keys()):
        raise ValueError("a state_dict has the keys 'state' and 'param_groups'; pass what optimizer.state_dict() gave")
    full, groups = [], optimizer.param_groups
    for k, (saved, own) in enumerate(zip(given["param_groups"], groups, strict=False)):
        missing = [key for key in NEEDED if key not in saved]
        if missing:
            raise ValueError(_lacking(k, saved, missing))
        group = {key: own[key] for key in optimizer.defaults} | saved
        if "differentiable" not in own:
            group.pop("differentiable", None)  # which earlier versions saved after they had been loaded
        options.settle(group)
        options.spec(group["K"])
        full.append(group)
    for name, p in _pairs(given, groups):
        entries = given["state"].get(name, {})
        if entries and ("m" not in entries or not entries.keys() <= STATE):
            raise ValueError(
                f"the state of parameter {name} is none of LionK: it has {sorted(map(str, entries))}. The momentum of "
                "Lion, AdamW, Muon or SGD is taken over by load_momentum(state_dict), which changes its sign"
            )
        for key, value in entries.items():
            if isinstance(value, torch.Tensor) and value.ndim and value.shape != p.shape:
                raise ValueError(
                    f"{key} of parameter {name} has shape {tuple(value.shape)}, the parameter {tuple(p.shape)}: the "
                    "state_dict is of another model, or its parameters have another order"
                )
    return {**given, "param_groups": full + list(given["param_groups"][len(full) :])}


def kept(given: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
    """Give the optimizer copies of the loaded tensors, each with the dtype that it was saved with."""
    moments = []
    for name, p in _pairs(given, optimizer.param_groups):
        state = optimizer.state.get(p, {})
        for key, value in given["state"].get(name, {}).items():
            if isinstance(value, torch.Tensor):
                is_whole = sharded.is_sharded(p) and not sharded.is_sharded(value)
                state[key] = sharded.placed(value, p) if is_whole else value.detach().to(device=p.device, copy=True)
        if "m" in state:
            moments.append(state)
    for state, m in zip(moments, side_by_side([state["m"] for state in moments]), strict=True):
        state["m"] = m


def _pairs(given: dict[str, Any], groups: list[dict[str, Any]]) -> Iterator[tuple[Any, torch.Tensor]]:
    for saved, own in zip(given["param_groups"], groups, strict=False):
        yield from zip(saved["params"], own["params"], strict=False)


def _lacking(k: int, saved: dict[str, Any], missing: list[str]) -> str:
    if "K" in missing:
        return (
            f"this state_dict is none of LionK: its group {k} has no K, but {sorted(map(str, saved))}. Make a LionK "
            "with the options that you want; load_momentum(state_dict) takes over the momentum of Lion, AdamW, Muon or "
            "SGD"
        )
    return (
        f"group {k} of this state_dict lacks {', '.join(missing)}: it is of another version. Write what the run had, "
        f"such as state_dict['param_groups'][{k}]['reference_lr'] = its first lr, and load it again; or take over the "
        "momentum alone by load_momentum(state_dict)"
    )
