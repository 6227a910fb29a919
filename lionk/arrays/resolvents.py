"""Proximal operators of functions of one variable that are no closed form: roots of ``z + t slope(z) = x``.

Newton's method where a side is known from which no step goes too far, else a bracket.
"""

from __future__ import annotations

import math
from typing import Any

from . import reductions
from .namespace import Array, Namespace, clip, divide, eps, visible
from .roots import Map, bracket, repeated

PASSES = 20  # each finds as many digits as the dtype has


def resolvent(xp: Namespace, slope: Map, x: Array, t: Any, near: Map | None = None) -> Array:
    """The z with x in ``z + t slope(z)``, slope nondecreasing, entry by entry: the prox of its integral.

    ``near``: a nonincreasing and continuous function with ``near(z) = z`` at the root, where the slope has jumps: of a
    sum, the prox of the kinked part after a step along the smooth one. Then no kink has to be searched for by halving,
    and a root that is a kink is found exactly (derived here).
    """
    at_zero, zero, finite, given = slope(xp.zeros_like(x)), xp.zeros_like(x), xp.isfinite(x), x
    x = xp.where(finite, x, zero)
    least = float(xp.finfo(x.dtype).smallest_normal) * xp.ones_like(x)
    at_kink = (x >= t * slope(-least)) & (x <= t * slope(least))  # exactly 0 for all of them
    low = xp.where(x < 0, x, zero) - t * clip(xp, at_zero, 0.0, None)
    high = xp.where(x > 0, x, zero) - t * clip(xp, at_zero, None, 0.0)
    low, high = (xp.where(at_kink, zero, e) for e in (low, high))

    most = float(xp.finfo(x.dtype).max) / 8 / (1 + t) * xp.ones_like(x)  # so that no product overflows

    def excess(z: Array) -> Array:
        return (z - x) + t * xp.minimum(xp.maximum(slope(z), -most), most)

    def narrowed(low: Array, high: Array) -> tuple[Array, Array]:
        if near is not None:
            return bracket(xp, lambda z: z - near(z), low, high, first=False)
        return bracket(xp, excess, low, high, 0, (excess(low), excess(high)) if visible(low, high) else None, False)

    low, high = narrowed(low, high)
    for _ in range(PASSES if visible(low, high) else 1):  # a root that is far shorter than x has few digits yet
        if reductions.none(high - low > 8 * eps(x) * xp.maximum(xp.abs(low), xp.abs(high))):
            break
        low, high = narrowed(low, high)
    z = middle = low + (high - low) / 2
    if near is not None:
        z = xp.minimum(xp.maximum(near(middle), low), high)
    return xp.where(finite, xp.where(at_kink, zero, z), given)


def concave_resolvent(xp: Namespace, slope: Map, curvature: Map, x: Array, t: Any) -> Array:
    """``resolvent`` for an odd slope that is concave from 0 on, and its derivative: Newton's method from below, where
    each step ends below the root again. It begins at what a slope of ``slope(|x|)``, and one of ``curvature(0) z``,
    leave of ``|x|``; both are too large. Two to five steps for most, 17 for the worst of t and x. Derived here.
    """
    finite = xp.isfinite(x)
    r = xp.where(finite, xp.abs(x), xp.zeros_like(x))

    def move(z: Array) -> Array:
        return xp.maximum(z, z - ((z - r) + t * slope(z)) / (1 + t * curvature(z)))

    z = repeated(xp, move, xp.maximum(r - t * slope(r), r / (1 + t * curvature(xp.zeros_like(r)))), 24)
    return xp.where(finite, xp.where(x < 0, -z, z), x)


def sinh_resolvent(xp: Namespace, x: Array, t: Any) -> Array:
    """``resolvent`` for the slope ``sinh z``, convex from 0 on: Newton's method from above, where each step ends above
    the root again. It begins at the least of what z, and what the slope, would take of ``|x|`` alone, and of where the
    slope is beyond the dtype. Derived here.
    """
    most, finite = float(xp.finfo(x.dtype).max), xp.isfinite(x)
    r = xp.where(finite, xp.abs(x), xp.zeros_like(x))
    far = most / 8 / (1 + t) + xp.zeros_like(r)

    def move(z: Array) -> Array:
        return xp.minimum(z, z - ((z - r) + t * xp.sinh(z)) / (1 + t * xp.cosh(z)))

    start = clip(xp, xp.asinh(xp.minimum(r, t * far) / t), None, 0.99 * math.log(most))
    z = repeated(xp, move, xp.minimum(r / (1 + t), start), 24)
    return xp.where(finite, xp.where(x < 0, -z, z), x)


def _less_lambert(xp: Namespace, y: Array, log_a: Array) -> Array:
    """``y - w`` for a w that is at most the one with ``w e^w = a``: as that is at most log(1 + a), it is at least
    ``log a - log log(1 + a)``. Derived here.
    """
    steep = xp.maximum(log_a, xp.ones_like(y))
    return y - xp.where(log_a > 1, steep - xp.log(steep + xp.log1p(xp.exp(-steep))), xp.zeros_like(y))


def exponential_resolvent(xp: Namespace, x: Array, t: Any) -> Array:
    """``resolvent`` for the slope ``e^z``: Newton's method from above, for it is convex. It begins at ``x - w`` with
    ``w e^w <= t e^x``; from 1 on, where that would be a difference of long numbers, at the logarithm of ``x/t``, or of
    ``(x - log(x/t))/t`` where that is negative, for z is at least as large. Derived here.
    """
    finite = xp.isfinite(x)
    y = xp.where(finite, x, xp.zeros_like(x))
    short, log_t = xp.minimum(y, xp.ones_like(y)), xp.log(t * xp.ones_like(y))
    long = xp.maximum(y, xp.ones_like(y))
    below = xp.maximum(log_t - xp.log(long), xp.zeros_like(y))
    start = xp.where(y > 1, xp.log(long + below) - log_t, _less_lambert(xp, short, short + log_t))
    end = 0.99 * math.log(float(xp.finfo(x.dtype).max))  # beyond it the slope is infinite

    def step(z: Array) -> Array:
        e = t * xp.exp(z)
        return clip(xp, z - ((z - y) + e) / (1 + e), None, end)

    start = step(clip(xp, start, None, end))  # which may be below the root by its rounding, and is above it then
    return xp.where(finite, repeated(xp, lambda z: xp.minimum(z, step(z)), start, 24), x)


def logistic_resolvent(xp: Namespace, x: Array, t: Any) -> Array:
    """``resolvent`` for the slope ``1/(1 + e^-z)``: Newton's method from above where z <= 0, for there it is convex;
    where z > 0 in the mirror, of t - x. It begins at ``x - w`` with ``w e^w <= t e^x / 2``. Derived here.
    """
    finite = xp.isfinite(x)
    y = xp.where(finite, x, xp.zeros_like(x))
    mirrored = y > t / 2
    y = xp.where(mirrored, t - y, y)

    def move(z: Array) -> Array:
        e = xp.exp(z)
        slope = e / (1 + e)
        return xp.minimum(z, z - ((z - y) + t * slope) / (1 + t * slope / (1 + e)))

    start = _less_lambert(xp, y, y + xp.log(t / 2 * xp.ones_like(y)))
    z = repeated(xp, move, xp.minimum(start, xp.zeros_like(y)), 24)
    return xp.where(finite, xp.where(mirrored, -z, z), x)


def power_root(xp: Namespace, a: Array, c: Any, m: Any, r: float, near: Array | None = None) -> Array:
    """The ``z >= 0`` with ``c z + m z^r = a``, for a, m >= 0, c > 0, r > 0: Newton's method from the right.

    In units of the smaller one of the two z at which one term alone is a: there both factors are at most 1, and the
    larger is 1 up to rounding, so that the root is between 1/2 and 1. Convex in z for r >= 1, and in z^r else: a step
    from ``near``, the root for another m, ends on the right. Derived here.
    """
    zero, one = xp.zeros_like(a), xp.ones_like(a)
    known = (a > 0) & xp.isfinite(a)
    m = m + zero
    a_, m_ = xp.where(known, a, one), xp.where(m > 0, m, one)
    size = xp.sqrt(a_) / xp.sqrt(m_)  # of z^(r/2), where the power alone is a
    most = xp.where(m > 0, 2 / r * xp.log(size), math.inf * one)
    alone = a_ / c
    short = most < xp.log(alone)
    unit = xp.where(short, xp.exp(xp.where(short, most, zero)), alone)
    linear, power = unit / alone, (xp.where(m > 0, unit, zero) ** (r / 2) / size) ** 2
    power = xp.maximum(power, one / 2 - linear)  # where the root is too small for a number
    first, second, k = (linear, power, r) if r >= 1 else (power, linear, 1 / r)

    def step(v: Array) -> Array:
        last = second * v ** (k - 1)
        return v - ((first + last) * v - 1) / (first + k * last)

    start = (first + second) ** (-1 / k)
    if near is not None:
        guess = divide(xp, xp.minimum(near, unit), unit) ** min(1, r)
        start = xp.minimum(start, step(xp.minimum(xp.maximum(guess, one / 2), start)))
    v = repeated(xp, lambda v: xp.minimum(v, step(v)), start, 14)
    return xp.where(known, unit * (v if r >= 1 else v**k), a)
