"""An L for each entry of x, where f is far steeper in some of them than in others.

With ``d > 0`` of the shape of x, and ``K_y* = K* + (1/(2 lam)) sum_i L d_i (. - lam y_i)^2``, the step

    x' = argmin_z <g, z> + (L/2) sum_i d_i (z_i - y_i)^2 + K*(lam z)/lam

is one prox for each entry, if K is a sum over entries. d is the diagonal of what neighbours show of the Hessian: the
sum of ``(g - g')_i^2 / (2 (f' - f - <g, y' - y>))``, which over conjugate directions of a quadratic f is that of the
Hessian. It goes with the units of x: where ``x_i`` is written as ``c x_i``, ``d_i`` becomes ``d_i/c^2``, and the step
is the same one. So the columns of a table need no common scale. Derived here.
"""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.containers import leaves, tree_map
from ..functions.bound import Bound, BoundBlocks

DUE = 20  # evaluations after which d is looked at first; then after twice as many, and so on
UNEVEN = 2.5  # it is taken where the standard deviation of log d is larger: by chance it is 1 to 2,
FAR = math.log(1e6)  # or where log d ranges over more, by one entry perhaps
LEAST = 1.25  # the smallest d is this power of eps, and the largest is 1


def possible(K: Any) -> bool:
    """Has the prox of K*, which is bound, a step for each entry?"""
    parts = leaves(K.tree) if isinstance(K, BoundBlocks) else [K]
    return all(isinstance(k, Bound) and not k.kind.low and _sums(k.K) for k in parts)


def _sums(k: Any) -> bool:
    return bool(k.by_entry or (k.traits.homogeneous and k.traits.structure == "elementwise"))


def curvature(change: Any, bregman: Any) -> Any:
    """Of f between two points, by entries, from the change of the gradient."""
    return tree_map(lambda c: abs(c) ** 2 / (2 * bregman), change)


def metric(known: Any, batch: int = 0) -> tuple[Any, Any]:
    """d of the sum of curvatures, of which the largest is 1, and is to be taken? It is 1 too where nothing is known."""
    arrays = leaves(known)
    xp = _xp.namespace(arrays[0])
    top = reduce(xp.maximum, [reductions.peak(xp, a, batch) for a in arrays])
    top = xp.where(top > 0, top, xp.ones_like(top))
    d = tree_map(lambda a: _metric(xp, a, _xp.spread(xp, top, a)), known)
    logs = [xp.log(a) for a in leaves(d)]
    size = sum(math.prod(a.shape[batch:]) for a in logs)
    mean, square = (reduce(add, [reductions.total(xp, a**p, batch) for a in logs]) / size for p in (1, 2))
    far = reduce(xp.maximum, [reductions.peak(xp, a, batch) for a in logs])
    return d, (square - mean * mean > UNEVEN**2) | (far > FAR)


def _metric(xp: Any, a: Any, top: Any) -> Any:
    return xp.where(a > 0, xp.clip(a / top, _xp.eps(a) ** LEAST, None), xp.ones_like(a))


def prox(K: Any, v: Any, t: Any) -> Any:
    """The prox of a bound K with a t for each entry."""
    return tree_map(lambda a, s, k: k.prox(a, s), v, t, K.tree) if isinstance(K, BoundBlocks) else K.prox(v, t)
