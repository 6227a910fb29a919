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


def within_ball(xp: Namespace, k: Any, radius: float, y: Array, mu: Any = 0.0) -> tuple[list[Array], Array]:
    """``([u, v], s)``: ``u + v + mu s = y``, where s in dK(u) is along v, of a length of at most the radius.

    So ``K(u) + |y - u - v|^2/(2 mu)`` is least; with ``mu = 0`` it is K(u), of u + v = y. They are ``u = prox_{(a +
    mu)K}(y)``, ``s = (y - u)/(a + mu)`` and ``v = a s``, with the largest a at which ``|v| <= radius``, up to rounding;
    s is 0 where there is none. As a grows ``|y - u|`` does not fall and |s| does not rise (Moreau 1965), so that the
    root is not on this side of ``radius/|s|``. Derived here.
    """

    def near(w: Array) -> tuple[Array, Any, Any]:
        a = radius * xp.exp(w)
        a = float(a) if _roots.visible(a) else a
        return k._prox(xp, y, a + mu, 0), a + mu, a / (a + mu)

    def excess(w: Array) -> Array:
        u, _, share = near(w)
        away = share * reductions.norm(xp, y - u, 0)
        room = 4 * _xp.eps(y) * (radius + share * size)
        return xp.log(xp.where(away > 0, away, least)) - xp.log(radius + room)

    size = reductions.norm(xp, y, 0)
    zero = 0 * size
    least = float(xp.finfo(zero.dtype).smallest_normal) + zero
    reach = REACH * math.log(float(xp.finfo(zero.dtype).max))
    start, stop, values = _ends(xp, excess, zero, reach)
    low, high = _roots.bracket(xp, excess, start, stop, 0, values, first=False)
    u, length, share = near(low)
    s = xp.where(_xp.spread(xp, high < reach, y), (y - u) / length, xp.zeros_like(y))
    v = share * (y - u)
    return [u, v * (radius / xp.maximum(reductions.norm(xp, v, 0), radius + zero))], s


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
