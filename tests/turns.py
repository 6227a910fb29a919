"""Which rows meet which library in the default run. ``LIONK_FULL=1`` takes the whole product.

On JAX every shape is compiled, and on Dask every call is a graph: there one row in 48 has its turn, other rows on each
of the two, with entries, orders, eigenvalues and envelopes among them. (That all names trace on JAX is ``test_jit``.)
The strict namespace sees each name with its defaults: there proximal points and projections, which take iterations, are
found as well. PyTorch and that namespace without double precision and on another device see every other name, an array
that cannot be written every fourth. Of the rows with other parameters, the libraries that read the standard strictly
take turns with PyTorch.

A step is compiled for each cell of a product: there ``on_ways`` takes a part in which any two values meet.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from backends_under_test import BACKENDS, WAYS, Backend

FULL = os.environ.get("LIONK_FULL") == "1"
TURNS = {  # one row in how many, beginning with which
    "jax": (48, 0), "dask": (48, 12), "numpy:readonly": (4, 0),
    "torch": (2, 0), "strict:device1": (2, 1), "strict:no_float64": (2, 0),
}  # fmt: skip
OF_PARAMETERS = TURNS | {"strict": (2, 0), "torch": (4, 1), "strict:device1": (4, 3), "strict:no_float64": (4, 1)}


def has_its_turn(place: int, library: str, count: int, turns: dict[str, tuple[int, int]] = TURNS) -> bool:
    """Of ``count`` rows. Each library has a turn, however few they are."""
    every, first = turns.get(library, (1, 0))
    every = min(every, count)
    return FULL or place % every == first % every


def on_libraries(
    rows: Iterable[Any],
    argument: str = "name",
    libraries: Iterable[str] = tuple(BACKENDS),
    defaults: float = math.inf,
) -> Any:
    """A mark that hands a test ``argument`` and ``backend``, for all pairs that have their turn.

    Rows after the first ``defaults`` are these with other parameters: the strict namespace and PyTorch share them.
    """
    rows = list(rows)
    pairs = [
        pytest.param(row, b, id=f"{getattr(row, 'id', row)}-{b}")
        for place, row in enumerate(rows)
        for b in libraries
        if has_its_turn(place, b, len(rows), TURNS if place < defaults else OF_PARAMETERS)
    ]
    return pytest.mark.parametrize((argument, "backend"), pairs, indirect=["backend"])


def every(check: Callable[..., None], rows: Iterable[tuple[Any, ...]]) -> None:
    """``check(*row)`` of all rows in one test, where each takes less time than a test does. All that fail are named."""
    errors: list[BaseException] = []
    for row in rows:
        try:
            check(*row)
        except (Exception, pytest.fail.Exception) as error:
            error.add_note(f"of {', '.join(map(str, row))}")
            errors.append(error)
    if errors:
        raise BaseExceptionGroup("the rows that failed", errors)


def by_library(rows: Iterable[Any]) -> Any:
    """Makes of ``check(row, backend)`` one test for each library, of all rows that have their turn there."""
    rows = list(rows)

    def decorate(check: Callable[[Any, Backend], None]) -> Any:
        def test(backend: Backend) -> None:
            turn = [(r,) for place, r in enumerate(rows) if has_its_turn(place, backend.name, len(rows))]
            every(functools.partial(check, backend=backend), turn)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


def in_turns(rows: Iterable[Any], others: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Each row with one of the others, which take turns. ``LIONK_FULL=1``: with each."""
    others = list(others)
    return [(r, o) for i, r in enumerate(rows) for j, o in enumerate(others) if FULL or i % len(others) == j]


def paired(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Of these rows so many that any two values of two columns meet as in all. ``LIONK_FULL=1``: all."""
    rows = list(rows)
    new = [set(itertools.combinations(enumerate(map(str, row)), 2)) for row in rows]
    taken = list(range(len(rows))) if FULL else []
    while not FULL and any(new):  # the row with the most pairs that have not met
        taken.append(max(range(len(rows)), key=lambda row: len(new[row])))
        new = [pairs - new[taken[-1]] for pairs in new]
    return [rows[row] for row in sorted(taken)]


def on_ways(first: Iterable[Any], second: Iterable[Any], arguments: str) -> Any:
    """A mark that hands a test ``way`` and these two arguments, of which any two meet."""
    product = itertools.product(WAYS, first, second)
    rows = paired(row for row in product if not ("numpy" in row[0] and "bfloat16" in str(row)))  # which it has not
    ids = ["-".join((":".join(way), *map(str, rest))) for way, *rest in rows]
    return pytest.mark.parametrize(f"way, {arguments}", rows, indirect=["way"], ids=ids)
