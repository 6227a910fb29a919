"""The certificate of a run: which statements of the theory held, which failed, which do not apply and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays.containers import tree_map
from ..arrays.html import table
from ..optimizer.lion_k import LionK
from .lyapunov import At, Coefficients, descent_of, lyapunov_at, point_of
from .phase import phase_one_factor

ROUNDING = 1000  # rounding is allowed this many eps, relative to the sum of the magnitudes of the terms


OUTSIDE = "K*(lam x) is not known to be finite: lam x is outside dom K*, or at its edge"
CONTRADICTED = (
    "the gradients put min F above a value of F, so f is not convex, or the gradient is not that of "
    "f; compare it with differences of f"
)


class Statement(NamedTuple):
    """One statement of the theory about one run."""

    name: str
    verdict: str  # "holds", "failed" or "does not apply"
    text: str


class Iterate(NamedTuple):
    """What the certificate needs of a point of the run, and of the step from it."""

    number: int  # of steps before it
    x: Any
    m: Any
    f: float
    grad: Any
    lr: float
    tol: float  # of membership in dom K*
    k: Coefficients | None  # None: lr has no implicit step
    weight: float | None  # of the gradients in m; None: no bound is made of it


@dataclass
class Record:
    """Running extremes over the steps of a run; plain numbers, so that a checkpoint can hold it."""

    steps: int = 0
    restarts: int = 0
    outside: int = 0  # steps that began outside the constraint set
    phase_excess: float = 0.0  # largest (distance after)/(predicted distance) - 1 beyond rounding
    identity_steps: int = 0
    identity_residual: float = 0.0  # largest residual, relative to its terms
    descent_excess: float = -math.inf  # largest excess over the proven bound, relative
    least_D1: float = math.inf
    least_D2: float = math.inf
    dissipation: float = 0.0  # sum of h (a D1 + b D2)
    first_H: float | None = None
    last_H: float | None = None
    rises: int = 0  # steps whose lr exceeds the one before
    last_lr: float | None = None
    unbounded: int = 0  # steps at which K* or its subgradient was infinite inside the set
    skipped: str = ""  # why the identity was not checked at some step

    def observe(self, opt: LionK, rows: Sequence[Iterate], distances: Sequence[float], eps: float) -> None:
        """Account for the steps between these iterates: learning rates, and phase I, by the distances to dom K*."""
        lr = rows[0].lr if self.last_lr is None else self.last_lr
        if rows[0].k is not None and not any(distances) and all(row.lr == lr for row in rows):
            self.steps, self.last_lr = self.steps + len(rows) - 1, lr
            return
        for (before, away), (after, left) in pairwise(zip(rows, distances, strict=True)):
            self._observe(opt, before, away, after.tol, left, eps)

    def _observe(self, opt: LionK, before: Iterate, away: float, tol: float, left: float, eps: float) -> None:
        self.steps += 1
        lr = before.lr
        if self.last_lr is not None and lr > self.last_lr:
            self.rises += 1
        self.last_lr = lr
        if lr == 0:
            self.skipped = "lr = 0"
            return
        if away > 0:
            self.outside += 1
            expected = phase_one_factor(lr, float(opt.weight_decay), opt.decay) * away
            slack = ROUNDING * eps * (1 + away) + tol
            self.phase_excess = max(self.phase_excess, (left - expected - slack) / max(expected, slack))
        if before.k is None:
            self.skipped = "lr weight_decay = 1"

    def compare(self, columns: Sequence[Sequence[float]]) -> None:
        """Account for the identity of steps between points with finite F: the columns of ``measured``."""
        if not math.isfinite(sum(map(sum, columns))):
            rows = [*zip(*columns, strict=True)]
            good = [row for row in rows if all(map(math.isfinite, row))]
            self.unbounded += len(rows) - len(good)
            columns = [*zip(*good, strict=True)]
        if not columns or not columns[0]:
            return
        residual, excess, D1, D2, dissipated, start, end = columns
        self.identity_steps += len(residual)
        self.identity_residual = max(self.identity_residual, *residual)
        self.descent_excess = max(self.descent_excess, *excess)
        self.least_D1, self.least_D2 = min(self.least_D1, *D1), min(self.least_D2, *D2)
        self.dissipation = sum(dissipated, self.dissipation)
        self.first_H = start[0] if self.first_H is None else self.first_H
        self.last_H = end[-1]


def measured(
    K: Any, x: Any, m: Any, grad: Any, numbers: Any, tol: Any, *, lam: float,
    betas: tuple[float, float], batch: int, steps: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """H of iterates, and what ``Record.compare`` takes of the steps between them.

    ``numbers`` has rows for f and for the coefficients h, c, a and b of the step from each iterate. Without ``batch``
    there are one or two iterates, in lists; with ``batch = 1`` there are stacks of more, and what comes are arrays.
    """
    if batch:
        f, h, c, a, b = (numbers[i, ...] for i in range(5))
        at = point_of(K, lam, x, m, f, grad, tol, 1)
        H = [lyapunov_at(at, lam, c)]
        start, end = (
            At(*(tree_map(lambda v, s=s: v[(s, ...)], part) for part in at)) for s in (slice(-1), slice(1, None))
        )
        k = Coefficients(h[:-1], c[:-1], a[:-1], b[:-1])
    else:
        f, h, c, a, b = numbers
        points = [point_of(K, lam, *point, tol) for point in zip(x, m, f, grad, strict=True)]
        H = [lyapunov_at(p, lam, weight) for p, weight in zip(points, c, strict=True)]
        start, end, k = points[0], points[-1], Coefficients(h[0], c[0], a[0], b[0])
    if not steps:
        return tuple(H)
    d = descent_of(K, k if betas[0] != betas[1] else k._replace(b=None), betas, lam, start, end, batch=batch)
    xp = _xp.kind(d.scale).xp
    scale = xp.where(d.scale == 0, xp.ones_like(d.scale), d.scale)
    dissipated = k.h * (k.a * d.D1 + k.b * d.D2)
    excess = (d.after - d.before + dissipated - d.bregman_f) / scale
    unit = scale * (lam or 1.0)  # D1 and D2 are in units of K, H is in those of K/lam
    return *H, abs(d.residual) / scale, excess, d.D1 / unit, d.D2 / unit, dissipated, d.before, d.after


def stacked(*rows: Any) -> Any:
    """Arrays alike, along a first axis."""
    xp, shape = _xp.kind(rows[0]).xp, rows[0].shape
    return xp.reshape(xp.concat(rows), (len(rows), *shape)) if shape else xp.stack(rows)


@dataclass(frozen=True)
class Certificate:
    """What a run proved. ``statements`` in the order of the theory; ``verdict`` in one line."""

    statements: tuple[Statement, ...]

    @property
    def failed(self) -> tuple[Statement, ...]:
        return tuple(s for s in self.statements if s.verdict == "failed")

    @property
    def verdict(self) -> str:
        count = {v: sum(s.verdict == v for s in self.statements) for v in ("holds", "failed", "does not apply")}
        parts = [f"{count['holds']} of {len(self.statements)} statements hold"]
        if count["failed"]:
            parts.append("failed: " + ", ".join(s.name for s in self.failed))
        if count["does not apply"]:
            names = ", ".join(s.name for s in self.statements if s.verdict == "does not apply")
            parts.append(f"not applicable: {names}")
        return "; ".join(parts)

    def _repr_html_(self) -> str:
        return table(self.verdict, self.statements)

    def __str__(self) -> str:
        return "\n".join(f"{s.name}: {s.verdict}. {s.text}" for s in self.statements)


def certificate_of(
    opt: LionK,
    record: Record,
    *,
    eps: float,
    gap: float,
    rounding: float,
    distance: float,
    momentum_gap: float,
    convex: bool | None,
    stochastic: bool,
) -> Certificate:
    """Put the record of a run into words.

    ``gap`` is G/lam at the point that is returned, with its rounding bound; ``momentum_gap`` bounds the same difference
    by the averages of gradients (``theory.lower_bound``), its rounding included.
    """
    b1, b2 = opt.betas
    lam, slack = float(opt.weight_decay), ROUNDING * eps
    bounded = opt.K.traits.bounded_domain
    statements = [
        _phase_one(record, lam, distance),
        _identity(record, slack, stochastic),
        _descent(record, slack, stochastic, b1, b2, opt),
        _decrease(record, stochastic, b1, b2, slack),
        suboptimality(gap, rounding, lam, convex, stochastic, momentum_gap),
        momentum_bound(momentum_gap, lam, convex, stochastic),
    ]
    if b1 > b2 and bounded:
        statements.append(Statement(
            "stationarity", "holds", "b1 > b2: only the rate for a bounded dom K* applies, O(1/sqrt(T)) for lr of that "
            "order (derived here)"
        ))  # fmt: skip
    lost = opt.loses
    return Certificate(
        tuple(s._replace(verdict="does not apply", text=lost[s.name]) if s.name in lost else s for s in statements)
    )


def _phase_one(r: Record, lam: float, distance: float) -> Statement:
    name = "phase I"
    if lam == 0:
        return Statement(name, "does not apply", "weight_decay = 0: there is no constraint")
    if not r.outside:
        return Statement(name, "holds", "lam x stayed in dom K* at every step")
    if r.phase_excess > 0:
        return Statement(
            name, "failed", f"the distance to dom K* exceeded its predicted decrease by {r.phase_excess:.2g} (relative)"
        )
    return Statement(
        name, "holds",
        f"at each of {r.outside} steps begun outside dom K* the distance shrank at least by the predicted factor; "
        f"now {distance:.3g}",
    )  # fmt: skip


def _why_no_identity(r: Record, stochastic: bool) -> str:
    if stochastic:
        return "the gradients are stochastic, and the identity needs the full gradient"
    if r.unbounded:
        return f"K* or its subgradient is infinite at the boundary ({r.unbounded} steps)"
    if r.skipped:
        return f"{r.skipped}: the implicit step is 0 or infinite"
    return "lam x was never in dom K*, where H is finite" if r.steps else "no step was observed"


def _identity(r: Record, slack: float, stochastic: bool) -> Statement:
    name = "exact identity"
    if stochastic or not r.identity_steps:
        return Statement(name, "does not apply", _why_no_identity(r, stochastic))
    text = f"relative residual at most {r.identity_residual:.2g} over {r.identity_steps} steps"
    return Statement(name, "holds" if r.identity_residual <= slack else "failed", text)


def _descent(r: Record, slack: float, stochastic: bool, b1: float, b2: float, opt: LionK) -> Statement:
    name = "Lyapunov inequality"
    if b1 > b2:
        return Statement(name, "does not apply", f"b1 = {b1} > b2 = {b2}: its coefficient b is negative")
    if opt.weight_decay == 0 and opt.K.traits.minimum_at_zero is False:
        return Statement(name, "does not apply", "weight_decay = 0 and K is not smallest at 0: there is no H")
    if stochastic or not r.identity_steps:
        return Statement(name, "does not apply", _why_no_identity(r, stochastic))
    good = r.descent_excess <= slack and r.least_D1 >= -slack and r.least_D2 >= -slack
    return Statement(
        name, "holds" if good else "failed",
        "H' - H <= -h (a D1 + b D2) + (f's curvature along the step), D1 >= 0, D2 >= 0"
        + (f" at all {r.identity_steps} steps" if good else f": excess {r.descent_excess:.2g}, least D1 "
           f"{r.least_D1:.2g}, least D2 {r.least_D2:.2g} (relative)"),
    )  # fmt: skip


def _decrease(r: Record, stochastic: bool, b1: float, b2: float, slack: float) -> Statement:
    name = "decrease of H over the run"
    if stochastic or b1 > b2 or not r.identity_steps:
        why = f"b1 = {b1} > b2 = {b2}" if b1 > b2 else _why_no_identity(r, stochastic)
        return Statement(name, "does not apply", why)
    if r.rises:
        return Statement(name, "does not apply", f"lr rose at {r.rises} step(s): the coefficient of H grows with lr")
    assert r.first_H is not None and r.last_H is not None
    down = r.last_H <= r.first_H + slack * max(abs(r.first_H), abs(r.last_H))
    text = f"from {r.first_H:.6g} to {r.last_H:.6g}; dissipated {r.dissipation:.3g}"
    if r.restarts:
        text += f"; {r.restarts} restart(s) from the best point with a smaller lr"
    if not down:
        return Statement(name, "does not apply", text + "; the curvature term of the inequality outweighs dissipation")
    return Statement(name, "holds", text)


def suboptimality(
    gap: float, rounding: float, lam: float, convex: bool | None, stochastic: bool, momentum_gap: float = math.inf
) -> Statement:
    """The bound by the gradient at the point itself; a momentum gap < 0 shows that it is none."""
    name = "suboptimality bound"
    why = _why_no_bound(lam, convex, stochastic) or ("" if math.isfinite(gap) else OUTSIDE)
    if why:
        return Statement(name, "does not apply", why)
    if momentum_gap < 0:
        return Statement(name, "failed", CONTRADICTED)
    text = f"F(x) - min F <= {max(gap, 0.0):.3g} + {rounding:.1g} (rounding, and how closely K and K* are known)"
    text += _if_convex(convex)
    return Statement(name, "holds" if gap >= -rounding else "failed", text)


def momentum_bound(gap: float, lam: float, convex: bool | None, stochastic: bool, why: str = "") -> Statement:
    """The bound by averages of gradients; ``why``: it does not apply, if there is a reason."""
    name = "momentum bound"
    why = _why_no_bound(lam, convex, stochastic) or why
    why = why or ("" if math.isfinite(gap) else "no average of gradients gave one")
    if why:
        return Statement(name, "does not apply", why)
    if gap < 0:
        return Statement(name, "failed", CONTRADICTED)
    return Statement(name, "holds", f"F(x) - min F <= {gap:.3g} by the averages of the gradients{_if_convex(convex)}")


def _why_no_bound(lam: float, convex: bool | None, stochastic: bool) -> str:
    if stochastic:
        return "the gap needs the full gradient, and it was a batch"
    if lam == 0:
        return "weight_decay = 0: F has no conjugate term"
    return "f is not convex: G measures stationarity only" if convex is False else ""


def _if_convex(convex: bool | None) -> str:
    return ", if f is convex (pass convex=True to assert it)" if convex is None else ""
