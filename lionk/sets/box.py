"""The sets that everything else is made of: the whole space, boxes and lq balls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import roots as _roots
from ..arrays.namespace import Array, Namespace
from ..errors import NotAvailable
from .base import ArraySet


@dataclass(eq=False, repr=False)
class Whole(ArraySet):
    """Every array. Its support function is 0 at 0 and +inf elsewhere, so it has no linear minimisation oracle."""

    def diameter(self, shape: tuple[int, ...]) -> float:
        return math.inf if math.prod(shape) else 0.0

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        raise NotAvailable("the whole space is unbounded: a linear function has no maximiser on it")

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        return y

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        return reductions.peak(xp, _xp.only_nan(xp, y), batch)

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        return self._violation(xp, y, batch)


@dataclass(eq=False, repr=False)
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
        least = xp.clip(xp.zeros_like(c), low, up)
        return xp.where(c > 0, up, xp.where(c < 0, low, xp.where(c == 0, least, c)))

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        low, up = self._ends(xp, y)
        if not self._polar(xp, y):
            return xp.clip(y, low, up)
        r = xp.abs(y)
        outside = r > up
        return xp.where(outside, y * _xp.divide(xp, up + xp.zeros_like(r), xp.where(outside, r, up + 1)), y)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        if self.lower is None and isinstance(self.upper, (int, float)):  # the modulus of the largest entry says it
            return xp.maximum(reductions.peak(xp, y, batch) - self.upper, 0.0)
        low, up = self._ends(xp, y)
        if self._polar(xp, y):
            y, low = xp.abs(y), 0 * up
        inside = _xp.only_nan(xp, y)
        above = inside if _is_infinite(up) else xp.where(y > up, y - up, inside)
        return reductions.peak(xp, above if _is_infinite(low) else xp.where(y < low, low - y, above), batch)

    def _scale(self, xp: Namespace, y: Array) -> Any:
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
        return reductions.norm(xp, s - xp.clip(s, xp.where(x > 0, up, low), xp.where(x < 0, low, up)), batch)


def _is_infinite(v: Any) -> bool:
    return isinstance(v, (int, float)) and math.isinf(v)


def _is_one(v: Any) -> bool:
    return isinstance(v, (int, float)) and v == 1


def _negative(v: Any) -> Any:
    return tuple(-p for p in v) if isinstance(v, tuple) else -v


@dataclass(eq=False, repr=False)
class Ball(ArraySet):
    """The unit ball ``{ y : |y|_q <= 1 }`` for 1 < q < inf; its support function is the lp norm, 1/p + 1/q = 1."""

    q: float = 2.0

    def __post_init__(self) -> None:
        if not 1 < self.q < math.inf:
            raise ValueError(f"Ball needs 1 < q < inf, got q={self.q!r}; use TopK(1) for q = 1 and Box() for q = inf")

    @property
    def p(self) -> float:
        return self.q / (self.q - 1)

    def diameter(self, shape: tuple[int, ...]) -> float:
        n = math.prod(shape)
        return 2.0 * n ** max(0.0, 0.5 - 1 / self.q) if n else 0.0

    def _traits(self) -> dict[str, Any]:
        return {"structure": "reduce"}

    def _spec(self) -> dict[str, Any]:
        return {"name": "lp", "p": self.p}

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        return lp_norm(xp, x, self.p, batch)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        c = c / _xp.spread(xp, reductions.unit_scale(xp, c, batch), c)
        size = _xp.spread(xp, _length(xp, c, self.p, batch), c)
        if self.p == 2:
            return _xp.divide(xp, c, size)
        return _xp.sign(xp, c) * _xp.divide(xp, xp.abs(c), size) ** (self.p - 1)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        size = lp_norm(xp, y, self.q, batch)
        near = (
            y / _xp.spread(xp, xp.where(size > 1, size, 1 + 0 * size), y) if self.q == 2 else self._shrink(xp, y, batch)
        )
        return xp.where(_xp.spread(xp, size <= 1 + reductions.slack(xp, y, batch), y), y, near)

    def _shrink(self, xp: Namespace, y: Array, batch: int) -> Array:
        """Projection of a point outside: ``|z| + m |y|_max |z|^(q-1) = |y|``, with m such that ``|z|_q = 1``.

        Accuracy: a few ulp of max |y|. m <= |y|_p / |y|_max because z^(q-1) <= |y| / (m |y|_max). Derived here.
        """
        scale = _xp.spread(xp, reductions.unit_scale(xp, y, batch), y)
        a = xp.abs(y) / scale

        def magnitude(m: Array) -> Array:
            return _solve_power(xp, a, 1 / scale, _xp.spread(xp, m, y), self.q - 1)

        top = lp_norm(xp, a, self.p, batch)
        z = magnitude(_roots.root(xp, lambda m: 1 - lp_norm(xp, magnitude(m), self.q, batch), xp.zeros_like(top), top))
        return _xp.sign(xp, y) * _xp.divide(xp, z, _xp.spread(xp, lp_norm(xp, z, self.q, batch), y))

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        return xp.clip(lp_norm(xp, y, self.q, batch) - 1, 0.0, None)

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        if self.q == 2:
            return self._violation(xp, y, batch)
        return reductions.norm(xp, y - self._project(xp, y, batch), batch)

    def _face_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        at_zero = reductions.peak(xp, x, batch) == 0
        return xp.where(at_zero, self._distance(xp, s, batch), reductions.norm(xp, s - self._lmo(xp, x, batch), batch))


def _solve_power(xp: Namespace, a: Array, c: Array, m: Array, r: float) -> Array:
    """``z >= 0`` with ``c z + m z^r = a``, for r > 0, c > 0, m >= 0, a in [0, 1]: Newton from the right."""
    positive = m + xp.zeros_like(a) > 0
    m = xp.where(positive, m + xp.zeros_like(a), xp.ones_like(a))
    if r >= 1:  # convex in z
        z = xp.minimum(a / c, (a / m) ** (1 / r))
        z = _roots.repeated(xp, lambda z: (a + m * (r - 1) * z**r) / (c + m * r * z ** (r - 1)), z, 14)
        return xp.where(positive, z, a / c)
    k = 1 / r  # convex in w = z^r
    w = xp.minimum((a / c) ** r, a / m)
    w = _roots.repeated(xp, lambda w: (a + (k - 1) * c * w**k) / (m + k * c * w ** (k - 1)), w, 14)
    return xp.where(positive, w**k, a / c)


def lp_norm(xp: Namespace, x: Array, p: float, batch: int) -> Array:
    """``(sum |x|^p)^(1/p)``, scaled by the largest entry first."""
    m = reductions.unit_scale(xp, x, batch)
    return m * _length(xp, x / _xp.spread(xp, m, x), p, batch)


def _length(xp: Namespace, x: Array, p: float, batch: int) -> Array:
    """``lp_norm`` where the largest entry is 1 already."""
    return reductions.unit_norm(xp, x, batch) if p == 2 else reductions.total(xp, xp.abs(x) ** p, batch) ** (1 / p)
