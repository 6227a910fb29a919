"""How one recorded step runs on NumPy arrays of one kind: its text, compiled once, and the tasks for given arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from threading import local
from typing import Any

from lionk.optimizer import LionK
from lionk.replay import Arrays, buffered, chunks, pieces, tile
from lionk.threads import run_all
from lionk.trace import COMPARISONS, LOGICAL, PYTHON, TESTS, UNARY, NotTraceableError, Pass, Program, step_program

from ._compiled import compilable, loop_of
from ._text import APART, CALLS, select

TILE = 1 << 16  # entries: a tile and its buffers stay in cache, and a call takes longer than its overhead
PIECE = 1 << 18  # entries that a thread takes at once
COMPILE = 1 << 18  # entries from which on a loop is worth its compilation

Task = Callable[[], None]


class Plan:
    """One record for arrays of given dtypes, with its passes as functions of tiles."""

    def __init__(self, program: Program, compiled: bool) -> None:
        import numpy as np

        self.program, self.passes = program, program.passes()
        self._texts = [buffered(program, p, CALLS, APART) for p in self.passes]
        self._tiles = [tile(t, {"np": np, "select": select}) for t in self._texts]
        self._loop = loop_of(program) if compiled and compilable(program) else None
        self._own = local()

    def known(self, rate: Any, decay: Any, like: Any) -> dict[int, Any]:
        """The numbers known before the first pass."""
        import array_api_compat.numpy as xp

        return self.program.given(xp, like, lr=rate, weight_decay=decay)

    def _numbers(self, p: Pass, known: dict[int, Any]) -> list[Any]:
        return self.program.numbers(p.numbers, known, _meaning())

    # -- tasks ---------------------------------------------------------------------------------------------------

    def tasks(self, known: dict[int, Any], arrays: Arrays) -> list[Task]:
        """Make all passes but the last, and give the tasks of that one."""
        arrays = in_order(arrays)
        for k, p in enumerate(self.passes[:-1]):
            self._reduce(k, p, known, arrays)
        numbers = self._numbers(self.passes[-1], known)
        size, flat = arrays[0].size, all(a.ndim == 1 and a.flags.c_contiguous for a in arrays)
        if self._loop is not None and flat and size >= COMPILE:
            real, places = arrays[0].dtype.type, self.passes[-1].numbers
            varying = [i for i in places if self.program.nodes[i].op != "constant"]
            given = [real(known[i]) for i in varying]
            return [partial(self._loop, *part, *given) for part in pieces(arrays, PIECE)]
        return [partial(self._step, part, numbers) for part in pieces(arrays, PIECE)]

    def _step(self, arrays: Arrays, numbers: list[Any]) -> None:
        for part in pieces(arrays, TILE):
            self._tiles[-1](*part, *numbers, *self._buffers(-1, part[0].shape))

    def _reduce(self, k: int, p: Pass, known: dict[int, Any], arrays: Arrays) -> None:
        """Reduce tile by tile, then over the tiles in their order: the result does not depend on the threads."""
        numbers, parts = self._numbers(p, known), list(pieces(arrays, TILE))
        found: list[Any] = [None] * len(parts)

        def task(i: int) -> None:
            found[i] = self._tiles[k](*parts[i], *numbers, *self._buffers(k, parts[i][0].shape))

        run_all(partial(task, i) for i in range(len(parts)))
        meaning = _meaning()
        for i, column in zip(p.targets, zip(*found, strict=True), strict=True):
            known[i] = meaning[f"all_{self.program.nodes[i].op}"](column)

    def gathered(self, known: dict[int, Any], group: list[Arrays]) -> Iterator[Task]:
        """Tasks for many small arrays: as many as fit in a tile at a time."""
        numbers = self._numbers(self.passes[-1], known)
        return (partial(self._together, some, numbers) for some in chunks(group, TILE))

    def _together(self, group: list[Arrays], numbers: list[Any]) -> None:
        import numpy as np

        x, m, grad = (np.concatenate([a.reshape(-1) for a in column]) for column in zip(*group, strict=True))
        self._step((x, m, grad), numbers)
        start = 0
        for a, b, _ in group:
            end = start + a.size
            a[...] = x[start:end].reshape(a.shape)
            b[...] = m[start:end].reshape(b.shape)
            start = end

    def _buffers(self, k: int, shape: tuple[int, ...]) -> list[Any]:
        """This thread's buffers for a pass, in this shape."""
        import numpy as np

        k %= len(self._texts)
        every: dict[Any, list[Any]] = self._own.__dict__
        if k not in every:
            every[k] = [np.empty(TILE, dtype) for dtype in self._texts[k].buffers.values()]
        size = math.prod(shape)
        return every[k] if shape == (TILE,) else [b[:size].reshape(shape) for b in every[k]]


def plan(opt: LionK, K: Any, arrays: Arrays, compiled: bool) -> Plan | None:
    """The plan for arrays like these, or None where the reference must run."""
    import array_api_compat.numpy as xp

    try:
        x, m, grad = arrays
        native = all(a.dtype.isnative for a in arrays)
        return Plan(step_program(opt, K, xp, (x.dtype, m.dtype, grad.dtype), x.size), compiled and native)
    except NotTraceableError:
        return None


def in_order(arrays: Arrays) -> Arrays:
    """The arrays with one axis if they lie in memory in one common order, else with the slowest axis first."""
    strides = arrays[0].strides
    axes = sorted(range(len(strides)), key=lambda k: -abs(strides[k]))
    turned = [a.transpose(axes) for a in arrays]
    if all(a.flags.c_contiguous for a in turned):
        turned = [a.reshape(-1) for a in turned]
    return turned[0], turned[1], turned[2]


@cache
def _meaning() -> dict[str, Callable[..., Any]]:
    """NumPy's operations on numbers: those of Python where both are Python's, as in the reference."""
    import array_api_compat.numpy as xp
    import numpy as np

    return {
        **{op: getattr(xp, op) for op in (*UNARY, *TESTS, *LOGICAL, "where", "maximum", "minimum", "hypot", "atan2")},
        **PYTHON,
        **{op: getattr(xp, op) for op in COMPARISONS},
        "full": lambda value, dtype: dtype.type(value),
        "astype": lambda value, dtype: dtype.type(value),
        "all_sum": np.sum,
        "all_max": np.max,
        "all_min": np.min,
    }
