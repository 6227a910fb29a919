"""A grammar of K: names and rules, two or three deep, each with K(x) written out in NumPy, apart from the library.

``Made`` holds the library's function and its oracle, a NumPy function that is K(x), or not below it. So ``<y, s> -
oracle(s)`` is below K*(y) for every s, whatever the library does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special

import lionk

Oracle = Callable[[np.ndarray], float]


@dataclass
class Made:
    """A drawn function, what it is as text, and its oracle."""

    text: str
    K: Any
    oracle: Oracle
    exact: bool = True  # is the oracle K, and not only not below it?


def _entries(phi: Callable[[np.ndarray], np.ndarray]) -> Oracle:
    return lambda x: float(np.sum(phi(np.asarray(x, float))))


def _largest(r: np.ndarray, k: int) -> np.ndarray:
    return np.sort(r.ravel())[::-1][:k]


def _k_support(x: np.ndarray, k: int) -> float:
    """Argyriou, Foygel, Srebro 2012: sqrt(sum of the largest k-r-1 squares + (sum of the rest)^2/(r+1))."""
    z = np.append(np.sort(np.abs(x).ravel())[::-1], 0.0)
    n = z.size - 1
    for r in range(k):
        rest = z[k - r - 1 : n].sum() / (r + 1)
        if (k - r - 1 == 0 or z[k - r - 2] > rest) and rest >= z[k - r - 1]:
            return math.sqrt((z[: k - r - 1] ** 2).sum() + (r + 1) * rest**2)
    raise AssertionError("one r satisfies both inequalities")


def _slices(f: Callable[[np.ndarray], float], axis: int) -> Oracle:
    return lambda x: float(sum(f(v) for v in np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])))


def _singular(f: Oracle) -> Oracle:
    return lambda x: float(sum(f(np.linalg.svd(m, compute_uv=False)) for m in x.reshape(-1, *x.shape[-2:])))


def _norm(x: np.ndarray) -> float:
    return float(np.linalg.norm(np.ravel(x)))


SCALAR: dict[str, tuple[dict[str, Any], Oracle]] = {
    "l1": ({}, _entries(np.abs)),
    "half_square": ({}, _entries(lambda x: x * x / 2)),
    "power": ({"p": 3.0}, _entries(lambda x: np.abs(x) ** 3 / 3)),
    "huber": ({"delta": 0.7}, _entries(lambda x: np.where(abs(x) <= 0.7, x * x / 1.4, abs(x) - 0.35))),
    "dead_zone": ({"threshold": 0.4}, _entries(lambda x: np.maximum(abs(x) - 0.4, 0))),
    "soft_threshold": ({"threshold": 0.4}, _entries(lambda x: np.maximum(abs(x) - 0.4, 0) ** 2 / 2)),
    "elastic": ({"mu": 0.5}, _entries(lambda x: abs(x) + x * x / 4)),
    "log_cosh": ({}, _entries(lambda x: np.logaddexp(x, -x) - math.log(2))),
    "pseudo_huber": ({}, _entries(lambda x: np.hypot(x, 1) - 1)),
    "softsign": ({}, _entries(lambda x: abs(x) - np.log1p(abs(x)))),
    "arctan": ({}, _entries(lambda x: 2 / math.pi * (x * np.arctan(x) - np.log1p(x * x) / 2))),
    "asinh": ({}, _entries(lambda x: x * np.arcsinh(x) - np.hypot(x, 1) + 1)),
    "softplus": ({}, _entries(lambda x: np.logaddexp(0, x))),
    "relu": ({}, _entries(lambda x: np.maximum(x, 0))),
    "box": ({"lower": -0.5, "upper": 2.0}, _entries(lambda x: np.maximum(-0.5 * x, 2 * x))),
}

VECTOR: dict[str, tuple[dict[str, Any], Oracle]] = {
    "l2": ({}, _norm),
    "lp": ({"p": 3.0}, lambda x: float(np.linalg.norm(np.ravel(x), 3))),
    "linf": ({}, lambda x: float(np.abs(x).max())),
    "top_k": ({"k": 2}, lambda x: float(_largest(abs(x), 2).sum())),
    "top_k_l2": ({"k": 2}, lambda x: _norm(_largest(abs(x), 2))),
    "k_support": ({"k": 2}, lambda x: _k_support(x, 2)),
    "max": ({}, lambda x: float(np.max(x))),
    "capped_simplex": ({"k": 2}, lambda x: float(_largest(x, 2).sum())),
    "log_sum_exp": ({}, lambda x: float(special.logsumexp(x))),
    "smooth_linf": ({}, lambda x: float(special.logsumexp(np.append(x, -x)))),
    "huber_l2": ({}, lambda x: _norm(x) ** 2 / 2 if _norm(x) <= 1 else _norm(x) - 0.5),
    "half_l1_squared": ({}, lambda x: float(np.abs(x).sum()) ** 2 / 2),
    "half_linf_squared": ({}, lambda x: float(np.abs(x).max()) ** 2 / 2),
    "owl": ({}, lambda x: float((_largest(abs(x), x.size) * np.arange(x.size, 0, -1) / x.size).sum())),
}

MATRIX: dict[str, tuple[dict[str, Any], Oracle]] = {
    "nuclear": ({}, _singular(np.sum)),
    "spectral": ({}, _singular(np.max)),
    "frobenius": ({}, _singular(_norm)),
    "schatten": ({"p": 3.0}, _singular(lambda s: float(np.linalg.norm(s, 3)))),
    "ky_fan": ({"k": 2}, _singular(lambda s: float(_largest(s, 2).sum()))),
    "spectral_huber": ({}, _singular(_entries(lambda s: np.where(s <= 1, s * s / 2, s - 0.5)))),
    "spectral_log_cosh": ({}, _singular(_entries(lambda s: np.logaddexp(s, -s) - math.log(2)))),
    "spectral_softsign": ({}, _singular(_entries(lambda s: s - np.log1p(s)))),
    "row_l1_l2": ({}, _slices(_norm, -1)),
    "col_l1_linf": ({}, _slices(lambda v: float(abs(v).max()), -2)),
    "group_linf_l2": ({}, lambda x: float(np.linalg.norm(x, axis=-1).max())),
}


def atom(draw: Callable[[list[Any]], Any], shape: tuple[int, ...]) -> Made:
    """A name of the tables that takes arrays of this shape."""
    tables = [SCALAR, VECTOR] + ([MATRIX] if len(shape) == 2 else [])
    table = draw(tables)
    name = draw(sorted(table))
    parameters, oracle = table[name]
    if "k" in parameters and min(shape[-2:] if table is MATRIX else (math.prod(shape),)) < 2:
        name, (parameters, oracle) = "l2", VECTOR["l2"]
    return Made(name, lionk.K(name, **parameters), oracle)


def function(draw: Callable[[list[Any]], Any], shape: tuple[int, ...], depth: int) -> Made:
    """A name, or a rule of functions of one depth less."""
    if depth == 0:
        return atom(draw, shape)
    rule = draw(["add", "add", "scale", "dilate", "tilt", "shift", "ridge", "moreau"])
    a = function(draw, shape, depth - 1)
    if rule == "add":
        b = function(draw, shape, draw([0, depth - 1]))
        return Made(f"({a.text} + {b.text})", a.K + b.K, lambda x: a.oracle(x) + b.oracle(x), a.exact and b.exact)
    c = draw([0.3, 2.5])
    if rule == "scale":
        return Made(f"{c} {a.text}", c * a.K, lambda x: c * a.oracle(x), a.exact)
    if rule == "dilate":
        return Made(f"{a.text}.dilate(-{c})", a.K.dilate(-c), lambda x: a.oracle(-c * x), a.exact)
    if rule == "tilt":
        return Made(f"{a.text}.tilt({c})", a.K.tilt(c), lambda x: a.oracle(x) + c * float(np.sum(x)), a.exact)
    if rule == "shift":
        return Made(f"{a.text}.shift({c})", a.K.shift(c), lambda x: a.oracle(x + c), a.exact)
    if rule == "ridge":
        return Made(f"{a.text}.ridge({c})", a.K.ridge(c), lambda x: a.oracle(x) + c / 2 * _norm(x) ** 2, a.exact)
    return Made(f"{a.text}.moreau({c})", a.K.moreau(c), _envelope(a.oracle, c), False)


def _envelope(oracle: Oracle, mu: float) -> Oracle:
    """``K(z) + |x - z|^2/(2 mu)`` at the best z that a direct search finds: not below the envelope."""

    def above(x: np.ndarray) -> float:
        def at(z: np.ndarray) -> float:
            z = z.reshape(x.shape)
            return oracle(z) + _norm(x - z) ** 2 / (2 * mu)

        found = optimize.minimize(at, x.ravel(), method="Nelder-Mead", options={"maxfev": 12 * x.size})
        return min(float(found.fun), at(x), at(0 * x))

    return above


def from_below(made: Made, y: np.ndarray, starts: list[np.ndarray], effort: int) -> float:
    """The largest ``<y, s> - K(s)`` that a direct search finds: below K*(y)."""

    def minus(s: np.ndarray) -> float:
        s = s.reshape(y.shape)
        return made.oracle(s) - float(np.sum(y * s))

    best = -math.inf
    for start in starts:
        found = optimize.minimize(minus, start.ravel(), method="Nelder-Mead", options={"maxfev": effort})
        best = max(best, -float(found.fun), -minus(start))
    return best
