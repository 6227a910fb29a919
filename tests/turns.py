"""Which rows meet which library in the default run. ``LIONK_FULL=1`` takes the whole product.

On JAX every shape is compiled, and on Dask every call is a graph: there one row in eight has its turn, other rows on
each of the two. Every other library sees each name with its defaults, on an array that cannot be written every second
one. Of the rows with other parameters, the libraries that read the standard strictly take turns with PyTorch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

import pytest

from backends_under_test import BACKENDS

FULL = os.environ.get("LIONK_FULL") == "1"
TURNS = {"jax": (8, 0), "dask": (8, 4), "numpy:readonly": (2, 0)}  # one row in how many, beginning with which
OF_PARAMETERS = TURNS | {"strict": (2, 0), "torch": (2, 1), "strict:device1": (2, 0), "strict:no_float64": (2, 1)}


def has_its_turn(place: int, library: str, turns: dict[str, tuple[int, int]] = TURNS) -> bool:
    every, first = turns.get(library, (1, 0))
    return FULL or place % every == first


def on_libraries(
    rows: Iterable[Any],
    argument: str = "name",
    libraries: Iterable[str] = tuple(BACKENDS),
    defaults: float = math.inf,
) -> Any:
    """A mark that hands a test ``argument`` and ``backend``, for all pairs that have their turn.

    Rows after the first ``defaults`` are these with other parameters: the strict namespace and PyTorch share them.
    """
    pairs = [
        pytest.param(row, b, id=f"{getattr(row, 'id', row)}-{b}")
        for place, row in enumerate(rows)
        for b in libraries
        if has_its_turn(place, b, TURNS if place < defaults else OF_PARAMETERS)
    ]
    return pytest.mark.parametrize((argument, "backend"), pairs, indirect=["backend"])
