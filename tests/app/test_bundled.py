"""Each bundled problem of ``lionk solve`` is certified within so many evaluations of f, a fraction of a second."""

from __future__ import annotations

import numpy as np
import pytest

import lionk
from lionk.app.solve.problems import BUNDLED, bundled

EVALUATIONS = {  # at most; twenty in a hundred above what was measured
    ("breast-cancer", "l1"): 67,
    ("digits", "nuclear"): 84,
    ("digits", "spectral"): 47,
    ("digits", "row_l1_l2"): 57,
    ("stacking", "max"): 28,
}


def test_each_problem_with_each_of_its_functions_has_a_limit():
    assert set(EVALUATIONS) == {(name, K) for name, b in BUNDLED.items() for K in b.weight_decay}


@pytest.mark.parametrize(("name", "K"), EVALUATIONS)
def test_bundled_problems_are_certified_soon(name, K):
    problem, lam = bundled(name, None), BUNDLED[name].weight_decay[K]
    fun, count = problem.fun(lionk.backends()["numpy"], "float64", None), 0

    def counted(x):
        nonlocal count
        count += 1
        return fun(x)

    r = lionk.minimize(counted, np.zeros(problem.shape), K=K, weight_decay=lam, jac=True, convex=True)
    assert r.success and r.gap <= 1e-3 * abs(r.objective) and not r.certificate.failed
    assert count <= EVALUATIONS[name, K]
