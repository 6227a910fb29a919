"""Sets of sequences: those that fall from at most 1 to at least 0, and the dual ball of the total variation."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.far import from_afar
from ..arrays.namespace import Array, Namespace, visible
from ..arrays.value import value_class
from .base import ArraySet
from .sorted import _non_increasing, _take

DIVISIONS = 64  # of cells of the total variation; a chain that needs more is found by halving the range of its values


def sequence(xp: Namespace, x: Array, batch: int) -> Array:
    """The event as one sequence."""
    if _xp.is_complex(x):
        raise TypeError("a function of the order of real entries got a complex array; use a real one")
    return _xp.flat(xp, x, batch)


@value_class
class Falling(ArraySet):
    """``{ y : 1 >= y_1 >= y_2 >= ... >= y_n >= 0 }``; support ``max(0, x_1, x_1 + x_2, ..., x_1 + ... + x_n)``.

    The oracle is the shortest prefix of ones that attains it, the member of least norm. The projection is the nearest
    non-increasing sequence (Barlow et al. 1972), cut to [0, 1].
    """

    def diameter(self, shape: tuple[int, ...]) -> float:
        return math.sqrt(math.prod(shape))

    def _traits(self) -> dict[str, Any]:
        return {"even": False, "absolute": False, "symmetric": False, "minimum_at_zero": True}

    def _spec(self) -> dict[str, Any]:
        return {"name": "monotone"}

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        z = sequence(xp, x, batch)
        if z.shape[-1] == 0:
            return reductions.total(xp, x, batch)
        large = _xp.cut(xp, z)  # of inf - inf, the first of both decides
        top = _xp.clip(xp, xp.max(xp.cumulative_sum(large, axis=-1), axis=-1), 0.0, None)
        far = reductions.peak(xp, xp.where(xp.isinf(z), large, xp.zeros_like(z)), z.ndim - 1) / 2
        return xp.where((far > 0) & (top > far), math.inf * xp.ones_like(top), top)

    def _terms(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        return reductions.products(xp, x, xp.ones_like(x), batch)  # sums may be 0 by their rounding, and s with them

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        z = sequence(xp, c, batch)
        n = z.shape[-1]
        if n == 0:
            return c
        sums, places = xp.cumulative_sum(z, axis=-1), xp.arange(n, device=_xp.device(c))
        top = xp.max(sums, axis=-1, keepdims=True)
        first = xp.min(xp.where(sums >= top, places, n), axis=-1, keepdims=True)
        ones = xp.astype((places <= first) & (top > 0), z.dtype)
        return xp.reshape(ones + _xp.only_nan(xp, top), c.shape)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        z = sequence(xp, y, batch)
        if z.shape[-1] == 0:
            return y
        return xp.reshape(_xp.clip(xp, _non_increasing(xp, z), 0.0, 1.0), y.shape)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        z = sequence(xp, _xp.finite(xp, y), batch)
        if z.shape[-1] == 0:
            return reductions.total(xp, y, batch)
        steps = xp.concat([z[..., :1] - 1, z[..., 1:] - z[..., :-1], -z[..., -1:]], axis=-1)
        return _xp.clip(xp, xp.max(steps, axis=-1), 0.0, None) + reductions.poison(xp, y, batch)


@value_class
class Chain(ArraySet):
    """``{ y : sum y = 0, |y_1 + ... + y_i| <= 1 for all i }``; support: the total variation ``sum |x_(i+1) - x_i|``.

    The oracle is ``sign(x_i - x_(i-1)) - sign(x_(i+1) - x_i)``, averaged over runs of equal entries: the member of
    least norm (derived here). The projection is y minus its total variation denoising x, which is found level by level:
    whether ``x_i > c`` is a cut of the chain, that messages from both sides decide (Darbon and Sigelle 2006, Hochbaum
    2001), each a composition of maps ``clip(m + s, low, high)``, which are closed under composition.
    """

    def diameter(self, shape: tuple[int, ...]) -> float:
        """Partial sums differ by up to 2, entries by up to 4."""
        n = math.prod(shape)
        return 2 * math.sqrt(max(4 * n - 6, 0)) if n > 1 else 0.0

    def _traits(self) -> dict[str, Any]:
        return {"absolute": False, "symmetric": False}

    def _spec(self) -> dict[str, Any]:
        return {"name": "total_variation"}

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        z = sequence(xp, x, batch)
        if z.shape[-1] < 2:
            return reductions.total(xp, _xp.only_nan(xp, x), batch)
        steps = reductions.limit(xp, lambda z: z[..., 1:] - z[..., :-1], lambda z: z[..., 1:] + z[..., :-1], z)
        return xp.sum(xp.abs(steps), axis=-1)

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        z = sequence(xp, c, batch)
        if z.shape[-1] < 2:
            return _xp.only_nan(xp, c)
        steps = _xp.sign(xp, z[..., 1:] - z[..., :-1])
        edge = xp.zeros_like(z[..., :1])
        u = xp.concat([edge, steps], axis=-1) - xp.concat([steps, edge], axis=-1)
        return xp.reshape(run_means(xp, runs_of(xp, z), u), c.shape)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        z = sequence(xp, y, batch)
        if z.shape[-1] < 2:
            return _xp.only_nan(xp, y)
        z, edge = z - xp.mean(z, axis=-1, keepdims=True), xp.zeros_like(z[..., :1])

        def near_to(z: Array, _: Any) -> Array:
            x = _denoised(xp, z)
            sums = _xp.clip(xp, xp.cumulative_sum(z - x, axis=-1)[..., :-1], -1.0, 1.0)  # what rounding left outside
            steps = x[..., 1:] - x[..., :-1]
            noise = _noise(xp, z)
            sums = xp.where(xp.abs(steps) > noise, -xp.sign(steps), sums)  # exact where x jumps
            return xp.concat([sums, edge], axis=-1) - xp.concat([edge, sums], axis=-1)

        near = from_afar(xp, near_to, z, lambda: xp.reshape(self._lmo(xp, y, batch), z.shape), z.ndim - 1)
        return self._kept(xp, y, xp.reshape(near, y.shape), batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        z = sequence(xp, _xp.finite(xp, y), batch)
        if z.shape[-1] == 0:
            return reductions.total(xp, y, batch)
        sums = xp.abs(xp.cumulative_sum(z, axis=-1))
        inside = xp.max(sums[..., :-1], axis=-1) - 1 if z.shape[-1] > 1 else -xp.ones_like(sums[..., -1])
        return xp.maximum(_xp.clip(xp, inside, 0.0, None), sums[..., -1]) + reductions.poison(xp, y, batch)


def runs_of(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """Where the run of equal entries along the last axis that holds each entry of x begins, and where it ends."""
    n, device = x.shape[-1], _xp.device(x)
    starts = xp.concat([xp.ones_like(x[..., :1], dtype=xp.bool), x[..., 1:] != x[..., :-1]], axis=-1)
    run, place = xp.cumulative_sum(xp.astype(starts, xp.int64), axis=-1) - 1, xp.arange(n, device=device)
    first = xp.sort(xp.where(starts, place, n), axis=-1)  # where each run starts; n beyond the last one
    last = xp.concat([first[..., 1:], xp.full_like(first[..., :1], n)], axis=-1)
    return _take(xp, first, run), _take(xp, last, run)


def run_means(xp: Namespace, runs: tuple[Array, Array], u: Array) -> Array:
    """u, averaged over each of these runs."""
    low, high = runs
    before = xp.concat([xp.zeros_like(u[..., :1]), xp.cumulative_sum(u, axis=-1)], axis=-1)
    count = xp.astype(high - low, u.dtype)
    total = _take(xp, before[..., 1:], high - 1) - _take(xp, before[..., :-1], low)
    return xp.where(count == 1, u, total / count)


def _denoised(xp: Namespace, y: Array) -> Array:
    """``argmin_x 1/2 |x - y|^2 + sum |x_(i+1) - x_i|`` along the last axis: by halving the range of the values.

    Entries of one cell, [low, high], share their level; a neighbour of another cell is above it or below it.
    """
    if visible(y):
        x, done = _divided(xp, y)
        if done:
            return x
    low = xp.min(y, axis=-1, keepdims=True) + xp.zeros_like(y)
    high = xp.max(y, axis=-1, keepdims=True) + xp.zeros_like(y)
    for _ in range(int(-math.log2(_xp.eps(y))) + 4):
        level = low + (high - low) / 2
        above = _pulled(xp, y - level, xp.sign(low[..., :-1] - low[..., 1:])) > 0
        low, high = xp.where(above, level, low), xp.where(above, high, level)
    return low + (high - low) / 2


def _divided(xp: Namespace, y: Array) -> tuple[Array, bool]:
    """``_denoised``, where values can be seen, and whether it is: the level of a cell is the one at which what pulls at
    it is in balance. Either entries are above it and others below, and it is divided, or this is the solution there.
    The number of divisions is the depth of their tree, about log2 n for most.
    """
    noise = _noise(xp, y)
    level, edge, apart = y, xp.zeros_like(y[..., :1]), xp.zeros_like(y[..., 1:])
    for _ in range(DIVISIONS):
        cells = runs_of(xp, xp.concat([edge, xp.cumulative_sum(xp.abs(apart), axis=-1)], axis=-1))
        pull = xp.concat([edge, apart], axis=-1) - xp.concat([apart, edge], axis=-1)
        level = run_means(xp, cells, y + pull)
        level = level + run_means(xp, cells, y + pull - level)  # sums over all entries have lost digits of short runs
        above = xp.astype(_pulled(xp, y - level, apart) > noise, y.dtype)
        divided = xp.where(apart == 0, above[..., :-1] - above[..., 1:], apart)
        if bool(xp.all(divided == apart)):
            return level, True
        apart = divided
    return level, False


def _noise(xp: Namespace, y: Array) -> Array:
    """What rounding leaves of a pull: a sum that stays in [-2, 2] as it grows, of entries of y less a level."""
    return 4 * reductions.slack(xp, y, y.ndim - 1) * (1 + xp.max(xp.abs(y), axis=-1, keepdims=True))


def _pulled(xp: Namespace, b: Array, apart: Array) -> Array:
    """What pulls each entry upwards, with all that its neighbours hand on: where positive, it is above the level.

    ``b``: y less the level; ``apart``: 1 where an entry is in a higher cell than the next one, -1 in a lower, else 0.
    """
    left = xp.flip(_messages(xp, xp.flip(b, axis=-1), -xp.flip(apart, axis=-1)), axis=-1)
    return b + _messages(xp, b, apart) + left


def _messages(xp: Namespace, b: Array, apart: Array) -> Array:
    """What the entries before each one add to its pull upwards: ``m_(i+1) = clip(m_i + b_i, -1, 1)``, m_1 = 0.

    From a neighbour in a higher or lower cell: 1 or -1. All by log2 n compositions of ``clip(m + s, low, high)``.
    """
    one, edge = xp.ones_like(b), xp.zeros_like(b[..., :1])
    shift = xp.concat([edge, b[..., :-1]], axis=-1)
    low = xp.concat([edge, xp.where(apart == 0, -one[..., 1:], apart)], axis=-1)
    high = xp.concat([edge, xp.where(apart == 0, one[..., 1:], apart)], axis=-1)
    width, n = 1, b.shape[-1]
    while width < n:
        s, d, u = (xp.concat([v[..., :width] * 0 + c, v[..., :-width]], axis=-1)
                   for v, c in ((shift, 0.0), (low, -math.inf), (high, math.inf)))  # fmt: skip
        low, high, shift = (
            xp.minimum(xp.maximum(d + shift, low), high), xp.minimum(xp.maximum(u + shift, low), high), s + shift,
        )  # fmt: skip
        width *= 2
    return xp.minimum(xp.maximum(shift, low), high)
