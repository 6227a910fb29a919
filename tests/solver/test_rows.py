"""Rows of kept gradients: the numbers are NumPy's, and a library that compiles meets few shapes."""

from __future__ import annotations

import numpy as np
import pytest

import lionk
from lionk.solver.rows import Rows
from turns import FULL


@pytest.mark.parametrize(
    ("library", "count"),
    [(b, n) for b in ("numpy", "jax", "dask") for n in (1, 3, 4, 5) if FULL or b != "jax" or n == 3],
)  # JAX compiles for each number of rows
def test_the_numbers_are_those_of_the_matrix(library, count):
    rng, backend = np.random.default_rng(count), lionk.backends()[library]
    trees = [{"a": rng.normal(size=(2, 3)), "b": rng.normal(size=4)} for _ in range(count)]
    matrix = np.asarray([np.concatenate([t["a"].ravel(), t["b"]]) for t in trees])

    def put(tree):
        return {name: backend.asarray(a) for name, a in tree.items()}

    rows, T = Rows(backend, [put(t) for t in trees]), rng.normal(size=(count + 1, count))
    for one, whole in ((rows, matrix), (rows.mixed(T), T @ matrix)):
        w, x = rng.normal(size=len(whole)), trees[0]
        found = {name: backend.to_host(a) for name, a in one.sum(w).items()}
        np.testing.assert_allclose(np.concatenate([found["a"].ravel(), found["b"]]), w @ whole, atol=1e-12)
        np.testing.assert_allclose(one.inner(put(x)), whole @ matrix[0], atol=1e-12)
        np.testing.assert_allclose(one.gram(rows), whole @ matrix.T, atol=1e-12)


def test_a_library_that_compiles_meets_a_few_numbers_of_rows():
    """A run keeps one more gradient at each step; without a common shape each of them would be compiled for."""
    for library, expected in (("numpy", [5, 6, 7, 8, 9]), ("jax", [8, 8, 8, 8, 16])):
        backend = lionk.backends()[library]
        rows = [Rows(backend, [backend.asarray(np.ones(2))] * count) for count in range(5, 10)]
        assert [r.stacks[0][1].shape[0] for r in rows] == expected
        assert [r.mixed(np.ones((7, r.count))).stacks[0][1].shape[0] for r in rows] == [expected[2]] * 5
