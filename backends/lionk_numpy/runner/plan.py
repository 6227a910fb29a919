"""How one recorded step runs on NumPy arrays of one kind: its text, compiled once, and the tasks for given arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from threading import local
from typing import Any

from lionk.optimizer.lion_k import LionK
from lionk.recording.emit import Arrays, buffered, chunks, tile
from lionk.recording.passes import Step, Task, replay
from lionk.recording.program import COMPARISONS, LOGICAL, PARTS, PYTHON, TESTS, UNARY, NotTraceableError, Program
from lionk.recording.record import Extent, step_program
from lionk.recording.threads import threads

from .compiled import Loops, compilable
from .text import APART, CALLS, over, select, tally

# Entries that a thread takes at once: so few that a tile and its buffers stay in a cache, so many that threads do not
# wait for the interpreter, and for each other, between two calls.
TILE = 1 << 18
GATHERED = 1 << 16  # entries, at most, of small arrays that are stepped as one
COMPILE = 1 << 18  # entries from which on a loop is worth its compilation
LOOPS = 8  # passes, at most, that are: each takes a second


class Plan:
    """One record for arrays of given dtypes, with its passes as functions of tiles."""

    def __init__(self, program: Program, extent: Extent, betas: tuple[float, float], compiled: bool) -> None:
        import numpy as np

        self.program, self.passes, self.extent, self._betas = program, program.passes(), extent, betas
        self._compiled = compiled and len(self.passes) <= LOOPS and compilable(program)
        self._texts = [buffered(program, p, CALLS, APART) for p in self.passes]
        space = {"np": np, "select": select, "tally": tally, "over": over(program)}
        self._tiles = [tile(t, space) for t in self._texts]
        self._loops: list[Loops] = []  # made when first needed
        self._own = local()

    def known(self, rate: Any, decay: Any, like: Any) -> dict[int, Any]:
        """The numbers known before the first pass."""
        import array_api_compat.numpy as xp

        return self.program.given(xp, like, rate, decay, self._betas)

    def replay(self, known: dict[int, Any], arrays: Arrays) -> Step:
        """The step of one array; it is compiled for large ones that lie in one piece."""
        arrays = in_order(arrays) if self.program.along is None else self.extent.viewed(arrays)
        loops = self.loops(arrays)
        streams = loops and self._made[0].alone  # nothing in a cache is read again
        limit = max(TILE, arrays[0].size // (4 * threads())) if streams else TILE
        run = self._by_loops if loops else self._by_tiles
        return replay(self.program, self.passes, known, _meaning(), run, arrays, limit)

    @property
    def _made(self) -> list[Loops]:
        if not self._loops:
            self._loops = [Loops(self.program, p) for p in self.passes]
        return self._loops

    def many(self, known: dict[int, Any], places: Any, sizes: Any) -> Task | None:
        """The step of many small contiguous arrays at these addresses, in one call; None if there is no loop for it."""
        if not (self._compiled and self._made[0].alone):
            return None
        return partial(self._made[0].many, places, sizes, *self._numbers(known))

    def _numbers(self, known: dict[int, Any]) -> list[Any]:
        found: list[Any] = self.program.numbers(self.passes[0].numbers, known, _meaning())
        return found

    def loops(self, arrays: Arrays) -> bool:
        """Are compiled loops for these arrays, large ones in one piece? Once they are made, for small ones too."""
        large, ndim = arrays[0].size >= COMPILE or bool(self._loops), 1 if self.program.along is None else 2
        return self._compiled and large and all(a.ndim == ndim and a.flags.c_contiguous for a in arrays)

    def _by_tiles(self, k: int, arrays: Arrays, numbers: list[Any]) -> list[Any]:
        return [self._tiles[k](*arrays, *numbers, *self._buffers(k, self._texts[k].buffers, arrays[0].shape))]

    def _by_loops(self, k: int, arrays: Arrays, numbers: list[Any]) -> list[Any]:
        run, buffers = self._loops[k].run, self._loops[k].buffers
        return [run(*arrays, *numbers, *self._buffers(("loops", k), buffers, arrays[0].shape))]

    def gathered(self, known: dict[int, Any], group: list[Arrays]) -> Iterator[Task]:
        """Tasks for many small arrays: as many as fit in a tile at a time."""
        numbers = self._numbers(known)
        return (
            partial(self._together, some, numbers) for some in chunks(group, lambda arrays: arrays[0].size, GATHERED)
        )

    def _together(self, group: list[Arrays], numbers: list[Any]) -> None:
        import numpy as np

        x, m, grad = (np.concatenate([a.reshape(-1) for a in column]) for column in zip(*group, strict=True))
        self._by_tiles(0, (x, m, grad), numbers)
        start = 0
        for a, b, _ in group:
            end = start + a.size
            a[...] = x[start:end].reshape(a.shape)
            b[...] = m[start:end].reshape(b.shape)
            start = end

    def _buffers(self, room: Any, wanted: dict[str, Any], shape: tuple[int, ...]) -> list[Any]:
        """This thread's buffers for a pass, in this shape."""
        import numpy as np

        every: dict[Any, list[Any]] = self._own.__dict__
        size = math.prod(shape)
        if wanted and (room not in every or every[room][0].size < size):  # a slice may be longer than a tile
            every[room] = [np.empty(max(TILE, GATHERED, size), dtype) for dtype in wanted.values()]
        return [b[:size].reshape(shape) for b in every[room]] if wanted else []


def plan(opt: LionK, K: Any, extent: Extent, arrays: Arrays, compiled: bool) -> Plan | None:
    """The plan for arrays like these, or None where the reference must run."""
    import array_api_compat.numpy as xp

    try:
        x, m, grad = extent.viewed(arrays)
        native = all(a.dtype.isnative for a in arrays)
        program = step_program(opt, K, xp, (x.dtype, m.dtype, grad.dtype), x.shape)
        return Plan(program, extent, opt.betas, compiled and native)
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
        **PARTS,
        **dict.fromkeys(("full", "number", "astype"), lambda value, dtype: dtype.type(value)),
        **{f"all_{op}": partial(getattr(np, op), axis=0) for op in ("sum", "max", "min")},
    }
