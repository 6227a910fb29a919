"""Fenchel-Young, monotonicity and membership at whatever floats Hypothesis thinks of: ties, zeros, all sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import lionk
from helpers import inner, norm
from lionk.functions import entry

K = lionk.K
EPS = 2.0**-52
# growth beyond linear leaves the range of float64 with reason: those see moderate numbers only
_STEEP = ("cosh", "exp", "trace_exp", "asinh", "power", "schatten_power", "quadratic", "kronecker")


def _arrays(name: str, top: float) -> st.SearchStrategy:
    square = entry(name).kind in ("square", "symmetric")
    matrix = entry(name).kind == "matrix" or square
    side = st.integers(1, 4)
    shapes = side.map(lambda n: (n, n)) if square else st.tuples(side, side)
    if not matrix and "group" not in name:
        shapes = st.tuples(st.integers(2 if name == "box_simplex" else 1, 6))  # two entries of up to 1/2 sum to 1
    few = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 2.0])
    some = st.floats(-top, top, allow_subnormal=False) | few
    return shapes.flatmap(lambda shape: st.tuples(*(hnp.arrays("float64", shape, elements=some) for _ in range(2))))


@pytest.mark.parametrize("name", lionk.names())
def test_any_floats(name: str) -> None:
    k = K(name)
    near = 512 * EPS + max(k.traits.accuracy, k.conjugate.traits.accuracy)

    @given(pair=_arrays(name, 10.0 if name in _STEEP else 1e6))
    def holds(pair) -> None:
        x, z = pair
        s, r = k.subgradient(x), k.subgradient(z)
        assert s.shape == x.shape
        assert np.all(np.isfinite(s))
        scale = 1 + abs(float(k.value(x))) + (norm(x) + norm(z)) * (norm(s) + norm(r))
        assert abs(float(k.fenchel_young(x, s))) <= near * scale
        assert float(k.fenchel_young(x, r)) >= -near * scale
        assert inner(s - r, x - z) >= -near * scale
        c = k.conjugate.domain
        assert bool(c.contains(s))
        assert np.isfinite(k.conjugate.value(s))

    holds()
