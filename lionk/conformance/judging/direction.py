"""What a direction is, of the right readout, where it is not dK of it: the subgradient of a K with other numbers, of
another K, of each row by itself, with other ties, or divided by a length to which an epsilon is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ...functions import ConvexFunction
from ...functions import K as build
from ..specification.cases import host
from ..specification.port import Capabilities
from .reference import Runs, Step, steps_of

Way = Callable[[ConvexFunction, Any, Any], Any]  # of K, minus the readout, and minus the gradient
_NUMBERS = (1.0, 2.0, 0.5, 4.0, 0.25, 3.0, 1 / 3, 10.0, 0.1)
_OTHERS = (
    "l1",
    "l2",
    "linf",
    "max",
    "huber",
    "power",
    "log_sum_exp",
    "smooth_linf",
    "sparsemax",
    "row_l1_l2",
    "col_l1_l2",
)
_FITS = 1e-7


def other_of(runs: Runs, claims: Capabilities) -> str:
    """The first of these ways that explains every direction of these runs; "" if none does."""
    if claims.accuracy or claims.cautious:
        return ""
    seen = [(s, s.seen + s.decay) for s in steps_of([r for r in runs if r[0].layout == "C"], claims)]
    wrong = [(s, v) for s, v in seen if not _near(v, s.u)]
    if not wrong:
        return _digits(seen) if seen else ""
    if epsilon := _epsilon(wrong):
        return epsilon
    seen.sort(key=lambda row: _near(row[1], row[0].u))  # wrong ones first
    for says, way in WAYS.items():
        try:
            if all(_near(v, way(s.K, -s.r, -s.g)) for s, v in seen):
                return f"the direction is {says}"
        except (ValueError, TypeError, ArithmeticError):  # a K that takes no such array
            continue
    return _digits(seen)


def _near(a: Any, b: Any) -> bool:
    xp = host().namespace()
    return bool((xp.abs(a - b) <= _FITS * (1 + xp.max(xp.abs(b)))).all())


def _scaled(a: float, c: float) -> Way:
    return lambda K, r, _: a * K.subgradient(c * r)


def _named(name: str) -> Way:
    return lambda _, r, __: build(name).subgradient(r)


def _leading(k: int, of: Callable[[Any], Any] = abs) -> Way:
    return lambda _, r, __: _first(r, k, of(r))


def _rows(K: ConvexFunction, r: Any, _: Any) -> Any:
    flat = r.reshape(-1, r.shape[-1]) if r.ndim > 1 else r.reshape(1, -1)
    return host().namespace().stack([K.subgradient(row) for row in flat]).reshape(r.shape)


def _largest(_: ConvexFunction, r: Any, __: Any) -> Any:
    xp = host().namespace()
    return xp.where(abs(r) == xp.max(abs(r)), xp.sign(r), 0 * r)


def _chosen(K: ConvexFunction, r: Any, g: Any) -> Any:
    xp = host().namespace()
    return xp.where(K.subgradient(g) != 0, xp.sign(r), 0 * r)


def _cut(r: Any, unit: Any) -> Any:
    return host().namespace().clip(r / (float(unit) or 1.0), -1.0, 1.0)


def _first(r: Any, k: int, values: Any) -> Any:
    xp, flat = host().namespace(), r.reshape(-1)
    order = xp.argsort(-values.reshape(-1), stable=True)
    return xp.reshape(xp.where(xp.argsort(order) < k, xp.sign(flat), 0 * flat), r.shape)


WAYS: dict[str, Way] = {
    **{f"{a:.3g} dK({c:.3g} r)": _scaled(a, c) for a in _NUMBERS for c in _NUMBERS if (a, c) != (1.0, 1.0)},
    "dK of the gradient, and not of the readout": lambda K, _, g: K.subgradient(g),
    "the sign of the readout in the entries that dK of the gradient, and not that of the readout, chooses": _chosen,
    "the readout divided by the mean of its sizes, cut to [-1, 1]": lambda _, r, __: _cut(r, abs(r).mean()),
    "the readout divided by its root mean square, cut to [-1, 1]": lambda _, r, __: _cut(r, (r * r).mean() ** 0.5),
    "that of each row alone, and not of the whole array": _rows,
    "the sign of every largest entry, where they should share 1 among them": _largest,
    **{f"the signs of the {k} largest entries, of equal ones the first": _leading(k) for k in range(1, 6)},
    **{
        f"the signs of the {k} {which} readouts by value, and not of the largest by size": _leading(k, of)
        for k in range(1, 6)
        for which, of in (("largest", lambda r: -r), ("least", lambda r: r))
    },
    **{f"that of K = {name}": _named(name) for name in _OTHERS},
}


def _digits(seen: Sequence[tuple[Step, Any]]) -> str:
    """To how many digits every direction is right, if those are of a dtype of fewer bits."""
    if seen[0][0].K.by_entry:  # whose directions have few values
        return ""
    off = max(float(abs(v - s.u).max()) / (float(abs(s.u).max()) or 1.0) for s, v in seen)
    dtype = "float32" if off < 1e-4 else "16 bits"
    return (
        f"the direction is right to {off:.1g} of its size, as where it is computed in {dtype}"
        if 1e-10 < off < 0.05
        else ""
    )


def _epsilon(wrong: Sequence[tuple[Step, Any]]) -> str:
    """The number that is added to the length of the readout, if the direction is the right one times n/(n + it)."""
    found = []
    for s, v in wrong:
        size, length = float((s.u * s.u).sum()), float((s.r * s.r).sum()) ** 0.5
        a = float((s.u * v).sum()) / size if size else math.nan
        if not (-_FITS < a < 1 and _near(v, a * s.u)):
            return ""
        if a > 1e-5:  # of less the rounding of x leaves little
            found.append(length * (1 / a - 1))
    middle = sorted(found)[len(found) // 2] if found else 0.0
    if len(found) < 2 or any(abs(f / middle - 1) > 0.05 for f in found):
        return ""
    return f"the direction is the right one times n/(n + {middle:.2g}), n the length of the readout: an epsilon"
