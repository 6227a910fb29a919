"""Mistakes with matrices that their singular values show: scales, and iterations that stand in for the polar factor."""

from __future__ import annotations

from typing import Any

from lionk.conformance.mutants.matrices import frobenius, quintic
from lionk.conformance.mutants.step import Slot

from .registry import mutant

_ROUGH: dict[str, Any] = {"K": "nuclear", "betas": "nesterov", "accuracy": 0.35}


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


@mutant("two iterations of Newton-Schulz, not five", "S1.readout", **_ROUGH)
def two_iterations(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: quintic(r, 2))


@mutant("Newton-Schulz of a matrix that is not divided by its norm", "S2.scale", **_ROUGH)
def not_normalised(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: quintic(r, norm=lambda _: 1.0))


@mutant("an epsilon of 1e-3 beside the norm before Newton-Schulz", "S2.scale", **_ROUGH)
def epsilon_beside_norm(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: quintic(r, norm=lambda r: frobenius(r) + 1e-3))


@mutant("Newton-Schulz of a matrix divided by its largest sum of a row, which bounds nothing", "S1.readout", **_ROUGH)
def row_sum_as_norm(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: quintic(r, norm=lambda r: float(abs(r).sum(axis=1).max())))


@mutant(
    "Newton-Schulz of a matrix divided by its largest sum of a column, which bounds nothing", "S1.readout", **_ROUGH
)
def column_sum_as_norm(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: quintic(r, norm=lambda r: float(abs(r).sum(axis=0).max())))


@mutant("the whole matrix divided by its Frobenius norm", "S1.readout", K="nuclear")
def frobenius_instead(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: r / max(float((r * r).sum() ** 0.5), 1e-300))
