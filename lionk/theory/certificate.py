"""The certificate of a run: which statements of the theory held, which failed, which do not apply and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from ..arrays.html import table
from ..optimizer.lion_k import LionK
from .record import ROUNDING, Record

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
