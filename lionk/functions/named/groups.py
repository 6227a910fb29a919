"""Functions of the norms of groups, rows or columns: how each is built, and what the tables say of it."""

from __future__ import annotations

from typing import Any

from ...arrays.later import Later
from ..base import ConvexFunction
from ..registry.entries import Builder, registered
from . import scalar as s
from . import vector as v

group_lift = Later("lionk.functions.calculus.group", "group_lift")
radial_lift = Later("lionk.functions.calculus.radial", "radial_lift")


def along(k: Builder, norm: str = "l2") -> Builder:
    def build(axis: int | None = -1, groups: Any = None) -> ConvexFunction:
        return group_lift(k(), norm, axis, groups=groups)

    return build


def group_l1_l2(axis: int | None = -1, groups: Any = None, weights: Any = None) -> ConvexFunction:
    return group_lift(s.weighted_l1(weights), "l2", axis, groups=groups)


def wide_along(k: Builder) -> Builder:
    def build(delta: float = 1.0, axis: int | None = -1, groups: Any = None) -> ConvexFunction:
        return group_lift(k(delta), "l2", axis, groups=groups)

    return build


def half_group_squared(axis: int | None = -1, groups: Any = None) -> ConvexFunction:
    return radial_lift(s.half_square(), group_l1_l2(axis, groups))


def slices(norm: str, axis: int) -> Builder:
    return lambda: group_lift(s.l1(), norm, axis, 2)


registered("vector", [
    ("group_l1_l2", group_l1_l2, "sum_g w_g |x_g|_2", "w_g x_g/|x_g|_2", "0 if |y_g|_2 <= w_g",
     "|x_g|_2 <= w_g/lam", "Yuan and Lin 2006"),
    ("group_linf_l2", along(v.linf), "max_g |x_g|_2", "x_g/|x_g|_2 on the largest group",
     "0 if sum_g |y_g|_2 <= 1", "sum_g |x_g|_2 <= 1/lam", "derived here"),
    ("group_huber", wide_along(s.huber), "sum_g huber(|x_g|_2)", "x_g/max(delta, |x_g|_2)",
     "delta/2 |y|^2 if |y_g|_2 <= 1", "|x_g|_2 <= 1/lam, adds delta lam/2 |x|^2", "derived here"),
    ("group_pseudo_huber", wide_along(s.pseudo_huber), "sum_g sqrt(|x_g|^2 + delta^2) - delta",
     "x_g/sqrt(|x_g|^2 + delta^2)", "delta sum_g 1 - sqrt(1 - |y_g|^2)", "|x_g|_2 <= 1/lam, smooth inside",
     "derived here"),
    ("group_log_cosh", wide_along(s.log_cosh), "delta sum_g log cosh(|x_g|/delta)",
     "tanh(|x_g|/delta) x_g/|x_g|", "delta sum_g of the entropy of |y_g|", "|x_g|_2 <= 1/lam, with an entropy",
     "derived here"),
    ("half_group_squared", half_group_squared,
     "1/2 (sum_g |x_g|_2)^2", "(sum_g |x_g|_2) x_g/|x_g|_2", "1/2 max_g |y_g|_2^2", "adds lam/2 max_g |x_g|_2^2",
     "derived here"),
])  # fmt: skip
registered("matrix", [
    ("row_l1_l2", slices("l2", -1), "sum of row norms", "rows divided by their norms",
     "0 if every row norm <= 1", "row norms <= 1/lam", "2603.20527 (RMNP)"),
    ("col_l1_l2", slices("l2", -2), "sum of column norms", "columns divided by their norms",
     "0 if every column norm <= 1", "column norms <= 1/lam", "2502.07529 (Scion)"),
    ("row_l1_linf", slices("linf", -1), "sum of row maxima of |X_ij|", "sign at each row's largest",
     "0 if every row has |.|_1 <= 1", "row sums of |X_ij| <= 1/lam", "2502.07529 (Scion)"),
    ("col_l1_linf", slices("linf", -2), "sum of column maxima of |X_ij|", "sign at each column's largest",
     "0 if every column has |.|_1 <= 1", "column sums of |X_ij| <= 1/lam", "2502.07529 (Scion)"),
])  # fmt: skip
