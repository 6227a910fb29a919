"""What may be done to an array that should be left as it is: to its entries, and to their places.

Each operation is a verb phrase and a function of the array and of the step; which array it is done to is another matter
(``changes``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..specification.cases import host
from ..specification.script import rounded

#: Of an array, and of the step (``places.Now``).
Operation = Callable[[Any, Any], Any]
SIZES = tuple(10.0 ** (i / 8) for i in range(-96, 57))
SHARES = tuple(1 - 10.0 ** (-i / 12) for i in range(1, 72))
POWERS = tuple(i / 16 for i in range(1, 65))


@dataclass(frozen=True)
class Fitted:
    """An operation with a number, {} in its words, which is fitted; it is taken with many of them at once, along an
    axis before those of the array. ``among``: between which it is looked for.
    """

    of: Callable[..., Any]
    among: tuple[float, ...] = SIZES

    def at(self, number: Any) -> Operation:
        return lambda v, s: self.of(v, s, number)


Table = dict[str, Operation | Fitted]
#: The others of a step, which may stand beside an array or in its place.
ARRAYS: dict[str, Operation] = {
    "the gradient": lambda _, s: s.g,
    "the momentum": lambda _, s: s.m,
    "the momentum from after the step": lambda _, s: s.later,
    "the readout": lambda _, s: s.r,
    "x": lambda _, s: s.x,
}


def fixed(of: Callable[..., Any], *constants: Any) -> Callable[..., Any]:
    """The function with its last arguments given."""
    return lambda *given: of(*given, *constants)


def over(a: Any, b: Any) -> Any:
    """a/b; a, where b is 0."""
    xp = host().namespace()
    return a / xp.where(b == 0, 1.0, b)


def sign(a: Any) -> Any:
    return host().namespace().sign(a)


def where(condition: Any, a: Any, b: Any = 0.0) -> Any:
    return host().namespace().where(condition, a, b)


def _narrow(dtype: str) -> Operation:
    if dtype == "bfloat16":
        return lambda v, _: host().asarray([rounded(float(e), dtype) for e in v.reshape(-1)]).reshape(v.shape)
    return lambda v, _: host().asarray(host().asarray(v, dtype=dtype), dtype="float64")


def bounded(v: Any, level: Any) -> Any:
    return host().namespace().clip(v, -level, level)


#: Entry by entry.
ENTRIES: Table = {
    "is taken as it is": lambda v, _: v,
    "is left out": lambda v, _: 0 * v,
    "is turned: its sign is wrong": lambda v, _: -v,
    "is replaced by its sign": lambda v, _: sign(v),
    **{
        f"is raised to the power {p:g}, its sign kept": fixed(lambda v, _, p: sign(v) * abs(v) ** p, p)
        for p in (0.5, 1.5, 2.0, 3.0)  # these are said before what does the same in other words
    },
    "is replaced by sign(v) log(1 + |v|)": lambda v, _: sign(v) * host().namespace().log1p(abs(v)),
    "is replaced by its asinh": lambda v, _: host().namespace().asinh(v),
    "is replaced by its arctan": lambda v, _: host().namespace().atan(v),
    "is replaced by its tanh": lambda v, _: host().namespace().tanh(v),
    "is replaced by v/(1 + |v|)": lambda v, _: v / (1 + abs(v)),
    "is taken for above 0 where it is 0": lambda v, _: where(v == 0, 1e-300, v),
    "is taken for below 0 where it is 0": lambda v, _: where(v == 0, -1e-300, v),
    "is replaced by its size": lambda v, _: abs(v),
    "is replaced by its square": lambda v, _: v * v,
    "has what is below 0 set to 0": lambda v, _: where(v > 0, v),
    **{f"is rounded to {d}": _narrow(d) for d in ("float32", "bfloat16", "float16")},
    "is rounded to a power of two": lambda v, _: (
        sign(v) * where(v != 0, 2.0 ** host().namespace().round(host().namespace().log2(where(v != 0, abs(v), 1.0))))
    ),
    "is cut to [-{0}, {0}], entry by entry": Fitted(lambda v, _, c: bounded(v, c)),
    "is taken for 0 in entries below {}": Fitted(lambda v, _, c: where(abs(v) >= c, v)),
    "is taken for 0 in entries above {}": Fitted(lambda v, _, c: where(abs(v) <= c, v)),
    "is shrunk towards 0 by {}": Fitted(lambda v, _, c: v - bounded(v, c)),
    "is raised to the power {}, its sign kept": Fitted(lambda v, _, p: sign(v) * abs(v) ** p, POWERS),
    "is replaced by its tanh, multiplied by {} before,": Fitted(lambda v, _, c: host().namespace().tanh(c * v)),
    "is replaced by v/({} + |v|)": Fitted(lambda v, _, c: v / (c + abs(v))),
    "is replaced by v/sqrt({}^2 + v^2)": Fitted(lambda v, _, c: v / (c * c + v * v) ** 0.5),
    **{
        f"is rounded to multiples of {c:g}": fixed(lambda v, _, c: c * (v / c).round(), c)
        for c in (1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-6, 1e-8)
    },
    "has {} added": Fitted(lambda v, _, c: v + c),
    "has {} taken off": Fitted(lambda v, _, c: v - c),
}


def _beside(v: Any, weights: tuple[float, float, float], edge: str) -> Any:
    """Weighted with the entries beside it, on the last axis."""
    if not v.ndim or v.shape[-1] < 3:
        return v
    xp, (a, b, c) = host().namespace(), weights
    left, right = xp.roll(v, 1, axis=-1), xp.roll(v, -1, axis=-1)
    if edge != "round":
        left[..., 0], right[..., -1] = (0.0, 0.0) if edge == "zero" else (v[..., 0], v[..., -1])
    mean = a * left + b * v + c * right
    if edge == "kept":
        mean[..., 0], mean[..., -1] = v[..., 0], v[..., -1]
    return mean


#: Entries that come to stand at, or are mixed with, others.
PLACED: Table = {
    **{
        f"is smoothed over neighbours, by {words}{said}": fixed(lambda v, _, w, e: _beside(v, w, e), w, e)
        for words, w in {
            "(1, 2, 1)/4": (0.25, 0.5, 0.25),
            "(1, 1, 1)/3": (1 / 3, 1 / 3, 1 / 3),
            "(1, 1, 0)/2": (0.5, 0.5, 0.0),
            "(0, 1, 1)/2": (0.0, 0.5, 0.5),
        }.items()
        for e, said in {
            "kept": "",
            "edge": " (at the ends the last entry twice)",
            "round": " (the ends are neighbours)",
            "zero": " (with 0 beyond the ends)",
        }.items()
    },
    "has the neighbour before it taken off": lambda v, _: _beside(v, (-1.0, 1.0, 0.0), "zero"),
    "is read from the last entry to the first": lambda v, _: v.reshape(-1)[::-1].reshape(v.shape),
    "is one entry late": lambda v, _: host().namespace().roll(v, 1),
    "is one entry early": lambda v, _: host().namespace().roll(v, -1),
    "is transposed": lambda v, _: v.T if v.ndim == 2 and v.shape[0] == v.shape[1] else v,
    "is read in the other order of its axes": lambda v, _: v.T.reshape(v.shape),
    "is made symmetric": lambda v, _: (v + v.T) / 2 if v.ndim == 2 and v.shape[0] == v.shape[1] else v,
    "is its cumulative sum": lambda v, _: v.reshape(-1).cumsum().reshape(v.shape),
    "is sorted": lambda v, _: host().namespace().sort(v.reshape(-1)).reshape(v.shape),
    "is its first entry, for all": lambda v, _: 0 * v + v.reshape(-1)[0] if v.size else v,
}
