"""The estimators of scikit-learn: its own checks, other solvers of the same problems, and what their users do."""

from __future__ import annotations

import pickle
import warnings
from fractions import Fraction
from functools import partial

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.estimator_checks import check_sample_weight_equivalence_on_dense_data, parametrize_with_checks

import lionk
from lionk_sklearn import LionKClassifier, LionKRegressor
from lionk_sklearn.intercept import Profile

QUICK = {"tol": 1e-2, "max_iter": 200}  # the checks are about the interface


@parametrize_with_checks([LionKRegressor(**QUICK), LionKClassifier(**QUICK)])
def test_scikit_learns_own_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


@pytest.mark.slow
@parametrize_with_checks([LionKRegressor(), LionKClassifier()])
def test_scikit_learns_own_checks_with_the_defaults(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


def data(n=40, p=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * [1.0, 0.5, 2.0, 1.0][:p]
    return X, X @ [1.5, -1.0, 0.3, 0.0][:p] + 2 + 0.3 * rng.normal(size=n)


def near(model, coef, X, weight=1.0):
    """Coefficients as near as the certified gap says: f is strongly convex with the least eigenvalue of its Hessian."""
    A = X - X.mean(axis=0)
    mu = weight * np.linalg.eigvalsh(A.T @ A / len(X))[0]
    assert np.linalg.norm(model.coef_ - coef) <= np.sqrt(2 * model.gap_ / mu) + 1e-6
    assert np.linalg.norm(model.coef_ - coef) <= 0.1


# -- the same problem, solved by others --------------------------------------------------------------------------


def test_ridge():
    X, y = data()
    other = Ridge(alpha=len(y) * 0.1).fit(X, y)
    model = LionKRegressor("half_square", weight_decay=0.1, tol=1e-6).fit(X, y)
    near(model, other.coef_, X)
    assert model.intercept_ == pytest.approx(other.intercept_, abs=1e-2)
    np.testing.assert_allclose(model.predict(X), other.predict(X), atol=2e-2)


def test_lasso():
    X, y = data()
    other = Lasso(alpha=0.2).fit(X, y)
    model = LionKRegressor("linf", weight_decay=1 / np.abs(other.coef_).sum(), tol=1e-3).fit(X, y)
    near(model, other.coef_, X)


def test_nonnegative_least_squares():
    X, y = data()
    other, _ = nnls(X, y)
    model = LionKRegressor("relu", weight_decay=0.25, tol=1e-4, fit_intercept=False).fit(X, y)
    near(model, other, X)
    assert model.coef_.min() >= 0 and model.intercept_ == 0.0


@pytest.mark.parametrize(
    ("K", "constraint"), [("l1", lambda w: cp.norm_inf(w) <= 1), ("l2", lambda w: cp.norm2(w) <= 1)]
)
def test_constraints_against_cvxpy(K, constraint):
    X, y = data()
    w, b = cp.Variable(X.shape[1]), cp.Variable()
    problem = cp.Problem(cp.Minimize(cp.sum_squares(X @ w + b - y) / (2 * len(y))), [constraint(w)])
    exact = problem.solve()
    model = LionKRegressor(K, weight_decay=1.0, tol=1e-4).fit(X, y)
    assert -1e-7 <= model.objective_ - exact <= model.gap_ + 1e-7
    near(model, w.value, X)


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression(classes):
    X, y = data(n=60)
    labels = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))
    other = LogisticRegression(C=1 / (len(y) * 0.1), tol=1e-8, max_iter=1000).fit(X, labels)
    model = LionKClassifier("half_square", weight_decay=0.1, tol=1e-5).fit(X, labels)
    assert model.coef_.shape == other.coef_.shape and model.intercept_.shape == other.intercept_.shape
    assert np.linalg.norm(model.coef_ - other.coef_) <= np.sqrt(2 * model.gap_ / 0.1) + 1e-4
    np.testing.assert_allclose(model.predict_proba(X), other.predict_proba(X), atol=1e-2)
    assert (model.predict(X) == other.predict(X)).mean() > 0.95


def test_bounded_logistic_regression_against_cvxpy():
    X, y = data()
    s = np.where(y > np.median(y), 1, -1)
    w, b = cp.Variable(X.shape[1]), cp.Variable()
    loss = cp.sum(cp.logistic(-cp.multiply(s, X @ w + b))) / len(s)
    exact = cp.Problem(cp.Minimize(loss), [cp.norm_inf(w) <= 0.5]).solve()
    model = LionKClassifier("l1", weight_decay=2.0).fit(X, s)
    assert -1e-6 <= model.objective_ - exact <= model.gap_ + 1e-6
    np.testing.assert_allclose(model.coef_[0], w.value, atol=0.05)


def weighted(classes=0):
    X, y = data()
    weights = np.random.default_rng(3).integers(0, 4, len(y)).astype(float)
    return X, np.digitize(y, np.quantile(y, np.arange(1, classes) / classes)) if classes else y, weights


def test_weights_of_samples_in_ridge():
    X, y, weights = weighted()
    make = partial(LionKRegressor, "half_square", weight_decay=0.1, tol=1e-6)
    other = Ridge(alpha=weights.sum() * 0.1).fit(X, y, sample_weight=weights)
    model = make().fit(X, y, sample_weight=weights)
    near(model, other.coef_, np.repeat(X, weights.astype(int), axis=0))
    assert model.intercept_ == pytest.approx(other.intercept_, abs=1e-2)
    again = make().fit(X, y, sample_weight=7 * weights)  # only their ratios count
    np.testing.assert_allclose(again.coef_, model.coef_, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_of_samples_and_classes_in_logistic_regression(classes):
    X, labels, weights = weighted(classes)
    total = compute_sample_weight("balanced", labels) * weights
    other = LogisticRegression(C=1 / (total.sum() * 0.1), tol=1e-8, max_iter=1000).fit(X, labels, total)
    model = LionKClassifier("half_square", weight_decay=0.1, tol=1e-5, class_weight="balanced")
    model.fit(X, labels, sample_weight=weights)
    assert np.linalg.norm(model.coef_ - other.coef_) <= np.sqrt(2 * model.gap_ / 0.1) + 1e-4
    np.testing.assert_allclose(model.predict_proba(X), other.predict_proba(X), atol=1e-2)


@pytest.mark.parametrize("estimator", [LionKRegressor(), LionKClassifier()])
def test_weights_are_repetitions_with_the_defaults_too(estimator):
    """To 1e-7, which needs intercepts beyond what a flat loss tells of them."""
    check_sample_weight_equivalence_on_dense_data(type(estimator).__name__, estimator)


def test_wrong_weights_are_named():
    X, y = data()
    for weights, says in (
        (-np.ones(len(y)), "Negative values in data passed to `sample_weight`"),
        (0.0, "(?i)sample.weight"),  # newer versions of scikit-learn say so themselves
    ):
        with pytest.raises(ValueError, match=says):
            LionKRegressor().fit(X, y, sample_weight=weights)


# -- the intercept -----------------------------------------------------------------------------------------------


def test_the_huber_loss_is_not_led_astray_by_outliers():
    X, y = data()
    clean = LionKRegressor(weight_decay=0.5).fit(X, y).coef_
    y = y.copy()
    y[:3] += 60
    far, near_ = (LionKRegressor(weight_decay=0.5, loss=f, tol=1e-3).fit(X, y).coef_ for f in ("squared", "huber:0.5"))
    assert np.linalg.norm(near_ - clean) < 0.2 < np.linalg.norm(far - clean)


@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax", "huber:0.5"])
def test_the_intercept_is_the_best_and_the_gradient_that_of_the_best(loss):
    X, y = data()
    index = np.digitize(y, [1.0, 3.0])
    targets = {"squared": y, "logistic": np.where(y > 2, 1.0, -1.0), "softmax": np.eye(3)[index]}.get(loss, y)
    shape = (3, 4) if loss == "softmax" else (4,)
    fun = Profile(loss, X, targets, True, shape)
    for scale in (0.1, 1.0, 30.0):
        w = scale * np.random.default_rng(1).normal(size=shape)
        f, gradient = fun(w)
        d = np.random.default_rng(2).normal(size=shape)
        h = 1e-6
        slope = (fun(w + h * d)[0] - fun(w - h * d)[0]) / (2 * h)
        assert slope == pytest.approx(float(np.sum(gradient * d)), rel=1e-4, abs=1e-6)
        again = Profile(loss, X, targets, True, shape)  # from another start
        again.b = again.b + 5.0
        assert again(w)[0] == pytest.approx(f, rel=1e-9, abs=1e-12)


# -- what users do -----------------------------------------------------------------------------------------------


def test_certificate_and_gap():
    X, y = data()
    model = LionKRegressor(weight_decay=1.0).fit(X, y)
    assert 0 <= model.gap_ <= 1e-4 * np.var(y) / 2 * (1 + 1e-9)
    assert not model.certificate_.failed
    assert np.abs(model.coef_).max() <= 1


def test_pipelines_searches_and_pickles():
    X, y = data()
    kind = np.where(y > 2, "high", "low")
    pipeline = make_pipeline(StandardScaler(), LionKClassifier(tol=1e-2))
    search = GridSearchCV(
        pipeline, {"lionkclassifier__weight_decay": [0.5, 20.0], "lionkclassifier__K": ["l1", "l2"]}, cv=3
    )
    search.fit(X, kind)
    assert search.best_params_["lionkclassifier__weight_decay"] == 0.5
    assert cross_val_score(LionKRegressor(tol=1e-2, weight_decay=0.3), X, y, cv=3).mean() > 0.8
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert (again.predict(X) == search.predict(X)).all()
    assert clone(LionKRegressor(lionk.K("huber", delta=0.5))).K == lionk.K("huber", delta=0.5)


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_array])
def test_sparse_input_gives_the_same(form):
    X, y = data()
    X[np.abs(X) < 0.5] = 0
    dense, sparse = (LionKRegressor(tol=1e-3).fit(A, y) for A in (X, form(X)))
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-6)
    np.testing.assert_allclose(sparse.predict(form(X)), dense.predict(X), atol=1e-6)
    labels = np.digitize(y, [1.0, 3.0])
    dense, sparse = (LionKClassifier(tol=1e-2).fit(A, labels) for A in (X, form(X)))
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-6)


def test_functions_of_matrices_act_on_all_classes():
    X, y = data(n=60)
    labels = np.digitize(y, [1.0, 3.0])
    model = LionKClassifier("nuclear", weight_decay=1.0, tol=1e-2).fit(X, labels)
    assert np.linalg.svd(model.coef_, compute_uv=False)[0] <= 1 + 1e-9
    two = LionKClassifier("nuclear", weight_decay=1.0, tol=1e-2).fit(X, labels > 0)
    assert two.coef_.shape == (1, 4) and np.linalg.norm(two.coef_) <= 1 + 1e-9
    assert LionKClassifier(loss="softmax", tol=1e-2).fit(X, labels > 0).predict_proba(X).shape == (60, 2)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"weight_decay": 0.0}, "weight_decay must be a finite number > 0"),
        ({"tol": -1.0}, "tol must be"),
        ({"tol": None}, "tol must be a number >= 0, got None"),
        ({"weight_decay": "1"}, "weight_decay must be a finite number > 0, got '1'"),
        ({"max_iter": 2.5}, "max_iter must be a whole number >= 0, got 2.5"),
        ({"loss": "hinge"}, "loss must be one of squared, huber"),
        ({"K": "huber:delta=-1"}, "delta must be"),
    ],
)
def test_wrong_parameters_are_named(parameters, says):
    with pytest.raises(ValueError, match=says):
        LionKRegressor(**parameters).fit(*data())


def test_numbers_that_overflow_are_named():
    X, y = data()
    with pytest.raises(ValueError, match="the loss overflows; scale the features of X"):
        LionKRegressor().fit(X * 1e200, y)
    with pytest.raises(ValueError, match="overflows; scale y"):
        LionKRegressor().fit(X, y * 1e200)


def test_a_run_that_is_too_short_warns():
    with pytest.warns(ConvergenceWarning, match="raise max_iter or tol"):
        LionKRegressor(max_iter=2).fit(*data())


def test_parameters_of_k_follow_a_colon():
    X, y = data()
    a, b = (LionKRegressor(K, tol=1e-2).fit(X, y) for K in ("huber:delta=0.5", lionk.K("huber", delta=0.5)))
    np.testing.assert_array_equal(a.coef_, b.coef_)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize(("far", "high"), [(0.0, 1e9), (1e5, 1e7), (1e9, 100.0), (1e8, 1e8)])
def test_the_gap_is_true_for_features_and_targets_far_from_zero(kind, far, high):
    """Dates as features: one of them, whose best weight is found in rational numbers."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = far + rng.standard_normal(6)
        y = high + 3 * (x - far) + 0.1 * rng.standard_normal(6)
        X, Y = [Fraction(v) for v in x], [Fraction(v) for v in y]
        X, Y = [v - sum(X) / 6 for v in X], [v - sum(Y) / 6 for v in Y]
        products = (sum(a * b for a, b in zip(*pair, strict=True)) / 6 for pair in ((X, X), (X, Y), (Y, Y)))
        xx, xy, yy = products

        def F(w, lam, xx=xx, xy=xy, yy=yy):
            return (yy - 2 * w * xy + w * w * xx + Fraction(lam) * w * w) / 2

        for lam in (1e-5, 1.0):
            for tol in (1e-4, 0.0):
                model = LionKRegressor("half_square", weight_decay=lam, tol=tol, max_iter=100)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    model.fit(kind(x[:, None]), y)
                least = F(xy / (xx + Fraction(lam)), lam)
                assert F(Fraction(model.coef_[0]), lam) - least <= model.gap_
                assert abs(model.objective_ - float(least)) <= model.gap_ + 1e-12 * float(least)
                if tol:
                    assert model.gap_ <= 1e-3 * float(yy)
