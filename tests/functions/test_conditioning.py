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
