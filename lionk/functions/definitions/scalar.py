"""Functions of one variable, summed over all entries: the scalar definitions and what turns a pair of them into a K.

Each function is given by its value and derivative; its conjugate is another such function. Widths come from the rule
``widen``: ``delta phi(x/delta)``. Formulas are standard (Boyd and Vandenberghe 2004, 3.3) and written here so that
no digits are lost at small x and no square overflows at large x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import roots as _roots
from ...arrays.namespace import Array, Namespace
from ...arrays.value import Value
from ...errors import NotAvailable
from ...sets.atoms import Box, Whole
from ...sets.base import ConvexSet
from ..base import ArrayFunction, ConvexFunction, Traits, outside_is_infinite

SATURATED = 1e18  # beyond 1/eps of every dtype: x/(1+x) and the like are 1 there; its square is finite in float32


@dataclass(eq=False, repr=False)
class Scalar(Value):
    """A convex function phi of one real variable.

    value, derivative : ``f(xp, x, *parameters)``, entry by entry, for x in the closed interval [low, high]; the
        derivative is the least-norm one at kinks, and infinite where the subdifferential is empty.
    interval : ``f(xp, x, *parameters) -> (lo, hi)``, the subdifferential where it is not one number (None: smooth).
    nearest : ``f(xp, x, t, *parameters)``, the proximal operator, where it is closed (None: found by bisection).
    open : phi is infinite at a finite end of the interval.
    smooth : False where there are kinks and no ``interval``. numeric : found by bisection, as is the proximal operator.
    """

    name: str
    value: Callable[..., Array]
    derivative: Callable[..., Array]
    low: float = -math.inf
    high: float = math.inf
    open: bool = False
    even: bool = True
    minimum_at_zero: bool | None = True
    interval: Callable[..., tuple[Array, Array]] | None = None
    nearest: Callable[..., Array] | None = None
    parameters: tuple[float, ...] = ()
    smooth: bool = True
    numeric: bool = False
    accuracy: float = 0.0

    def __repr__(self) -> str:
        return f"Scalar({', '.join([self.name, *map(repr, self.parameters)])})"

    @property
    def finite(self) -> bool:
        return self.low == -math.inf and self.high == math.inf


@dataclass(eq=False, repr=False)
class Separable(ArrayFunction):
    """``K(x) = sum_i phi(x_i)``, with the conjugate pair (phi, phi*). Complex entries (phi even): ``phi(|x_i|)``."""

    phi: Scalar
    dual: Scalar

    def _polar(self, xp: Namespace, x: Array) -> bool:
        if _xp.is_complex(xp, x) and not self.phi.even:
            raise TypeError(f"{self.phi.name} is not even, so it has no meaning for complex entries; use a real array")
        return _xp.is_complex(xp, x)

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        phi, r = self.phi, xp.abs(x) if self._polar(xp, x) else x
        if phi.finite:
            return _xp.total(xp, phi.value(xp, r, *phi.parameters), batch)
        inside = _xp.total(xp, phi.value(xp, xp.clip(r, phi.low, phi.high), *phi.parameters), batch)
        violation, scale = self.domain._violation(xp, r, batch), self.domain._scale(xp, r)
        return outside_is_infinite(xp, inside, violation, tol * scale)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        phi = self.phi
        if self._polar(xp, x):
            return _xp.sign(xp, x) * phi.derivative(xp, xp.abs(x), *phi.parameters)
        z = x if phi.finite else xp.clip(x, phi.low, phi.high)
        s = phi.derivative(xp, z, *phi.parameters)
        if self.dual.open:  # rounding must not reach the boundary, where K* is infinite
            ends, least = (self.dual.low, self.dual.high), float(xp.finfo(x.dtype).smallest_normal)
            low, high = (max(2 * _xp.eps(xp, x) * abs(e), least) if math.isfinite(e) else 0.0 for e in ends)
            s = xp.clip(s, ends[0] + low, ends[1] - high)
        return s

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        phi = self.phi
        if self._polar(xp, x):
            return _xp.sign(xp, x) * self._prox(xp, xp.abs(x), t, batch)
        if phi.nearest is not None:
            return phi.nearest(xp, x, t, *phi.parameters)
        if phi.numeric or not phi.finite:  # Moreau: through the conjugate, which is finite everywhere
            return x - t * self.conjugate._prox(xp, x / t, 1 / t, batch)
        return _roots.resolvent(xp, lambda z: phi.derivative(xp, z, *phi.parameters), x, t)

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        if self.phi.interval is None or _xp.is_complex(xp, x):
            return super()._subdifferential_distance(xp, x, s, batch)
        low, high = self.phi.interval(xp, x, *self.phi.parameters)
        return _xp.norm(xp, s - xp.clip(s, low, high), batch)

    def _dual(self) -> ConvexFunction:
        return Separable(self.dual, self.phi, conjugate=self)

    def _domain(self) -> ConvexSet:
        return Whole() if self.phi.finite else Box(self.phi.low, self.phi.high)

    def _traits(self) -> Traits:
        return Traits(
            even=self.phi.even,
            absolute=self.phi.even,
            smooth=self.phi.smooth and self.phi.interval is None,
            selection="min_norm" if self.phi.smooth or self.phi.numeric else "composed",
            accuracy=self.phi.accuracy,
            bounded_domain=math.isfinite(self.dual.low) and math.isfinite(self.dual.high),
            open_domain=self.dual.open,
            structure="elementwise",
            minimum_at_zero=self.phi.minimum_at_zero,
        )

    def _spec(self) -> dict[str, Any]:
        if self.phi.name in (*PAIRS, "power"):
            return {"name": self.phi.name, **({"p": self.phi.parameters[0]} if self.phi.parameters else {})}
        if self.dual.name in (*PAIRS, "power"):
            return {"name": "conjugate", "K": self.conjugate._spec()}
        raise NotAvailable(
            f"{self.phi.name} is made of Python functions; register it (lionk.register) to give it a spec"
        )


# -- numerically careful pieces ------------------------------------------------------------------------------


def _or_infinite(xp: Namespace, bad: Array, like: Array, f: Callable[[Array], Array], safe: float) -> Array:
    """``f(like)``, with ``+inf`` where ``bad`` (f is not called there, so that no library warns)."""
    return xp.where(bad, math.inf * xp.ones_like(like), f(xp.where(bad, safe * xp.ones_like(like), like)))


def _xlogx(xp: Namespace, y: Array) -> Array:
    zero = y == 0
    return xp.where(zero, xp.zeros_like(y), y * xp.log(xp.where(zero, xp.ones_like(y), y)))


def _bounded(xp: Namespace, x: Array) -> Array:
    """x cut to where saturating functions have saturated."""
    return xp.clip(x, -SATURATED, SATURATED)


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


def _power(p: float) -> Scalar:
    nearest = half_square_nearest if p == 2 else None
    return Scalar("power", power_value, power_derivative, nearest=nearest, parameters=(p,))


def dead_zone_value(xp: Namespace, x: Array) -> Array:
    return xp.clip(xp.abs(x) - 1, 0.0, None)


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
    return _xp.sign(xp, y) * xp.clip(xp.abs(y) - t, 0.0, 1.0)


def log_cosh_value(xp: Namespace, x: Array) -> Array:
    a = xp.abs(x)
    half = xp.sinh(xp.clip(a, None, 1.0) / 2)
    return xp.where(a < 1, xp.log1p(2 * half * half), a + xp.log1p(xp.exp(-2 * a)) - math.log(2))


def log_cosh_derivative(xp: Namespace, x: Array) -> Array:
    return xp.tanh(x)


def binary_entropy_value(xp: Namespace, y: Array) -> Array:
    """Conjugate of log cosh: ``(1+y)/2 log(1+y) + (1-y)/2 log(1-y)``."""
    a = xp.abs(y)
    small = xp.clip(a, None, 0.5)
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
    cut = xp.clip(a, None, SATURATED)
    return (2 / math.pi) * (a * xp.atan(a) - xp.log1p(cut * cut) / 2)


def arctan_derivative(xp: Namespace, x: Array) -> Array:
    return (2 / math.pi) * xp.atan(x)


def log_cosine_value(xp: Namespace, y: Array) -> Array:
    """Conjugate of arctan: ``-(2/pi) log cos(pi y/2)`` on (-1, 1)."""
    a = xp.abs(y)
    quarter = xp.sin(math.pi / 4 * xp.clip(a, None, 0.5))
    near = -xp.log1p(-2 * quarter * quarter)
    far = _or_infinite(xp, a >= 1, a, lambda r: -xp.log(xp.sin(math.pi / 2 * (1 - r))), 0.5)
    return (2 / math.pi) * xp.where(a < 0.5, near, far)


def log_cosine_derivative(xp: Namespace, y: Array) -> Array:
    a = xp.abs(y)
    far = _or_infinite(xp, a >= 1, a, lambda r: 1 / xp.tan(math.pi / 2 * (1 - xp.clip(r, 0.5, None))), 0.5)
    return _signed(xp, y, xp.where(a < 0.5, xp.tan(math.pi / 2 * xp.clip(a, None, 0.5)), far))


def asinh_value(xp: Namespace, x: Array) -> Array:
    a = xp.abs(x)
    return a * (xp.asinh(a) - _pseudo_huber_slope(xp, a))


def asinh_derivative(xp: Namespace, x: Array) -> Array:
    return xp.asinh(x)


def cosh_value(xp: Namespace, y: Array) -> Array:
    half = xp.sinh(y / 2)
    return 2 * half * half


def cosh_derivative(xp: Namespace, y: Array) -> Array:
    a, top = xp.abs(y), 0.99 * math.log(float(xp.finfo(y.dtype).max))
    return _signed(xp, y, _or_infinite(xp, a > top, a, xp.sinh, 0.0))


def exp_value(xp: Namespace, x: Array) -> Array:
    return xp.exp(x)


def exp_derivative(xp: Namespace, x: Array) -> Array:
    return _or_infinite(xp, x > 0.99 * math.log(float(xp.finfo(x.dtype).max)), x, xp.exp, 0.0)


def entropy_value(xp: Namespace, y: Array) -> Array:
    """Conjugate of exp: ``y log y - y`` for y >= 0, 0 at 0."""
    return y * (xp.log(xp.where(y == 0, xp.ones_like(y), y)) - 1)


def entropy_derivative(xp: Namespace, y: Array) -> Array:
    return -_or_infinite(xp, y <= 0, y, lambda r: -xp.log(r), 1.0)


def softplus_value(xp: Namespace, x: Array) -> Array:
    return xp.clip(x, 0.0, None) + xp.log1p(xp.exp(-xp.abs(x)))


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


PAIRS: dict[str, tuple[Scalar, Scalar]] = {
    "dead_zone": (
        Scalar(
            "dead_zone", dead_zone_value, dead_zone_derivative, interval=dead_zone_interval, nearest=dead_zone_nearest
        ),
        Scalar(
            "capped_absolute",
            capped_absolute_value,
            capped_absolute_derivative,
            -1.0,
            1.0,
            interval=capped_absolute_interval,
            nearest=capped_absolute_nearest,
        ),
    ),
    "log_cosh": (
        Scalar("log_cosh", log_cosh_value, log_cosh_derivative),
        Scalar("binary_entropy", binary_entropy_value, binary_entropy_derivative, -1.0, 1.0),
    ),
    "pseudo_huber": (
        Scalar("pseudo_huber", pseudo_huber_value, pseudo_huber_derivative),
        Scalar("semicircle", semicircle_value, semicircle_derivative, -1.0, 1.0),
    ),
    "softsign": (
        Scalar("softsign", softsign_value, softsign_derivative, nearest=softsign_nearest),
        Scalar("log_barrier", log_barrier_value, log_barrier_derivative, -1.0, 1.0, open=True),
    ),
    "arctan": (
        Scalar("arctan", arctan_value, arctan_derivative),
        Scalar("log_cosine", log_cosine_value, log_cosine_derivative, -1.0, 1.0, open=True),
    ),
    "asinh": (Scalar("asinh", asinh_value, asinh_derivative), Scalar("cosh", cosh_value, cosh_derivative)),
    "exp": (
        Scalar("exp", exp_value, exp_derivative, even=False, minimum_at_zero=False),
        Scalar("entropy", entropy_value, entropy_derivative, 0.0, even=False, minimum_at_zero=False),
    ),
    "softplus": (
        Scalar("softplus", softplus_value, softplus_derivative, even=False, minimum_at_zero=False),
        Scalar(
            "logistic_entropy",
            logistic_entropy_value,
            logistic_entropy_derivative,
            0.0,
            1.0,
            even=False,
            minimum_at_zero=False,
        ),
    ),
}


def scalar(name: str) -> ArrayFunction:
    """The function of this name, of width 1."""
    return Separable(*PAIRS[name])


def power(p: float = 1.5) -> ArrayFunction:
    """``sum |x_i|^p / p``, p > 1; conjugate ``sum |y_i|^q / q`` with 1/p + 1/q = 1."""
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 1 < p < math.inf:
        raise ValueError(f"power needs a finite exponent p > 1, got {p!r}; p = 1 is l1")
    return Separable(_power(float(p)), _power(2.0 if p == 2 else p / (p - 1)))
