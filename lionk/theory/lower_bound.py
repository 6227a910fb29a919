"""Lower bounds of min F from gradients, and from their averages: the momentum is a certificate."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays import plain
from ..arrays.containers import leaves

CURVED = 1e-3  # f below an average of its tangents by so much, relative to the terms: it is not convex


class Average(NamedTuple):
    """What goes with an average of minus the gradients, ``m = -sum_i w_i g_i``; plain numbers.

    Of many problems at once all but the weight are arrays with an entry for each, and ``xp`` is their library.
    For convex f (smooth or not), any weights ``w_i >= 0`` and ``W = sum_i w_i > 0``,

        ``min F >= (1/W) sum_i w_i (f_i - <g_i, x_i>) - K(m/W)/lam``

    because each ``f(x) >= f_i + <g_i, x - x_i>``; their average, plus ``K*(lam x)/lam``, has this minimum over x
    (derived here). One gradient gives ``F - G/lam``.
    """

    weight: float = 0.0  # W
    offset: Any = 0.0  # sum of w_i (f_i - <g_i, x_i>)
    scale: Any = 0.0  # sum of w_i (|f_i| + |g_i| |x_i| + |K(-g_i)|/lam), which rounding grows with
    steps: Any = 0.0  # how many roundings are in m, seen from now

    def then(self, keep: Any, add: Any, offset: Any, scale: Any) -> Average:
        """Beside ``m' = keep m - add g``, for keep <= 1."""
        return Average(*followed(self, keep, add, offset, scale))

    def bound(self, K_of_m: Any, lam: Any, unit: float, xp: Any = plain) -> Any:
        """The lower bound less its rounding, for ``K_of_m = K(m/W)`` and lam > 0; -inf where there is none."""
        return bound_of(self, K_of_m, lam, unit, xp)

    def bends(self, mx: Any, f: Any, unit: float) -> Any:
        """Is f at x below the average of its tangents, for ``mx = <m/W, x>``? Then it is not convex."""
        return is_bent(self, mx, f, unit)


Numbers = tuple[Any, Any, Any, Any]  # those of an ``Average``: a loop goes without its class


def followed(average: Numbers, keep: Any, add: Any, offset: Any, scale: Any) -> Numbers:
    """``Average.then``"""
    weight, total, terms, steps = average
    weight, total = joined(keep, add, weight, total, offset)
    return weight, total, keep * terms + add * scale, keep * steps + 1


def bound_of(average: Numbers, K_of_m: Any, lam: Any, unit: float, xp: Any = plain) -> Any:
    """``Average.bound``"""
    weight, total, terms, steps = average
    if not weight > 0:
        return -math.inf
    found = below(total / weight, terms / weight, K_of_m / lam, unit * (1 + steps / 8))
    return xp.where(xp.isfinite(found), found, -math.inf)


def is_bent(average: Numbers, mx: Any, f: Any, unit: float) -> Any:
    """``Average.bends``"""
    weight, total, terms, _ = average
    if not weight > 0:
        return False
    return total / weight - mx - f > CURVED * (abs(f) + abs(mx)) + unit * terms / weight


def joined(keep: Any, add: Any, weight: Any, total: Any, offset: Any) -> tuple[Any, Any]:
    """The weight and the offset of an average that a gradient with its own offset joins."""
    return keep * weight + add, keep * total + add * offset


def below(offset: Any, scale: Any, dual: Any, unit: Any) -> Any:
    """The lower bound ``offset - dual`` less its rounding: of one gradient, or of an average."""
    return offset - dual - unit * (scale + abs(dual))


def magnitude(f: Any, gg: Any, xx: Any, K_g: Any, lam: Any, xp: Any = plain) -> Any:
    """``|f| + |g| |x| + |K(-g)|/lam``, which the rounding of a bound grows with; |g|^2 and |x|^2 are given."""
    return abs(f) + xp.sqrt(gg * xx) + abs(K_g) / lam


def tangent(K: Any, x: Any, m: Any, grad: Any, weight: Any) -> tuple[Any, ...]:
    """For the bounds: ``<g, x>``, |g|^2, |x|^2, K(-g), and of the average ``m/weight`` K and ``<., x>``.

    K is bound to arrays like these.
    """
    traits, inner = K.traits, K.inner
    found = inner(grad, x), inner(grad, grad), inner(x, x), K.upper(grad if traits.even else K.scaled(grad, -1.0))
    if weight is None:
        return *found, math.inf, 0.0
    mean = K.upper(m) / weight if traits.homogeneous else K.upper(K.scaled(m, 1 / weight))
    return *found, mean, inner(m, x) / weight


def rounding_unit(K: Any, x: Any, known: float = 0.0) -> float:
    """The relative rounding of the sums and of K that a bound is made of: that of ``gap_rounding``.

    ``(16 + log2 n) eps``, with the factor ``max(rows, cols)`` where K takes singular values, and what K says of its own
    accuracy on top. ``known``: the precision of the numbers of f, where that is less than the precision of x.
    """
    arrays = leaves(x)
    eps = max(known, *(_xp.eps(a) for a in arrays))
    unit = (16 + math.log2(max(sum(math.prod(a.shape) for a in arrays), 2))) * eps
    if "linalg" in K.traits.needs:
        unit *= max((max(a.shape) for a in arrays if a.ndim >= 2), default=1)
    return unit + K.traits.accuracy
