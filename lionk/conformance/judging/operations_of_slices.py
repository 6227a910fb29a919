"""What may be done to a whole array that should be left as it is, or to each of its slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..specification.cases import host
from .operations import ARRAYS, Fitted, Operation, bounded, fixed, over, sign, where

#: Over which axes, counted from the last, in words after the operation.
SLICES: dict[str, Callable[[int], tuple[int, ...] | None]] = {
    "": lambda n: tuple(range(-n, 0)),
    ", row by row": lambda n: (-1,) if n > 1 else None,
    ", column by column": lambda n: (-2,) if n > 1 else None,
    ", slice by slice of the first axis": lambda n: tuple(range(1 - n, 0)) if n > 1 else None,
    ", over the first axis": lambda n: (-n,) if n > 2 else None,
}
Slice = Callable[..., Any]  # of the array, the axes, the step, and the number that is fitted


def sliced(of: Slice | Fitted, axes: Callable[[int], tuple[int, ...] | None]) -> Operation | Fitted:
    def done(v: Any, s: Any, *number: Any) -> Any:
        along = axes(s.x.ndim)
        return v if along is None or not s.x.size else do(v, along, s, *number)

    do = of.of if isinstance(of, Fitted) else of
    return Fitted(done, of.among) if isinstance(of, Fitted) else done


def _sum(v: Any, axes: Any) -> Any:
    return v.sum(axis=axes, keepdims=True)


def _mean(v: Any, axes: Any) -> Any:
    return v.mean(axis=axes, keepdims=True)


def _max(v: Any, axes: Any) -> Any:
    return v.max(axis=axes, keepdims=True)


def length(v: Any, axes: Any) -> Any:
    return _sum(v * v, axes) ** 0.5


def _spread(v: Any, axes: Any) -> Any:
    return _mean((v - _mean(v, axes)) ** 2, axes) ** 0.5


def _median(v: Any, axes: Any) -> Any:
    return host().namespace().median(v, axis=axes, keepdims=True)


def _bits(k: int) -> Slice:
    return lambda v, axes, _: over(v, unit := _max(abs(v), axes) / k).round() * unit


def _share(v: Any, axes: Any, share: float) -> Any:
    """The size above which that share of the entries is."""
    return host().namespace().quantile(abs(v), 1 - share, axis=axes, keepdims=True, method="lower")


def _without(v: Any, along: Any, axes: Any) -> Any:
    return v - along * over(_sum(v * along, axes), _sum(along * along, axes))


def _rms(v: Any, axes: Any) -> Any:
    return _mean(v * v, axes) ** 0.5


#: One number for a slice, and the array whose it may be.
_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "length": length,
    "largest entry": lambda v, axes: _max(abs(v), axes),
    "sum of sizes": lambda v, axes: _sum(abs(v), axes),
    "median size": lambda v, axes: _median(abs(v), axes),
    "standard deviation": _spread,
    "root mean square": _rms,
    "mean size": lambda v, axes: _mean(abs(v), axes),
}
_OWN = {"its {}": lambda v, _: v, **{f"the {{}} of {name}": of for name, of in ARRAYS.items()}}
_FACTORS: dict[str, Callable[[Any, Any], Any]] = {
    "divided by {}": over,
    "multiplied by {}": lambda v, n: v * n,
    "divided by {}, laid along the other axis": lambda v, n: over(v, n.swapaxes(-2, -1)) if n.size > 1 else v,
}


def _factor(v: Any, axes: Any, s: Any, by: Any, number: Any, array: Any) -> Any:
    return by(v, number(array(v, s), axes))


def _cut_to(v: Any, axes: Any, _: Any, c: Any, number: Any) -> Any:
    return bounded(v, c * number(v, axes))


def _without_below(v: Any, axes: Any, _: Any, c: Any, number: Any) -> Any:
    return where(abs(v) >= c * number(v, axes), v)


#: When a whole slice is left out.
_GATES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "its inner product with the gradient is below 0": lambda v, axes, s: _sum(v * s.g, axes) < 0,
    "its inner product with the momentum is below 0": lambda v, axes, s: _sum(v * s.m, axes) < 0,
    "its inner product with x is below 0": lambda v, axes, s: _sum(v * s.x, axes) < 0,
    "that of gradient and momentum is below 0": lambda _, axes, s: _sum(s.g * s.m, axes) < 0,
    "less than half of it has the sign of the gradient": lambda v, axes, s: _mean(1.0 * (v * s.g > 0), axes) < 0.5,
    "less than half of it has the sign of the momentum": lambda v, axes, s: _mean(1.0 * (v * s.m > 0), axes) < 0.5,
    "the gradient is longer than the momentum": lambda _, axes, s: length(s.g, axes) > length(s.m, axes),
    "the gradient is 0": lambda _, axes, s: length(s.g, axes) == 0,
}

#: Of the whole array, or of each slice.
WHOLE: dict[str, Slice | Fitted] = {
    **{
        f"is {done} where {gate}": fixed(lambda v, axes, s, of, times: where(of(v, axes, s), times * v, v), of, times)
        for gate, of in _GATES.items()
        for done, times in {"left out": 0.0, "turned": -1.0, "halved": 0.5}.items()
    },
    "has its mean taken off": lambda v, axes, _: v - _mean(v, axes),
    "has its median taken off": lambda v, axes, _: v - _median(v, axes),
    "has its mean taken off and is divided by its standard deviation": lambda v, axes, _: over(
        v - _mean(v, axes), _spread(v, axes)
    ),
    "is replaced by its mean": lambda v, axes, _: 0 * v + _mean(v, axes),
    "is replaced by the sign of its sum": lambda v, axes, _: 0 * v + sign(_sum(v, axes)),
    "is replaced by the mean of its signs": lambda v, axes, _: 0 * v + _mean(sign(v), axes),
    "is replaced by its sign times the mean of its sizes": lambda v, axes, _: sign(v) * _mean(abs(v), axes),
    "has its part along x taken off": lambda v, axes, s: _without(v, s.x, axes),
    "has its part along the momentum taken off": lambda v, axes, s: _without(v, s.m, axes),
    "has its part along the gradient taken off": lambda v, axes, s: _without(v, s.g, axes),
    "has its part along the one of the step before taken off": lambda v, axes, s: _without(v, s.last(v), axes),
    "is made as long as x (a trust ratio, as of LARS or LAMB)": lambda v, axes, s: (
        over(v, length(v, axes)) * length(s.x, axes)
    ),
    "is made as long as the momentum": lambda v, axes, s: over(v, length(v, axes)) * length(s.m, axes),
    **{
        f"has all but the largest {share:.0%} of its entries taken for 0": fixed(
            lambda v, axes, _, q: where(abs(v) >= _share(v, axes, q), v), share
        )
        for share in (0.5, 0.1, 0.25, 0.75, 0.9, 0.2)
    },
    **{
        f"is {by.format(whose.format(name))}": fixed(_factor, of, number, array)
        for by, of in _FACTORS.items()
        for whose, array in _OWN.items()
        for name, number in _NUMBERS.items()
    },
    **{f"is rounded to 1/{k} of its largest entry": _bits(k) for k in (127, 7, 128, 8, 255, 15)},
    "is clipped to length {}": Fitted(lambda v, axes, _, c: v * _at_most(c, length(v, axes))),
    **{
        f"is made smaller where its {name} is above {{}}": Fitted(
            fixed(lambda v, axes, _, c, n: v * _at_most(c, n(v, axes)), number)
        )
        for name, number in _NUMBERS.items()
    },
    "is clipped to {} of the length of x": Fitted(
        lambda v, axes, s, c: v * _at_most(c * host().namespace().clip(length(s.x, axes), 1e-3), length(v, axes))
    ),
    **{
        f"has its entries cut to {{}} times its {name}": Fitted(fixed(_cut_to, number))
        for name, number in _NUMBERS.items()
    },
    **{
        f"has entries below {{}} of its {name} taken for 0": Fitted(fixed(_without_below, number))
        for name, number in _NUMBERS.items()
    },
    **{
        f"is divided by {{}} plus {whose.format(name)}": Fitted(
            fixed(lambda v, axes, s, c, n, of: v / (c + n(of(v, s), axes)), number, array)
        )
        for whose, array in _OWN.items()
        for name, number in _NUMBERS.items()
    },
}


def _at_most(most: Any, size: Any) -> Any:
    return where(size > most, most / where(size > most, size, 1.0), 1.0)
