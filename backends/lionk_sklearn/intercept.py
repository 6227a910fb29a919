"""The loss of a linear model with the intercept taken at its best, so that no constraint is put on it.

``f(w) = min_b loss(A w + b)`` is convex where the loss is. Where the loss is smooth, the gradient of f is that of the
loss at the best b (Danskin, 1967), which is found by Newton's method from the b of the last call.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lionk.solver.losses import rows_of

Array = Any
STEPS = 100  # of Newton's method with halving; a handful suffice


class Profile:
    """``fun(w) -> (f, gradient)`` for ``lionk.minimize``; ``b`` is the intercept that belongs to the last w.

    w has the shape (p,), or (classes, p) for softmax. ``design`` may be a sparse matrix of SciPy. f is the mean of the
    rows' losses, with ``weights`` (n, >= 0) if they are given.
    """

    def __init__(
        self, loss: str, design: Any, targets: Array, intercept: bool, shape: tuple[int, ...], weights: Any = None
    ) -> None:
        self.design, self.intercept, self.shape = design, intercept, shape
        self.rows, self.by_class = rows_of(loss)(np, targets), loss == "softmax"
        self.weights = np.ones(targets.shape[0]) if weights is None else weights
        self.total = float(self.weights.sum())
        self.b: Array = np.zeros(shape[0]) if self.by_class else 0.0

    def __call__(self, w: Array) -> tuple[Array, Array]:
        matrix = np.reshape(w, self.shape)
        if self.by_class:
            f, d = self._settle_softmax(self.design @ matrix.T)
        else:
            f, d = self._settle(self.design @ matrix.reshape(-1))
        return f, np.reshape((self.design.T @ d).T, w.shape)

    def _of_scores(self, z: Array) -> tuple[Array, Array]:
        """The mean loss and its derivatives by the scores."""
        values, slopes = self.rows(z)
        return (self.weights * values).sum() / self.total, ((self.weights * slopes.T) / self.total).T

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
        """The same for a score for each class: Newton's method, halved until the loss falls, to rounding.

        Near the best b the loss is flat, and its rounding hides the last half of the digits of b; the slopes show them.
        """

        def of(b: Array) -> tuple[Array, Array]:
            return self._of_scores(z + b)

        f, d = of(self.b)
        if not self.intercept:
            return f, d
        classes = z.shape[1]
        for _ in range(STEPS):
            slope = d.sum(axis=0)
            steepest = float(np.abs(slope).max())
            if steepest <= 1e-15:
                break
            e = np.exp(z + self.b - (z + self.b).max(axis=1, keepdims=True))
            p = e / e.sum(axis=1, keepdims=True)
            mass = (self.weights * p.T) / self.total
            hessian = np.diag(mass.sum(axis=1)) - mass @ p + np.full((classes, classes), 1.0 / classes)
            step = -np.linalg.solve(hessian + 1e-14 * np.eye(classes), slope)
            size, room = 1.0, 1e-13 * abs(f)
            new_f, new_d = of(self.b + step)
            while new_f > f + room and size > 1e-10:
                size /= 2
                new_f, new_d = of(self.b + size * step)
            if new_f > f + room or (new_f >= f and np.abs(new_d.sum(axis=0)).max() >= steepest):
                break
            self.b = self.b + size * step
            f, d = new_f, new_d
        self.b = self.b - self.b.mean()  # adding a number to all of them changes nothing
        return f, d
