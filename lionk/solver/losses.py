"""Losses of linear models, with their derivatives by hand on the Array API, so that every backend runs them.

Each takes the namespace ``xp`` and the targets, and gives a function of the scores z, which returns the loss of every
row and its derivative by the score. All are convex in z. ``loss_of`` makes the mean loss of a linear model from one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

Array = Any
Rows = Callable[[Array], tuple[Array, Array]]
Fun = Callable[[Array], tuple[Array, Array]]


def logistic(xp: Any, s: Array) -> Rows:
    """``log(1 + exp(-s z))`` for labels s = +-1."""

    def rows(z: Array) -> tuple[Array, Array]:
        z = s * z
        zero = xp.zeros_like(z)
        return xp.logaddexp(zero, -z), -s * xp.exp(-xp.logaddexp(zero, z))  # sigmoid(-z), safe from overflow

    return rows


def softmax(xp: Any, Y: Array) -> Rows:
    """``log sum_c exp(z_c) - z_(class)``; z has a column for each class, and Y (n x classes) marks the class."""

    def rows(z: Array) -> tuple[Array, Array]:
        z = z - xp.max(z, axis=1, keepdims=True)
        e = xp.exp(z)
        total = xp.sum(e, axis=1, keepdims=True)
        return xp.log(total[:, 0]) - xp.sum(Y * z, axis=1), e / total - Y

    return rows


def squared(xp: Any, y: Array) -> Rows:  # noqa: ARG001 - all share a signature
    """``(z - y)^2 / 2``."""

    def rows(z: Array) -> tuple[Array, Array]:
        r = z - y
        return r * r / 2, r

    return rows


def absolute(xp: Any, y: Array) -> Rows:
    """``|z - y|``: least absolute deviations, which a few wild targets do not move."""

    def rows(z: Array) -> tuple[Array, Array]:
        r = z - y
        return xp.abs(r), xp.sign(r)

    return rows


def quantile(xp: Any, y: Array, level: float = 0.9) -> Rows:
    """``max(level r, (level - 1) r)``, ``r = y - z``: a quantile (Koenker, Bassett 1978)."""

    def rows(z: Array) -> tuple[Array, Array]:
        r = y - z
        slope = xp.where(r > 0, level * xp.ones_like(r), (level - 1) * xp.ones_like(r))
        return slope * r, -slope

    return rows


def huber(xp: Any, y: Array, width: float = 1.35) -> Rows:
    """``h(z - y)``, ``h(r) = r^2/2`` up to the width, ``width (|r| - width/2)`` beyond (Huber 1964)."""

    def rows(z: Array) -> tuple[Array, Array]:
        r = z - y
        slope = xp.clip(r, -width, width)
        return slope * (r - slope / 2), slope

    return rows


def hinge(xp: Any, s: Array) -> Rows:
    """``max(0, 1 - s z)`` for labels s = +-1: a support vector machine (Cortes, Vapnik 1995)."""

    def rows(z: Array) -> tuple[Array, Array]:
        short, zero = 1 - s * z, xp.zeros_like(z)
        return xp.where(short > 0, short, zero), xp.where(short > 0, -s, zero)

    return rows


def poisson(xp: Any, y: Array) -> Rows:
    """``exp(z) - y z - y + y log y``: half the deviance of counts y >= 0."""
    least = xp.where(y > 0, y * xp.log(xp.where(y > 0, y, xp.ones_like(y))), xp.zeros_like(y)) - y

    def rows(z: Array) -> tuple[Array, Array]:
        rate = xp.exp(z)
        return rate - y * z + least, rate - y

    return rows


LOSSES: dict[str, Callable[..., Rows]] = {
    "logistic": logistic,
    "softmax": softmax,
    "squared": squared,
    "absolute": absolute,
    "quantile": quantile,
    "huber": huber,
    "hinge": hinge,
    "poisson": poisson,
}
PARAMETERS = {"quantile": ("level", 0.0, 1.0), "huber": ("width", 0.0, math.inf)}  # one each, between these ends
LABELS = ("logistic", "hinge")  # two classes, coded -1 and +1
NUMBERS = ("squared", "absolute", "quantile", "huber", "poisson")  # of which counts are not scaled


def rows_of(text: str) -> Callable[..., Rows]:
    """The loss of a name, or of ``name:number``: ``quantile:0.1``, ``huber:0.5``.

    Raises ValueError for another name, or a number that the loss does not take.

    >>> from lionk.solver.losses import rows_of
    >>> import numpy as np
    >>> f, slope = rows_of("quantile:0.25")(np, np.asarray([0.0, 4.0]))(np.asarray([1.0, 1.0]))
    >>> f.tolist(), slope.tolist()
    ([0.75, 0.75], [0.75, -0.25])
    """
    name, colon, number = text.partition(":")
    if name not in LOSSES:
        raise ValueError(f"loss {text!r}: choose one of {', '.join(LOSSES)}")
    if not colon:
        return LOSSES[name]
    if name not in PARAMETERS:
        raise ValueError(f"loss {text!r}: {name} takes no number")
    parameter, low, high = PARAMETERS[name]
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not low < value < high:
        raise ValueError(f"loss {text!r}: the {parameter} must be a number between {low:g} and {high:g}")
    return functools.partial(LOSSES[name], **{parameter: value})


def loss_of(text: str) -> Callable[[Any, Array, Array], Fun]:
    """The mean loss of a linear model: a function of ``xp``, the design matrix A (n x p) and the targets.

    It returns ``fun(w) -> (f, gradient)``, where w has the shape (p,), or (classes, p) for softmax. Text and errors are
    as in ``rows_of``.

    >>> from lionk.solver.losses import loss_of
    >>> import numpy as np
    >>> f, g = loss_of("quantile:0.25")(np, np.ones((2, 1)), np.asarray([0.0, 4.0]))(np.asarray([1.0]))
    >>> float(f), g.tolist()
    (0.75, [0.25])
    """
    return functools.partial(_mean, rows_of(text))


def _mean(loss: Callable[..., Rows], xp: Any, A: Array, targets: Array) -> Fun:
    n, rows = A.shape[0], loss(xp, targets)

    def fun(w: Array) -> tuple[Array, Array]:
        if len(w.shape) == 2:
            values, slopes = rows(A @ w.T)
            return xp.sum(values) / n, slopes.T @ A / n
        values, slopes = rows(A @ w)
        return xp.sum(values) / n, A.T @ slopes / n

    return fun
