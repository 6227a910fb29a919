"""Log-sum-exp and its conjugate, the negative entropy on the simplex."""

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

STEPS = 48  # of Newton's method, at most: it divides a sum that is too large by about e in each

_TRAITS = Traits(
    even=False, absolute=False, smooth=True, bounded_domain=True, structure="reduce", minimum_at_zero=False
)


def _real(xp: Namespace, x: Array) -> None:
    if _xp.is_complex(x):
        raise TypeError("log_sum_exp is not even, so it has no meaning for complex entries; use a real array")


@value_class
class LogSumExp(ArrayFunction):
    """``log sum exp(x_i)``; gradient softmax; conjugate ``sum y log y`` on the simplex. -inf on the empty array."""

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        _real(xp, x)
        if _xp.event_size(x, batch) == 0:
            return reductions.total(xp, x, batch) - math.inf
        top = _finite_max(xp, x, batch)
        return top + xp.log(reductions.total(xp, xp.exp(x - _xp.spread(xp, top, x)), batch))

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        _real(xp, x)
        if _xp.event_size(x, batch) == 0:
            return x
        e = xp.exp(x - _xp.spread(xp, _finite_max(xp, x, batch), x))
        return e / _xp.spread(xp, reductions.total(xp, e, batch), x)

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        """The sum of exponentials is rounded relative to itself: its logarithm by as much, however small it is."""
        value, s, size = super()._measured(xp, x, batch, tol)
        return value, s, 1 + size

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        return self._by_conjugate(xp, x, t, batch)

    def _dual(self) -> ConvexFunction:
        return NegativeEntropy(conjugate=self)

    def _domain(self) -> ConvexSet:
        return Whole()

    def _traits(self) -> Traits:
        return _TRAITS

    def _spec(self) -> dict[str, Any]:
        return {"name": "log_sum_exp"}


def _finite_max(xp: Namespace, x: Array, batch: int) -> Array:
    axes = tuple(range(batch, x.ndim))
    top = xp.max(x, axis=axes) if axes else x
    return xp.where(xp.isinf(top), xp.zeros_like(top), top)


@value_class
class NegativeEntropy(ArrayFunction):
    """``sum y_i log y_i`` on the simplex, ``+inf`` off it; subgradient ``log y + 1`` plus any constant.

    It is -inf at 0, where the subdifferential is empty.
    """

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        _real(xp, x)
        y = self.domain._project(xp, _xp.finite(xp, x), batch)
        inside = reductions.total(xp, _xlogx(xp, y), batch)
        return outside_is_infinite(xp, inside, self.domain._violation(xp, x, batch), tol)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        _real(xp, x)
        positive = x > 0
        log = xp.log(xp.where(positive, x, xp.ones_like(x))) + 1
        return xp.where(positive | xp.isnan(x), log + _xp.only_nan(xp, x), -math.inf * xp.ones_like(x))

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        """``y + t log y = x + nu`` with nu such that y sums to 1: Newton's method for ``q = log y`` and nu together.

        From above: each function is convex and increasing in q, so that the steps go down only; they begin with the nu
        at which ``t log y = x + nu - 1`` sums to 1. Accuracy: a few ulp of max(1, |x|). Derived here.
        """
        if _xp.event_size(x, batch) == 0:
            return x
        z = _xp.flat(xp, x, batch)
        top = xp.max(z, axis=-1, keepdims=True)
        nu = 1 - top - t * xp.log(xp.sum(xp.exp((z - top) / t), axis=-1, keepdims=True))
        q = xp.minimum(xp.log(_xp.clip(xp, z + nu, 1.0, None)), (z + nu) / t)
        for _ in range(STEPS):
            e = xp.exp(q)
            slope, rest = e + t, e + t * q - (z + nu)
            change = 1 - xp.sum(e, axis=-1, keepdims=True) + xp.sum(e * rest / slope, axis=-1, keepdims=True)
            change = change / xp.sum(e / slope, axis=-1, keepdims=True)
            last, q, nu = q, q + (change - rest) / slope, nu + change
            if _roots.settled(xp, last, q, unit=4.0 + (xp.abs(z) + xp.abs(nu)) / slope):  # rounding of z + nu
                break
        y = xp.exp(q)
        return xp.reshape(y / xp.sum(y, axis=-1, keepdims=True), x.shape)

    def _dual(self) -> ConvexFunction:
        return LogSumExp(conjugate=self)

    def _domain(self) -> ConvexSet:
        return TopK(1, absolute=False)

    def _traits(self) -> Traits:
        return replace(_TRAITS, bounded_domain=False, smooth=False, selection="composed")

    def _spec(self) -> dict[str, Any]:
        return {"name": "conjugate", "K": self.conjugate._spec()}
