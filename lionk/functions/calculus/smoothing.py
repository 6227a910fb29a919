"""Randomised smoothing: the mean of K over a cloud of points about x."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions, resolvents
from ...arrays import roots as _roots
from ...arrays.namespace import Array, Namespace
from ...arrays.value import replace, value_class
from ...errors import NotAvailable
from ...sets.base import ConvexSet
from ...sets.box import Whole
from ..array_function import ArrayFunction, outside_is_infinite
from ..base import ConvexFunction, Traits
from ..registry.parameters import positive
from .block_sum import over_blocks

POINTS = 127  # a prime, so that every entry runs through all quantiles
GENERATOR = 23  # of the lattice, of period 126: small errors for max and l2 of 3 to 10 normal entries
NOISES = ("uniform", "gaussian")


@cache
def _quantiles(noise: str) -> tuple[float, ...]:
    """The middles of ``POINTS`` parts of equal probability: of [-1, 1], or of the standard normal distribution."""
    inverse = NormalDist().inv_cdf if noise == "gaussian" else lambda p: 2 * p - 1
    upper = [inverse((j + 0.5) / POINTS) for j in range(POINTS // 2 + 1, POINTS)]
    return (*(-z for z in reversed(upper)), 0.0, *upper)


def _traits_of(k: Traits) -> Traits:
    separable = k.structure == "elementwise"
    return replace(
        k,
        absolute=False,
        symmetric=k.symmetric and separable,
        homogeneous=False,
        selection="min_norm" if k.smooth else "composed",
        minimum_at_zero=True if k.even else None,
        prox=separable,
    )


@value_class
class Smoothed(ArrayFunction):
    """``E K(x + delta Z)`` with Z replaced by ``POINTS`` fixed points: exactly convex, and the same at every call.

    Each entry of Z takes every quantile of the noise once, so that ``E Z = 0``, in the order of a rank-1 lattice; for
    a K that is a sum over entries one order serves all, and the mean over each entry is a midpoint rule. Selection: the
    mean of the selections. The error for max and l2 of up to ten entries is below 0.02 delta; entries whose places
    differ by 126 share their noise. Duchi, Bartlett, Wainwright 2012, arXiv 1103.4296; the points are derived here.
    """

    inner: ArrayFunction
    delta: float = 1.0
    noise: str = "uniform"

    def _validate(self) -> None:
        positive("delta", self.delta)
        if self.noise not in NOISES:
            raise ValueError(f"noise must be one of {', '.join(map(repr, NOISES))}, got {self.noise!r}")
        if not isinstance(self.inner.domain, Whole):
            raise NotAvailable("smoothed needs a K that is finite everywhere: its mean over a cloud of points")

    @property
    def _separable(self) -> bool:
        return self.inner.traits.structure == "elementwise"

    def _cloud(self, xp: Namespace, x: Array, batch: int) -> Array:
        """The points about x, along a new axis after the batch."""
        if _xp.is_complex(x):
            raise TypeError("smoothed takes real arrays: its noise is real")
        device = _xp.device(x)
        table = xp.asarray(_quantiles(self.noise), dtype=x.dtype, device=device)
        n = 1 if self._separable else _xp.event_size(x, batch)
        steps = xp.asarray([pow(GENERATOR, i, POINTS) for i in range(n)], device=device)
        places = xp.arange(POINTS, device=device)[:, None] - POINTS // 2  # those of opposite points are opposite
        order = (places * steps + POINTS // 2) % POINTS
        z = xp.reshape(xp.take(table, xp.reshape(order, (-1,))), (POINTS, n))
        event = (1,) * (x.ndim - batch) if self._separable else x.shape[batch:]
        return xp.expand_dims(x, axis=batch) + self.delta * xp.reshape(z, (POINTS, *event))

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        return xp.mean(self.inner._value(xp, self._cloud(xp, x, batch), batch + 1, tol), axis=batch)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        s = self.inner._subgradient(xp, self._cloud(xp, x, batch), batch + 1)
        return xp.mean(s / 2 + xp.flip(s, axis=batch) / 2, axis=batch)  # opposite points cancel exactly at 0

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        """Entry by entry, by the root of the slope."""
        if not self._separable:
            return super()._prox(xp, x, t, batch)
        return resolvents.resolvent(xp, lambda z: self._subgradient(xp, z, 0), x, t)

    def _dual(self) -> ConvexFunction:
        return SmoothedConjugate(self.inner, self.delta, self.noise, conjugate=self)

    def _domain(self) -> ConvexSet:
        return Whole()

    def _traits(self) -> Traits:
        return _traits_of(self.inner.traits)

    def _spec(self) -> dict[str, Any]:
        return {"name": "smoothed", "K": self.inner.spec, "delta": self.delta, "noise": self.noise}


@value_class
class SmoothedConjugate(ArrayFunction):
    """``sup_x <x, y> - E K(x + delta Z)`` on dom K*, for a K that is a sum over entries: by the root of the slope.

    The value is an upper end, above K* by a few hundred eps of ``|x y| + |K(x)|`` at the root x, and half of the digits
    next to an end of the domain that the slope reaches slowly. NotAvailable for other K: no closed form is known.
    """

    inner: ArrayFunction
    delta: float = 1.0
    noise: str = "uniform"

    def _ends(self, xp: Namespace, y: Array) -> tuple[Array, Array]:
        """An interval that holds the root."""
        primal: Any = self.conjugate
        if not primal._separable:
            raise NotAvailable(
                "the conjugate of a smoothed K has no known form unless K is a sum over entries; K.moreau(mu) is a "
                "smoothing whose conjugate is exact"
            )
        return _roots.preimage(xp, lambda x: primal._subgradient(xp, x, 0), y)

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        """``E K*(Y) - delta <Z, Y>`` for a Y with ``E Y = y``: K* is the least of these, so this is an upper end.

        Y lies between the subgradients at the points about the two ends.
        """
        violation = self.domain._violation(xp, x, batch)
        y = self.domain._project(xp, _xp.finite(xp, x), batch) * (1 - 4 * _xp.eps(x))
        primal: Any = self.conjugate
        before, after = (self.inner._subgradient(xp, primal._cloud(xp, z, batch), batch + 1) for z in self._ends(xp, y))
        least, most = xp.mean(before, axis=batch), xp.mean(after, axis=batch)
        w = _roots.share(xp, least, most, y)
        there = before + xp.expand_dims(w, axis=batch) * (after - before)
        noise = primal._cloud(xp, xp.zeros_like(y), batch)
        each = self.inner.conjugate._value(xp, there, batch + 1, math.inf) - reductions.inner(
            xp, noise, there, batch + 1
        )
        size = xp.mean(xp.abs(before) + xp.abs(after), axis=batch)
        inside = xp.mean(each, axis=batch) + reductions.peak(xp, _roots.beyond(xp, least, most, y, size), batch)
        return outside_is_infinite(xp, inside, violation, tol * self.domain._scale(xp, x, batch))

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        return _roots.middle(xp, *self._ends(xp, x))

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        return self._by_conjugate(xp, x, t, batch)

    def _dual(self) -> ConvexFunction:
        return Smoothed(self.inner, self.delta, self.noise, conjugate=self)

    def _domain(self) -> ConvexSet:
        return self.inner.conjugate.domain

    def _traits(self) -> Traits:
        mine = _traits_of(self.inner.traits)
        return replace(mine, bounded_domain=False, smooth=False, selection="composed")

    def _spec(self) -> dict[str, Any]:
        return {"name": "conjugate", "K": self.conjugate.spec}


def smoothed(K: Any, delta: float = 1.0, noise: str = "uniform") -> ConvexFunction:
    """``E K(x + delta Z)`` for noise that is "uniform" on [-1, 1] or "gaussian", by fixed points: see ``Smoothed``.

    Uniform noise on l1 gives Huber(delta) + delta/2 for each entry, up to ``delta/POINTS``. The domain of the
    conjugate is that of K*; its value is known where K is a sum over entries.

    >>> import lionk, numpy as np
    >>> K = lionk.functions.smoothed(lionk.K("l1"), 0.5)
    >>> K.subgradient(np.asarray([0.25, -2.0])).round(2)
    array([ 0.5, -1. ])
    """
    return over_blocks(K, lambda k: Smoothed(k, delta, noise))
