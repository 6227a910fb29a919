"""What the direction of a matrix is: of which readout, made in which way, of what scale, with what singular values.

Each is a hypothesis of one thing that is otherwise than in the reference. The one that leaves least is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from ...functions import K as build
from ..specification.cases import EPS, function_of, host
from ..specification.dialects import FACTORS
from ..specification.port import Capabilities
from .reference import Runs, follow
from .singular import EXACT, Seen, rank_of, ratios_of, ridge_of, values_of, vectors_of

RIGHT = "the right one"
POLAR = "of averages of the polar factors of the gradients"
ITSELF = "the readout itself, and not its polar factor"
_LESS = 0.75  # of what the right one leaves: others must do better than its own error


def _in_turn(r: Any, K: Any) -> Any:
    xp = host().namespace()
    order = xp.concat([xp.arange(len(r))[0::2], xp.arange(len(r))[1::2]])
    return K.subgradient(r[order])[xp.argsort(order)]


def _parts(k: int, axis: int) -> Callable[[Any, Any], Any]:
    """Those of k blocks, or of the whole where the axis has no such parts."""

    def of(r: Any, _: Any) -> Any:
        xp = host().namespace()
        parts = xp.split(r, 1 if r.shape[axis] % k else k, axis=axis)
        return xp.concat([build("nuclear").subgradient(part) for part in parts], axis=axis)

    return of


def _not_turned(r: Any, K: Any) -> Any:
    return K.subgradient(r) if len(r) <= len(r.T) else host().namespace().reshape(K.subgradient(r).T, r.shape)


def _untransposed(r: Any, K: Any) -> Any:
    xp = host().namespace()
    left, values, right = xp.linalg.svd(r, full_matrices=False)
    kept = left * (values > 1e-9 * values.max())
    return kept @ right.T if len(r) >= len(r.T) else K.subgradient(r)


def _triangular(r: Any, _: Any) -> Any:
    if not _full(r):
        raise ValueError("of a readout of less rank it is not unique")
    xp, tall = host().namespace(), len(r) >= len(r.T)
    q, t = xp.linalg.qr(r if tall else r.T)
    q = q * xp.where(xp.diag(t) < 0, -1.0, 1.0)
    return q if tall else q.T


#: Directions of a matrix: the one that is asked for, and others.
WAYS: dict[str, Callable[[Any, Any], Any]] = {
    RIGHT: lambda r, K: K.subgradient(r),
    "that of the whole matrix": lambda r, _: build("nuclear").subgradient(r),
    "that of the transposed matrix": lambda r, K: K.subgradient(r.T).T,
    "that of blocks whose rows take turns": _in_turn,
    "that of blocks of columns": _parts(2, 1),
    **{
        f"that of each {name} of the {lines} by itself, where their number is a multiple of {k}": _parts(k, axis)
        for k, name in ((2, "half"), (3, "third"), (4, "quarter"))
        for axis, lines in enumerate(("rows", "columns"))
        if (k, axis) != (2, 1)
    },
    ITSELF: lambda r, _: r,
    "that of a tall matrix, turned back by a reshape and not by a transpose": _not_turned,
    "the readout divided by its largest singular value": lambda r, _: r / (float(values_of(r).max()) or 1.0),
    "the readout divided by its length": lambda r, _: r / (float((r * r).sum() ** 0.5) or 1.0),
    "U V of the decomposition U S V^T, not U V^T": _untransposed,
    "Q of the decomposition Q R": _triangular,
}
#: The readout and the next momentum, of betas, momentum and minus the gradient; the first is the right one.
READOUTS: dict[str, Callable[[float, float, Any, Any], tuple[Any, Any]]] = {
    RIGHT: lambda b1, b2, m, c: (b1 * m + (1 - b1) * c, b2 * m + (1 - b2) * c),
    "of the momentum after the step (no Nesterov)": lambda _, b, m, c: (b * m + (1 - b) * c,) * 2,
    "of the momentum from before the step": lambda _, b, m, c: (m, b * m + (1 - b) * c),
    "of the gradient alone": lambda _, __, m, c: (c, m),
    "of the readout with the momentum from after the step": lambda b1, b, m, c: (
        b1 * (b * m + (1 - b) * c) + (1 - b1) * c,
        b * m + (1 - b) * c,
    ),
    "of a readout whose momentum is a sum of gradients, and no average": lambda _, b, m, c: (
        b * (b * m + c) + (1 - b) * c,
        b * m + c,
    ),
    "of g + b m, as for a sum of gradients, whose momentum is an average": lambda _, b, m, c: (
        c + b * (b * m + (1 - b) * c),
        b * m + (1 - b) * c,
    ),
    "of a readout that leans towards the new momentum twice (Nesterov twice)": lambda _, b, m, c: (
        (1 - b) ** 2 * c + (1 - (1 - b) ** 2) * (b * m + (1 - b) * c),
        b * m + (1 - b) * c,
    ),
    "of a readout b g + (1 - b) m, with the new m, which is turned round": lambda _, b, m, c: (
        (1 - b) * (b * m + (1 - b) * c) + b * c,
        b * m + (1 - b) * c,
    ),
    "of a readout with b1 and b2 exchanged": lambda b1, b2, m, c: (b2 * m + (1 - b2) * c, b1 * m + (1 - b1) * c),
    POLAR: lambda b1, b2, m, c: READOUTS[RIGHT](b1, b2, m, build("nuclear").subgradient(c)),
}


def direction_of(wrong: Runs, every: Runs, claims: Capabilities) -> str:
    """Which of ``WAYS``, or of ``READOUTS``, times a number for each shape, all directions are, within what is
    declared; else what their singular values are. "" if K is not of matrices, or neither describes these runs.
    """
    if not wrong or any(len(c.shape) != 2 or c.long for c, _ in wrong):
        return ""
    if not claims.accuracy and function_of(claims.K, wrong[0][0].shape).traits.structure != "matrix":
        return ""
    least = min(EPS[c.dtype] for c, _ in wrong)  # of fewer bits rounding hides more than an error of 1e-4
    wrong = [(c, t) for c, t in wrong if EPS[c.dtype] == least]
    every = [(c, t) for c, t in every if EPS[c.dtype] == least]
    finite = [(c, t) for c, t in every if len(c.shape) == 2 and not (c.long or c.id.startswith("S6."))]
    failing = {c.id for c, _ in wrong}
    right = {(c.shape, c.layout) for c, _ in finite if c.id not in failing}
    apart = right.isdisjoint((c.shape, c.layout) for c, _ in wrong)  # a mistake at some sizes only explains no others
    for runs in (finite, wrong if apart else []):
        if found := _explained(runs, claims):
            return found
    seen = list(_seen(wrong, RIGHT))
    if not claims.accuracy and (found := _explained(finite, claims, _full)):
        return f"{found}, where the readout has full rank"
    if claims.accuracy:
        return ratios_of(seen, claims)
    return rank_of(seen) or ridge_of(seen) or vectors_of(seen, claims)


def _seen(runs: Runs, rule: str) -> Iterator[tuple[tuple[int, ...], Any, Any]]:
    """The directions of these runs, and the readouts by a rule of ``READOUTS``."""
    for case, trace in runs:
        m: Any = 0.0
        for p, after in follow(case, trace.xs):
            r, m = READOUTS[rule](*case.betas, m, -p.grad)
            if p.lr:
                yield case.shape, p.readout if rule == RIGHT else r, (after - p.x) / p.lr + p.lam * p.x


def _full(r: Any) -> bool:
    return getattr(r, "ndim", 0) == 2 and bool((s := values_of(r)).min() > 1e-6 * s.max())


def _explained(runs: Runs, claims: Capabilities, asked: Callable[[Any], bool] = lambda _: True) -> str:
    """The hypothesis that explains all of these directions, and leaves the least; "" if none does."""
    best, words = math.inf, ""
    tried = [*((w, RIGHT) for w in WAYS), *((RIGHT, r) for r in READOUTS if r != RIGHT), (ITSELF, POLAR)]
    for way, rule in tried:
        found, left = _factors([row for row in _seen(runs, rule) if asked(row[1])], claims, WAYS[way])
        if not found or left > best:
            continue
        best, words = (_LESS if way == rule == RIGHT else 1 - 1e-6) * left, ""  # of equal ones the first
        far = any(abs(f - 1) > claims.accuracy + EXACT for f in found.values())
        scale = _scale(found, claims) if way == RIGHT and len(found) > 1 else ""
        numbers = ", ".join(f"{f:.3g} at {s}" for s, f in found.items())
        shown = f" times a number for each shape, {numbers}{scale}" if far or scale else ""
        if rule != RIGHT:
            words = f"the direction is {'that' if way == RIGHT else f'{way},'} {rule}{shown}"
        elif way != RIGHT or shown:
            words = f"the direction is {way}{shown}"
    return words


def _factors(
    seen: Seen, claims: Capabilities, way: Callable[[Any, Any], Any]
) -> tuple[dict[tuple[int, ...], float], float]:
    """The number for each shape, and the share that they leave; ({}, inf) if some direction is no such multiple."""
    xp, found, left = host().namespace(), {}, 0.0
    error = claims.accuracy or EXACT
    for shape in dict.fromkeys(s for s, *_ in seen):
        K = function_of(claims.K, shape)
        try:
            u = xp.stack([way(r, K) for s, r, _ in seen if s == shape])
        except (TypeError, ValueError, xp.linalg.LinAlgError):  # K takes no such matrix
            return {}, math.inf
        v = xp.stack([v for s, _, v in seen if s == shape])
        size = float((u * u).sum())
        factor = float((u * v).sum()) / size if size else math.nan
        rest = float(((v - factor * u) ** 2).sum())
        if not rest <= (error * factor) ** 2 * size:
            return {}, math.inf
        found[shape] = factor
        left += rest / (factor**2 * size)
    return found, left


def _scale(found: dict[tuple[int, ...], float], claims: Capabilities) -> str:
    """The formula of the scale, if the numbers for the shapes and the right ones are scales of a polar factor."""
    xp, right, K = host().namespace(), {}, claims.K
    exact = {**K, "polar": "svd"} if isinstance(K, dict) and "polar" in K else K
    for shape in found:
        line = xp.zeros(shape)
        line[0] = 1.0  # of one block, if there are several
        right[shape] = float(values_of(function_of(exact, shape).subgradient(line)).max())
    seen = named({s: f * right[s] for s, f in found.items()}, claims.accuracy)
    due = named(right, 0.0) or ", ".join(f"{v:.3g} at {s}" for s, v in right.items())
    return f": its scale is {seen}, where {due} is right" if seen and seen != due else ""


def named(scales: dict[tuple[int, ...], float], accuracy: float) -> str:
    """The formula that fits these scales best, up to one factor within the accuracy; "" if none does."""
    best, found = accuracy / 2 + 1e-9, ""
    for name, factor in FACTORS.items():
        logs = [math.log(v / factor.of(s)) if v > 0 else math.inf for s, v in scales.items()]
        mean = sum(logs) / len(logs)
        spread = max(abs(v - mean) for v in logs)
        if spread < best - 1e-12 and abs(mean) <= -math.log(1 - accuracy) + 1e-9:
            best, found = spread, name
    return found
