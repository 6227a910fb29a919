"""How one recorded step runs on NumPy arrays of one kind: its text, compiled once, and the tasks for given arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

from lionk.optimizer.lion_k import LionK
from lionk.recording.emit import Arrays, buffered, chunks, tile
from lionk.recording.extent import Extent
from lionk.recording.passes import Step, Task, replay
from lionk.recording.places import Places
from lionk.recording.plan import Buffers, Known, in_order, meaning
from lionk.recording.program import NotTraceableError, Program
from lionk.recording.record import step_program
from lionk.recording.selection import tally
from lionk.recording.threads import threads

from .bits import Half
from .compiled import Loops, compilable
from .entries import HALVES
from .rows import Rows, rowwise
from .text import APART, CALLS, over, select

# Entries that a thread takes at once: so few that a tile and its buffers stay in a cache, so many that threads do not
# wait for the interpreter, and for each other, between two calls.
TILE = 1 << 18
GATHERED = 1 << 16  # entries, at most, of small arrays that are stepped as one
COMPILE = 1 << 18  # entries from which on a loop is worth its compilation
LOOPS = 8  # passes, at most, that are: each takes a second


class Plan:
    """One record for arrays of given dtypes, with its passes as functions of tiles."""

    def __init__(
        self, program: Program, extent: Extent, betas: tuple[float, float], compiled: bool, tiled: bool = True
    ) -> None:
        """``tiled``: has NumPy numbers of these dtypes, so that its functions take them? Else there are but loops."""
        import numpy as np

        self.program, self.passes, self.extent, self._betas = program, program.passes(), extent, betas
        self.compiled = compiled and len(self.passes) <= LOOPS and compilable(program)
        self._texts = [buffered(program, p, CALLS, APART) for p in self.passes]
        space = {"np": np, "select": select, "tally": tally, "over": over(program)}
        self.tiled = tiled
        self._tiles = [tile(t, program.arrays, space) for t in self._texts] if tiled else []
        halves = {n.args[0] for n in program.nodes if n.op == "input" and str(n.dtype) in HALVES}
        self._halves = [a in halves for a in program.arrays]
        self._loops: list[Loops] | list[Rows] = []  # made when first needed
        self._looped = self.passes  # as the loops make them
        self.known = Known(self._find)
        self._buffers = Buffers(np.empty, max(TILE, GATHERED))

    def _find(self, rate: Any, decay: Any, *keys: int) -> dict[int, Any]:
        import array_api_compat.numpy as xp

        known = self.program.given(xp, rate, decay, self._betas, keys)
        self.program.numbers(self.passes[0].numbers, known, _meaning())
        return known

    def replay(self, known: dict[int, Any], arrays: Arrays) -> Step:
        """The step of one array; it is compiled for large ones that lie in one piece."""
        if self.program.along is None:
            there = tuple(a for a in arrays if not isinstance(a, Places))
            see = in_order(there, arrays[0].strides, lambda a, axes: a.transpose(axes), _contiguous)
            arrays = tuple(a if isinstance(a, Places) else see(a) for a in arrays)
        else:
            arrays = self.extent.viewed(arrays)
        loops = self.loops(arrays)
        streams = loops and not any(loop.buffers for loop in self._made)  # nothing in a cache is read again
        limit = max(TILE, arrays[0].size // (4 * threads())) if streams else TILE
        passes, run = (self._looped, self._by_loops) if loops else (self.passes, self._by_tiles)
        return replay(self.program, passes, known, _meaning(), run, arrays, limit)

    @property
    def _made(self) -> list[Loops] | list[Rows]:
        if not self._loops:
            if rowwise(self.program):
                rows = Rows(self.program)
                self._loops, self._looped = [rows], [rows.step]
            else:
                self._loops = [Loops(self.program, p) for p in self.passes]
        return self._loops

    def many(self, known: dict[int, Any], places: Any, sizes: Any) -> Task | None:
        """The step of many small contiguous arrays at these addresses, in one call; None if there is no loop for it."""
        loop = self._made[0] if self.compiled else None
        if not (isinstance(loop, Loops) and loop.alone):
            return None
        return partial(loop.many, places, sizes, *self._numbers(known))

    def _numbers(self, known: dict[int, Any]) -> list[Any]:
        found: list[Any] = self.program.numbers(self.passes[0].numbers, known, _meaning())
        return found

    def expect(self, entries: int) -> None:
        """As many entries, of all arrays, will be stepped at once: where they are worth it, compile the loops."""
        if self.compiled and entries >= COMPILE:
            _ = self._made

    def loops(self, arrays: Arrays) -> bool:
        """Are compiled loops for these arrays, large ones in one piece? Once they are made, for small ones too."""
        large, ndim = arrays[0].size >= COMPILE or bool(self._loops), 1 if self.program.along is None else 2
        flat = all(isinstance(a, Places) or (a.ndim == ndim and a.flags.c_contiguous) for a in arrays)
        return self.compiled and large and flat

    def at_once(self, known: dict[int, Any], arrays: Arrays) -> None:
        """The step of arrays of one axis as one tile, where it is one pass."""
        run = self._by_loops if self.loops(arrays) and self._made else self._by_tiles
        run(0, arrays, self._numbers(known))

    def _by_tiles(self, k: int, arrays: Arrays, numbers: list[Any]) -> list[Any]:
        arrays = tuple(self._entries(a) if isinstance(a, Places) else a for a in arrays)
        buffers = self._buffers.take(k, [*self._texts[k].buffers.values()], arrays[0].shape)
        return [self._tiles[k](*arrays, *numbers, *buffers)]

    def _entries(self, places: Places) -> Any:
        import numpy as np

        (found,) = self._buffers.take("places", [np.int32], places.shape)
        return np.add(np.arange(places.shape[0], dtype=np.int32), places.start, out=found)

    def _by_loops(self, k: int, arrays: Arrays, numbers: list[Any]) -> list[Any]:
        import numpy as np

        arrays = tuple(
            a.start if isinstance(a, Places) else a.view(np.int16) if half else a
            for a, half in zip(arrays, self._halves, strict=True)
        )
        buffers = self._buffers.take(("loops", k), [*self._loops[k].buffers.values()], arrays[0].shape)
        return [self._loops[k].run(*arrays, *numbers, *buffers)]

    def gathered(self, known: dict[int, Any], group: list[Arrays]) -> Iterator[Task]:
        """Tasks for many small arrays: as many as fit in a tile at a time."""
        numbers = self._numbers(known)
        return (
            partial(self._together, some, numbers) for some in chunks(group, lambda arrays: arrays[0].size, GATHERED)
        )

    def _together(self, group: list[Arrays], numbers: list[Any]) -> None:
        import numpy as np

        names = self.program.arrays
        columns = [np.concatenate([self._flat(a) for a in column]) for column in zip(*group, strict=True)]
        self._by_tiles(0, tuple(columns), numbers)
        written = [k for k, name in enumerate(names) if name in self.program.outputs]
        start = 0
        for arrays in group:
            end = start + arrays[0].size
            for k in written:
                arrays[k][...] = columns[k][start:end].reshape(arrays[k].shape)
            start = end

    def _flat(self, a: Any) -> Any:
        return self._entries(a).copy() if isinstance(a, Places) else a.reshape(-1)


def borrowed(program: Program, extent: Extent, betas: tuple[float, float]) -> Plan | None:
    """The plan for the record of another library, whose arrays share their memory with NumPy's; None without loops.

    Numbers of 16 bits come as int16, in loops only.
    """
    import numpy as np

    def ours(dtype: Any, array: bool) -> Any:
        name = str(dtype).rpartition(".")[2]
        if name in HALVES:
            return Half(name) if array else np.dtype(np.float32)
        return None if dtype is None else np.dtype(name)

    nodes = tuple(n._replace(dtype=ours(n.dtype, n.array)) for n in program.nodes)
    program = replace(program, nodes=nodes)
    tiled = not any(str(n.dtype) in HALVES for n in nodes)
    found = Plan(program, extent, betas, True, tiled)
    return found if tiled or found.compiled else None


def plan(opt: LionK, K: Any, extent: Extent, arrays: Arrays, compiled: bool) -> Plan | None:
    """The plan for arrays like these, or None where the reference must run."""
    import array_api_compat.numpy as xp

    try:
        native = all(a.dtype.isnative for a in arrays)
        program = step_program(opt, K, xp, tuple(a.dtype for a in arrays), extent.viewed(arrays)[0].shape, True)
        return Plan(program, extent, opt.betas, compiled and native)
    except NotTraceableError:
        return None


def _contiguous(a: Any) -> bool:
    return bool(a.flags.c_contiguous)


@cache
def _meaning() -> dict[str, Callable[..., Any]]:
    """NumPy's operations on numbers."""
    import array_api_compat.numpy as xp
    import numpy as np

    own: dict[str, Any] = dict.fromkeys(("full", "number"), lambda value, dtype: dtype.type(value))
    own["astype"] = lambda value, dtype: dtype.type(value) if hasattr(value, "dtype") else value
    columns = {f"all_{op}": partial(getattr(np, op), axis=0) for op in ("sum", "max", "min")}
    return meaning(partial(getattr, xp), partial(getattr, xp), **own, **columns)
