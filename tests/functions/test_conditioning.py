"""Maps that are nearly singular: dK lies in dom K*, whose tolerance is that of the rounding inside the map."""

from __future__ import annotations

import numpy as np
import pytest

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
