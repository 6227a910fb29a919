"""What a step is given, checked: coefficients, and arrays or lists of arrays to be stepped one by one."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..arrays import namespace as _xp
from ..arrays.containers import is_container, named_leaves
from ..arrays.namespace import Array
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


def number(value: Any) -> Any:
    """A float; or, as it is, a 0-d array that a compiler traces, which has no value yet."""
    try:
        return float(value)
    except TypeError:
        if getattr(value, "shape", None) != ():
            raise
        return value


def implicit_lr(lr: Any, weight_decay: Any) -> Any:
    """The implicit step ``h = lr/(1 - lr lam)`` of an explicit one; needs ``lr lam < 1``. Derived here."""
    if isinstance(lr, (int, float)) and isinstance(weight_decay, (int, float)) and not lr * weight_decay < 1:
        raise ValueError(f"an implicit step exists for lr * weight_decay < 1 only, got {lr!r} * {weight_decay!r}")
    return lr / (1 - lr * weight_decay)


def explicit_lr(lr: Any, weight_decay: Any) -> Any:
    """The explicit step ``h/(1 + h lam)`` of an implicit one. Derived here."""
    return lr / (1 + lr * weight_decay)


def cast(xp: Any, c: Any, dtype: Any, name: str) -> Any:
    """A coefficient ready for arithmetic with arrays: numbers stay numbers, 0-d arrays take their real dtype."""
    if isinstance(c, (int, float)):
        return c
    if _xp.namespace(c, name=name) is not _xp.unwrapped(xp):
        raise TypeError(f"{name} is an array of another library than x; pass a Python number")
    return _xp.astype(xp, c, dtype)


def coefficients(opt: LionK, lr: Any, weight_decay: Any) -> tuple[Any, Any]:
    """lr and weight decay of a step, checked. Raises ValueError if there is no lr but a schedule."""
    if lr is None and callable(opt.lr):
        raise ValueError("the learning rate is a schedule; pass its value at this step, lr=opt.lr(count)")
    decay = opt.weight_decay if weight_decay is None else coefficient("weight_decay", weight_decay)
    return coefficient("lr", opt.lr if lr is None else lr), decay


def arguments(
    opt: LionK, x: Any, m: Any, grad: Any, lr: Any, weight_decay: Any, beside: dict[str, Any] | None = None
) -> tuple[Any, Any, list[tuple[Any, ...]]]:
    """What a runner was called with, checked: lr, weight decay, and ``(x, m, grad, *beside, K)`` for each array."""
    rate, decay = coefficients(opt, lr, weight_decay)
    if lacking := [name for name in opt.beside if name not in (beside or {})]:
        raise TypeError(f"a step of this optimizer takes {', '.join(lacking)}, too: give them in beside={{...}}")
    kept = [(beside or {})[name] for name in opt.beside]
    if not isinstance(x, list):
        return rate, decay, [(x, m, grad, *kept, opt.K)]
    functions = opt.function_of_each(x, m, grad, decay) if isinstance(opt.K, ContainerFunction) else [opt.K] * len(x)
    lengths = [len(v) if isinstance(v, list) else None for v in (x, m, grad, functions, *kept)]
    if lengths != [len(x)] * (4 + len(kept)):
        raise ValueError(f"x, m, grad, the blocks of K and what is beside must be lists of one length, got {lengths}")
    return rate, decay, list(zip(x, m, grad, *kept, functions, strict=True))


def results(x: Any, pairs: list[tuple[Array, Array]]) -> tuple[Any, Any]:
    """What a runner returns: like x, an array or a list of arrays."""
    return ([a for a, _ in pairs], [b for _, b in pairs]) if isinstance(x, list) else pairs[0]


def check_alike(name: str, tree: Any, x: Any) -> None:
    given, own = dict(named_leaves(tree)), dict(named_leaves(x))  # JAX sorts the keys of a dict: the order is free
    if given.keys() != own.keys() or is_container(tree) != is_container(x):
        raise ValueError(f"{name} and x are containers of different shape: {sorted(given)} against {sorted(own)}")
    for path, b in own.items():
        check_shape(f"{name}.{path}" if path else name, given[path], b)


def check_shape(name: str, a: Any, b: Any) -> None:
    shape, own = getattr(a, "shape", None), getattr(b, "shape", None)
    if shape != own and None not in (shape, own) and tuple(shape) != tuple(own):  # type: ignore[arg-type]
        raise ValueError(f"{name} has shape {tuple(shape)}, but x has {tuple(own)} there")  # type: ignore[arg-type]


def check_memory(
    jobs: list[tuple[Any, ...]],
    span: Callable[[Array], tuple[int, int]],
    share: Callable[[Array, Array], bool],
) -> None:
    """Refuse different shapes, and arrays to be stepped in place whose memory is shared.

    ``span(a)``: the first address of an array and the one behind its last; ``share(a, b)``: have they an entry in
    common? Of what is beside, numbers are passed over. Raises ValueError.
    """
    every: list[tuple[Any, bool]] = []  # the arrays, and whether they are written
    for job in jobs:
        arrays = [a for a in job[:-1] if hasattr(a, "shape")]
        every += [(a, k != 2) for k, a in enumerate(arrays)]
        if any(a.shape != arrays[0].shape for a in arrays):
            shapes = ", ".join(str(tuple(a.shape)) for a in arrays)
            raise ValueError(f"x, m and grad must have one shape, got {shapes}")
    spans = sorted((*span(a), k) for k, (a, _) in enumerate(every))
    reach = 0  # of the arrays that start before the next one
    for place, (start, end, k) in enumerate(spans):
        if start < reach and end > start:
            for _, other_end, j in spans[:place]:
                written = every[k][1] or every[j][1]  # not two gradients
                if start < other_end and written and share(every[k][0], every[j][0]):
                    raise ValueError(
                        "x and m are stepped in place, and may share no memory with each other or with grad; copy one "
                        "of them first"
                    )
        reach = max(reach, end)
