"""Saving and loading: what goes on, what is brought back, and from where."""

from __future__ import annotations

import copy
from typing import Any

from ..specification.cases import Case, Rates
from ..specification.maker import Maker
from ..specification.port import Port, each_parameter
from .pairs import arrays, most, start, steps, stored, two
from .trace import read, same

_RATES = Rates((0.05, 0.04, 0.03, 0.02, 0.01, 0.005))


def _compared(goes_on: list[Any], resumed: list[Any], first: int, what: str) -> str:
    for t, (a, b) in enumerate(zip(goes_on, resumed, strict=True)):
        for i, (p, q) in enumerate(zip(*(v if isinstance(v, list) else [v] for v in (a, b)), strict=True)):
            if not same(p, q):
                whose = f", of parameter {i}," if isinstance(a, list) else ""
                return f"step {first + t} {what} is another one than without: x{whose} differs by {most(p, q)}"
    return ""


def _left(handle: Any, case: Case, grads: list[Any], split: int) -> tuple[Any, Any, list[Any]]:
    """State and x of an optimizer after ``split`` of the gradients, and its x after each of the others."""
    steps(handle, grads[:split])
    saved = copy.deepcopy(handle.state())
    x = each_parameter(handle.x, lambda v: stored(read(v), case.dtype))
    return saved, x, steps(handle, grads[split:])


def resume(port: Port, case: Case, split: int = 3) -> str:
    grads = arrays(case)
    rate = {"lr": _RATES} if port.capabilities.schedule else {}
    saved, x, goes_on = _left(start(port, case, case.array(case.x0), **rate), case, grads, split)
    second = start(port, case, x, **rate)
    second.load(copy.deepcopy(saved))
    return _compared(goes_on, steps(second, grads[split:]), split, "after loading")


def early(port: Port, case: Case) -> str:
    return resume(port, case, 1)


def twice(port: Port, case: Case) -> str:
    """The same saved state into two optimizers: the first loading must leave it whole."""
    grads = arrays(case)
    saved, x, goes_on = _left(start(port, case, case.array(case.x0)), case, grads, 3)
    start(port, case, x).load(saved)
    second = start(port, case, x)
    second.load(saved)
    return _compared(goes_on, steps(second, grads[3:]), 3, "after loading a state that another optimizer has loaded")


def back(port: Port, case: Case) -> str:
    """Rolled back: a state of before into the optimizer that went on."""
    grads = arrays(case)
    handle = start(port, case, case.array(case.x0))
    saved, x, goes_on = _left(handle, case, grads, 3)
    handle.load(copy.deepcopy(saved))
    handle.write(x)
    return _compared(goes_on, steps(handle, grads[3:]), 3, "after rolling back")


def late(port: Port, case: Case) -> str:
    """Loaded into an optimizer that has made steps of its own."""
    grads = arrays(case)
    saved, x, goes_on = _left(start(port, case, case.array(case.x0)), case, grads, 3)
    other = start(port, case, case.array(tuple(-v for v in case.x0)))
    steps(other, [-g for g in grads[:2]])
    other.load(copy.deepcopy(saved))
    other.write(x)
    return _compared(goes_on, steps(other, grads[3:]), 3, "after loading into an optimizer that has made steps")


def values(port: Port, case: Case) -> str:
    """Into an optimizer that was made with other hyper-parameters."""
    grads = arrays(case)
    betas = Maker(port.capabilities, case.dtype).betas(0.5, 0.75)
    for name, other in (("lr", {"lr": 0.01}), ("weight_decay", {"weight_decay": 0.05}), ("betas", {"betas": betas})):
        saved, x, goes_on = _left(start(port, case, case.array(case.x0)), case, grads, 3)
        second = start(port, case, x, **other)
        second.load(copy.deepcopy(saved))
        if wrong := _compared(goes_on, steps(second, grads[3:]), 3, f"after loading over another {name}"):
            return f"loading does not bring back {name}: {wrong}"
    return ""


def of_groups(port: Port, case: Case) -> str:
    """The hyper-parameters of each group."""
    x, grads = two(case)
    own: list[dict[str, Any]] = [{"lr": 0.05, "weight_decay": 0.5}, {"lr": 0.05, "weight_decay": 0.1}]
    if case.decay not in ("lr_ratio", "lr2_max"):
        own[1]["lr"] = 0.02
    saved, x, goes_on = _left(start(port, case, x, groups=own), case, grads, 3)
    second = start(port, case, x, groups=own[::-1])
    second.load(copy.deepcopy(saved))
    return _compared(goes_on, steps(second, grads[3:]), 3, "after loading over other groups")


def sparse(port: Port, case: Case) -> str:
    """The first of two parameters had no gradient, and so perhaps no state, when it was saved."""
    x, grads = two(case)
    given = [[None if t < 3 else g[0], g[1]] for t, g in enumerate(grads)]
    saved, x, goes_on = _left(start(port, case, x), case, given, 3)
    second = start(port, case, x)
    second.load(copy.deepcopy(saved))
    return _compared(goes_on, steps(second, given[3:]), 3, "after loading")
