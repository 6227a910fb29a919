"""The iterates of a run whose share in the certificate is computed later, many at a time.

What stops a run is computed at each iterate. H, and the identity between two of them, stop nothing: a small array costs
less in a stack of a hundred than by itself.
"""

from __future__ import annotations

import copy
import math
from itertools import compress, pairwise
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..functions.bound import Bound, BoundBlocks
from ..theory.certificate import Iterate, Record, measured
from .progress import Progress

STEPS = 128  # that are accounted for at once, where
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
        self._unbounded = run.lam == 0 and opt.K.traits.minimum_at_zero is False  # K*(0) is infinite
        self._identity = run.certify and not self._unbounded
        self._wide = reductions.widest(run.xp, run.like)

    def full(self, p: Progress) -> bool:
        return len(p.pending) > self.steps

    def settle(self, p: Progress) -> None:
        """Their H goes to the history, what the steps between them show to the record."""
        rows, run = p.pending, self.run
        if rows and rows[-1].number > p.count:  # of a snapshot
            rows = [r for r in rows if r.number <= p.count]
        if len(rows) <= p.settled:
            return
        record, lyapunov, fresh = copy.copy(p.record), run.history.lyapunov, rows[p.settled].number
        assert isinstance(record, Record)
        for part in _finite(rows):
            H, *columns = self._measured(part)
            for row, value in zip(part, H, strict=True):
                if row.k is not None and row.number >= fresh:
                    lyapunov[row.number] = value
            if columns:
                known = [row.k is not None for row in part[:-1]]
                record.compare(columns if all(known) else [[*compress(c, known)] for c in columns])
        if run.certify:
            record.observe(run.opt, rows, run.eps)
            if self._unbounded:
                record.unbounded += sum(
                    a.k is not None for a, b in pairwise(rows) if a.objective + b.objective < math.inf
                )
        p.record, p.pending, p.settled = record, rows[-1:] if run.certify else [], run.certify

    def _measured(self, rows: list[Iterate]) -> list[list[float]]:
        """H of each, and columns about the steps."""
        run = self.run
        batch = int(len(rows) > 2)
        _, x, m, f, grad, _, _, _, tol, k = zip(*rows, strict=True)
        numbers: Any = [list(f), *map(list, zip(*map(_plain, k), strict=True))]
        if batch:
            numbers = run.backend.asarray(numbers, dtype=self._wide, device=_xp.device(run.like))
        out = run.backend.numbers(
            measured, self.stacked if batch else self.K, list(x), list(m), list(grad), numbers, max(tol), lam=run.lam,
            betas=run.opt.betas, batch=batch, steps=self._identity and len(rows) > 1,
        )  # fmt: skip
        return list(out) if batch else [list(out[: len(rows)]), *([v] for v in out[len(rows) :])]


def _plain(k: Any) -> tuple[float, ...]:
    """Coefficients as numbers, of which those that are not there are not looked at."""
    return (0.0, 0.0, 0.0, 0.0) if k is None else (k.h, k.c, k.a, k.b or 0.0)


def _finite(rows: list[Iterate]) -> list[list[Iterate]]:
    """The runs of iterates where F is finite."""
    parts: list[list[Iterate]] = [[]]
    for row in rows:
        if row.objective < math.inf:
            parts[-1].append(row)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]
