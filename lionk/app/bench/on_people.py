"""Counts of what people run whole: the commands on a table, a fit of the estimators, and SciPy's ``minimize``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np

from .scenes import Problem, array, folder
from .steps import Count, worked


def people() -> Iterator[Count]:
    """Calls and lines of lionk's own code, from the command line to the files that are written."""
    yield from worked("lionk solve", "a table of 40 x 3", _solve)
    yield from worked("lionk predict", "a table of 40 x 3", _predict)
    yield from worked("estimator", "fit of 40 x 3", _estimator)
    yield from worked("SciPy method", "30 iterations", _scipy)


@cache
def _table() -> str:
    """Two columns of numbers, one of words, and a sum to predict."""
    x = array((40, 3), 5)
    rows = [f"{a:.3f},{b:.3f},{'high' if c > 0 else 'low'},{a - b + (c > 0):.3f}" for a, b, c in x.tolist()]
    (folder() / "table.csv").write_text("\n".join(["first,second,level,sum", *rows]) + "\n", encoding="utf-8")
    return str(folder() / "table.csv")


def _command(*words: str) -> Callable[[], Any]:
    from lionk.app import main

    def run() -> None:
        sys.argv = ["lionk", *words]
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"lionk {words[0]} ended with {end.code}") from None

    return run


def _solve() -> Callable[[], Any]:
    out = ("--out", str(folder()), "--save", str(folder() / "model.json"))
    return _command("solve", "--data", _table(), "--target", "sum", "--quiet", *out)


def _predict() -> Callable[[], Any]:
    _solve()()
    model, out = (str(folder() / name) for name in ("model.json", "predicted.csv"))
    return _command("predict", model, "--data", _table(), "--out", out, "--quiet")


def _estimator() -> Callable[[], Any]:
    from lionk_sklearn import LionKRegressor

    x = array((40, 3), 5)
    return partial(LionKRegressor("l1", weight_decay=1.0).fit, x, x @ np.asarray([1.0, -1.0, 0.5]))


def _scipy() -> Callable[[], Any]:
    from scipy.optimize import minimize

    from lionk_numpy import scipy_method

    f = Problem((6,), "bent", np.asarray)
    options = {"K": "l1", "weight_decay": 1.0, "maxiter": 30, "tol": 0.0}
    return lambda: minimize(f.fun, np.zeros(6), jac=True, method=scipy_method, options=options)
