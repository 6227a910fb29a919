"""The rows of the table as functions under test: ``lionk.checking`` holds what is checked, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends_under_test import BACKENDS, Backend
from lionk import checking
from lionk.checking import available as available
from lionk.checking import inner as inner
from lionk.checking import kinks as kinks
from lionk.checking import norm as norm


@dataclass
class On(checking.On):
    """``K`` on a library under test, NumPy if none is given."""

    backend: Any = BACKENDS["numpy"]

    @classmethod
    def case(cls, case: Any, backend: Backend = BACKENDS["numpy"], dtype: str = "float64", dual: bool = False) -> On:
        on = cls.moved(case.K, backend, dtype, case.shape)
        return on.dual() if dual else on
