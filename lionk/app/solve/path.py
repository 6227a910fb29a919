"""The path over the weight decay: fits for many lam, judged on rows that they have not seen."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import lionk

from ..console import BadInput
from ..tables.table import Table
from .model import Problem, build
from .setup import Setup, start_of
from .source import Task

Array = Any
DEFAULT = "0.03:30:9"
TOL, STEPS = 5e-3, 2000  # for the fits that only compare lam: the gap, and at most so many steps


@dataclass(frozen=True)
class LamPath:
    """For each lam, largest first: losses and scores (folds x lams), and the weights fitted to all rows."""

    lams: Array
    losses: Array
    scores: Array
    measure: str  # what a score is
    weights: Array  # lams x shape of the parameter
    folds: int

    @property
    def mean(self) -> Array:
        return self.losses.mean(axis=0)

    @property
    def error(self) -> Array:
        """The standard error of the mean loss over the folds."""
        return self.losses.std(axis=0, ddof=1) / math.sqrt(self.folds)

    @property
    def best(self) -> int:
        """The lam of the least mean loss; of equal ones the largest."""
        return int(np.argmin(self.mean))

    @property
    def at_the_end(self) -> bool:
        return self.best in (0, len(self.lams) - 1)


def read_lams(text: str | None) -> Array:
    """The weight decays that a text names, largest first."""
    text = DEFAULT if text is None else text
    try:
        if ":" in text:
            low, high, count = text.split(":")
            made = np.geomspace(float(low), float(high), int(count))
        else:
            made = np.asarray([float(t) for t in text.split(",")])
    except ValueError:
        made = np.asarray([])
    if made.size < 2 or not np.all(np.isfinite(made) & (made > 0)) or np.unique(made).size < made.size:
        raise BadInput(f"--lams {text}: give two or more numbers > 0, as 0.1,0.3,1, or a range LOW:HIGH:COUNT")
    return np.sort(made)[::-1]


def follow(
    task: Task, setup: Setup, lams: Array, folds: int, seed: int, tell: Callable[[str], None] = lambda _: None
) -> LamPath:
    """Fit every lam to all rows and, once for each fold, to the rows out of it. Raises BadInput."""
    p, table = task.problem, task.table
    weights = _fits(setup, p, lams)
    losses, scores = [], []
    for i, (inside, outside) in enumerate(_split(table, folds, p.classes, seed)):
        tell(f"fold {i + 1} of {folds}")
        part = build(table.take(inside), p.loss, name=p.name, scaling=task.scaling, intercept=p.intercept,
                     classes=p.classes or None)  # fmt: skip
        unseen = table.take(outside)
        fitted = _fits(setup, part, lams)
        losses.append([part.loss_of(w, unseen) for w in fitted])
        scores.append([part.score(w, unseen)[1] for w in fitted])
    measure = p.score(weights[0])[0]
    return LamPath(lams, np.asarray(losses), np.asarray(scores), measure, weights, folds)


def _split(table: Table, folds: int, classes: tuple[str, ...], seed: int) -> Any:
    from sklearn.model_selection import KFold, StratifiedKFold

    rows = len(table.target)
    if not 2 <= folds <= rows:
        raise BadInput(f"--cv {folds}: the number of folds must be 2 or more, and at most the {rows} rows")
    kind = StratifiedKFold if classes and _frequent(table, folds) else KFold
    return kind(folds, shuffle=True, random_state=seed).split(table.features, table.target if classes else None)


def _frequent(table: Table, folds: int) -> bool:
    """Has every class a row for each fold?"""
    return bool(np.unique(table.target, return_counts=True)[1].min() >= folds)


def _fits(setup: Setup, p: Problem, lams: Array) -> Array:
    """The weights for every lam, each run started from the last, whose set lies within its own."""
    fun = p.fun(setup.backend, setup.dtype, setup.device)
    w, found = None, []
    coarse = replace(setup, problem=p, lr=None, seed=None, tol=max(setup.tol, TOL), maxiter=min(setup.maxiter, STEPS))
    for lam in lams:
        s = replace(coarse, weight_decay=float(lam))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", lionk.LionKWarning)
            w = lionk.minimize(fun, start_of(s) if w is None else w, **s.arguments).x
        found.append(setup.backend.to_host(w).astype("float64"))
    return np.stack(found)
