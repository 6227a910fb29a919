"""Losses with kinks beside the usual path: larger than the memory of forty, matrices, blocks, composed K; by cvxpy."""

from __future__ import annotations

import math

import cvxpy
import numpy as np
import pytest

import lionk
from lionk.solver import bundle

RNG = np.random.default_rng


def data(rows, n, seed=0):
    rng = RNG(seed)
    A, x = rng.normal(size=(rows, n)), rng.normal(size=n)
    return A, A @ x / 2 + rng.standard_t(2, size=rows), np.sign(A @ x + rng.normal(size=rows) * math.sqrt(n))


def problem(kind, A, b, s):
    """f with a subgradient, and f for cvxpy."""
    rows = len(b)

    def fun(x):
        r, z = A @ x - b, 1 - s * (A @ x)
        if kind == "absolute":
            return float(np.abs(r).mean()), A.T @ np.sign(r) / rows
        if kind == "quantile":
            slope = np.where(r < 0, -0.9, 0.1)
            return float((slope * r).mean()), A.T @ slope / rows
        if kind == "hinge":
            return float(np.maximum(z, 0).mean()), -A.T @ (s * (z > 0)) / rows
        i = int(r.argmax())
        return float(r[i]) + np.abs(b).max(), A[i]

    def stated(z):
        return {
            "absolute": lambda: cvxpy.norm1(A @ z - b) / rows,
            "quantile": lambda: cvxpy.sum(cvxpy.maximum(0.9 * (b - A @ z), 0.1 * (A @ z - b))) / rows,
            "hinge": lambda: cvxpy.sum(cvxpy.pos(1 - cvxpy.multiply(s, A @ z))) / rows,
            "maximum": lambda: cvxpy.max(A @ z - b) + np.abs(b).max(),
        }[kind]()

    return fun, stated


def least(f, constraints):
    return cvxpy.Problem(cvxpy.Minimize(f), constraints).solve(solver="CLARABEL")


@pytest.mark.parametrize(
    ("kind", "rows", "n", "limit"),
    [("hinge", 120, 60, 200), ("absolute", 120, 60, 260), ("quantile", 200, 24, 120), ("maximum", 200, 24, 100)],
)
def test_corners_of_many_dimensions_are_certified(kind, rows, n, limit):
    """At the solution on a box, more gradients hold than forty."""
    fun, stated = problem(kind, *data(rows, n))
    z = cvxpy.Variable(n)
    exact = least(stated(z), [cvxpy.abs(z) <= 1])
    r = lionk.minimize(fun, np.zeros(n), K="l1", weight_decay=1.0, jac=True, convex=True, maxiter=limit)
    assert r.success, r.message
    assert -1e-7 * exact <= r.objective - exact <= r.gap + 1e-7 * exact
    assert not r.certificate.failed


CASES = {
    "nuclear norm at most 3": (("spectral", 1 / 3), lambda Z: [cvxpy.normNuc(Z) <= 3]),
    "spectral norm": (("nuclear", 0.5), lambda Z: [cvxpy.sigma_max(Z) <= 2]),
    "rows": (("row_l1_l2", 1.0), lambda Z: [cvxpy.norm(Z, 2, axis=1) <= 1]),
}


@pytest.mark.parametrize("name", CASES)
def test_matrices_are_certified(name):
    (K, lam), constraints = CASES[name]
    rng = RNG(3)
    A, B = rng.normal(size=(30, 6)), rng.normal(size=(30, 4))

    def fun(X):
        R = A @ X - B
        return float(np.abs(R).mean()), A.T @ np.sign(R) / R.size

    Z = cvxpy.Variable((6, 4))
    exact = least(cvxpy.sum(cvxpy.abs(A @ Z - B)) / B.size, constraints(Z))
    r = lionk.minimize(fun, np.zeros((6, 4)), K=K, weight_decay=lam, jac=True, convex=True, tol=1e-2, maxiter=150)
    assert r.success, r.message
    assert -1e-6 <= r.objective - exact <= r.gap + 1e-6


def test_blocks_are_certified():
    rng = RNG(4)
    A, b = rng.normal(size=(40, 12)), rng.normal(size=40)
    K = lionk.blocks({"w": "l1", "v": "l2"})

    def fun(x):
        r = A[:, :8] @ x["w"] + A[:, 8:] @ x["v"] - b
        return float(np.abs(r).mean()), {"w": A[:, :8].T @ np.sign(r) / 40, "v": A[:, 8:].T @ np.sign(r) / 40}

    z = cvxpy.Variable(12)
    exact = least(cvxpy.norm1(A @ z - b) / 40, [cvxpy.abs(z[:8]) <= 0.1, cvxpy.norm(z[8:]) <= 0.1])
    x0 = {"w": np.zeros(8), "v": np.zeros(4)}
    r = lionk.minimize(fun, x0, K=K, weight_decay=10.0, jac=True, convex=True, maxiter=150)
    assert r.success, r.message
    assert -1e-7 <= r.objective - exact <= r.gap + 1e-7


def test_a_penalty_on_more_columns_than_rows():
    """Support vectors with n > rows: the model is far from f long after the center has moved."""
    A, b, s = data(60, 200)
    fun, stated = problem("hinge", A, b, s)
    z = cvxpy.Variable(200)
    exact = least(stated(z) + 0.05 * cvxpy.sum_squares(z), [])
    r = lionk.minimize(fun, np.zeros(200), K="half_square", weight_decay=0.1, jac=True, convex=True, maxiter=150)
    assert r.success, r.message
    assert -1e-7 <= r.objective - exact <= r.gap + 1e-7


def test_the_memory_is_bounded_by_its_entries(monkeypatch):
    seen = []
    original = bundle.Bundle.__init__

    def kept(self, method, memory):
        seen.append(memory)
        original(self, method, memory)

    monkeypatch.setattr(bundle.Bundle, "__init__", kept)
    for n in (10, 30_000, 1_000_000):
        lionk.minimize(lambda x: (float(x @ x), 2 * x), np.zeros(n), K="l1", weight_decay=1.0, jac=True, maxiter=0)
    assert seen == [400, 139, 40]
