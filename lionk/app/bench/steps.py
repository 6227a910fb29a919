"""A number and its name, and the step of a runner, of which most are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import lionk

from . import counting
from .scenes import quiet

LARGE = 1 << 20  # entries
WHEN = ("first step", "3 later steps", "first step of another")  # when something may be compiled
MODELS = {"one of 100": [100], "50 of 100": [100] * 50, "one of 2^20": [LARGE]}


class Count(NamedTuple):
    """A number under a name. ``needs``: the library whose version it depends on, "python" for that; empty for none."""

    subject: str
    case: str
    unit: str
    value: Callable[[], float]
    needs: str = ""


def worked(subject: str, case: str, make: Callable[[], Callable[[], Any]]) -> Iterator[Count]:
    """Calls and lines of what ``make`` gives, once it has run twice."""
    found: list[counting.Work] = []

    def once() -> counting.Work:
        if not found:
            thunk = make()
            quiet(thunk)
            quiet(thunk)
            found.append(quiet(lambda: counting.work(thunk)))
        return found[0]

    yield Count(subject, case, "calls", lambda: once().calls, "python")
    yield Count(subject, case, "lines", lambda: once().lines, "python")


def ready(make: Callable[[], Callable[[], Any]], when: str) -> Callable[[], Any]:
    """The steps of ``WHEN``; what comes before them is done. "Another" is a second optimizer with the same options."""
    step = make()
    if when != WHEN[0]:
        step()
    if when == WHEN[2]:
        step = make()
    return lambda: [step() for _ in range(3 if when == WHEN[1] else 1)]


def available(library: str) -> bool:
    """Can arrays of this library be made here?"""
    return library in lionk.backends() and lionk.backends()[library].available()


class Stepped:
    """A runner with arrays of its own; a call is a step, each with another learning rate."""

    def __init__(self, library: str, name: str, sizes: list[int], K: Any = "l1") -> None:
        self.backend = lionk.backends()[library]
        if name not in self.backend.runners():
            raise NotImplementedError(f"{library} has no runner {name!r} here")
        self.run = self.backend.runner(lionk.LionK(K, 1e-3, weight_decay=0.1), name)
        rng = np.random.default_rng(0)
        self.x, self.m, self.grad = (
            [self.backend.asarray(rng.standard_normal(n, dtype=np.float32)) for n in sizes] for _ in range(3)
        )
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
        x, m = self.run(self.x, self.m, self.grad, lr=1e-3 / self.count)
        self.x, self.m = self.backend.synchronize(x), self.backend.synchronize(m)


def runners(library: str, *names: str, models: tuple[str, ...] = tuple(MODELS)) -> Iterator[Count]:
    for name in names:
        for model in models:
            yield from worked("runner", f"{library}:{name}, {model}", partial(Stepped, library, name, MODELS[model]))
