"""Where an observed run stands: the readout of each step, and how far rounding may have moved it.

A gradient is data, so the momentum of a correct port is known whatever its x is; and a step is judged from the x that
the port itself had before it. So one wrong step does not spoil the verdict on the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...functions import ConvexFunction
from ...optimizer import step
from ..specification.cases import EPS, Case, function_of, host
from ..specification.maker import widest
from ..specification.port import Capabilities
from ..specification.variant import direction, spelled
from .trace import Trace

Runs = Sequence[tuple[Case, Trace]]


@dataclass(frozen=True)
class Point:
    """One step of an observed run, in float64. ``readout`` is minus the average, as K takes it."""

    step: int
    x: Any  # before the step
    lr: float
    lam: float
    readout: Any
    bound: Any  # |readout of any correct port - readout| <= bound, entry by entry
    m: Any  # the momentum after the step, minus the average
    grad: Any  # of what is minimised


def ulps(eps: float) -> float:
    """How many machine epsilons of (|m| + |g|) a readout may be off.

    Worst case over plain sums, FMA, both lerp forms, and betas rounded to the dtype: 4 units of roundoff, which is two
    epsilons (derived here); doubled, as the reference rounds too, where that costs nothing.
    """
    return 4.0 if eps < 1e-5 else 2.5


def decay_and_gradient(case: Case, t: int, x: Any, g: Any) -> tuple[float, Any]:
    """``(lam, g)`` such that the declared convention of decay is an ordinary step with them."""
    return spelled(case.decay, case.weight_decay, case.rate(t), case.lr[0], x, -g if case.maximize else g)


def follow(
    case: Case,
    xs: list[Any],
    state_dtype: str | None = None,
    written: Mapping[int, Any] | None = None,
    later: tuple[int, Case] | None = None,
) -> Iterator[tuple[Point, Any]]:
    """Each step's ``Point`` with the x that was observed after it. ``xs``: float64 arrays, x0 first.

    ``written``: the x that the user wrote before a step. ``later``: the step from which on another case's
    hyper-parameters hold, and that case.
    """
    xp = host().namespace()
    eps = EPS[state_dtype or case.dtype]
    first = host().asarray(case.x0, dtype="float64").reshape(case.shape)
    m, off = xp.zeros_like(first), xp.zeros_like(first)
    x = first
    for (t, entries), after in zip(case.gradients(), xs, strict=False):
        raw = host().asarray(entries, dtype="float64").reshape(case.shape)
        x = x if written is None else written.get(t, x)
        now = later[1] if later is not None and t >= later[0] else case
        b1, b2 = now.betas
        lam, g = decay_and_gradient(now, t, x, raw)
        readout, m_next = step.update(lambda r: r, 0 * first, m, g, 1.0, 0.0, b1, b2, False)
        rounding = (
            0 * first
            if case.exact
            else ulps(eps)
            * eps
            * (xp.abs(m) + xp.abs(g) + abs(now.weight_decay) * xp.abs(x) * (case.decay == "coupled"))
        )
        yield Point(t, x, now.rate(t), lam, readout, b1 * off + rounding, m_next, g), after
        m, off, x = m_next, b2 * off + rounding, after
        if case.state_error and m.size:
            off = off + case.state_error * xp.max(xp.where(xp.isfinite(m), xp.abs(m), 0.0))


def expected(case: Case, K: ConvexFunction, point: Point) -> tuple[Any, Any]:
    """``(u, x')`` of the reference at this point."""
    u = direction(case, K, point.x, point.grad, point.lam, point.readout)
    x, _ = step.update(lambda _: u, point.x, point.readout, point.readout, point.lr, point.lam, 1.0, 0.0, False)
    return u, x


@dataclass(frozen=True)
class Step:
    """One step of an observed run, entry by entry: what was there before, what is right, and what was seen."""

    case: Case
    K: ConvexFunction
    point: Point
    m: Any  # the momentum before the step: an average of the gradients
    last: Any  # the x of one step before, or the first
    u: Any
    after: Any

    x = property(lambda s: s.point.x)
    g = property(lambda s: s.point.grad)
    r = property(lambda s: -s.point.readout, doc="The average that K is asked at.")
    first = property(lambda s: s.case.array(s.case.x0))
    decay = property(lambda s: s.point.lam * s.point.x)
    seen = property(lambda s: (s.after - s.point.x) / s.point.lr, doc="``u - lam x`` of the reference.")
    known = property(lambda s: (abs(s.r) > s.point.bound) | (s.point.bound == 0), doc="Beyond rounding?")
    row = property(lambda s: (s.u, s.x, s.seen), doc="What ``two_constants`` takes.")


def steps_of(
    runs: Runs, claims: Capabilities, without: tuple[str, ...] = ("S6.", "S2.fine", "S3.large")
) -> Iterator[Step]:
    """Each step at a rate above 0 of these runs, in the widest dtype, that are neither empty nor long; those whose
    names begin so are left out.
    """
    dtype = widest(claims)
    for case, trace in runs:
        if case.dtype != dtype or case.long or 0 in case.shape or case.id.startswith(without):
            continue
        K, x = function_of(claims.K, case.shape), case.array(case.x0)
        m, last = 0.0 * x, x
        for p, after in follow(case, trace.xs, claims.state_dtype):
            if p.lr:
                yield Step(case, K, p, -m, last, expected(case, K, p)[0], after)
            m, last = p.m, p.x


def row_of(case: Case, K: ConvexFunction, point: Point, after: Any) -> tuple[Any, Any, Any]:
    """``(u, x, v)`` of a step ``x + lr v``, where the reference makes ``x + lr (u - lam x)``."""
    return expected(case, K, point)[0], point.x, (after - point.x) / point.lr


def two_constants(rows: Sequence[tuple[Any, Any, Any]]) -> tuple[float, float] | None:
    """The a and b with ``v = a u - b x`` in all rows ``(u, x, v)``, by least squares; None if there are none."""
    xp = host().namespace()
    u, x, seen = (xp.concat([xp.reshape(r[i], (-1,)) for r in rows]) for i in range(3))
    uu, ux, xx = float((u * u).sum()), float((u * x).sum()), float((x * x).sum())
    us, xs, det = float((u * seen).sum()), float((x * seen).sum()), uu * xx - ux * ux
    if not (math.isfinite(det + us + xs) and det > 1e-9 * uu * xx):
        return None
    a, b = (us * xx - xs * ux) / det, -(xs * uu - us * ux) / det
    return (a, b) if float(xp.max(xp.abs(seen - a * u + b * x))) <= 1e-7 * (1 + abs(a)) else None


def stepped(case: Case, K: ConvexFunction, x: Any, m: Any, g: Any, lr: float, lam: float) -> tuple[Any, Any]:
    """``(x, m)`` after a step of the reference in the dialect of the case; g is of what is minimised."""

    def dK(r: Any) -> Any:
        return direction(case, K, x, g, lam, r)

    made: tuple[Any, Any] = step.update(dK, x, m, g, lr, lam, *case.betas, False)
    return made


def reference_run(case: Case, K: ConvexFunction) -> list[Any]:
    """x after each step, in float64 throughout."""
    xs: list[Any] = []
    xp = host().namespace()
    x = host().asarray(list(case.x0), dtype="float64").reshape(case.shape)
    m = xp.zeros_like(x)
    for t, entries in case.gradients():
        raw = host().asarray(list(entries), dtype="float64").reshape(case.shape)
        lam, g = decay_and_gradient(case, t, x, raw)
        x, m = stepped(case, K, x, m, g, case.rate(t), lam)
        xs.append(x)
    return xs
