"""A K of one's own from a function of one variable and its derivative."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import roots as _roots
from ...arrays.namespace import Array, Namespace
from ..array_function import ArrayFunction
from ..definitions.formulas import _or_infinite
from ..definitions.scalar import Scalar, Separable

Entrywise = Callable[[Array], Array]


def from_scalar(
    f: Entrywise,
    df: Entrywise,
    conjugate: Entrywise | None = None,
    *,
    slope_range: tuple[float, float],
    open_range: bool = False,
    even: bool = False,
    smooth: bool = True,
    accuracy: float = 0.0,
) -> ArrayFunction:
    """``K(x) = sum_i f(x_i)`` for a convex f of one variable, finite everywhere, and its nondecreasing derivative.

    ``K*(y) = sum_i f*(y_i)`` with ``f*(y) = x y - f(x)`` at the x of least modulus with ``df(x) = y``, found by
    bracketing the root, from above: exact to a few hundred eps of ``|x y| + |f(x)|``. This is small where df reaches
    the ends of its range fast, as tanh does; where it does so slowly, as ``x/sqrt(1 + x^2)`` does, f* has half of its
    digits next to them: give ``conjugate``, or state the ``accuracy``. Nothing of this is checked here:
    ``lionk.check_K`` does.

    Parameters
    ----------
    f, df : callable
        Of an array, entry by entry, by the functions of its own library: f and its derivative, at a kink the value in
        between that the step shall use. For large arguments df may overflow or be NaN; warnings of it are silenced.
    conjugate : callable, optional
        f*, on the closed range of slopes.
    slope_range : (float, float)
        The limits of df at -inf and inf: the domain of f*, which the weights are driven into. ``-math.inf`` and
        ``math.inf`` where df is unbounded.
    open_range : bool
        Is f* infinite at finite ends of the range?
    even : bool
        Is f even? Then K also takes complex arrays and spectral lifts.
    smooth : bool
        Is df continuous?
    accuracy : float
        Of K*, relative, for ``traits.accuracy``.

    Raises
    ------
    ValueError
        ``slope_range`` is empty, or f or df does not act entry by entry.

    Examples
    --------
    >>> import math, numpy as np, lionk
    >>> K = lionk.functions.from_scalar(
    ...     lambda x: abs(x) + np.log1p(np.exp(-2 * abs(x))) - math.log(2), np.tanh, slope_range=(-1, 1), even=True
    ... )
    >>> print(K.subgradient(np.asarray([0.5, -2.0])), K.conjugate.value(np.asarray([0.0, 1.0])).round(12))
    [ 0.46211716 -0.96402758] 0.69314718056
    >>> lionk.check_K(K).ok
    True
    """
    low, high = map(float, slope_range)
    if not low < high:
        raise ValueError(f"slope_range must be the limits (low, high) of df, low < high, got {slope_range!r}")
    value, slope = _checked("f", f), _checked("df", df)
    given = None if conjugate is None else _checked("conjugate", conjugate)
    inside = (max(low, min(0.0, high - 1)) + min(high, max(0.0, low + 1))) / 2  # any number between the ends

    def ends(xp: Namespace, y: Array) -> tuple[Array, Array]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _roots.preimage(xp, lambda x: slope(xp, x), y)

    def root(xp: Namespace, y: Array) -> Array:
        return between(xp, *ends(xp, y))

    def between(xp: Namespace, before: Array, after: Array) -> Array:
        x = _roots.middle(xp, before, after)
        top, infinite = 0.5 * float(xp.finfo(x.dtype).max) ** 0.9, math.inf * xp.ones_like(x)
        x = xp.where(x > top, infinite, x) if math.isinf(high) else x  # a root beyond the dtype
        return xp.where(x < -top, -infinite, x) if math.isinf(low) else x

    def at_the_root(xp: Namespace, y: Array) -> Array:
        """Between the values of f* at the slopes of the two ends, where Fenchel-Young is an equality: from above."""
        before, after = ends(xp, y)
        beyond = xp.isinf(between(xp, before, after))
        before, after = (xp.where(beyond, xp.zeros_like(y), e) for e in (before, after))
        slopes = slope(xp, before), slope(xp, after)
        w = _roots.share(xp, *slopes, y)
        one, two = (e * s - value(xp, e) for e, s in zip((before, after), slopes, strict=True))
        return xp.where(beyond, math.inf * xp.ones_like(y), one + w * (two - one))

    def up_to_the_ends(g: Callable[[Namespace, Array], Array], below: float) -> Callable[[Namespace, Array], Array]:
        """g inside; where f* has no value, +inf above the range and ``below`` times it under the range."""

        def run(xp: Namespace, y: Array) -> Array:
            under, over = (y <= low, y >= high) if open_range else (y == -math.inf, y == math.inf)
            out = _or_infinite(xp, under | over, y, lambda r: g(xp, r), inside)
            return xp.where(under, below * out, out)

        return run

    name = f"from_scalar({getattr(f, '__name__', type(f).__name__)})"
    shared: dict[str, Any] = {"even": even, "minimum_at_zero": True if even else None, "accuracy": accuracy}
    phi = Scalar(name, value, slope, smooth=smooth, **shared)
    dual = Scalar(
        f"conjugate of {name}",
        up_to_the_ends(given or at_the_root, 1.0),
        up_to_the_ends(root, -1.0),
        low,
        high,
        open=open_range and math.isfinite(min(abs(low), abs(high))),
        smooth=False,
        numeric=True,
        **shared,
    )
    return Separable(phi, dual)


def _checked(name: str, f: Entrywise) -> Callable[[Namespace, Array], Array]:
    def run(xp: Namespace, x: Array) -> Array:
        v = f(x)
        if made := _xp.unlike(v, x):
            raise ValueError(f"{name} must act entry by entry: it made {made} of {tuple(x.shape)}")
        return v

    return run
