"""Proximal points of what is far away, where a difference of two long arrays has lost the digits of a short one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import reductions
from .namespace import Array, Namespace, device, eps, has_loop, looped, spread, visible

BITS = 4

SHORTER = 2.0**-BITS  # so long is each step in units of the one before


def from_afar(
    xp: Namespace, prox: Callable[[Array, Any], Array], x: Array, limit: Callable[[], Array], batch: int
) -> Array:
    """``p = prox(x, 1)``, with ``prox(x, a)`` the proximal operator of ``a K`` up to rounding relative to x.

    Where p is far shorter than x, that rounding is all that is seen of it. But p is ``prox(p + a (x - p), a)`` too, for
    each a in (0, 1]: what is rounded there is as short as p once a is about ``|p|/|x|``. So p is found again with
    shorter and shorter steps. Each of them forgets the errors of the one before in all directions in which K is curved;
    in the others an error of p changes K, and the envelope of K*, by less than their rounding. Where no digit of p is
    left, it is ``limit()``, a subgradient of K* at x, which is p for an x that is less than its rounding away. Derived
    here. On lazy arrays and accelerators, where each of these steps would be made whether p is short or not, p stays as
    ``prox`` gives it.
    """
    p = prox(x, 1.0)
    if not (visible(p) or has_loop(p)):
        return p
    far = reductions.peak(xp, x, batch)
    shorter = SHORTER * far > reductions.peak(xp, p, batch)
    if reductions.none(shorter):
        return p
    end = limit()
    lost = shorter & (reductions.peak(xp, end, batch) <= eps(x) * far)

    def short(p: Array, a: Any) -> Array:
        return (a * far > reductions.peak(xp, p, batch)) & ~lost

    def again(state: tuple[Any, ...]) -> tuple[Any, ...]:
        p, a = state
        found = prox(p + a * (x - p), a)
        return xp.where(spread(xp, short(p, a), p) & xp.isfinite(found), found, p), a * SHORTER

    a: Any = SHORTER
    if not visible(p):
        a = xp.full((), a, dtype=far.dtype, device=device(far))
        p, _ = looped(again, (p, a), int(-math.log2(eps(x)) / BITS))
    else:
        while a > eps(x) and not reductions.none(short(p, a)):
            p, a = again((p, a))
    return xp.where(spread(xp, lost, p), end, p)
