"""Functions of one variable, summed over all entries: the scalar definitions and what turns a pair of them into a K.

Each function is given by its value and derivative; its conjugate is another such function. Widths come from the rule
``widen``: ``delta phi(x/delta)``. The formulas are in ``formulas``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions, resolvents
from ...arrays.namespace import Array, Namespace
from ...arrays.value import Value, value_class
from ...errors import NotAvailable
from ...sets.base import ConvexSet
from ...sets.box import Box, Whole
from ..array_function import ArrayFunction, outside_is_infinite
from ..base import ConvexFunction, Traits
from . import formulas as f


@value_class
class Scalar(Value):
    """A convex function phi of one real variable.

    value, derivative : ``f(xp, x, *parameters)``, entry by entry, for x in the closed interval [low, high]; the
        derivative is the least-norm one at kinks, and infinite where the subdifferential is empty.
    interval : ``f(xp, x, *parameters) -> (lo, hi)``, the subdifferential where it is not one number (None: smooth).
    nearest : ``f(xp, x, t, *parameters)``, the proximal operator, where it is closed (None: found by bracketing).
    curvature : ``f(xp, x, *parameters)`` for x >= 0, the second derivative of an even phi whose derivative is concave
        there: with it the proximal operator is found by Newton's method.
    open : phi is infinite at a finite end of the interval.
    smooth : False where there are kinks and no ``interval``. numeric : found by bracketing, like the prox.
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
    curvature: Callable[..., Array] | None = None
    parameters: tuple[float, ...] = ()
    smooth: bool = True
    numeric: bool = False
    accuracy: float = 0.0

    def __repr__(self) -> str:
        return f"Scalar({', '.join([self.name, *map(repr, self.parameters)])})"

    @property
    def finite(self) -> bool:
        return self.low == -math.inf and self.high == math.inf


@value_class
class Separable(ArrayFunction):
    """``K(x) = sum_i phi(x_i)``, with the conjugate pair (phi, phi*). Complex entries (phi even): ``phi(|x_i|)``."""

    phi: Scalar
    dual: Scalar

    def _polar(self, xp: Namespace, x: Array) -> bool:
        if _xp.is_complex(x) and not self.phi.even:
            raise TypeError(f"{self.phi.name} is not even, so it has no meaning for complex entries; use a real array")
        return _xp.is_complex(x)

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        phi, r = self.phi, xp.abs(x) if self._polar(xp, x) else x
        if phi.finite:
            return reductions.total(xp, phi.value(xp, r, *phi.parameters), batch)
        inside = reductions.total(xp, phi.value(xp, _xp.clip(xp, r, phi.low, phi.high), *phi.parameters), batch)
        violation, scale = self.domain._violation(xp, r, batch), self.domain._scale(xp, r, batch)
        return outside_is_infinite(xp, inside, violation, tol * scale)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        phi = self.phi
        if self._polar(xp, x):
            return _xp.sign(xp, x) * phi.derivative(xp, xp.abs(x), *phi.parameters)
        z = x if phi.finite else _xp.clip(xp, x, phi.low, phi.high)
        s = phi.derivative(xp, z, *phi.parameters)
        if self.dual.open:  # rounding must not reach the boundary, where K* is infinite
            ends, least = (self.dual.low, self.dual.high), float(xp.finfo(x.dtype).smallest_normal)
            low, high = (max(2 * _xp.eps(x) * abs(e), least) if math.isfinite(e) else 0.0 for e in ends)
            s = _xp.clip(xp, s, ends[0] + low, ends[1] - high)
        return s

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        phi = self.phi
        if self._polar(xp, x):
            return _xp.sign(xp, x) * self._prox(xp, xp.abs(x), t, batch)
        if phi.nearest is not None:
            return phi.nearest(xp, x, t, *phi.parameters)
        if phi.numeric or not phi.finite:  # Moreau: through the conjugate, which is finite everywhere
            z = self.conjugate._prox(xp, x / t, 1 / t, batch)
            near = x - t * z
            if self.conjugate.traits.smooth:  # where that is the small difference of large numbers: near = phi*'(z)
                lost = t * xp.abs(z) > 1e3 * xp.abs(near)
                near = xp.where(lost, self.conjugate._subgradient(xp, z, batch), near)
            return near if phi.finite else _xp.clip(xp, near, phi.low, phi.high)
        slope = partial(phi.derivative, xp)
        if phi.curvature is not None:  # of no parameters
            return resolvents.concave_resolvent(xp, slope, partial(phi.curvature, xp), x, t)
        return resolvents.resolvent(xp, lambda z: slope(z, *phi.parameters), x, t)

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        if self.phi.interval is None or _xp.is_complex(x):
            return super()._subdifferential_distance(xp, x, s, batch)
        low, high = self.phi.interval(xp, x, *self.phi.parameters)
        return reductions.norm(xp, s - _xp.clip(xp, s, low, high), batch)

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


def _power_nearest(xp: Namespace, x: Array, t: Any, p: float) -> Array:
    return _xp.sign(xp, x) * resolvents.power_root(xp, xp.abs(x), 1.0, t, p - 1)


def _power(p: float) -> Scalar:
    nearest = f.half_square_nearest if p == 2 else _power_nearest
    return Scalar("power", f.power_value, f.power_derivative, nearest=nearest, parameters=(p,))


PAIRS: dict[str, tuple[Scalar, Scalar]] = {
    "dead_zone": (
        Scalar(
            "dead_zone",
            f.dead_zone_value,
            f.dead_zone_derivative,
            interval=f.dead_zone_interval,
            nearest=f.dead_zone_nearest,
        ),
        Scalar(
            "capped_absolute",
            f.capped_absolute_value,
            f.capped_absolute_derivative,
            -1.0,
            1.0,
            interval=f.capped_absolute_interval,
            nearest=f.capped_absolute_nearest,
        ),
    ),
    "berhu": (
        Scalar("berhu", f.berhu_value, f.berhu_derivative, interval=f.berhu_interval, nearest=f.berhu_nearest),
        Scalar(
            "outer_square",
            f.outer_square_value,
            f.outer_square_derivative,
            interval=f.outer_square_interval,
            nearest=f.outer_square_nearest,
        ),
    ),
    "log_cosh": (
        Scalar(
            "log_cosh",
            f.log_cosh_value,
            f.log_cosh_derivative,
            curvature=lambda xp, x: (1 / xp.cosh(_xp.clip(xp, x, None, 80.0))) ** 2,
        ),
        Scalar("binary_entropy", f.binary_entropy_value, f.binary_entropy_derivative, -1.0, 1.0),
    ),
    "pseudo_huber": (
        Scalar(
            "pseudo_huber",
            f.pseudo_huber_value,
            f.pseudo_huber_derivative,
            curvature=lambda xp, x: (1 / xp.hypot(xp.ones_like(x), x)) ** 3,
        ),
        Scalar("semicircle", f.semicircle_value, f.semicircle_derivative, -1.0, 1.0),
    ),
    "softsign": (
        Scalar("softsign", f.softsign_value, f.softsign_derivative, nearest=f.softsign_nearest),
        Scalar("log_barrier", f.log_barrier_value, f.log_barrier_derivative, -1.0, 1.0, open=True),
    ),
    "arctan": (
        Scalar(
            "arctan",
            f.arctan_value,
            f.arctan_derivative,
            curvature=lambda xp, x: (2 / math.pi) * (1 / xp.hypot(xp.ones_like(x), x)) ** 2,
        ),
        Scalar("log_cosine", f.log_cosine_value, f.log_cosine_derivative, -1.0, 1.0, open=True),
    ),
    "asinh": (
        Scalar("asinh", f.asinh_value, f.asinh_derivative, curvature=lambda xp, x: 1 / xp.hypot(xp.ones_like(x), x)),
        Scalar("cosh", f.cosh_value, f.cosh_derivative, nearest=resolvents.sinh_resolvent),
    ),
    "exp": (
        Scalar(
            "exp",
            f.exp_value,
            f.exp_derivative,
            even=False,
            minimum_at_zero=False,
            nearest=resolvents.exponential_resolvent,
        ),
        Scalar("entropy", f.entropy_value, f.entropy_derivative, 0.0, even=False, minimum_at_zero=False),
    ),
    "softplus": (
        Scalar(
            "softplus",
            f.softplus_value,
            f.softplus_derivative,
            even=False,
            minimum_at_zero=False,
            nearest=resolvents.logistic_resolvent,
        ),
        Scalar(
            "logistic_entropy",
            f.logistic_entropy_value,
            f.logistic_entropy_derivative,
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
