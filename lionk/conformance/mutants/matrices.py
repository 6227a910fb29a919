"""Mistakes with matrices, rows and ties: wrong for another K than l1."""

from __future__ import annotations

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


@mutant("the quintic of Newton-Schulz where the exact polar factor is claimed", "S1.readout", K="nuclear")
def newton_schulz(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=_quintic)


def _quintic(r: Any, times: int = 5, normalised: bool = True) -> Any:
    size = float((r * r).sum() ** 0.5) if normalised else 1.0
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
    return s.formula(x, m, g, dK=lambda r: _quintic(r, normalised=False))


@mutant("the whole matrix divided by its Frobenius norm", "S1.readout", K="nuclear")
def frobenius_instead(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: r / max(float((r * r).sum() ** 0.5), 1e-300))


@mutant("groups along the wrong axis (columns for rows)", "S1.readout", K="row_l1_l2")
def transposed_groups(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r.T).T)


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
