"""Iterates that are certain not to stop a run, one after the other; their numbers are found later, many at a time."""

from __future__ import annotations

import math
from typing import Any

from ..arrays.containers import tree_map
from ..functions.bound import BoundBlocks, Selected
from ..theory.lower_bound import joined
from ..theory.record import Iterate
from .trail import Trail


class Ahead:
    """``go`` moves a run while three inner products show that no iterate stops it, for a K that is a support function.

    A step finds u = dK(r), which lies in dom K*: ``K(-g) >= -<g, u>``, ``K(m) >= <m, u>``, and K* is 0 or infinite. So
    the gap at x is at least ``<g, x> - <g, u>/lam``, and no lower bound of min F is above what these make of the
    gradient, or of the average m (derived here). Nothing but its length stops a stochastic run.
    """

    def __init__(self, run: Any, trail: Trail) -> None:
        self.run, self.trail, self.K = run, trail, trail.K
        K, alike = trail.K, trail.steps > 1
        self.possible = alike and (run.evaluate.stochastic or K.traits.homogeneous)
        self.made: Any = None  # x and m after the step from where ``go`` ended, if it made that
        self.dK: Any = None  # what a step has to call, so that u is known
        if alike:
            self.dK = tree_map(Selected, K.tree) if isinstance(K, BoundBlocks) else Selected(K)

    def go(self, point: Any, stepped: Any, lr: float, tol: float, k: Any) -> Any:
        """f with its gradient at the next iterate that may stop the run, whose ``now`` is moved there.

        It is one that is to be saved, or the last for which there is room, at the latest. ``point`` is f where the run
        is, ``stepped`` makes a step of this learning rate; tol and k are of the iterates.
        """
        run, now, trail, lam, unit = self.run, self.run.now, self.trail, self.run.lam, self.run.unit
        trail.join(now)
        count, b2, (weight, total, *_) = now.count, run.opt.betas[1], now.average
        if count == 0 or (trail.bounded and not weight > 0):
            return point
        end = min(run.maxiter, count + trail.steps - len(now.pending))
        end = end if run.path is None else min(end, (count // run.every + 1) * run.every)
        averaged = trail.bounded and run.convex is not False and not now.not_convex
        low, lower, size = now.low, now.lower, abs(now.low) if now.low < math.inf else 0.0
        per_lam, target = (1 / lam, 0.0) if lam else (1.0, run.atol + run.tol * run.history.gap[0])
        K, dK, alone, tested = self.K, self.dK, isinstance(self.dK, Selected), not run.evaluate.stochastic
        inner, even = K.alike, K.traits.even
        evaluate, synchronize, wait = run.evaluate.bound(now.x), run.backend.synchronize, now.pending.append
        x, m, offset = now.x, now.m, 0.0
        while count < end and point is not None and point.finite:
            f, grad, _ = point
            made = stepped(x, m, grad, lr)
            if tested:
                u = dK.last if alone else tree_map(lambda one: one.last, dK)
                gu, gx = float(inner(grad, u)) * per_lam, float(inner(grad, x)) if lam else 0.0
                offset = f - gx
                if lam:
                    low, size = min(low, f), max(size, abs(f))
                    target = run.atol + run.tol * size
                if not gx - gu - unit * (abs(gx) + abs(gu) + abs(f)) > target:  # K(-g) is larger
                    gu = -float(K.value(grad if even else K.scaled(grad, -1.0))) * per_lam
                    if not gx - gu - unit * (abs(gx) + abs(gu) + abs(f)) > target:
                        self.made = made
                        break
                if averaged:
                    lower = max(lower, offset + gu)
                    mean = (total - float(inner(m, u)) * per_lam) / weight
                    if not low - max(lower, mean) > target:  # K(m) is larger
                        mean = (total - float(K.value(m)) * per_lam) / weight
                        if not low - max(lower, mean) > target:
                            self.made = made
                            break
                    lower = max(lower, mean)
            wait(Iterate(count, x, m, f, grad, lr, tol, k, weight if trail.bounded else None))
            weight, total = joined(b2, 1 - b2, weight, total, offset)
            now.x, now.m = x, m = synchronize(made)
            now.count = count = count + 1
            point = evaluate(x, count)
        return point
