"""The step of Lion-K. Every backend runs this function; there is no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..arrays.namespace import Array


def update(
    subgradient: Callable[[Array], Array],
    x: Array,
    m: Array,
    grad: Array,
    lr: Any,
    weight_decay: Any,
    beta1: float,
    beta2: float,
    implicit: bool,
) -> tuple[Array, Array]:
    """One step for one array: ``(x, m)`` to the next ``(x, m)``, where m averages MINUS the gradients.

    Chen, Liu, Liang, Liu 2023, arXiv 2310.05898, section 2; operations in this order define the reference result.
    """
    readout = beta1 * m - (1 - beta1) * grad
    u = subgradient(readout)
    x = (x + lr * u) / (1 + lr * weight_decay) if implicit else x + lr * (u - weight_decay * x)
    m = beta2 * m - (1 - beta2) * grad
    return x, m
