"""The loss of a linear model with the intercept taken at its best, so that no constraint is put on it.

``f(w) = min_b loss(A w + b)`` is convex where the loss is. Where the loss is smooth, the gradient of f is that of the
loss at the best b (Danskin, 1967), which is found by Newton's method from the b of the last call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lionk.solver.losses import loss_of

Array = Any
STEPS = 100  # of Newton's method with halving; a handful suffice


class _Scores:
    """The identity as a design matrix: the loss of a linear model becomes that of its scores."""

    __array_ufunc__ = None  # so that NumPy leaves the product of an array with it to __rmatmul__

    def __init__(self, rows: int) -> None:
        self.shape = (rows, rows)
        self.T = self

    def __matmul__(self, other: Array) -> Array:
        return other

    def __rmatmul__(self, other: Array) -> Array:
        return other


class Profile:
    """``fun(w) -> (f, gradient)`` for ``lionk.minimize``; ``b`` is the intercept that belongs to the last w.

    w has the shape (p,), or (classes, p) for softmax. ``design`` may be a sparse matrix of SciPy.
    """

    def __init__(self, loss: str, design: Any, targets: Array, intercept: bool, shape: tuple[int, ...]) -> None:
        self.loss, self.design, self.targets, self.intercept = loss, design, targets, intercept
        self.shape = shape
        self._of_scores: Callable[[Array], tuple[Array, Array]] = loss_of(loss)(np, _Scores(targets.shape[0]), targets)
        self.b: Array = np.zeros(shape[0]) if loss == "softmax" else 0.0

    def __call__(self, w: Array) -> tuple[Array, Array]:
        matrix = np.reshape(w, self.shape)
        if self.loss == "softmax":
            z = (self.design @ matrix.T).T  # classes x rows, as softmax has its parameter
            f, d = self._settle_softmax(z)
            return f, np.reshape((self.design.T @ d.T).T, w.shape)
        z = self.design @ matrix.reshape(-1)
        f, d = self._settle(z)
        return f, np.reshape(self.design.T @ d, w.shape)

    def _settle(self, z: Array) -> tuple[Array, Array]:
        """The loss and its derivatives by the scores at the best b, for one score a row."""
        if not self.intercept:
            return self._of_scores(z)

        def at(b: float) -> tuple[Array, Array, float]:
            f, d = self._of_scores(z + b)
            return f, d, float(d.sum())

        f, d, slope = at(self.b)
        low, high, width = -np.inf, np.inf, 1.0
        last_b, last_slope = self.b, slope
        for _ in range(STEPS):
            if abs(slope) <= 1e-15 * float(np.abs(d).sum()) or not np.isfinite(slope):
                break
            low, high = (self.b, high) if slope < 0 else (low, self.b)
            change = self.b - last_b
            rise = (slope - last_slope) / change if change else 0.0
            step = -slope / rise if rise > 0 else -np.sign(slope) * width
            width *= 2
            b = self.b + step
            if not low < b < high:
                b = (low + high) / 2 if np.isfinite(low) and np.isfinite(high) else self.b - np.sign(slope) * width
            if b == self.b or b in (low, high):
                break
            last_b, last_slope, self.b = self.b, slope, b
            f, d, slope = at(b)
        return f, d

    def _settle_softmax(self, z: Array) -> tuple[Array, Array]:
        """The same for a score for each class: Newton's method, halved until the loss falls."""

        def of(b: Array) -> tuple[Array, Array]:
            return self._of_scores(z + b[:, None])

        f, d = of(self.b)
        if not self.intercept:
            return f, d
        n, classes = z.shape[1], z.shape[0]
        for _ in range(STEPS):
            slope = d.sum(axis=1)
            if float(np.abs(slope).max()) <= 1e-14:
                break
            e = np.exp(z + self.b[:, None] - (z + self.b[:, None]).max(axis=0))
            p = e / e.sum(axis=0)
            hessian = (np.diag(p.sum(axis=1)) - p @ p.T) / n + np.full((classes, classes), 1.0 / classes)
            step = -np.linalg.solve(hessian + 1e-14 * np.eye(classes), slope)
            size = 1.0
            while of(self.b + size * step)[0] > f and size > 1e-10:
                size /= 2
            if size <= 1e-10:
                break
            self.b = self.b + size * step
            f, d = of(self.b)
        self.b = self.b - self.b.mean()  # adding a number to all of them changes nothing
        return f, d
