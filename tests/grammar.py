"""A grammar of K: names and rules, two or three deep, each with K(x) written out in NumPy, apart from the library.

``Made`` holds the library's function and its oracle, K(x) for each x of a stack (count, *shape), or not below it. So
``<y, s> - oracle(s)`` is below K*(y) for every s, whatever the library does.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

import lionk
from lionk.arrays.namespace import namespace
from lionk.functions import (
    block_lift,
    centered,
    from_lmo,
    from_projection,
    from_scalar,
    linear_map,
    maximum,
    positive_part,
    radial_lift,
    spectral_lift,
)

Oracle = Callable[[np.ndarray], np.ndarray]
Draw = Callable[[Any], Any]


def by(rng: np.random.Generator) -> Draw:
    """Draws by a generator of NumPy: the same seed, the same functions."""
    return lambda choices: choices[int(rng.integers(len(choices)))]


@dataclass
class Made:
    """A drawn function, what it is as text, and its oracle."""

    text: str
    K: Any
    oracle: Oracle
    exact: bool = True  # is the oracle K, and not only not below it?

    def at(self, x: np.ndarray) -> float:
        """The oracle at one array. Where K is a function of matrices, a stack of them is a sum."""
        return float(self.each(np.asarray(x, float)[None])[0])

    def each(self, x: np.ndarray) -> np.ndarray:
        if not (self.K.traits.stacks and x.ndim > 3):
            return self.oracle(x)
        blocks = x.reshape(x.shape[0], -1, *x.shape[-2:])
        return np.stack([self.oracle(blocks[:, i]) for i in range(blocks.shape[1])], -1).sum(-1)


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(x.shape[0], -1)


def _entries(phi: Callable[[np.ndarray], np.ndarray]) -> Oracle:
    return lambda x: phi(_flat(x)).sum(-1)


def _falling(r: np.ndarray) -> np.ndarray:
    return -np.sort(-_flat(r), -1)


def _norm(x: np.ndarray, p: float = 2) -> np.ndarray:
    return np.linalg.norm(_flat(x), p, -1)


def _k_support(x: np.ndarray, k: int) -> np.ndarray:
    """Argyriou, Foygel, Srebro 2012: sqrt(sum of the largest k-r-1 squares + (sum of the rest)^2/(r+1)), for the one r
    with z_(k-r-1) > (sum of the rest)/(r+1) >= z_(k-r).
    """
    z = _falling(abs(x))
    found = np.zeros(len(z))
    for r in range(k):
        head, rest = z[:, : k - r - 1], z[:, k - r - 1 :].sum(-1) / (r + 1)
        near = 1 - 1e-12  # at a tie two of them are right, and by rounding none
        right = (rest >= near * z[:, k - r - 1]) & ((head[:, -1] >= near * rest) if head.shape[1] else True)
        found = np.where(right, np.hypot(_norm(head), rest * math.sqrt(r + 1)), found)
    return found


def _slices(f: Oracle, axis: int) -> Oracle:
    def total(x: np.ndarray) -> np.ndarray:
        z = np.moveaxis(x, axis, -1)
        return f(z.reshape(-1, z.shape[-1])).reshape(x.shape[0], -1).sum(-1)

    return total


def _singular(f: Oracle) -> Oracle:
    return lambda x: f(np.linalg.svd(x, compute_uv=False))


def _eigen(f: Oracle) -> Oracle:
    return lambda x: f(np.linalg.eigvalsh((x + np.swapaxes(x, -1, -2)) / 2))


def _owl(w: Callable[[int], np.ndarray]) -> Oracle:
    return lambda x: _falling(abs(x)) @ w(_flat(x).shape[1])


def _fill(x: np.ndarray, top: float) -> np.ndarray:
    """The largest <x, y> over 0 <= y <= top, sum y = 1: the largest entries first."""
    z = _falling(x)
    before = top * np.arange(z.shape[1])
    return z @ np.clip(1 - before, 0, top)


def _less_log(x: np.ndarray) -> np.ndarray:
    """``|x| - log(1 + |x|)``, by its series where the two are nearly equal."""
    r = np.minimum(abs(x), 0.01)
    series = r * r * sum((-r) ** k / (k + 2) for k in range(9))
    return np.where(abs(x) < 0.01, series, abs(x) - np.log1p(abs(x)))


SCALAR: dict[str, tuple[dict[str, Any], Oracle]] = {
    "l1": ({}, _entries(np.abs)),
    "half_square": ({}, _entries(lambda x: x * x / 2)),
    "power": ({"p": 3.0}, _entries(lambda x: np.abs(x) ** 3 / 3)),
    "huber": ({"delta": 0.7}, _entries(lambda x: np.where(abs(x) <= 0.7, x * x / 1.4, abs(x) - 0.35))),
    "clip": ({"bound": 2.0}, _entries(lambda x: np.where(abs(x) <= 2, x * x / 2, 2 * abs(x) - 2))),
    "dead_zone": ({"threshold": 0.4}, _entries(lambda x: np.maximum(abs(x) - 0.4, 0))),
    "soft_threshold": ({"threshold": 0.4}, _entries(lambda x: np.maximum(abs(x) - 0.4, 0) ** 2 / 2)),
    "elastic": ({"mu": 0.5}, _entries(lambda x: abs(x) + x * x / 4)),
    "log_cosh": (
        {},
        _entries(
            lambda x: np.where(
                abs(x) < 1, np.log1p(2 * np.sinh(np.clip(x, -1, 1) / 2) ** 2), np.logaddexp(x, -x) - math.log(2)
            )
        ),
    ),
    "pseudo_huber": ({}, _entries(lambda x: x * x / (np.hypot(x, 1) + 1))),
    "softsign": ({}, _entries(_less_log)),
    "arctan": ({}, _entries(lambda x: 2 / math.pi * (x * np.arctan(x) - np.log1p(x * x) / 2))),
    "asinh": ({}, _entries(lambda x: x * np.arcsinh(x) - x * (x / (np.hypot(x, 1) + 1)))),
    "softplus": ({}, _entries(lambda x: np.logaddexp(0, x))),
    "relu": ({}, _entries(lambda x: np.maximum(x, 0))),
    "relu_square": ({}, _entries(lambda x: np.maximum(x, 0) ** 2 / 2)),
    "berhu": ({}, _entries(lambda x: np.where(abs(x) <= 1, abs(x), (x * x + 1) / 2))),
    "box": ({"lower": -0.5, "upper": 2.0}, _entries(lambda x: np.maximum(-0.5 * x, 2 * x))),
}

VECTOR: dict[str, tuple[dict[str, Any], Oracle]] = {
    "l2": ({}, _norm),
    "lp": ({"p": 3.0}, lambda x: _norm(x, 3)),
    "linf": ({}, lambda x: _norm(x, np.inf)),
    "top_k": ({"k": 2}, lambda x: _falling(abs(x))[:, :2].sum(-1)),
    "top_k_l2": ({"k": 2}, lambda x: _norm(_falling(abs(x))[:, :2])),
    "k_support": ({"k": 2}, lambda x: _k_support(x, 2)),
    "k_norm": ({"k": 2}, lambda x: np.maximum(_norm(x, np.inf), _norm(x, 1) / 2)),
    "max": ({}, lambda x: _flat(x).max(-1)),
    "capped_simplex": ({"k": 2}, lambda x: _falling(x)[:, :2].sum(-1)),
    "cvar": ({"k": 1.5}, lambda x: _falling(x)[:, :2] @ np.asarray([1, 0.5])),
    "simplex_plus": ({}, lambda x: np.maximum(_flat(x).max(-1), 0)),
    "l2_plus": ({}, lambda x: _norm(np.maximum(x, 0))),
    "range": ({}, lambda x: np.ptp(_flat(x), -1)),
    "std": ({}, lambda x: _norm(_flat(x) - _flat(x).mean(-1, keepdims=True))),
    "total_variation": ({}, lambda x: abs(np.diff(_flat(x), axis=-1)).sum(-1)),
    "monotone": ({}, lambda x: np.maximum(np.cumsum(_flat(x), -1).max(-1), 0)),
    "box_simplex": ({"upper": 0.6}, lambda x: _fill(x, 0.6)),
    "log_sum_exp": ({}, lambda x: special.logsumexp(_flat(x), -1)),
    "smooth_linf": ({}, lambda x: special.logsumexp(np.append(_flat(x), -_flat(x), -1), -1)),
    "huber_l2": ({}, lambda x: np.where(_norm(x) <= 1, _norm(x) ** 2 / 2, _norm(x) - 0.5)),
    "half_l1_squared": ({}, lambda x: _norm(x, 1) ** 2 / 2),
    "half_linf_squared": ({}, lambda x: _norm(x, np.inf) ** 2 / 2),
    "max_l1_l2": ({"alpha": 0.7}, lambda x: np.maximum(0.7 * _norm(x, 1), _norm(x))),
    "owl": ({}, _owl(lambda n: np.arange(n, 0, -1) / n)),
    "dual_owl": (
        {},
        lambda x: (np.cumsum(_falling(abs(x)), -1) / np.cumsum(np.arange(n := _flat(x).shape[1], 0, -1) / n)).max(-1),
    ),
}  # fmt: skip

MATRIX: dict[str, tuple[dict[str, Any], Oracle]] = {
    "nuclear": ({}, _singular(lambda s: s.sum(-1))),
    "spectral": ({}, _singular(lambda s: s.max(-1))),
    "frobenius": ({}, _norm),
    "schatten": ({"p": 3.0}, _singular(lambda s: _norm(s, 3))),
    "ky_fan": ({"k": 2}, _singular(lambda s: s[:, :2].sum(-1))),
    "spectral_huber": ({}, _singular(lambda s: np.where(s <= 1, s * s / 2, s - 0.5).sum(-1))),
    "spectral_log_cosh": ({}, _singular(SCALAR["log_cosh"][1])),
    "spectral_softsign": ({}, _singular(SCALAR["softsign"][1])),
    "spectral_elastic": ({"mu": 0.5}, _singular(SCALAR["elastic"][1])),
    "half_nuclear_squared": ({}, _singular(lambda s: s.sum(-1) ** 2 / 2)),
    "row_l1_l2": ({}, _slices(_norm, -1)),
    "col_l1_linf": ({}, _slices(lambda v: _norm(v, np.inf), -2)),
    "group_linf_l2": ({}, lambda x: np.linalg.norm(x, axis=-1).reshape(x.shape[0], -1).max(-1)),
}

SQUARE: dict[str, tuple[dict[str, Any], Oracle]] = {
    "lambda_max": ({}, _eigen(lambda w: w.max(-1))),
    "trace_positive_part": ({}, _eigen(lambda w: np.maximum(w, 0).sum(-1))),
    "log_trace_exp": ({}, _eigen(lambda w: special.logsumexp(w, -1))),
}


def _inside(low: float, high: float, phi: Callable[[np.ndarray], np.ndarray]) -> Oracle:
    """``sum phi(x_i)`` where all entries are in an interval, else infinity."""
    return lambda x: np.where(
        ((_flat(x) >= low) & (_flat(x) <= high)).all(-1), phi(np.clip(_flat(x), low, high)).sum(-1), math.inf
    )


# Conjugates, by the name of the function that each belongs to: some are not finite everywhere.
DUAL: dict[str, tuple[dict[str, Any], Oracle]] = {
    "power": ({"p": 3.0}, _entries(lambda y: np.abs(y) ** 1.5 / 1.5)),
    "elastic": ({"mu": 0.5}, _entries(lambda y: np.maximum(abs(y) - 1, 0) ** 2)),
    "berhu": ({}, _entries(lambda y: np.maximum(y * y - 1, 0) / 2)),
    "asinh": ({}, _entries(lambda y: 2 * np.sinh(y / 2) ** 2)),
    "half_l1_squared": ({}, lambda y: _norm(y, np.inf) ** 2 / 2),
    "l1": ({}, _inside(-1, 1, lambda y: 0 * y)),
    "box": ({"lower": -0.5, "upper": 2.0}, _inside(-0.5, 2, lambda y: 0 * y)),
    "huber": ({"delta": 0.7}, _inside(-1, 1, lambda y: 0.35 * y * y)),
    "exp": ({}, _inside(0, math.inf, lambda y: special.xlogy(y, y) - y)),
    "softplus": ({}, _inside(0, 1, lambda y: special.xlogy(y, y) + special.xlog1py(1 - y, -y))),
}  # fmt: skip


def _own_log_cosh() -> Any:
    def f(x: Any) -> Any:  # no digits are lost near 0
        xp, a = namespace(x), abs(x)
        half = xp.sinh(xp.clip(a, 0.0, 1.0) / 2)
        return xp.where(a < 1, xp.log1p(2 * half * half), a + xp.log1p(xp.exp(-2 * a)) - math.log(2))

    return from_scalar(f, lambda x: namespace(x).tanh(x), slope_range=(-1, 1), even=True)


def _own_elastic() -> Any:
    def slope(x: Any) -> Any:
        return x / 2 + namespace(x).sign(x)

    return from_scalar(lambda x: abs(x) + x * x / 4, slope, slope_range=(-math.inf, math.inf), even=True, smooth=False)


def _own_clip() -> Any:
    return from_projection(lambda y: namespace(y).clip(y, 0.0, 1.0), 0.5, diameter=4.0)


def _own_max() -> Any:
    def vertex(c: Any) -> Any:  # the mean of the largest entries
        xp = namespace(c)
        at = xp.astype(c == xp.max(c), c.dtype)
        return at / xp.sum(at)

    return from_lmo(vertex, diameter=2**0.5)


def _between(x: np.ndarray) -> np.ndarray:
    p = np.clip(2 * x, 0, 1)
    return x * p - p * p / 4


# What users bring, by the public ways: a function and its derivative, a projection, an oracle.
OWN: dict[str, tuple[Any, Oracle]] = {
    "own log cosh": (_own_log_cosh, SCALAR["log_cosh"][1]),
    "own elastic": (_own_elastic, SCALAR["elastic"][1]),
    "own clip": (_own_clip, _entries(_between)),
    "own max": (_own_max, VECTOR["max"][1]),
}

FEW = {"k": 2, "box_simplex": 2, "cvar": 2, "total_variation": 2}  # entries, or singular values, that a name needs


def atom(draw: Draw, shape: tuple[int, ...], tables: list[Any] | None = None) -> Made:
    """A name of the tables that takes arrays of this shape."""
    if tables is None:
        matrices = [MATRIX, MATRIX] if len(shape) >= 2 else []
        square = [SQUARE] if len(shape) == 2 and shape[0] == shape[1] else []
        tables = [SCALAR, SCALAR, VECTOR, VECTOR, VECTOR, DUAL, OWN, *matrices, *square]
    table = draw(tables)
    name = draw(sorted(table))
    parameters, oracle = table[name]
    if callable(parameters):
        return Made(name, parameters(), oracle)
    if table is DUAL:
        return Made(f"{name}*", lionk.K(name, **parameters).conjugate, oracle)
    least = max(FEW.get(name, 1), parameters.get("k", 1))
    if (min(shape[-2:]) if table is MATRIX else math.prod(shape)) < least:
        name, (parameters, oracle) = "l2", VECTOR["l2"]
    return Made(name, lionk.K(name, **parameters), oracle)


def _shifted(a: Made, name: str, c: Any, text: str) -> Made:
    if name == "tilt":
        return Made(f"{a.text}.tilt({text})", a.K.tilt(c), lambda x: a.oracle(x) + _flat(c * x).sum(-1), a.exact)
    return Made(f"{a.text}.shift({text})", a.K.shift(c), lambda x: a.oracle(x + c), a.exact)


def _matrix(n: int) -> np.ndarray:
    return np.eye(n) + 0.3 * np.cos(np.arange(n * n)).reshape(n, n)


def _lift(draw: Draw, shape: tuple[int, ...]) -> Made:
    """A rule that changes the argument before a function of few properties sees it."""
    n = math.prod(shape)
    rule = draw(["radial", "positive", "centered", "linear", "maximum", "blocks", "spectral"])
    even = [{k: SCALAR[k] for k in SCALAR if k not in ("softplus", "relu", "relu_square", "box")}]
    norms = [{k: VECTOR[k] for k in ("l2", "lp", "linf", "top_k", "owl", "k_support")} | {"l1": SCALAR["l1"]}]
    if rule == "radial":
        a, b = atom(draw, (1,), even), atom(draw, shape, norms)
        return Made(f"radial({a.text}, {b.text})", radial_lift(a.K, b.K), lambda x: a.oracle(b.oracle(x)[:, None]))
    if rule == "positive":
        a = atom(draw, shape, [even[0] | norms[0]])
        return Made(f"positive({a.text})", positive_part(a.K), lambda x: a.oracle(np.maximum(x, 0)))
    if rule == "centered":
        a = atom(draw, shape, [even[0] | norms[0]])
        return Made(
            f"centered({a.text})", centered(a.K), lambda x: a.oracle(_flat(x) - _flat(x).mean(-1, keepdims=True))
        )
    if rule == "linear" and len(shape) == 1:
        a, b = atom(draw, shape), _matrix(n)
        return Made(f"linear({a.text})", linear_map(a.K, b), lambda x: a.oracle(x @ b.T))
    if rule == "blocks" and len(shape) <= 2 and shape[0] > 1:
        a = atom(draw, (1, *shape[1:]), [SCALAR, norms[0]])
        parts = len(shape), shape[0]
        return Made(
            f"blocks({a.text})", block_lift(a.K, -parts[0], parts[1]),
            lambda x: sum(a.oracle(x[:, i : i + 1]) for i in range(x.shape[1])),
        )  # fmt: skip
    if rule == "spectral" and len(shape) >= 2:
        a = atom(draw, (min(shape[-2:]),), [even[0] | norms[0]])
        return Made(f"singular({a.text})", spectral_lift(a.K), _singular(a.oracle))
    a, c = atom(draw, shape, norms), draw([0.5, 1.2])
    return Made(
        f"max({a.text}, {c} l2)", maximum(a.K, c * lionk.K("l2")), lambda x: np.maximum(a.oracle(x), c * _norm(x))
    )


def function(draw: Draw, shape: tuple[int, ...], depth: int) -> Made:
    """A name, or a rule of functions of one depth less."""
    if depth == 0:
        return _lift(draw, shape) if draw([False] * 4 + [True]) else atom(draw, shape)
    rule = draw(["add", "add", "add", "scale", "dilate", "tilt", "shift", "ridge", "moreau"])
    a = function(draw, shape, depth - 1)
    if rule == "add":
        b = function(draw, shape, draw([0, depth - 1]))
        return Made(f"({a.text} + {b.text})", a.K + b.K, lambda x: a.oracle(x) + b.oracle(x), a.exact and b.exact)
    c = draw([0.3, 2.5])
    if rule == "scale":
        return Made(f"{c} {a.text}", c * a.K, lambda x: c * a.oracle(x), a.exact)
    if rule == "dilate":
        return Made(f"{a.text}.dilate(-{c})", a.K.dilate(-c), lambda x: a.oracle(-c * x), a.exact)
    if rule in ("tilt", "shift"):
        vector = draw([True, False])
        by = c * np.cos(np.arange(math.prod(shape[-2:]))).reshape(shape[-2:]) if vector else c
        return _shifted(a, rule, by, f"{c} cos" if vector else f"{c}")
    if rule == "ridge":
        return Made(f"{a.text}.ridge({c})", a.K.ridge(c), lambda x: a.oracle(x) + c / 2 * _norm(x) ** 2, a.exact)
    return Made(f"{a.text}.moreau({c})", a.K.moreau(c), _envelope(a, c), False)


def _envelope(a: Made, mu: float) -> Oracle:
    """``K(z) + |x - z|^2/(2 mu)`` at the z that the library's prox finds, and at others: not below the envelope."""

    def above(x: np.ndarray) -> np.ndarray:
        near = x
        with np.errstate(all="ignore"), contextlib.suppress(lionk.NotAvailable):
            near = a.K._prox(namespace(x), x, mu, 1)
        steps = [near, x, 0 * x, x / 2, x - 0.9 * (x - near)]
        return np.min([a.oracle(z) + _norm(x - z) ** 2 / (2 * mu) for z in steps], axis=0)

    return above


def from_below(made: Made, y: np.ndarray, starts: list[np.ndarray], effort: int = 60, seed: int = 0) -> float:
    """The largest ``<y, s> - K(s)`` that a search finds: below K*(y)."""
    rng = np.random.default_rng(seed)
    y = np.asarray(y, float)
    found = [np.asarray(s, float) for s in starts]
    found = [s for s in found if np.all(np.isfinite(s))] + [0 * y]
    pool = np.stack([t * s for s in found for t in (0.5, 0.9, 0.999, 1.0, 1.001, 1.1, 2.0)])
    best, at = -math.inf, 0 * y
    size = max(float(np.abs(np.stack(found)).max()), 1e-300)
    while effort > 0:
        values = (pool * y).reshape(len(pool), -1).sum(-1) - made.each(pool)
        values = np.where(np.isnan(values), -math.inf, values)
        i = int(np.argmax(values))
        if values[i] > best:
            best, at = float(values[i]), pool[i]
        effort -= len(pool)
        spread = 10.0 ** rng.uniform(-7, 0, (24,) + (1,) * y.ndim) * size
        noise = rng.standard_normal((24, *y.shape)) * (rng.random((24, *y.shape)) < rng.choice([0.3, 1.0]))
        pool = at + spread * noise
    return best
