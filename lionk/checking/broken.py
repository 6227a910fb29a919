"""Wrong formulas on purpose, each off in one place: ``check_K`` fails every one of them.

They stand for what goes wrong when a function is written by hand: a constant, a factor, a tie, a missing ``+inf``, a k
that is one too large, a conjugate that is whatever makes Fenchel-Young's equality hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..functions.own.own_scalar import from_scalar
from ..functions.own.own_set import from_lmo, from_projection
from ..functions.registry.entries import K as _function
from ..sets.ball import Ball
from ..sets.box import Box
from ..sets.top_k import TopK
from .altered import altered, with_domain, with_traits

K: Callable[..., Any] = _function  # its hooks are private


class Broken(NamedTuple):
    """A function with one fault, and the shape of its argument."""

    build: Callable[[], Any]
    shape: tuple[int, ...] = (6,)


# -- faults that need more than a line ---------------------------------------------------------------------------


def _descending(xp: Any, x: Any) -> Any:
    return xp.reshape(xp.astype(xp.arange(math.prod(x.shape), 0, -1), x.dtype), x.shape)


def _constant(xp: Any, v: float, like: Any) -> Any:
    return v * xp.ones_like(like)


def _equality_at_the_last_point(name: str, outside: bool) -> Any:
    """``K*(y) := <x, y> - K(x)`` at the x seen last: the gap of every pair is 0. ``outside``: +inf is kept."""
    seen: list[Any] = []

    def value(f: Any, xp: Any, x: Any, batch: int, tol: float) -> Any:
        seen[:] = [x, f(xp, x, batch, tol)]
        return seen[1]

    def dual(f: Any, xp: Any, y: Any, batch: int, tol: float) -> Any:
        right = f(xp, y, batch, tol)
        if not seen or seen[0].shape != y.shape:
            return right
        fitted = reductions.inner(xp, seen[0], y, batch) - seen[1]
        return xp.where(xp.isfinite(right), fitted, right) if outside else fitted + reductions.total(xp, 0 * y, batch)

    return altered(K(name), _value=value, dual_value=dual)


def _equality_at_the_gradient(name: str) -> Any:
    """``K*(y) := <x, y> - K(x)`` at ``x = y``, as if dK were the identity."""
    k = K(name)
    return altered(
        k, dual_value=lambda f, xp, y, b, t: reductions.inner(xp, y, y, b) - k._value(xp, y, b, t) + 0 * f(xp, y, b, t)
    )


def _overwritten(f: Any, x: Any) -> Any:
    s = f(x)
    x[...] = s
    return s


def _no_nan(f: Any, x: Any, *rest: Any) -> Any:
    if bool((x != x).any()):
        raise FloatingPointError("NaN")
    return f(x, *rest)


def _single(xp: Any, x: Any) -> Any:
    return xp.astype(xp.astype(x, xp.float32), x.dtype)


# -- the list ----------------------------------------------------------------------------------------------------

_MATRIX = (4, 3)
_VALUES = {
    "value: constant added": Broken(lambda: altered(K("l1"), _value=lambda f, *a: f(*a) + 0.01)),
    "value: wrong factor": Broken(lambda: altered(K("huber"), _value=lambda f, *a: 1.001 * f(*a))),
    "value: mean for sum": Broken(lambda: altered(K("log_cosh"), _value=lambda f, xp, x, *a: f(xp, x, *a) / 6)),
    "value: not convex": Broken(lambda: altered(K("half_square"), _value=lambda f, *a: -f(*a))),
    "value: k one too small": Broken(
        lambda: altered(K("top_k", k=3), _value=lambda f, xp, x, b, t: TopK(2)._support(xp, x, b))
    ),
    "value: single precision": Broken(
        lambda: altered(K("log_cosh"), _value=lambda f, xp, x, b, t: f(xp, _single(xp, x), b, t))
    ),
    "value: raises on NaN": Broken(lambda: altered(K("l1"), value=_no_nan)),
    "value: wrong dtype": Broken(lambda: altered(K("l1"), value=lambda f, x, *a: _halved(f(x, *a)))),
}
_GRADIENTS = {
    "gradient: wrong factor": Broken(lambda: altered(K("log_cosh"), _subgradient=lambda f, *a: 0.999 * f(*a))),
    "gradient: wrong sign": Broken(lambda: altered(K("l2"), _subgradient=lambda f, *a: -f(*a))),
    "gradient: wrong exponent": Broken(lambda: altered(K("lp", p=3), _subgradient=lambda f, *a: Ball(3.0)._lmo(*a))),
    "gradient: k one too large": Broken(lambda: altered(K("top_k", k=2), _subgradient=lambda f, *a: TopK(3)._lmo(*a))),
    "gradient: sign(0) = 1": Broken(
        lambda: altered(K("l1"), _subgradient=lambda f, xp, x, b: xp.where(x == 0, _constant(xp, 1.0, x), f(xp, x, b)))
    ),
    "gradient: first of the ties": Broken(
        lambda: altered(K("linf"), _subgradient=lambda f, xp, x, b: f(xp, x * (1 + 1e-9 * _descending(xp, x)), b))
    ),
    "gradient: NaN at zero": Broken(
        lambda: altered(
            K("l2"), _subgradient=lambda f, xp, x, b: xp.where(x == 0, _constant(xp, math.nan, x), f(xp, x, b))
        )
    ),
    "gradient: NaN hidden": Broken(
        lambda: altered(
            K("l1"), _subgradient=lambda f, xp, x, b: xp.where(xp.isnan(x), _constant(xp, 0.0, x), f(xp, x, b))
        )
    ),
    "gradient: of another function": Broken(
        lambda: altered(K("huber"), _subgradient=lambda f, *a: K("log_cosh")._subgradient(*a))
    ),
    "gradient: not monotone": Broken(lambda: altered(K("half_square"), _subgradient=lambda f, xp, x, b: xp.sin(4 * x))),
    "gradient: wrong far out": Broken(
        lambda: altered(K("log_cosh"), _subgradient=lambda f, xp, x, b: f(xp, x, b) / (1 + 1e-8 * abs(x)))
    ),
    "gradient: wrong shape": Broken(lambda: altered(K("l1"), subgradient=lambda f, x: f(x)[None, ...])),
    "gradient: input overwritten": Broken(lambda: altered(K("l1"), subgradient=_overwritten)),
    "gradient: U V' without the rank": Broken(
        lambda: altered(
            K("nuclear"), _subgradient=lambda f, xp, x, b: f(xp, x + 1e-9 * xp.eye(*_MATRIX, dtype=x.dtype), b)
        ),
        _MATRIX,
    ),
    "gradient: 1.2 U V'": Broken(lambda: altered(K("nuclear"), _subgradient=lambda f, *a: 1.2 * f(*a)), _MATRIX),
    "gradient: rows for columns": Broken(
        lambda: altered(K("row_l1_l2"), _subgradient=lambda f, *a: K("col_l1_l2")._subgradient(*a)), _MATRIX
    ),
    "face: wrong distance": Broken(lambda: altered(K("l1"), _subdifferential_distance=lambda f, *a: 0.5 * f(*a))),
}
_CONJUGATES = {
    "conjugate: +inf missing": Broken(
        lambda: altered(K("l1"), dual_value=lambda f, xp, y, b, t: reductions.total(xp, 0 * y, b))
    ),
    "conjugate: zero everywhere": Broken(
        lambda: altered(K("nuclear"), dual_value=lambda f, xp, y, b, t: reductions.total(xp, 0 * y, b)), _MATRIX
    ),
    "conjugate: +inf missing, value right": Broken(
        lambda: altered(K("log_cosh"), dual_value=lambda f, xp, y, b, t: f(xp, xp.clip(y, -1.0, 1.0), b, t))
    ),
    "conjugate: +inf inside": Broken(lambda: altered(K("l1"), dual_value=lambda f, xp, y, b, t: f(xp, 1.01 * y, b, t))),
    "conjugate: a percent too wide": Broken(lambda: _over("l1", Box(upper=1.01))),
    "conjugate: a percent too narrow": Broken(lambda: _over("l1", Box(upper=0.99))),
    "conjugate: wrong constant": Broken(lambda: altered(K("huber"), dual_value=lambda f, *a: 2 * f(*a))),
    "conjugate: constant added": Broken(lambda: altered(K("log_sum_exp"), dual_value=lambda f, *a: f(*a) + 0.01)),
    "conjugate: exponent of K": Broken(
        lambda: altered(K("power", p=3), dual_value=lambda f, *a: K("power", p=3)._value(*a))
    ),
    "conjugate: dual norm forgotten": Broken(lambda: _over("linf", Box())),
    "conjugate: scale forgotten": Broken(
        lambda: altered(2 * K("l1"), dual_value=lambda f, *a: K("l1").conjugate._value(*a))
    ),
    "conjugate: tolerance ignored": Broken(
        lambda: altered(K("l1"), dual_value=lambda f, xp, y, b, t: f(xp, y, b, 0.0))
    ),
    "conjugate: NaN is inside": Broken(
        lambda: altered(
            K("l1"), dual_value=lambda f, xp, y, b, t: f(xp, xp.where(xp.isnan(y), 0 * xp.ones_like(y), y), b, t)
        )
    ),
    "conjugate: what makes the gap 0": Broken(lambda: _equality_at_the_last_point("half_square", outside=False)),
    "conjugate: what makes the gap 0, +inf outside": Broken(
        lambda: _equality_at_the_last_point("log_cosh", outside=True)
    ),
    "conjugate: +inf at the edge": Broken(
        lambda: altered(
            K("log_cosh"),
            dual_value=lambda f, xp, y, b, t: (
                f(xp, y, b, t)
                + reductions.total(xp, xp.where(xp.abs(y) == 1, _constant(xp, math.inf, y), 0 * xp.ones_like(y)), b)
            ),
        )
    ),
    "conjugate: equality at x = y": Broken(lambda: _equality_at_the_gradient("power")),
    "conjugate: gradient of K": Broken(
        lambda: altered(K("asinh"), dual_subgradient=lambda f, *a: K("asinh")._subgradient(*a))
    ),
}
_PROXES_AND_SETS = {
    "prox: step forgotten": Broken(lambda: altered(K("l1"), _prox=lambda f, xp, x, t, b: f(xp, x, 1.0, b))),
    "prox: wrong threshold": Broken(lambda: altered(K("l2"), _prox=lambda f, xp, x, t, b: f(xp, x, 1.05 * t, b))),
    "prox: of the conjugate": Broken(lambda: altered(K("huber"), _prox=lambda f, *a: K("huber").conjugate._prox(*a))),
    "projection: not the nearest": Broken(
        lambda: with_domain(K("l2"), _project=lambda f, xp, y, b: xp.clip(y, -0.4, 0.4))
    ),
    "projection: not idempotent": Broken(lambda: with_domain(K("l2"), _project=lambda f, *a: 0.99 * f(*a))),
    "projection: wrong radius": Broken(
        lambda: with_domain(K("linf"), _project=lambda f, xp, y, b: 2 * f(xp, y / 2, b))
    ),
    "distance: squared": Broken(lambda: with_domain(K("linf"), _distance=lambda f, *a: f(*a) ** 2)),
    "membership: too generous": Broken(
        lambda: with_domain(K("l1"), _violation=lambda f, xp, *a: xp.clip(f(xp, *a) - 0.5, 0.0, None))
    ),
    "membership: too strict": Broken(lambda: with_domain(K("l1"), _violation=lambda f, *a: f(*a) + 0.5)),
    "oracle: not a vertex": Broken(lambda: with_domain(K("l1"), _lmo=lambda f, *a: 0.5 * f(*a))),
    "oracle: minimises": Broken(lambda: with_domain(K("l1"), _lmo=lambda f, *a: -f(*a))),
    "diameter: radius": Broken(lambda: with_domain(K("l2"), diameter=lambda f, shape: f(shape) / 2)),
}
_CLAIMS = {
    "traits: even": Broken(lambda: with_traits(K("max"), even=True)),
    "traits: homogeneous": Broken(lambda: with_traits(K("huber"), homogeneous=True)),
    "traits: smooth": Broken(lambda: with_traits(K("linf"), smooth=True)),
    "traits: smooth, with kinks at no usual point": Broken(lambda: with_traits(K("relu").shift(0.37), smooth=True)),
    "traits: symmetric": Broken(lambda: with_traits(K("box", lower=-1.0, upper=(1.0,) * 5 + (2.0,)), symmetric=True)),
    "traits: absolute": Broken(lambda: with_traits(K("relu"), absolute=True)),
    "traits: elementwise": Broken(lambda: with_traits(K("log_sum_exp"), structure="elementwise")),
    "traits: along another axis": Broken(lambda: with_traits(K("row_l1_l2"), along=-2), _MATRIX),
    "traits: minimum": Broken(lambda: with_traits(K("l1"), minimum_at_zero=False)),
    "traits: least norm": Broken(lambda: with_traits(K("l1").tilt(0.5), selection="min_norm")),
    "traits: prox": Broken(lambda: with_traits(K("l1"), prox=False)),
    "traits: bounded": Broken(lambda: with_traits(K("l1"), bounded_domain=False)),
}


def _log_cosh(x: Any) -> Any:
    xp = _xp.namespace(x)
    return xp.abs(x) + xp.log1p(xp.exp(-2 * xp.abs(x))) - math.log(2)


def _softsign(x: Any) -> Any:
    return abs(x) - _xp.namespace(x).log1p(abs(x))


def _scalar(f: Any = _log_cosh, df: Any = None, **options: Any) -> Any:
    """A function of one's own with another derivative or other claims; without them, log cosh."""
    slope = df or (lambda x: _xp.namespace(x).tanh(x))
    return from_scalar(f, slope, **{"slope_range": (-1.0, 1.0), "even": True, **options})


def _box_oracle(factor: float, **claims: Any) -> Any:
    """The oracle of the box, times a factor, as the oracle of the box."""
    return from_lmo(lambda c: factor * _xp.sign(_xp.namespace(c), c), **{"diameter": 2 * 6**0.5, **claims})


def _over(name: str, c: Any) -> Any:
    """A support function with the indicator of another set as its conjugate."""
    k = K(name)
    hooks: dict[str, Any] = {h: lambda f, *a, h=h: getattr(k, h)(*a) for h in ("_value", "_subgradient")}
    return altered(with_domain(k, c), **hooks)


def _halved(v: Any) -> Any:
    """In half the precision."""
    xp = _xp.namespace(v)
    return xp.astype(v, xp.float32 if v.dtype == xp.float64 else xp.float64)


_OWN = {
    "own scalar: derivative of another": Broken(lambda: _scalar(df=lambda x: 0.9 * _xp.namespace(x).tanh(x))),
    "own scalar: not convex": Broken(
        lambda: _scalar(lambda x: _xp.namespace(x).sin(x) ** 2 / 2, lambda x: _xp.namespace(x).sin(2 * x) / 2)
    ),
    "own scalar: range too wide": Broken(lambda: _scalar(slope_range=(-2.0, 2.0))),
    "own scalar: range too narrow": Broken(lambda: _scalar(slope_range=(-0.5, 0.5))),
    "own scalar: range unbounded": Broken(lambda: _scalar(slope_range=(-math.inf, math.inf))),
    "own scalar: ends left out": Broken(lambda: _scalar(open_range=True)),
    "own scalar: ends kept": Broken(lambda: _scalar(_softsign, lambda x: x / (1 + abs(x)))),
    "own scalar: a kink not stated": Broken(lambda: _scalar(abs, lambda x: _xp.sign(_xp.namespace(x), x))),
    "own scalar: conjugate of another": Broken(lambda: _scalar(conjugate=lambda y: y * y)),
    "own projection: radial for nearest": Broken(
        lambda: from_projection(
            lambda y: y / _xp.namespace(y).clip(_xp.namespace(y).sum(abs(y)), 1.0, None), diameter=2.0
        )
    ),
    "own projection: not entry by entry": Broken(
        lambda: from_projection(
            lambda y: y / max(float((y * y).sum()) ** 0.5, 1.0), diameter=2.0, structure="elementwise"
        )
    ),
    "own projection: diameter too small": Broken(
        lambda: from_projection(lambda y: _xp.namespace(y).clip(y, -1.0, 1.0), diameter=1.0)
    ),
    "own oracle: minimises": Broken(lambda: _box_oracle(-1.0)),
    "own oracle: diameter too small": Broken(lambda: _box_oracle(1.0, diameter=1.0)),
    "own oracle: wrong claim": Broken(lambda: _box_oracle(1.0, minimum_at_zero=False)),
}

#: The functions with a fault, by the fault.
BROKEN: dict[str, Broken] = {**_VALUES, **_GRADIENTS, **_CONJUGATES, **_PROXES_AND_SETS, **_CLAIMS, **_OWN}
