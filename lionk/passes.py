"""Recorded steps of many arrays at once: pass by pass, each of them for all arrays together, on the threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain
from typing import Any

from .replay import Arrays
from .threads import run_all
from .trace import Pass, Program

Task = Callable[[], None]


class Replay:
    """The recorded step of one array. Every tile reduces for itself; then the tiles are reduced, in their order.

    ``run(k, part, numbers)`` makes pass k on some of the entries, and gives what each of its tiles has reduced.
    """

    def __init__(
        self,
        program: Program,
        passes: list[Pass],
        known: dict[int, Any],
        meaning: Mapping[str, Callable[..., Any]],
        run: Callable[[int, Arrays, list[Any]], list[Any]],
        parts: list[Arrays],
    ) -> None:
        self.program, self.passes, self.known = program, passes, dict(known)
        self._meaning, self._run, self._parts = meaning, run, parts
        self._found: list[list[Any]] = []

    def tasks(self, k: int) -> list[Task]:
        """Those of pass k, once the passes before are settled."""
        numbers = self.program.numbers(self.passes[k].numbers, self.known, self._meaning)
        self._found = [[] for _ in self._parts]
        return [partial(self._one, k, numbers, i) for i in range(len(self._parts))]

    def _one(self, k: int, numbers: list[Any], i: int) -> None:
        self._found[i] = self._run(k, self._parts[i], numbers)

    def settle(self, k: int) -> None:
        """The numbers that pass k was for."""
        columns = zip(*chain.from_iterable(self._found), strict=True)
        for i, column in zip(self.passes[k].targets, columns, strict=True):
            self.known[i] = self._meaning[f"all_{self.program.nodes[i].op}"](column)


def run_passes(steps: list[Replay], others: Iterable[Task] = (), run: Callable[[list[Task]], None] = run_all) -> None:
    """Make these steps; ``others`` are run beside the first pass."""
    run([*others, *(task for step in steps for task in step.tasks(0))])
    for k in range(1, max((len(step.passes) for step in steps), default=0)):
        left = [step for step in steps if k < len(step.passes)]
        for step in left:
            step.settle(k - 1)
        run([task for step in left for task in step.tasks(k)])
