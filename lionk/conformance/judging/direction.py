"""What a direction is, of the right readout, where it is not dK of it: the subgradient of a K with other numbers, of
another K, of each row by itself, with other ties, or divided by a length to which an epsilon is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...functions import ConvexFunction
from ...functions import K as build
from ..specification.cases import function_of, host
from ..specification.port import Capabilities
from .operations import SIZES, Fitted, Operation, Table, where
from .reference import Runs, Step, steps_of

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
_MOST = 16  # up to which a whole number among the parameters of K is looked for


def _named(name: str) -> Operation:
    return lambda _, s: -function_of(name, s.x.shape).subgradient(-s.r)


def _leading(k: int, of: Callable[[Any], Any] = abs) -> Operation:
    return lambda _, s: _first(s.r, k, of(-s.r))


def _rows(_: Any, s: Any) -> Any:
    flat = s.r.reshape(-1, s.r.shape[-1]) if s.r.ndim > 1 else s.r.reshape(1, -1)
    return -host().namespace().stack([s.K.subgradient(-row) for row in flat]).reshape(s.r.shape)


def _sign(s: Any) -> Any:
    return host().namespace().sign(s.r)


def _cut(r: Any, unit: Any) -> Any:
    return host().namespace().clip(r / (float(unit) or 1.0), -1.0, 1.0)


def _first(r: Any, k: int, values: Any) -> Any:
    xp, flat = host().namespace(), r.reshape(-1)
    order = xp.argsort(-values.reshape(-1), stable=True)
    return xp.reshape(xp.where(xp.argsort(order) < k, xp.sign(flat), 0 * flat), r.shape)


def _shared(r: Any) -> Any:
    top = abs(r) == abs(r).max()
    return where(top, host().namespace().sign(r[top][0]) / top.sum())


#: What may stand in place of dK of the readout.
DIRECTIONS: Table = {
    "is dK of the gradient, and not of the readout": lambda _, s: -s.K.subgradient(-s.g),
    "is the sign of the readout in the entries that dK of the gradient, and not that of the readout, chooses": (
        lambda _, s: where(s.K.subgradient(-s.g) != 0, _sign(s))
    ),
    "is the readout divided by the mean of its sizes, cut to [-1, 1]": lambda _, s: _cut(s.r, abs(s.r).mean()),
    "is the readout divided by its root mean square, cut to [-1, 1]": lambda _, s: _cut(s.r, (s.r**2).mean() ** 0.5),
    "is that of each row alone, and not of the whole array": _rows,
    "is the sign of every largest entry, where they should share 1 among them": (
        lambda _, s: where(abs(s.r) == abs(s.r).max(), _sign(s))
    ),
    "is shared among the largest entries, all with the sign of the first of them": lambda _, s: _shared(s.r),
    **{f"is the signs of the {k} largest entries, of equal ones the first": _leading(k) for k in range(1, 6)},
    **{
        f"is the signs of the {k} {which} readouts by value, and not of the largest by size": _leading(k, of)
        for k in range(1, 6)
        for which, of in (("largest", lambda r: -r), ("least", lambda r: r))
    },
    **{f"is that of K = {name}": _named(name) for name in _OTHERS},
}


def parameters_of(K: ConvexFunction) -> Iterator[tuple[str, Operation | Fitted]]:
    """Of each number that K was made with: the subgradient with another one."""
    try:
        spec = K.spec
    except (TypeError, ValueError, AttributeError):  # a user's own
        return
    for name, value in spec.items() if isinstance(spec, dict) else ():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            among = tuple(map(float, range(1, _MOST))) if isinstance(value, int) else SIZES
            yield f"is that of K with {name} = {{}}", Fitted(_with(spec, name, type(value)), among)


def _with(spec: dict[str, Any], name: str, kind: type) -> Callable[..., Any]:
    def one(v: Any, s: Any, number: Any) -> Any:
        try:
            return -build({**spec, name: kind(number)}).subgradient(-s.r)
        except ValueError:  # K has no such number
            return v + math.inf

    def done(v: Any, s: Any, numbers: Any) -> Any:
        if isinstance(numbers, float):
            return one(v, s, numbers)
        return host().namespace().stack([one(v, s, float(n)) for n in numbers.reshape(-1)])

    return done


def _near(a: Any, b: Any) -> bool:
    xp = host().namespace()
    return bool((xp.abs(a - b) <= _FITS * (1 + xp.max(xp.abs(b)))).all())


def length_of(runs: Runs, claims: Capabilities) -> tuple[str, str]:
    """The epsilon that is added to the length of the readout, and to how many digits the directions are right; "" where
    it is neither.
    """
    if claims.accuracy or claims.cautious:
        return "", ""
    seen = [(s, s.seen + s.decay) for s in steps_of([r for r in runs if r[0].layout == "C"], claims)]
    wrong = [(s, v) for s, v in seen if not _near(v, s.u)]
    return _epsilon(wrong) if wrong else "", _digits(seen) if seen else ""


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
