"""Every row of the table, and its conjugate, has every property: on NumPy one by one, on every library at once."""

from __future__ import annotations

import os

import numpy as np
import pytest
from backends_under_test import BACKENDS, Backend
from helpers import On
from hypothesis import given
from hypothesis import strategies as st
from properties import ALL
from table import TABLE, Case

FULL = os.environ.get("LIONK_FULL") == "1"
cases = pytest.mark.parametrize("case", TABLE, ids=lambda c: c.id)
sides = pytest.mark.parametrize("dual", [False, True], ids=["K", "K*"])


@cases
@sides
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_properties(case: Case, dual: bool, dtype: str) -> None:
    """All properties on NumPy, with the names of all that fail."""
    failures = []
    for name, holds in ALL.items():
        on = On.case(case, BACKENDS["numpy"], dtype, dual)
        try:
            holds(on, np.random.default_rng(len(name)))
        except Exception as error:
            failures.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
    assert not failures, "\n".join(failures)
