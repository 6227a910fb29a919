"""The options of lionk_torch.LionK that PyTorch's own generic questions are asked of, and what it must refuse."""

from __future__ import annotations

import torch

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


def wrong_inputs(device, dtype):
    """Wrong arguments of a constructor, with the error and its words: PyTorch's own, and those of LionK alone."""
    # imported here: the module makes the samples of all operators, which takes a second of each process that collects
    from torch.testing._internal.common_optimizers import (
        ErrorOptimizerInput,
        OptimizerInput,
        get_error_inputs_for_all_optims,
    )

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
