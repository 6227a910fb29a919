"""Steps on tensors, in place: the recorded step replayed on tiles, or fused by torch.compile.

No buffer is larger than a tile. Small tensors are gathered, stepped together, and put back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from threading import local
from typing import Any

from lionk.backend import Last, Runner, arguments, check_memory, results
from lionk.optimizer import LionK
from lionk.replay import Arrays, buffered, chunks, pieces, scalar, tile
from lionk.threads import run_all, threads
from lionk.trace import NotTraceableError, step_program

from ._text import APART, CALLS, EXPRESSIONS

# Entries of a tile on a CPU: so many that a call costs little beside its work, so few that the buffers stay in the
# cache. The tiles are shared among threads here, each of which PyTorch is told to keep to itself, because the threads
# inside PyTorch wait for each other after every operation.
TILE = 3 << 17
ALONE = 1 << 15  # entries up to which PyTorch takes one thread by itself
DEVICE_TILE = 1 << 24  # elsewhere a call is launched, and a tile must be worth it
TILES = 2  # that a thread takes at once
SMALL = 1 << 14  # entries below which tensors are gathered
GATHERED = 1 << 15  # entries, at most, in one group of them: again so few that PyTorch takes one thread

Step = Callable[[Any, Any, Arrays], None]


def tiles(opt: LionK) -> Runner:
    """Replay the record on tiles, eagerly."""
    return _runner(opt, _tiled)


def compiled(opt: LionK) -> Runner:
    """The record, fused by torch.compile, in place; lr and weight decay change without compiling again."""
    return _runner(opt, _fused)


def _runner(opt: LionK, make: Callable[[LionK, Any, Arrays], Step]) -> Runner:
    steps: dict[Any, Step | None] = {}
    last = Last()

    def step_of(x: Any, m: Any, grad: Any, K: Any) -> Step | None:
        if not all(map(_plain, (x, m, grad))) or not x.numel() or 0 in x.stride() or 0 in m.stride():
            return None
        size = None if K.traits.structure == "elementwise" else x.numel()
        key = (id(K), x.dtype, m.dtype, grad.dtype, x.device, size)
        if key not in steps:
            try:
                steps[key] = make(opt, K, (x, m, grad))
            except NotTraceableError:
                steps[key] = None
        return steps[key]

    def apart(rate: Any, decay: Any, jobs: list[Any]) -> tuple[list[Any], list[Group]]:
        """Step the large tensors; give the results, and the groups of small ones, which are still to be stepped."""
        check_memory(jobs, _span, _share)
        done: list[tuple[Any, Any]] = []
        small: dict[Step, list[Arrays]] = {}
        for a, b, g, K in jobs:
            step = step_of(a, b, g, K)
            done.append(opt.update(a, b, g, rate, decay, K=K) if step is None else (a, b))
            if step is None:
                continue
            whole = K.traits.structure == "elementwise" and all(v.is_contiguous() for v in (a, b, g))
            if len(jobs) > 1 and a.numel() < SMALL and whole:
                small.setdefault(step, []).append((a, b, g))
            else:
                step(rate, decay, _in_order((a, b, g)))
        return done, [Group(step, some) for step, group in small.items() for some in chunks(group, GATHERED)]

    def run(x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None) -> tuple[Any, Any]:
        import torch

        rate, decay, jobs = arguments(opt, x, m, grad, lr, weight_decay)
        if torch.compiler.is_compiling():  # in somebody's own torch.compile: the plain step fuses best
            return results(x, [opt.update(a, b, g, rate, decay, K=K) for a, b, g, K in jobs])
        with torch.no_grad():
            known = last.find(jobs)
            if known is not None and not all(group.stands() for group in known[1]):
                known = None
            done, groups = known or apart(rate, decay, jobs)
            for group in groups:
                group(rate, decay)
            if known is None and sum(map(len, groups)) == len(jobs) > 1:
                last.keep(jobs, (done, groups))
        return results(x, done)

    return run


class Plan:
    """The record for tensors of one kind. ``make(k, arrays, numbers)`` runs pass k and gives what each part reduced."""

    def __init__(self, opt: LionK, K: Any, arrays: Arrays) -> None:
        import array_api_compat.torch as xp

        x, m, grad = arrays
        self.program = step_program(opt, K, xp, (x.dtype, m.dtype, grad.dtype), x.numel())
        self.passes, self.device = self.program.passes(), x.device
        self.real = next(n.dtype for n in self.program.nodes if n.op == "input" and not n.array)

    def __call__(self, rate: Any, decay: Any, arrays: Arrays, make: Callable[..., list[Any]]) -> None:
        import array_api_compat.torch as xp
        import torch

        known = self.program.given(xp, arrays[0], lr=rate, weight_decay=decay)
        for k, p in enumerate(self.passes):
            found = make(k, arrays, self.program.numbers(p.numbers, known, _meaning()))
            for i, column in zip(p.targets, zip(*found, strict=True), strict=False):
                known[i] = _meaning()[f"all_{self.program.nodes[i].op}"](torch.stack(column))


def _tiled(opt: LionK, K: Any, arrays: Arrays) -> Step:
    """The step of the record for tensors like these, tile by tile."""
    import torch

    plan = Plan(opt, K, arrays)
    texts = [buffered(plan.program, p, CALLS, APART) for p in plan.passes]
    functions = [tile(t, {"torch": torch}) for t in texts]
    on_host = plan.device.type == "cpu"
    held = on_host and torch.backends.openmp.is_available()  # where each thread has its own number of threads
    limit = DEVICE_TILE if not on_host else TILE if held else ALONE
    own = local()

    def buffers(k: int, shape: Any) -> list[Any]:
        """This thread's buffers for a pass, in this shape."""
        size = math.prod(shape)
        room = min(limit, 1 << (size - 1).bit_length())
        every: dict[Any, list[Any]] = own.__dict__
        if (k, room) not in every:
            every[k, room] = [torch.empty(room, dtype=d, device=plan.device) for d in texts[k].buffers.values()]
        return [b if shape == b.shape else b[:size].view(shape) for b in every[k, room]]

    def make(k: int, arrays: Arrays, numbers: list[Any]) -> list[Any]:
        found: list[Any] = []

        def some(start: int, parts: list[Arrays]) -> None:
            if several and torch.get_num_threads() > 1:
                torch.set_num_threads(1)
            with torch.no_grad():  # each thread has its own mode
                for i, part in enumerate(parts, start):
                    found[i] = functions[k](*part, *numbers, *buffers(k, part[0].shape))

        share = max(ALONE, -(-arrays[0].numel() // threads()))  # work for every thread
        every = list(pieces(arrays, min(limit, share) if on_host else limit))
        found += [None] * len(every)
        several, before = held and len(every) > 1, torch.get_num_threads()
        each = max(1, min(TILES, len(every) // threads())) if on_host else len(every)
        try:
            run_all(partial(some, i, every[i : i + each]) for i in range(0, len(every), each))
        finally:
            if several:
                torch.set_num_threads(before)
        return found

    return lambda rate, decay, arrays: plan(rate, decay, arrays, make)


def _fused(opt: LionK, K: Any, arrays: Arrays) -> Step:
    """The same text without buffers, each pass compiled into one loop for tensors of one axis and any length."""
    import torch

    plan, by_tiles = Plan(opt, K, arrays), _tiled(opt, K, arrays)
    texts = [scalar(plan.program, p, EXPRESSIONS, lambda v, _: repr(v)) for p in plan.passes]
    space = {"torch": torch, "inf": math.inf, "nan": math.nan}
    functions = [torch.compile(tile(t, space), dynamic=True, fullgraph=True) for t in texts]

    def make(k: int, arrays: Arrays, numbers: list[Any]) -> list[Any]:
        places = zip(plan.passes[k].numbers, numbers, strict=True)
        varying = (v for i, v in places if plan.program.nodes[i].op != "constant")
        # numbers as tensors, whose values may change without compiling again
        ready = [v if hasattr(v, "dtype") else torch.tensor(v, dtype=plan.real) for v in varying]
        return [functions[k](*arrays, *ready)]

    def step(rate: Any, decay: Any, arrays: Arrays) -> None:
        # Each layout would be compiled for itself; and few entries take less time than the threads of a compiled loop.
        if any(a.ndim != 1 or not a.is_contiguous() for a in arrays) or arrays[0].numel() <= ALONE:
            return by_tiles(rate, decay, arrays)
        plan(rate, decay, tuple(map(_alone, arrays)), make)
        return torch.autograd.graph.increment_version(arrays[:2])

    return step


def _alone(a: Any) -> Any:
    """The memory of a contiguous tensor as a tensor that is no view: torch.compile would look at the base of a view."""
    import torch

    plain = torch.empty(0, dtype=a.dtype, device=a.device)
    return plain.set_(a.untyped_storage(), a.storage_offset(), (a.numel(),), (1,))


class Group:
    """Small contiguous tensors of one kind, stepped as one. Its flat copies are as large as they are, and stay."""

    def __init__(self, step: Step, group: list[Arrays]) -> None:
        import torch

        self.step, self.columns = step, [list(column) for column in zip(*group, strict=True)]
        self.places = [a.data_ptr() for column in self.columns for a in column]
        self.rows = [[a.detach().view(-1) for a in column] for column in self.columns]
        self.flat = tuple(torch.cat(rows) for rows in self.rows)
        self.parts = [flat.split([r.numel() for r in self.rows[0]]) for flat in self.flat[:2]]

    def __len__(self) -> int:
        return len(self.rows[0])

    def stands(self) -> bool:
        """Are the tensors where they were? Their ``data`` may have been exchanged."""
        return self.places == [a.data_ptr() for column in self.columns for a in column]

    def __call__(self, rate: Any, decay: Any) -> None:
        import torch

        for rows, flat in zip(self.rows, self.flat, strict=True):
            torch.cat(rows, out=flat)
        self.step(rate, decay, self.flat)
        for rows, parts in zip(self.rows, self.parts, strict=False):
            torch._foreach_copy_(rows, parts)


def _in_order(arrays: Arrays) -> Arrays:
    """The tensors with one axis if they lie in memory in one common order, else with the slowest axis first."""
    strides = arrays[0].stride()
    axes = sorted(range(len(strides)), key=lambda k: -strides[k])
    turned = [a.detach() if axes == list(range(a.ndim)) else a.detach().permute(axes) for a in arrays]
    if all(a.is_contiguous() for a in turned):
        turned = [a.view(-1) for a in turned]
    return turned[0], turned[1], turned[2]


def _plain(a: Any) -> bool:
    """Has this tensor memory of its own here, and nobody who watches: no DTensor, none of a trace, not sparse?"""
    import torch

    return type(a) in (torch.Tensor, torch.nn.Parameter) and a.layout is torch.strided and not a.is_meta


def _span(a: Any) -> tuple[int, int]:
    if not _plain(a):
        return 0, 0
    start = a.data_ptr()
    size = a.numel()
    if size and not a.is_contiguous():
        size = 1 + sum((n - 1) * s for n, s in zip(a.shape, a.stride(), strict=True))
    return start, start + size * a.element_size()


def _share(a: Any, b: Any) -> bool:
    """Do two tensors on one device have an entry in common? Only addresses are looked at."""
    import numpy as np

    class Address:
        def __init__(self, t: Any) -> None:
            size = t.element_size()
            strides = tuple(s * size for s in t.stride())
            self.__array_interface__ = {
                "data": (t.data_ptr(), True), "shape": tuple(t.shape), "strides": strides, "typestr": f"|V{size}",
                "version": 3,
            }  # fmt: skip

    return a.device == b.device and bool(np.shares_memory(np.asarray(Address(a)), np.asarray(Address(b))))


@cache
def _meaning() -> dict[str, Callable[..., Any]]:
    """Operations on numbers: those of Python where they are Python's, as in the reference."""
    import array_api_compat.torch as xp

    from lionk.trace import LOGICAL, PYTHON, TESTS, UNARY

    return {
        **{op: getattr(xp, op) for op in (*UNARY, *TESTS, *LOGICAL, "where")},
        **PYTHON,
        "maximum": max,
        "minimum": min,
        "full": lambda value, _: value,
        "astype": lambda value, dtype: xp.astype(value, dtype) if hasattr(value, "dtype") else value,
        "all_sum": xp.sum,
        "all_max": xp.max,
        "all_min": xp.min,
    }
