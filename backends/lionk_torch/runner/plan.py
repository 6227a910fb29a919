"""How one recorded step runs on tensors of one kind: its text as calls on tiles, or fused by torch.compile."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, lru_cache, partial
from typing import Any

from lionk.optimizer.lion_k import LionK
from lionk.recording.emit import Arrays, Text, buffered, contracted, in_calls, scalar, tile, with_factors
from lionk.recording.extent import Extent
from lionk.recording.passes import Replay, Step, Task, replay
from lionk.recording.places import Places
from lionk.recording.plan import Buffers, Known, in_order
from lionk.recording.record import step_program
from lionk.recording.selection import tally

from . import choices
from .numbers import operations
from .text import APART, CALLS, EXPRESSIONS

# Entries of a tile on a CPU, for each thread of PyTorch: so many that a call costs little beside its work, so few that
# what a tile reads, writes and keeps in buffers, five arrays for l1, stays in the second cache. PyTorch shares them
# among its threads. Threads of Python would wait for the interpreter after each call, which takes longer than the call.
TILE = 1 << 16
ALONE = 1 << 15  # entries up to which PyTorch takes one thread
# Threads up to which one makes the tiles: two do not halve so short a call, and every call waits for the later one, for
# milliseconds where another process has its processor.
FEW = 2
LOOPS = 8  # passes, at most, that are compiled: each takes a second
DEVICE_TILE = 1 << 24  # elsewhere a call is launched, and a tile must be worth it


class Plan:
    """One record for tensors of given dtypes, with its passes as functions of tiles."""

    def __init__(
        self, opt: LionK, K: Any, extent: Extent, arrays: Arrays, kind: Any, numbers: bool, rounded: bool
    ) -> None:
        """``kind``: what these tensors have in common; ``numbers``: lr and weight decay will be no tensors;
        ``rounded``: must every operation round, as in a compiled loop?
        """
        import array_api_compat.torch as xp

        x = extent.viewed(arrays)[0]
        self.K, self.extent, self.kind, self.device, self.betas = K, extent, kind, x.device, opt.betas
        # A guess is looked at, which waits for a device; tensors as lr or decay say that nothing should be.
        guesses = numbers and x.device.type == "cpu"
        self.exact = step_program(opt, K, xp, tuple(a.dtype for a in arrays), tuple(x.shape), guesses)
        self.written = [k for k, name in enumerate(self.exact.arrays) if name in self.exact.outputs]
        called = in_calls(self.exact)
        self.program = with_factors(called if rounded else contracted(called, numbers))
        self.passes = self.program.passes()
        # Does it count and collect, to find an order statistic? Its passes make the readout again, and must all round
        # it alike; the other plans are compiled where each of their passes is worth it.
        self.searches = any(n.op == "order_statistic" for n in self.exact.nodes)
        self.sliced, self.counts = self.exact.along is not None, "index" in self.exact.arrays
        self.fusable = len(self.passes) <= LOOPS and not self.searches and not self.sliced
        self._texts = [buffered(self.program, p, CALLS, APART) for p in self.passes]
        self._wanted = [list(t.buffers.values()) for t in self._texts]
        self.known, self.first = Known(self._find), Known(lambda *given: self.numbers(self.known(*given)))
        self._buffers = Buffers(partial(_empty, device=self.device), limit(self.device))
        self._counted = Buffers(partial(_counted, device=self.device), limit(self.device))

    @cached_property
    def _tiles(self) -> list[Callable[..., Any]]:
        """Made when first needed: where NumPy makes the step, they are not."""
        import torch

        over = {"dim": self.exact.along, "keepdim": True} if self.sliced else {}
        space = {"torch": torch, "tally": _tally, "over": over}
        space |= {f.__name__: f for f in (choices.compare, choices.isfinite, choices.select)}
        return [tile(t, self.exact.arrays, dict(space)) for t in self._texts]

    def _find(self, rate: Any, decay: Any, *keys: int) -> dict[int, Any]:
        import array_api_compat.torch as xp

        known = self.exact.given(xp, rate, decay, self.betas, keys)
        self.program.numbers(self.passes[0].numbers, known, operations())  # once for all tensors
        return known

    def replay(self, known: dict[int, Any], arrays: Arrays) -> Step:
        return replay(self.program, self.passes, known, operations(), self.run, arrays, self.limit)

    @property
    def limit(self) -> int:
        """Entries of a tile; with few threads, so many that a call is made by one."""
        import torch

        alone = self.device.type == "cpu" and torch.get_num_threads() <= FEW
        return min(limit(self.device), ALONE) if alone else limit(self.device)

    def at_once(self, arrays: Arrays) -> bool:
        """Is the step of these one pass over one tile?"""
        return len(self.passes) == 1 and not self.sliced and arrays[0].numel() <= self.limit

    def numbers(self, known: dict[int, Any]) -> list[Any]:
        """The numbers that the first pass takes."""
        found: list[Any] = self.program.numbers(self.passes[0].numbers, known, operations())
        return found

    def ready(self, k: int, shape: tuple[int, ...]) -> tuple[Callable[..., Any], list[Any]]:
        """Pass k, and its buffers for tiles of this shape."""
        return self._tiles[k], self._buffers.take(k, self._wanted[k], shape)

    def run(self, k: int, arrays: Arrays, numbers: list[Any]) -> list[Any]:
        tile, buffers = self.ready(k, arrays[0].shape)
        if self.counts:
            arrays = tuple(self.entries(a) if isinstance(a, Places) else a for a in arrays)
        return [tile(*arrays, *numbers, *buffers)]

    def entries(self, places: Places) -> Any:
        """The places as a tensor, until the thread asks again."""
        import torch

        counted, out = self._counted.take("places", [torch.int32] * 2, places.shape)
        return torch.add(counted, places.start, out=out)


class Host:
    """The plan of NumPy, whose loops numba compiles, on the memory of tensors of a CPU: bit for bit the reference."""

    def __init__(self, plan: Any) -> None:
        self._plan = plan

    @staticmethod
    def of(theirs: Plan, like: Arrays) -> Host | None:
        from lionk_numpy import borrowed

        found = borrowed(theirs.exact, theirs.extent, theirs.betas) if all(map(_is_host, like)) else None
        return Host(found) if found else None

    @property
    def tiled(self) -> bool:
        """Are there tiles, too, where loops are not worth their compilation, or do not fit?"""
        return bool(self._plan.tiled)

    def replay(self, numbers: tuple[Any, ...], arrays: Arrays) -> Step | None:
        """The step of these tensors, given lr, decay and keys; None where it takes tiles that there are not."""
        memory = _memory(arrays)
        if not (self.tiled or self._plan.loops(memory)):
            return None
        step: Step = self._plan.replay(self._plan.known(*numbers), memory)
        return step

    def expect(self, entries: int) -> None:
        """Tell the plan that this many entries will be stepped at once."""
        self._plan.expect(entries)

    def step(self, numbers: tuple[Any, ...], arrays: Arrays) -> None:
        """The step of small tensors of one axis."""
        self._plan.at_once(self._plan.known(*numbers), _memory(arrays))

    def many(self, numbers: tuple[Any, ...], places: Any, sizes: Any) -> Task | None:
        """The step of many small contiguous tensors at these addresses, or None if there is no loop for them."""
        task: Task | None = self._plan.many(self._plan.known(*numbers), places, sizes)
        return task


def _tally(r: Any, low: float, high: float) -> tuple[Any, ...]:
    """Count and collect by NumPy, whose comparisons are seven times faster."""
    return tally(r.numpy(), low, high)


def _empty(size: int, dtype: Any, device: Any) -> Any:
    import torch

    return torch.empty(size, dtype=dtype, device=device)


def _counted(size: int, dtype: Any, device: Any) -> Any:
    import torch

    return torch.arange(size, dtype=dtype, device=device)


def _is_host(a: Any) -> bool:
    import torch

    if isinstance(a, Places):
        return True
    halves = (torch.float16, torch.bfloat16)
    return a.device.type == "cpu" and a.dtype in (torch.float32, torch.float64, torch.int32, *halves)


def _memory(arrays: Arrays) -> Arrays:
    """The tensors as arrays of NumPy; of numbers with 16 bits, as integers."""
    import torch

    plain = (a if isinstance(a, Places) else a.detach() for a in arrays)
    halves = (torch.float16, torch.bfloat16)
    return tuple(
        a if isinstance(a, Places) else (a.view(torch.int16) if a.dtype in halves else a).numpy() for a in plain
    )


class Fused:
    """The record without buffers, each pass compiled into one loop for tensors of one axis and any length."""

    def __init__(self, plan: Plan) -> None:
        self.program, self.passes = plan.exact, plan.exact.passes()
        texts = [scalar(self.program, p, EXPRESSIONS, lambda v, _: repr(v)) for p in self.passes]
        dtypes = tuple(n.dtype for n in self.program.nodes if n.op == "input")
        counted = ["index = torch.arange(x.shape[0], dtype=torch.int32, device=x.device) + index"]
        start = counted if "index" in self.program.arrays else []
        self._loops = [
            _fused(self.program.arrays, *map(tuple, (start + t.lines, t.numbers, t.results)), (*dtypes, plan.device))
            for t in texts
        ]
        self._real = next(n.dtype for n in self.program.nodes if n.op == "input" and not n.array)

    def replay(self, known: dict[int, Any], arrays: Arrays) -> Replay:
        return Replay(self.program, self.passes, known, operations(), self._run, arrays, lambda whole: [alone(whole)])

    def _run(self, k: int, arrays: Arrays, numbers: list[Any]) -> list[Any]:
        import torch

        places = zip(self.passes[k].numbers, numbers, strict=True)
        varying = ((v, self.program.nodes[i].dtype) for i, v in places if self.program.nodes[i].op != "constant")
        # numbers as tensors, whose values may change without compiling again
        ready = [
            v if hasattr(v, "dtype") else torch.tensor(v, dtype=self._real if d is None or d.is_floating_point else d)
            for v, d in varying
        ]
        there = (torch.tensor(a.start, dtype=torch.int32) if isinstance(a, Places) else a for a in arrays)
        return [self._loops[k](*there, *ready)]


@lru_cache(256)
def _fused(
    arrays: tuple[str, ...], lines: tuple[str, ...], numbers: tuple[str, ...], results: tuple[str, ...], _kind: Any
) -> Any:
    """A compiled pass. It serves every optimizer with the same text, whatever its lr, decay and betas."""
    import torch

    text = Text(list(lines), list(numbers), {}, list(results))
    space = {"torch": torch, "inf": math.inf, "nan": math.nan}
    return torch.compile(tile(text, arrays, space), dynamic=True, fullgraph=True)


def limit(device: Any) -> int:
    """How many entries a tile has on this device."""
    import torch

    return DEVICE_TILE if device.type != "cpu" else TILE * torch.get_num_threads()


def plain(a: Any) -> bool:
    """Has this tensor memory of its own here, and nobody who watches: no DTensor, none of a trace, not sparse?"""
    import torch

    return type(a) in (torch.Tensor, torch.nn.Parameter) and a.layout is torch.strided and not a.is_meta


def fits(arrays: Arrays) -> bool:
    """Is a compiled loop for these? Each layout would be compiled for itself, and a few entries take less by tiles."""
    there = [a for a in arrays if not isinstance(a, Places)]
    return all(a.ndim == 1 and a.is_contiguous() for a in there) and arrays[0].numel() > ALONE


def alone(arrays: Arrays) -> Arrays:
    """The memory of contiguous tensors as tensors that are no views: torch.compile looks at the base of a view."""
    import torch

    def plain(a: Any) -> Any:
        if isinstance(a, Places):
            return a
        empty = torch.empty(0, dtype=a.dtype, device=a.device)
        return empty.set_(a.untyped_storage(), a.storage_offset(), (a.numel(),), (1,))

    return tuple(map(plain, arrays))


def seeing(plan: Plan, arrays: Arrays) -> Callable[[Any], Any]:
    """A function that views tensors, which lie in memory like these, as the plan takes them."""
    import torch

    if plan.sliced:
        return lambda a: plan.extent.viewed((a, a, a))[0]
    there = tuple(a.detach() for a in arrays if not isinstance(a, Places))
    see = in_order(there, there[0].stride(), torch.permute, torch.Tensor.is_contiguous)
    return lambda a: a if isinstance(a, Places) else see(a.detach())
