"""Sets whose support function weighs the sorted entries: the OWL ball, and the permutahedron."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.namespace import Array, Namespace, visible
from ..arrays.value import value_class
from .base import ArraySet


@value_class
class Sorted(ArraySet):
    """The set whose support function is ``sum_i w_i x_(i)`` with the entries in descending order, w non-increasing.

    ``absolute``: of ``|x|``, w >= 0: ``{ y : the k largest |y_i| sum to <= w_1 + ... + w_k, all k }`` (OWL, SLOPE).
    Otherwise the hull of all permutations of w: those sums of y, with equality for k = n.
    ``weights`` None: ``(n, n-1, ..., 1)/n``.
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
        if not self.absolute and _xp.is_complex(x):
            raise TypeError("the permutahedron orders real entries, got a complex array")
        return _xp.flat(xp, xp.abs(x) if self.absolute else x, batch)

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        r = self._magnitude(xp, x, batch)
        w = self._weights(xp, x, r.shape[-1])
        falling = xp.sort(r, axis=-1, descending=True)

        def weighed(z: Array, w: Array = w) -> Array:
            return xp.sum(z * w, axis=-1)

        return reductions.limit(xp, weighed, lambda z: weighed(z, xp.abs(w)), falling)

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
        gaps = xp.minimum(gaps, 2 * reductions.peak(xp, w, 0) + xp.zeros_like(gaps))
        z = reductions.sums_from_end(xp, gaps)
        fit = _non_increasing(xp, z - w)
        near = z - (_xp.clip(xp, fit, 0.0, None) if self.absolute else fit)
        near = xp.reshape(_take(xp, near, xp.argsort(order, axis=-1)), y.shape)
        near = _xp.sign(xp, y) * near if self.absolute else near
        return self._kept(xp, y, near, batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        """The largest mean excess of the k largest entries over k, and of the total."""
        r = self._magnitude(xp, _xp.finite(xp, y), batch)
        n = r.shape[-1]
        if n == 0:
            return reductions.total(xp, xp.abs(y), batch)
        infinite = reductions.poison(xp, xp.abs(y), batch)
        excess = reductions.running_sum(xp, xp.sort(r, axis=-1, descending=True) - self._weights(xp, y, n))
        mean = excess / xp.astype(xp.arange(1, n + 1, device=_xp.device(y)), r.dtype)
        above = _xp.clip(xp, xp.max(mean, axis=-1), 0.0, None) + infinite
        return above if self.absolute else xp.maximum(above, xp.abs(mean[..., -1]))

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        return (
            1.0
            if self.weights is None
            else reductions.peak(xp, _xp.parameter(xp, self.weights, xp.abs(y), "weights"), 0)
        )


def _take(xp: Namespace, a: Array, index: Array) -> Array:
    """``a[..., index[..., i]]``, by a plain take of whole arrays: not every library has one along an axis."""
    if a.ndim == 1:
        return xp.take(a, index)
    rows = xp.arange(math.prod(a.shape[:-1]), device=_xp.device(a)) * a.shape[-1]
    places = index + xp.reshape(rows, (*a.shape[:-1], 1))
    return xp.reshape(xp.take(xp.reshape(a, (-1,)), xp.reshape(places, (-1,))), index.shape)


def _share_ties(xp: Namespace, s: Array, w: Array) -> Array:
    """Weights by rank for descending s, averaged over each run of equal entries."""
    n, device = s.shape[-1], _xp.device(s)
    starts = xp.concat([xp.ones_like(s[..., :1], dtype=xp.bool), s[..., 1:] != s[..., :-1]], axis=-1)
    run = xp.cumulative_sum(xp.astype(starts, xp.int32), axis=-1) - 1
    place = xp.arange(n, device=device)
    first = xp.sort(xp.where(starts, place, n), axis=-1)  # where each run starts; n beyond the last one
    last = xp.concat([first[..., 1:], xp.full_like(first[..., :1], n)], axis=-1)
    before = reductions.running_sum(xp, _xp.astype(xp, xp.concat([xp.zeros_like(w[:1]), w]), reductions.widest(xp, w)))
    low, high = _take(xp, first, run), _take(xp, last, run)
    count = xp.astype(high - low, s.dtype)
    total = xp.reshape(xp.take(before, xp.reshape(high, (-1,))) - xp.take(before, xp.reshape(low, (-1,))), s.shape)
    return xp.where(count == 1, w, _xp.astype(xp, total, s.dtype) / count)


def _pooled(z: list[float]) -> list[float]:
    """The nearest non-increasing sequence: entries that rise are pooled with those before (Barlow et al. 1972)."""
    means: list[float] = []
    sizes: list[int] = []
    for entry in z:
        mean, size = entry, 1
        while means and means[-1] < mean:
            more = sizes.pop()
            mean, size = (means.pop() * more + mean * size) / (more + size), more + size
        means.append(mean)
        sizes.append(size)
    return [mean for mean, size in zip(means, sizes, strict=True) for _ in range(size)]


def _non_increasing(xp: Namespace, z: Array) -> Array:
    """The nearest non-increasing vector, along the last axis.

    Where values can be seen, in linear time. Else neighbouring fits of 1, 2, 4, ... entries are joined: memory is
    linear in n, the time that of log2 n sorts, and no loop depends on the data.
    """
    n, half = z.shape[-1], 1
    if n and visible(z) and hasattr(z, "tolist") and not getattr(z, "requires_grad", False):
        rows = [_pooled(row) for row in xp.reshape(z, (-1, n)).tolist()]
        return xp.reshape(xp.asarray(rows, dtype=z.dtype, device=_xp.device(z)), z.shape)
    room = (1 << (n - 1).bit_length()) - n
    padding = xp.min(z, axis=-1, keepdims=True) + xp.zeros((room,), dtype=z.dtype, device=_xp.device(z))
    fit = xp.concat([z, padding], axis=-1)
    while half < n:
        pairs = xp.reshape(fit, (*z.shape[:-1], (n + room) // (2 * half), 2 * half))
        fit = xp.reshape(_joined(xp, pairs, half), fit.shape)
        half *= 2
    return fit[..., :n]


def _joined(xp: Namespace, fits: Array, half: int) -> Array:
    """The fit to all from those to the left and to the right half: ``max(left, v)`` and ``min(right, v)``.

    What the left half gains, the right one loses: ``sum (v - left)_+ = sum (right - v)_+``, for then v is the mean of
    the blocks that are pooled (derived here; the blocks of pool-adjacent-violators, Barlow et al. 1972). Between two
    entries that equation is linear, and its sides at every entry come from running sums over the sorted entries.
    """
    left = xp.arange(2 * half, device=_xp.device(fits)) < half
    low, high = fits[..., half - 1 : half], fits[..., half : half + 1]
    violated = low < high
    near = xp.where(violated, xp.maximum(xp.minimum(fits, high), low) - low, xp.zeros_like(fits))
    order = xp.argsort(near, axis=-1, descending=True)
    v = _take(xp, near, order)
    of_left = xp.astype(order < half, v.dtype)
    of_right = 1 - of_left
    gained = v * reductions.sums_from_end(xp, of_left) - reductions.sums_from_end(xp, of_left * v)
    lost = reductions.running_sum(xp, of_right * v) - v * reductions.running_sum(xp, of_right)
    last = xp.sum(xp.astype(gained >= lost, order.dtype), axis=-1, keepdims=True) - 1
    v = _take(xp, v, _xp.clip(xp, last, 0, None))
    for _ in range(2):  # from the entry to the root, and once more where rounding chose the entry beside
        pooled = xp.astype(xp.where(left, near < v, near >= v), near.dtype)
        v = _xp.divide(xp, xp.sum(pooled * near, axis=-1, keepdims=True), xp.sum(pooled, axis=-1, keepdims=True))
    v = low + v
    return xp.where(violated, xp.where(left, xp.maximum(fits, v), xp.minimum(fits, v)), fits)
