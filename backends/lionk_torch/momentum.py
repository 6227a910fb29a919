"""The momentum of other optimizers, as averages of plus the gradients, from their checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch


def gradient_averages(source: Any) -> Iterator[torch.Tensor | None]:
    """One tensor, or None, for each parameter in order.

    ``exp_avg`` is an average (lion-pytorch, timm, AdamW), and so is ``momentum_buffer`` of torch.optim.Muon; that of
    SGD is a sum, of which ``1 - momentum`` times is the average.
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
            average = state.get("exp_avg", state.get("momentum_buffer"))
            if state and average is None:
                raise ValueError(
                    f"the state of parameter {number} has neither exp_avg nor momentum_buffer but {sorted(state)}; "
                    "pass the averages of the gradients as a list"
                )
            is_sum = average is not None and "exp_avg" not in state and "dampening" in group
            yield (1 - group["momentum"]) / (1 - group["dampening"]) * average if is_sum else average
