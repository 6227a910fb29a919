"""What the tests that compare runs share: a handle started for a case, its steps, and when two runs are equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..specification.cases import Case, host
from ..specification.port import Port, each_parameter
from .trace import read

#: A test: a port and a case in; what is wrong out, or "". NotImplementedError says that it cannot be asked.
Test = Callable[[Port, Case], str]
CLOSE = {"float64": 1e-12, "float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}


def start(port: Port, case: Case, x0: Any, **changed: Any) -> Any:
    options = dict(port.capabilities.decays.get(case.decay, {}))
    return port.create(x0, **{**case.hyper(), **options, **changed})


def steps(handle: Any, grads: list[Any]) -> list[Any]:
    """x after each step, as float64."""
    seen = []
    for g in grads:
        handle.step(g)
        seen.append(each_parameter(handle.x, read))
    return seen


def arrays(case: Case) -> list[Any]:
    """Its gradients."""
    return [case.gradient(g) for _, g in case.gradients()]


def stored(x: Any, dtype: str) -> Any:
    """What was read, in the dtype again."""
    return host().asarray(x, dtype=dtype)


def two(case: Case) -> tuple[list[Any], list[list[Any]]]:
    """Two parameters with gradients of their own."""
    x = [case.array(case.x0), case.array(tuple(-v / 2 for v in case.x0))]
    turned = [case.array(tuple(-v for v in g[::-1])) for g in case.grads]
    return x, [[case.array(g), r] for g, r in zip(case.grads, turned, strict=True)]


def close(a: Any, b: Any, dtype: str) -> bool:
    """Equal but for the last bits: vectorised loops may round their tails otherwise."""
    xp = host().namespace()
    return bool(a.shape == b.shape and xp.all(xp.abs(a - b) <= CLOSE[dtype] * (1 + xp.abs(a))))


def most(a: Any, b: Any) -> str:
    """By how much two runs differ."""
    xp = host().namespace()
    if a.shape != b.shape:
        return f"its shape {a.shape}, not {b.shape}"
    return f"{float(xp.max(xp.abs(a - b))):.3g}, in {int(xp.sum(a != b))} of {a.size} entries"


def differs(seen: list[Any], right: list[Any], dtype: str) -> tuple[int, str] | None:
    """The first step at which two runs differ, and by how much."""
    for t, (a, b) in enumerate(zip(seen, right, strict=True)):
        if not close(a, b, dtype):
            return t, most(a, b)
    return None
