"""Losses of linear models, with their gradients by hand on the Array API, so that every backend runs them.

Each takes the namespace ``xp``, the design matrix ``A`` (n x p) and the targets, and gives ``fun(w) -> (f, gradient)``.
All are convex in w.
"""

from __future__ import annotations

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


LOSSES: dict[str, Callable[[Any, Array, Array], Fun]] = {"logistic": logistic, "softmax": softmax, "squared": squared}
