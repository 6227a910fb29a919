"""Recorded steps of many arrays at once: pass by pass, each of them for all arrays together, on the threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, Protocol

from ..arrays import namespace as _xp
from .emit import Arrays, pieces
from .places import Places
from .program import Pass, Program
from .selection import SAMPLE, Ranking, Tally, brackets
from .threads import one_after_the_other, run_all

Task = Callable[[], None]


class Step(Protocol):
    """The step of one array, in parts that are worked on side by side."""

    def rounds(self) -> Iterator[list[Task]]:
        """Lists of tasks, of which each is done before the next is asked for."""


class Replay:
    """The recorded step of one array. Every tile reduces for itself; then the tiles are reduced, in their order.

    ``run(k, part, numbers)`` makes pass k on some of the entries, and gives what each of its tiles has reduced.
    ``split`` makes the parts of the arrays, which are worked on side by side.
    """

    def __init__(
        self,
        program: Program,
        passes: list[Pass],
        known: dict[int, Any],
        meaning: Mapping[str, Callable[..., Any]],
        run: Callable[[int, Arrays, list[Any]], list[Any]],
        arrays: Arrays,
        split: Callable[[Arrays], Iterable[Arrays]],
    ) -> None:
        self.program, self.passes, self.known = program, passes, dict(known)
        self._meaning, self._run, self._arrays, self._split = meaning, run, arrays, split
        self._found: list[list[Any]] = []

    def rounds(self) -> Iterator[list[Task]]:
        parts = list(self._split(self._arrays))
        for k, step in enumerate(self.passes):
            target = step.targets[0]
            if self.program.nodes[target].op == "order_statistic":
                yield from self._search(k, target, parts)
                continue
            if step.guesses and self._guessed(step):
                continue
            yield self._tasks(k, parts)
            if k < len(self.passes) - 1:
                self._settle(k)

    def _guessed(self, step: Pass) -> bool:
        """Is what this pass is for known from another one?"""
        found = self.program.numbers(step.guesses, self.known, self._meaning)
        if not all(bool((v == v).all()) for v in found):
            return False
        self.known |= zip(step.targets, found, strict=True)
        return True

    def _tasks(self, k: int, parts: list[Arrays], *more: float) -> list[Task]:
        numbers = self.program.numbers(self.passes[k].numbers, self.known, self._meaning)
        self._found = [[] for _ in parts]
        return [partial(self._one, k, [*numbers, *more], part, i) for i, part in enumerate(parts)]

    def _one(self, k: int, numbers: list[Any], part: Arrays, i: int) -> None:
        self._found[i] = self._run(k, part, numbers)

    def _settle(self, k: int) -> None:
        """The numbers that pass k was for."""
        columns = zip(*chain.from_iterable(self._found), strict=True)
        for i, column in zip(self.passes[k].targets, columns, strict=True):
            self.known[i] = self._meaning[f"all_{self.program.nodes[i].op}"](column)

    def _search(self, k: int, target: int, parts: list[Arrays]) -> Iterator[list[Task]]:
        """The order statistic that pass k is for: a round for a sample, and as many as it takes, mostly one."""
        wanted = self.program.nodes[self.program.nodes[target].args[1]].args[0]
        size = math.prod(self._arrays[0].shape)
        everything = (-math.inf, math.inf)
        tried: Iterable[tuple[float, float]] = (everything,)
        if size > 2 * SAMPLE:
            yield self._tasks(k, list(self._split(_sample(self._arrays, size // SAMPLE))), *everything)
            tried = brackets(self._ranking(everything), wanted, size)
        dtype = self.program.nodes[target].dtype
        for bracket in tried:  # the last one holds everything
            yield self._tasks(k, parts, *bracket)
            found = self._ranking(bracket).largest(wanted)
            if found is not None:
                self.known[target] = tuple(self._meaning["number"](v, dtype) for v in found)
                return

    def _ranking(self, bracket: tuple[float, float]) -> Ranking:
        return Ranking(*bracket, [Tally(*tally) for (tally,) in chain.from_iterable(self._found)])


class Apart:
    """The steps of parts that need nothing of each other: each makes all its passes on the thread that takes it."""

    def __init__(self, step: Callable[[Arrays], Step], parts: Iterable[Arrays]) -> None:
        self._step, self._parts = step, parts

    def rounds(self) -> Iterator[list[Task]]:
        yield [partial(self._one, part) for part in self._parts]

    def _one(self, part: Arrays) -> None:
        run_passes([self._step(part)], run=one_after_the_other)


def replay(
    program: Program,
    passes: list[Pass],
    known: dict[int, Any],
    meaning: Mapping[str, Callable[..., Any]],
    run: Callable[[int, Arrays, list[Any]], list[Any]],
    arrays: Arrays,
    limit: int,
) -> Step:
    """The recorded step of one array, in tiles of ``limit`` entries.

    Slices along the last axis lie in one piece each: a tile is of whole ones, and its step one by itself. Along another
    axis they are cut like all entries, and a tile reduces to one number for each of them.
    """
    last, along = arrays[0].ndim - 1, program.along
    step = partial(Replay, program, passes, known, meaning, run)
    if along == last:
        return Apart(partial(step, split=lambda part: [part]), pieces(arrays, limit, range(last)))
    return step(arrays, partial(pieces, limit=limit, axes=None if along is None else [along]))


def _sample(arrays: Arrays, every: int) -> Arrays:
    """One entry, or slice along the first axis, of ``every`` (an odd number of them, so that all columns occur)."""
    xp = _xp.namespace(arrays[0])
    step = min(every, arrays[0].shape[0]) | 1
    return tuple(a if isinstance(a, Places) else xp.asarray(a[::step], copy=True) for a in arrays)


def run_passes(steps: Iterable[Step], others: Iterable[Task] = (), run: Callable[[list[Task]], None] = run_all) -> None:
    """Make these steps; ``others`` are run beside the first pass."""
    going = [step.rounds() for step in steps]
    tasks = list(others)
    while True:
        rounds = [(one, some) for one in going if (some := next(one, None)) is not None]
        tasks += chain.from_iterable(some for _, some in rounds)
        if not tasks:
            return
        run(tasks)
        going, tasks = [one for one, _ in rounds], []
