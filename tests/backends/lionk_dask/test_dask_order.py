"""The k-th largest entry of a Dask array, found without moving its entries."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
from dask.callbacks import Callback

import lionk
from lionk_dask._order import kth_largest, largest


@pytest.fixture(autouse=True)
def synchronous():
    with dask.config.set(scheduler="synchronous"):
        yield


def arrays(dtype):
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(7, 9))
    special = np.round(plain)
    special[0, :5] = np.inf, -np.inf, -0.0, np.nan, -np.nan
    tiny = float(np.finfo(dtype).smallest_subnormal)
    return [a.astype(dtype) for a in (plain, np.round(plain), special, tiny * np.round(9 * plain), 1e30 * plain)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chunks", [(3, 4), (7, 9)])
def test_it_is_the_one_of_a_sort(dtype, chunks):
    for a in arrays(dtype):
        ordered = np.sort(a, axis=None)
        for k in (1, 20, 62):
            got = kth_largest(da.from_array(a, chunks=chunks), k)
            assert got.shape == () and got.dtype == a.dtype
            np.testing.assert_array_equal(got.compute(), ordered[-k])
            np.testing.assert_array_equal(largest(da.from_array(a, chunks=chunks), k), ordered[::-1][:k])


class Largest(Callback):
    """The most bytes that a task gave."""

    def __init__(self):
        self.bytes = 0

    def _posttask(self, key, result, dsk, state, worker_id):
        self.bytes = max(self.bytes, getattr(result, "nbytes", 0))


RELATIVE, SAME = ({"name": name, "k": 1000} for name in ("top_k_l2", "k_support"))


@pytest.mark.parametrize(
    "K",
    [{"name": "top_k", "k": 40_000}, "linf", "max", RELATIVE, pytest.param(SAME, marks=pytest.mark.slow)],
    ids=str,
)
def test_no_task_sees_the_whole_array(K):
    """20 blocks of 400 kB: no result is larger than a block or a table of counts."""
    a = np.random.default_rng(0).normal(size=1_000_000)
    x, K = da.from_array(a, chunks=50_000).persist(), lionk.K(K)
    with Largest() as seen:
        u, value, gap = dask.compute(K.subgradient(x).sum(), K.value(x), K.fenchel_young(x, K.subgradient(x)))
    assert seen.bytes <= 65_536 * 8 < a.nbytes / 10
    np.testing.assert_allclose(u, K.subgradient(a).sum(), rtol=1e-12)
    np.testing.assert_allclose(value, K.value(a), rtol=1e-12)
    assert abs(gap) < 1e-9 * value


def test_projections_are_those_of_numpy():
    a = np.random.default_rng(0).normal(size=100)
    for K in ("linf", "max", "top_k"):
        domain = lionk.K(K).conjugate.domain
        got = domain.project(da.from_array(a, chunks=25)).compute()
        np.testing.assert_allclose(got, domain.project(a), atol=1e-14)
