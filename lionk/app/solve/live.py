"""The progress line of a run: step, objective, best gap so far, distance to the constraint."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

EVERY = 10  # steps between updates


class Live:
    """A context manager and a callback of ``lionk.minimize``; silent where the console is no terminal."""

    def __init__(self, console: Console, tol: float, quiet: bool) -> None:
        self.tol, self.step = tol, 0
        self.first = self.best = math.nan  # gap/|F|
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("step {task.fields[nit]:>5}"),
            BarColumn(bar_width=24),
            TextColumn("F {task.fields[F]:.6g}   best gap/|F| {task.fields[gap]:.1e}"),
            TextColumn("distance {task.fields[distance]:.1e}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )

    def __enter__(self) -> Live:
        self._progress.start()
        self._task = self._progress.add_task("", total=1.0, nit=0, F=math.nan, gap=math.nan, distance=math.nan)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, info: Any) -> None:
        self.step = info.nit
        relative = info.gap / abs(info.objective) if info.objective else math.nan
        if math.isfinite(relative):
            self.first = relative if math.isnan(self.first) else self.first
            self.best = relative if math.isnan(self.best) else min(self.best, relative)
        if info.nit % EVERY or self._progress.disable:
            return
        self._progress.update(
            self._task,
            completed=self._done(),
            nit=info.nit,
            F=info.f if math.isinf(info.objective) else info.objective,
            gap=self.best,
            distance=info.distance,
        )

    def _done(self) -> float:
        """How much of the way to the tolerance, on a logarithmic scale."""
        if not (0 < self.tol < self.first and 0 < self.best < self.first):
            return 0.0
        return min(math.log(self.first / self.best) / math.log(self.first / self.tol), 1.0)
