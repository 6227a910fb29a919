"""Mistakes with matrices, rows and ties: wrong for another K than l1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..specification.cases import host
from .registry import mutant
from .step import Slot


@mutant("the scale of match_rms_adamw, 0.2 sqrt(max(rows, cols))", "S1.readout", K="nuclear")
def scale_of_adamw(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r) * 0.2 * max(r.shape) ** 0.5)


@mutant("a stack of matrices taken as one, with all their rows", "S5.shape", K="nuclear")
def stack_as_rows(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r.reshape(-1, r.shape[-1])).reshape(r.shape))


@mutant("the quintic of Newton-Schulz where the exact polar factor is claimed", "S1.readout", K="nuclear")
def newton_schulz(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=quintic)


def frobenius(r: Any) -> float:
    return float((r * r).sum() ** 0.5)


def quintic(r: Any, times: int = 5, norm: Callable[[Any], float] = frobenius) -> Any:
    size = norm(r)
    y = r / size if size else r
    for _ in range(times):
        a = y @ y.T
        y = 3.4445 * y + (-4.7750 * a + 2.0315 * (a @ a)) @ y
    return y


@mutant("groups along the wrong axis (columns for rows)", "S1.readout", K="row_l1_l2")
def transposed_groups(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r.T).T)


@mutant("magnitudes within 1e-5 of the largest taken for ties with it", "S2.fine", K="linf")
def near_ties_shared(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()

    def tied(r: Any) -> Any:
        top = xp.max(xp.abs(r)) if r.size else 0.0
        return s.dK(xp.where(xp.abs(r) >= (1 - 1e-5) * top, top * xp.sign(r), r))

    return s.formula(x, m, g, dK=tied)


@mutant("only the largest entry moved, and of equal ones the first", "S2.selection", K="linf")
def first_of_ties(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()

    def one(r: Any) -> Any:
        u = xp.zeros_like(r)
        if r.size and xp.any(r):
            at = int(xp.argmax(xp.abs(xp.reshape(r, (-1,)))))
            u.reshape(-1)[at] = xp.sign(r.reshape(-1)[at])
        return u

    return s.formula(x, m, g, dK=one)


@mutant(
    "the direction of the transposed matrix of a square one (Newton-Schulz that is not turned back)",
    "S5.shape",
    K="nuclear",
    betas="nesterov",
    accuracy=0.35,
)
def not_turned_back(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: quintic(r).T if r.shape == r.T.shape else quintic(r))
