"""The step rule of `minimize` when no learning rate is given: a plateau search on the gap, with nothing to tune."""

from __future__ import annotations

import math
from dataclasses import dataclass

FIRST = 0.1  # of the radius 1/lam, in one step
SHRINK = 0.7  # of lr, when a window brings no progress
PROGRESS = 0.9  # of the best gap so far: less than that is progress
WINDOW = 30  # steps; it grows by GROWTH with each decrease, so that the steps still to come never sum to nothing
GROWTH = 1.05
DIVERGED = 10.0  # times the first gap or |F|: go back to the best point with a quarter of lr


@dataclass
class PlateauRule:
    """lr starts at a tenth of the radius; a window of steps without progress of the gap lowers it.

    It never rises, so that the Lyapunov theorem keeps holding over the run. Derived here, by experiment.
    Plain numbers, so that a checkpoint can hold it.
    """

    lr: float
    window: float = WINDOW
    steps: int = 0  # in this window
    window_best: float = math.inf
    best: float = math.inf  # over the windows before
    first: float = math.inf  # gap, or |F|, at the first feasible point

    def diverged(self, gap: float, objective: float) -> bool:
        """Account for a new point; True: go back to the best one."""
        if not math.isfinite(gap) and not math.isfinite(self.first):
            return False  # phase I: full speed into the constraint set
        if not math.isfinite(self.first):
            self.first = max(gap, abs(objective))
        if not gap <= DIVERGED * self.first:
            self.lr /= 4
            self.steps, self.window_best = 0, math.inf
            return True
        self.window_best = min(self.window_best, gap)
        self.steps += 1
        if self.steps >= self.window:
            if self.window_best > PROGRESS * self.best:
                self.lr *= SHRINK
                self.window *= GROWTH
            self.best = min(self.best, self.window_best)
            self.steps, self.window_best = 0, math.inf
        return False
