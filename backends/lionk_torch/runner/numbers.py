"""PyTorch's operations on the numbers of a recorded step, of which some or all are Python's."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from lionk.recording.plan import meaning


def _of_numbers(call: Callable[..., Any], *args: Any) -> Any:
    """A function of tensors, of which some or all are numbers of Python."""
    import torch

    given = [a for a in args if hasattr(a, "dtype")]
    like = next((a for a in given if a.dtype.is_floating_point or a.dtype.is_complex), None)
    dtype, device = (torch.float64, None) if like is None else (like.dtype, like.device)
    made = (a if hasattr(a, "dtype") else filled(a, dtype, device) for a in args)
    found = call(*made)
    return found if given else found.item()


def filled(value: Any, dtype: Any, device: Any) -> Any:
    """A number as a tensor, made on the device: nothing is copied there, so a CUDA graph may hold it."""
    import torch

    return torch.full((), value, dtype=torch.bool if isinstance(value, bool) else dtype, device=device)


@cache
def operations() -> dict[str, Callable[..., Any]]:
    """PyTorch's operations on numbers, of which some or all are Python's."""
    import array_api_compat.torch as xp
    import torch

    return meaning(
        lambda op: partial(_of_numbers, getattr(xp, op)),
        full=lambda value, _: value,
        number=lambda value, dtype: value if hasattr(value, "dtype") else torch.tensor(value, dtype=dtype),
        astype=lambda value, dtype: xp.astype(value, dtype) if hasattr(value, "dtype") else value,
        **{f"all_{op}": partial(_over, getattr(xp, op)) for op in ("sum", "max", "min")},
    )


def _over(reduce: Callable[..., Any], column: Any) -> Any:
    import torch

    return reduce(torch.stack(column), axis=0)
