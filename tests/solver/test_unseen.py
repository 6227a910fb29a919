"""Kinds of problems beside the usual path, against optima by cvxpy."""

from __future__ import annotations

import cvxpy
import numpy as np
import pytest

import lionk

RNG = np.random.default_rng


def least(f, constraints):
    return cvxpy.Problem(cvxpy.Minimize(f), constraints).solve(solver="CLARABEL")


@pytest.mark.parametrize("rows", [6, 3])
def test_a_set_without_a_projection(rows):
    """K(B x) of a B that is not orthogonal: a run of more iterates than are stacked, from inside and from outside."""
    rng = RNG(0)
    B, A, b = (np.eye(6) + 0.3 * rng.normal(size=(6, 6)))[:rows], rng.normal(size=(20, 6)), rng.normal(size=20)
    K = lionk.functions.linear_map(lionk.K("l1"), B)
    z, u = cvxpy.Variable(6), cvxpy.Variable(rows)
    inside = [z == B.T @ u, cvxpy.abs(u) <= 1]
    exact = least(cvxpy.sum_squares(A @ z - b) / 2, inside)
    for start in (np.zeros(6), 5 * B.T @ rng.normal(size=rows)):

        def fun(x):
            return ((A @ x - b) @ (A @ x - b) / 2, A.T @ (A @ x - b))

        r = lionk.minimize(fun, start, K=K, weight_decay=1.0, jac=True, convex=True, maxiter=400)
        assert -1e-7 <= r.objective - exact <= r.gap + r.gap_rounding and not r.certificate.failed
        away = float(K.conjugate.domain.distance(start))
        assert least(cvxpy.norm(z - start), inside) <= away + 1e-6
        assert float(K.conjugate.domain.distance(start / 10)) <= away


@pytest.mark.parametrize("K", ["l1", "half_square"])
@pytest.mark.parametrize("lam", [1e-8, 1e-5])
def test_kinks_inside_of_a_large_constraint(K, lam):
    """Only weights with which the gradients have the mean 0 prove anything: K(m)/lam is large for others."""
    rng = RNG(812)
    A = rng.normal(size=(50, 6))
    b = A @ rng.normal(size=6) + rng.normal(size=50)
    z = cvxpy.Variable(6)
    exact = least(cvxpy.norm1(A @ z - b) / 50, [])

    def fun(x):
        r = A @ x - b
        return float(np.abs(r).mean()), A.T @ np.sign(r) / 50

    r = lionk.minimize(fun, np.zeros(6), K=K, weight_decay=lam, jac=True, convex=True, tol=1e-2, maxiter=150)
    assert r.success and not r.certificate.failed, r.message
    assert -1e-6 <= r.objective - exact <= r.gap + 1e-6


@pytest.mark.parametrize(
    ("K", "size", "lam"), [("exp", 0.3, 0.02), ("exp", 3.0, 0.02), ("l1", 10.0, 0.5), ("half_square", 10.0, 0.02)]
)
@pytest.mark.parametrize("batch", [0, 1])
def test_counts_that_grow_exponentially(K, size, lam, batch):
    """Poisson's loss is flat on one side and overflows on the other. A step too long is no kink, and hides nothing."""
    rng = np.random.default_rng(7)
    A = rng.normal(size=(61, 20)) * size
    counts = np.round(np.abs(A @ (rng.normal(size=20) * (rng.random(20) < 0.5))))

    def fun(x):
        z = x @ A.T
        with np.errstate(over="ignore", invalid="ignore"):
            e = np.exp(z)
            return (e - counts * z).mean(-1), (e - counts) @ A / 61

    x0 = np.zeros((2, 20) if batch else 20)
    options = {"weight_decay": lam, "jac": True, "convex": True, "tol": 1e-3, "atol": 1e-6}
    r = lionk.minimize(fun, x0, K=K, maxiter=150, batch=batch, **options)
    assert np.all(r.success), r.message
