"""The symmetric log-sum-exp, a smooth max |x_i|, and its conjugate, an entropy on the l1 ball."""

from __future__ import annotations

import math
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays import roots as _roots
from ...arrays.namespace import Array, Namespace
from ...arrays.value import replace, value_class
from ...sets.base import ConvexSet
from ...sets.box import Whole
from ...sets.top_k import TopK
from ..array_function import ArrayFunction, outside_is_infinite
from ..base import ConvexFunction, Traits
from .formulas import _xlogx

_TRAITS = Traits(smooth=True, bounded_domain=True, structure="reduce")


@value_class
class SmoothMax(ArrayFunction):
    """``log sum 2 cosh(x_i)``: log-sum-exp of x and -x together. -inf on the empty array.

    Gradient ``sinh(x_i)/sum cosh(x_j)``. For complex x, of the absolute values.
    """

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        if _xp.event_size(x, batch) == 0:
            return reductions.total(xp, xp.abs(x), batch) - math.inf
        top, _, total = self._parts(xp, x, batch)
        return xp.log(total) + top

    def _parts(self, xp: Namespace, x: Array, batch: int) -> tuple[Array, Array, Array]:
        """``max |x|``, and ``2 sinh |x|`` and the sum of ``2 cosh |x|``, both over ``exp(max |x|)``."""
        r = xp.abs(x)
        top = reductions.peak(xp, r, batch)
        top = xp.where(xp.isinf(top), xp.zeros_like(top), top)
        large, small = xp.exp(r - _xp.spread(xp, top, r)), xp.exp(-r - _xp.spread(xp, top, r))
        return top, -large * xp.expm1(-2 * r), reductions.total(xp, large + small, batch)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        if _xp.event_size(x, batch) == 0:
            return x
        _, sinh, total = self._parts(xp, x, batch)
        return _xp.sign(xp, x) * (sinh / _xp.spread(xp, total, sinh))

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        return self._by_conjugate(xp, x, t, batch)

    def _dual(self) -> ConvexFunction:
        return SymmetricEntropy(conjugate=self)

    def _domain(self) -> ConvexSet:
        return Whole()

    def _traits(self) -> Traits:
        return _TRAITS

    def _spec(self) -> dict[str, Any]:
        return {"name": "smooth_linf"}


@value_class
class SymmetricEntropy(ArrayFunction):
    """``min { sum p log p + q log q : p - q = y, sum p + q = 1 }`` for ``|y|_1 <= 1``, ``+inf`` outside.

    There ``p q = r^2`` in every entry, ``p + q = sqrt(y^2 + 4 r^2)``, with r the root of ``sum sqrt(y^2 + 4 r^2) = 1``;
    gradient ``asinh(y/(2 r))``, infinite on the boundary, where r = 0. Derived here; a few ulp.
    """

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        violation = self.domain._violation(xp, x, batch)
        if _xp.event_size(x, batch) == 0:
            return violation + math.inf
        y = xp.abs(self.domain._project(xp, _xp.finite(xp, x), batch))
        r = _xp.spread(xp, self._root(xp, y, batch), y)
        p = (xp.hypot(y, 2 * r) + y) / 2
        inside = reductions.total(xp, _xlogx(xp, p) + _xlogx(xp, _xp.divide(xp, r, p) * r), batch)
        return outside_is_infinite(xp, inside, violation, tol)

    def _root(self, xp: Namespace, y: Array, batch: int) -> Array:
        n = _xp.event_size(y, batch)
        high = xp.ones_like(reductions.total(xp, y, batch)) / (2 * n)
        low = _xp.clip(
            xp, high - reductions.total(xp, y, batch) / (2 * n), 0.0, None
        )  # because sqrt(y^2 + 4r^2) <= |y| + 2r
        return _roots.root(
            xp, lambda r: reductions.total(xp, xp.hypot(y, 2 * _xp.spread(xp, r, y)), batch) - 1, low, high
        )

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        if _xp.event_size(x, batch) == 0:
            return x
        y = xp.abs(x)
        inside = _xp.spread(xp, reductions.total(xp, y, batch) < 1, y)
        r = _xp.spread(xp, self._root(xp, xp.where(inside, y, 0 * y), batch), y)
        steep = xp.where(y > 0, math.inf * xp.ones_like(y), y)
        return _xp.sign(xp, x) * xp.where(inside, xp.asinh(y / (2 * r)), steep)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        """``z + t asinh(z/(2r)) = |x|`` with r such that ``sum sqrt(z^2 + 4r^2) = 1``: bisection over log r.

        Inside, Newton from the right for g = log p: ``e^g - r^2 e^-g + t g = t log r + |x|``, convex for p >= r. Far
        out log r is close to -max |x|/t, and is found relative to it, so that no digits are lost at large x; near the
        ball it is moderate, and what is to be found itself. Accuracy: a few ulp of max(1, |x|). Derived here.
        """
        if _xp.event_size(x, batch) == 0:
            return x
        c = xp.abs(x)
        top = reductions.peak(xp, c, batch)
        one = _xp.beside(xp, t, top)  # beside numbers of the event
        size = reductions.total(xp, c, batch)
        base = xp.where(size > 2, top, xp.zeros_like(top))
        below = c - _xp.spread(xp, base, c)
        log_n = math.log(2 * _xp.event_size(x, batch))

        last: Array | None = None

        def halves(shift: Array) -> tuple[Array, Array]:
            """p and q for ``log r = shift - base/t``."""
            nonlocal last
            log_r = _xp.spread(xp, shift - base / one, c)
            right = below + t * _xp.spread(xp, shift, c)

            def step(g: Array) -> Array:
                p, q = xp.exp(g), xp.exp(2 * log_r - g)
                return g - (p - q + (t * g - right)) / (p + q + t)

            g = xp.minimum(right / t, xp.log(c + xp.exp(log_r)))
            if last is not None:  # from where the last r led, a step ends on the right
                g = xp.minimum(g, step(xp.maximum(last, log_r)))
            g = xp.maximum(g, log_r)
            g = _roots.repeated(xp, lambda g: xp.maximum(xp.minimum(g, step(g)), log_r), g, 24, unit=4.0)
            last = g if _xp.visible(g) else None
            return xp.exp(g), xp.exp(2 * log_r - g)

        room = xp.where(size < 1, 1 - size, xp.ones_like(size))  # 1 <= |x|_1 + 2 n r
        low = xp.where(size < 1, xp.maximum(-top, one * xp.log(room)), base - top) / one - log_n
        high = xp.maximum(xp.minimum((1 - top + base) / one, base / one - log_n), low)
        p, q = halves(_roots.root(xp, lambda s: xp.log(reductions.total(xp, sum(halves(s)), batch)), low, high))
        size = _xp.spread(xp, reductions.total(xp, p + q, batch), p)
        return _xp.sign(xp, x) * ((p - q) / size)

    def _dual(self) -> ConvexFunction:
        return SmoothMax(conjugate=self)

    def _domain(self) -> ConvexSet:
        return TopK(1)

    def _traits(self) -> Traits:
        return replace(_TRAITS, bounded_domain=False)

    def _spec(self) -> dict[str, Any]:
        return {"name": "conjugate", "K": self.conjugate._spec()}
