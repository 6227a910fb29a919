"""Moreau envelope and ridge, each the conjugate of the other: how a projection becomes a smooth K."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any, ClassVar

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays.far import SHORTER, from_afar
from ...arrays.namespace import Array, Namespace
from ...arrays.value import replace, value_class
from ...errors import NotAvailable
from ...sets.base import ConvexSet
from ...sets.box import Whole
from ..array_function import ArrayFunction
from ..base import ConvexFunction, Traits, inherited
from ..registry.parameters import positive
from .block_sum import over_blocks


@value_class
class Moreau(ArrayFunction):
    """``min_z K(z) + |x - z|^2/(2 mu)``, smooth with constant 1/mu; conjugate ``K* + mu/2 |y|^2`` (Moreau 1965).

    Gradient: ``prox of K*/mu at x/mu``, which for a support function is the projection of ``x/mu``.
    """

    inner: ArrayFunction
    mu: float = 1.0
    _shifted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_shifted", self.inner._cancels)  # asked once: it looks at all parts

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        z = _xp.cut(xp, x)
        y = self._subgradient(xp, z, batch)
        closed = self.inner.traits.homogeneous and not self.inner.conjugate.traits.accuracy
        if closed and _xp.event_size(x, batch):  # K* = 0 on its domain: one projection is enough
            return self._infinite(xp, x, reductions.inner(xp, z - self.mu / 2 * y, y, batch), batch)
        near = self.inner._prox(xp, z, self.mu, batch)
        # at infinity the envelope is infinite where its square or K is, else the limit of K
        grows = xp.isinf(x) & (self.mu * xp.abs(y) > xp.abs(z) / 2)
        y = xp.where(grows, xp.full_like(y, math.inf), y)
        near = xp.where(xp.isinf(x) & ~grows, x, near)
        there = self.inner._value(xp, near, batch, math.inf)
        # a prox that is 0 is found with the rounding of x, and of a short x that may be far more than its envelope
        nothing = reductions.peak(xp, near, batch) <= 8 * _xp.eps(x) * reductions.peak(xp, z, batch)
        if reductions.some(nothing & (there != 0)):  # or envelopes of envelopes double it
            at_zero = self.inner._value(xp, xp.zeros_like(z), batch, math.inf)
            there = xp.where(nothing & (at_zero < there), at_zero, there)
        return there + self.mu / 2 * reductions.inner(xp, y, y, batch)

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        value, s, size = super()._measured(xp, x, batch, tol)
        near = _xp.finite(xp, x) - self.mu * _xp.finite(xp, s)
        with suppress(NotAvailable):  # of a set that is known by its projection only
            size = size + self.inner._measured(xp, near, batch, math.inf)[2]
        return value, s, size + self.mu / 2 * reductions.products(xp, s, s, batch)

    def _infinite(self, xp: Namespace, x: Array, value: Array, batch: int) -> Array:
        """The value at infinite x is infinite where K is, and else the limit that far points have reached already."""
        try:
            above = self.inner._value(xp, x, batch, 0.0)
        except NotAvailable:  # of a set that is known by its projection only
            return value
        return xp.where(xp.isinf(above) & xp.isinf(reductions.peak(xp, x, batch)), above, value)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        s = self.inner.conjugate._prox(xp, x / self.mu, 1 / self.mu, batch)
        if not self._shifted:
            return s
        near = self.inner._prox(xp, x, self.mu, batch)  # where it is short, x - near has not the rounding of a shift
        return xp.where(xp.abs(near) <= xp.abs(x) / 2, (x - near) / self.mu, s)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        k = self.inner.conjugate
        if self._shifted and isinstance(t, float) and t > self.mu:  # t times a shift's rounding may be all
            wide = self.mu + t
            return (t / wide) * self.inner._prox(xp, x, wide, batch) + (self.mu / wide) * x

        def rest(x: Array, a: Any) -> Array:
            wide = self.mu + a * t
            return x - a * t * k._prox(xp, x / wide, 1 / wide, batch)

        if isinstance(t, float) and SHORTER * t <= self.mu:  # not much shorter than x
            return rest(x, 1.0)
        return from_afar(xp, rest, x, lambda: self.conjugate._slope(xp, x / t, batch), batch)

    def _dual(self) -> ConvexFunction:
        return Ridge(self.inner.conjugate, self.mu, conjugate=self)

    def _domain(self) -> ConvexSet:
        return Whole()

    def _traits(self) -> Traits:
        accuracy = max(self.inner.traits.accuracy, self.inner.conjugate.traits.accuracy)  # of the split by its prox
        return replace(self.inner.traits, homogeneous=False, smooth=True, selection="min_norm", accuracy=accuracy)

    def _spec(self) -> dict[str, Any]:
        return {"name": "moreau_envelope", "K": self.inner.spec, "mu": self.mu}


@value_class
class Ridge(ArrayFunction):
    """``K(x) + mu/2 |x|^2``; conjugate: the Moreau envelope of K*, finite everywhere.

    For homogeneous K the least norm is kept: all of dK(x) has the same inner product with x (derived here).
    """

    inner: ArrayFunction
    mu: float = 1.0

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        z = x if isinstance(self.domain, Whole) else self.domain._project(xp, _xp.finite(xp, x), batch)
        return self.inner._value(xp, x, batch, tol) + self.mu / 2 * reductions.inner(xp, z, z, batch)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        return self.inner._subgradient(xp, x, batch) + self.mu * x

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        _, s, size = self.inner._measured(xp, x, batch, tol)
        squares = self.mu * reductions.products(xp, x, x, batch)
        return self._value(xp, x, batch, tol), s + self.mu * x, size + squares

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        shrink = 1 + t * self.mu
        return self.inner._prox(xp, x / shrink, t / shrink, batch)

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        return self.inner._subdifferential_distance(xp, x, s - self.mu * x, batch)

    def _dual(self) -> ConvexFunction:
        k = self.inner.conjugate
        return k._enveloped(self.mu, self) or Moreau(k, self.mu, conjugate=self)

    def _domain(self) -> ConvexSet:
        return self.inner.domain

    def _traits(self) -> Traits:
        inner = self.inner.traits
        keeps = inner.smooth or (inner.homogeneous and inner.selection == "min_norm")
        return replace(
            inner,
            homogeneous=False,
            bounded_domain=False,
            open_domain=False,
            selection="min_norm" if keeps else inherited(inner),
        )

    def _spec(self) -> dict[str, Any]:
        return {"name": "ridge", "K": self.inner.spec, "mu": self.mu}


def moreau_envelope(K: Any, mu: float = 1.0) -> ConvexFunction:
    """``min_z K(z) + |x - z|^2/(2 mu)``, mu > 0: smooth, with gradient ``(x - prox_{mu K}(x))/mu``."""
    mu = positive("mu", mu)
    return over_blocks(K, lambda k: k._enveloped(mu) or Moreau(k, mu))


def ridge(K: Any, mu: float = 1.0) -> ConvexFunction:
    """``K(x) + mu/2 |x|^2``, mu > 0: turns the constraint of K into a penalty on the distance to it."""
    return over_blocks(K, lambda k: Ridge(k, positive("mu", mu)))
