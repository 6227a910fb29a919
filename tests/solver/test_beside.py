"""Beside the usual path: scales, steep f, starts far away, min F = 0, one variable and ten thousand, low precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize

import lionk

RNG = np.random.default_rng(0)
ROWS, SIZE = 60, 20
A = RNG.normal(size=(ROWS, SIZE))
b = A @ RNG.normal(size=SIZE) + RNG.normal(size=ROWS)


def squares(A, b):
    def fun(x):
        r = A @ x - b
        return float(r @ r) / 2 / len(b), A.T @ r / len(b)

    return fun


def logistic(A, b):
    s = np.sign(b)

    def fun(x):
        z = s * (A @ x)
        return float(np.logaddexp(0, -z).mean()), A.T @ (-s * np.exp(-np.logaddexp(0, z))) / len(b)

    return fun


def steep(x):
    """mean exp(3 <a, x>) - <a, x>, infinite far out."""
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(3 * (A @ x))
        return float(e.mean() - (A @ x).mean()), A.T @ (3 * e - 1) / ROWS


def solve(fun, x0, K="l1", lam=1.0, **options):
    r = lionk.minimize(fun, x0, K=K, weight_decay=lam, jac=True, convex=True, **options)
    assert not r.certificate.failed, str(r.certificate)
    return r


def boxed(A, b, radius):
    return scipy.optimize.lsq_linear(A, b, (-radius, radius), method="bvls", tol=1e-14).cost / len(b)


@pytest.mark.parametrize("condition", [1e4, 1e8])
def test_badly_scaled_columns_have_true_bounds(condition):
    """Steps alone do not solve them; what is claimed holds."""
    scaled = A * np.geomspace(condition**-0.5, condition**0.5, SIZE)
    r = solve(squares(scaled, b), np.zeros(SIZE), maxiter=300)
    assert 0 <= r.objective - boxed(scaled, b, 1.0) <= r.gap
    solve(logistic(scaled, b), np.zeros(SIZE), maxiter=300)
    solve(logistic(scaled, b), np.zeros(SIZE), "half_square", 1e-3, maxiter=300)


@pytest.mark.parametrize("lam", [1e-8, 1e-4, 1e4, 1e8])
@pytest.mark.parametrize("K", ["l1", "l2", "log_sum_exp", "half_square"])
def test_tiny_and_huge_decays(K, lam):
    r = solve(squares(A, b), np.zeros(SIZE), K, lam)
    assert r.success, r.message
    if K == "l1":
        assert -1e-12 <= r.objective - boxed(A, b, 1 / lam) <= r.gap + 1e-12
    assert solve(logistic(A, b), np.zeros(SIZE), K, lam).success


@pytest.mark.parametrize("K", ["l1", "l2"])
def test_min_F_of_zero(K):
    x = RNG.uniform(-0.2, 0.2, SIZE)

    def absolute(z):
        return float(np.abs(A @ (z - x)).mean()), A.T @ np.sign(A @ (z - x)) / ROWS

    for fun in (squares(A, A @ x), absolute):
        r = solve(fun, np.zeros(SIZE), K, 0.5)
        assert r.success and r.objective < 1e-11, r.message
        assert np.max(np.abs(r.x - x)) < 1e-9


def test_a_start_where_f_is_enormous_is_no_measure_of_zero():
    """F falls by sixteen digits in the first step; that is not the end."""
    near = solve(steep, np.zeros(SIZE), lam=0.2)
    far = solve(steep, np.full(SIZE, 4.9), lam=0.2)
    assert near.success and far.success, far.message
    assert abs(far.objective - near.objective) <= max(far.gap, near.gap) <= 1e-3 * near.objective

    def stacked(X):
        found = [steep(x) for x in X]
        return np.asarray([f for f, _ in found]), np.stack([g for _, g in found])

    many = lionk.minimize(
        stacked,
        np.stack([np.zeros(SIZE), np.full(SIZE, 4.9)]),
        K="l1",
        weight_decay=0.2,
        batch=1,
        jac=True,
        convex=True,
    )
    assert many.success.all() and many.objective.tolist() == pytest.approx([near.objective, far.objective], rel=1e-6)


@pytest.mark.parametrize("start", [0.0, 1e3, 1e10])
def test_fourth_powers_from_afar(start):
    def fun(x):
        r = A @ x - b
        return float((r**4).mean()), 4 * A.T @ r**3 / ROWS

    r = solve(fun, np.full(SIZE, start), lam=0.1)
    exact = scipy.optimize.minimize(
        fun, np.zeros(SIZE), jac=True, method="L-BFGS-B", bounds=[(-10, 10)] * SIZE, options={"ftol": 1e-15}
    ).fun
    assert r.success and -1e-9 <= r.objective - exact <= r.gap


@pytest.mark.parametrize("K", ["l1", "l2", "max", "log_sum_exp", "nuclear", "half_square"])
def test_one_variable(K):
    shape = (1, 1) if K == "nuclear" else (1,)
    for target in (3.0, 0.3, 0.0):
        smooth = solve(lambda x, t=target: (float(((x - t) ** 2).sum()), 2 * (x - t)), np.zeros(shape), K)
        kinked = solve(lambda x, t=target: (float(np.abs(x - t).sum()), np.sign(x - t)), np.zeros(shape), K)
        grid = np.linspace(-1, 1, 201) if K != "half_square" else np.linspace(-4, 4, 801)
        conjugate = [float(lionk.K(K).conjugate.value(np.full(shape, v))) for v in (1.0, *grid)][1:]
        for r, f in ((smooth, (grid - target) ** 2), (kinked, np.abs(grid - target))):
            assert r.success and -1e-3 <= r.objective - np.min(f + conjugate) <= r.gap + 1e-3


def test_ten_thousand_variables():
    weights, target = np.geomspace(1, 1e4, 10_000), RNG.normal(size=10_000)
    r = solve(lambda x: (float(weights @ (x - target) ** 2) / 2, weights * (x - target)), np.zeros(10_000))
    exact = float(weights @ (np.clip(target, -1, 1) - target) ** 2) / 2
    assert r.success and -1e-9 * exact <= r.objective - exact <= r.gap


@pytest.mark.parametrize("loss", [squares, logistic])
def test_float32_beyond_its_digits_ends_and_claims_no_more(loss):
    fun = loss(A.astype(np.float32), b.astype(np.float32))
    r = solve(fun, np.zeros(SIZE, np.float32), tol=1e-7)
    precise = solve(loss(A, b), np.zeros(SIZE), tol=1e-9)
    assert r.x.dtype == np.float32 and r.nit < 1000
    assert r.objective - precise.objective <= r.gap + r.gap_rounding + 1e-6
    assert not math.isinf(r.gap)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_units_of_f_and_of_x_change_nothing(scale):
    plain = solve(squares(A, b), np.zeros(SIZE))
    in_f = solve(lambda x: tuple(scale * v for v in squares(A, b)(x)), np.zeros(SIZE))
    in_x = solve(
        lambda x: (squares(A, b)(x / scale)[0], squares(A, b)(x / scale)[1] / scale), np.zeros(SIZE), lam=1 / scale
    )
    assert plain.nit == in_f.nit == in_x.nit
    assert in_f.objective == pytest.approx(scale * plain.objective) and in_x.objective == pytest.approx(plain.objective)
