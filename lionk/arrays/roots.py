"""Iterations: roots of nondecreasing functions, fixed points, and projections found by moving repeatedly.

Where values can be looked at (NumPy, array-api-strict, PyTorch on a CPU and JAX, all eager), an iteration ends when it
has converged. Under a jit, on lazy arrays, and on accelerators, where looking at a value makes the host wait, it takes
a fixed number of steps, and nothing branches on data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .namespace import Array, Namespace, divide, eps, looped, only_nan, spread
from .namespace import visible as visible
from .reductions import inner, peak

SPARE = 8  # the most steps that bracketing takes beyond the number that halving needs

Map = Callable[[Array], Array]


def settled(xp: Namespace, last: Array, x: Array, unit: float = 0.0) -> bool:
    """Did a step change nothing but rounding, of x or of ``unit``? False where values cannot be looked at.

    NaN counts as settled.
    """
    return visible(x) and not bool(xp.any(xp.abs(x - last) > eps(x) * (unit + xp.abs(x))))


def repeated(xp: Namespace, move: Map, start: Array, steps: int, unit: float = 0.0) -> Array:
    """``x = move(x)``, at most ``steps`` times, until x is settled: Newton's method on convex functions."""
    x = start
    if not visible(x):
        return looped(lambda state: (move(*state),), (x,), steps)[0]
    for _ in range(steps):
        last, x = x, move(x)
        if settled(xp, last, x, unit):
            break
    return x


def accelerated(xp: Namespace, move: Map, start: Array, steps: int, batch: int) -> Array:
    """``u = move(w)`` repeated, with w ahead of u by momentum (Beck and Teboulle 2009), and none where the last step
    went against ``u - w`` (the gradient restart of O'Donoghue and Candes 2015), in each block for itself. It ends early
    once neither u nor w moves.
    """
    t = xp.ones_like(peak(xp, start, batch))

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        last, w, t = state
        u = move(w)
        t = xp.where(inner(xp, w - u, u - last, batch) > 0, xp.ones_like(t), t)
        grown = (1 + xp.sqrt(1 + 4 * t * t)) / 2
        return u, u + spread(xp, (t - 1) / grown, u) * (u - last), grown

    state = start, start, t
    if not visible(start):
        return looped(step, state, steps)[0]
    for _ in range(steps):
        (last, ahead, _), state = state, step(state)
        if settled(xp, last, state[0]) and settled(xp, ahead, state[0]):
            break
    return state[0]


def bracket(xp: Namespace, increasing: Map, low: Array, high: Array, extra: int = 0) -> tuple[Array, Array]:
    """The ends of an interval in which a nondecreasing function changes its sign: ``increasing < 0`` at the first,
    unless it is ``low``, and ``>= 0`` at the second, unless it is ``high``.

    It shrinks until the dtype has no digits left of ``high - low``; jumps (kinks of K) are found like roots, and where
    the function is 0 on an interval, its left end. ``extra`` halvings are for an interval much wider than 1 in a
    logarithm. Where values can be seen, the next point is the secant's, moved towards the middle (the ITP method of
    Oliveira and Takahashi 2021), or the middle after a step that did not halve: at worst ``SPARE`` steps more than
    halving needs, for smooth functions a dozen in place of 56.
    """
    count = int(-math.log2(eps(low))) + 4 + extra
    low, high = low + 0 * high, high + 0 * low
    first = increasing(low + (high - low) / 2)
    if not visible(low, high, first):

        def halved(ends: tuple[Array, ...]) -> tuple[Array, ...]:
            low, high = ends
            middle = low + (high - low) / 2
            below = increasing(middle) < 0
            return xp.where(below, middle, low), xp.where(below, high, middle)

        low, high = looped(halved, (low, high), count)
        return low, high
    wide = high - low
    unit, top, small = wide * 2.0**-count, float(xp.finfo(low.dtype).max) / 8, eps(low) / 2
    inverse = 0.8 / xp.where(wide > 0, wide, xp.ones_like(wide))
    half = wide / 2
    x, value, zero = low + half, first, xp.zeros_like(low)
    under = over = xp.nan * xp.ones_like(low)  # the function's values at the two ends, once they are known
    for j in range(count + SPARE):
        below = value < 0
        under = xp.where(below, xp.maximum(value, -top + zero), under)
        over = xp.where(below, over, xp.minimum(value, top + zero))
        low, high = xp.where(below, x, low), xp.where(below, high, x)
        half, last = (high - low) / 2, half
        x = low + half
        least = xp.maximum(unit, small * xp.abs(x))
        if not bool(xp.any((half > least) & ~xp.isnan(value))):
            break
        away = half * ((under + over) / (over - under))  # from the secant's root to the middle; NaN: not known
        inward = xp.maximum(half * (inverse * half), least)
        slack = xp.where(half > 0.51 * last, zero, 2.0 ** (SPARE - 2 - j) * wide - half)
        size = xp.maximum(xp.minimum(xp.abs(away) - inward, slack), zero)
        x = xp.where(size > 0, x - xp.where(away > 0, size, -size), x)
        value = increasing(x)
    return low, high


def root(xp: Namespace, increasing: Map, low: Array, high: Array, extra: int = 0) -> Array:
    """Root of a nondecreasing function between ``low`` and ``high``: the middle of its ``bracket``."""
    low, high = bracket(xp, increasing, low, high, extra)
    return low + (high - low) / 2


def resolvent(xp: Namespace, slope: Map, x: Array, t: Any) -> Array:
    """The z with x in ``z + t slope(z)``, slope nondecreasing, entry by entry: the prox of its integral."""
    at_zero, zero = slope(xp.zeros_like(x)), xp.zeros_like(x)
    low = xp.where(x < 0, x, zero) - t * xp.clip(at_zero, 0.0, None)
    high = xp.where(x > 0, x, zero) - t * xp.clip(at_zero, None, 0.0)
    z = root(xp, lambda z: (z - x) + t * slope(z), low, high)
    least = float(xp.finfo(x.dtype).smallest_normal) * xp.ones_like(x)
    at_kink = (x >= t * slope(-least)) & (x <= t * slope(least))  # exactly 0 for all of them
    return xp.where(at_kink, zero, z) + only_nan(xp, x)


def preimage(xp: Namespace, slope: Map, y: Array) -> tuple[Array, Array]:
    """The ends of an interval that holds the x of least modulus with y in ``slope(x)``, nondecreasing, entry by entry.

    ``slope(low) <= y <= slope(high)``, where the slope reaches y; else one end is the largest number. The search is
    over log |x|: the ends differ by about 100 eps, relative, or one is 0 and the other the least number; both are 0
    where ``slope(0) = y``. NaN counts as beyond.
    """
    one, reach = xp.ones_like(y), 0.9 * math.log(float(xp.finfo(y.dtype).max))
    at_zero = slope(xp.zeros_like(y))
    side = xp.where(at_zero < y, one, -one)

    def before(r: Array) -> Array:
        return side * (slope(side * xp.exp(r)) - y)

    zero, nan = xp.zeros_like(y), only_nan(xp, y)
    inner_end, outer_end = bracket(xp, before, -reach * one, reach * one)
    near = side * xp.where(inner_end > -reach, xp.exp(inner_end), zero)
    far = side * xp.exp(outer_end)
    low, high = (xp.where(at_zero == y, zero, xp.where(side > 0, a, b)) for a, b in ((near, far), (far, near)))
    return low + nan, high + nan


def middle(xp: Namespace, low: Array, high: Array) -> Array:
    """A point between the ends of ``preimage``: 0 exactly where one of them is."""
    return xp.where((low == 0) | (high == 0), xp.zeros_like(low), low / 2 + high / 2)


def share(xp: Namespace, low: Array, high: Array, y: Array) -> Array:
    """The w in [0, 1] with ``(1 - w) low + w high = y``, for y between them, up to rounding."""
    return xp.clip(divide(xp, y - low, high - low), 0.0, 1.0)
