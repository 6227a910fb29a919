"""Several parameters: gradients that are missing, shapes and dtypes that are mixed, parameters that are added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..specification.cases import Case, Rates, size
from ..specification.maker import Maker, probes, takes
from ..specification.port import DTYPES, Port
from ..specification.script import Script, rounded
from . import hypotheses
from .held import done_to, held
from .hypotheses import Watched
from .pairs import Test, close, differs, most, start, steps, two
from .trace import changed, same


@dataclass
class _Parameter:
    """A parameter, the gradients that it gets one after the other, and what it does with them alone."""

    case: Case

    @property
    def x0(self) -> Any:
        return self.case.array(self.case.x0)

    def gradient(self, i: int) -> Any:
        return self.case.array(self.case.grads[i])

    def momentum(self, count: int) -> Any:
        return hypotheses.momentum(self.case, [self.gradient(i) for i in range(count)], self.x0)

    def alone(self, port: Port, count: int) -> list[Any]:
        return steps(start(port, self.case, self.x0), [self.gradient(i) for i in range(count)])


def _parameters(case: Case, shapes: list[tuple[int, ...]]) -> list[_Parameter]:
    """Each with its own numbers, whose last gradients are probes of its own momentum."""
    made = []
    for i, shape in enumerate(shapes):
        script = Script(f"parameter {i}", size(shape), case.betas, case.dtype).random(3, 0.25, 2.0)
        script.probe(*probes(case.dtype, finest=False))
        x0 = tuple(rounded(v, case.dtype) for v in script.numbers(0.25, 2.0, 6))
        own = replace(case, shape=shape, x0=x0, grads=tuple(script.grads), lr=(case.lr[0],) * len(script.grads))
        made.append(_Parameter(own))
    return made


#: Which parameters have a gradient at step t, of three.
PATTERNS: dict[str, tuple[int, Callable[[int, int], bool]]] = {
    "first": (9, lambda t, i: i != 0 or t not in (0, 1, 4)),
    "middle": (9, lambda t, i: i != 1 or t not in (0, 3, 4)),
    "last": (9, lambda t, i: i != 2 or t not in (0, 1, 5)),
    "alternating": (12, lambda t, i: (t + i) % 2 == 0),
    "all": (8, lambda t, _: t not in (2, 3)),
    "one_at_a_time": (18, lambda t, i: t % 3 == i),
    "long": (106, lambda t, i: i != 0 or not 3 <= t < 103),
    "never": (6, lambda _, i: i != 1),
    "frozen": (6, lambda t, i: i != 0 or t < 3),
}


def _watched(parameters: list[_Parameter], given: list[list[Any]], seen: list[list[Any]]) -> list[Watched]:
    return [Watched(p.case, p.x0, [g[i] for g in given], [x[i] for x in seen]) for i, p in enumerate(parameters)]


def _pair(case: Case, x: list[Any], grads: list[list[Any]], seen: list[list[Any]]) -> list[Watched]:
    return [Watched(case, x[i], [g[i] for g in grads], [s[i] for s in seen]) for i in range(len(x))]


def gaps(name: str) -> Test:
    count, present = PATTERNS[name]

    def test(port: Port, case: Case) -> str:
        parameters = _parameters(case, [case.shape] * 3)
        handle = start(port, case, [p.x0 for p in parameters])
        used, seen, given = [0, 0, 0], [], []
        for t in range(count):
            now: list[Any] = []
            for i, p in enumerate(parameters):
                now.append(p.gradient(min(used[i], len(p.case.grads) - 1)) if present(t, i) else None)
                used[i] += present(t, i)
            given.append(now)
            try:
                seen += steps(handle, [now])
            except Exception as error:
                if any(g is not None for g in now):
                    raise
                raise NotImplementedError(f"a step without any gradient is refused: {error}") from None
        for i, p in enumerate(parameters):
            right = [p.x0.astype("float64"), *p.alone(port, min(used[i], len(p.case.grads)))]
            made = 0
            for t in range(count):
                made += present(t, i)
                if made < len(right) and not close(seen[t][i], right[made], case.dtype):
                    lacks = [i for i in range(3) if not all(present(s, i) for s in range(t + 1))]
                    why = hypotheses.gaps(port.capabilities.K, _watched(parameters, given, seen), i)
                    missed = f"a gradient was missing for {', '.join(map(str, lacks)) or 'none'}"
                    far = most(seen[t][i], right[made])
                    return f"{why}parameter {i} of 3 is not where it is alone at step {t}, by {far}; {missed}"
        return ""

    return test


def parameters(port: Port, case: Case) -> str:
    """With one rate, and with a schedule."""
    wrong = _both(port, case)
    if wrong or not port.capabilities.schedule:
        return wrong
    rates = Rates(tuple(case.lr[0] / (t + 1) for t in range(len(case.lr))))
    wrong = _both(port, case, lr=rates)
    return f"with a schedule {wrong}" if wrong else ""


def _both(port: Port, case: Case, **rate: Any) -> str:
    x, grads = two(case)
    handle = start(port, case, x, **rate)
    together = []
    for t, given in enumerate(grads):
        was = [g.copy() for g in given]
        together += steps(handle, [given])
        if changed(handle, given, was):
            return f"step {t} of two parameters together has changed a gradient"
    for i in range(2):
        alone = steps(start(port, case, x[i], **rate), [g[i] for g in grads])
        if found := differs([t[i] for t in together], alone, case.dtype):
            pair = [replace(p, accuracy=port.capabilities.accuracy) for p in _pair(case, x, grads, together)]
            why = "" if rate else hypotheses.together(port.capabilities.K, pair, i)
            return f"{why}parameter {i} of two steps otherwise than alone, from step {found[0]}: by {found[1]}"
    return ""


def groups(port: Port, case: Case) -> str:
    x, grads = two(case)
    # Where the first rate enters the decay, ports differ on whose first rate it is.
    lr = 0.05 if case.decay in ("lr_ratio", "lr2_max") else 0.02
    betas = Maker(port.capabilities, case.dtype).betas(0.5, 0.75)
    own: list[dict[str, Any]] = [{"lr": 0.05, "weight_decay": 0.25}, {"lr": lr, "weight_decay": 0.0, "betas": betas}]
    together = steps(start(port, case, x, groups=own), grads)
    for i in range(2):
        alone = steps(start(port, case, x[i], **own[i]), [g[i] for g in grads])
        if found := differs([t[i] for t in together], alone, case.dtype):
            cases = [replace(case, **{**o, "lr": (o["lr"],) * len(case.lr)}) for o in own]
            watched = replace(_pair(case, x, grads, together)[i], case=cases[i])
            others = {"those that all groups were given": case, f"those of group {1 - i}": cases[1 - i]}
            why = hypotheses.settings(port.capabilities.K, watched, others)
            return f"group {i}: {why}it does not follow its own settings, from step {found[0]}: by {found[1]}"
    return ""


def missing(port: Port, case: Case) -> str:
    x, grads = two(case)
    given = [[g[0], None if t in (1, 2) else g[1]] for t, g in enumerate(grads)]
    together = steps(start(port, case, x), given)
    why = hypotheses.gaps(port.capabilities.K, _pair(case, x, given, together), 1)
    if not same(together[0][1], together[2][1]):
        return f"{why}a parameter without gradient has moved"
    alone = steps(start(port, case, x[1]), [g[1] for t, g in enumerate(grads) if t not in (1, 2)])
    if not close(together[-1][1], alone[-1], case.dtype):
        return f"{why}a parameter that had no gradient for two steps goes on from another state"
    return "" if not same(together[0][0], together[1][0]) else "the other parameter has not moved"


def _together(port: Port, case: Case, made: list[_Parameter], what: str) -> str:
    count = len(made[0].case.grads)
    handle = start(port, case, [p.x0 for p in made])
    seen = steps(handle, [[p.gradient(t) for p in made] for t in range(count)])
    for i, p in enumerate(made):
        if found := differs([s[i] for s in seen], p.alone(port, count), p.case.dtype):
            given = [[p.gradient(t) for p in made] for t in range(count)]
            why = hypotheses.together(port.capabilities.K, _watched(made, given, seen), i)
            return f"{why}of {what}, number {i} steps otherwise than alone, from step {found[0]}: by {found[1]}"
    return ""


def shapes(port: Port, case: Case) -> str:
    known: list[tuple[int, ...]] = [case.shape, (), (5,), (2, 3), (0,), (1,), (4, 2), (3, 3), (5, 5)]
    chosen = [s for s in known if takes(port.capabilities.K, s)][:6]
    made = _parameters(case, chosen)
    return _together(port, case, made, f"parameters of the shapes {chosen}")


def dtypes(port: Port, case: Case) -> str:
    others = [d for d in DTYPES if d in port.capabilities.dtypes and d not in (case.dtype, "bfloat16")]
    other = next((d for d in others if _taken(port, replace(case, dtype=d))), None)
    if other is None:
        raise NotImplementedError("the port takes one dtype only")
    kinds = [case.dtype, other, case.dtype]
    made = [_parameters(replace(case, dtype=d), [case.shape] * 3)[i] for i, d in enumerate(kinds)]
    return _together(port, case, made, f"parameters in {', '.join(kinds)}")


def _taken(port: Port, case: Case) -> bool:
    """Does the port take this dtype alone? That it does not has its own verdict."""
    try:
        _parameters(case, [case.shape])[0].alone(port, 1)
    except Exception:
        return False
    return True


def added(port: Port, case: Case) -> str:
    """With hyper-parameters of its own."""
    first, second = _parameters(case, [case.shape] * 2)
    rate = case.lr[0] if case.decay in ("lr_ratio", "lr2_max") else 0.02
    betas = Maker(port.capabilities, case.dtype).betas(0.5, 0.75)
    second.case = replace(second.case, weight_decay=0.125, betas=betas, lr=(rate,) * len(second.case.lr))
    begun: list[Any] = []

    def made() -> Any:
        handle = start(port, case, [first.x0])
        begun[:] = steps(handle, [[first.gradient(0)], [first.gradient(1)]])
        handle.add(second.x0, **second.case.hyper())
        return handle

    handle = made()
    seen = begun + steps(handle, [[first.gradient(t), second.gradient(t - 2)] for t in range(2, 6)])
    if found := differs([s[0] for s in seen], first.alone(port, 6), case.dtype):
        return f"the first parameter steps otherwise once another is added at step 2: at step {found[0]} by {found[1]}"
    if found := differs([s[1] for s in seen[2:]], second.alone(port, 4), case.dtype):
        watched = Watched(second.case, second.x0, [second.gradient(t) for t in range(4)], [s[1] for s in seen[2:]])
        still = all(same(s, second.x0.astype("float64")) for s in watched.seen)
        others = {"those of the first parameter": case}
        why = "it does not move; " if still else hypotheses.settings(port.capabilities.K, watched, others)
        given, x = [first.gradient(2), second.gradient(0)], watched.x0.astype("float64")
        begins = {"a copy of x": x, "that of the first parameter": -first.momentum(2)}
        kept = None if why else held(port.capabilities, made, second.case, given, 1, 0 * x, second.case.lr[0])
        if odd := done_to(kept, 0 * x, second.case, begins):
            why = f"its momentum {odd} before its first step; "
        return (
            f"{why}a parameter that is added at step 2 steps otherwise than alone: at its step {found[0]} by {found[1]}"
        )
    return ""
