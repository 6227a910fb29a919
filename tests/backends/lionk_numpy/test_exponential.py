"""The exponential inside a loop of numba, against double precision."""

from __future__ import annotations

import numpy as np
import pytest

from lionk_numpy.runner.exponential import exponential


def test_exp_is_right_to_two_units_of_the_last_place():
    numba = pytest.importorskip("numba", reason="numba is not installed; pip install 'lionk[numba]'")
    exp = exponential()

    @numba.njit(error_model="numpy")
    def loop(x, out):
        for i in range(x.size):
            out[i] = exp(x[i])

    tiny, huge = np.linspace(-104, -87, 20_000), np.linspace(88, 89, 20_000)  # subnormal, and about to overflow
    x = np.concatenate([np.linspace(-87, 88, 500_000), np.linspace(-1e-3, 1e-3, 20_000), tiny, huge]).astype("float32")
    got = np.empty_like(x)
    loop(x, got)
    want = np.exp(x.astype("float64"))
    finite = want < np.finfo("float32").max
    unit = np.spacing(want[finite].astype("float32")).astype("float64")
    assert np.max(np.abs(got[finite] - want[finite]) / unit) < 2
    assert np.all(np.isinf(got[~finite]))
    special, found = np.asarray([0.0, -0.0, np.inf, -np.inf, np.nan, 200.0, -200.0], dtype="float32"), np.empty(7, "f4")
    loop(special, found)
    np.testing.assert_array_equal(found, np.asarray([1, 1, np.inf, 0, np.nan, np.inf, 0], dtype="float32"))
