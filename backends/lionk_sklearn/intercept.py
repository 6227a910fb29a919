"""The loss of a linear model with the intercept taken at its best, so that no constraint is put on it.

``f(w) = min_b loss(A w + b)`` is convex where the loss is. Where the loss is smooth, the gradient of f is that of the
loss at the best b (Danskin, 1967), which is found by Newton's method from the b of the last call.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.sparse import issparse

from lionk.solver.losses import rows_of

Array = Any
RESIDUALS = ("squared", "absolute", "quantile", "huber")  # of z - y
STEPS = 100  # of Newton's method with halving; a handful suffice


class Profile:
    """``fun(w) -> (f, gradient)`` for ``lionk.minimize``; ``b`` is the intercept that belongs to the last w.

    w has the shape (p,), or (classes, p) for softmax. ``design`` may be a sparse matrix of SciPy. f is the mean of the
    rows' losses, with ``weights`` (n, >= 0) if they are given. With an intercept, features and numbers to fit are taken
    from their means, and so is b: of long numbers, such as dates, too few digits would be left of its slope.
    """

    def __init__(
        self, loss: str, design: Any, targets: Array, intercept: bool, shape: tuple[int, ...], weights: Any = None
    ) -> None:
        self.intercept, self.shape, self.by_class = intercept, shape, loss == "softmax"
        self.weights = np.ones(targets.shape[0]) if weights is None else weights
        self.total = float(self.weights.sum())
        self.means, self.level = np.zeros(shape[-1]), 0.0
        if intercept:
            self.means = np.asarray(self.weights @ design).reshape(-1) / self.total
            self.level = float(self.weights @ targets) / self.total if loss.partition(":")[0] in RESIDUALS else 0.0
        self.apart = issparse(design)  # its zeros stay, and the means are taken off what is made of it
        self.design = design if self.apart else design - self.means
        self.rows = rows_of(loss)(np, targets - self.level)
        self.b: Array = np.zeros(shape[0]) if self.by_class else 0.0

    def __call__(self, w: Array) -> tuple[Array, Array]:
        f, d = self.slopes(w)
        return f, self.gradient(d, w)

    def free(self, w: Array) -> Array:
        """The intercept at w for the features as they were given."""
        return self.b + self.level - self._matrix(w) @ self.means

    def rounding(self, f: Array, d: Array, w: Array, s: Array) -> float:
        """How far rounding in f and its gradient g can put wrong a bound of F - min F at w, s minimising ``<g, s>``; f
        and d are the ``slopes`` at w.

        ``(16 + log2 n) eps`` of |f|, and of the terms of g's entries times those of w and s. Derived here.
        """
        unit = (16 + math.log2(max(self.weights.size, 2))) * float(np.finfo(float).eps)
        terms = abs(self.design).T @ abs(d) + self.apart * np.multiply.outer(abs(self.means), abs(d).sum(axis=0))
        return unit * (2 * abs(f) + 2 * float(np.max(terms, initial=0.0)) * float(abs(w).sum() + abs(s).sum()))

    def _matrix(self, w: Array) -> Array:
        return np.reshape(w, self.shape) if self.by_class else np.reshape(w, -1)

    def slopes(self, w: Array) -> tuple[Array, Array]:
        """f, and its derivatives by the scores."""
        matrix = self._matrix(w).T
        scores = self.design @ matrix - (self.means @ matrix if self.apart else 0.0)
        return (self._settle_softmax if self.by_class else self._settle)(scores)

    def gradient(self, d: Array, w: Array) -> Array:
        """The derivatives by the weights w, from those by the scores."""
        found = self.design.T @ d
        if self.apart:
            found = found - np.multiply.outer(self.means, d.sum(axis=0))
        return np.reshape(found.T, w.shape)

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
