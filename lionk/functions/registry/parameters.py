"""What the parameters of convex functions may be: numbers, lists and arrays, checked alike."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from ...arrays import namespace as _xp


def positive(name: str, v: Any) -> float:
    if isinstance(v, bool) or not isinstance(v, (int, float)) or not 0 < v <= sys.float_info.max:
        raise ValueError(f"{name} must be a finite number > 0, got {v!r}")
    return float(v)


def nonnegative(name: str, v: Any) -> float:
    if isinstance(v, bool) or not isinstance(v, (int, float)) or not 0 <= v <= sys.float_info.max:
        raise ValueError(f"{name} must be a finite number >= 0, got {v!r}")
    return float(v)


def numbers_of(name: str, v: Any) -> tuple[float, ...]:
    """A list of numbers as floats. TypeError if it holds something else."""
    if not all(isinstance(p, (int, float)) or getattr(p, "shape", None) == () for p in v):
        raise TypeError(f"{name} must be a number, an array, or a list of numbers, got {v!r}")
    return tuple(map(float, v))


def entries(name: str, v: Any, least: float = -math.inf) -> Any:
    """A number, an array, or a sequence of numbers along the last axis; all finite and at least ``least``."""
    if isinstance(v, (list, tuple)):
        v = numbers_of(name, v)
    elif isinstance(v, (int, float)) and not isinstance(v, bool):
        v = float(v)
    elif not hasattr(v, "shape"):
        raise TypeError(f"{name} must be a number, an array, or a list of numbers, got {type(v).__name__}")
    if not _all(v, lambda p: (p > -math.inf) & (p < math.inf)):
        raise ValueError(f"{name} must be finite, got {v!r}: the support function of an unbounded set is infinite")
    if not _all(v, lambda p: p >= least):
        raise ValueError(f"{name} must be >= {least:g}, got {v!r}")
    return v


def _all(v: Any, test: Callable[[Any], Any]) -> bool:
    """Does every entry of a number, a tuple or an array pass? One that a compiler traces has no value yet, and does."""
    if not hasattr(v, "shape"):
        return all(map(test, v if isinstance(v, tuple) else (v,)))
    xp = _xp.namespace(v)
    try:
        return bool(xp.all(test(v)))
    except TypeError:
        return True


def descending(v: Any, absolute: bool) -> Any:
    """Weights of sorted entries."""
    if v is None:
        return None
    w = entries("weights", v, least=0 if absolute else -math.inf)
    if isinstance(w, float) or getattr(w, "ndim", 1) != 1:
        raise TypeError(f"weights must be one for each entry, a list or an array of one axis, got {v!r}")
    falls = all(a >= b for a, b in pairwise(w)) if isinstance(w, tuple) else _all(w[:-1] - w[1:], lambda p: p >= 0)
    if not falls:
        raise ValueError(f"weights must not increase, got {v!r}")
    return w


def first(v: Any) -> float:
    """The first of some weights; 1 for those of an array that a compiler traces, which has no value yet."""
    try:
        return float(v[0])
    except TypeError:
        return 1.0


def ordered(lower: Any, upper: Any) -> bool:
    """``lower <= upper``, of numbers, tuples and arrays in any mixture."""
    if hasattr(lower, "shape") or hasattr(upper, "shape"):
        like = upper if hasattr(upper, "shape") else lower
        xp = _xp.namespace(like)
        low, high = (_xp.parameter(xp, end, like, "box") for end in (lower, upper))
        return _all(high - low, lambda p: p >= 0)
    if isinstance(lower, tuple) and isinstance(upper, tuple) and len(lower) != len(upper):
        raise ValueError(f"lower and upper must have one entry each, got {len(lower)} and {len(upper)}")
    n = max(len(end) if isinstance(end, tuple) else 1 for end in (lower, upper))
    ends = (end if isinstance(end, tuple) else (end,) * n for end in (lower, upper))
    return all(a <= b for a, b in zip(*ends, strict=True))
