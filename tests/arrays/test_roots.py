"""Roots of nondecreasing functions: found to the last digits, in few evaluations, wherever they are."""

from __future__ import annotations

import numpy as np
import pytest
from array_api_compat import numpy as xp
from scipy.optimize import brentq, isotonic_regression

from lionk.arrays import roots
from lionk.sets import sorted as ordered

SMOOTH = {
    "a saturating slope": lambda z: z - 3.0 + 2.0 * np.tanh(z),
    "a slope that falls": lambda z: z - 50.0 + 9.0 * np.arcsinh(z),
    "a power": lambda z: z**3 - 0.02,
    "an exponential": lambda z: np.exp(z / 2) - 40.0,
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_smooth_root_takes_few_evaluations(name: str, shape: tuple[int, ...]) -> None:
    f, count = SMOOTH[name], []
    low, high = (np.full(shape, e) for e in (-10.0, 60.0))
    found = roots.root(xp, lambda z: count.append(1) or f(z), low, high)
    np.testing.assert_allclose(found, brentq(f, -10.0, 60.0, xtol=1e-15), rtol=1e-14)
    assert len(count) <= 20


@pytest.mark.parametrize("shape", [(), (1,)])
def test_jumps_flat_parts_and_ends(shape: tuple[int, ...]) -> None:
    """A jump is found to the last digit, of a flat part of 0 the left end; where the sign does not change, an end.

    Where any root will do, a few evaluations find one.
    """
    low, high = np.full(shape, -1.0), np.full(shape, 1.0)

    def at(f) -> float:
        return float(np.ravel(roots.root(xp, f, low, high, first=True))[0])

    seen = []

    def flat(z):
        seen.append(z)
        return np.where(z < 0.3, z - 0.3, np.where(z > 0.6, z - 0.6, 0 * z))

    assert 0.3 <= float(np.ravel(roots.root(xp, flat, low, high))[0]) <= 0.6
    assert len(seen) <= 5

    assert at(lambda z: np.where(z < 0.3, -1.0, 1e200)) == pytest.approx(0.3, rel=1e-15)
    assert at(lambda z: np.where(z < 0.3, z - 0.3, 0 * z)) == pytest.approx(0.3, rel=1e-15)
    assert at(lambda z: z + 2.0) == -1.0
    assert at(lambda z: z - 2.0) == 1.0
    assert at(lambda z: 0 * z) == -1.0
    assert at(lambda z: np.where(z < 0.25, -np.inf, np.inf)) == pytest.approx(0.25, rel=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 7, 300])
def test_the_nearest_falling_sequence(dtype: str, n: int, monkeypatch) -> None:
    """Where values can be seen, and where they cannot, against SciPy."""
    rows = np.random.default_rng(n).standard_normal((3, n)) - np.linspace(0, 2, n)
    rows[0] = np.round(rows[0])
    right = np.stack([isotonic_regression(row, increasing=False).x for row in rows])
    for _ in range(2):
        fit = ordered._non_increasing(xp, rows.astype(dtype))
        assert fit.dtype == dtype
        np.testing.assert_allclose(fit, right, atol=20 * np.finfo(dtype).eps)
        monkeypatch.setattr(ordered, "visible", lambda *arrays: False)


def test_a_concave_slope_beside_its_equation() -> None:
    """``z + t phi'(z) = x`` over forty orders of magnitude of x and twenty of t."""
    x, t = (a.ravel() for a in np.meshgrid(10.0 ** np.arange(-20, 21), 10.0 ** np.arange(-10, 11.0)))
    z = roots.concave_resolvent(xp, np.arcsinh, lambda z: 1 / np.hypot(1, z), x, t)
    miss, slope = abs(z + t * np.arcsinh(z) - x), 1 + t / np.hypot(1, z)
    assert np.all(miss <= 4e-16 * (slope * z + x))
