"""What singular values and singular vectors show of the direction of a matrix, where no one hypothesis explains it."""

from __future__ import annotations

import math
from typing import Any

from ..specification.cases import function_of, host
from ..specification.port import Capabilities

#: Shape, minus the average that K is asked at, and the direction that was seen.
Seen = list[tuple[tuple[int, ...], Any, Any]]
EXACT = 1e-4  # the error of a port that declares none


def rank_of(seen: Seen) -> str:
    """Of an exact K: a direction of more rank than its readout."""
    for shape, r, v in seen:
        s, t = values_of(r), values_of(v)  # what is read back from x has the rounding of x
        ranks = [int((s > 1e-6 * s.max()).sum()), int((t > 1e-3 * max(1.0, float(t.max()))).sum())]
        if ranks[1] > ranks[0]:
            return (
                f"at shape {shape} the readout has rank {ranks[0]}, and the direction rank {ranks[1]}: singular "
                "vectors of singular values that are 0 must have no part in it"
            )
    return ""


def ridge_of(seen: Seen) -> str:
    """Of the polar factor: what is added to the singular values of the readout, or to their squares, by which they are
    divided.
    """
    xp = host().namespace()
    rows: list[tuple[Any, Any]] = []
    for _, r, v in seen:
        s, (inner,) = _in_vectors(r, v)
        kept = xp.diag(inner)
        told = (s > 0) & (kept > 1e-3) & (kept < 1 - 1e-6)
        rows += zip(s[told], kept[told], strict=True)
    for words, found in {
        "sqrt(s^2 + {:.2g})": [float(s * s * (1 / kept**2 - 1)) for s, kept in rows],
        "s + {:.2g}": [float(s * (1 / kept - 1)) for s, kept in rows],
    }.items():
        if len(found) > 2 and max(found) < 1.02 * min(found):
            by = words.format(sum(found) / len(found))
            return f"the singular values s of the readout are divided by {by}, and not by s: an epsilon, or a ridge"
    return ""


def vectors_of(seen: Seen, claims: Capabilities) -> str:
    """Of an exact K: a direction whose singular values are right, and which is another one."""
    other = False
    for shape, r, v in seen:
        u = function_of(claims.K, shape).subgradient(r)
        if not float(abs(values_of(v) - values_of(u)).max()) <= EXACT:
            return ""
        other = other or float(abs(v - u).max()) > 0.1
    return other * (
        "the singular values of the direction are right, and its singular vectors are not: V of the decomposition U S "
        "V^T may stand where V^T should, or the vectors may be in another order"
    )


def values_of(a: Any) -> Any:
    return host().namespace().linalg.svdvals(a)


def ratios_of(seen: Seen, claims: Capabilities) -> str:
    xp = host().namespace()
    sizes = [
        float((v * v).sum() / (u * u).sum()) ** 0.5
        for s, r, v in seen
        if (u := function_of(claims.K, s).subgradient(r)).any()
    ]
    if not all(map(math.isfinite, sizes)) or max(sizes, default=0.0) > 4:
        return (
            f"the direction is up to {max(sizes):.2g} times as large as the right one: an iteration that diverges, by "
            "its coefficients or by a matrix that is not brought to size 1 before it"
        )
    ratios = [v for shape, r, u in seen if r.any() for v in _singular(r, u, function_of(claims.K, shape), claims)]
    if not ratios or any(map(math.isnan, ratios)) or not xp.isfinite(ratios).all():
        return ""
    why = "an iteration that ends too early, or a matrix that is not brought to size 1 before it"
    return (
        f"the singular values of the direction are {min(ratios):.2g} to {max(ratios):.2g} times the right ones: {why}"
    )


def _singular(r: Any, v: Any, K: Any, claims: Capabilities) -> list[float]:
    """In the singular vectors of the readout: by how much each singular value of v is too large; [nan] if v has
    others. What is not finite says nothing.
    """
    xp = host().namespace()
    if not xp.isfinite(v).all():
        return []
    _, (inner, right) = _in_vectors(r, v, K.subgradient(r))
    due = xp.diag(right)
    beside = inner - xp.diag(xp.diag(inner))
    if float((beside**2).sum()) > claims.accuracy**2 * float((inner**2).sum()) or not due.all():
        return [math.nan]
    return [float(a / b) for a, b in zip(xp.diag(inner), due, strict=True)]


def _in_vectors(r: Any, *others: Any) -> tuple[Any, list[Any]]:
    """The singular values of r, and what other matrices are in its singular vectors."""
    left, s, right = host().namespace().linalg.svd(r, full_matrices=False)
    return s, [left.T @ v @ right.T for v in others]
