"""What PyTorch's own tests of optimizers want to know of one: the OptimizerInfo of lionk_torch.LionK."""

from __future__ import annotations

import torch
from torch.testing._internal.common_optimizers import (
    ErrorOptimizerInput,
    OptimizerInfo,
    OptimizerInput,
    get_error_inputs_for_all_optims,
)

from lionk_torch import LionK

OPTIONS = {
    "default": {},
    "lr": {"lr": 1e-2},
    "tensor lr": {"lr": torch.tensor(0.001)},
    "decay": {"lr": 1e-3, "weight_decay": 0.1},
    "decay up": {"weight_decay": 0.1, "maximize": True},
    "implicit": {"lr": 1e-3, "weight_decay": 0.9, "decay": "implicit"},
    "relative": {"lr": 1e-3, "weight_decay": 0.1, "convention": "relative"},
    "coupled": {"lr": 1e-3, "weight_decay": 0.1, "convention": "coupled"},
    "smooth": {"lr": 1e-2, "K": {"name": "huber", "delta": 1e-3}},
    "norm": {"lr": 1e-2, "K": "l2"},
    "state": {"lr": 1e-3, "state_dtype": torch.float64},
    "mars": {"lr": 1e-3, "mars": 0.025},
    "masked": {"lr": 1e-3, "weight_decay": 0.1, "cautious": "rescale", "cautious_decay": True},
    "eager": {"lr": 1e-3, "compile": False},
    "complex parts": {"lr": 1e-3, "complex_as_real": True},
}


def inputs(device, dtype=None):
    return [OptimizerInput(params=None, kwargs=kwargs, desc=name) for name, kwargs in OPTIONS.items()]


def wrong_inputs(device, dtype):
    def refused(error, message, **kwargs):
        return ErrorOptimizerInput(
            OptimizerInput(params=None, kwargs=kwargs, desc=message), error_type=error, error_regex=message
        )

    return [
        *get_error_inputs_for_all_optims(device, dtype),
        refused(ValueError, "lr must be finite and >= 0", lr=-1e-3),
        refused(ValueError, "lr must be finite and >= 0", lr=torch.tensor(-1e-3)),
        refused(ValueError, "weight_decay must be finite and >= 0", weight_decay=torch.tensor(-1.0)),
        refused(ValueError, "lr must be finite and >= 0", lr=torch.tensor(float("nan"))),
        refused(ValueError, r"betas\[1\]", betas=(0.9, 1.0)),
        refused(KeyError, "nucler", K="nucler"),
    ]


INFO = OptimizerInfo(
    LionK,
    optim_inputs_func=inputs,
    optim_error_inputs_func=wrong_inputs,
    supported_impls=(),  # one implementation: no foreach, fused or differentiable to choose
    not_og_supported_flags=("maximize", "compile", "complex_as_real"),
    supports_sparse=False,
    supports_complex=True,
)
