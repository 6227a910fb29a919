"""Phase I: how fast the distance of ``lam x`` to the constraint set dom K* must shrink."""

from __future__ import annotations

import math


def phase_one_factor(lr: float, weight_decay: float, decay: str = "explicit") -> float:
    """By what factor, at least, one step shrinks ``dist(lam x, dom K*)``: ``1 - lr lam``, or ``1/(1 + lr lam)``.

    For any norm and any gradients; attained. 2310.05898, Theorem B.9; the constants are derived here.
    """
    if decay not in ("explicit", "implicit"):
        raise ValueError(f'decay must be "explicit" or "implicit", got {decay!r}')
    shrunk = lr * weight_decay
    if not (lr >= 0 and weight_decay >= 0 and shrunk <= (1 if decay == "explicit" else math.inf)):
        raise ValueError(
            "lr and weight_decay must be >= 0, and an explicit step needs lr * weight_decay <= 1, "
            f"got {lr!r} and {weight_decay!r}"
        )
    return 1 - shrunk if decay == "explicit" else 1 / (1 + shrunk)


def phase_one_steps(distance: float, tol: float, lr: float, weight_decay: float, decay: str = "explicit") -> int:
    """Steps of constant lr after which the distance is at most tol: ``log(distance/tol)/-log(factor)``, rounded up."""
    if not tol > 0:
        raise ValueError(f"tol must be > 0, got {tol!r}: in exact arithmetic the distance need never be 0")
    if not distance < math.inf:
        raise ValueError(f"distance must be finite, got {distance!r}")
    if distance <= tol:
        return 0
    factor = phase_one_factor(lr, weight_decay, decay)
    if not factor < 1:
        raise ValueError("the distance shrinks only with lr > 0 and weight_decay > 0")
    return 1 if factor == 0 else math.ceil(math.log(distance / tol) / -math.log(factor))
