"""Problems to solve: the bundled ones, on real data that scikit-learn carries, and those made from a user's table."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..console import BadInput
from .data import Table
from .losses import LOSSES, Fun

Array = Any
CLASSES = 20  # whole numbers with at most so many values are taken for classes


@dataclass(frozen=True)
class Bundled:
    """A bundled problem. ``weight_decay``: for each K that it is meant for, the first being the default."""

    name: str
    summary: str
    load: Callable[[], Table]
    loss: str
    weight_decay: dict[str, float]
    scaling: str = "standardise"  # or "none"
    intercept: bool = True


@dataclass(frozen=True)
class Problem:
    """A linear model to fit: ``fun`` of ``losses`` on this design matrix and these targets, in float64 on the host."""

    name: str
    loss: str
    design: Array  # n x p, with the column of ones last where there is an intercept
    targets: Array  # n: +-1 or numbers; n x classes for softmax
    shape: tuple[int, ...]  # of the parameter: (p,) or (classes, p)
    columns: tuple[str, ...]  # p
    classes: tuple[str, ...]  # of a classification
    notes: tuple[str, ...] = field(default=())  # what was done to the data

    def fun(self, backend: Any, dtype: str, device: Any) -> Fun:
        """The loss on the arrays of a backend."""
        put = functools.partial(backend.asarray, dtype=dtype, device=device)
        data = backend.synchronize((put(self.design), put(self.targets)))  # once, where it will be used
        return LOSSES[self.loss](backend.namespace(), *data)

    def score(self, w: Array) -> tuple[str, float]:
        """How well w fits the data it was fitted to: accuracy or R^2. ``w`` on the host, float64."""
        if self.loss == "softmax":
            return "accuracy", float(np.mean((self.design @ w.T).argmax(1) == self.targets.argmax(1)))
        if self.loss == "logistic":
            return "accuracy", float(np.mean((self.design @ w > 0) == (self.targets > 0)))
        spread = self.targets - self.targets.mean()
        rest = self.design @ w - self.targets
        return "R^2", 1 - float(rest @ rest) / (float(spread @ spread) or 1.0)


# -- the bundled ones --------------------------------------------------------------------------------------------


def _breast_cancer() -> Table:
    from sklearn.datasets import load_breast_cancer

    d = load_breast_cancer()
    return Table(d.data, tuple(map(str, d.feature_names)), d.target_names[d.target].astype(str), "diagnosis")


def _digits() -> Table:
    from sklearn.datasets import load_digits

    d = load_digits()
    names = tuple(f"pixel {i // 8},{i % 8}" for i in range(64))
    return Table(d.data / 16, names, d.target.astype(str), "digit")


def _stacking() -> Table:
    """Out-of-sample predictions, in five folds, of simple models of the diabetes data; the target standardised."""
    from sklearn.datasets import load_diabetes
    from sklearn.dummy import DummyRegressor
    from sklearn.linear_model import Lasso, LinearRegression, Ridge
    from sklearn.model_selection import cross_val_predict
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.tree import DecisionTreeRegressor

    features, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    models = {
        "mean of the target": DummyRegressor(),
        "least squares": LinearRegression(),
        "ridge, 0.1": Ridge(0.1),
        "ridge, 1": Ridge(1.0),
        "lasso, 0.1": Lasso(0.1),
        **{f"{k} nearest neighbours": KNeighborsRegressor(k) for k in (1, 5, 20, 60)},
        **{f"tree of depth {k}": DecisionTreeRegressor(max_depth=k, random_state=0) for k in (1, 2, 3, 5)},
    }
    predictions = [cross_val_predict(m, features, y, cv=5) for m in models.values()]
    return Table(np.stack(predictions, axis=1), tuple(models), y, "disease progression")


BUNDLED: dict[str, Bundled] = {
    b.name: b
    for b in (
        Bundled(
            "breast-cancer",
            "bounded logistic regression: benign or malignant, 569 biopsies, 30 features",
            _breast_cancer,
            "logistic",
            {"l1": 1.0},
        ),
        Bundled(
            "digits",
            "softmax regression of handwritten digits, 1797 images of 8 x 8, a 10 x 65 matrix",
            _digits,
            "softmax",
            {"nuclear": 0.3, "spectral": 0.1, "row_l1_l2": 0.3},
            scaling="none",
        ),
        Bundled(
            "stacking",
            "the best convex combination of 13 models of the diabetes data (stacked regression), on the simplex",
            _stacking,
            "squared",
            {"max": 1.0},
            scaling="none",
            intercept=False,
        ),
    )
}


def bundled(name: str, loss: str | None) -> Problem:
    """A bundled problem, with its own loss or another."""
    b = BUNDLED[name]
    return build(b.load(), loss or b.loss, name=b.name, scaling=b.scaling, intercept=b.intercept)


# -- from a table ------------------------------------------------------------------------------------------------


def guess_loss(table: Table) -> str:
    """Two values: logistic; texts, or few whole numbers, each twice or more on average: softmax; else squared."""
    values = np.unique(table.target)
    if len(values) == 2:
        return "logistic"
    if table.target.dtype.kind not in "fiu":
        return "softmax"
    few = len(values) <= min(CLASSES, len(table.target) / 2)
    return "softmax" if few and np.all(values == np.round(values)) else "squared"


def build(table: Table, loss: str, *, name: str, scaling: str = "standardise", intercept: bool = True) -> Problem:
    """Scale the features, append the ones, code the targets. Raises BadInput if the loss does not fit them."""
    features, notes = table.features, []
    if scaling == "standardise":
        features, constant = _standardised(features)
        notes.append("features standardised (mean 0, standard deviation 1)")
        if constant.any():
            notes.append(f"{constant.sum()} constant column(s) set to 0")
    else:
        notes.append("features as they are")
    columns = table.names
    if intercept:
        features = np.concatenate([features, np.ones((features.shape[0], 1))], axis=1)
        columns = (*columns, "intercept")
        notes.append("a column of ones for the intercept, which is under the constraint like the others")
    targets, classes, coded = _targets(table, loss)
    notes.extend(coded)
    shape = (len(classes), len(columns)) if loss == "softmax" else (len(columns),)
    return Problem(name, loss, features, targets, shape, columns, classes, tuple(notes))


def _standardised(columns: Array) -> tuple[Array, Array]:
    """Columns with mean 0 and standard deviation 1, and which are constant, to rounding; those are 0."""
    _, exponent = np.frexp(np.abs(columns).max(axis=0))
    scaled = np.ldexp(columns, -exponent)  # exact, and nothing overflows below
    constant = np.ptp(scaled, axis=0) <= 4 * np.finfo(float).eps
    spread = np.where(constant, 1.0, scaled.std(axis=0))
    return np.where(constant, 0.0, (scaled - scaled.mean(axis=0)) / spread), constant


def _targets(table: Table, loss: str) -> tuple[Array, tuple[str, ...], list[str]]:
    target, what = table.target, f"the target {table.target_name!r}"
    if loss == "squared":
        if target.dtype.kind not in "fiu":
            raise BadInput(f"{what} is text; the squared loss needs numbers (--loss logistic or softmax for classes)")
        target, constant = _standardised(target)
        if constant:
            raise BadInput(f"{what} is the same number in every row; there is nothing to fit")
        return target, (), ["target standardised"]
    values, index = np.unique(target, return_inverse=True)
    classes = tuple(str(v).removesuffix(".0") if values.dtype.kind == "f" else str(v) for v in values)
    if len(classes) < 2:
        raise BadInput(f"{what} has one class only ({classes[0]!r}); at least two are needed")
    if loss == "logistic":
        if len(classes) > 2:
            raise BadInput(f"{what} has {len(classes)} values; the logistic loss needs two (--loss softmax takes more)")
        return 2.0 * index - 1.0, classes, [f"{classes[1]!r} is +1, {classes[0]!r} is -1"]
    if 2 * len(classes) > len(target) and len(classes) > CLASSES:
        raise BadInput(f"{what} has {len(classes)} values in {len(target)} rows: that is no class (--loss squared?)")
    return np.eye(len(classes))[index], classes, [f"{len(classes)} classes"]
