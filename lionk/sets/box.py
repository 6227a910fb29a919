"""Boxes, and the whole space."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.namespace import Array, Namespace
from ..arrays.value import value_class
from ..errors import NotAvailable
from .base import ArraySet


@value_class
class Whole(ArraySet):
    """Every array. Its support function is 0 at 0 and +inf elsewhere, so it has no linear minimisation oracle."""

    def diameter(self, shape: tuple[int, ...]) -> float:
        return math.inf if math.prod(shape) else 0.0

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        size = reductions.peak(xp, x, batch)
        return xp.where(size > 0, size + math.inf, size)

    def _bounding(self, xp: Namespace, r: Array, batch: int) -> Array:
        return xp.zeros_like(r)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        raise NotAvailable("the whole space is unbounded: a linear function has no maximiser on it")

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        return y

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        return reductions.peak(xp, _xp.only_nan(xp, y), batch)

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        return self._violation(xp, y, batch)


@value_class
class Box(ArraySet):
    """``{ y : lower <= y <= upper }``, entry by entry; the ends are numbers, tuples or arrays that broadcast.

    ``lower=None`` means ``-upper``: then complex entries have a meaning too, the disc. One end may be infinite, for
    domains (exp: ``y >= 0``).
    """

    lower: Any = None
    upper: Any = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.lower, (int, float)) and isinstance(self.upper, (int, float)):
            if not self.lower <= self.upper:
                raise ValueError(f"box needs lower <= upper, got lower={self.lower!r}, upper={self.upper!r}")
            if self.lower == -self.upper:
                object.__setattr__(self, "lower", None)
        if self.lower is None and isinstance(self.upper, (int, float)) and not self.upper >= 0:
            raise ValueError(f"a symmetric box needs upper >= 0, got {self.upper!r}")

    @property
    def symmetric(self) -> bool:
        return self.lower is None

    def diameter(self, shape: tuple[int, ...]) -> float:
        low = _negative(self.upper) if self.lower is None else self.lower
        ends = (low, self.upper)
        if 0 in shape:
            return 0.0
        if all(isinstance(e, (int, float)) for e in ends):
            return (self.upper - low) * math.sqrt(math.prod(shape))
        like = next((e for e in ends if hasattr(e, "shape")), None)
        if like is None:  # tuples of numbers along the last axis
            n = next(len(e) for e in ends if isinstance(e, tuple))
            pairs = zip(*(e if isinstance(e, tuple) else (e,) * n for e in ends), strict=True)
            return math.sqrt(sum((u - v) ** 2 for v, u in pairs) * math.prod(shape) / n)
        xp = _xp.namespace(like)
        width = _xp.parameter(xp, self.upper, like) - _xp.parameter(xp, low, like)
        return float(reductions.norm(xp, xp.broadcast_to(width, shape)))

    def _traits(self) -> dict[str, Any]:
        one = all(e is None or isinstance(e, (int, float)) for e in (self.lower, self.upper))
        zero = True if self.symmetric else self.lower <= 0 <= self.upper if one else None
        return {
            "even": self.symmetric,
            "absolute": self.symmetric,
            "symmetric": one,
            "structure": "elementwise",
            "minimum_at_zero": zero,
        }

    def _spec(self) -> dict[str, Any]:
        if self.symmetric:
            return {"name": "weighted_l1", "weights": self.upper}
        return {"name": "box", "lower": self.lower, "upper": self.upper}

    def _ends(self, xp: Namespace, y: Array) -> tuple[Any, Any]:
        upper = _xp.parameter(xp, self.upper, y, "upper")
        return -upper if self.lower is None else _xp.parameter(xp, self.lower, y, "lower"), upper

    def _polar(self, xp: Namespace, y: Array) -> bool:
        """Complex y: work on the modulus."""
        if not _xp.is_complex(y):
            return False
        if not self.symmetric:
            raise TypeError("complex arrays need a symmetric box (lower = -upper), which is a disc; use a real array")
        return True

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        if not self.symmetric:
            s = self._lmo(xp, x, batch)
            return reductions.inner(xp, xp.where(s == 0, xp.zeros_like(x), x), s, batch)
        r = xp.abs(x)
        if _is_one(self.upper):
            return reductions.total(xp, r, batch)
        w = self._ends(xp, r)[1] + xp.zeros_like(r)
        return reductions.total(xp, w * xp.where(w == 0, _xp.only_nan(xp, r), r), batch)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        if self.symmetric:
            return _xp.sign(xp, c) if _is_one(self.upper) else self._ends(xp, c)[1] * _xp.sign(xp, c)
        self._polar(xp, c)
        low, up = (a + xp.zeros_like(c) for a in self._ends(xp, c))
        least = _xp.clip(xp, xp.zeros_like(c), low, up)
        return xp.where(c > 0, up, xp.where(c < 0, low, xp.where(c == 0, least, c)))

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        low, up = self._ends(xp, y)
        if not self._polar(xp, y):
            if self.lower is None and isinstance(up, (int, float)) and 0 < up < math.inf:  # no sign of a 0 is at stake
                return _xp.between(xp, y, up)
            return _xp.clip(xp, y, low, up)
        r = xp.abs(y)
        outside = r > up
        return xp.where(outside, y * _xp.divide(xp, up + xp.zeros_like(r), xp.where(outside, r, up + 1)), y)

    def _bounding(self, xp: Namespace, r: Array, batch: int) -> Array:
        low, up = self._ends(xp, r)
        if self._polar(xp, r):
            return r if _is_finite(up) else xp.where(xp.isinf(up), xp.zeros_like(r), r)
        for end, least, most in ((low, 0.0, None), (up, None, 0.0)):
            if not _is_finite(end):
                r = xp.where(xp.isinf(end + 0 * r), _xp.clip(xp, r, least, most), r)
        return r

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        if self.lower is None and isinstance(self.upper, (int, float)):  # the modulus of the largest entry says it
            return _xp.positive(xp, reductions.peak(xp, y, batch) - self.upper)
        low, up = self._ends(xp, y)
        if self._polar(xp, y):
            y, low = xp.abs(y), 0 * up
        inside = _xp.only_nan(xp, y)
        above = inside if _is_infinite(up) else xp.where(y > up, y - up, inside)
        return reductions.peak(xp, above if _is_infinite(low) else xp.where(y < low, low - y, above), batch)

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        if self.lower is None and isinstance(self.upper, (int, float)):
            return self.upper or 1.0
        ends = [e for e in self._ends(xp, y) if not _is_infinite(e)]
        sizes = [abs(e) if isinstance(e, (int, float)) else reductions.peak(xp, e, 0) for e in ends]
        if all(isinstance(s, (int, float)) for s in sizes):
            return max(sizes) or 1.0
        return sum(sizes)

    def _face_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        if self._polar(xp, x):
            zero = x == 0
            nearest = xp.where(zero, self._project(xp, s, batch), self._lmo(xp, x, batch))
            return reductions.norm(xp, s - nearest, batch)
        low, up = (a + xp.zeros_like(x) for a in self._ends(xp, x))
        return reductions.norm(xp, s - _xp.clip(xp, s, xp.where(x > 0, up, low), xp.where(x < 0, low, up)), batch)


def _is_infinite(v: Any) -> bool:
    return isinstance(v, (int, float)) and math.isinf(v)


def _is_finite(v: Any) -> bool:
    return isinstance(v, (int, float)) and math.isfinite(v)


def _is_one(v: Any) -> bool:
    return isinstance(v, (int, float)) and v == 1


def _negative(v: Any) -> Any:
    return tuple(-p for p in v) if isinstance(v, tuple) else -v
