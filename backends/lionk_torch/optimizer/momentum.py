"""The momentum of other optimizers, as averages of plus the gradients, from their checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch


def gradient_averages(source: Any) -> Iterator[torch.Tensor | None]:
    """One tensor, or None, for each parameter in order.

    ``exp_avg`` is an average (lion-pytorch, timm, AdamW), and so is ``momentum_buffer`` of torch.optim.Muon; that of
    SGD is a sum, of which ``1 - momentum`` times is the average. ``m`` of LionK is minus an average.
    """
    if not (isinstance(source, Mapping) and {"state", "param_groups"} <= set(source)):
        if isinstance(source, Mapping) or not isinstance(source, Iterable):
            raise TypeError(
                "source must be a state_dict with 'state' and 'param_groups', or an iterable of arrays in the order of "
                f"the parameters, got {type(source).__name__}"
            )
        for a in source:
            yield None if a is None else torch.as_tensor(a)
        return
    for group in source["param_groups"]:
        for number in group["params"]:
            state = source["state"].get(number, {})
            average = -state["m"] if "m" in state else state.get("exp_avg", state.get("momentum_buffer"))
            if state and average is None:
                raise ValueError(
                    f"the state of parameter {number} has neither exp_avg nor momentum_buffer, but {sorted(state)}; "
                    "pass the averages of the gradients as a list"
                )
            is_sum = average is not None and "momentum_buffer" in state and "dampening" in group
            yield (1 - group["momentum"]) / (1 - group["dampening"]) * average if is_sum else average


def in_order_of(
    source: Any, groups: list[dict[str, Any]], params: Iterable[torch.Tensor] | None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Each parameter that the source has an average for, and that average; see ``LionK.load_momentum``."""
    mine = [p for group in groups for p in group["params"]]
    if params is None and len(groups) > 1:
        raise ValueError(
            "params is needed, since the parameters of several groups may have another order than the source: give "
            "them as the source had them, e.g. params=model.parameters()"
        )
    params = mine if params is None else list(params)
    if set(params) - set(mine):
        raise ValueError("params has a tensor that is no parameter of this optimizer: give those that it was made with")
    averages = list(gradient_averages(source))
    if len(averages) != len(params):
        raise ValueError(
            f"source has momentum for {len(averages)} parameters, but there are {len(params)}; give the parameters "
            "of the source in its order, params=..."
        )
    for i, (p, average) in enumerate(zip(params, averages, strict=True)):
        if average is None:
            continue
        if tuple(average.shape) != tuple(p.shape):
            raise ValueError(
                f"the momentum {i} has shape {tuple(average.shape)}, the parameter {tuple(p.shape)}; give the "
                "parameters in the order of the source, params=..."
            )
        yield p, average
