"""What a step is given, checked: coefficients, and arrays or lists of arrays to be stepped one by one."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..arrays import namespace as _xp
from ..arrays.namespace import Array
from ..functions import ConvexFunction
from ..functions.calculus.block_sum import ContainerFunction

if TYPE_CHECKING:
    from .lion_k import LionK


def coefficient(name: str, value: Any) -> Any:
    """A checked learning rate or decay: a finite float >= 0, or a real 0-d array as it is."""
    if type(value) is float and 0 <= value < math.inf:
        return value
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        number = float(value)
        if not 0 <= number < math.inf:
            raise ValueError(f"{name} must be finite and >= 0, got {value!r}")
        return number
    if hasattr(value, "ndim") and value.ndim == 0 and _xp.is_real(value):
        return value
    schedule = " (a schedule is a callable of the count)" if name == "lr" else ""
    raise TypeError(f"{name} must be a number >= 0 or a real 0-d array{schedule}, got {value!r}")


def coefficients(opt: LionK, lr: Any, weight_decay: Any) -> tuple[Any, Any]:
    """lr and weight decay of a step, checked. Raises ValueError if there is no lr but a schedule."""
    if lr is None and callable(opt.lr):
        raise ValueError("the learning rate is a schedule; pass its value at this step, lr=opt.lr(count)")
    decay = opt.weight_decay if weight_decay is None else coefficient("weight_decay", weight_decay)
    return coefficient("lr", opt.lr if lr is None else lr), decay


def arguments(
    opt: LionK, x: Any, m: Any, grad: Any, lr: Any, weight_decay: Any
) -> tuple[Any, Any, list[tuple[Array, Array, Array, ConvexFunction]]]:
    """What a runner was called with, checked: lr, weight decay, and ``(x, m, grad, K)`` for each array."""
    rate, decay = coefficients(opt, lr, weight_decay)
    if not isinstance(x, list):
        return rate, decay, [(x, m, grad, opt.K)]
    functions = opt.function_of_each(x, m, grad, decay) if isinstance(opt.K, ContainerFunction) else [opt.K] * len(x)
    lengths = [len(v) if isinstance(v, list) else None for v in (x, m, grad, functions)]
    if lengths != [len(x)] * 4:
        raise ValueError(f"x, m, grad and the blocks of K must be lists of one length, got {lengths}")
    return rate, decay, list(zip(x, m, grad, functions, strict=True))


def results(x: Any, pairs: list[tuple[Array, Array]]) -> tuple[Any, Any]:
    """What a runner returns: like x, an array or a list of arrays."""
    return ([a for a, _ in pairs], [b for _, b in pairs]) if isinstance(x, list) else pairs[0]


def check_memory(
    jobs: list[tuple[Array, Array, Array, ConvexFunction]],
    span: Callable[[Array], tuple[int, int]],
    share: Callable[[Array, Array], bool],
) -> None:
    """Refuse different shapes, and arrays to be stepped in place whose memory is shared.

    ``span(a)``: the first address of an array and the one behind its last; ``share(a, b)``: have they an entry in
    common? Raises ValueError.
    """
    for x, m, grad, _ in jobs:
        if not x.shape == m.shape == grad.shape:
            shapes = ", ".join(str(tuple(a.shape)) for a in (x, m, grad))
            raise ValueError(f"x, m and grad must have one shape, got {shapes}")
    spans = sorted((*span(a), k) for k, a in enumerate(a for job in jobs for a in job[:3]))
    reach = 0  # of the arrays that start before the next one
    for place, (start, end, k) in enumerate(spans):
        if start < reach and end > start:
            for _, other_end, j in spans[:place]:
                written = k % 3 < 2 or j % 3 < 2  # not two gradients
                if start < other_end and written and share(jobs[k // 3][k % 3], jobs[j // 3][j % 3]):
                    raise ValueError(
                        "x and m are stepped in place, and may share no memory with each other or with grad; copy one "
                        "of them first"
                    )
        reach = max(reach, end)
