"""Roots of nondecreasing functions: found to the last digits, in few evaluations, wherever they are."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from array_api_compat import numpy as xp
from scipy.optimize import brentq, isotonic_regression
from scipy.special import expit

from lionk.arrays import resolvents, roots
from lionk.arrays.newton import newton, solvable
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


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_level_is_exact_in_few_evaluations(dtype: str) -> None:
    """``sum clip(z - t, 0, 1) = total``, for 200 rows at once: with ties, flat parts, and roots at the ends.

    The sums are checked in exact arithmetic.
    """
    rng, n = np.random.default_rng(5), 12
    z = rng.normal(size=(200, n)) * np.exp(rng.uniform(-6, 6, size=(200, 1)))
    z[::3] = np.round(z[::3])
    z = z.astype(dtype)
    total = rng.integers(0, 2 * n + 1, size=200).astype(dtype) / 2
    count = []

    def lack(t: np.ndarray) -> np.ndarray:
        count.append(t)
        return total - np.clip(z - t[:, None], 0, 1).sum(-1)

    def inner(t: np.ndarray) -> np.ndarray:
        p = z - t[:, None]
        return ((p > 0) & (p < 1)).sum(-1).astype(dtype)

    found = roots.piecewise_root(xp, lack, inner, z.min(-1) - 1, z.max(-1), total)
    assert found.dtype == dtype
    assert len(count) <= 40
    for row, k, t in zip(z.tolist(), total.tolist(), found.tolist(), strict=True):
        size = max(map(abs, row)) + 1
        exact = [min(max(Fraction(v) - Fraction(t), Fraction(0)), Fraction(1)) for v in row]
        assert abs(sum(exact) - Fraction(k)) <= 16 * n * np.finfo(dtype).eps * size


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
    z = resolvents.concave_resolvent(xp, np.arcsinh, lambda z: 1 / np.hypot(1, z), x, t)
    miss, slope = abs(z + t * np.arcsinh(z) - x), 1 + t / np.hypot(1, z)
    assert np.all(miss <= 4e-16 * (slope * z + x))


@pytest.mark.parametrize("shape", [(7,), (2, 7), (3, 2, 2)])
def test_newton_ends_where_a_monotone_function_is_zero(shape: tuple[int, ...]) -> None:
    """A gradient with a singular derivative, a rotation, kinks, and curvatures down to 1e-6; each block for itself."""
    batch, rng = len(shape) - len(shape[1:] or shape), np.random.default_rng(3)
    n = int(np.prod(shape[batch:]))
    a = np.diag(10.0 ** -np.arange(n)) + np.triu(np.ones((n, n)), 1) - np.tril(np.ones((n, n)), -1)
    b = rng.standard_normal(shape)
    calls = []

    def residual(z, batch):
        calls.append(z.shape)
        w = z.reshape(*z.shape[:batch], n)
        return b - (w @ a.T + np.maximum(w, 0) + 0.1 * np.tanh(w)).reshape(z.shape)

    assert solvable(b, batch)
    z = newton(xp, residual, 0 * b, np.ones_like(b), 1e-14, batch)
    assert np.abs(residual(z, batch)).max() < 1e-13
    assert len(calls) <= 40


def test_newton_keeps_the_best_point_where_there_is_no_zero() -> None:
    def residual(z, batch):
        return 1 + 0 * z

    assert np.array_equal(newton(xp, residual, np.ones(3), np.ones(3), 1e-14, 0), np.ones(3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_newton_takes_derivatives_that_are_singular(dtype: str) -> None:
    """``sum z = 1`` by steep and equal rows, where a small damping leaves no digit: one of many zeros is found."""

    def residual(z, batch):
        return (1 - z.sum(-1, keepdims=True)) * np.asarray([2.0**20] * 3, dtype)

    z = newton(xp, residual, np.zeros(3, dtype), np.ones(3, dtype), 1e-9, 0)
    assert abs(z.sum() - 1) <= 1e-5


@pytest.mark.parametrize("t", [0.01, 1.0, 100.0])
def test_the_prox_of_a_sum_with_kinks_takes_few_evaluations(t: float) -> None:
    """``tanh z`` and the step from 0 to 1 beyond 1: at the step exactly, elsewhere to the last digits."""
    x, seen = np.linspace(-9.0, 9.0, 41) * max(t, 1), []

    def near(z):
        seen.append(z)
        w = x - t * np.tanh(z)
        return np.where(w <= 1, w, np.maximum(w - t, 1))

    z = resolvents.resolvent(xp, lambda z: np.tanh(z) + (z > 1), x, t, near)
    low, high = np.tanh(z) + (z > 1), np.tanh(z) + (z >= 1)
    assert np.any(z == 1) == (t >= 1)
    np.testing.assert_array_less(-1e-14 * (1 + abs(x)), x - z - t * low)
    np.testing.assert_array_less(x - z - t * high, 1e-14 * (1 + abs(x)))
    assert len(seen) <= 26


@pytest.mark.parametrize("t", [1e-3, 1.0, 1e4])
def test_roots_of_powers_and_of_the_logistic_slope(t: float) -> None:
    x = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 7)])
    for r in (0.5, 2.0, 3.0):
        z = resolvents.power_root(xp, x, 1.0, t, r)
        truth = [brentq(lambda z, a=a, r=r: z + t * z**r - a, 0.0, a, xtol=1e-300, rtol=1e-14) if a else 0.0 for a in x]
        np.testing.assert_allclose(z, truth, rtol=1e-12)
    x = np.concatenate([-x, x])
    z = resolvents.logistic_resolvent(xp, x, t)
    truth = [brentq(lambda z, a=a: z - a + t * expit(z), a - t - 1, a + 1, rtol=1e-14) for a in x]
    np.testing.assert_allclose(z, truth, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("n", [3, 40])
def test_a_bracket_that_is_a_point_asks_for_nothing_more(n: int) -> None:
    """Both by floats, one root after another, and by arrays."""
    seen, at = [], np.linspace(0.0, 1.0, n)
    found = roots.root(xp, lambda z: seen.append(z) or z - 0.3, at, at)
    np.testing.assert_array_equal(found, at)
    assert len(seen) == 3


@pytest.mark.parametrize("n", [roots.FEW, roots.FEW + 1])
def test_roots_by_floats_are_those_by_arrays(n: int) -> None:
    """On both sides of the number from which on they are searched for together."""
    where = np.geomspace(1e-9, 50.0, n)
    found = roots.root(xp, lambda z: np.arctan(z - where), np.full((n,), -10.0), np.full((n,), 60.0))
    np.testing.assert_allclose(found, where, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steep_slopes_beside_their_equations(dtype: str) -> None:
    """``z + t e^z = x`` and ``z + t sinh z = x`` over forty orders of magnitude of x, either sign, and twenty of t:
    what is left is rounding of the terms. Where the slope would be beyond the dtype, z ends before it.
    """
    info = np.finfo(dtype)
    x, t = np.meshgrid(10.0 ** np.arange(-20, 21), 10.0 ** np.arange(-10, 11.0))
    x, t = np.concatenate([-x.ravel(), x.ravel(), t.ravel()]).astype(dtype), np.tile(t.ravel(), 3).astype(dtype)
    for solve, slope, rise in (
        (resolvents.exponential_resolvent, np.exp, np.exp),
        (resolvents.sinh_resolvent, np.sinh, np.cosh),
    ):
        z = solve(xp, x, t)
        assert z.dtype == dtype
        wide = [a.astype(np.longdouble) for a in (z, x, t)]
        miss = abs(wide[0] + wide[2] * slope(wide[0]) - wide[1])
        steep = 1 + wide[2] * rise(wide[0])
        end = np.abs(slope(z)) >= info.max**0.98
        assert np.all(end | (miss <= 3 * info.eps * (steep * abs(wide[0]) + abs(wide[1]))))
        assert np.all(abs(x[end]) > t[end] * info.max**0.98 / 2)
        far = np.asarray([np.inf, -np.inf, np.nan], dtype)
        np.testing.assert_array_equal(solve(xp, far, 1.0), far)


@pytest.mark.parametrize("r", [0.05, 0.5, 2.0, 19.0])
def test_a_root_of_powers_is_the_same_from_another_root(r: float) -> None:
    """``near`` may be any root: 0, far too short, far too long."""
    a, m = np.geomspace(1e-30, 1e30, 31), 0.7
    z = resolvents.power_root(xp, a, 1.0, m, r)
    for near in (0 * z, 1e-3 * z, z, 0.9 * z, 5 * z, 1e30 + 0 * z):
        np.testing.assert_allclose(resolvents.power_root(xp, a, 1.0, m, r, near), z, rtol=1e-14)
