"""Infinite entries give what the definition gives, of envelopes too: infinity or a limit, and not NaN."""

from __future__ import annotations

import numpy as np
import pytest

import lionk
from lionk.functions import entry

K = lionk.K
NAMES = [n for n in lionk.names() if entry(n).kind in ("scalar", "vector") and K(n).traits.even and n != "std"]


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_envelopes_of_even_functions_are_infinite_at_infinity(name, dtype) -> None:
    shape = (3, 4) if "group" in name else (6,)
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    for sign in (1, -1):
        x.flat[1] = sign * np.inf
        for k in (K(name), K(name).moreau(0.5), 2 * K(name).moreau(0.5), K(name).moreau(0.5).moreau(2.0)):
            assert k.value(x) == np.inf
    x.flat[0] = np.nan
    assert np.isnan(K(name).moreau(0.5).value(x))


def test_limits_of_envelopes_that_are_finite() -> None:
    x = np.asarray([0.3, -np.inf, 1.0])
    near = np.asarray([0.3, -1e9, 1.0])
    for k in (K("relu"), K("max"), K("log_sum_exp"), K("capped_simplex", k=2), K("softplus")):
        e = k.moreau(0.5)
        assert float(e.value(x)) == pytest.approx(float(e.value(near)), rel=1e-9)
    assert K("sparsemax").value(np.asarray([np.inf, 0.0])) == np.inf
    assert K("soft_ball").conjugate.value(np.asarray([3.0, 4.0])) == pytest.approx(16 / 2)
    assert K("soft_ball").conjugate.value(np.asarray([np.inf, 0.0])) == np.inf
