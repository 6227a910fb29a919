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
