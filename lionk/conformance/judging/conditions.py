"""Where a port fails: the first property that all failing cases have, and no passing one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from ..specification.cases import EPS, LAYOUTS, Case


def _least(case: Case) -> float:
    """The least magnitude among the gradients that is not 0; inf if there is none."""
    return min((abs(v) for g in case.grads for v in g if v), default=math.inf)


def _most(case: Case) -> float:
    return max((abs(v) for g in case.grads for v in g if math.isfinite(v)), default=0.0)


_PLAIN = ("C", "readonly")
#: In words, after "only where": the narrowest come first.
PROPERTIES: dict[str, Callable[[Case], bool]] = {
    "b2 is 0": lambda c: c.betas[1] == 0,
    "b1 is 0": lambda c: c.betas[0] == 0,
    "b2 is above 0.999": lambda c: c.betas[1] > 0.999,
    "the learning rate is 0 at some step": lambda c: 0.0 in c.lr,
    "lr weight_decay is above 1": lambda c: max(c.lr) * c.weight_decay > 1,
    "lr weight_decay is 1 or more": lambda c: max(c.lr) * c.weight_decay >= 1,
    "weight_decay is 1 or more": lambda c: c.weight_decay >= 1,
    "weight_decay is below 1e-5": lambda c: 0 < c.weight_decay < 1e-5,
    "the learning rate is above 1": lambda c: max(c.lr) > 1,
    "the learning rate is below 1e-8": lambda c: max(c.lr) < 1e-8,
    "an entry of x is 0 before the first step": lambda c: 0.0 in c.x0,
    "the parameter has no axes": lambda c: c.shape == (),
    "the parameter is empty": lambda c: 0 in c.shape,
    "the parameter has one entry": lambda c: c.size == 1,
    "the parameter has an axis of length 1": lambda c: 1 in c.shape,
    "the parameter has more than 1000 entries": lambda c: c.size > 1000,
    "the parameter has more than three axes": lambda c: len(c.shape) > 3,
    "the parameter has more than two axes": lambda c: len(c.shape) > 2,
    "the gradient is expanded, one row in memory": lambda c: c.layout == "expanded",
    "gradient and parameter lie in memory otherwise": lambda c: c.layout in ("transposed_x", "transposed_gradient"),
    "the parameter is transposed in memory": lambda c: LAYOUTS[c.layout][0] == "transposed",
    "the parameter is strided or transposed in memory": lambda c: LAYOUTS[c.layout][0] not in _PLAIN,
    "the gradient is strided or transposed in memory": lambda c: LAYOUTS[c.layout][1] not in _PLAIN,
    "a gradient of two axes or more is not contiguous in memory": lambda c: (
        len(c.shape) > 1 and LAYOUTS[c.layout][1] not in _PLAIN
    ),
    "the memory is read-only": lambda c: c.layout == "readonly",
    "a gradient is not finite": lambda c: not all(math.isfinite(v) for g in c.grads for v in g),
    "gradients are below 1e-38": lambda c: _least(c) < 1e-38,
    "gradients are below 1e-10": lambda c: _least(c) < 1e-10,
    "gradients are above 1e38": lambda c: _most(c) > 1e38,
    "gradients are above 1e6": lambda c: _most(c) > 1e6,
    "gradients are far from 1": lambda c: _most(c) > 1e6 or _least(c) < 1e-6,
    "the run has thousands of steps": lambda c: c.steps > 1000,
    "the run has hundreds of steps": lambda c: c.long,
    "the learning rate changes": lambda c: c.scheduled and len(set(c.lr)) > 1,
    "betas are not the usual (0.9, 0.99)": lambda c: c.betas != (0.9, 0.99),
    "the parameter has two axes or more": lambda c: len(c.shape) > 1,
    "there is weight decay": lambda c: c.weight_decay > 0,
    "x has 16 bits": lambda c: EPS[c.dtype] > 1e-4,
    "x is float32": lambda c: c.dtype == "float32",
    "x is float64": lambda c: c.dtype == "float64",
}


def condition(failing: Iterable[Case], passing: Iterable[Case]) -> str:
    """``"only where ..."``, or ``""`` if no property tells the failing from the passing."""
    wrong, right = list(failing), list(passing)
    if not wrong or not right:
        return ""
    for says, holds in PROPERTIES.items():
        if all(map(holds, wrong)) and not any(map(holds, right)):
            return f"only where {says}"
    shapes = {c.shape for c in wrong}
    if len(shapes) == 1 and not shapes & {c.shape for c in right}:
        return f"only where the shape is {wrong[0].shape}"
    return ""
