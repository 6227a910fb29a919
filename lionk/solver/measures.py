"""What is computed of an iterate, in functions that `Backend.numbers` can call as one."""

from __future__ import annotations

import math
from typing import Any

from ..arrays.containers import inner, is_container, scaled, tree_map
from ..functions.bound import bound
from ..theory.lower_bound import tangent
from ..theory.objective import distance_to_domain, gap_rounding, kkt_gap, objective, objective_rounding


def iterate(
    K: Any, x: Any, m: Any, grad: Any, weight: Any, slack: Any, *, lam: float
) -> tuple[Any, ...]:  # fmt: skip
    """K*(lam x), and the numbers of ``tangent``: F, the gap and the lower bounds are sums of them."""
    K = bound(K, x)
    return K.conjugate.value(K.scaled(x, lam), slack), *tangent(K, x, m, grad, weight)


def neighbours(
    K: Any, x: Any, m: Any, grad: Any, before: Any, grad_before: Any, slack: Any, *, lam: float
) -> tuple[Any, ...]:  # fmt: skip
    """``iterate`` with m an average; then, from the point before, |g-g'|^2, <g, x'-x> and |x-x'|^2."""
    K = bound(K, x)
    found = iterate(K, x, m, grad, 1.0, slack, lam=lam)
    if before is None:
        return *found, 0.0, 0.0, 0.0
    dg, dx = difference(grad, grad_before), difference(before, x)
    return *found, K.inner(dg, dg), K.inner(grad, dx), K.inner(dx, dx)


def turned(anchor: Any, x: Any, before: Any) -> tuple[Any]:
    """``<y - x', x' - x>``: > 0 where the momentum points against the step."""
    return (inner(difference(anchor, x), difference(x, before)),)


def reach(K: Any, x: Any, grad: Any, *, lam: float) -> tuple[Any, Any, Any]:
    """|g|^2, how far it is from x to the point that -g selects, squared, and |x|^2."""
    way = selected(K, x, grad, lam)
    return inner(grad, grad), inner(way, way), inner(x, x)


def selected(K: Any, x: Any, grad: Any, lam: Any) -> Any:
    """From x to the point that -g selects: ``dK(-g)/lam - x``."""
    return tree_map(lambda a, b: a / lam - b, K.subgradient(scaled(grad, -1.0)), x)


def conjugate(K: Any, x: Any, slack: Any, *, lam: float) -> tuple[Any]:
    return (K.conjugate.value(scaled(x, lam), slack),)


def value(K: Any, x: Any) -> tuple[Any]:
    return (K.value(x),)


def distance(K: Any, x: Any, *, lam: float) -> tuple[Any]:
    return (distance_to_domain(K, x, lam),)


def membership(K: Any, x: Any, slack: Any, *, lam: float) -> tuple[Any, Any]:
    domain, y = K.conjugate.domain, scaled(x, lam)
    return domain.contains(y, 0.0), domain.contains(y, slack)


def final(K: Any, f: Any, x: Any, grad: Any, *, lam: float) -> tuple[Any, ...]:
    """F, the gap, its rounding, the distance to the constraint, and what cancelling terms of F can hide."""
    F, away = objective(K, f, x, lam), distance_to_domain(K, x, lam) if lam else 0.0
    if grad is None:
        return F, math.nan, math.nan, away, 0.0
    gap, rounding = kkt_gap(K, x, grad, lam) / (lam or 1.0), gap_rounding(K, x, grad, lam) / (lam or 1.0)
    return F, gap, rounding, away, objective_rounding(K, x, lam) if lam else 0.0


def difference(a: Any, b: Any) -> Any:
    return tree_map(lambda s, t: s - t, a, b) if is_container(a) else a - b
