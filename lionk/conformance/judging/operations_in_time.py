"""What the count of steps, and what was there at the steps before, may do to an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..specification.cases import host
from .operations import POWERS, SHARES, Fitted, Operation, Table, fixed, over
from .operations_of_slices import length

#: By the count of steps.
COUNTS: Table = {
    "is divided by the count of steps": lambda v, s: v / (s.t + 1),
    "is divided by the root of the count of steps": lambda v, s: v / (s.t + 1) ** 0.5,
    "is multiplied by the count of steps": lambda v, s: v * (s.t + 1),
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
    **{
        f"is multiplied by min(1, (t + {k})/{{}}), a warm-up,": Fitted(
            fixed(lambda v, s, n, k: v * host().namespace().minimum(1.0, (s.t + k) / n), k)
        )
        for k in (1, 0)
    },
    "is multiplied by {} at each step anew": Fitted(lambda v, s, c: v * c**s.t, SHARES),
    "is multiplied by max(0, 1 - t/{})": Fitted(lambda v, s, n: v * host().namespace().maximum(0.0, 1 - s.t / n)),
    "is divided by 1 + t/{}": Fitted(lambda v, s, n: v / (1 + s.t / n)),
    **{
        f"is multiplied by {{}} from step {k} on": Fitted(fixed(lambda v, s, c, k: v * c if s.t >= k else v, k))
        for k in range(1, 11)
    },
}
#: Of a beta alone.
BETAS: Table = {
    **COUNTS,
    "is b1": lambda _, s: s.b1,
    "is b2": lambda _, s: s.b2,
    "is 1 - it": lambda b, _: 1 - b,
    "is its square": lambda b, _: b * b,
    "is its root": lambda b, _: b**0.5,
    "rises as min(it, (t + 1)/(t + {}))": Fitted(lambda b, s, c: host().namespace().minimum(b, (s.t + 1) / (s.t + c))),
    "rises as min(it, t/(t + {}))": Fitted(lambda b, s, c: host().namespace().minimum(b, s.t / (s.t + c))),
    "rises as min(it, 1 - (t + 1)^-{})": Fitted(
        lambda b, s, p: host().namespace().minimum(b, 1 - (s.t + 1.0) ** -p), POWERS
    ),
    "is corrected for bias as in Adafactor, b (1 - b^t)/(1 - b^(t + 1))": lambda b, s: (
        b * (1 - b**s.t) / (1 - b ** (s.t + 1))
    ),
    "is 0 at the first step": lambda b, s: b * (s.t > 0),
    "is always {}": Fitted(lambda b, _, c: c + 0 * b, SHARES),
}


def _by_beta(words: str, of: Callable[[Any, Any, Any], Any]) -> Table:
    """With a beta of the port, and with one that is fitted."""
    named: Table = {words.format(b): fixed(lambda v, s, b: of(v, s, getattr(s, b)), b) for b in ("b1", "b2")}
    return {**named, words: Fitted(of, SHARES)}


def _average(v: Any, s: Any, beta: Any, corrected: bool = False) -> Any:
    """The running average of an array, from 0."""
    s.memory["average"] = kept = beta * s.memory.get("average", 0 * v) + (1 - beta) * v
    return kept / (1 - beta ** (s.t + 1)) if corrected else kept


#: Of what a mean of squares may be.
_SQUARED: dict[str, Callable[[Any, Any], Any]] = {
    "squares": lambda v, _: v,
    "squared gradients": lambda _, s: s.g,
    "squares of g - m": lambda _, s: s.g - s.m,
}
#: What may be done with its root.
_ROOTED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "is divided by the root": lambda v, _, root: over(v, root),
    "is multiplied by min(1, |c|/root), c the readout and the root that": lambda v, s, root: (
        v * host().namespace().minimum(1.0, over(abs(s.r) + 0 * root, root))
    ),
    "is the readout divided by the root": lambda _, s, root: over(s.r + 0 * root, root),
}


def _rooted(v: Any, s: Any, beta: Any, done: Any, of: Any, corrected: bool) -> Any:
    return done(v, s, _average(of(v, s) ** 2, s, beta, corrected) ** 0.5)


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


def _pulled(v: Any, s: Any, share: Any, k: int) -> Any:
    """At each k-th step only a share of the way since the last such step is kept."""
    if (s.t + 1) % k:
        return v
    slow = s.memory.get("slow", s.first)
    s.memory["slow"] = slow = slow + share * (v - slow)
    return slow


def _sizes(v: Any) -> Any:
    """The length of the whole array, at every entry."""
    return length(v, None) + 0 * v


_FIRST = {"first": "", "0": ", which is 0 before the first"}
#: By what it, or another array, was at the steps before.
MEMORIES: Table = {
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
        }.items()
        for first, said in _FIRST.items()
    },
    **{
        f"has {{}} times its difference to that of the step before added (as in MARS){said}": Fitted(
            fixed(lambda v, s, c, first: v + c * (v - _late(1, first)(v, s)), first)
        )
        for first, said in _FIRST.items()
    },
    **_by_beta("is a running average of it, beta {}", _average),
    **_by_beta("is a running average of it, beta {}, corrected for bias", fixed(_average, True)),
    **{
        f"has {{}} times its slow running average (beta {b:g}) {done}": Fitted(
            fixed(lambda v, s, k, b, sign: v + sign * k * _average(v, s, b), b, sign)
        )
        for b in (0.5, 0.9, 0.95, 0.98, 0.99, 0.999)
        for done, sign in {"added": 1.0, "taken off": -1.0}.items()
    },
    **{
        words: row
        for begin, done in _ROOTED.items()
        for what, of in _SQUARED.items()
        for end, corrected in {"": False, ", corrected for bias": True}.items()
        for words, row in _by_beta(
            f"{begin} of the running mean of its {what} (beta {{}}{end})", fixed(_rooted, done, of, corrected)
        ).items()
    },
    "is divided by the running maximum of its size": lambda v, s: over(v, _extreme(1.0)(v, s)),
    "is divided by the running maximum of its size, which fades by b2": lambda v, s: over(v, _extreme(s.b2)(v, s)),
    "is divided by the running maximum of its length": lambda v, s: over(v, _extreme(1.0)(_sizes(v), s)),
    **_by_beta(
        "is divided by the running average of its length (beta {})",
        lambda v, s, b: over(v + 0 * b, _average(_sizes(v), s, b)),
    ),
    "is divided by the root of the sum of its squares until then (Adagrad)": lambda v, s: over(
        v, _total(2)(v, s) ** 0.5
    ),
    **{
        f"is taken anew only at each {k}th step{words}": _every(k, begin)
        for k in (2, 3, 4, 5, 10)
        for words, begin in {"": 0, " (counted from 1)": 1}.items()
    },
    **{
        f"is at each {k}th step {{}} of the way from that of {k} steps before (Lookahead)": Fitted(
            fixed(_pulled, k), SHARES
        )
        for k in (5, 6, 2, 3, 4, 10)
    },
}
