"""Which rows meet which library in the default run. ``LIONK_FULL=1`` takes the whole product.

On JAX every shape is compiled, and on Dask every call is a graph. There a third of the rows have their turn, other
rows on each of the two, so that each library still sees every kind of function and each row is seen on the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

from backends_under_test import BACKENDS

FULL = os.environ.get("LIONK_FULL") == "1"
COSTLY = ("jax", "dask")


def has_its_turn(place: int, library: str) -> bool:
    return FULL or library not in COSTLY or place % 3 == COSTLY.index(library)


def on_libraries(rows: Iterable[Any], argument: str = "name", libraries: Iterable[str] = tuple(BACKENDS)) -> Any:
    """A mark that hands a test ``argument`` and ``backend``, for all pairs that have their turn."""
    pairs = [
        pytest.param(row, b, id=f"{getattr(row, 'id', row)}-{b}")
        for place, row in enumerate(rows)
        for b in libraries
        if has_its_turn(place, b)
    ]
    return pytest.mark.parametrize((argument, "backend"), pairs, indirect=["backend"])
