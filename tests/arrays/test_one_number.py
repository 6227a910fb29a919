"""What is done otherwise for one number, or for bounds that are numbers, is what is done for arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lionk.arrays import namespace as _xp
from lionk.backend.protocol import dtype_name

ENTRIES = [-math.inf, -2.0, -1.0, -0.0, 0.0, 0.25, 1.0, 3.0, math.inf, math.nan]
BOUNDS = [(0.0, None), (None, 0.0), (-1.0, 1.0), (0.0, 0.0), (-math.inf, 2.0)]


def equal(backend, made, want):
    got, want = backend.get(made), np.asarray(want)
    np.testing.assert_array_equal(got, want)
    assert dtype_name(made) == "float32" and tuple(made.shape) == want.shape


@pytest.mark.parametrize(("low", "high"), BOUNDS, ids=str)
def test_entries_are_clipped(backend, low, high):
    """Rows, one number, and bounds that are arrays; NaN stays."""
    want = [v if v != v else max(-math.inf if low is None else low, min(v, math.inf if high is None else high))
            for v in ENTRIES]  # fmt: skip
    x = backend.put(np.asarray([ENTRIES, ENTRIES]), "float32")
    xp = _xp.namespace(x)
    equal(backend, _xp.clip(xp, x, low, high), [want, want])
    ends = [None if b is None else backend.put(np.full((2, 1), b), "float32") for b in (low, high)]
    equal(backend, _xp.clip(xp, x, *ends), [want, want])
    for v, clipped in zip(ENTRIES, want, strict=True):
        equal(backend, _xp.clip(xp, backend.put(np.asarray(v), "float32"), low, high), clipped)


def test_counts_are_clipped():
    x = np.asarray([-1, 0, 7])
    np.testing.assert_array_equal(_xp.clip(_xp.namespace(x), x, 0, None), [0, 0, 7], strict=True)


@pytest.mark.filterwarnings("ignore:.*encountered in.*divide")
@pytest.mark.parametrize("y", [0.0, -0.0, 2.0, math.inf, math.nan], ids=str)
def test_a_quotient_by_one_number(backend, y):
    """0 by 0; what is not finite counts as it does entry by entry."""
    numbers = [0.0, -3.0, math.inf, math.nan]
    with np.errstate(all="ignore"):
        want = np.zeros(4) if y == 0 else np.asarray(numbers) / y
    x, one = (backend.put(np.asarray(a), "float32") for a in (numbers, y))
    xp = _xp.namespace(x)
    found = [_xp.divide(xp, x, one), _xp.divide(xp, x, xp.reshape(one, (1,))), _xp.divide(xp, x, one + 0 * x[:1])]
    for got in found:
        equal(backend, got, want)
    row = xp.reshape(x, (2, 2))
    equal(backend, _xp.divide(xp, row, _xp.spread(xp, one, row)), want.reshape(2, 2))


def test_one_number_is_made_finite(backend):
    for v in ENTRIES:
        x = backend.put(np.asarray(v), "float32")
        equal(backend, _xp.finite(_xp.namespace(x), x), v if math.isfinite(v) else 0.0)
