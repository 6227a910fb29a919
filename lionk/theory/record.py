"""What is seen of a run, step by step: its certificate is made of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays.containers import tree_map
from ..optimizer.lion_k import LionK
from .lyapunov import At, Coefficients, descent_of, lyapunov_at, point_of
from .phase import phase_one_factor

ROUNDING = 1000  # rounding is allowed this many eps, relative to the sum of the magnitudes of the terms


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
