"""Sets whose support function weighs the sorted entries: the OWL ball, and the permutahedron."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .. import _xp
from .._xp import Array, Namespace
from .base import ArraySet


@dataclass(eq=False, repr=False)
class Sorted(ArraySet):
    """The set whose support function is ``sum_i w_i x_(i)`` with the entries in descending order, w non-increasing.

    ``absolute``: of ``|x|``, w >= 0: ``{ y : the k largest |y_i| sum to <= w_1 + ... + w_k, all k }`` (OWL, SLOPE).
    Otherwise the hull of all permutations of w: those sums of y, with equality for k = n.
    ``weights`` None: ``(n, n-1, ..., 1)/n``. The projection needs n^2 numbers of memory.
    """

    weights: Any = None
    absolute: bool = True

    def diameter(self, shape: tuple[int, ...]) -> float:
        n = math.prod(shape)
        w = [(n - i) / n for i in range(n)] if self.weights is None else [float(v) for v in self.weights]
        return math.sqrt(sum((2 * a) ** 2 if self.absolute else (a - b) ** 2 for a, b in zip(w, w[::-1], strict=True)))

    def _traits(self) -> dict[str, Any]:
        names = ("even", "absolute", "minimum_at_zero")
        return {"structure": "order", **dict.fromkeys(names, self.absolute)}

    def _spec(self) -> dict[str, Any]:
        return {"name": "owl" if self.absolute else "permutahedron", "weights": self.weights}

    def _weights(self, xp: Namespace, x: Array, n: int) -> Array:
        real = xp.abs(x)
        if self.weights is None:
            down = xp.arange(n, 0, -1, device=_xp.device(x))
            return xp.astype(down, real.dtype) / max(n, 1)
        w = _xp.parameter(xp, self.weights, real, "weights")
        if w.shape != (n,):
            raise ValueError(f"weights must be one for each entry, {n}, got shape {tuple(w.shape)}")
        return w

    def _magnitude(self, xp: Namespace, x: Array, batch: int) -> Array:
        if not self.absolute and _xp.is_complex(xp, x):
            raise TypeError("the permutahedron orders real entries, got a complex array")
        return _xp.flat(xp, xp.abs(x) if self.absolute else x, batch)

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        r = self._magnitude(xp, x, batch)
        return xp.sum(xp.sort(r, axis=-1, descending=True) * self._weights(xp, x, r.shape[-1]), axis=-1)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        r = self._magnitude(xp, c, batch)
        if r.shape[-1] == 0:
            return c
        order = xp.argsort(r, axis=-1, descending=True)
        shared = _share_ties(xp, _take(xp, r, order), self._weights(xp, c, r.shape[-1]))
        u = xp.reshape(_take(xp, shared, xp.argsort(order, axis=-1)), c.shape)
        return _xp.sign(xp, c) * u if self.absolute else u + _xp.only_nan(xp, c)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        """``z - fit(z - w)`` on the sorted entries, fit the nearest non-increasing one (Zeng, Figueiredo 2014).

        Gaps that exceed all weights never close in the fit, so they are cut first: no digits are lost at large y.
        """
        r = self._magnitude(xp, y, batch)
        if r.shape[-1] == 0:
            return y
        order = xp.argsort(r, axis=-1, descending=True)
        z, w = _take(xp, r, order), self._weights(xp, y, r.shape[-1])
        floor = z[..., -1:] if self.absolute else 0 * z[..., -1:]
        gaps = xp.concat([z[..., :-1] - z[..., 1:], floor], axis=-1)
        gaps = xp.minimum(gaps, 2 * _xp.peak(xp, w, 0) + xp.zeros_like(gaps))
        z = xp.flip(xp.cumulative_sum(xp.flip(gaps, axis=-1), axis=-1), axis=-1)
        fit = _non_increasing(xp, z - w)
        near = z - (xp.clip(fit, 0.0, None) if self.absolute else fit)
        near = xp.reshape(_take(xp, near, xp.argsort(order, axis=-1)), y.shape)
        near = _xp.sign(xp, y) * near if self.absolute else near
        outside = _xp.spread(xp, self._violation(xp, y, batch) != 0, y)
        return xp.where(outside, near, y)  # a member is its own projection, bit for bit

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        """The largest mean excess of the k largest entries over k, and of the total."""
        r = self._magnitude(xp, y, batch)
        n = r.shape[-1]
        if n == 0:
            return _xp.total(xp, xp.abs(y), batch)
        excess = xp.cumulative_sum(xp.sort(r, axis=-1, descending=True) - self._weights(xp, y, n), axis=-1)
        mean = excess / xp.astype(xp.arange(1, n + 1, device=_xp.device(y)), r.dtype)
        above = xp.clip(xp.max(mean, axis=-1), 0.0, None)
        return above if self.absolute else xp.maximum(above, xp.abs(mean[..., -1]))

    def _scale(self, xp: Namespace, y: Array) -> Any:
        return 1.0 if self.weights is None else _xp.peak(xp, _xp.parameter(xp, self.weights, xp.abs(y), "weights"), 0)


def _take(xp: Namespace, a: Array, index: Array) -> Array:
    return xp.take(a, index) if a.ndim == 1 else xp.take_along_axis(a, index, axis=-1)


def _share_ties(xp: Namespace, s: Array, w: Array) -> Array:
    """Weights by rank for descending s, averaged over each run of equal entries."""
    n, device = s.shape[-1], _xp.device(s)
    starts = xp.concat([xp.ones_like(s[..., :1], dtype=xp.bool), s[..., 1:] != s[..., :-1]], axis=-1)
    run = xp.cumulative_sum(xp.astype(starts, xp.int32), axis=-1) - 1
    place = xp.arange(n, device=device)
    first = xp.sort(xp.where(starts, place, n), axis=-1)  # where each run starts; n beyond the last one
    last = xp.concat([first[..., 1:], xp.full_like(first[..., :1], n)], axis=-1)
    before = xp.concat([xp.zeros_like(w[:1]), xp.cumulative_sum(w)])
    low, high = _take(xp, first, run), _take(xp, last, run)
    count = xp.astype(high - low, s.dtype)
    total = xp.reshape(xp.take(before, xp.reshape(high, (-1,))) - xp.take(before, xp.reshape(low, (-1,))), s.shape)
    return xp.where(count == 1, w, total / count)


def _non_increasing(xp: Namespace, z: Array) -> Array:
    """The nearest non-increasing vector: ``min over a <= i of max over b >= i of mean z[a..b]`` (Robertson 1988).

    All means at once, n^2 of them, with running maxima by doubling: no loop that depends on the data.
    """
    n = z.shape[-1]
    place = xp.arange(n, device=_xp.device(z))
    a, b = place[:, None], place[None, :]
    sums = xp.cumulative_sum(z, axis=-1)
    mean = (sums[..., None, :] - (sums - z)[..., :, None]) / xp.astype(xp.clip(b - a + 1, 1, None), z.dtype)
    infinite = math.inf * xp.ones_like(mean)
    upper = xp.where(b >= a, mean, -infinite)
    step = 1
    while step < n:  # upper[a, i] = max over b >= i
        upper = xp.concat([xp.maximum(upper[..., : n - step], upper[..., step:]), upper[..., n - step :]], axis=-1)
        step *= 2
    return xp.min(xp.where(b >= a, upper, infinite), axis=-2)
