"""What is computed of an iterate, in functions that `Backend.numbers` can call as one."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays.containers import inner, is_container, scaled, tree_map
from ..functions.bound import bound
from ..theory.lower_bound import below, magnitude, tangent
from ..theory.objective import distance_to_domain, gap_rounding, kkt_gap, objective, objective_rounding


def iterate(
    K: Any, x: Any, m: Any, grad: Any, weight: Any, slack: Any, *, lam: float
) -> tuple[Any, ...]:  # fmt: skip
    """K*(lam x), and the numbers of ``tangent``: F, the gap and the lower bounds are sums of them."""
    K = bound(K, x)
    return K.conjugate.value(K.scaled(x, lam), slack), *tangent(K, x, m, grad, weight)


def iterates(
    K: Any, x: Any, m: Any, grad: Any, f: Any, weight: Any, slack: Any, *, lam: float, unit: float
) -> tuple[Any, ...]:  # fmt: skip
    """``seen`` of a stack of iterates, in the dtype of f, for a K that is bound to stacks."""
    xp = _xp.kind(f).xp
    numbers = iterate(K, x, m, grad, weight, slack, lam=lam)
    if weight is None:
        numbers = *numbers[:5], f - f - math.inf, 0.0 * f
    return seen(xp, f, tuple(_xp.astype(xp, v, f.dtype) for v in numbers), lam, unit)


def seen(xp: Any, f: Any, numbers: tuple[Any, ...], lam: float, unit: float) -> tuple[Any, ...]:
    """From those of ``iterate``: F, the gap, the rounding of F; the offset, scale and lower bound of the tangent; and K
    and <., x> of the average.
    """
    dual, gx, gg, xx, K_g, K_m, mx = numbers
    if not lam:
        return f, K_g + dual, unit * (2 * abs(f) + abs(f)), 0.0 * f, 0.0 * f, f - math.inf, K_m, mx
    F, offset, scale = f + dual / lam, f - gx, magnitude(f, gg, xx, K_g, lam, xp)
    rounding = xp.where(F < math.inf, unit * (2 * abs(f) + abs(F)), 0.0)
    return F, (K_g + dual) / lam + gx, rounding, offset, scale, below(offset, scale, K_g / lam, unit), K_m, mx


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


def modelled(K: Any, x: Any, anchor: Any, grad: Any, slack: Any, *, lam: float) -> tuple[Any, Any, Any]:
    """K*(lam x), ``<g, x - y>`` and ``|x - y|^2``, from an anchor y with its gradient g."""
    way = difference(x, anchor)
    return *conjugate(K, x, slack, lam=lam), inner(grad, way), inner(way, way)


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


def upper(K: Any, x: Any) -> tuple[Any]:
    return (bound(K, x).upper(x),)


def distance(K: Any, x: Any, *, lam: float) -> tuple[Any]:
    return (distance_to_domain(K, x, lam),)


def distances(K: Any, x: Any, *, lam: float) -> tuple[Any]:
    """``distance`` of a stack, for a K that is bound to stacks."""
    return (K.conjugate.distance(K.scaled(x, lam)),)


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
