"""Scion's norms under their names (Pethick et al. 2025, 2502.07529): the K that makes the Lion-K step their update."""

from __future__ import annotations

from typing import Any

from ...arrays.later import Later
from ...arrays.shape_factor import ShapeFactor
from ..base import ConvexFunction
from ..registry.parameters import positive
from . import groups as g
from . import matrix as m
from . import scalar as s
from . import vector as v
from .algorithms import algorithm, nuclear

kernel_lift = Later("lionk.functions.calculus.parts", "kernel_lift")

_SCION = "2502.07529 (Scion)"


def _factor(scale: float, **exponents: Any) -> ShapeFactor:
    return ShapeFactor(positive("scale", scale), **exponents)


@algorithm(
    "matrix",
    _SCION,
    formula="scale s sum s_i(X), s = sqrt(rows/cols), or sqrt(rows) if not normalized; max(1, s) if max",
    subgradient="scale s U V'",
    conjugate="0 if s_1(Y) <= scale s",
    constraint="s_1(X) <= scale s/lam",
)
def scion_spectral(
    scale: float = 1.0,
    normalized: bool = True,
    max: bool = False,  # noqa: A002
    polar: Any = "svd",
) -> ConvexFunction:
    """Scion's Spectral: K = scale s nuclear, s = sqrt(rows/cols) (Pethick et al. 2025, 2502.07529).

    ``normalized=False``: s = sqrt(rows). ``max``: max(1, s). ``polar``: see ``lionk.functions.spectral_lift``.
    """
    return nuclear(_factor(scale, rows=0.5, cols=-0.5 if normalized else 0.0, at_least=1.0 if max else 0.0), polar)


@algorithm(
    "kernel",
    _SCION,
    formula="scale s sum s_i(M), M = x as (out, in k...), s = sqrt(out/in)/k^d",
    subgradient="scale s U V' of M",
    conjugate="0 if s_1 of y's matrix <= scale s",
    constraint="s_1(M) <= scale s/lam",
)
def scion_spectral_conv(scale: float = 1.0, polar: Any = "svd") -> ConvexFunction:
    """Scion's Spectral for kernels (out, in, k) or (out, in, k, k): K = scale sqrt(out/in)/k^d nuclear (2502.07529).

    The kernel is reshaped to the matrix (out, in k^d).
    """
    return kernel_lift(m.spectral_lift(s.l1(), polar)).scale(_factor(scale, rows=0.5, cols=-0.5, window=-1.0))


@algorithm(
    "matrix",
    _SCION,
    formula="scale sum |X_ij| / cols, or scale sum |X_ij| if not normalized",
    subgradient="scale sign(X) / cols",
    conjugate="0 if |Y_ij| <= scale/cols",
    constraint="|X_ij| <= scale/(cols lam)",
)
def scion_sign(scale: float = 1.0, normalized: bool = True) -> ConvexFunction:
    """Scion's Sign: K = scale l1 / cols, or scale l1 if not ``normalized`` (Pethick et al. 2025, 2502.07529)."""
    return s.l1().scale(_factor(scale, cols=-1.0) if normalized else positive("scale", scale))


@algorithm(
    "matrix",
    _SCION,
    formula="scale/sqrt(cols) times the sum of row norms; without the root if not normalized",
    subgradient="scale/sqrt(cols) times rows divided by their norms",
    conjugate="0 if every row norm <= scale/sqrt(cols)",
    constraint="row norms <= scale/(sqrt(cols) lam)",
)
def scion_row(scale: float = 1.0, normalized: bool = True, transpose: bool = False) -> ConvexFunction:
    """Scion's RowNorm: K = scale row_l1_l2 / sqrt(cols) (Pethick et al. 2025, 2502.07529).

    ``normalized=False``: without the root. ``transpose``: the same of X', for weights stored as (inputs, outputs).
    """
    rows = g.slices("l2", -2 if transpose else -1)()
    if not normalized:
        return rows.scale(positive("scale", scale))
    return rows.scale(_factor(scale, **{"rows" if transpose else "cols": -0.5}))


@algorithm(
    "matrix",
    _SCION,
    formula="scale sqrt(rows) times the sum of column norms; divided by cols if normalized",
    subgradient="scale times columns divided by their RMS",
    conjugate="0 if every column has RMS <= scale",
    constraint="RMS of columns <= scale/lam",
)
def scion_col(scale: float = 1.0, normalized: bool = False, transpose: bool = False) -> ConvexFunction:
    """Scion's ColNorm: K = scale sqrt(rows) col_l1_l2, divided by cols if ``normalized`` (2502.07529).

    ``transpose``: the same of X', for weights stored as (inputs, outputs).
    """
    rows, cols = ("cols", "rows") if transpose else ("rows", "cols")
    columns = g.slices("l2", -1 if transpose else -2)()
    return columns.scale(_factor(scale, **{rows: 0.5, cols: -1.0 if normalized else 0.0}))


@algorithm(
    "vector",
    _SCION,
    formula="scale sqrt(n) |x|_2",
    subgradient="scale x/RMS(x)",
    conjugate="0 if RMS(y) <= scale",
    constraint="RMS(x) <= scale/lam",
)
def scion_bias(scale: float = 1.0) -> ConvexFunction:
    """Scion's BiasRMS: K = scale sqrt(n) l2, an update of root mean square ``scale`` (2502.07529)."""
    return v.l2().scale(_factor(scale, size=0.5))
