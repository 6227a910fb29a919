"""Steps on tensors, in place: the recorded step replayed on tiles, fused by torch.compile, or by the plan of NumPy.

No buffer is larger than a tile. Small tensors are gathered, stepped together, and put back. How an entry is rounded
does not depend on the size of its tensor, so that a tensor in pieces is stepped like the whole: where large ones take
compiled loops, which round every operation, small ones take tiles that do so too.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

from lionk.optimizer.jobs import arguments, check_memory, coefficients, results
from lionk.optimizer.lion_k import LionK
from lionk.optimizer.rounding import KEYS
from lionk.recording.emit import Arrays, chunks
from lionk.recording.extent import seen
from lionk.recording.passes import Step, run_passes
from lionk.recording.places import Places, with_places
from lionk.recording.program import NotTraceableError
from lionk.recording.threads import one_after_the_other, run_all

from . import small as _small
from .last import Last, span
from .plan import TILE, Fused, Host, Plan, fits, plain
from .small import GRAD, Alike, Group, Large, Work

_NOTHING = nullcontext()
GATHERED = 1 << 18  # entries, at most, in one group of them


def tiles(opt: LionK) -> Steps:
    """Replay the record on tiles, eagerly."""
    return Steps(opt)


def numba(opt: LionK) -> Steps:
    """The plan of NumPy for single and double precision on a CPU: loops of numba over large tensors. Else tiles."""
    return Steps(opt, host=True)


def compiled(opt: LionK) -> Steps:
    """The record, fused by torch.compile, in place; lr and weight decay change without compiling again."""
    return Steps(opt, fused=True)


class Steps:
    """The runner of one optimizer: plans for its tensors, by their kind, and what is remembered of the last call."""

    def __init__(self, opt: LionK, fused: bool = False, host: bool = False) -> None:
        self.opt, self.fused, self.host = opt, fused, host
        self.plans: dict[Any, Plan | None] = {}
        self.made: dict[Any, Any] = {}  # Fused or Host, by the kind of a plan
        self.counted = "index" in opt.beside
        self.last = Last([name for name in opt.beside if name != "index"], self.counted)

    def plan_of(self, numbers: bool, arrays: Arrays, K: Any) -> Plan | None:
        x = arrays[0]
        k, extent = seen(self.opt, K, tuple(x.shape), _contiguous(arrays))
        kind = (id(k), tuple(a.dtype for a in arrays), x.device, extent)
        if (kind, numbers) not in self.plans:
            try:
                # a loop of numba rounds every operation, and with 16 bits it takes turns with tiles of PyTorch
                low = any(a.dtype.itemsize < 4 for a in arrays)
                rounds = self.fused or (self.host and x.device.type == "cpu" and low)
                plan = Plan(self.opt, k, extent, arrays, kind, numbers, rounded=rounds)
                waits = plan.searches and not (numbers and x.device.type == "cpu")  # for counts, as a sort does not
                self.plans[kind, numbers] = None if waits else plan
            except NotTraceableError:
                self.plans[kind, numbers] = None
        return self.plans[kind, numbers]

    def apart(self, rate: Any, decay: Any, jobs: list[Any], numbers: bool, beside: dict[str, Any]) -> tuple[Any, Work]:
        """The results, most of which are yet to be written, and what is to be done for that."""
        import array_api_compat.torch as xp

        self.last.forget()
        check_memory(jobs, lambda a: span(a) if plain(a) else (0, 0), _share)
        done: list[tuple[Any, Any]] = []
        large: dict[int, Large] = {}
        small: dict[Plan, list[int]] = {}
        stepped: dict[int, Arrays] = {}
        looped = self.host and numbers  # loops take a single small tensor, too
        for i, job in enumerate(jobs):
            x, m, grad, *others, K = job
            tensors = [a for a in (x, m, *others) if hasattr(a, "shape")]
            steppable = all(map(plain, (*tensors, grad))) and x.numel() and not any(0 in a.stride() for a in tensors)
            arrays = job[:-1]
            if steppable and self.counted:
                arrays = with_places(self.opt, K, arrays, xp, xp.int32, _contiguous)
            plan = self.plan_of(numbers, arrays, K) if steppable else None
            done.append((x, m) if plan else self.opt.one(job, rate, decay, beside))
            if plan:
                stepped[i] = arrays
                by_entry = plan.extent.shape is None and _contiguous(arrays)
                few = _small.SMALL if looped else _small.TINY
                if (looped or len(jobs) > 1) and x.numel() <= few and by_entry:
                    small.setdefault(plan, []).append(i)
                else:
                    large[i] = Large.of(plan, arrays)
        gathered = [
            (p, some) for p, places in small.items() for some in chunks(places, lambda i: jobs[i][0].numel(), GATHERED)
        ]
        groups = [Group(plan, [stepped[i] for i in some]) for plan, some in gathered]
        every = dict(large)
        work = Work(large, [] if self.fused or looped else Alike.among(large), groups)
        if numbers and len(every) + sum(map(len, small.values())) == len(jobs) > 0:
            self.last.keep(jobs, every, work, [some for _, some in gathered])
        if looped:
            self.expect([(one, jobs[i][GRAD]) for i, one in large.items()])
        return done, work

    def expect(self, large: list[tuple[Large, Any]]) -> None:
        """Say how many entries there are of each kind, so that loops over them are compiled where they are worth it."""
        entries: dict[Host, int] = {}
        for one, grad in large:
            if memory := self.host_of(one.plan, one.arrays(grad)):
                entries[memory] = entries.get(memory, 0) + grad.numel()
        for memory, size in entries.items():
            memory.expect(size)

    def step(self, given: tuple[Any, ...], work: Work, grads: list[Any]) -> None:
        import torch

        known: dict[Plan, dict[int, Any]] = {}
        first: dict[Plan, list[Any]] = {}
        numbers = isinstance(given[0], float) and isinstance(given[1], float)

        def known_of(plan: Plan) -> dict[int, Any]:
            if plan not in known:
                known[plan] = plan.known(*given)
            return known[plan]

        def first_of(plan: Plan) -> list[Any]:
            if plan not in first:
                first[plan] = plan.first(*given) if numbers else plan.numbers(known_of(plan))
            return first[plan]

        looped = self.host and numbers
        steps: list[Step] = []
        on_host: list[Step] = []
        for some in work.alike:
            some.step(first_of(some.plan), grads)
        for i, one in work.large.items():
            plan, arrays = one.plan, one.arrays(grads[i])
            memory = self.host_of(plan, arrays) if looped else None
            if memory and (here := memory.replay(given, arrays)):
                on_host.append(here)
                torch.autograd.graph.increment_version(one.written(arrays))
            elif self.fused and plan.fusable and fits(arrays):
                if plan.kind not in self.made:
                    self.made[plan.kind] = Fused(plan)
                run_passes([self.made[plan.kind].replay(known_of(plan), arrays)], run=one_after_the_other)
                torch.autograd.graph.increment_version(one.written(arrays))
            elif one.at_once:
                plan.run(0, arrays, first_of(plan))
            else:
                steps.append(plan.replay(known_of(plan), arrays))
        if on_host:
            # Short calls of two threads wait for the interpreter; large tensors take long ones.
            shared = torch.get_num_threads() > 1 and any(grads[i].numel() >= TILE for i in work.large)
            run_passes(on_host, run=run_all if shared else one_after_the_other)
        if steps:  # PyTorch shares the work of each call among threads of its own
            run_passes(steps, run=one_after_the_other)
        for group in work.groups:
            if not (looped and self.by_host(given, group)):
                group.by_tiles(first_of(group.plan))

    def host_of(self, plan: Plan, arrays: Arrays) -> Host | None:
        """The plan of NumPy for tensors like these, if there is one."""
        if not self.host or any(a.is_neg() for a in arrays if not isinstance(a, Places)):
            return None
        if plan.kind not in self.made:
            self.made[plan.kind] = Host.of(plan, arrays)
        found: Host | None = self.made[plan.kind]
        return found

    def by_host(self, numbers: tuple[Any, ...], group: Group) -> bool:
        """Make the step of a group by the plan of NumPy, if there is one: by a loop over all, or gathered."""
        memory = self.host_of(group.plan, (*(rows[0] for rows in group.rows.values()), group.grads[0]))
        if not memory:
            return False
        places = group.memory()
        task = memory.many(numbers, *places) if places else None
        if task:
            group.written_by(task)
        elif memory.tiled:
            group.as_one(partial(memory.step, numbers))
        return bool(task or memory.tiled)

    def __call__(
        self, x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None, beside: Any = None
    ) -> tuple[Any, Any]:
        import torch

        rate, decay = coefficients(self.opt, lr, weight_decay)
        numbers, beside = isinstance(rate, float) and isinstance(decay, float), beside or {}
        given = (rate, decay, *(beside[k] for k in KEYS if k in beside))
        with torch.no_grad() if torch.is_grad_enabled() else _NOTHING:
            if numbers and not torch.compiler.is_compiling() and self.last.find(x, m, grad, beside):
                self.step(given, self.last.work, grad)
                return list(x), list(m)
            _, _, jobs = arguments(self.opt, x, m, grad, rate, decay, beside)
            if torch.compiler.is_compiling():  # in somebody's own torch.compile: the plain step fuses best
                return results(x, [self.opt.one(job, rate, decay, beside) for job in jobs])
            done, work = self.apart(rate, decay, jobs, numbers, beside)
            self.step(given, work, [job[GRAD] for job in jobs])
        return results(x, done)

    def again(self, grads: list[Any], lr: Any, weight_decay: Any) -> bool:
        """The step of the tensors of the last call; False, and no step, if they or these gradients are not as expected.

        For whoever knows that they are the same ones, and has switched autograd off.
        """
        given = coefficients(self.opt, lr, weight_decay)
        fits = isinstance(given[0], float) and isinstance(given[1], float) and self.last.fits(grads)
        if fits:
            self.step(given, self.last.work, grads)
        return fits


def _contiguous(arrays: Any) -> bool:
    return all(a.is_contiguous() for a in arrays if not isinstance(a, Places))


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
