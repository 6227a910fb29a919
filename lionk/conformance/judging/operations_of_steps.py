"""What other arrays and numbers of a step may do to one: masks, what is added, factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..specification.cases import host
from .operations import ARRAYS, Fitted, Operation, Table, bounded, fixed, over, sign, where


def _masked(keeps: Callable[[Any, Any], Any]) -> dict[str, Operation]:
    def share(v: Any, s: Any) -> Any:
        return host().namespace().mean(1.0 * keeps(v, s)) if v.size else 1.0

    return {
        "is kept only": lambda v, s: where(keeps(v, s), v),
        "is divided by the share of such entries and kept only": lambda v, s: over(where(keeps(v, s), v), share(v, s)),
        "is multiplied by n/(k + 1) and kept only": lambda v, s: (
            where(keeps(v, s), v) * (v.size / (share(v, s) * v.size + 1))
        ),
        "is halved except": lambda v, s: where(keeps(v, s), v, v / 2),
        "is turned except": lambda v, s: where(keeps(v, s), v, -v),
    }


#: Where it is kept.
MASKS: dict[str, Callable[[Any, Any], Any]] = {
    **{
        f"where it has {words} {name}": fixed(lambda v, s, of, holds: holds(v * of(v, s)), of, holds)
        for name, of in {**ARRAYS, "the one of the step before": lambda v, s: s.last(v)}.items()
        for words, holds in {
            "the sign of": lambda p: p > 0,
            "not the sign opposite to": lambda p: p >= 0,
            "the sign opposite to": lambda p: p < 0,
            "not the sign of": lambda p: p <= 0,
        }.items()
    },
    "where gradient and momentum have one sign": lambda _, s: s.g * s.m > 0,
    "where the gradient and the momentum from after the step have one sign": lambda _, s: s.g * s.later > 0,
    "where gradient and momentum have not opposite signs": lambda _, s: s.g * s.m >= 0,
    "where the gradient has not the sign opposite to the one before": lambda _, s: s.g * s.last(s.g, "g") >= 0,
    "where the gradient has the sign of the one before": lambda _, s: s.g * s.last(s.g, "g") > 0,
    "where the gradient is not 0": lambda _, s: s.g != 0,
    "where x is not 0": lambda _, s: s.x != 0,
    "where x is above 0": lambda _, s: s.x > 0,
    "where x is at most 0": lambda _, s: s.x <= 0,
    "where the gradient is above 0": lambda _, s: s.g > 0,
    "where the gradient is at most 0": lambda _, s: s.g <= 0,
    "where |g| is above |m|": lambda _, s: abs(s.g) > abs(s.m),
    "where |g| is at most |m|": lambda _, s: abs(s.g) <= abs(s.m),
    "where |x| is at most 1": lambda _, s: abs(s.x) <= 1,
    "where |x| is above 1": lambda _, s: abs(s.x) > 1,
    "in the larger half of the readouts": lambda v, s: (
        abs(s.r) >= host().namespace().sort(abs(s.r).reshape(-1))[v.size // 2] if v.size else s.r == s.r
    ),
    "at even counts of steps": lambda v, s: (s.t % 2 == 0) & (v == v),
    "at odd counts of steps": lambda v, s: (s.t % 2 == 1) & (v == v),
    "at the first step": lambda v, s: (s.t == 0) & (v == v),
    "after the first step": lambda v, s: (s.t > 0) & (v == v),
}

#: What may stand in place of a decay, or beside it.
WITH_X: Table = {
    "has wd x added": lambda v, s: v + s.wd * s.x,
    "has wd x taken off": lambda v, s: v - s.wd * s.x,
    "has lr wd x added": lambda v, s: v + s.lr * s.wd * s.x,
    "has wd sign(x) added": lambda v, s: v + s.wd * sign(s.x),
}
#: By other arrays and numbers of the step.
BESIDES: Table = {
    **WITH_X,
    "is multiplied by the learning rate": lambda v, s: v * s.lr,
    "is divided by the learning rate": lambda v, s: v / s.lr,
    **{f"{words} {kept}": f for kept, of in MASKS.items() for words, f in _masked(of).items()},
    **{f"is replaced by {name}": fixed(lambda v, s, of: of(v, s) + 0 * v, of) for name, of in ARRAYS.items()},
    "is multiplied by |x|": lambda v, s: v * abs(s.x),
    "is multiplied by 1 + |x|": lambda v, s: v * (1 + abs(s.x)),
    "is divided by |x|": lambda v, s: over(v, abs(s.x)),
    "is multiplied by |g|": lambda v, s: v * abs(s.g),
    "is multiplied by |m|": lambda v, s: v * abs(s.m),
    "is multiplied by the size of the readout": lambda v, s: v * abs(s.r),
    "is half of it and half of the gradient": lambda v, s: (v + s.g) / 2,
    "is set to 0 where it has changed its sign against x": lambda v, s: where(v * s.x < 0, 0.0, v),
    "is x from before where it has changed its sign against x": lambda v, s: where(v * s.x < 0, s.x, v),
    "is cut to the constraint, [-1/wd, 1/wd]": lambda v, s: bounded(v, 1 / s.wd) if s.wd else v,
    "is divided by sqrt(1 + lr^2)": lambda v, s: v / (1 + s.lr**2) ** 0.5,
    "is measured from where x began": lambda v, s: v - s.first,
}

#: What may stand in place of an x that decays.
REPLACED: Table = {
    f"is replaced by {{}} times {name}": Fitted(fixed(lambda v, s, c, of: c * of(v, s) + 0 * v, of))
    for name, of in ARRAYS.items()
}

#: By numbers, which in an average are weights.
SCALES: Table = {
    "is multiplied by sqrt(n), n the number of entries": lambda v, _: v * v.size**0.5,
    "is divided by sqrt(n), n the number of entries": lambda v, _: v / max(v.size, 1) ** 0.5,
    "is divided by n, the number of entries": lambda v, _: v / max(v.size, 1),
    "is multiplied by b1": lambda v, s: v * s.b1,
    "is multiplied by b2": lambda v, s: v * s.b2,
    "is multiplied by 1 - b1": lambda v, s: v * (1 - s.b1),
    "is multiplied by 1 - b2": lambda v, s: v * (1 - s.b2),
    "is divided by 1 - b1": lambda v, s: v / (1 - s.b1),
    "is divided by 1 - b2": lambda v, s: v / (1 - s.b2),
    "is multiplied by 1 - wd": lambda v, s: v * (1 - s.wd),
    "is multiplied by 1 + wd": lambda v, s: v * (1 + s.wd),
    "is multiplied by 1 - lr wd, as by a decay after the step,": lambda v, s: v * (1 - s.lr * s.wd),
    "has the gradient added": lambda v, s: v + s.g,
    "has the momentum added": lambda v, s: v + s.m,
    "is multiplied by {}": Fitted(lambda v, _, c: c * v),
}
