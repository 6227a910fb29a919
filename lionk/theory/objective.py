"""What Lion-K minimises, and the gap that bounds how far a point is from the minimum."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays.containers import is_container, leaves, scaled, tree_inner, tree_map, tree_norm
from ..arrays.namespace import Array
from ..arrays.value import arrays_in
from ..backend.discovery import backend_of
from ..backend.protocol import dtype_name
from ..errors import NotAvailable
from ..functions import K as build
from ..functions.bound import bound
from ..functions.calculus.block_sum import Blocks, ContainerFunction
from ..optimizer.jobs import coefficient

EMPTY = (
    "K: no x is feasible, since dom K* is empty: the sets that it intersects share no point; choose sets that overlap"
)


def over(K: Any, x: Any) -> Any:
    """K as a function of x: if x is a container and K is not ``blocks``, K serves every array of it.

    Raises ValueError if x holds no array, TypeError if it holds something else, or integers.
    """
    function = build(K)
    if not is_container(x) and not isinstance(function, ContainerFunction):
        _xp.floating(x)
        return function
    arrays = leaves(x)
    if not arrays:
        raise ValueError(f"x holds no array, got {x!r}; give an array, or a container of arrays")
    for a in arrays:
        _xp.floating(a)
    if isinstance(function, ContainerFunction):
        function.check_argument(x)
        return function
    return Blocks(function) if is_container(x) else function


def told(K: Any) -> str:
    """K as text that tells it from any other: its repr, and a digest of its arrays, which a repr shortens."""
    from hashlib import sha256  # here, so that `import lionk` stays light

    arrays = arrays_in(K)
    if not arrays:
        return repr(K)
    found = sha256()
    for a in arrays:
        found.update(f"{dtype_name(a)}{tuple(a.shape)}".encode() + backend_of(a).to_bits(a).tobytes())
    return f"{K!r} with arrays {found.hexdigest()[:16]}"


def decay_of(weight_decay: Any) -> float:
    """The checked number, of a real 0-d array too."""
    if type(weight_decay) is float and 0 <= weight_decay < math.inf:  # and not one of NumPy, which would promote
        return weight_decay
    return float(coefficient("weight_decay", float(coefficient("weight_decay", weight_decay))))


def objective(K: Any, f: Any, x: Any, weight_decay: float, tol: float | None = None) -> Array:
    """``F(x) = f(x) + K*(lam x)/lam`` for ``f = f(x)``; f itself at lam = 0 (2310.05898, section 2)."""
    lam = decay_of(weight_decay)
    if lam == 0:
        return f
    return f + over(K, x).conjugate.value(scaled(x, lam), tol) / lam


def kkt_gap(K: Any, x: Any, grad: Any, weight_decay: float, tol: float | None = None) -> Array:
    """``G(x) = K(-g) + K*(lam x) + lam Re<g, x>``: >= 0, and 0 exactly at stationary points of F.

    For convex f, lam > 0 and the full gradient g at this x, ``F(x) - min F <= G/lam`` (derived here: convexity of f and
    Fenchel-Young at another point). For a support function it is lam times the Frank-Wolfe gap. ``+inf`` where lam x is
    outside dom K*; within ``tol`` of it (see ``ConvexFunction.value``) G may be negative by about ``|g| tol``.

    Parameters
    ----------
    K : str, dict or ConvexFunction
    x, grad : array or container of arrays
    weight_decay : float, >= 0
    tol : float, optional
        Of membership in dom K*.

    Returns
    -------
    0-d array

    Raises
    ------
    ValueError, TypeError
        weight_decay is negative, not finite, or no number.

    Examples
    --------
    >>> import lionk, array_api_strict as xp
    >>> float(lionk.kkt_gap("l1", xp.asarray([1.0, -1.0]), xp.asarray([-2.0, 0.5]), 1.0))
    0.0
    """
    return over(K, x).fenchel_young(scaled(grad, -1.0), scaled(x, decay_of(weight_decay)), tol)


def gap_rounding(K: Any, x: Any, grad: Any, weight_decay: float, tol: float | None = None) -> Array:
    """How far the computed gap can be below the exact one of the nearest feasible point, 0-d.

    The upper ends of K(-g) and K*(lam x) (``ConvexFunction.bounds``) less the values, and ``(16 + log2 n) eps lam sum
    |g_i x_i| + |g| dist(lam x, dom K*)``. It covers the evaluation of G from x and g, not the rounding inside f and g.
    A gap is proven only together with it. Derived here.
    """
    function, y, r = over(K, x), scaled(x, decay_of(weight_decay)), scaled(grad, -1.0)
    size = sum(math.prod(a.shape) for a in leaves(x))
    digits = max(_xp.eps(a) for a in (*leaves(x), *leaves(grad)))
    terms = (16 + math.log2(max(size, 2))) * digits * tree_inner(tree_map(abs, grad), tree_map(abs, y))
    terms = terms + _hidden(function, r, tol) + _hidden(function.conjugate, y, tol)
    return terms + tree_norm(grad) * distance_to_domain(K, x, weight_decay)


def objective_rounding(K: Any, x: Any, weight_decay: float) -> Array:
    """How far the computed ``K*(lam x)/lam`` can be below the exact one where terms of it cancel, 0-d; else 0."""
    lam = decay_of(weight_decay)
    return hidden(bound(over(K, x), x).conjugate, scaled(x, lam)) / lam


def hidden(k: Any, x: Any) -> Array:
    """How far the computed value of a bound function can be below the exact one where its terms cancel; else 0."""
    return _above(k.value(x), k.upper(x))


def _hidden(k: Any, x: Any, tol: float | None) -> Array:
    """The upper end of k(x) less its value."""
    return _above(k.value(x, tol), k.bounds(x, tol)[1])


def _above(value: Array, upper: Array) -> Array:
    """The upper end less the value; the upper end, where the value is infinite."""
    xp = _xp.namespace(value)
    return xp.where(xp.isfinite(value), upper - _xp.finite(xp, value), upper)


def distance_to_domain(K: Any, x: Any, weight_decay: float) -> Array:
    """Euclidean distance from ``lam x`` to dom K*, 0-d: 0 when the constraint holds."""
    return over(K, x).conjugate.domain.distance(scaled(x, decay_of(weight_decay)))


def nearest_feasible(K: Any, x: Any, weight_decay: float) -> Any:
    """The point z nearest to x with lam z in dom K*: ``P(lam x)/lam``. It is x itself if lam = 0, where all points are
    feasible, and where no projection is known.

    From 0 it is a start for ``minimize`` at which F is finite.
    """
    lam = decay_of(weight_decay)
    try:
        return scaled(over(K, x).conjugate.domain.project(scaled(x, lam)), 1 / lam) if lam else x
    except NotAvailable:
        return x
