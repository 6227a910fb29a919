"""Constraints that people ask for, against the libraries that solve them: SciPy, scikit-learn, CVXPY."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lionk
import lionk_torch

RNG = np.random.default_rng(7)
A = RNG.standard_normal((30, 8))
B = A @ np.asarray([1.0, -0.5, 0.0, 2.0, 0.3, -1.0, 0.0, 0.7]) + 0.3 * RNG.standard_normal(30)


def least_squares(x):
    r = A @ x - B
    return 0.5 * float(r @ r), A.T @ r


def solve(K, radius, x0=None):
    """min of the least squares with x / radius in dom K*."""
    return lionk.minimize(
        least_squares, np.zeros(8) if x0 is None else x0, K=K, jac=True, weight_decay=1 / radius, maxiter=4000, tol=1e-9
    ).x


def test_nonnegative_least_squares_is_scipy_s():
    nnls = pytest.importorskip("scipy.optimize").nnls(A, B)[0]
    x = solve("relu", 10.0)  # 0 <= x <= 10, of which the upper end is not met
    assert x.min() >= 0
    assert least_squares(x)[0] == pytest.approx(least_squares(nnls)[0], rel=1e-6)


def test_capped_least_squares_is_scipy_s():
    found = pytest.importorskip("scipy.optimize").lsq_linear(A, B, (-0.25, 0.6)).x
    x = solve(lionk.K("box", lower=-0.25, upper=0.6), 1.0)
    assert -0.25 <= x.min() and x.max() <= 0.6
    assert least_squares(x)[0] == pytest.approx(least_squares(found)[0], rel=1e-6)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_isotonic_constraints_are_scikit_learn_s(n):
    isotonic = pytest.importorskip("sklearn.isotonic")
    y = RNG.standard_normal(n) + np.linspace(1, 0, n)
    fit = isotonic.isotonic_regression(y, y_min=0.0, y_max=1.0, increasing=False)
    np.testing.assert_allclose(lionk.K("monotone").conjugate.domain.project(y), fit, atol=1e-12)


@pytest.mark.parametrize("n", [2, 9, 60])
@pytest.mark.parametrize("strength", [0.1, 1.0, 5.0])
def test_total_variation_denoising_is_cvxpy_s(n, strength):
    cp = pytest.importorskip("cvxpy")
    y = np.repeat(RNG.standard_normal(n), 1) + np.sign(np.sin(np.arange(n)))
    x = cp.Variable(n)
    cp.Problem(cp.Minimize(cp.sum_squares(x - y) / 2 + strength * cp.norm1(cp.diff(x)))).solve(
        solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12
    )
    near = lionk.K("total_variation").prox(y, strength)
    np.testing.assert_allclose(near, x.value, atol=2e-6)


def test_portfolio_weights_with_caps_are_cvxpy_s():
    cp = pytest.importorskip("cvxpy")
    cov = A.T @ A / 30 + 0.1 * np.eye(8)
    mean = np.linspace(0.1, 0.5, 8)
    upper = np.asarray([0.3, 0.3, 0.1, 0.2, 0.5, 0.05, 0.3, 0.3])
    w = cp.Variable(8)
    problem = cp.Problem(cp.Minimize(cp.quad_form(w, cov) / 2 - mean @ w), [w >= 0, w <= upper, cp.sum(w) == 1])
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12)
    K, found = lionk.K("box_simplex", lower=0.0, upper=upper), upper / upper.sum()
    for _ in range(200):  # projected gradients
        found = K.conjugate.domain.project(found - (cov @ found - mean) / np.linalg.norm(cov, 2))
    assert K.conjugate.domain.contains(found)
    assert found @ cov @ found / 2 - mean @ found == pytest.approx(problem.value, abs=1e-7)


@pytest.mark.parametrize("K", ["range", "k_norm", "dual_owl", "spectral_k_norm", "capped_plus", "cvar", "trace_plus"])
def test_projections_are_cvxpy_s(K):
    cp = pytest.importorskip("cvxpy")
    y = 2 * RNG.standard_normal((4, 4))
    y = (y + y.T) / 2
    n = 16
    z = cp.Variable((4, 4), symmetric=True) if K == "trace_plus" else cp.Variable((4, 4))
    flat = cp.vec(z, order="C")
    weights = np.arange(n, 0, -1) / n
    parameters = {"k_norm": {"k": 3}, "spectral_k_norm": {"k": 2}, "capped_plus": {"k": 3}, "cvar": {"k": 2.5}}
    owl = sum(
        (weights[i] - (weights[i + 1] if i + 1 < n else 0)) * cp.sum_largest(cp.abs(flat), i + 1) for i in range(n)
    )
    constraints = {
        "range": lambda: [cp.sum(z) == 0, cp.norm1(flat) <= 2],
        "k_norm": lambda: [cp.sum_largest(cp.abs(flat), 3) <= 1],
        "dual_owl": lambda: [owl <= 1],
        "spectral_k_norm": lambda: [
            cp.lambda_sum_largest(cp.bmat([[np.zeros((4, 4)), z], [z.T, np.zeros((4, 4))]]), 2) <= 1
        ],
        "capped_plus": lambda: [z >= 0, z <= 1, cp.sum(z) <= 3],
        "cvar": lambda: [z >= 0, z <= 1, cp.sum(z) == 2.5],
        "trace_plus": lambda: [z >> 0, cp.trace(z) <= 1],
    }[K]()
    cp.Problem(cp.Minimize(cp.sum_squares(z - y)), constraints).solve(solver="CLARABEL")
    near = lionk.K(K, **parameters.get(K, {})).conjugate.domain.project(y)
    np.testing.assert_allclose(near, z.value, atol=5e-5)


def test_a_box_holds_along_a_torch_training_run():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    box = {"name": "box", "lower": -0.1, "upper": 0.3}
    with torch.no_grad():
        for p in net.parameters():
            p.clamp_(-0.1, 0.3)
    opt = lionk_torch.LionK(net.parameters(), lr=0.02, weight_decay=1.0, K=box)
    x, y = torch.randn(40, 6), torch.randn(40, 1)
    first = None
    for _ in range(60):
        opt.zero_grad()
        loss = (net(x) - y).square().mean()
        first = loss.item() if first is None else first
        loss.backward()
        opt.step()
        for p in net.parameters():
            assert -0.1 - 1e-6 <= p.min().item() and p.max().item() <= 0.3 + 1e-6
    assert loss.item() < first
