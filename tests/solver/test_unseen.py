"""Kinds of problems beside the usual path, against optima by cvxpy."""

from __future__ import annotations

import cvxpy
import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize

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


def columns(decades, loss, seed=0, rows=80, n=12):
    """f of a table whose columns are of different units, a box |x_i| <= 1e3, and min F in common units by L-BFGS-B."""
    rng = RNG(seed)
    A0, size = rng.normal(size=(rows, n)), rng.permutation(np.logspace(0, -decades, n))
    b = A0 @ rng.normal(size=n) + 2 * rng.normal(size=rows)

    def fun(x, A=A0 * size):
        z, s = A @ x, np.sign(b)
        if loss == "squares":
            return float(np.mean((z - b) ** 2) / 2), A.T @ (z - b) / rows
        return float(np.mean(np.logaddexp(0, -s * z))), A.T @ (-s * np.exp(-np.logaddexp(0, s * z))) / rows

    ends = [(-1e3 * d, 1e3 * d) for d in size]
    options = {"maxiter": 5000, "maxfun": 10**5, "ftol": 1e-15, "gtol": 1e-12}
    exact = scipy_minimize(lambda z: fun(z, A0), np.zeros(n), jac=True, bounds=ends, method="L-BFGS-B", options=options)
    return fun, float(exact.fun)


RUN = {"K": "l1", "weight_decay": 1e-3, "jac": True, "convex": True, "tol": 1e-4}


@pytest.mark.parametrize("decades", [2, 4, 8])
@pytest.mark.parametrize("loss", ["squares", "logistic"])
def test_columns_need_no_common_scale(loss, decades):
    fun, exact = columns(decades, loss, seed=10 + decades)
    r = lionk.minimize(fun, np.zeros(12), maxiter=300, **RUN)
    assert r.success and not r.certificate.failed, r.message
    assert -1e-9 <= r.objective - exact <= r.gap + r.gap_rounding
    assert "an L for each entry" in str(r.certificate)


def test_blocks_of_different_scales():
    fun, exact = columns(6, "squares")

    def join(x):
        return np.concatenate([x["w"], x["v"]])

    def both(x):
        return (fun(join(x))[0], dict(zip("wv", np.split(fun(join(x))[1], [5]), strict=True)))

    r = lionk.minimize(both, {"w": np.zeros(5), "v": np.zeros(7)}, maxiter=300, **RUN)
    assert r.success and -1e-9 <= r.objective - exact <= r.gap + r.gap_rounding and not r.certificate.failed


@pytest.mark.parametrize("stop", [15, 30])
def test_an_l_for_each_entry_resumes_bit_for_bit(tmp_path, stop):
    fun, _ = columns(6, "squares")
    whole = lionk.minimize(fun, np.zeros(12), maxiter=300, **RUN)
    path = tmp_path / "run.safetensors"
    lionk.minimize(fun, np.zeros(12), checkpoint=path, maxiter=stop, **RUN)
    rest = lionk.minimize(fun, np.zeros(12), checkpoint=path, resume=True, maxiter=300, **RUN)
    assert rest.nit == whole.nit > stop and np.array_equal(rest.x, whole.x) and rest.gap == whole.gap


@pytest.mark.parametrize("K", ["l1", "half_square"])
def test_an_l_for_each_entry_of_each_problem_of_a_batch(K):
    """Of five problems one has columns of a common scale, and keeps one L."""
    funs = [columns(d, "squares", seed=d)[0] for d in (2, 4, 0, 6, 8)]

    def fun(x):
        f, grad = zip(*map(lambda g, a: g(a), funs, x), strict=True)
        return np.asarray(f), np.stack(grad)

    many = lionk.minimize(fun, np.zeros((5, 12)), batch=1, **{**RUN, "K": K})
    alone = [lionk.minimize(g, np.zeros(12), **{**RUN, "K": K}) for g in funs]
    assert many.success.all() and np.abs(many.nit - [r.nit for r in alone]).max() <= 3
    np.testing.assert_allclose(many.objective, [r.objective for r in alone], rtol=2e-4)
    scaled = ["an L for each entry" in str(r.certificate) for r in alone]
    assert scaled[0] and not scaled[2]


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
