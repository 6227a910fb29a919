"""The certificate of the anchored rule: what holds of a run of proximal steps on anchored K."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..arrays.containers import inner, tree_map
from ..functions.bound import bound
from .certificate import Certificate, Statement, momentum_bound, suboptimality
from .record import ROUNDING


@dataclass
class AnchoredRecord:
    """Running extremes over a run; plain numbers, so that a checkpoint can hold it."""

    outside: int = 0  # points of the run outside the constraint set
    exact: int = 0  # steps whose optimality was checked
    excess: float = 0.0  # the largest Fenchel-Young gap of such a step, relative to its terms
    compared: int = 0  # steps from a point with known F to another
    taken_back: int = 0  # those at which F did not fall as it should: a smaller step was made instead
    restarts: int = 0  # returns to the best point
    not_convex: int | None = None  # the evaluation at which f was seen to lie below one of its tangents
    secants: int | None = None  # the evaluation from which the curvature that f has shown made the steps
    kinked: int | None = None  # the evaluation from which the weights were chosen by the certificate


def optimality(K: Any, x: Any, anchor: Any, slope: Any, L: Any, slack: Any, *, lam: float) -> tuple[Any, Any]:
    """Of the step to ``x = argmin <slope, z> + (L/2) |z - anchor|^2 + K*(lam z)/lam``: residual and scale.

    ``p = -slope - L (x - anchor)`` is then in dK*(lam x), that is ``K(p) + K*(lam x) - lam <p, x> = 0``: the exact
    identity of the step (derived here). The scale holds the terms, and what rounding of p brings.
    """
    K = bound(K, x)
    moved = tree_map(lambda a, b: a - b, x, anchor)
    p = tree_map(lambda g, d: -g - L * d, slope, moved)
    value, dual, product = K.value(p), K.conjugate.value(K.scaled(x, lam), slack), lam * K.inner(p, x)
    length = K.inner(x, x) ** 0.5
    size = lam * length * (K.inner(slope, slope) ** 0.5 + L * (length + K.inner(moved, moved) ** 0.5))
    return value + dual - product, abs(value) + abs(dual) + size


def rounding_of_step(K: Any, x: Any, anchor: Any, slope: Any, L: Any, *, lam: float) -> tuple[Any, Any]:
    """What ``optimality``'s scale leaves out: x is lam times as far from exact as the points of dom K* are large, of
    which dK(p) is one. So p is off by L |dK(p)|/lam more, and the residual by that times ``|dK(p) - lam x|``. And to
    what K and K* are known, whose terms may cancel.
    """
    p = tree_map(lambda a, b, g: -g - L * (a - b), x, anchor, slope)
    s = K.subgradient(p)
    reach = inner(s, s) ** 0.5 + lam * inner(x, x) ** 0.5
    ends = K.bounds(p), K.conjugate.bounds(tree_map(lambda a: lam * a, x))
    return reach * (inner(slope, slope) ** 0.5 + L * reach / lam), sum(high - low for low, high in ends)


def certificate_of_anchored(
    K: Any,
    record: AnchoredRecord,
    lam: float,
    *,
    eps: float,
    gap: float,
    rounding: float,
    momentum_gap: float,
    distance: float,
    convex: bool | None,
) -> Certificate:
    """Put the record of a run into words; the arguments are those of ``certificate_of``."""
    convex = False if record.not_convex is not None else convex
    return Certificate((
        _feasible(record, distance, gap),
        _exact(record, ROUNDING * eps + 10 * max(K.traits.accuracy, K.conjugate.traits.accuracy)),
        _descent(record),
        _seen(suboptimality(gap, rounding, lam, convex, stochastic=False, momentum_gap=momentum_gap), record),
        _seen(momentum_bound(momentum_gap, lam, convex, stochastic=False), record),
    ))  # fmt: skip


def _feasible(r: AnchoredRecord, distance: float, gap: float) -> Statement:
    """A finite gap says that K* is finite at the end: lam x is then in dom K*, and its distance is rounding."""
    if r.outside:
        text = f"K*(lam x) was infinite at {r.outside} point(s) of the run; at the end the distance is {distance:.3g}"
        return Statement("phase I", "failed" if distance > 0 and math.isinf(gap) else "does not apply", text)
    return Statement("phase I", "holds", "lam x was in dom K* at every point where f was evaluated")


def _exact(r: AnchoredRecord, slack: float) -> Statement:
    name = "exact step"
    if not r.exact:
        return Statement(name, "does not apply", "no step was checked")
    text = f"-g - L (x' - y) is in dK*(lam x'), to a relative residual of {r.excess:.2g}, at {r.exact} steps"
    return Statement(name, "holds" if r.excess <= slack else "failed", text)


def _descent(r: AnchoredRecord) -> Statement:
    name = "descent of F"
    if not r.compared:
        return Statement(name, "does not apply", "no step began where F was known")
    text = f"F fell at {r.compared - r.taken_back} of {r.compared} steps that were compared"
    if r.taken_back:
        text += "; the others were taken back"
    if r.restarts:
        text += f"; {r.restarts} restart(s) from the best point"
    if r.secants is not None:
        text += f"; from evaluation {r.secants} on by the curvature that f has shown"
    if r.kinked is not None:
        text += f"; f has kinks: from evaluation {r.kinked} on the weights were chosen by the certificate"
    return Statement(name, "holds", text)


def _seen(s: Statement, r: AnchoredRecord) -> Statement:
    if r.not_convex is None or s.verdict != "does not apply":
        return s
    return Statement(s.name, s.verdict, f"f lies below a tangent of its own (evaluation {r.not_convex}): not convex")
