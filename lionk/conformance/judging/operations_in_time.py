"""What the count of steps, and what was there at the steps before, may do to an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..specification.cases import host
from .operations import Operation, fixed, over
from .operations_of_slices import length

_BETAS: dict[str, Callable[[Any], float]] = {
    **{f"{b:g}": fixed(lambda _, b: b, b) for b in (0.5, 0.9, 0.95, 0.98, 0.99, 0.999)},
    "b1": lambda s: s.b1,
    "b2": lambda s: s.b2,
}
#: By the count of steps.
COUNTS: dict[str, Operation] = {
    **{
        f"is multiplied by min(1, (t + {k})/{n}), a warm-up,": fixed(
            lambda v, s, k, n: v * min(1.0, (s.t + k) / n), k, n
        )
        for n in (10, 5, 20, 50, 100, 1000, 2000, 2, 3, 4)
        for k in (1, 0)
    },
    "is divided by the count of steps": lambda v, s: v / (s.t + 1),
    "is divided by the root of the count of steps": lambda v, s: v / (s.t + 1) ** 0.5,
    "is multiplied by the count of steps": lambda v, s: v * (s.t + 1),
    **{
        f"is multiplied by {c:g} at each step anew": fixed(lambda v, s, c: v * c**s.t, c)
        for c in (0.99, 0.9, 0.5, 0.999, 0.95)
    },
    **{
        f"is divided by 1 - {b}^{t}, a correction for bias,": fixed(
            lambda v, s, b, k: v / ((1 - getattr(s, b) ** (s.t + k)) or 1.0), b, k
        )
        for b in ("b2", "b1")
        for t, k in {"(t + 1)": 1, "t": 0}.items()
    },
    "is multiplied by sqrt(1 - b2^(t + 1))/(1 - b1^(t + 1)), as in Adam,": lambda v, s: (
        v * (1 - s.b2 ** (s.t + 1)) ** 0.5 / (1 - s.b1 ** (s.t + 1))
    ),
    **{
        f"is 0 at each step whose count from {k} is a multiple of {n}": fixed(
            lambda v, s, n, k: v if (s.t + k) % n or s.t + k == 0 else 0 * v, n, k
        )
        for n in (2, 3, 4, 5, 6, 8, 10, 20)
        for k in (1, 0)
    },
}


def _average(beta: Callable[[Any], float], key: str = "average", corrected: bool = False) -> Operation:
    """The running average of an operation's array, from 0."""

    def done(v: Any, s: Any) -> Any:
        b = beta(s)
        s.memory[key] = kept = b * s.memory.get(key, 0 * v) + (1 - b) * v
        return kept / ((1 - b ** (s.t + 1)) or 1.0) if corrected else kept

    return done


def _second(beta: Callable[[Any], float], corrected: bool, of: Callable[[Any, Any], Any]) -> Operation:
    """The root of the running average of squares."""
    mean = _average(beta, "squares", corrected)
    return lambda v, s: mean(of(v, s) ** 2, s) ** 0.5


def _seconds() -> Iterator[tuple[str, Operation]]:
    """The root of each running average of squares, and of what it is."""
    for what, of in {
        "squares": lambda v, _: v,
        "squared gradients": lambda _, s: s.g,
        "squares of g - m": lambda _, s: s.g - s.m,
    }.items():
        for beta, number in _BETAS.items():
            for words, corrected in {"": False, ", corrected for bias": True}.items():
                yield f"of the running mean of its {what} (beta {beta}{words})", _second(number, corrected, of)


def _held(v: Any, s: Any, steps: int) -> list[Any]:
    """Those of the last steps, this one last."""
    kept = s.memory.setdefault("held", [])
    kept.append(v)
    del kept[: -steps - 1]
    return kept


def _late(steps: int, first: str) -> Operation:
    def done(v: Any, s: Any) -> Any:
        kept = _held(v, s, steps)
        return kept[-steps - 1] if len(kept) > steps else 0 * v if first == "0" else kept[0]

    return done


def _window(of: Callable[[Any], Any], steps: int, padded: bool) -> Operation:
    def done(v: Any, s: Any) -> Any:
        kept = _held(v, s, steps - 1)
        return of(host().namespace().stack([kept[0]] * (steps - len(kept)) * padded + kept))

    return done


def _change(times: Callable[[Any], float], first: str) -> Operation:
    late = _late(1, first)
    return lambda v, s: v + times(s) * (v - late(v, s))


def _extreme(start: float) -> Operation:
    """The running maximum of sizes."""

    def done(v: Any, s: Any) -> Any:
        s.memory["top"] = host().namespace().maximum(start * s.memory.get("top", 0 * abs(v)), abs(v))
        return s.memory["top"]

    return done


def _total(power: int) -> Operation:
    def done(v: Any, s: Any) -> Any:
        s.memory["total"] = s.memory.get("total", 0 * v) + v**power
        return s.memory["total"]

    return done


def _every(k: int, begin: int) -> Operation:
    """Only at each k-th step another one."""

    def done(v: Any, s: Any) -> Any:
        if (s.t + begin) % k == 0 or "held" not in s.memory:
            s.memory["held"] = v
        return s.memory["held"]

    return done


def _pulled(k: int, share: float) -> Operation:
    """At each k-th step only a share of the way since the last such step is kept."""

    def done(v: Any, s: Any) -> Any:
        if (s.t + 1) % k:
            return v
        slow = s.memory.get("slow", s.first)
        s.memory["slow"] = slow = slow + share * (v - slow)
        return slow

    return done


def _sizes(v: Any) -> Any:
    """The length of the whole array, at every entry."""
    return length(v, None) + 0 * v


#: By what it, or another array, was at the steps before.
MEMORIES: dict[str, Operation] = {
    **{f"is that of {k} step{'s' * (k > 1)} before": _late(k, "0") for k in (1, 2, 3)},
    **{f"is that of {k} step{'s' * (k > 1)} before, or the first one": _late(k, "first") for k in (1, 2, 3)},
    "is averaged with that of the step before": _window(lambda a: a.mean(axis=0), 2, True),
    "is half of it and half of that of the step before, 0 at first,": lambda v, s: (v + _late(1, "0")(v, s)) / 2,
    **{
        f"is the {name} of the last {k}": _window(of, k, padded)
        for padded in (True, False)
        for k in (3, 4, 5, 10)
        for name, of in {
            f"mean{'' if padded else ' of those there are,'}": lambda a: a.mean(axis=0),
            f"median{'' if padded else ' of those there are,'}": lambda a: host().namespace().median(a, axis=0),
        }.items()
    },
    "is the sum of all until then": _total(1),
    "is the mean of all until then": lambda v, s: _total(1)(v, s) / (s.t + 1),
    "is its difference to that of the step before": lambda v, s: v - _late(1, "0")(v, s),
    **{
        f"has {words} times its difference to that of the step before added (as in MARS){said}": _change(times, first)
        for words, times in {
            "0.025 b1/(1 - b1)": lambda s: 0.025 * s.b1 / (1 - s.b1),
            "0.025 b2/(1 - b2)": lambda s: 0.025 * s.b2 / (1 - s.b2),
            "0.05 b1/(1 - b1)": lambda s: 0.05 * s.b1 / (1 - s.b1),
            "b1": lambda s: s.b1,
            "b2": lambda s: s.b2,
            "b1/(1 - b1)": lambda s: s.b1 / (1 - s.b1),
            **{f"{c:g}": fixed(lambda _, c: c, c) for c in (1.0, 0.5, 0.1, 0.225, 0.25, 0.9, 2.0)},
        }.items()
        for first, said in {"first": "", "0": ", which is 0 before the first"}.items()
    },
    **{f"is a running average of it, beta {b}": _average(of) for b, of in _BETAS.items()},
    **{
        f"is a running average of it, beta {b}, corrected for bias": _average(of, corrected=True)
        for b, of in _BETAS.items()
    },
    **{
        f"has {k:g} times its slow running average (beta {b}) added": fixed(
            lambda v, s, k, of: v + k * of(v, s), k, _average(of)
        )
        for b, of in _BETAS.items()
        for k in (1.0, 2.0, 5.0, 0.1, 0.5)
    },
    **{
        f"has {k:g} times its slow running average (beta {b}) taken off": fixed(
            lambda v, s, k, of: v - k * of(v, s), k, _average(of)
        )
        for b, of in _BETAS.items()
        for k in (1.0, 0.5)
    },
    **{f"is divided by the root {words}": fixed(lambda v, s, of: over(v, of(v, s)), of) for words, of in _seconds()},
    **{
        f"is multiplied by min(1, |c|/root), c the readout and the root that {words}": fixed(
            lambda v, s, of: v * host().namespace().minimum(1.0, over(abs(s.r), of(v, s))), of
        )
        for words, of in _seconds()
    },
    **{
        f"is the readout divided by the root {words}": fixed(lambda v, s, of: over(s.r, of(v, s)), of)
        for words, of in _seconds()
    },
    "is divided by the running maximum of its size": lambda v, s: over(v, _extreme(1.0)(v, s)),
    "is divided by the running maximum of its size, which fades by b2": lambda v, s: over(v, _extreme(s.b2)(v, s)),
    "is divided by the running maximum of its length": lambda v, s: over(v, _extreme(1.0)(_sizes(v), s)),
    **{
        f"is divided by the running average of its length (beta {b})": fixed(
            lambda v, s, of: over(v, of(_sizes(v), s)), _average(of)
        )
        for b, of in _BETAS.items()
    },
    "is divided by the root of the sum of its squares until then (Adagrad)": lambda v, s: over(
        v, _total(2)(v, s) ** 0.5
    ),
    **{
        f"is taken anew only at each {k}th step{words}": _every(k, begin)
        for k in (2, 3, 4, 5, 10)
        for words, begin in {"": 0, " (counted from 1)": 1}.items()
    },
    **{
        f"is at each {k}th step {share:g} of the way from that of {k} steps before (Lookahead)": _pulled(k, share)
        for k in (5, 6, 2, 3, 4, 10)
        for share in (0.5, 0.8, 0.2)
    },
}
