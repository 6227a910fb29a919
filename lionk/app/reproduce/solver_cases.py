"""The problems of the target ``solvers``: each as `minimize` takes it, and as other people's solvers do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

import lionk
from lionk.solver.losses import loss_of

Solver = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """A problem: f with its gradient, K and lam; by the name of each other solver, what gives its x.

    A solver whose package is not installed raises ImportError.
    """

    name: str
    fun: Callable[[Any], tuple[Any, Any]]
    K: Any
    lam: float
    shape: tuple[int, ...]
    others: dict[str, Solver]


def cases(rng: Any, rows: int) -> list[Case]:
    """Sixteen problems: with so many rows and an eighth as many columns, and the last of a matrix as large as that."""
    n = 3 * (rows // 24)
    A, noise, labels = rng.normal(size=(rows, n)), rng.normal(size=rows), np.sign(rng.normal(size=rows))
    b = A @ (rng.normal(size=n) + 0.5) + noise
    mask, low_rank = rng.random((n, n)) < 0.5, rng.normal(size=(n, 2)) @ rng.normal(size=(2, n))
    losses = {
        name: loss_of(name)(np, A, labels if name in ("logistic", "hinge") else b)
        for name in ("logistic", "squared", "absolute", "quantile:0.9", "hinge", "huber:1")
    }
    logistic, least, hinge, huber = (losses[name] for name in ("logistic", "squared", "hinge", "huber:1"))
    cvx = Cvxpy(A, b, labels)

    wide = rng.random((rows, rows // 2)) < 0.3
    signal = rng.normal(size=(rows, 5)) @ rng.normal(size=(5, rows // 2))
    noisy, radius = signal + 0.5 * rng.normal(size=wide.shape), 0.6 * float(np.linalg.norm(signal, "nuc"))
    completion, larger = completes(mask, low_rank), completes(wide, noisy)

    def groups(X: Any) -> tuple[float, Any]:
        f, g = least(X.reshape(-1))
        return f, g.reshape(X.shape)

    def lbfgsb() -> Any:
        return optimize.minimize(logistic, np.zeros(n), jac=True, method="L-BFGS-B", bounds=[(-1.0, 1.0)] * n).x

    nonnegative = lionk.K("box", lower=0.0, upper=100.0)
    return [
        Case("logistic, box", logistic, "l1", 1.0, (n,),
             {"L-BFGS-B": lbfgsb, "cvxpy": lambda: cvx.vector("logistic", lambda cp, z: [cp.abs(z) <= 1])}),
        Case("logistic, simplex", logistic, "max", 1.0, (n,), {
            "cvxpy": lambda: cvx.vector("logistic", lambda cp, z: [z >= 0, cp.sum(z) == 1]),
            "copt (FISTA)": lambda: fista(logistic, n, "SimplexConstraint", 1.0)}),
        Case("logistic, ridge", logistic, "half_square", 0.1, (n,),
             {"scikit-learn": lambda: sklearn_logistic(A, labels, 0.1)}),
        Case("lasso, |x|_1 <= 2", least, "linf", 0.5, (n,), {
            "cvxpy": lambda: cvx.vector("squared", lambda cp, z: [cp.norm(z, 1) <= 2]),
            "copt (FISTA)": lambda: fista(least, n, "L1Ball", 2.0)}),
        Case("elastic net", least, lionk.K("soft_threshold", threshold=0.5), 1.0, (n,),
             {"scikit-learn": lambda: elastic_net(A, b, 0.5, 1.0)}),
        Case("squares, box", least, "l1", 1.0, (n,), {"lsq_linear": lambda: optimize.lsq_linear(A, b, (-1.0, 1.0)).x}),
        Case("nonnegative squares", least, nonnegative, 1.0, (n,), {"nnls": lambda: optimize.nnls(A, b)[0]}),
        Case("absolute deviations, box", losses["absolute"], "l1", 1.0, (n,),
             {"HiGHS": lambda: linear_program(A, b, 0.5)}),
        Case("quantile 0.9, box", losses["quantile:0.9"], "l1", 1.0, (n,),
             {"HiGHS": lambda: linear_program(A, b, 0.9)}),
        Case("hinge, ridge (SVM)", hinge, "half_square", 0.1, (n,), {
            "scikit-learn": lambda: support_vectors(A, labels, 0.1),
            "cvxpy": lambda: cvx.vector("hinge", lambda _cp, _z: [], lambda cp, z: 0.05 * cp.sum_squares(z))}),
        Case("hinge, ball", hinge, "l2", 1.0, (n,),
             {"cvxpy": lambda: cvx.vector("hinge", lambda cp, z: [cp.norm(z, 2) <= 1])}),
        Case("Huber loss, ball", huber, "l2", 1.0, (n,),
             {"cvxpy": lambda: cvx.vector("huber", lambda cp, z: [cp.norm(z, 2) <= 1])}),
        Case("squares, group norms", groups, "group_l1_l2", 1.0, (n // 3, 3), {
            "cvxpy": lambda: cvx.vector(
                "squared", lambda cp, z: [cp.norm(z[i : i + 3], 2) <= 1 for i in range(0, n, 3)])}),
        Case("squares, entropy", least, "log_sum_exp", 1.0, (n,), {
            "cvxpy": lambda: cvx.vector(
                "squared", lambda cp, z: [z >= 0, cp.sum(z) == 1], lambda cp, z: -cp.sum(cp.entr(z)))}),
        Case("completion, |X|_* <= 10", completion, "spectral", 0.1, (n, n), {
            "cvxpy": lambda: cvx.completion(mask, low_rank, 10.0),
            "copt (FISTA)": lambda: fista(completion, n * n, "TraceBall", 10.0, (n, n))}),
        Case(f"completion {rows} x {rows // 2}", larger, "spectral", 1 / radius, wide.shape, {
            "cvxpy": lambda: cvx.completion(wide, noisy, radius),
            "copt (FISTA)": lambda: fista(larger, wide.size, "TraceBall", radius, wide.shape)}),
    ]  # fmt: skip


def completes(mask: Any, target: Any) -> Any:
    """Half the sum of squares over the entries that are known."""

    def fun(X: Any) -> tuple[float, Any]:
        rest = np.where(mask, X - target, 0.0)
        return float(np.sum(rest * rest)) / 2, rest

    return fun


class Cvxpy:
    """The problems in the words of cvxpy, solved by the solver that it chooses, with that one's defaults."""

    def __init__(self, A: Any, b: Any, labels: Any) -> None:
        self.A, self.b, self.labels = A, b, labels

    def vector(self, loss: str, constraints: Any, penalty: Any = lambda _cp, _z: 0.0) -> Any:
        import cvxpy as cp

        A, b, labels = self.A, self.b, self.labels
        z = cp.Variable(A.shape[1])
        f = {
            "logistic": lambda: cp.sum(cp.logistic(-cp.multiply(labels, A @ z))) / len(b),
            "squared": lambda: cp.sum_squares(A @ z - b) / (2 * len(b)),
            "hinge": lambda: cp.sum(cp.pos(1 - cp.multiply(labels, A @ z))) / len(b),
            "huber": lambda: cp.sum(cp.huber(A @ z - b, 1)) / (2 * len(b)),
        }[loss]()
        cp.Problem(cp.Minimize(f + penalty(cp, z)), constraints(cp, z)).solve()
        return z.value

    def completion(self, mask: Any, target: Any, radius: float) -> Any:
        import cvxpy as cp

        Z = cp.Variable(target.shape)
        f = cp.sum_squares(cp.multiply(mask.astype(float), Z - target)) / 2
        cp.Problem(cp.Minimize(f), [cp.normNuc(Z) <= radius]).solve()
        return Z.value


def fista(fun: Any, size: int, constraint: str, radius: float, shape: Any = None) -> Any:
    """copt's accelerated proximal gradient with its line search, and its own tolerance."""
    import copt

    within = getattr(copt.constraint, constraint)(radius, *([shape] if shape else []))

    def flat(x: Any) -> tuple[Any, Any]:
        f, g = fun(x.reshape(shape) if shape else x)
        return f, g.reshape(-1)

    return copt.minimize_proximal_gradient(flat, np.zeros(size), within.prox, jac=True, accelerated=True).x


def linear_program(A: Any, b: Any, level: float) -> Any:
    """The quantile regression of this level (twice that of 1/2 are absolute deviations) on the box, by HiGHS."""
    rows, n = A.shape
    cost = np.concatenate([np.zeros(n), np.full(rows, level), np.full(rows, 1 - level)])
    bounds = [(-1.0, 1.0)] * n + [(0.0, None)] * (2 * rows)
    sides = np.hstack([A, np.eye(rows), -np.eye(rows)])
    return optimize.linprog(cost, A_eq=sides, b_eq=b, bounds=bounds).x[:n]


def sklearn_logistic(A: Any, labels: Any, lam: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1 / (lam * len(labels)), fit_intercept=False).fit(A, labels).coef_[0]


def support_vectors(A: Any, labels: Any, lam: float) -> Any:
    from sklearn.svm import LinearSVC

    C = 1 / (lam * len(labels))
    machine = LinearSVC(loss="hinge", C=C, fit_intercept=False, random_state=0, max_iter=100_000)
    return machine.fit(A, labels).coef_[0]


def elastic_net(A: Any, b: Any, threshold: float, lam: float) -> Any:
    """``|A w - b|^2/(2 n) + threshold |w|_1 + lam/2 |w|^2``"""
    from sklearn.linear_model import ElasticNet

    total = threshold + lam
    return ElasticNet(alpha=total, l1_ratio=threshold / total, fit_intercept=False).fit(A, b).coef_
