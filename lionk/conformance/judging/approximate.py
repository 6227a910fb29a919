"""What the direction of an approximation, as Newton-Schulz, is: which one, of what size, with what singular values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ...functions import K as build
from ..specification.cases import Case, function_of, host
from ..specification.port import Capabilities
from .reference import follow
from .trace import Trace


def _in_turn(r: Any, K: Any) -> Any:
    xp = host().namespace()
    order = xp.concat([xp.arange(len(r))[0::2], xp.arange(len(r))[1::2]])
    return K.subgradient(r[order])[xp.argsort(order)]


#: Directions of a matrix: the one that is asked for, and others.
WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "the right one": lambda r, K: K.subgradient(r),
    "that of the whole matrix": lambda r, _: build("nuclear").subgradient(r),
    "that of the transposed matrix": lambda r, K: K.subgradient(r.T).T,
    "that of blocks whose rows take turns": _in_turn,
}


def direction_of(runs: Sequence[tuple[Case, Trace]], claims: Capabilities) -> str:
    """Which of ``WAYS``, times a number for each shape, all directions are, within what is declared; else how many
    times too large their singular values are; "" if the port claims no accuracy, or neither describes these runs.
    """
    if not claims.accuracy or any(len(c.shape) != 2 for c, _ in runs):
        return ""
    seen = [
        (c.shape, p.readout, (a - p.x) / p.lr + p.lam * p.x)
        for c, t in runs
        for p, a in follow(c, t.xs)
        if p.lr and p.readout.any()
    ]
    for says, way in WAYS.items():
        found = _factors(seen, claims, way)
        if found and (says != "the right one" or any(abs(f - 1) > claims.accuracy / 2 for f in found.values())):
            return f"the direction is {', '.join(f'{f:.3g} times {says} at shape {s}' for s, f in found.items())}"
    ratios = [v for shape, r, u in seen for v in _singular(r, u, function_of(claims.K, shape), claims.accuracy)]
    if not ratios or any(map(math.isnan, ratios)):
        return ""
    return (
        f"the singular values of the direction are {min(ratios):.2g} to {max(ratios):.2g} times the right ones: an "
        "iteration that ends too early, or a matrix that is not brought to size 1 before it"
    )


def _factors(
    seen: Sequence[tuple[tuple[int, ...], Any, Any]], claims: Capabilities, way: Callable[[Any, Any], Any]
) -> dict[tuple[int, ...], float]:
    """The number for each shape; {} if some direction is no multiple of what this way makes."""
    xp, found = host().namespace(), {}
    for shape in dict.fromkeys(s for s, *_ in seen):
        K = function_of(claims.K, shape)
        try:
            u = xp.stack([way(r, K) for s, r, _ in seen if s == shape])
        except (TypeError, ValueError):  # K takes no such matrix
            return {}
        v = xp.stack([v for s, _, v in seen if s == shape])
        factor, size = float((u * v).sum() / (u * u).sum()), float((u * u).sum())
        if not float(((v - factor * u) ** 2).sum()) <= (claims.accuracy * factor) ** 2 * size:
            return {}
        found[shape] = factor
    return found


def _singular(r: Any, v: Any, K: Any, accuracy: float) -> list[float]:
    """In the singular vectors of the readout: by how much each singular value of v is too large; [nan] if v has
    others. What is not finite says nothing.
    """
    xp = host().namespace()
    if not xp.isfinite(v).all():
        return []
    left, _, right = xp.linalg.svd(r, full_matrices=False)
    inner, due = left.T @ v @ right.T, xp.diag(left.T @ K.subgradient(r) @ right.T)
    beside = inner - xp.diag(xp.diag(inner))
    if float((beside**2).sum()) > accuracy**2 * float((inner**2).sum()) or not due.all():
        return [math.nan]
    return [float(a / b) for a, b in zip(xp.diag(inner), due, strict=True)]
