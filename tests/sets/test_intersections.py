"""Intersections, as sets that a user makes: oracle, support and the sums of sets over them, against bisection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

import lionk
from backends_under_test import BACKENDS
from lionk.sets import Ball, Box, Intersection
from turns import in_turns

RADIUS = 1.3


def best(c: Any) -> Any:
    """The farthest point along c in box and ball: ``clip(t c)`` with the t that makes it as long as the ball."""
    c = c / np.abs(c).max()
    if np.linalg.norm(np.sign(c)) <= RADIUS:
        return np.sign(c)
    return np.clip(brentq(lambda t: np.linalg.norm(np.clip(t * c, -1, 1)) - RADIUS, 0, 1e6, xtol=1e-14) * c, -1, 1)


def scaled_ball() -> Any:
    return (RADIUS * lionk.K("l2")).conjugate.domain


# JAX compiles the search for ten seconds.
@pytest.mark.parametrize("name", ["numpy", "strict", "torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_the_oracle_of_box_and_ball(name: str) -> None:
    there, c = BACKENDS[name], np.asarray([3.0, -0.2, 0.5, 0.0])
    met = Intersection(Box(), scaled_ball())
    for x in (c, 1e-20 * c, 1e20 * c, np.asarray([0.0, 5.0, 0.0, 0.0]))[: 4 if name == "numpy" else 2]:
        found = there.get(met.lmo(there.put(x, "float64")))
        np.testing.assert_allclose(found, best(x), atol=1e-6)
        assert bool(met.contains(there.put(found, "float64")))
        assert float(met.support(there.put(x, "float64"))) == pytest.approx(float(best(x) @ x), rel=1e-9)
    zero = there.put(0 * c, "float64")
    assert float(met.support(zero)) == 0
    assert not np.any(there.get(met.lmo(zero)))
    assert np.isnan(float(met.support(there.put(np.asarray([np.nan, 1.0, 0.0, 2.0]), "float64"))))
    assert float(met.support(there.put(np.zeros(0), "float64"))) == 0


def test_a_function_over_an_intersection_is_complete() -> None:
    """The support function of the set, and sums with it, whose conjugates ask the sum of two sets for members."""
    met = Intersection(Box(), Ball(2.0))
    K = lionk.functions.support(met)
    rng = np.random.default_rng(0)
    for x in rng.standard_normal((4, 5)):
        assert abs(float(K.fenchel_young(x, K.subgradient(x)))) <= 1e-5 * np.linalg.norm(x)
    both = lionk.K("infimal_convolution", K1="l1", K2="l2") + lionk.K("l1_plus_l2")
    for x in rng.standard_normal((3, 4)):
        s = both.subgradient(x)
        assert float(both.conjugate(s)) == 0
        assert float(both.conjugate(s + 0.01 * x / np.linalg.norm(x))) == np.inf


def met(a: Any, b: Any) -> Any:
    return lionk.functions.infimal_convolution(a, b)


K = lionk.K
APART = {  # u in the first set and v in the second differ by at least 1 in <d, u - v>
    "ball and box": lambda: met(K("l2").tilt(5.0), K("l1")),
    "two balls": lambda: met(K("l2"), K("l2").tilt(np.asarray([3.0, 0.0, 0.0]))),
    "simplex and sum 0": lambda: met(K("max"), K("range")),
    "simplex and small l1 ball": lambda: met(K("max"), 0.5 * K("linf")),
    "a ball and a penalty on a box": lambda: met(K("l2").tilt(5.0), K("huber")),
}


@pytest.mark.parametrize(("name", "dtype"), in_turns(APART, ["float64", "float32"]))
@pytest.mark.filterwarnings("ignore:invalid value")  # of infinities that cancel
def test_sets_that_share_no_point_have_no_support_and_everything_is_infinitely_far(name: str, dtype: str) -> None:
    """By definition: an infimum without end is -inf, one over nothing +inf, and there is no nearest point."""
    k, x = APART[name](), np.asarray([1.0, 2.0, -0.5], dtype)
    k = k.to(like=x)
    assert k.value(x) == -np.inf
    assert k.bounds(x) == (-np.inf, -np.inf)
    assert k.conjugate.value(x) == np.inf
    assert k.conjugate.domain.distance(x) == np.inf
    assert not k.conjugate.domain.contains(x)
    assert np.isnan(k.subgradient(x)).all()
    assert np.isnan(k.value(np.nan * x))
    for lr in (None, 0.1) if "ball" in name else ():
        with pytest.raises(ValueError, match="no x is feasible"):
            lionk.minimize(lambda x: (float(x @ x) / 2, x), x, K=k, weight_decay=1.0, lr=lr, jac=True, maxiter=5)


def test_three_of_which_two_share_no_point() -> None:
    assert met(met(K("max"), K("range")), K("huber_l2")).value(np.asarray([1.0, 2.0, -0.5])) == -np.inf


def test_sets_that_share_little_keep_their_support() -> None:
    """Two unit balls 1.9 apart share a lens: the support of its corner, and of its middle."""
    k = met(K("l2"), K("l2").tilt(np.asarray([1.9, 0.0])))
    corner = np.sqrt(1 - 0.95**2)
    for x, value in (([0.0, 1.0], corner), ([1.0, 0.0], 1.0), ([0.0, -2.0], 2 * corner)):
        assert float(k.value(np.asarray(x))) == pytest.approx(value, rel=1e-6)


def test_intervals_that_share_no_point_are_refused() -> None:
    for make in (
        lambda: met(K("l1").tilt(3.0), K("l1")),
        lambda: K("exp").conjugate.dilate(-1.0).shift(1.0) + K("exp").conjugate,
    ):
        with pytest.raises(ValueError, match="share no point"):
            make()


def test_both_ends_are_close_where_zero_is_at_the_edge_of_a_set() -> None:
    """A point found outside by its rounding is moved into both sets, so that it gives a lower end."""
    k = met(K("lp", p=3.0), 2.0 * K("relu"))
    for x in ([-0.0182839, 0.05405251, 0.1935088, -0.02696203], [-1.0, 2.0, 0.5, 0.25]):
        lower, upper = k.bounds(np.asarray(x))
        assert upper - lower <= 1e-10
        r = np.maximum(x, 0)  # no entry of the dual ball of l3 exceeds 1, so the box [0, 2] only cuts what is negative
        assert lower - 1e-10 <= float(np.sum(r**3) ** (1 / 3)) <= upper + 1e-10


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("noise", [0.0, 5e-3, 1.0])
def test_where_one_of_the_two_sets_decides_its_answer_is_that_of_both(noise: float, dtype: str) -> None:
    """Rows of norm 1/2 that are nearly orthogonal have no singular value beyond 1, and a far point has."""
    rng, K = np.random.default_rng(5), lionk.K("spectral_row")
    rows = np.asarray([[-2.0, 0, 0], [0, -2, 0], [0, 0, -2]]) + noise * rng.standard_normal((3, 3))
    x = np.stack([rows, 3 * rows]).astype(dtype)
    lengths = np.linalg.norm(x, axis=-1, keepdims=True)
    near = 64 * float(np.finfo(dtype).eps)
    row = x / (2 * lengths)
    assert np.linalg.norm(row, 2, (-2, -1)).max() <= 1, "the other set has no say"
    assert float(K(x)) == pytest.approx(float(lengths.sum()) / 2, rel=near)
    np.testing.assert_allclose(K.subgradient(x), row, atol=near)
    np.testing.assert_allclose(K.conjugate.domain.project(x), row, atol=near)
    # and here the ball of singular values decides alone
    wide = lionk.K("spectral_row", bound=2.0)
    u, s, vt = np.linalg.svd(x[0])
    both = np.stack([x[0], np.zeros((3, 3), dtype)])
    assert float(wide(both)) == pytest.approx(float(s.sum()), rel=near)
    np.testing.assert_allclose(wide.subgradient(both)[0], u @ vt, atol=near)
    np.testing.assert_allclose(wide.conjugate.domain.project(both)[0], u @ np.diag(np.minimum(s, 1)) @ vt, atol=near)
