"""Sums of two sets of which one has no end in some direction: cones, subspaces, boxes with an infinite end."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import lionk
from lionk import functions as f
from lionk.functions import K
from lionk.sets import Box
from lionk.sets.box import Whole
from lionk.sets.constants import UpToConstants

ROWS = np.asarray([[0.5, 0.5, 0.5, 0.5], [0.5, -0.5, 0.5, -0.5]])

# K of which dom K* has no end in some direction.
UNBOUNDED: dict[str, Callable[[], lionk.ConvexFunction]] = {
    "relu_square": lambda: K("relu_square"),
    "exp.tilt(0.3)": lambda: K("exp").tilt(0.3),
    "exp.dilate(-1)": lambda: f.dilate(K("exp"), -1.0),
    "centered(half_square)": lambda: f.centered("half_square"),
    "centered(relu_square)": lambda: f.centered("relu_square"),
    "linear_map(half_square, wide)": lambda: f.linear_map("half_square", 2 * ROWS),
    "linear_map(relu_square, two rows)": lambda: f.linear_map("relu_square", ROWS),
    "positive_part(half_square)": lambda: f.positive_part("half_square"),
}
OTHERS = ["l1", "k_norm", "max", "softplus", "total_variation", *UNBOUNDED]


def _other(name: str) -> lionk.ConvexFunction:
    return UNBOUNDED[name]() if name in UNBOUNDED else K(name)


PAIRS = [(a, b) for i, a in enumerate(UNBOUNDED) for b in OTHERS[: 5 + i] if (i + OTHERS.index(b)) % 3 == 0]


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_membership_in_a_sum_agrees_with_its_distance_and_with_the_value(a: str, b: str) -> None:
    k = UNBOUNDED[a]() + _other(b)
    domain, rng = k.conjugate.domain, np.random.default_rng(7)
    for size in (1.0, 10.0):
        y = size * rng.standard_normal(4)
        inside = bool(domain.contains(y))
        assert inside == math.isfinite(k.conjugate.value(y))
        assert inside == (float(domain.distance(y)) <= 1e-6 * size)
        near = domain.project(y)
        assert domain.contains(near, 1e-6)
        assert not inside or near.tolist() == y.tolist()


@pytest.mark.parametrize("a", UNBOUNDED)
def test_minimize_takes_a_sum_with_an_unbounded_domain(a: str) -> None:
    """It asks for membership before it ends, and by how much of rounding a point is outside."""
    c = np.asarray([1.0, -0.5, 0.3, 2.0])
    r = lionk.minimize(
        lambda x: (0.5 * float((x - c) @ (x - c)), x - c), np.zeros(4), K=UNBOUNDED[a]() + K("l1"), weight_decay=0.5,
        jac=True, convex=True, maxiter=200,
    )  # fmt: skip
    assert r.success and not r.certificate.failed


def test_the_support_of_a_subspace_is_infinite_off_what_is_normal_to_it() -> None:
    flat = UpToConstants(Whole())
    assert flat.support(np.full(3, 0.1)) == 0
    assert flat.support(np.asarray([1.0, 0.0, 0.0])) == math.inf
    assert UpToConstants(Box(0.0, math.inf)).support(np.asarray([0.7, 0.7])) == 0
    assert Whole().support(np.zeros(3)) == 0 and Whole().support(np.ones(3)) == math.inf


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_projection_onto_a_sum_with_a_cone_leaves_it_by_nothing(dtype: str) -> None:
    """Next to 0 the value is infinite one rounding unit of 1 outside; a set of size 1 would call that a member."""
    k = 0.3 * f.positive_part(K("k_support", k=2)).shift(0.5) + f.positive_part("berhu")
    domain = k.conjugate.domain
    for y in ([-1e-7, -2e-8, 0.0, 0.42], [0.3, -1e-9, 5.0, 1e-12], [-1e-30, 1e3, 0.0, 2.0]):
        near = domain.project(np.asarray(y, dtype=dtype))
        assert np.all(near >= 0) and np.allclose(near, y, atol=2e-7, rtol=1e-6)
        assert domain.project(near).tolist() == near.tolist()
