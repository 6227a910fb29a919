"""How a point is divided between two functions: Douglas-Rachford steps on their proximal operators, accelerated."""

from __future__ import annotations

from typing import Any

from . import namespace as _xp
from . import reductions
from . import roots as _roots
from .namespace import Array, Namespace

STEPS, FIXED = 400, 60  # at most, where values can be seen; and where they cannot
MEMORY = 12, 5  # past steps that the next one is made of; the second beyond 1000 entries
PATIENCE = 40, 5  # steps without progress, after which the points are taken as they are; the second next to rounding
DRIFT = 0.03  # how much steps that are alike may differ, relative
FARTHEST = 2.0**24  # steps taken at once, where one step is like the last
RENEWAL = 8  # steps from one look at the length of the proximal steps to the next


def split(xp: Namespace, first: Any, second: Any, y: Array, batch: int) -> tuple[Array, Array, Array]:
    """``(u, v, s)`` with u in dom K1, v in dom K2, and s in both subdifferentials there; ``u + v = y`` in the limit.

    The fixed points of ``z -> y - prox_K2(y - 2 prox_K1(z) + z) + z - prox_K1(z)`` (Lions and Mercier 1979), by
    Anderson's method (1965) with an orthonormal basis of the last changes of the residual ``y - u - v``: 10 to 40 steps
    to rounding for most pairs, in place of hundreds. A step that doubles the least residual is taken back. Where a step
    is like the last one, a part drifts towards the next kink, and as many steps as before are taken at once, twice as
    many each time. The length t of the proximal steps follows ``|u|/|s|``, where values can be seen.
    """
    t = _length(xp, first, second, y, batch)

    def at(z: Array) -> tuple[Array, Array]:
        u = first._prox(xp, z, t, batch)
        return u, second._prox(xp, y - 2 * u + z, t, batch)

    z = y / 2
    u, v = at(z)
    unit = _xp.spread(xp, reductions.unit_scale(xp, xp.maximum(xp.maximum(xp.abs(y), xp.abs(u)), xp.abs(v)), batch), y)

    def length(a: Array) -> Array:
        return reductions.unit_norm(xp, a / unit, batch)

    most = MEMORY[_xp.event_size(y, batch) > 1000]
    best, residual, memory = (u, v, z), y - u - v, _Memory(xp, batch, unit, most)
    least, since, seen = length(residual), 0, _roots.visible(y, u, v)
    noise = _xp.eps(y) * (length(y) + length(u) + length(v))
    last = residual
    before = stride = xp.ones_like(least)
    for k in range(1, STEPS if seen else FIXED):
        step = y - u - v
        size = length(step)
        better = _xp.spread(xp, size <= (1 + DRIFT) * least, z)  # of steps that are alike, the last
        best = tuple(xp.where(better, new, old) for new, old in zip((u, v, z), best, strict=True))
        residual = xp.where(better, step, residual)
        if seen:
            drifting = (stride >= 2 * before) & (stride < FARTHEST)
            since = 0 if k == 1 or bool(xp.any((size < 0.9 * least) | drifting)) else since + 1
            close = not bool(xp.any(size > 64 * noise))
            if not bool(xp.any(size > 2 * noise)) or since > PATIENCE[close]:
                break
            if k % RENEWAL == 0 and not close:
                ratio = _ratio(xp, xp.maximum(length(u), length(v)), length(z - u))
                if not 1 / 4 < ratio < 4:
                    z, t, memory = best[0] + ratio * (best[2] - best[0]), t * ratio, _Memory(xp, batch, unit, most)
                    u, v = at(z)
                    best, residual = (u, v, z), y - u - v
                    least = length(residual)
                    continue
        back, drifts = size > 2 * least, (length(step - last) <= DRIFT * size) & (k > 1)
        longer = xp.where(drifts, xp.minimum(2 * stride, FARTHEST + 0 * stride), xp.ones_like(stride))
        before, stride = stride, xp.where(back, xp.maximum(stride / 4, xp.ones_like(stride)), longer)
        worse, alike, far = (_xp.spread(xp, a, z) for a in (back, drifts, stride))
        least = xp.minimum(size, least)
        ahead = xp.where(alike, z + far * step, memory.next(z, step, worse | alike))
        z = xp.where(worse, best[2] + far * residual, ahead)
        last = xp.where(worse, residual, step)
        u, v = at(z)
    u, v, z = best
    return u, v, (z - u) / t


def _ratio(xp: Namespace, u: Array, rest: Array) -> float:
    """``|u| / |z - u|`` over all blocks, u the longer part, 1 where one of the two is nothing but rounding."""
    there, away = (float(xp.sum(a)) for a in (u, rest))
    return min(max(there / away, 1e-8), 1e8) if away > 64 * _xp.eps(u) * there > 0 else 1.0


def _length(xp: Namespace, first: Any, second: Any, y: Array, batch: int) -> float:
    """The length t of the steps, at which ``t |s|`` is about |u|, from where both functions alone take y/2; else 1."""
    t = 1.0
    for _ in range(2 if _roots.visible(y) else 0):
        near = [k._prox(xp, y / 2, t, batch) for k in (first, second)]
        if not _roots.visible(*near):
            return 1.0
        parts, rests = ([reductions.norm(xp, a, batch) for a in each] for each in (near, [y / 2 - u for u in near]))
        t *= _ratio(xp, xp.maximum(*parts), xp.maximum(*rests))
    return t


class _Memory:
    """The last changes of the residual, orthonormal, and what z + residual changed by with each: along a first axis.

    All in the ``unit`` of the problem, so that no square overflows.
    """

    def __init__(self, xp: Namespace, batch: int, unit: Array, most: int) -> None:
        self.xp, self.batch, self.unit, self.most = xp, batch, unit, most
        self.basis: list[Array] = []
        self.last: list[Array] = []

    def next(self, z: Array, step: Array, forget: Array) -> Array:
        """``z + step``, corrected by what the past changes say; blocks that ``forget`` start anew."""
        xp, now = self.xp, [step / self.unit, (z + step) / self.unit]
        if self.last:
            changes = [a - b for a, b in zip(now, self.last, strict=True)]
            new = self._without(changes)
            before, left = (_xp.spread(xp, reductions.unit_norm(xp, a, self.batch), a) for a in (changes[0], new[0]))
            good = (left > 1e-6 * before) & ~forget
            new = [xp.where(good, a, 0 * a) / xp.where(good, left, xp.ones_like(left)) for a in new]
            kept = [xp.where(forget, 0 * a, a)[max(a.shape[0] + 1 - self.most, 0) :, ...] for a in self.basis]
            new = [a[None, ...] for a in new]
            self.basis = [xp.concat(pair) for pair in zip(kept, new, strict=True)] if kept else new
        self.last = now
        return self.unit * self._without(now)[1]

    def _without(self, pair: list[Array]) -> list[Array]:
        """What is left of both, of the residual's side what is orthogonal to the basis."""
        if not self.basis:
            return pair
        parts = reductions.inner(self.xp, self.basis[0], pair[0][None, ...], self.batch + 1)
        parts = _xp.spread(self.xp, parts, self.basis[0])
        return [a - self.xp.sum(parts * b, axis=0) for a, b in zip(pair, self.basis, strict=True)]
