"""Times that can be compared: of pairs of neighbours, in turns, as ratios, with what they can be trusted to.

A machine that is shared with others is fast and slow in turns. What is measured within a few milliseconds of each other
has seen the same machine, so a ratio is taken of every pair, and of the ratios the median.
"""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from .scenes import FUNCTIONS, Scene, quiet, scenes
from .steps import LARGE, MODELS, Count, Stepped, available
from .tracked import TRACKED

Clock = Callable[[], float]  # makes a turn, and says how many seconds a call took
TURN = 1.5e-3  # seconds of a turn: so many that the clock does not count, so few that most turns are not interrupted
LEAST = 1e-3  # a turn of so many seconds is long enough


class Ratio(NamedTuple):
    """The median of the ratios of pairs, and bounds that hold it in 99 of 100 runs if pairs are independent."""

    value: float
    low: float
    high: float
    pairs: int


def ratio(pairs: list[tuple[float, float]]) -> Ratio:
    """The ratio of the second times to the first ones. Its bounds are order statistics and assume nothing of the times.

    So many ratios lie below the median as heads fall in as many throws; with fewer than eight pairs there is no bound.
    """
    values = sorted(b / a for a, b in pairs)
    n = len(values)
    tail, skip, ways = 0, 0, 1  # whole numbers, which no number of pairs makes too large
    for k in range(n // 2):
        tail += ways
        if 200 * tail > 2**n:
            break
        skip, ways = k + 1, ways * (n - k) // (k + 1)
    if not skip:
        return Ratio(median(values), 0.0, math.inf, n)
    return Ratio(median(values), values[skip - 1], values[n - skip], n)


def turns(first: Clock, second: Clock, seconds: float, least: int = 20) -> list[tuple[float, float]]:
    """Pairs of times, in the order a b, b a, a b, ...: what changes steadily changes both alike."""
    pairs: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while len(pairs) < least or time.perf_counter() < end:
        if len(pairs) % 2:
            b = second()
            pairs.append((first(), b))
        else:
            a = first()
            pairs.append((a, second()))
    return pairs


def clock(thunk: Callable[[], Any]) -> Clock:
    """A turn is as many calls as fill it. The first calls, which compile and look up, are made here."""
    for _ in range(3):
        thunk()
    calls = 1
    while (taken := timed(thunk, calls)) * calls < LEAST:
        calls = max(2 * calls, min(1000 * calls, int(TURN / max(taken, 1e-9))))
    return partial(timed, thunk, calls)


def timed(thunk: Callable[[], Any], calls: int) -> float:
    """Seconds for a call, of so many in a row, without garbage collection, and without those in which other programs
    had the processor, where the system tells them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        waited = delayed()
        start = time.perf_counter()
        for _ in range(calls):
            thunk()
        taken = time.perf_counter() - start
        return max(taken - (delayed() - waited), 1e-9) / calls
    finally:
        if enabled:
            gc.enable()


def delayed() -> float:
    """Seconds that this thread was ready to run and waited for a processor; 0 where the system does not tell."""
    try:
        with open("/proc/thread-self/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def reference(entries: int = 0) -> Callable[[], Any]:
    """The loop that is compared with: five streams through the memory of so many entries, or, for small things, calls
    of Python and NumPy.
    """
    if entries:
        x, m, grad = np.ones((3, entries), dtype=np.float32)

        def streams() -> None:
            np.add(x, grad, out=x)
            np.add(m, grad, out=m)

        return streams
    a, b = np.linspace(0.0, 1.0, 6), np.linspace(1.0, 2.0, 6)

    def part(x: Any) -> Any:
        return np.sum(np.sign(x) * b) + len(x)

    def loop() -> None:
        for _ in range(10):
            part(a + b)

    return loop


def timeable() -> Iterator[Scene]:
    """What is timed: scenes that take long enough, or that users come by often."""
    for s in scenes():
        evaluated = s.case in FUNCTIONS and s.subject in ("value", "subgradient", "conjugate")
        if evaluated or s.subject not in ("value", "subgradient", "conjugate"):
            yield s
    for name in ("numpy:tiles", "numpy:numba", "torch:tiles", "torch:numba", "jax:jit"):
        library, _, runner = name.partition(":")
        for model, sizes in MODELS.items():
            yield Scene("runner", f"{name}, {model}", partial(_stepped, library, runner, sizes))
    for model, sizes in MODELS.items():
        yield Scene("torch optimizer", model, partial(_optimizer, sizes))


def _stepped(library: str, runner: str, sizes: list[int], _: Any) -> Callable[[], Any]:
    return Stepped(library, runner, sizes)


def _optimizer(sizes: list[int], _: Any) -> Callable[[], Any]:
    from .on_torch import optimizer

    return optimizer(sizes)


def playable(scene: Scene) -> Callable[[], Any]:
    """The scene on NumPy's arrays as a function without arguments; of a rate, so many iterates."""
    thunk = scene.make(np.asarray)
    if scene.rate is not None:
        thunk = partial(thunk, scene.rate[0])
    return (
        partial(quiet, thunk)
        if scene.rate is not None or scene.subject in ("start of minimize", "checkpoint")
        else thunk
    )


UNIT = "times the reference loop"


def ratios(seconds: float = 0.3) -> Iterator[Count]:
    """The tracked scenes."""
    for name in TRACKED:
        subject, _, case = name.partition(", ")
        yield Count(subject, case, UNIT, partial(lambda name: measured(*prepared(name), seconds=seconds), name))


def prepared(name: str) -> tuple[Clock, Clock]:
    """The clocks of the reference loop and of a scene. Raises NotImplementedError where it cannot be played."""
    scene = next((s for s in timeable() if f"{s.subject}, {s.case}" == name), None)
    library = scene.case.partition(":")[0] if scene and scene.subject == "runner" else ""
    if scene is None or (library and not available(library)):
        raise NotImplementedError(f"{name} is not here")
    return clock(reference(LARGE if name.endswith("2^20") else 0)), clock(playable(scene))


def measured(first: Clock, second: Clock, seconds: float = 0.3) -> float:
    """The median of ratios, to four digits."""
    return float(f"{ratio(turns(first, second, seconds)).value:.4g}")


def process(code: str) -> Clock:
    """Seconds of a new interpreter for this code."""
    command = [sys.executable, "-c", code]
    return lambda: timed(partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL), 1)
