"""Steps on tensors, in place: the recorded step replayed on tiles, fused by torch.compile, or by the plan of NumPy.

No buffer is larger than a tile. Small tensors are gathered, stepped together, and put back. How an entry is rounded
does not depend on the size of its tensor, so that a tensor in pieces is stepped like the whole: where large ones take
compiled loops, which round every operation, small ones take tiles that do so too.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

from lionk.backend.protocol import Runner
from lionk.optimizer.jobs import arguments, check_memory, coefficients, results
from lionk.optimizer.lion_k import LionK
from lionk.recording.emit import Arrays, chunks
from lionk.recording.passes import Step, Task, run_passes
from lionk.recording.program import NotTraceableError
from lionk.recording.record import seen
from lionk.recording.threads import one_after_the_other, run_all

from . import small as _small
from .plan import TILE, Fused, Host, Plan, fits, plain
from .small import Group, Large, Last, span

_NOTHING = nullcontext()
GATHERED = 1 << 18  # entries, at most, in one group of them


class Work(NamedTuple):
    """What is to be done in one call."""

    done: list[tuple[Any, Any]]  # the results, most of which are yet to be written
    large: list[tuple[Large, Any]]  # and their gradients, as the plan takes them
    groups: list[Group]  # of small tensors


def tiles(opt: LionK) -> Runner:
    """Replay the record on tiles, eagerly."""
    return _runner(opt)


def numba(opt: LionK) -> Runner:
    """The plan of NumPy for single and double precision on a CPU: loops of numba over large tensors. Else tiles."""
    return _runner(opt, host=True)


def compiled(opt: LionK) -> Runner:
    """The record, fused by torch.compile, in place; lr and weight decay change without compiling again."""
    return _runner(opt, fused=True)


def _runner(opt: LionK, fused: bool = False, host: bool = False) -> Runner:
    plans: dict[Any, Plan | None] = {}
    made: dict[Any, Any] = {}  # Fused or Host, by the kind of a plan
    last = Last()

    def plan_of(numbers: bool, x: Any, m: Any, grad: Any, K: Any) -> Plan | None:
        k, extent = seen(opt, K, tuple(x.shape), all(a.is_contiguous() for a in (x, m, grad)))
        kind = (id(k), x.dtype, m.dtype, grad.dtype, x.device, extent)
        if (kind, numbers) not in plans:
            try:
                plan = Plan(opt, k, extent, (x, m, grad), kind, numbers, rounded=fused)
                waits = plan.searches and not (numbers and x.device.type == "cpu")  # for counts, as a sort does not
                plans[kind, numbers] = None if waits else plan
            except NotTraceableError:
                plans[kind, numbers] = None
        return plans[kind, numbers]

    def apart(rate: Any, decay: Any, jobs: list[Any], numbers: bool) -> Work:
        check_memory(jobs, lambda a: span(a) if plain(a) else (0, 0), _share)
        done: list[tuple[Any, Any]] = []
        large: dict[int, Large] = {}
        small: dict[Plan, list[int]] = {}
        for i, (a, b, g, K) in enumerate(jobs):
            steppable = all(map(plain, (a, b, g))) and a.numel() and 0 not in a.stride() and 0 not in b.stride()
            plan = plan_of(numbers, a, b, g, K) if steppable else None
            done.append((a, b) if plan else opt.update(a, b, g, rate, decay, K=K))
            if plan:
                by_entry = plan.extent.shape is None and all(v.is_contiguous() for v in (a, b, g))
                few = _small.SMALL if host and numbers else _small.TINY
                if len(jobs) > 1 and a.numel() < few and by_entry:
                    small.setdefault(plan, []).append(i)
                else:
                    large[i] = Large.of(plan, (a, b, g))
        gathered = [
            (p, some) for p, places in small.items() for some in chunks(places, lambda i: jobs[i][0].numel(), GATHERED)
        ]
        groups = [Group(plan, [jobs[i][:3] for i in some]) for plan, some in gathered]
        if numbers and len(large) + sum(map(len, small.values())) == len(jobs):
            last.keep(jobs, large, groups, [some for _, some in gathered])
        found = [(one, one.see(jobs[i][2])) for i, one in large.items()]
        if host and numbers:
            expect(found)
        return Work(done, found, groups)

    def expect(large: list[tuple[Large, Any]]) -> None:
        """Say how many entries there are of each kind, so that loops over them are compiled where they are worth it."""
        entries: dict[Host, int] = {}
        for one, grad in large:
            if memory := host_of(one.plan, (one.x, one.m, grad)):
                entries[memory] = entries.get(memory, 0) + grad.numel()
        for memory, size in entries.items():
            memory.expect(size)

    def step(rate: Any, decay: Any, large: list[tuple[Large, Any]], groups: list[Group]) -> None:
        import torch

        known: dict[Plan, dict[int, Any]] = {}
        given: dict[Plan, list[Any]] = {}

        def known_of(plan: Plan, x: Any) -> dict[int, Any]:
            if plan not in known:
                known[plan] = plan.known(rate, decay, x)
                given[plan] = plan.numbers(known[plan])
            return known[plan]

        steps: list[Step] = []
        on_host: list[Step] = []
        numbers = isinstance(rate, float) and isinstance(decay, float)
        for one, grad in large:
            plan, arrays = one.plan, (one.x, one.m, grad)
            memory = host_of(plan, arrays) if numbers else None
            if memory:
                on_host.append(memory.replay(rate, decay, arrays))
                torch.autograd.graph.increment_version(arrays[:2])
            elif fused and plan.fusable and fits(arrays):
                if plan.kind not in made:
                    made[plan.kind] = Fused(plan)
                run_passes([made[plan.kind].replay(known_of(plan, arrays[0]), arrays)], run=one_after_the_other)
                torch.autograd.graph.increment_version(arrays[:2])
            elif one.at_once:
                known_of(plan, one.x)
                plan.run(0, arrays, given[plan])
            else:
                steps.append(plan.replay(known_of(plan, arrays[0]), arrays))
        # Short calls of two threads wait for the interpreter; large tensors take long ones.
        shared = torch.get_num_threads() > 1 and any(grad.numel() >= TILE for _, grad in large)
        if on_host:
            run_passes(on_host, run=run_all if shared else one_after_the_other)
        # below, PyTorch shares the work of each call among threads of its own
        tasks = [
            (numbers and together(rate, decay, group)) or group.task(known_of(group.plan, group.rows[0][0]))
            for group in groups
        ]
        if steps or tasks:
            run_passes(steps, tasks, one_after_the_other)

    def host_of(plan: Plan, arrays: Arrays) -> Host | None:
        """The plan of NumPy for tensors like these, if there is one."""
        if not host or any(a.is_neg() for a in arrays):
            return None
        if plan.kind not in made:
            made[plan.kind] = Host.of(opt, plan, arrays)
        found: Host | None = made[plan.kind]
        return found

    def together(rate: float, decay: float, group: Group) -> Task | None:
        """The step of a group by the plan of NumPy: by one compiled loop over many tensors, or gathered. Or None."""
        x, like = group.rows[0][0], (group.rows[0][0], group.rows[1][0], group.grads[0])
        memory = host_of(group.plan, like)
        if not memory:
            return None
        places = group.memory()
        task = memory.many(rate, decay, x, *places) if places else None
        return partial(group.written_by, task) if task else group.as_one(partial(memory.step, rate, decay))

    def run(x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None) -> tuple[Any, Any]:
        import torch

        rate, decay = coefficients(opt, lr, weight_decay)
        numbers = isinstance(rate, float) and isinstance(decay, float)
        with torch.no_grad() if torch.is_grad_enabled() else _NOTHING:
            if numbers and not torch.compiler.is_compiling() and last.find(x, m, grad):
                step(rate, decay, last.large(grad), last.groups)
                return list(x), list(m)
            _, _, jobs = arguments(opt, x, m, grad, rate, decay)
            if torch.compiler.is_compiling():  # in somebody's own torch.compile: the plain step fuses best
                return results(x, [opt.update(a, b, g, rate, decay, K=k) for a, b, g, k in jobs])
            work = apart(rate, decay, jobs, numbers)
            step(rate, decay, work.large, work.groups)
        return results(x, work.done)

    return run


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
