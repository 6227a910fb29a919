"""One rule for scaling, dilation, tilt and shift, closed under conjugation: the widths and slopes just swap."""

from __future__ import annotations

import math
import sys
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays.namespace import Array, Namespace, visible
from ...arrays.shape_factor import ShapeFactor, at, constant, factor, whole
from ...arrays.value import replace, value_class
from ...errors import NotAvailable
from ...sets import rules as sets
from ...sets.base import ConvexSet
from ...sets.box import Whole
from ..array_function import ArrayFunction
from ..base import ConvexFunction, Traits, inherited, labelled
from ..registry.parameters import numbers_of
from .block_sum import over_blocks


@value_class
class Affine(ArrayFunction):
    """``slope width K((x + shift)/width) + Re<tilt, x>`` (``Re<tilt, x + shift>`` if ``paired``).

    Its conjugate is of the same form over K*, with slope and width exchanged, ``shift' = -tilt`` and
    ``tilt' = -shift`` (derived here; the four textbook rules are Rockafellar 1970, Thm 12.3 and 16.1).
    ``slope width > 0``; each is a number, or a ``ShapeFactor`` of the argument. Shift and tilt are numbers, or arrays
    that broadcast, or None for 0.
    """

    inner: ArrayFunction
    slope: Any = 1.0
    width: Any = 1.0
    shift_by: Any = None
    tilt_by: Any = None
    paired: bool = False

    def _validate(self) -> None:
        slope, width = constant(self.slope), constant(self.width)
        if not (0 < slope * width and math.isfinite(slope) and math.isfinite(width)):
            raise ValueError(f"slope and width need a positive finite product, got {self.slope!r} and {self.width!r}")
        if self.shift_by is None or self.tilt_by is None:
            object.__setattr__(self, "paired", False)  # both forms agree

    def _into(self, xp: Namespace, x: Array, batch: int) -> Array:
        z = x if self.shift_by is None else x + _xp.parameter(xp, self.shift_by, x, "b")
        return z if self.width == 1 else z / at(self.width, x, batch)

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        v = self._factor(x, batch) * self.inner._value(xp, self._into(xp, x, batch), batch, tol)
        return v if self.tilt_by is None else self._raised(xp, v, x, *self._tilted(xp, x, batch), batch)

    def _raised(self, xp: Namespace, v: Array, x: Array, c: Array, y: Array, batch: int) -> Array:
        """``v + Re<c, y>``; where entries of x are infinite, infinite as K is steep that way, or as ``_tends`` says."""
        plain = not isinstance(self.domain, Whole) or _xp.is_complex(x)
        if plain or reductions.none(xp.isinf(x)):
            return v + reductions.inner(xp, c, y, batch)
        way = xp.where(xp.isinf(x), xp.sign(x), xp.zeros_like(x))
        if isinstance(self.conjugate.domain, Whole):
            steep = reductions.peak(xp, way, batch)
        else:
            try:
                steep = self.conjugate.domain._support(xp, way, batch)
            except NotAvailable:
                return v + reductions.inner(xp, c, y, batch)
        far = xp.abs(steep) > 64 * _xp.eps(x)
        end = math.inf * xp.where(steep > 0, xp.ones_like(steep), -xp.ones_like(steep))
        infinite = xp.isinf(reductions.poison(xp, x, batch))
        known, level = far & infinite, infinite & ~far
        y = xp.where(_xp.spread(xp, known, y), _xp.finite(xp, y), y)
        if visible(v) and reductions.some(level):
            other = self._tends(xp, x, batch)
        else:
            other = xp.where(known, xp.zeros_like(v), v) + reductions.inner(xp, c, y, batch)
        return xp.where(known, end, other)

    def _tends(self, xp: Namespace, x: Array, batch: int) -> Array:
        """What K falls to where its infinite entries grow alike, as steep as the tilt: -inf, if it goes on falling.

        Accurate to ``sqrt(eps)`` where the finite entries and the width of K are of size 1 (derived here).
        """

        def there(far: float) -> Array:
            z = xp.where(xp.isinf(x), far * xp.sign(x), x)
            v = self._factor(z, batch) * self.inner._value(xp, self._into(xp, z, batch), batch, math.inf)
            return v + reductions.inner(xp, *self._tilted(xp, z, batch), batch)

        far = 1 / math.sqrt(_xp.eps(x))
        value = there(far)
        return xp.where(value - there(16 * far) > _xp.eps(x) ** 0.25, value - math.inf, value)

    def _factor(self, x: Array, batch: int) -> Any:
        return at(self.slope, x, batch) * at(self.width, x, batch)

    def _tilted(self, xp: Namespace, x: Array, batch: int) -> tuple[Array, Array]:
        """The two sides of the product with the tilt."""
        if not isinstance(self.domain, Whole):
            x = self.domain._project(xp, _xp.finite(xp, x), batch)
        y = x + _xp.parameter(xp, self.shift_by, x, "b") if self.paired else x
        return xp.zeros_like(x) + _xp.parameter(xp, self.tilt_by, x, "c"), y

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        return self._turned(xp, self.inner._subgradient(xp, self._into(xp, x, batch), batch), x, batch)

    def _turned(self, xp: Namespace, s: Array, x: Array, batch: int) -> Array:
        s = s if self.slope == 1 else at(self.slope, x, batch) * s
        return s if self.tilt_by is None else s + _xp.parameter(xp, self.tilt_by, x, "c")

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        z, wide = self._into(xp, x, batch), xp.abs(x)
        v, s, size = self.inner._measured(xp, z, batch, tol)
        if self.shift_by is not None:  # x + b is rounded as x and b are, perhaps to a kink: along x it is steeper
            wide = wide + abs(_xp.parameter(xp, self.shift_by, x, "b"))
            room = 16 * _xp.eps(x) * reductions.peak(xp, wide, batch) / reductions.unit_scale(xp, x, batch)
            steep = self.inner._subgradient(xp, self._into(xp, x + _xp.spread(xp, room, x) * x, batch), batch)
            size = size + reductions.products(xp, wide / at(self.width, x, batch), steep, batch)
        v, s, size = self._factor(x, batch) * v, self._turned(xp, s, x, batch), self._factor(x, batch) * size
        if self.tilt_by is not None:
            c, y = self._tilted(xp, x, batch)
            v = self._raised(xp, v, x, c, y, batch)
            size = size + reductions.products(xp, c, wide if self.paired else y, batch)
            if not reductions.none(xp.isinf(x)):  # of what K tends to no end is known
                size = xp.where(xp.isfinite(v) & xp.isinf(reductions.poison(xp, x, batch)), math.inf + size, size)
        return v, s, size

    @property
    def _cancels(self) -> bool:
        return self.shift_by is not None or self.tilt_by is not None or super()._cancels

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        y = x if self.tilt_by is None else x - t * _xp.parameter(xp, self.tilt_by, x, "c")
        slope, width = at(self.slope, x, batch), at(self.width, x, batch)
        z = self.inner._prox(xp, self._into(xp, y, batch), t * (slope / width), batch)
        z = z if self.width == 1 else width * z
        return z if self.shift_by is None else z - _xp.parameter(xp, self.shift_by, x, "b")

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        s = s if self.tilt_by is None else s - _xp.parameter(xp, self.tilt_by, x, "c")
        slope = at(self.slope, x, batch)
        return abs(slope) * self.inner._subdifferential_distance(xp, self._into(xp, x, batch), s / slope, batch)

    def _dual(self) -> ConvexFunction:
        return Affine(
            self.inner.conjugate,
            slope=self.width,
            width=self.slope,
            shift_by=_negative(self.tilt_by),
            tilt_by=_negative(self.shift_by),
            paired=not self.paired,
            conjugate=self,
        )

    def _domain(self) -> ConvexSet:
        if isinstance(self.inner.domain, Whole):
            return Whole()
        return sets.Affine(self.inner.domain, self.width, _negative(self.shift_by))

    def _traits(self) -> Traits:
        inner = self.inner.traits
        centred = self.shift_by is None and self.tilt_by is None
        same = all(v is None or isinstance(v, (int, float)) for v in (self.shift_by, self.tilt_by))
        return replace(
            inner,
            structure=inner.structure if self._numbers else whole(inner.structure),
            even=inner.even and centred,
            absolute=inner.absolute and centred,
            symmetric=inner.symmetric and same,
            homogeneous=inner.homogeneous and self.shift_by is None,
            selection=inner.selection if self.tilt_by is None else inherited(inner),
            minimum_at_zero=inner.minimum_at_zero if centred else None,
        )

    def _spec(self) -> dict[str, Any]:
        k = self.inner.spec
        slope: Any
        width: Any
        slope, width = (f.spec if isinstance(f, ShapeFactor) else f for f in (self.slope, self.width))
        plain = self.shift_by is None and self.tilt_by is None
        if plain and width == 1:
            return {"name": "scale", "K": k, "a": slope}
        if plain and self._numbers and slope * width == 1:
            return {"name": "dilate", "K": k, "a": slope}
        if slope == width == 1 and self.shift_by is None:
            return {"name": "tilt", "K": k, "c": self.tilt_by}
        if slope == width == 1 and self.tilt_by is None:
            return {"name": "shift", "K": k, "b": self.shift_by}
        rest = {n: getattr(self, n) for n in ("shift_by", "tilt_by", "paired") if getattr(self, n) is not None}
        return {"name": "affine", "K": k, "slope": slope, "width": width, **rest}

    @property
    def plain(self) -> bool:
        """Is it K with a slope and a width that are numbers, neither shifted nor tilted?"""
        return self._numbers and self.shift_by is None and self.tilt_by is None

    @property
    def _numbers(self) -> bool:
        """Are slope and width independent of the shape of x?"""
        return not isinstance(self.slope, ShapeFactor) and not isinstance(self.width, ShapeFactor)


def _negative(v: Any) -> Any:
    if isinstance(v, tuple):
        return tuple(-p for p in v)
    return None if v is None else -v


def _stretch(K: ArrayFunction, slope: Any, width: float) -> ConvexFunction:
    if slope == width == 1:
        return K
    if isinstance(K, Affine) and not isinstance(slope, ShapeFactor):
        # outer (slope, width) over inner: both factors multiply, shift and tilt grow
        shift_by = None if K.shift_by is None else width * _number_or_array(K.shift_by)
        tilt_by = None if K.tilt_by is None else slope * _number_or_array(K.tilt_by)
        return Affine(K.inner, slope * K.slope, width * K.width, shift_by, tilt_by, K.paired)
    return Affine(K, slope, width)


def _rescaled(K: ArrayFunction, rule: str, a: Any, slope: Any, width: float) -> ConvexFunction:
    """Two affine maps become one; what a name was given to keeps it in the spec."""
    made = _stretch(K, slope, width)
    if made is K or K.label is None or not isinstance(K, Affine):
        return made
    return labelled(made, {"name": rule, "K": K.label, "a": getattr(a, "spec", a)})


def _number_or_array(v: Any) -> Any:
    if isinstance(v, tuple):
        raise TypeError("a tuple cannot be rescaled; give the shift or tilt as an array")
    return v


def _number(name: str, a: Any, rule: str) -> float:
    if isinstance(a, bool) or not isinstance(a, (int, float)) or not abs(a) <= sys.float_info.max:
        raise ValueError(f"{rule} needs a finite number for {name}, got {a!r}")
    return float(a)


def _vector(name: str, v: Any) -> Any:
    if isinstance(v, list):
        return numbers_of(name, v)
    if v is None or isinstance(v, (int, float, tuple)) or hasattr(v, "shape"):
        return v
    raise TypeError(f"{name} must be a number, an array, or a list of numbers, got {type(v).__name__}")


def scale(K: Any, a: Any) -> ConvexFunction:
    """``a K(x)``, a > 0. Subgradient ``a dK(x)``; conjugate ``a K*(y/a)``; least norm kept.

    ``a``: a number, or a ``ShapeFactor`` (or its spec, a dict) where the factor depends on the shape of x.

    >>> import lionk, numpy as np
    >>> K = lionk.functions.scale(lionk.K("l1"), {"rows": 0.5, "cols": -0.5})
    >>> print(K.subgradient(np.ones((8, 2))).max())
    2.0
    """
    a = factor("a", a)
    if constant(a) <= 0:
        raise ValueError(f"scale needs a > 0, got a={a!r}; a nonpositive multiple of a convex function is not convex")
    return over_blocks(K, lambda k: _rescaled(k, "scale", a, a, 1.0))


def dilate(K: Any, a: float) -> ConvexFunction:
    """``K(a x)``, a != 0. Subgradient ``a dK(a x)``; conjugate ``K*(y/a)``; least norm kept."""
    if _number("a", a, "dilate") == 0:
        raise ValueError("dilate needs a != 0, got 0")
    return over_blocks(K, lambda k: _rescaled(k, "dilate", float(a), float(a), 1 / float(a)))


def widen(K: Any, delta: float) -> ConvexFunction:
    """``delta K(x/delta)``, delta > 0: the width of the smoothing in x's units; conjugate ``delta K*(y)``."""
    if not 0 < _number("delta", delta, "the width") < math.inf:
        raise ValueError(f"delta must be > 0, got {delta!r}")
    return over_blocks(K, lambda k: _stretch(k, 1.0, float(delta)))


def tilt(K: Any, c: Any) -> ConvexFunction:
    """``K(x) + Re<c, x>``; conjugate ``K*(y - c)``. Selection ``dK(x) + c``, in general not of least norm."""
    return over_blocks(K, lambda k, v: Affine(k, tilt_by=_vector("c", v)), c)


def shift(K: Any, b: Any) -> ConvexFunction:
    """``K(x + b)``; conjugate ``K*(y) - Re<b, y>``; least norm kept."""
    return over_blocks(K, lambda k, v: Affine(k, shift_by=_vector("b", v)), b)


def affine(
    K: ConvexFunction,
    slope: Any = 1.0,
    width: Any = 1.0,
    shift_by: Any = None,
    tilt_by: Any = None,
    paired: bool = False,
) -> ConvexFunction:
    """``slope width K((x + shift_by)/width) + Re<tilt_by, x>``: the general form, which specs of the others share."""
    a, b = factor("slope", slope), factor("width", width)
    return over_blocks(K, lambda k: Affine(k, a, b, _vector("b", shift_by), _vector("c", tilt_by), paired))
