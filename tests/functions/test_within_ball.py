"""Sums of a function and a multiple of l2: K* from one root, against ``K*(y) = <x, y> - K(x)`` at ``y = dK(x)``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from grammar import SCALAR, VECTOR
from lionk.functions import K
from turns import in_turns

ORACLES = {**SCALAR, **VECTOR}
NAMES = ["softsign", "softplus", "log_cosh", "huber", "arctan", "half_square", "log_sum_exp", "smooth_linf"]


@pytest.mark.parametrize(("name", "dtype"), in_turns(NAMES, ["float64", "float32"]))
@pytest.mark.parametrize(("n", "radius"), in_turns([1, 5, 1000], [1e-2, 1.0, 1e3]))
def test_the_value_and_its_ends_are_known_to_rounding(name: str, dtype: str, n: int, radius: float) -> None:
    k = K(name, **ORACLES[name][0]) + radius * K("l2")
    x = (3 * np.random.default_rng(n).standard_normal(n)).astype(dtype)
    y, exact = k.subgradient(x), x.astype(float)
    truth = float(exact @ y.astype(float)) - float(ORACLES[name][1](exact[None])[0]) - radius * float(np.linalg.norm(x))
    lower, upper = map(float, k.conjugate.bounds(y))
    room = 400 * np.finfo(dtype).eps * (abs(truth) + float(abs(exact) @ abs(y)))
    assert lower <= truth + room and truth - room <= upper and upper - lower <= room
    assert lower <= float(k.conjugate.value(y)) <= upper


@pytest.mark.parametrize("radius", [0.1, 1.0, 7.0])
def test_where_the_least_value_is_within_the_ball_the_subgradient_is_0(radius: float) -> None:
    for name in ("huber", "softsign", "log_cosh"):
        k = K(name) + radius * K("l2")
        y = np.asarray([0.6, 0.0, -0.7]) * radius
        assert k.conjugate.value(y) == 0 and k.conjugate.subgradient(y).tolist() == [0, 0, 0]


def test_beyond_the_domain_it_is_infinite_and_on_its_edge_finite() -> None:
    """dom K* is the box of huber, grown by the ball: its edge at (1, 1) is (1, 1) + 2 (.6, .8)."""
    k = K("huber") + 2 * K("l2")
    edge, way = np.asarray([2.2, 2.6]), np.asarray([0.6, 0.8])
    assert k.conjugate.value(edge) == pytest.approx(1.0, rel=1e-14)
    assert math.isinf(k.conjugate.value(edge + 1e-9 * way))
    assert k.conjugate.value(edge - 1e-9 * way) < 1
    lower, upper = k.conjugate.bounds(edge)
    assert lower <= 1 <= upper and upper - lower < 1e-12


@pytest.mark.parametrize("name", ["softsign", "log_cosh", "huber", "log_sum_exp"])
def test_it_takes_few_proximal_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A splitting of this many entries takes 60 to 420 of them."""
    k, seen = K(name) + K("l2"), []
    kind: Any = type(k.first.conjugate)
    prox = kind._prox
    monkeypatch.setattr(kind, "_prox", lambda *a: seen.append(1) or prox(*a))
    k.conjugate.value(k.subgradient(np.random.default_rng(0).standard_normal(20_000)))
    assert 1 <= len(seen) <= 48


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["softsign", "log_cosh", "huber", "arctan", "half_square"])
def test_the_proximal_point_is_one_to_rounding(name: str, dtype: str) -> None:
    """``(x - z)/t - r z/|z|`` is the gradient of K at z, and z = 0 where ``|x| <= t r``."""
    rng, eps = np.random.default_rng(2), np.finfo(dtype).eps
    for _ in range(20):
        r, t, n = 10.0 ** rng.uniform(-3, 2), 10.0 ** rng.uniform(-3, 3), int(rng.integers(1, 6))
        x = (10.0 ** rng.uniform(-3, 3) * rng.standard_normal(n)).astype(dtype)
        z = (K(name) + r * K("l2")).prox(x, t).astype(float)
        if not z.any():
            assert np.linalg.norm(x) <= t * r * (1 + 8 * eps)
            continue
        length = np.linalg.norm(z)
        slope = K(name).subgradient(z)
        left = x - z - t * r * z / length - t * slope
        size = np.linalg.norm(x) + t * r + t * np.linalg.norm(slope)
        assert np.linalg.norm(left) <= 60 * eps * size * max(1.0, t * r / length)
