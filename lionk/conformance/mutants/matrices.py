"""Mistakes with matrices, rows and ties: wrong for another K than l1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..specification.cases import host
from .registry import mutant
from .step import Slot


def _muon(shape: tuple[int, ...]) -> dict[str, Any]:
    rows, cols = shape if len(shape) == 2 else (1, 1)
    return {"name": "scale", "K": "nuclear", "a": max(1, rows / cols) ** 0.5}


@mutant("the scale sqrt(rows/cols) without the maximum with 1", "S5.shape", K=_muon)
def scale_without_maximum(s: Slot, x: Any, m: Any, g: Any) -> Any:
    rows, cols = x.shape
    return s.formula(x, m, g, dK=lambda r: s.dK(r) * min(1, rows / cols) ** 0.5)


@mutant("the scale sqrt(max(1, rows/cols)) left out", "S1.readout", K=_muon)
def scale_forgotten(s: Slot, x: Any, m: Any, g: Any) -> Any:
    rows, cols = x.shape
    return s.formula(x, m, g, dK=lambda r: s.dK(r) / max(1, rows / cols) ** 0.5)


@mutant("the scale sqrt(min(1, rows/cols)), for sqrt(max(1, rows/cols))", "S1.readout", "S5.shape", K=_muon)
def scale_with_minimum(s: Slot, x: Any, m: Any, g: Any) -> Any:
    rows, cols = x.shape
    return s.formula(x, m, g, dK=lambda r: s.dK(r) * (min(1, rows / cols) / max(1, rows / cols)) ** 0.5)


@mutant("the scale of the transposed matrix, sqrt(cols/rows)", "S1.readout", K=_muon)
def scale_transposed(s: Slot, x: Any, m: Any, g: Any) -> Any:
    rows, cols = x.shape
    return s.formula(x, m, g, dK=lambda r: s.dK(r) * (max(1, cols / rows) / max(1, rows / cols)) ** 0.5)


@mutant("the scale of match_rms_adamw, 0.2 sqrt(max(rows, cols))", "S1.readout", K="nuclear")
def scale_of_adamw(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r) * 0.2 * max(r.shape) ** 0.5)


@mutant("a stack of matrices taken as one, with all their rows", "S5.shape", K="nuclear")
def stack_as_rows(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r.reshape(-1, r.shape[-1])).reshape(r.shape))


@mutant("the quintic of Newton-Schulz where the exact polar factor is claimed", "S1.readout", K="nuclear")
def newton_schulz(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=_quintic)


def _frobenius(r: Any) -> float:
    return float((r * r).sum() ** 0.5)


def _quintic(r: Any, times: int = 5, norm: Callable[[Any], float] = _frobenius) -> Any:
    size = norm(r)
    y = r / size if size else r
    for _ in range(times):
        a = y @ y.T
        y = 3.4445 * y + (-4.7750 * a + 2.0315 * (a @ a)) @ y
    return y


_ROUGH: dict[str, Any] = {"K": "nuclear", "betas": "nesterov", "accuracy": 0.35}


@mutant("two iterations of Newton-Schulz, not five", "S1.readout", **_ROUGH)
def two_iterations(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: _quintic(r, 2))


@mutant("Newton-Schulz of a matrix that is not divided by its norm", "S2.scale", **_ROUGH)
def not_normalised(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: _quintic(r, norm=lambda _: 1.0))


@mutant("an epsilon of 1e-3 beside the norm before Newton-Schulz", "S2.scale", **_ROUGH)
def epsilon_beside_norm(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: _quintic(r, norm=lambda r: _frobenius(r) + 1e-3))


@mutant("Newton-Schulz of a matrix divided by its largest sum of a row, which bounds nothing", "S1.readout", **_ROUGH)
def row_sum_as_norm(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: _quintic(r, norm=lambda r: float(abs(r).sum(axis=1).max())))


@mutant(
    "Newton-Schulz of a matrix divided by its largest sum of a column, which bounds nothing", "S1.readout", **_ROUGH
)
def column_sum_as_norm(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: _quintic(r, norm=lambda r: float(abs(r).sum(axis=0).max())))


@mutant(
    "the direction of the transposed matrix of a square one (Newton-Schulz that is not turned back)",
    "S5.shape",
    **_ROUGH,
)
def not_turned_back(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: _quintic(r).T if r.shape == r.T.shape else _quintic(r))


@mutant("the whole matrix divided by its Frobenius norm", "S1.readout", K="nuclear")
def frobenius_instead(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: r / max(float((r * r).sum() ** 0.5), 1e-300))


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
