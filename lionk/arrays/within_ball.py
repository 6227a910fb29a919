"""How a point is divided between a function and a Euclidean ball: one root of a number, in place of a ``splitting``."""

from __future__ import annotations

import math
from typing import Any

from . import namespace as _xp
from . import reductions
from . import roots as _roots
from .namespace import Array, Namespace

REACH = 0.45  # the search is over |log a| up to this share of that of the largest number
STRIDES = 12  # each twice the last: from 1 to beyond any reach


def within_ball(xp: Namespace, k: Any, radius: float, y: Array) -> tuple[list[Array], Array]:
    """``([u, v], s)``: u + v = y with K(u) least over ``|v| <= radius``, and s in dK(u) along v.

    ``u = prox_{aK}(y)`` with the largest a at which ``|y - u| <= radius``, up to rounding, and ``s = (y - u)/a``; it is
    0 where the least value of K is that near. As a grows ``|y - u|`` does not fall and |s| does not rise (Moreau 1965),
    so that the root is not on this side of ``radius/|s|``. Derived here.
    """

    def near(w: Array) -> tuple[Any, Array]:
        a = radius * xp.exp(w)
        a = float(a) if _roots.visible(a) else a
        return a, k._prox(xp, y, a, 0)

    def excess(w: Array) -> Array:
        away = reductions.norm(xp, y - near(w)[1], 0)
        return xp.log(xp.where(away > 0, away, least)) - edge

    zero = 0 * reductions.peak(xp, y, 0)
    least = float(xp.finfo(zero.dtype).smallest_normal) + zero
    edge = xp.log(radius + 4 * _xp.eps(y) * (radius + reductions.norm(xp, y, 0)))
    reach = REACH * math.log(float(xp.finfo(zero.dtype).max))
    start, stop, values = _ends(xp, excess, zero, reach)
    low, high = _roots.bracket(xp, excess, start, stop, 0, values, first=False)
    a, u = near(low)
    v = y - u
    s = xp.where(_xp.spread(xp, high < reach, v), v / a, xp.zeros_like(v))
    away = reductions.norm(xp, v, 0)
    return [u, v * xp.where(away > radius, radius / (away + least), 1 + zero)], s


def _ends(xp: Namespace, excess: _roots.Map, w: Array, reach: float) -> tuple[Array, Array, tuple[Array, Array] | None]:
    """An interval that holds the root, from w on, no wider than it has to be where values can be seen; and the values
    at its ends.
    """
    low, high, value = w - reach, w + reach, excess(w)
    if not _roots.visible(value):
        return low, high, None
    last, before, below = w, value, bool(value < 0)
    for j in range(STRIDES):
        last, before = w, value
        w = xp.minimum(xp.maximum(w - value + (2.0**j if below else -(2.0**j)), low), high)
        value = excess(w)
        if bool(value < 0) != below:
            break
    return (last, w, (before, value)) if below else (w, last, (value, before))
