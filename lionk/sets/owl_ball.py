"""The unit balls of the sorted weighted norms: of OWL, and of the sum of the k largest absolute values."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays import roots as _roots
from ..arrays.far import from_afar
from ..arrays.namespace import Array, Namespace
from ..arrays.value import value_class
from .base import ArraySet
from .sorted import Sorted, _non_increasing, _share_ties, _take


@value_class
class OwlBall(ArraySet):
    """``{ y : sum_i w_i |y|_(i) <= 1 }``, the entries in descending order, w non-increasing, w_1 > 0.

    The support function is the dual norm ``max_j (|x|_(1) + ... + |x|_(j)) / (w_1 + ... + w_j)`` (Zeng and Figueiredo
    2014, 1409.4271). ``weights`` None: ``(n, n-1, ..., 1)/n``; ``k`` given: k ones, then zeros, of which the support is
    ``max(|x|_inf, |x|_1/k)``. The oracle takes the largest j, which takes all or none of
    a run of ties.
    """

    weights: Any = None
    k: int | None = None

    @property
    def _norm(self) -> Sorted:
        """The set whose support function is the norm of this ball."""
        return Sorted(self.weights)

    def diameter(self, shape: tuple[int, ...]) -> float:
        n = math.prod(shape)
        if not n:
            return 0.0
        if self.k is not None:
            return 2 * max(1.0, math.sqrt(n) / self.k)
        w = [(n - i) / n for i in range(n)] if self.weights is None else [float(v) for v in self.weights]
        return 2 * max(math.sqrt(j) / sum(w[:j]) for j in range(1, n + 1))

    def _traits(self) -> dict[str, Any]:
        return {"structure": "order", "selection": "composed"}

    def _spec(self) -> dict[str, Any]:
        if self.k is not None:
            return {"name": "k_norm", "k": self.k}
        return {"name": "dual_owl", "weights": self.weights}

    def _weights(self, xp: Namespace, x: Array, n: int) -> Array:
        if self.k is None:
            return self._norm._weights(xp, x, n)
        if self.k > n:
            raise ValueError(f"k = {self.k} is larger than the number of entries, {n}; choose 1 <= k <= {n}")
        return xp.astype(xp.arange(n, device=_xp.device(x)) < self.k, _xp.real_dtype(x))

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        r = _xp.flat(xp, xp.abs(x), batch)
        return xp.max(self._ratios(xp, r), axis=-1) if r.shape[-1] else reductions.total(xp, xp.abs(x), batch)

    def _ratios(self, xp: Namespace, r: Array) -> Array:
        """The quotients of which the norm is the largest, for ``r = |x|`` in any order."""
        w = self._weights(xp, r, r.shape[-1])
        return xp.cumulative_sum(xp.sort(r, axis=-1, descending=True), axis=-1) / xp.cumulative_sum(w)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        r = _xp.flat(xp, xp.abs(c), batch)
        n = r.shape[-1]
        if n == 0:
            return c
        ratios, places = self._ratios(xp, r), xp.arange(n, device=_xp.device(c))
        last = xp.max(xp.where(ratios >= xp.max(ratios, axis=-1, keepdims=True), places, 0), axis=-1, keepdims=True)
        level = _take(xp, xp.sort(r, axis=-1, descending=True), last)
        count = xp.sum(xp.astype(r >= level, places.dtype), axis=-1, keepdims=True)  # to the end of a run of ties
        sums = xp.cumulative_sum(self._weights(xp, r, n))
        size = 1 / xp.reshape(xp.take(sums, xp.reshape(_xp.clip(xp, count - 1, 0, None), (-1,))), last.shape)
        picked = xp.where(r >= level, size + xp.zeros_like(r), xp.zeros_like(r))
        return _xp.sign(xp, c) * xp.reshape(picked, c.shape)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        """``max(fit(|y| - t w), 0)`` on the sorted entries, fit the nearest non-increasing one, t such that its norm
        is 1: the prox of t times the norm (Zeng and Figueiredo 2014).

        The norm is convex and piecewise linear in t: its slope is minus the sum of w times its mean over the entries
        that are pooled, where they are positive. So Newton's method rises to t from 0, and in each step what is left or
        the slope halves (derived here).
        """
        if _xp.event_size(y, batch) == 0:
            return y
        near = from_afar(xp, lambda z, _: self._near(xp, z, batch), y, lambda: self._lmo(xp, y, batch), batch)
        return xp.where(_xp.spread(xp, self._violation(xp, y, batch) != 0, y), near, y)

    def _near(self, xp: Namespace, y: Array, batch: int) -> Array:
        r = _xp.flat(xp, xp.abs(y), batch)
        n = r.shape[-1]
        order = xp.argsort(r, axis=-1, descending=True)
        z, w = _take(xp, r, order), self._weights(xp, r, n)

        def shrunk(t: Array) -> Array:
            return _xp.clip(xp, _non_increasing(xp, z - t[..., None] * w), 0.0, None)

        def size(a: Array) -> Array:
            return xp.sum(w * a, axis=-1)

        def move(t: Array) -> Array:
            near = shrunk(t)
            fall = size(xp.where(near > 0, _share_ties(xp, near, w), xp.zeros_like(near)))
            return xp.maximum(t, t + _xp.divide(xp, size(near) - 1, fall))

        t = _roots.repeated(xp, move, xp.zeros_like(z[..., 0]), int(-math.log2(_xp.eps(y))))
        near = shrunk(t)
        near = near / xp.maximum(size(near), xp.ones_like(t))[..., None]  # what rounding left outside
        return _xp.sign(xp, y) * xp.reshape(_take(xp, near, xp.argsort(order, axis=-1)), y.shape)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        r = _xp.flat(xp, xp.abs(y), batch)
        if r.shape[-1] == 0:
            return reductions.total(xp, xp.abs(y), batch)
        ordered = xp.sort(r, axis=-1, descending=True)
        w = self._weights(xp, r, r.shape[-1])
        counted = xp.where(w == 0, _xp.only_nan(xp, ordered), ordered)
        return _xp.clip(xp, xp.sum(w * counted, axis=-1) - 1, 0.0, None)
