"""The bundled problems, on real data that scikit-learn carries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..tables.table import Table
from .model import Problem, build


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


@cache
def _breast_cancer() -> Table:
    from sklearn.datasets import load_breast_cancer

    d = load_breast_cancer()
    return Table(d.data, tuple(map(str, d.feature_names)), d.target_names[d.target].astype(str), "diagnosis")


@cache
def _digits() -> Table:
    from sklearn.datasets import load_digits

    d = load_digits()
    names = tuple(f"pixel {i // 8},{i % 8}" for i in range(64))
    return Table(d.data / 16, names, d.target.astype(str), "digit")


@cache
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
