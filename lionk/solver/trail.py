"""The iterates of a run whose share in the certificate is computed later, many at a time.

What stops a run is computed at each iterate. H, and the identity between two of them, stop nothing: a small array costs
less in a stack of thirty than by itself.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..functions.bound import Bound, BoundBlocks
from ..theory.certificate import Iterate, Record, measured
from .progress import Progress

STEPS = 32  # that are accounted for at once, where
SIZE = 1 << 14  # entries, at most, are stacked


class Trail:
    """``settle`` accounts for the iterates of ``Progress.pending``."""

    def __init__(self, run: Any, K: Any) -> None:
        """``K`` is bound to single iterates, where the backend binds."""
        self.run, self.K = run, K
        now, opt = run.now, run.opt
        alike = isinstance(K, (Bound, BoundBlocks)) and not run.mixed
        self.steps = max(min(STEPS, SIZE // max(run.size, 1)), 1) if alike else 1
        self.stacked = run.backend.bind(opt.K, now.x, 1) if self.steps > 1 else None
        self._identity = run.certify and not (run.lam == 0 and opt.K.traits.minimum_at_zero is False)
        self._wide = reductions.widest(run.xp, run.like)

    def full(self, p: Progress) -> bool:
        return len(p.pending) > self.steps

    def settle(self, p: Progress) -> None:
        """Their H goes to the history, what the steps between them show to the record."""
        rows = p.pending
        if len(rows) <= p.settled:
            return
        record = copy.copy(p.record)
        assert isinstance(record, Record)
        found: dict[int, list[float]] = {}  # the terms of the identity, by the number of the first iterate
        lyapunov = self.run.history.lyapunov
        for part in _finite(rows):
            H, steps = self._measured(part)
            for row, value in zip(part, H, strict=True):
                if row.k is not None and row.number >= rows[p.settled].number:
                    lyapunov[row.number] = value
            found |= {row.number: terms for row, terms in zip(part, steps, strict=False)}
        if self.run.certify:
            for before, after in pairwise(rows):
                tol = self.run.tolerance(after.lr)
                record.observe(self.run.opt, before, after, found.get(before.number), self.run.eps, tol)
        p.record, p.pending, p.settled = record, rows[-1:] if self.run.certify else [], self.run.certify

    def _measured(self, rows: list[Iterate]) -> tuple[list[float], list[list[float]]]:
        """H of each, and the terms of each step."""
        run = self.run
        batch = int(len(rows) > 2)
        numbers: Any = [[r.f, *((v or 0.0 for v in r.k) if r.k else (0.0, 0.0, 0.0, 0.0))] for r in rows]
        if batch:
            numbers = run.backend.asarray(numbers, dtype=self._wide, device=_xp.device(run.like))
        steps = self._identity and len(rows) > 1
        tol = max(run.tolerance(r.lr) for r in rows)
        out = run.backend.numbers(
            measured, self.stacked if batch else self.K, *([getattr(r, n) for r in rows] for n in ("x", "m", "grad")),
            numbers, tol, lam=run.lam, betas=run.opt.betas, batch=batch, steps=steps,
        )  # fmt: skip
        if batch:
            H, *terms = out
            return H, [list(column) for column in zip(*terms, strict=True)]
        return list(out[: len(rows)]), [list(out[len(rows) :])] if steps else []


def _finite(rows: list[Iterate]) -> list[list[Iterate]]:
    """The runs of iterates where F is finite."""
    parts: list[list[Iterate]] = [[]]
    for row in rows:
        if row.objective < float("inf"):
            parts[-1].append(row)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]
