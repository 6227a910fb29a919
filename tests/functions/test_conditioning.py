"""Maps that are nearly singular: dK lies in dom K*, whose tolerance is that of the rounding inside the map."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

import lionk


def _map(rng, n: int, condition: float, dtype: str) -> np.ndarray:
    q, r = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    return ((q * np.logspace(0, np.log10(condition), n)) @ r).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "condition"), [("float64", 1e1), ("float64", 1e6), ("float32", 1e1), ("float32", 1e3)]
)
def test_whitened_norms_are_finite_at_their_own_subgradient(dtype, condition) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        k = lionk.K("whitened_nuclear", left=_map(rng, 4, condition, dtype), right=_map(rng, 3, condition, dtype))
        s = k.subgradient(rng.standard_normal((4, 3)).astype(dtype))
        assert float(k.conjugate.value(s)) == 0
        assert bool(k.conjugate.domain.contains(s))
        if condition == 10:
            assert not bool(k.conjugate.domain.contains(np.asarray(1.01, dtype) * s))
            assert float(k.conjugate.value(np.asarray(1.01, dtype) * s)) == np.inf


@pytest.mark.parametrize("name", ["log_cosh", "pseudo_huber", "softsign", "arctan", "softplus", "huber"])
@pytest.mark.parametrize(("dtype", "far"), [("float64", 1e18), ("float32", 1e8), ("float32", 1e12)])
def test_an_envelope_is_steep_far_out(name: str, dtype: str, far: float) -> None:
    """There its slope, the prox of the conjugate, is a small difference of large numbers, whose digits are gone."""
    x = np.asarray([far, -far, 3.0], dtype)
    low = 0.0 if name == "softplus" else -1.0
    slope = lionk.K(name).moreau(0.3).subgradient(x)
    np.testing.assert_allclose(slope[:2], [1.0, low], atol=1e-5)
    np.testing.assert_allclose(lionk.K(name).conjugate.prox(x, 0.3)[:2], [1.0, low], atol=1e-5)
    assert 0.5 < slope[2] <= 1
    matrix = np.diag(x)
    if name != "softplus":
        lifted = lionk.functions.spectral_lift(name).moreau(0.3).subgradient(matrix)
        np.testing.assert_allclose(np.diag(lifted)[:2], [1.0, -1.0], atol=1e-5)


def _least_entropy(c: np.ndarray, t: float) -> np.ndarray:
    """The prox of t times the conjugate of ``smooth_linf`` at c >= 0: ``z + t asinh(z/2r) = c`` with
    ``sum sqrt(z^2 + 4r^2) = 1``, by brackets.
    """

    def entries(log_r: float) -> np.ndarray:
        low, high = 0 * c, c
        for _ in range(60):
            z = (low + high) / 2
            away = np.log(np.maximum(z, 1e-300)) - log_r
            slope = np.where(away > 30, away, np.arcsinh(z / 2 * math.exp(min(-log_r, 700))))
            low, high = np.where(z + t * slope > c, low, z), np.where(z + t * slope > c, z, high)
        return low

    def excess(log_r: float) -> float:
        return float(np.log(np.hypot(entries(log_r), 2 * math.exp(max(log_r, -700))).sum()))

    return entries(optimize.brentq(excess, -(c.max() + 5) / t - 50, 0.0, xtol=1e-13, rtol=1e-15))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("t", [1.0, 1e-5, 1e-7])
@pytest.mark.parametrize("size", [0.3, 1.0, 1.2, 2.1, 30.0])
def test_short_steps_of_an_entropy_keep_their_digits(size, t, dtype) -> None:
    """Inside the l1 ball a short step moves little; log r is moderate there, however long top/t is."""
    draws = np.random.default_rng(0).uniform(0, 1, (2, 4))
    for c in (draws / draws.sum(-1, keepdims=True) * size).astype(dtype):
        found = lionk.K("smooth_linf").conjugate.prox(c, t)
        room = 8 * np.finfo(dtype).eps * max(1, size)
        np.testing.assert_allclose(found, _least_entropy(c.astype(float), t), rtol=0, atol=room)
