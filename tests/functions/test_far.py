"""Envelopes at every scale: far out the slope is a short difference of long arrays, near 0 the prox is one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, special

import grammar
import hunt
import lionk
import statements
from backends_under_test import BACKENDS
from grammar import MATRIX, SCALAR, SQUARE, VECTOR, Made
from lionk.functions import centered, maximum, radial_lift

K = lionk.K
NAMED = {n: (p, o) for table in (SCALAR, VECTOR, MATRIX, SQUARE) for n, (p, o) in table.items()}


def named(name: str) -> Made:
    parameters, oracle = NAMED[name]
    return Made(name, K(name, **parameters), oracle)


def added(*names: str) -> Made:
    parts = [named(n) for n in names]
    total = parts[0].K
    for part in parts[1:]:
        total = total + part.K
    return Made(" + ".join(names), total, lambda x: sum(part.oracle(x) for part in parts))


def mean_free(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1) - x.reshape(len(x), -1).mean(-1, keepdims=True)


COMPOSED = {
    "linf + huber": lambda: added("linf", "huber"),
    "max + softsign": lambda: added("max", "softsign"),
    "nuclear + l1": lambda: added("nuclear", "l1"),
    "log_sum_exp + l1": lambda: added("log_sum_exp", "l1"),
    "l2 + linf + pseudo_huber": lambda: added("l2", "linf", "pseudo_huber"),
    "centered(huber)": lambda: Made(
        "centered(huber)", centered(K("huber", delta=0.7)), lambda x: SCALAR["huber"][1](mean_free(x))
    ),
    "radial(huber, linf)": lambda: Made(
        "radial(huber, linf)",
        radial_lift(K("huber", delta=0.7), K("linf")),
        lambda x: SCALAR["huber"][1](VECTOR["linf"][1](x)[:, None]),
    ),
    "radial(asinh, l1)": lambda: Made(
        "radial(asinh, l1)",
        radial_lift(K("asinh"), K("l1")),
        lambda x: SCALAR["asinh"][1](SCALAR["l1"][1](x)[:, None]),
    ),
    "max(linf, l2/2)": lambda: Made(
        "max(linf, l2/2)",
        maximum(K("linf"), 0.5 * K("l2")),
        lambda x: np.maximum(VECTOR["linf"][1](x), VECTOR["l2"][1](x) / 2),
    ),
    "own max": lambda: Made("own max", grammar.OWN["own max"][0](), grammar.OWN["own max"][1]),
    "l1 with a small ridge": lambda: Made(
        "ridge", K("l1").ridge(1e-4), lambda x: SCALAR["l1"][1](x) + 1e-4 * SCALAR["half_square"][1](x)
    ),
}


@pytest.mark.parametrize("name", [*NAMED, *COMPOSED])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of oracles whose numbers are too large
def test_envelopes_at_every_scale(name: str) -> None:
    """Slope, value and both ends, as an oracle sees them that knows K only: entries from 1e-30 to 1e30, with ties."""
    made, counts = COMPOSED[name]() if name in COMPOSED else named(name), 0
    shapes = [(3, 3), (2, 2, 3)] if name in MATRIX else [(2, 2)] if name in COMPOSED else [(3, 3)]
    for shape in shapes:
        for dtype in ("float32", "float64"):
            case = statements.Case(made, shape, dtype, np.random.default_rng(len(name)))
            for _ in range(4 if name in NAMED else 2):
                with hunt.found_once():
                    statements.envelopes(case)
            assert not case.false, case.false[0]
            counts += case.counts["slope of an envelope"]
    assert counts > 2


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("name", COMPOSED)
def test_stacks_of_points_at_different_distances(name: str) -> None:
    """Each point of a stack has the slope that it has alone, however far away the others are."""
    made = COMPOSED[name]()
    k = made.K.moreau(0.3)
    x = np.random.default_rng(1).standard_normal((5, 3, 3)) * np.asarray([1e-3, 1.0, 1e3, 1e7, 1e20])[:, None, None]
    x = x.astype("float32")
    together = k.bind(x[0], batch=1).subgradient(x)
    for point, slope in zip(x, together, strict=True):
        alone = k.subgradient(point)
        np.testing.assert_allclose(slope, alone, atol=2e-4 * float(np.abs(alone).max()))


def test_far_points_under_a_trace() -> None:
    """Where values cannot be seen, the steps that get shorter are always taken."""
    import jax

    k = COMPOSED["centered(huber)"]().K.moreau(2.5)
    x = (np.random.default_rng(5).standard_normal(4) * 1e7).astype("float32")
    found = jax.jit(k.subgradient)(BACKENDS["jax"].put(x, "float32"))
    np.testing.assert_allclose(np.asarray(found), k.subgradient(x.astype(float)), atol=1e-4)


@pytest.mark.parametrize(("n", "spread"), [(100, 5.0), (1000, 1.0), (1000, 5.0)])
def test_ends_of_log_sum_exp_and_l1_are_as_close_as_stated(n: int, spread: float) -> None:
    """K* is the least ``sum v log v`` over v in the simplex within 1 of y: v is one level, cut off at both ends."""
    k, rng = K("log_sum_exp") + K("l1"), np.random.default_rng(0)
    y = 0.97 * k.subgradient(spread * rng.standard_normal(n)) + 0.03 * k.subgradient(rng.standard_normal(n))
    low, high = np.maximum(y - 1, 0), np.maximum(y + 1, 0)
    level = optimize.brentq(lambda c: np.clip(math.exp(c), low, high).sum() - 1, -800, 5, xtol=1e-14)
    v = np.clip(math.exp(level), low, high)
    lower, upper = (float(e) for e in k.conjugate.bounds(y))
    assert lower - 1e-9 <= float(special.xlogy(v, v).sum()) <= upper + 1e-9
    s = k.conjugate.subgradient(y)
    size = abs(upper) + abs(float(k.value(s))) + float(np.sum(abs(y * s)))
    assert upper - lower <= k.conjugate.traits.accuracy * size


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-6, 0.5, 3.0, 1e3, 1e6, 1e8, 1e10, 1e20, 1e30])
def test_the_slope_of_an_infimal_convolution_far_out(size, dtype) -> None:
    """Of the indicator of [-1, 1] and of y^2: x/2 up to |x| = 2, and the sign beyond."""
    K = lionk.functions.infimal_convolution("l1", lionk.K("huber", delta=2.0))
    for one in (np.asarray([1.0, -1 / 3, 0.0]), np.asarray([0.2, 1.0, -0.7])):
        x = (size * one).astype(dtype)
        np.testing.assert_allclose(K.subgradient(x), np.clip(x / 2, -1, 1), rtol=1e-5, atol=1e-6 * min(size, 1))
        assert abs(float(K.fenchel_young(x, K.subgradient(x)))) <= 2e-6 * float(K.value(x))
