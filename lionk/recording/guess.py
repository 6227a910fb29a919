"""A sum of scaled entries, made in the pass that finds their scale, as if that were 1, and corrected by a factor.

``sum |r/s|^p = (sum |r|^p) (1/s)^p``, and ``sum exp(r - s)^p = (sum exp(r)^p) exp(-s)^p``, for p >= 1. The scale is
there lest something overflows or is lost. A sum that is neither large nor small has lost nothing; any other one is
made again, with its scale, in a pass of its own. Large entries are cut: they make the sum large, and overflow nothing.
Derived here.
"""

from __future__ import annotations

import math
from typing import Any

RANGE = 80  # between 2^-80 and 2^80 a sum has lost less than it is rounded by
EDGE = 90  # an entry that is cut makes a sum of 2^90 at least, and 2^37 of them make a finite one


def guess(space: Any, terms: Any) -> Any:
    """The sum of these terms, symbols of the record ``space``, or NaN where it is not sure; None for other terms."""
    x, powers = terms, list[float]()
    while power := _power(space, x):
        powers.append(power)
        x = _arguments(space, x)[0]
    p, found = math.prod(powers), _scaled(space, x)
    if p < 1 or found is None:
        return None
    ratio, r, s = found
    edge = 2.0 ** (EDGE / p)
    entry = space.clip(abs(r), None, edge) if ratio else space.exp(space.clip(r, None, math.log(edge)))
    total = space.reduce("sum", _raised(entry, powers))
    if space.nodes[total.place].level > space.nodes[terms.place].level:
        return None  # it would need a pass of its own, too
    sure = (total > 2.0**-RANGE) & (total < 2.0**RANGE)
    scale = space.where(sure, s, 1.0)
    factor = _raised(1.0 / scale if ratio else space.exp(-scale), powers)
    return space.where(sure, space.where(sure, total, 1.0) * factor, math.nan)


def _raised(x: Any, powers: list[float]) -> Any:
    for power in reversed(powers):
        x = x**power
    return x


def _arguments(space: Any, x: Any) -> list[Any]:
    n = space.nodes[x.place]
    return [] if n.op in ("input", "constant") else [space.at(a) for a in n.args]


def _power(space: Any, x: Any) -> float | None:
    """The p of ``x = y^p``."""
    n, args = space.nodes[x.place], _arguments(space, x)
    if n.op == "multiply" and args[0].place == args[1].place:
        return 2.0
    exponent = space.nodes[args[1].place] if n.op == "pow" else None
    return float(exponent.args[0]) if exponent and exponent.op == "constant" else None


def _scaled(space: Any, x: Any) -> tuple[bool, Any, Any] | None:
    """(True, r, s) for ``x = |r/s|``, (False, r, s) for ``x = exp(r - s)``, of an array r and a number s; else None."""
    for outer, inner in (("abs", "divide"), ("exp", "subtract")):
        args = _arguments(space, x)
        if space.nodes[x.place].op == outer and space.nodes[args[0].place].op == inner:
            r, s = _arguments(space, args[0])
            return (outer == "abs", r, s) if r.ndim and not s.ndim else None
    return None
