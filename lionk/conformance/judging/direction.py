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


def _power(p: float) -> Way:
    return lambda _, r, __: host().namespace().sign(r) * abs(r) ** p


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
    "the readout divided by the sum of the sizes of its entries": lambda _, r, __: r / (float(abs(r).sum()) or 1.0),
    "the readout divided by its largest entry": lambda _, r, __: r / (float(abs(r).max()) or 1.0),
    "the readout divided by its root mean square": lambda _, r, __: r / (float((r * r).mean()) ** 0.5 or 1.0),
    "the sign of every largest entry, where they should share 1 among them": _largest,
    **{f"the signs of the {k} largest entries, of equal ones the first": _leading(k) for k in range(1, 6)},
    **{
        f"the signs of the {k} {which} readouts by value, and not of the largest by size": _leading(k, of)
        for k in range(1, 6)
        for which, of in (("largest", lambda r: -r), ("least", lambda r: r))
    },
    **{f"that of K = {name}": _named(name) for name in _OTHERS},
    **{f"sign(r) |r|^{p:g}": _power(p) for p in (0.25, 0.5, 1.5, 2.0, 3.0, 4.0)},
}


def whole_of(runs: Runs, claims: Capabilities) -> str:
    """Which of ``WHOLE`` every step of these runs is; "" if none is, or none of another x' than the right one."""
    if claims.accuracy or claims.cautious:
        return ""
    seen = list(steps_of(runs, claims))
    right = [s.x + s.point.lr * (s.u - s.decay) for s in seen]
    odd = any(not _at(s, to) for s, to in zip(seen, right, strict=True))
    found = (n for n, of in WHOLE.items() if all(_at(s, of(s, to)) for s, to in zip(seen, right, strict=True)))
    return next(found, "") if odd else ""


def _at(s: Step, to: Any) -> bool:
    return bool((abs(s.after - to) <= _FITS * (s.point.lr + abs(to)))[s.known].all())


def _length(a: Any) -> float:
    return float((a * a).sum()) ** 0.5


def _long(a: Any, length: float) -> Any:
    """a, made so long."""
    return a * (length / (_length(a) or 1.0)) if length else a


def _stepping(change: Callable[[Step, Any], Any]) -> Callable[[Step, Any], Any]:
    """x' of a step ``u - lam x`` that is changed."""
    return lambda s, _: s.x + s.point.lr * change(s, s.u - s.decay)


def _by_row(a: Any) -> Any:
    return a / (a * a).sum(axis=-1, keepdims=True) ** 0.5 if a.ndim else a


#: What x' may be, of the step and the right x'.
WHOLE: dict[str, Callable[[Step, Any], Any]] = {
    "the step u - wd x is cut to [-1, 1]": _stepping(lambda _, v: host().namespace().clip(v, -1.0, 1.0)),
    "of the step u - wd x the sign is taken": _stepping(lambda _, v: host().namespace().sign(v)),
    "the step u - wd x is divided by its length": _stepping(lambda _, v: _long(v, 1.0)),
    "the step u - wd x is divided by its root mean square": _stepping(lambda _, v: _long(v, v.size**0.5)),
    "the step u - wd x is divided by its root mean square where that is above 1": _stepping(
        lambda _, v: v / max(1.0, _length(v) / v.size**0.5)
    ),
    "the step u - wd x is made as long as x (a trust ratio, as of LARS or LAMB)": _stepping(
        lambda s, v: _long(v, _length(s.x))
    ),
    "the direction, without the decay, is made as long as x (LARS), which is the root mean square of x for a sign": (
        _stepping(lambda s, v: v + _long(s.u, _length(s.x)) - s.u)
    ),
    "the direction is multiplied by the length of x": _stepping(lambda s, v: v + (_length(s.x) - 1) * s.u),
    "the direction is multiplied by |x|, entry by entry": _stepping(lambda s, v: v + (abs(s.x) - 1) * s.u),
    "the direction is multiplied by 1 - wd": _stepping(lambda s, v: v - s.case.weight_decay * s.u),
    "the direction is multiplied by 1 + wd, and x does not decay": _stepping(
        lambda s, _: (1 + s.case.weight_decay) * s.u
    ),
    "after the step x is made as long as it was before": lambda s, to: _long(to, _length(s.x)),
    "after the step x is made of length 1": lambda _, to: _long(to, 1.0),
    "after the step each row of x is made of length 1": lambda _, to: _by_row(to),
    "after the step the mean of x is taken off": lambda _, to: to - to.mean(),
    "after the step x is divided by sqrt(1 + lr^2)": lambda s, to: to / (1 + s.point.lr**2) ** 0.5,
    "after the step what is below 0 in x is set to 0": lambda _, to: host().namespace().where(to < 0, 0.0, to),
    "after the step x is cut to the constraint, [-1/wd, 1/wd]": lambda s, to: (
        host().namespace().clip(to, -1 / s.point.lam, 1 / s.point.lam) if s.point.lam else to
    ),
    "where the step would change the sign of x, x is set to 0": lambda s, to: (
        host().namespace().where(to * s.x < 0, 0.0, to)
    ),
    "where the step would change the sign of x, x stays": lambda s, to: host().namespace().where(to * s.x < 0, s.x, to),
    "the new x is the mean of the right one and the old one": lambda s, to: (s.x + to) / 2,
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
