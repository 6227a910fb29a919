"""The second Lyapunov function: its derivative along the flow, its sign, and a rate in print that does not hold."""

from __future__ import annotations

import numpy as np
import pytest

import lionk
from lionk.theory import second_lyapunov


def _draw(rng):
    gamma = rng.uniform(0.1, 3.0)
    eps = rng.uniform(0.05, 0.95) / gamma
    grad, m = rng.standard_normal((2, 5))
    return gamma, eps, grad, m


@pytest.mark.parametrize("name", ["l1", "l2", "log_cosh", "huber", "half_square", "top_k", "pseudo_huber", "linf"])
def test_the_derivative_is_that_of_the_chain_rule_and_not_positive(name) -> None:
    K, rng = lionk.K(name), np.random.default_rng(0)
    for _ in range(250):
        gamma, eps, grad, m = _draw(rng)
        at = second_lyapunov(K, 0.0, grad, m, gamma=gamma, eps=eps)
        dm = -gamma * (grad + m)
        u, v = K.subgradient(m + eps * dm), K.subgradient((1 - eps * gamma) * m)
        assert float(at.rate) == pytest.approx(gamma * grad @ u + v @ dm, abs=1e-12 * (1 + abs(float(at.rate))))
        assert at.D1 >= -1e-14
        assert at.D2 >= -1e-14
        assert at.rate <= 1e-12


def test_it_falls_along_the_flow() -> None:
    K, gamma, eps, step = lionk.K("log_cosh"), 1.0, 0.5, 1e-3
    x, m = np.asarray([2.0, -1.0, 0.5]), np.asarray([0.3, 0.2, -0.4])

    def seen(x, m):
        return second_lyapunov(K, 0.5 * x @ x, x, m, gamma=gamma, eps=eps)

    def rate(x, m):
        dm = -gamma * (x + m)
        return K.subgradient(m + eps * dm), dm

    for _ in range(200):
        dx, dm = rate(x, m)
        ends = [float(seen(x + s * dx, m + s * dm).value) for s in (-step, step)]
        assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(float(seen(x, m).rate), abs=1e-5)
        x, m = x + 0.05 * dx, m + 0.05 * dm
    assert float(seen(x, m).value) < 0.2


def test_the_rate_in_print_does_not_hold() -> None:
    rng, worst = np.random.default_rng(1), 0.0
    for _ in range(2000):
        gamma, eps, grad, m = _draw(rng)
        at = second_lyapunov("l1", 0.0, grad, m, gamma=gamma, eps=eps)
        b = eps * gamma
        printed = -(1 - b) * np.abs((1 - b) * m - b * grad).sum() - gamma * np.abs(m).sum()
        worst = max(worst, abs(float(at.rate) - printed))
    assert worst > 1


def test_containers_and_what_is_out_of_range() -> None:
    m, grad = {"a": np.ones(2), "b": np.zeros((2, 2))}, {"a": np.ones(2), "b": np.ones((2, 2))}
    at = second_lyapunov(lionk.blocks({"a": "l1", "b": "nuclear"}), 1.0, grad, m)
    assert at.rate < 0
    for wrong in ({"gamma": 0.0}, {"eps": 0.0}, {"gamma": 2.0, "eps": 0.5}, {"gamma": -1.0}):
        with pytest.raises(ValueError, match="eps gamma < 1"):
            second_lyapunov("l1", 0.0, np.ones(2), np.ones(2), **wrong)
