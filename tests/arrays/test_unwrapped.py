"""NumPy's own functions in place of the wrappers of array_api_compat: what comes out is the same, bit for bit."""

from __future__ import annotations

import array_api_compat.numpy as wrapped
import numpy as np
import pytest

from lionk.arrays.namespace import namespace
from lionk.arrays.unwrapped import OWN, unwrapped

xp = unwrapped(wrapped)
ROWS = np.asarray([[3.0, -0.0, np.nan, 0.0, 3.0], [-np.inf, 2.0, 2.0, np.inf, -1.0]])
ARRAYS = {
    "rows": ROWS,
    "columns": ROWS.T,
    "single": ROWS.astype("float32"),
    "half": ROWS.astype("float16"),
    "complex": ROWS[:, [0, 1, 4]] * (1 + 2j),
    "counts": np.asarray([[3, 1, 1], [0, 2, 2]]),
    "answers": ROWS > 0,
}
CALLS = {
    "zeros_like": [{}, {"dtype": np.float32}],
    "ones_like": [{}, {"dtype": np.bool_}],
    "flip": [{}, {"axis": -1}, {"axis": 0}],
    "sort": [{}, {"descending": True}, {"axis": 0}, {"axis": 0, "descending": True}],
    "argsort": [{}, {"descending": True}, {"axis": 0}, {"axis": 0, "descending": True}],
    "cumulative_sum": [{"axis": -1}, {"axis": 0}, {"axis": 0, "include_initial": True}],
    "sum": [{}, {"axis": -1}, {"axis": (0, 1)}, {"axis": 0, "keepdims": True}],
    "max": [{}, {"axis": -1}, {"axis": 0, "keepdims": True}],
    "min": [{}, {"axis": -1}, {"axis": 0, "keepdims": True}],
    "all": [{}, {"axis": -1}, {"axis": (0, 1), "keepdims": True}],
    "any": [{}, {"axis": -1}, {"axis": (0, 1), "keepdims": True}],
}


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("name", CALLS)
def test_the_same_comes_out(name: str, kind: str) -> None:
    x = ARRAYS[kind]
    if kind == "answers" and name in ("sum", "cumulative_sum"):
        pytest.skip("the standard adds numbers")
    for given in CALLS[name]:
        got, want = (getattr(space, name)(x, **given) for space in (xp, wrapped))
        np.testing.assert_array_equal(got, want, strict=True)
        np.testing.assert_array_equal(np.signbit(np.real(got)), np.signbit(np.real(want)))


@pytest.mark.parametrize("shape", [(10,), (5, 2), (1, 2, 5)])
def test_arrays_in_other_shapes_and_dtypes(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(xp.reshape(ROWS, shape), wrapped.reshape(ROWS, shape), strict=True)
    for axes in ((0, -1), (-1, 0), (1, 1)):
        np.testing.assert_array_equal(xp.moveaxis(ROWS, *axes), wrapped.moveaxis(ROWS, *axes), strict=True)
    index = np.asarray([1, 0, 1])
    np.testing.assert_array_equal(xp.take(ROWS, index, axis=0), wrapped.take(ROWS, index, axis=0), strict=True)
    np.testing.assert_array_equal(xp.astype(ROWS > 0, xp.float32), wrapped.astype(ROWS > 0, xp.float32), strict=True)
    assert xp.astype(ROWS, xp.float64) is not ROWS


def test_what_it_has_not_itself_is_the_wrapper() -> None:
    """It is the namespace of every NumPy array, has every name, and no other library's is changed."""
    assert namespace(ROWS) is namespace(ROWS[0, 0]) is xp
    assert xp.__name__ == wrapped.__name__
    assert set(dir(wrapped)) <= set(dir(xp))
    assert all(getattr(xp, name) is getattr(np, name) for name in OWN)
    assert xp.permute_dims is wrapped.permute_dims
    assert unwrapped(np.linalg) is np.linalg
