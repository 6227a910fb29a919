"""Lower bounds of min F from gradients, and from their averages: the momentum is a certificate."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays.containers import leaves
from ..functions.bound import bound

CURVED = 1e-3  # f below an average of its tangents by so much, relative to the terms: it is not convex


class Average(NamedTuple):
    """What goes with an average of minus the gradients, ``m = -sum_i w_i g_i``; plain numbers.

    For convex f (smooth or not), any weights ``w_i >= 0`` and ``W = sum_i w_i > 0``,

        ``min F >= (1/W) sum_i w_i (f_i - <g_i, x_i>) - K(m/W)/lam``

    because each ``f(x) >= f_i + <g_i, x - x_i>``; their average, plus ``K*(lam x)/lam``, has this minimum over x
    (derived here). One gradient gives ``F - G/lam``.
    """

    weight: float = 0.0  # W
    offset: float = 0.0  # sum of w_i (f_i - <g_i, x_i>)
    scale: float = 0.0  # sum of w_i (|f_i| + |g_i| |x_i| + |K(-g_i)|/lam), which rounding grows with
    steps: float = 0.0  # how many roundings are in m, seen from now

    def then(self, keep: float, add: float, offset: float, scale: float) -> Average:
        """Beside ``m' = keep m - add g``."""
        weight, total, terms, steps = self
        return Average(
            keep * weight + add, keep * total + add * offset, keep * terms + add * scale, min(keep, 1.0) * steps + 1
        )

    def bound(self, K_of_m: float, lam: float, unit: float) -> float:
        """The lower bound less its rounding, for ``K_of_m = K(m/W)``; -inf where there is none."""
        if not (self.weight > 0 and lam > 0 and math.isfinite(K_of_m)):
            return -math.inf
        return below(self.offset / self.weight, self.scale / self.weight, K_of_m / lam, unit * (1 + self.steps / 8))

    def bends(self, mx: float, f: float, unit: float) -> bool:
        """Is f at x below the average of its tangents, for ``mx = <m/W, x>``? Then it is not convex."""
        if not self.weight > 0:
            return False
        above = self.offset / self.weight - mx - f
        return above > CURVED * (abs(f) + abs(mx)) + unit * self.scale / self.weight


def below(offset: float, scale: float, dual: float, unit: float) -> float:
    """The lower bound ``offset - dual`` less its rounding: of one gradient, or of an average."""
    return offset - dual - unit * (scale + abs(dual))


def magnitude(f: float, gg: float, xx: float, K_g: float, lam: float) -> float:
    """``|f| + |g| |x| + |K(-g)|/lam``, which the rounding of a bound grows with; |g|^2 and |x|^2 are given."""
    return abs(f) + math.sqrt(gg * xx) + abs(K_g) / (lam or 1.0)


def tangent(K: Any, x: Any, m: Any, grad: Any, weight: Any) -> tuple[Any, ...]:
    """For the bounds: ``<g, x>``, |g|^2, |x|^2, K(-g), and of the average ``m/weight`` K and ``<., x>``."""
    K = bound(K, x)
    traits = K.traits
    found = K.inner(grad, x), K.inner(grad, grad), K.inner(x, x), K.value(grad if traits.even else K.scaled(grad, -1.0))
    if weight is None:
        return *found, math.inf, 0.0
    mean = K.value(m) / weight if traits.homogeneous else K.value(K.scaled(m, 1 / weight))
    return *found, mean, K.inner(m, x) / weight


def rounding_unit(K: Any, x: Any) -> float:
    """The relative rounding of the sums and of K that a bound is made of: that of ``gap_rounding``.

    ``(16 + log2 n) eps``, with the factor ``max(rows, cols)`` where K takes singular values, and what K says of its own
    accuracy on top.
    """
    arrays = leaves(x)
    eps = max(_xp.eps(a) for a in arrays)
    unit = (16 + math.log2(max(sum(math.prod(a.shape) for a in arrays), 2))) * eps
    if "linalg" in K.traits.needs:
        unit *= max((max(a.shape) for a in arrays if a.ndim >= 2), default=1)
    return unit + K.traits.accuracy
