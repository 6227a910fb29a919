"""Losses of linear models, with their gradients by hand on the Array API, so that every backend runs them.

Each takes the namespace ``xp``, the design matrix ``A`` (n x p) and the targets, and gives ``fun(w) -> (f, gradient)``.
All are convex in w.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

Array = Any
Fun = Callable[[Array], tuple[Array, Array]]


def logistic(xp: Any, A: Array, s: Array) -> Fun:
    """``mean log(1 + exp(-s_i <a_i, w>))`` for labels s = +-1."""
    n = A.shape[0]

    def fun(w: Array) -> tuple[Array, Array]:
        z = s * (A @ w)
        zero = xp.zeros_like(z)
        f = xp.sum(xp.logaddexp(zero, -z)) / n
        weight = xp.exp(-xp.logaddexp(zero, z))  # sigmoid(-z), safe from overflow
        return f, -(A.T @ (s * weight)) / n

    return fun


def softmax(xp: Any, A: Array, Y: Array) -> Fun:
    """``mean log sum_c exp(<a_i, W_c>) - <a_i, W_(class of i)>``; Y (n x classes) marks the class, W has its row."""
    n = A.shape[0]

    def fun(W: Array) -> tuple[Array, Array]:
        Z = A @ W.T
        Z = Z - xp.max(Z, axis=1, keepdims=True)
        E = xp.exp(Z)
        total = xp.sum(E, axis=1, keepdims=True)
        f = (xp.sum(xp.log(total)) - xp.sum(Y * Z)) / n
        return f, (E / total - Y).T @ A / n

    return fun


def squared(xp: Any, A: Array, y: Array) -> Fun:
    """``sum (<a_i, w> - y_i)^2 / (2 n)``."""
    n = A.shape[0]

    def fun(w: Array) -> tuple[Array, Array]:
        r = A @ w - y
        return xp.sum(r * r) / (2 * n), A.T @ r / n

    return fun


def absolute(xp: Any, A: Array, y: Array) -> Fun:
    """``mean |<a_i, w> - y_i|``: least absolute deviations, which a few wild targets do not move."""
    n = A.shape[0]

    def fun(w: Array) -> tuple[Array, Array]:
        r = A @ w - y
        return xp.sum(xp.abs(r)) / n, A.T @ xp.sign(r) / n

    return fun


def quantile(xp: Any, A: Array, y: Array, level: float = 0.9) -> Fun:
    """``mean max(level r_i, (level - 1) r_i)``, ``r_i = y_i - <a_i, w>``: a quantile (Koenker, Bassett 1978)."""
    n = A.shape[0]

    def fun(w: Array) -> tuple[Array, Array]:
        r = y - A @ w
        slope = xp.where(r > 0, level * xp.ones_like(r), (level - 1) * xp.ones_like(r))
        return xp.sum(slope * r) / n, -(A.T @ slope) / n

    return fun


def huber(xp: Any, A: Array, y: Array, width: float = 1.35) -> Fun:
    """``mean h(<a_i, w> - y_i)``, ``h(r) = r^2/2`` up to the width, ``width (|r| - width/2)`` beyond (Huber 1964)."""
    n = A.shape[0]

    def fun(w: Array) -> tuple[Array, Array]:
        r = A @ w - y
        slope = xp.clip(r, -width, width)
        return xp.sum(slope * (r - slope / 2)) / n, A.T @ slope / n

    return fun


def hinge(xp: Any, A: Array, s: Array) -> Fun:
    """``mean max(0, 1 - s_i <a_i, w>)`` for labels s = +-1: a support vector machine (Cortes, Vapnik 1995)."""
    n = A.shape[0]

    def fun(w: Array) -> tuple[Array, Array]:
        short = 1 - s * (A @ w)
        active = xp.where(short > 0, s, xp.zeros_like(s))
        return xp.sum(xp.where(short > 0, short, xp.zeros_like(short))) / n, -(A.T @ active) / n

    return fun


def poisson(xp: Any, A: Array, y: Array) -> Fun:
    """``mean exp(z_i) - y_i z_i - y_i + y_i log y_i``, ``z_i = <a_i, w>``: half the deviance of counts y >= 0."""
    n = A.shape[0]
    least = xp.sum(xp.where(y > 0, y * xp.log(xp.where(y > 0, y, xp.ones_like(y))), xp.zeros_like(y)) - y)

    def fun(w: Array) -> tuple[Array, Array]:
        z = A @ w
        rate = xp.exp(z)
        return (xp.sum(rate - y * z) + least) / n, A.T @ (rate - y) / n

    return fun


LOSSES: dict[str, Callable[..., Fun]] = {
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


def loss_of(text: str) -> Callable[..., Fun]:
    """The loss of a name, or of ``name:number``: ``quantile:0.1``, ``huber:0.5``.

    Raises ValueError for another name, or a number that the loss does not take.

    >>> from lionk.solver.losses import loss_of
    >>> import numpy as np
    >>> f, g = loss_of("quantile:0.25")(np, np.ones((2, 1)), np.asarray([0.0, 4.0]))(np.asarray([1.0]))
    >>> float(f), g.tolist()
    (0.75, [0.25])
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
