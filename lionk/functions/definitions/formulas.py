"""Values and derivatives of functions of one variable, entry by entry: what ``scalar`` makes functions of.

Standard formulas (Boyd and Vandenberghe 2004, 3.3), written so that no digits are lost at small x and no square
overflows at large x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...arrays import namespace as _xp
from ...arrays.namespace import Array, Namespace

SATURATED = 1e18  # beyond 1/eps of every dtype: x/(1+x) and the like are 1 there; its square is finite in float32

# -- numerically careful pieces ------------------------------------------------------------------------------


def _or_infinite(xp: Namespace, bad: Array, like: Array, f: Callable[[Array], Array], safe: float) -> Array:
    """``f(like)``, with ``+inf`` where ``bad`` (f is not called there, so that no library warns)."""
    return xp.where(bad, math.inf * xp.ones_like(like), f(xp.where(bad, safe * xp.ones_like(like), like)))


def _xlogx(xp: Namespace, y: Array) -> Array:
    zero = y == 0
    return xp.where(zero, xp.zeros_like(y), y * xp.log(xp.where(zero, xp.ones_like(y), y)))


def _bounded(xp: Namespace, x: Array) -> Array:
    """x cut to where saturating functions have saturated."""
    return _xp.clip(xp, x, -SATURATED, SATURATED)


def _log1p_defect(xp: Namespace, a: Array) -> Array:
    """``a - log(1 + a)`` for a > -1: with t = a/(2+a), ``a t - 2 t^3 (1/3 + t^2/5 + ...)`` near 0 (derived here)."""
    near = xp.abs(a) < 0.25
    b = xp.where(near, a, xp.zeros_like(a))
    t = b / (2 + b)
    series = xp.zeros_like(t)
    for k in range(21, 1, -2):
        series = series * t * t + 1 / k
    far = a - xp.log1p(xp.where(near, xp.ones_like(a), _bounded(xp, a)))
    return xp.where(near, b * t - 2 * t * t * t * series, far)


# -- definitions ---------------------------------------------------------------------------------------------


def power_value(xp: Namespace, x: Array, p: float) -> Array:
    return x * x / 2 if p == 2 else xp.abs(x) ** p / p


def power_derivative(xp: Namespace, x: Array, p: float) -> Array:
    if p <= 2:
        return x if p == 2 else _xp.sign(xp, x) * xp.abs(x) ** (p - 1)
    a, top = xp.abs(x), 0.99 * float(xp.finfo(x.dtype).max) ** (1 / (p - 1))
    return _signed(xp, x, _or_infinite(xp, a > top, a, lambda r: r ** (p - 1), 1.0))


def half_square_nearest(xp: Namespace, x: Array, t: Any, p: float) -> Array:
    return x / (1 + t)


def dead_zone_value(xp: Namespace, x: Array) -> Array:
    return _xp.clip(xp, xp.abs(x) - 1, 0.0, None)


def dead_zone_derivative(xp: Namespace, x: Array) -> Array:
    return xp.where(xp.abs(x) <= 1, xp.zeros_like(x), _xp.sign(xp, x))


def dead_zone_interval(xp: Namespace, x: Array) -> tuple[Array, Array]:
    one, zero = xp.ones_like(x), xp.zeros_like(x)
    return (
        xp.where(x > 1, one, xp.where(x <= -1, -one, zero)),
        xp.where(x < -1, -one, xp.where(x >= 1, one, zero)),
    )


def dead_zone_nearest(xp: Namespace, x: Array, t: Any) -> Array:
    r = xp.abs(x)
    return _xp.sign(xp, x) * xp.where(r <= 1, r, xp.where(r <= 1 + t, xp.ones_like(r), r - t))


def capped_absolute_value(xp: Namespace, y: Array) -> Array:
    return xp.abs(y)


def capped_absolute_derivative(xp: Namespace, y: Array) -> Array:
    return _xp.sign(xp, y)


def capped_absolute_interval(xp: Namespace, y: Array) -> tuple[Array, Array]:
    one = xp.ones_like(y)
    infinite = math.inf * one
    low = xp.where(y > 0, one, xp.where(y <= -1, -infinite, -one))
    return low, xp.where(y < 0, -one, xp.where(y >= 1, infinite, one))


def capped_absolute_nearest(xp: Namespace, y: Array, t: Any) -> Array:
    return _xp.sign(xp, y) * _xp.clip(xp, xp.abs(y) - t, 0.0, 1.0)


def log_cosh_value(xp: Namespace, x: Array) -> Array:
    a = xp.abs(x)
    half = xp.sinh(_xp.clip(xp, a, None, 1.0) / 2)
    return xp.where(a < 1, xp.log1p(2 * half * half), a + xp.log1p(xp.exp(-2 * a)) - math.log(2))


def log_cosh_derivative(xp: Namespace, x: Array) -> Array:
    return xp.tanh(x)


def binary_entropy_value(xp: Namespace, y: Array) -> Array:
    """Conjugate of log cosh: ``(1+y)/2 log(1+y) + (1-y)/2 log(1-y)``."""
    a = xp.abs(y)
    small = _xp.clip(xp, a, None, 0.5)
    near = xp.log1p(-small * small) / 2 + small * xp.atanh(small)
    return xp.where(a < 0.5, near, (_xlogx(xp, 1 + a) + _xlogx(xp, 1 - a)) / 2)


def binary_entropy_derivative(xp: Namespace, y: Array) -> Array:
    a = xp.abs(y)
    return _signed(xp, y, _or_infinite(xp, a >= 1, a, xp.atanh, 0.0))


def _signed(xp: Namespace, y: Array, magnitude: Array) -> Array:
    """``sign(y) magnitude`` without ``0 inf``."""
    return xp.where(y < 0, -magnitude, xp.where(y > 0, magnitude, y))


def _pseudo_huber_slope(xp: Namespace, a: Array) -> Array:
    """``(sqrt(1 + a^2) - 1)/a`` for a >= 0."""
    one = xp.ones_like(a)
    small = xp.where(a < 1, a, one)
    large = 1 / xp.where(a < 1, one, a)
    return xp.where(a < 1, small / (1 + xp.sqrt(1 + small * small)), 1 / (large + xp.sqrt(1 + large * large)))


def pseudo_huber_value(xp: Namespace, x: Array) -> Array:
    a = xp.abs(x)
    return a * _pseudo_huber_slope(xp, a)


def pseudo_huber_derivative(xp: Namespace, x: Array) -> Array:
    z = _bounded(xp, x)
    return z / xp.sqrt(1 + z * z)


def semicircle_value(xp: Namespace, y: Array) -> Array:
    """Conjugate of pseudo-Huber: ``1 - sqrt(1 - y^2)``."""
    return y * y / (1 + xp.sqrt((1 - y) * (1 + y)))


def semicircle_derivative(xp: Namespace, y: Array) -> Array:
    a = xp.abs(y)
    return _signed(xp, y, _or_infinite(xp, a >= 1, a, lambda r: r / xp.sqrt((1 - r) * (1 + r)), 0.0))


def softsign_value(xp: Namespace, x: Array) -> Array:
    return _log1p_defect(xp, xp.abs(x))


def softsign_derivative(xp: Namespace, x: Array) -> Array:
    z = _bounded(xp, x)
    return z / (1 + xp.abs(z))


def softsign_nearest(xp: Namespace, x: Array, t: Any) -> Array:
    """Positive root of ``z^2 + z (1 + t - |x|) - |x| = 0``, in the form without cancellation."""
    r = xp.abs(x)
    b = (1 + t - r) / 2
    root = xp.hypot(b, xp.sqrt(r))
    return _xp.sign(xp, x) * xp.where(b > 0, r / xp.where(b > 0, b + root, xp.ones_like(b)), root - b)


def log_barrier_value(xp: Namespace, y: Array) -> Array:
    """Conjugate of softsign: ``-|y| - log(1 - |y|)`` on (-1, 1)."""
    a = xp.abs(y)
    return _or_infinite(xp, a >= 1, a, lambda r: _log1p_defect(xp, -r), 0.0)


def log_barrier_derivative(xp: Namespace, y: Array) -> Array:
    a = xp.abs(y)
    return _signed(xp, y, _or_infinite(xp, a >= 1, a, lambda r: r / (1 - r), 0.0))


def arctan_value(xp: Namespace, x: Array) -> Array:
    a = xp.abs(x)
    cut = _xp.clip(xp, a, None, SATURATED)
    return (2 / math.pi) * (a * xp.atan(a) - xp.log1p(cut * cut) / 2)


def arctan_derivative(xp: Namespace, x: Array) -> Array:
    return (2 / math.pi) * xp.atan(x)


def log_cosine_value(xp: Namespace, y: Array) -> Array:
    """Conjugate of arctan: ``-(2/pi) log cos(pi y/2)`` on (-1, 1)."""
    a = xp.abs(y)
    quarter = xp.sin(math.pi / 4 * _xp.clip(xp, a, None, 0.5))
    near = -xp.log1p(-2 * quarter * quarter)
    far = _or_infinite(xp, a >= 1, a, lambda r: -xp.log(xp.sin(math.pi / 2 * (1 - r))), 0.5)
    return (2 / math.pi) * xp.where(a < 0.5, near, far)


def log_cosine_derivative(xp: Namespace, y: Array) -> Array:
    a = xp.abs(y)
    far = _or_infinite(xp, a >= 1, a, lambda r: 1 / xp.tan(math.pi / 2 * (1 - _xp.clip(xp, r, 0.5, None))), 0.5)
    return _signed(xp, y, xp.where(a < 0.5, xp.tan(math.pi / 2 * _xp.clip(xp, a, None, 0.5)), far))


def asinh_value(xp: Namespace, x: Array) -> Array:
    a = xp.abs(x)
    return a * (xp.asinh(a) - _pseudo_huber_slope(xp, a))


def asinh_derivative(xp: Namespace, x: Array) -> Array:
    return xp.asinh(x)


def _largest(xp: Namespace, x: Array, times: float = 1.0) -> float:
    """Where an exponential reaches ``times`` the largest number of this dtype, but for rounding."""
    return (math.log(float(xp.finfo(x.dtype).max)) + math.log(times)) * (1 - 4 * _xp.eps(x))


def cosh_value(xp: Namespace, y: Array) -> Array:
    def value(a: Array) -> Array:
        half = xp.sinh(a / 2)
        return 2 * half * half

    a = xp.abs(y)
    return _or_infinite(xp, a > _largest(xp, y, 2.0), a, value, 0.0)


def cosh_derivative(xp: Namespace, y: Array) -> Array:
    a, top = xp.abs(y), 0.99 * math.log(float(xp.finfo(y.dtype).max))
    return _signed(xp, y, _or_infinite(xp, a > top, a, xp.sinh, 0.0))


def exp_value(xp: Namespace, x: Array) -> Array:
    return _or_infinite(xp, x > _largest(xp, x), x, xp.exp, 0.0)


def exp_derivative(xp: Namespace, x: Array) -> Array:
    return _or_infinite(xp, x > 0.99 * math.log(float(xp.finfo(x.dtype).max)), x, xp.exp, 0.0)


def entropy_value(xp: Namespace, y: Array) -> Array:
    """Conjugate of exp: ``y log y - y`` for y >= 0, 0 at 0."""
    return y * (xp.log(xp.where(y == 0, xp.ones_like(y), y)) - 1)


def entropy_derivative(xp: Namespace, y: Array) -> Array:
    return -_or_infinite(xp, y <= 0, y, lambda r: -xp.log(r), 1.0)


def softplus_value(xp: Namespace, x: Array) -> Array:
    return _xp.clip(xp, x, 0.0, None) + xp.log1p(xp.exp(-xp.abs(x)))


def softplus_derivative(xp: Namespace, x: Array) -> Array:
    e = xp.exp(-xp.abs(x))
    return xp.where(x < 0, e, xp.ones_like(e)) / (1 + e)


def logistic_entropy_value(xp: Namespace, y: Array) -> Array:
    """Conjugate of softplus: ``y log y + (1-y) log(1-y)`` on [0, 1]."""
    one = xp.ones_like(y)
    return _xlogx(xp, y) + xp.where(y == 1, 0 * one, (1 - y) * xp.log1p(-xp.where(y == 1, 0 * one, y)))


def logistic_entropy_derivative(xp: Namespace, y: Array) -> Array:
    low = _or_infinite(xp, y <= 0, y, lambda r: -xp.log(r), 1.0)
    high = _or_infinite(xp, y >= 1, y, lambda r: -xp.log1p(-r), 0.0)
    return high - low


def berhu_value(xp: Namespace, x: Array) -> Array:
    a = xp.abs(x)
    beyond = _xp.clip(xp, a - 1, 0.0, None)
    return a + beyond * beyond / 2


def berhu_derivative(xp: Namespace, x: Array) -> Array:
    return _xp.sign(xp, x) * _xp.clip(xp, xp.abs(x), 1.0, None)


def berhu_interval(xp: Namespace, x: Array) -> tuple[Array, Array]:
    one, steep = xp.ones_like(x), berhu_derivative(xp, x)
    return xp.where(x == 0, -one, steep), xp.where(x == 0, one, steep)


def berhu_nearest(xp: Namespace, x: Array, t: Any) -> Array:
    r = xp.abs(x)
    return _xp.sign(xp, x) * xp.where(r <= 1 + t, _xp.clip(xp, r - t, 0.0, None), r / (1 + t))


def outer_square_value(xp: Namespace, y: Array) -> Array:
    """Conjugate of berHu: ``max(y^2 - 1, 0)/2``."""
    beyond = _xp.clip(xp, xp.abs(y) - 1, 0.0, None)
    return beyond * (beyond + 2) / 2


def outer_square_derivative(xp: Namespace, y: Array) -> Array:
    return xp.where(xp.abs(y) <= 1, xp.zeros_like(y), y)


def outer_square_interval(xp: Namespace, y: Array) -> tuple[Array, Array]:
    zero, steep = xp.zeros_like(y), outer_square_derivative(xp, y)
    return xp.where(y == -1, -xp.ones_like(y), steep), xp.where(y == 1, xp.ones_like(y), zero + steep)


def outer_square_nearest(xp: Namespace, y: Array, t: Any) -> Array:
    r = xp.abs(y)
    return _xp.sign(xp, y) * xp.where(r <= 1, r, _xp.clip(xp, r / (1 + t), 1.0, None))
