"""What a step does not show. Checkpoints, several parameters, groups, shards, gradients in other units.

Each test is a function of a port and a dtype, and returns what is wrong, or "". It compares runs of the port with
other runs of the same port, so it needs no reference.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ..specification.cases import Case, host
from ..specification.families import WIDE, _Maker, betas_for, level_of
from ..specification.port import Capabilities, Port, each_parameter
from .trace import read, run, same

Test = Callable[[Port, Case], str]
#: The last probe: a checkpoint in a narrower dtype changes its sign, another order of evaluation does not.
FINEST = {"float64": 2.0**-32, "float32": 2.0**-12}


def behaviours(port: Port, dtype: str, level: int = 3) -> Iterator[tuple[str, str, str]]:
    """``(id, what is wrong or "", why it was left out or "")`` of each test up to a level."""
    claims = port.capabilities
    make = _Maker(claims, dtype)
    for name, (needs, test) in TESTS.items():
        if level_of(name, dtype, claims.dtypes) > level:
            continue
        script = make.script(name).random(3, 0.25, 2.0).random(1, 2.0**-12, 2.0**-9, 12)
        script.probe(2.0**-4, 2.0**-7, FINEST[dtype])
        case = make.case(name, script, lr=0.05, wd=0.5)
        absent = [n for n in needs if not _has(n, claims, port)]
        if absent:
            yield case.id, "", f"the port does not claim: {', '.join(absent)}"
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield case.id, test(port, case), ""
            except NotImplementedError as error:
                yield case.id, "", f"not available: {error}"
            except Exception as error:
                yield case.id, f"the port raised {type(error).__name__}: {error}", ""


def ids(claims: Capabilities) -> list[str]:
    return [f"{name}/{d}" for d in claims.dtypes if d in WIDE for name in TESTS]


def _has(need: str, claims: Capabilities, port: Port) -> bool:
    if need == "live":
        return not hasattr(port, "trace")
    make = _Maker(claims, claims.dtypes[0])
    if need == "homogeneous K":
        return bool(make.K.traits.homogeneous)
    if need == "exact K":
        return claims.accuracy == 0
    if need == "elementwise K":
        return make.K.by_entry
    return bool(getattr(claims, need))


def _start(port: Port, case: Case, x0: Any, **changed: Any) -> Any:
    options = dict(port.capabilities.decays.get(case.decay, {}))
    return port.create(x0, **{**case.hyper(), **options, **changed})


def _steps(handle: Any, grads: list[Any]) -> list[Any]:
    """x after each step, as float64."""
    seen = []
    for g in grads:
        handle.step(g)
        seen.append(each_parameter(handle.x, read))
    return seen


def _checkpoint(port: Port, case: Case, split: int = 3) -> str:
    grads = [case.array(g) for g in case.grads]
    rates = [0.05, 0.04, 0.03, 0.02, 0.01, 0.005]
    rate = {"lr": lambda count: rates[min(int(count), 5)]} if port.capabilities.schedule else {}
    first = _start(port, case, case.array(case.x0), **rate)
    _steps(first, grads[:split])
    saved = copy.deepcopy(first.state())
    x = host().asarray(read(first.x), dtype=case.dtype)
    goes_on = _steps(first, grads[split:])
    second = _start(port, case, x, **rate)
    second.load(copy.deepcopy(saved))
    resumed = _steps(second, grads[split:])
    for t, (a, b) in enumerate(zip(goes_on, resumed, strict=True)):
        if not same(a, b):
            return f"step {split + t} after loading is another one than without: x differs by {_most(a, b)}"
    return ""


def _again(port: Port, case: Case) -> str:
    a = run(port, case)
    run(port, replace(case, grads=tuple(tuple(-v for v in g) for g in case.grads)))  # which must leave no trace
    b = run(port, case)
    return "" if all(same(p, q) for p, q in zip(a.xs, b.xs, strict=True)) else "two runs of the same inputs differ"


def _scale(port: Port, case: Case) -> str:
    """Products with a power of two are exact, so all orders of evaluation give the run of the gradients as they are."""
    flat = replace(case, weight_decay=0.0)
    plain = run(port, flat)
    for power in (40, -40):
        other = run(port, replace(flat, grads=tuple(tuple(2.0**power * v for v in g) for g in case.grads)))
        for t, (a, b) in enumerate(zip(plain.xs, other.xs, strict=True)):
            if not _close(a, b, case):
                return f"step {t} is another one with all gradients times 2^{power}: x differs by {_most(a, b)}"
    return ""


def _two(case: Case) -> tuple[list[Any], list[list[Any]]]:
    """Two parameters with gradients of their own."""
    x = [case.array(case.x0), case.array(tuple(-v / 2 for v in case.x0))]
    reversed_ = [case.array(tuple(-v for v in g[::-1])) for g in case.grads]
    return x, [[case.array(g), r] for g, r in zip(case.grads, reversed_, strict=True)]


def _parameters(port: Port, case: Case) -> str:
    x, grads = _two(case)
    together = _steps(_start(port, case, x), grads)
    for i in range(2):
        alone = _steps(_start(port, case, x[i]), [g[i] for g in grads])
        for t, (a, b) in enumerate(zip(together, alone, strict=True)):
            if not _close(a[i], b, case):
                return f"parameter {i} of two steps otherwise than alone, from step {t}: by {_most(a[i], b)}"
    return ""


def _groups(port: Port, case: Case) -> str:
    x, grads = _two(case)
    # Where the first rate enters the decay, ports differ on whose first rate it is.
    lr = 0.05 if case.decay in ("lr_ratio", "lr2_max") else 0.02
    betas = betas_for(port.capabilities, 0.5, 0.75)
    own: list[dict[str, Any]] = [{"lr": 0.05, "weight_decay": 0.5}, {"lr": lr, "weight_decay": 0.1, "betas": betas}]
    together = _steps(_start(port, case, x, groups=own), grads)
    for i in range(2):
        alone = _steps(_start(port, case, x[i], **own[i]), [g[i] for g in grads])
        for t, (a, b) in enumerate(zip(together, alone, strict=True)):
            if not _close(a[i], b, case):
                return f"group {i} does not follow its own hyper-parameters, from step {t}: by {_most(a[i], b)}"
    return ""


def _missing(port: Port, case: Case) -> str:
    x, grads = _two(case)
    gaps = [[g[0], None if t in (1, 2) else g[1]] for t, g in enumerate(grads)]
    together = _steps(_start(port, case, x), gaps)
    if not same(together[0][1], together[2][1]):
        return "a parameter without gradient has moved"
    alone = _steps(_start(port, case, x[1]), [g[1] for t, g in enumerate(grads) if t not in (1, 2)])
    if not _close(together[-1][1], alone[-1], case):
        return "a parameter that had no gradient for two steps goes on from another state"
    return "" if not same(together[0][0], together[1][0]) else "the other parameter has not moved"


def _shards(port: Port, case: Case) -> str:
    whole = _steps(_start(port, case, case.array(case.x0)), [case.array(g) for g in case.grads])
    n = len(case.x0)
    for part in (slice(0, n // 3), slice(n // 3, n)):
        alone = _steps(_start(port, case, case.array(case.x0)[part]), [case.array(g)[part] for g in case.grads])
        for t, (a, b) in enumerate(zip(whole, alone, strict=True)):
            if not _close(a[part], b, case):
                return f"entries {part.start} to {part.stop} step otherwise than in the whole array, from step {t}"
    return ""


TESTS: dict[str, tuple[tuple[str, ...], Test]] = {
    "S7.checkpoint/resume": (("live", "checkpoint"), _checkpoint),
    "S7.checkpoint/first": (("live", "checkpoint"), lambda port, case: _checkpoint(port, case, 1)),
    "S7.again/twice": ((), _again),
    "S7.parameters/two": (("live", "lists"), _parameters),
    "S7.groups/two": (("live", "lists", "groups"), _groups),
    "S7.missing/two": (("live", "lists", "missing"), _missing),
    "S7.shards/two": (("live", "elementwise K"), _shards),
    "S2.scale/power": (("homogeneous K", "exact K"), _scale),
}


def _close(a: Any, b: Any, case: Case) -> bool:
    """Equal but for the last bits: vectorised loops may round their tails otherwise."""
    xp = host().namespace()
    return bool(xp.all(xp.abs(a - b) <= {"float64": 1e-12, "float32": 1e-5}[case.dtype] * (1 + xp.abs(a))))


def _most(a: Any, b: Any) -> str:
    xp = host().namespace()
    return f"{float(xp.max(xp.abs(a - b))):.3g}, in {int(xp.sum(a != b))} of {a.size} entries"
