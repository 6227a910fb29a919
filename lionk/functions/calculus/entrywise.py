"""A sum of functions of one number, entry by entry: its proximal point, and the split of its conjugate, by a root."""

from __future__ import annotations

from typing import Any

from ...arrays import namespace as _xp
from ...arrays import resolvents
from ...arrays import roots as _roots
from ...arrays.namespace import Array, Namespace
from ...sets.box import Whole


def nearest(xp: Namespace, k: Any, x: Array, t: Any) -> Array:
    """``prox_{t k}(x)`` of a sum k."""
    if _xp.is_complex(x):
        return _xp.sign(xp, x) * nearest(xp, k, xp.abs(x), t)

    if isinstance(k.domain, Whole):
        kinked, other = (k.second, k.first) if k.first.traits.smooth else (k.first, k.second)

        def near(z: Array) -> Array:
            return kinked._prox(xp, x - t * other._subgradient(xp, z, 0), t, 0)

        once = near if other.traits.smooth and not kinked.traits.smooth and kinked.traits.prox else None
        return resolvents.resolvent(xp, lambda z: k._subgradient(xp, z, 0), x, t, once)

    def inside(z: Array) -> Array:
        return k.domain._project(xp, z, 0)

    def slope(z: Array) -> Array:
        return k._subgradient(xp, inside(z), 0)

    edge = centre = inside(xp.zeros_like(x))
    into = -xp.sign(slope(edge))
    for halvings in range(10):  # to where the slope is finite: at the end of an entropy it is not
        centre = xp.where(xp.isinf(slope(centre)), inside(edge + into * 2.0**-halvings), centre)
    return inside(centre + resolvents.resolvent(xp, lambda z: slope(centre + z), x - centre, t))


def ends(xp: Namespace, k: Any, y: Array) -> tuple[Array, Array]:
    """An interval that holds the x of least modulus with y in ``d(K1* + K2*)(x)``, entry by entry."""
    r = xp.abs(y) if _xp.is_complex(y) else y
    return _roots.preimage(xp, lambda x: k.conjugate._subgradient(xp, x, 0), r)


def between(xp: Namespace, k: Any, y: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """The u of a split: both parts lie between the subgradients at the two ends, so both are in their domains.

    And what the value is larger by where they do not reach y.
    """
    if _xp.is_complex(y):
        u, beyond = between(xp, k, xp.abs(y), low, high)
        return _xp.sign(xp, y) * u, beyond
    before, after = ([part.conjugate._subgradient(xp, e, 0) for part in (k.first, k.second)] for e in (low, high))
    least, most = sum(before), sum(after)
    w = _roots.share(xp, least, most, y)
    return before[0] + w * (after[0] - before[0]), _roots.beyond(xp, least, most, y, xp.abs(least) + xp.abs(most))
