"""What is computed of an iterate, in functions that `Backend.numbers` can call as one."""

from __future__ import annotations

import math
from typing import Any

from ..theory.lyapunov import lyapunov
from ..theory.objective import distance_to_domain, gap_rounding, kkt_gap, objective, scaled


def values(K: Any, f: Any, x: Any, m: Any, grad: Any, c: Any, slack: Any, *, lam: float) -> tuple[Any, ...]:
    """Gap, F and H."""
    H = math.inf if c is None else lyapunov(K, f, x, m, lam, c, slack)
    return kkt_gap(K, x, grad, lam, slack) / (lam or 1.0), objective(K, f, x, lam, slack), H


def distance(K: Any, x: Any, *, lam: float) -> tuple[Any]:
    return (distance_to_domain(K, x, lam),)


def membership(K: Any, x: Any, slack: Any, *, lam: float) -> tuple[Any, Any]:
    domain, y = K.conjugate.domain, scaled(x, lam)
    return domain.contains(y, 0.0), domain.contains(y, slack)


def final(K: Any, f: Any, x: Any, grad: Any, *, lam: float) -> tuple[Any, ...]:
    """F, the gap, its rounding, and the distance to the constraint."""
    F, away = objective(K, f, x, lam), distance_to_domain(K, x, lam) if lam else 0.0
    if grad is None:
        return F, math.nan, math.nan, away
    return F, kkt_gap(K, x, grad, lam) / (lam or 1.0), gap_rounding(K, x, grad, lam) / (lam or 1.0), away
