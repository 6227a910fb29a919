"""The iterates of a run whose numbers are computed later, many at a time.

H, and the identity between two iterates, stop nothing; nor do F, the gap and the lower bounds of an iterate that was
seen not to stop the run (``Steps``). A small array costs less in a stack of a hundred than by itself.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from functools import partial
from itertools import compress, pairwise
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import plain, reductions
from ..arrays.containers import tree_map
from ..functions.bound import Bound, BoundBlocks
from ..theory.lower_bound import Average, Numbers, bound_of, followed, is_bent
from ..theory.record import Iterate, Record, measured, stacked
from . import measures
from .method import Seen
from .progress import Progress

STEPS = 256  # that are accounted for at once, where
SIZE = 1 << 14  # entries, at most, are stacked


class Trail:
    """The iterates of ``Progress.pending``: ``note`` finds their F, gap and bounds, ``settle`` all that is missing."""

    def __init__(self, run: Any, K: Any) -> None:
        """``K`` is bound to single iterates, where the backend binds."""
        self.run, self.K = run, K
        now, opt = run.now, run.opt
        alike = isinstance(K, (Bound, BoundBlocks)) and not run.mixed
        self.steps = max(min(STEPS, SIZE // max(run.size, 1)), 1) if alike else 1
        self.stacked = run.backend.bind(opt.K, now.x, 1) if self.steps > 1 else None
        self._unbounded = run.lam == 0 and opt.K.traits.minimum_at_zero is False  # K*(0) is infinite
        self._identity = run.certify and not self._unbounded
        self._wide, self._real = reductions.widest(run.xp, run.like), _xp.real_dtype(run.like)
        self._device = _xp.device(run.like)
        self.bounded = run.lam > 0 and not run.evaluate.stochastic

    def full(self, p: Progress) -> bool:
        return len(p.pending) > self.steps

    def note(self, p: Progress, stack: Any = None) -> Seen[float]:
        """Account for the iterates up to ``p.count`` that are not noted yet, at least one; the numbers of the last.

        ``stack``: their x, m and gradients, if that is made.
        """
        run, first, lam, unit = self.run, p.pending[0].number, self.run.lam, self.run.unit
        rows = p.pending[p.noted - first : p.count + 1 - first]
        f, lr = [row.f for row in rows], [row.lr for row in rows]
        F, gap, rounding, offset, scale, lower, K_m, mx = self._found(rows, stack)
        keep, joins = run.opt.betas[1], [*zip(offset, scale, strict=True)]
        averages: list[Numbers] = [p.average if p.fresh is None else followed(p.average, keep, 1 - keep, *p.fresh)]
        for join in joins[:-1]:
            averages.append(followed(averages[-1], keep, 1 - keep, *join))
        bent: list[bool] = []
        if not self.bounded:
            lower = [-math.inf] * len(rows)
        else:
            found = [bound_of(a, K, lam, unit) for a, K in zip(averages, K_m, strict=True)]
            lower = [*map(max, lower, found)]
            if run.convex is None:
                bent = [is_bent(a, v, w, unit) for a, v, w in zip(averages, mx, f, strict=True)]
        seen = Seen(f, F, gap, [math.inf] * len(rows), self._away(rows, F, stack), lr, lower, rounding)
        run.note(p, rows[0].number, [row.x for row in rows], [row.m for row in rows], averages, seen, bent)
        p.average, p.fresh, p.noted = Average(*averages[-1]), joins[-1], rows[-1].number + 1
        return Seen(*[column[-1] for column in seen])

    def join(self, p: Progress) -> None:
        """The gradient of the last iterate that is noted joins the average, as it joins m in the step."""
        if p.fresh is not None:
            b2 = self.run.opt.betas[1]
            p.average, p.fresh = p.average.then(b2, 1 - b2, *p.fresh), None

    def _found(self, rows: list[Iterate], stack: Any) -> Iterable[Any]:
        """``measures.seen`` of each, in columns."""
        run, lam, unit = self.run, self.run.lam, self.run.unit
        if len(rows) < 3:
            one = partial(run.backend.numbers, measures.iterate, self.K)
            found = [one(r.x, r.m, r.grad, r.weight, r.tol, lam=lam) for r in rows]
            seen = [measures.seen(plain, r.f, numbers, lam, unit) for r, numbers in zip(rows, found, strict=True)]
            return map(list, zip(*seen, strict=True))
        weight = self._array([r.weight for r in rows], self._real) if self.bounded else None
        x, m, grad = stack or self._stack(rows)
        f = self._array([r.f for r in rows], self._wide)
        many = partial(run.backend.numbers, measures.iterates, self.stacked)
        return many(x, m, grad, f, weight, rows[0].tol, lam=lam, unit=unit)

    def _away(self, rows: list[Iterate], objective: list[float], stack: Any) -> list[float]:
        """From lam x to dom K*, 0 where F is finite."""
        numbers, lam, outside = self.run.backend.numbers, self.run.lam, [not F < math.inf for F in objective]
        if not any(outside):
            return [0.0] * len(rows)
        if len(rows) > 2:
            (found,) = numbers(measures.distances, self.stacked, (stack or self._stack(rows))[0], lam=lam)
            return [d if out else 0.0 for d, out in zip(found, outside, strict=True)]
        one = partial(numbers, measures.distance, self.run.opt.K)
        return [one(r.x, lam=lam)[0] if out else 0.0 for r, out in zip(rows, outside, strict=True)]

    def _stack(self, rows: list[Iterate]) -> tuple[Any, ...]:
        """x, m and the gradients of iterates, each along a first axis."""
        _, x, m, _, grad, *_ = zip(*rows, strict=True)
        return tuple([tree_map(stacked, *column) for column in (x, m, grad)])

    def _array(self, values: list[Any], dtype: Any) -> Any:
        return self.run.backend.asarray(values, dtype=dtype, device=self._device)

    def settle(self, p: Progress) -> None:
        """Their H goes to the history, what the steps between them show to the record."""
        rows, run = p.pending, self.run
        if not rows:
            return
        rows = rows[: p.count + 1 - rows[0].number]  # of a snapshot
        if len(rows) <= p.settled and p.noted > rows[-1].number:
            return
        stack = self._stack(rows) if len(rows) > 2 else None
        if p.noted <= rows[-1].number:
            skip = p.noted - rows[0].number
            self.note(p, stack and tuple(_cut(part, skip, None) for part in stack))
        record, history, fresh = copy.copy(p.record), run.history, rows[p.settled].number
        F, distance = (column[rows[0].number : p.count + 1] for column in (history.objective, history.distance))
        assert isinstance(record, Record)
        for start, part in _finite(rows, F):
            own = stack and tuple(_cut(v, start, start + len(part)) for v in stack)
            H, *columns = self._measured(part, own)
            for row, value in zip(part, H, strict=True):
                if row.k is not None and row.number >= fresh:
                    history.lyapunov[row.number] = value
            if columns:
                known = [row.k is not None for row in part[:-1]]
                record.compare(columns if all(known) else [[*compress(c, known)] for c in columns])
        if run.certify:
            record.observe(run.opt, rows, distance, run.eps)
            if self._unbounded:
                record.unbounded += sum(
                    r.k is not None and a + b < math.inf for r, (a, b) in zip(rows[:-1], pairwise(F), strict=True)
                )
        p.record, p.pending, p.settled = record, rows[-1:] if run.certify else [], run.certify

    def _measured(self, rows: list[Iterate], stack: Any) -> list[list[float]]:
        """H of each, and columns about the steps."""
        run = self.run
        batch = int(len(rows) > 2)
        x, m, grad = stack if batch else ([getattr(r, name) for r in rows] for name in ("x", "m", "grad"))
        numbers: Any = [[r.f for r in rows], *map(list, zip(*[_plain(r.k) for r in rows], strict=True))]
        out = run.backend.numbers(
            measured, self.stacked if batch else self.K, x, m, grad,
            self._array(numbers, self._wide) if batch else numbers, max(r.tol for r in rows), lam=run.lam,
            betas=run.opt.betas, batch=batch, steps=self._identity and len(rows) > 1,
        )  # fmt: skip
        return list(out) if batch else [list(out[: len(rows)]), *([v] for v in out[len(rows) :])]


def _cut(stack: Any, start: int, stop: int | None) -> Any:
    return tree_map(lambda a: a[start:stop, ...], stack)


def _plain(k: Any) -> tuple[float, ...]:
    """Coefficients as numbers, of which those that are not there are not looked at."""
    return (0.0, 0.0, 0.0, 0.0) if k is None else (k.h, k.c, k.a, k.b or 0.0)


def _finite(rows: list[Iterate], objective: list[float]) -> list[tuple[int, list[Iterate]]]:
    """The runs of iterates where F is finite, each with the place of its first."""
    if sum(objective) < math.inf:
        return [(0, rows)]
    parts: list[tuple[int, list[Iterate]]] = [(0, [])]
    for i, (row, F) in enumerate(zip(rows, objective, strict=True)):
        if F < math.inf:
            parts[-1][1].append(row)
        else:
            parts.append((i + 1, []))
    return [part for part in parts if part[1]]
