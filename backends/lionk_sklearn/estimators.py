"""Linear models fitted by Lion-K, as scikit-learn has them."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.extmath import softmax
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

import lionk
from lionk.functions.registry.text import parse
from lionk.theory import nearest_feasible

from .intercept import Profile

Array = Any


class _Linear(BaseEstimator):
    """What both have in common. ``_losses`` are those that the parameter ``loss`` may name."""

    _losses: tuple[str, ...] = ()

    def __init__(
        self,
        K: Any = "l1",
        weight_decay: float = 1.0,
        loss: str = "squared",
        tol: float = 1e-4,
        max_iter: int = 10_000,
        fit_intercept: bool = True,
    ) -> None:
        self.K = K
        self.weight_decay = weight_decay
        self.loss = loss
        self.tol = tol
        self.max_iter = max_iter
        self.fit_intercept = fit_intercept

    def _function(self) -> lionk.ConvexFunction:
        """K, after a look at the parameters. Raises ValueError."""
        if not (isinstance(self.weight_decay, Real) and 0 < self.weight_decay < np.inf):
            raise ValueError(f"weight_decay must be a finite number > 0, got {self.weight_decay!r}")
        if not (isinstance(self.tol, Real) and self.tol >= 0):
            raise ValueError(f"tol must be a number >= 0, got {self.tol!r}")
        if not (isinstance(self.max_iter, Integral) and self.max_iter >= 0):
            raise ValueError(f"max_iter must be a whole number >= 0, got {self.max_iter!r}")
        if str(self.loss).partition(":")[0] not in self._losses:
            raise ValueError(f"loss must be one of {', '.join(self._losses)}, got {self.loss!r}")
        if isinstance(self.K, str) and ":" in self.K:
            name, parameters = parse(self.K)
            return lionk.K(name, **parameters)
        return lionk.K(self.K)

    def _data(self, *arrays: Any, **how: Any) -> Any:
        """What is given to ``fit`` or to a fitted model, checked by scikit-learn."""
        return validate_data(self, *arrays, accept_sparse=("csr", "csc"), dtype=np.float64, **how)

    def _seen(self, X: Any) -> Any:
        """X for a model that is fitted, with the features that it was fitted to."""
        check_is_fitted(self)
        return self._data(X, reset=False)

    def _solve(self, loss: str, X: Any, targets: Array, weights: Any, shape: tuple[int, ...]) -> Array:
        """Minimise, and note what is known of the result. Returns the weights in this shape."""
        K = self._function()
        if K.traits.structure == "matrix" and len(shape) == 1:
            shape = (1, *shape)
        if weights is not None:
            weights = _check_sample_weight(weights, X, dtype=np.float64, ensure_non_negative=True)
            if not weights.any():
                raise ValueError("sample_weight is 0 for every row; at least one must be > 0")
        fun = Profile(loss, X, targets, bool(self.fit_intercept), shape, weights)
        zero = np.zeros(shape)
        with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", lionk.LionKWarning)
            start = float(fun(zero)[0])
            if not np.isfinite(start):
                raise ValueError("the loss at w = 0 overflows; scale y")
            x0 = nearest_feasible(K, zero, self.weight_decay)
            try:
                result = lionk.minimize(
                    fun, x0, K=K, weight_decay=float(self.weight_decay), jac=True, convex=True, tol=0.0,
                    atol=float(self.tol) * start, maxiter=int(self.max_iter),
                )  # fmt: skip
            except lionk.NonFiniteError:
                raise ValueError("the loss overflows; scale the features of X, as StandardScaler does") from None
        if not result.success:
            warnings.warn(
                f"{type(self).__name__}: the gap is {result.gap:.3g} after {result.nit} steps, and not below tol times "
                f"the loss at 0, {self.tol * start:.3g}; raise max_iter or tol, or scale the features",
                ConvergenceWarning,
                stacklevel=3,
            )
        f, d = fun.slopes(result.x)
        self.intercept_ = fun.free(result.x)
        self.n_iter_ = max(result.nit, 1)
        self.objective_, self.gap_ = float(result.objective), max(float(result.gap), 0.0)
        toward = K.subgradient(-fun.gradient(d, result.x)) / self.weight_decay
        self.gap_ += float(result.gap_rounding) + fun.rounding(f, d, result.x, toward)
        self.certificate_ = result.certificate
        return np.asarray(result.x)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class LionKRegressor(RegressorMixin, _Linear):
    """Least squares under the constraint, or with the penalty, of a convex function K.

    It minimises ``mean_i (y_i - <w, x_i> - b)^2 / 2 + K*(weight_decay w) / weight_decay`` over w and b. The
    intercept b is free: neither constrained nor penalised. The mean is weighted where ``fit`` gets weights of samples.

    Parameters
    ----------
    K : str, dict or lionk.ConvexFunction
        "l1" bounds every coefficient, ``|w_j| <= 1/weight_decay``; "linf" bounds their sum of magnitudes (the lasso);
        "half_square" is ridge regression with ``alpha = n weight_decay``; "relu" is least squares with
        ``0 <= w_j <= 1/weight_decay``; "max" is the simplex. Parameters follow a colon: "huber:delta=0.5".
    weight_decay : float
        lam > 0.
    loss : str
        "squared", or "huber:width" for data with outliers, such as "huber:1.5": beyond the width, in the units of y, it
        grows like the absolute value.
    tol : float
        Stop when the certified gap is at most ``tol`` times the loss of the best constant prediction.
    max_iter : int
        Stop after this many steps, with a ConvergenceWarning.
    fit_intercept : bool
        False: ``b = 0``.

    Attributes
    ----------
    coef_ : array of shape (n_features,)
    intercept_ : float
    objective_, gap_ : float
        The value reached; the least possible one is between ``objective_ - gap_`` and ``objective_``.
    certificate_ : lionk.Certificate
        Each statement of the theory, and whether it held.
    n_iter_, n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> from lionk_sklearn import LionKRegressor
    >>> model = LionKRegressor("l1", weight_decay=1.0).fit([[0.0], [1], [2], [3]], [1.0, 3, 5, 7])  # y = 1 + 2 x
    >>> model.coef_.round(2).tolist(), round(model.intercept_, 2), bool(model.gap_ < 1e-3)  # but |w| <= 1
    ([1.0], 2.5, True)
    """

    _losses = ("squared", "huber")

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LionKRegressor:
        """Fit to X (n x p, dense or sparse), numbers y (n), and weights of the samples (n, >= 0, or one number)."""
        X, y = self._data(X, y, y_numeric=True)
        w = self._solve(self.loss, X, np.asarray(y, dtype=np.float64), sample_weight, (X.shape[1],))
        self.coef_ = w.reshape(-1)
        self.intercept_ = float(self.intercept_)
        return self

    def predict(self, X: Any) -> Array:
        """``X @ coef_ + intercept_``."""
        return self._seen(X) @ self.coef_ + self.intercept_


class LionKClassifier(ClassifierMixin, _Linear):
    """Logistic regression under the constraint, or with the penalty, of a convex function K.

    It minimises ``mean log-loss + K*(weight_decay w) / weight_decay``, with a weighted mean if weights are given. With
    two classes w has one number for each feature; with more, a row for each class (softmax), on which a K of matrices,
    such as "nuclear" or "row_l1_l2", acts as a whole. The intercepts are free. "half_square" is scikit-learn's
    LogisticRegression with ``C = 1 / (n weight_decay)``.

    Parameters
    ----------
    K, weight_decay, tol, max_iter, fit_intercept
        As in ``LionKRegressor``; tol is relative to the loss of the classes' frequencies.
    loss : str
        "logistic"; "softmax" has a row of weights for each class with two classes, too.
    class_weight : None, "balanced" or dict
        Weights of classes, which multiply those of samples: {class: weight}, or such that all classes weigh the same.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    coef_ : array of shape (1, n_features) for two classes, else (n_classes, n_features)
    intercept_ : array of shape (1,) or (n_classes,)
    objective_, gap_, certificate_, n_iter_, n_features_in_, feature_names_in_
        As in ``LionKRegressor``.

    Examples
    --------
    >>> from lionk_sklearn import LionKClassifier
    >>> model = LionKClassifier(weight_decay=0.5).fit([[-2.0], [-1], [1], [2]], ["cold", "cold", "warm", "warm"])
    >>> model.predict([[-3.0], [3.0]]).tolist(), model.coef_.round(2).tolist()
    (['cold', 'warm'], [[2.0]])
    """

    _losses = ("logistic", "softmax")

    def __init__(
        self,
        K: Any = "l1",
        weight_decay: float = 1.0,
        loss: str = "logistic",
        tol: float = 1e-4,
        max_iter: int = 10_000,
        fit_intercept: bool = True,
        class_weight: Any = None,
    ) -> None:
        super().__init__(K, weight_decay, loss, tol, max_iter, fit_intercept)
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LionKClassifier:
        """Fit to X (n x p, dense or sparse), classes y (n), and weights of the samples (n, >= 0, or one number).

        Raises ValueError if there is one class only.
        """
        X, y = self._data(X, y)
        check_classification_targets(y)
        self.classes_, index = np.unique(y, return_inverse=True)
        count = len(self.classes_)
        if count < 2:
            raise ValueError(f"at least two classes are needed; the data have one class, {self.classes_.tolist()[0]!r}")
        if self.class_weight is not None:
            by_class = compute_sample_weight(self.class_weight, y)
            sample_weight = by_class if sample_weight is None else by_class * np.asarray(sample_weight)
        if count == 2 and self.loss != "softmax":
            w = self._solve(self.loss, X, 2.0 * index - 1.0, sample_weight, (X.shape[1],))
        else:
            w = self._solve("softmax" if self.loss == "logistic" else self.loss, X, np.eye(count)[index],
                            sample_weight, (count, X.shape[1]))  # fmt: skip
        self.coef_ = w.reshape(-1, X.shape[1])
        self.intercept_ = np.atleast_1d(np.asarray(self.intercept_, dtype=np.float64))
        return self

    def decision_function(self, X: Any) -> Array:
        """The scores: of the second class for two classes, else one for each class."""
        z = self._seen(X) @ self.coef_.T + self.intercept_
        if z.shape[1] == 1:
            return z[:, 0]
        return z[:, 1] - z[:, 0] if len(self.classes_) == 2 else z

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, a row for each row of X."""
        z = self.decision_function(X)
        return softmax(np.stack([np.zeros_like(z), z], axis=1) if z.ndim == 1 else z)

    def predict(self, X: Any) -> Array:
        """The most probable class of each row."""
        z = self.decision_function(X)
        return self.classes_[(z > 0).astype(int) if z.ndim == 1 else z.argmax(axis=1)]
