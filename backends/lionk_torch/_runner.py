"""Steps on tensors, in place: the recorded step replayed on tiles, or fused by torch.compile.

No buffer is larger than a tile. Small tensors are gathered, stepped together, and put back.
"""

from __future__ import annotations

from typing import Any

from lionk.backend import Runner, arguments, check_memory, coefficients, results
from lionk.optimizer import LionK
from lionk.passes import run_passes
from lionk.replay import Arrays, chunks
from lionk.trace import NotTraceableError

from . import _group
from ._group import Group, Last
from ._plan import Fused, Plan, fits, in_order, one_after_the_other, plain

GATHERED = 1 << 18  # entries, at most, in one group of them


def tiles(opt: LionK) -> Runner:
    """Replay the record on tiles, eagerly."""
    return _runner(opt, fused=False)


def compiled(opt: LionK) -> Runner:
    """The record, fused by torch.compile, in place; lr and weight decay change without compiling again."""
    return _runner(opt, fused=True)


def _runner(opt: LionK, fused: bool) -> Runner:
    plans: dict[Any, Plan | None] = {}
    loops: dict[Any, Fused] = {}
    last = Last()

    def plan_of(numbers: bool, x: Any, m: Any, grad: Any, K: Any) -> Plan | None:
        if not all(map(plain, (x, m, grad))) or not x.numel() or 0 in x.stride() or 0 in m.stride():
            return None
        size = None if K.traits.structure == "elementwise" else x.numel()
        kind = (id(K), x.dtype, m.dtype, grad.dtype, x.device, size)
        if (kind, numbers) not in plans:
            try:
                plans[kind, numbers] = Plan(opt, K, (x, m, grad), kind, numbers)
            except NotTraceableError:
                plans[kind, numbers] = None
        return plans[kind, numbers]

    def apart(
        rate: Any, decay: Any, jobs: list[Any], numbers: bool
    ) -> tuple[list[Any], list[Any], dict[Plan, list[int]]]:
        """The results, the large tensors with their plans, and the places of the small ones."""
        check_memory(jobs, _span, _share)
        done: list[tuple[Any, Any]] = []
        large: list[tuple[Plan, Arrays]] = []
        small: dict[Plan, list[int]] = {}
        for i, (a, b, g, K) in enumerate(jobs):
            plan = plan_of(numbers, a, b, g, K)
            done.append(opt.update(a, b, g, rate, decay, K=K) if plan is None else (a, b))
            if plan is None:
                continue
            whole = K.traits.structure == "elementwise" and all(v.is_contiguous() for v in (a, b, g))
            if len(jobs) > 1 and a.numel() < _group.SMALL and whole:
                small.setdefault(plan, []).append(i)
            else:
                large.append((plan, (a, b, g)))
        return done, large, small

    def grouped(jobs: list[Any], small: dict[Plan, list[int]]) -> list[Group]:
        groups, members = [], []
        for plan, places in small.items():
            for some in chunks(places, lambda i: jobs[i][0].numel(), GATHERED):
                groups.append(Group(plan, [jobs[i][:3] for i in some]))
                members.append(some)
        if len(jobs) > 1 and sum(map(len, members)) == len(jobs):
            last.keep(jobs, groups, members)
        return groups

    def step(rate: Any, decay: Any, large: list[tuple[Plan, Arrays]], groups: list[Group]) -> None:
        import torch

        known = {plan: plan.known(rate, decay, like[0]) for plan, like in large}
        known |= {group.plan: group.plan.known(rate, decay, group.flat[0]) for group in groups}
        by_tiles = []
        for plan, given in large:
            arrays = in_order(given)
            if fused and fits(arrays):
                if plan.kind not in loops:
                    loops[plan.kind] = Fused(plan)
                run_passes([loops[plan.kind].replay(known[plan], arrays)], run=one_after_the_other)
                torch.autograd.graph.increment_version(arrays[:2])
            else:
                by_tiles.append(plan.replay(known[plan], arrays))
        run_passes(by_tiles, [group.task(known[group.plan]) for group in groups], one_after_the_other)

    def run(x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None) -> tuple[Any, Any]:
        import torch

        rate, decay = coefficients(opt, lr, weight_decay)
        numbers = isinstance(rate, float) and isinstance(decay, float)
        with torch.no_grad():
            if numbers and not torch.compiler.is_compiling() and last.find(x, m, grad):
                step(rate, decay, [], last.groups)
                return list(x), list(m)
            _, _, jobs = arguments(opt, x, m, grad, rate, decay)
            if torch.compiler.is_compiling():  # in somebody's own torch.compile: the plain step fuses best
                return results(x, [opt.update(a, b, g, rate, decay, K=k) for a, b, g, k in jobs])
            done, large, small = apart(rate, decay, jobs, numbers)
            step(rate, decay, large, grouped(jobs, small))
        return results(x, done)

    return run


def _span(a: Any) -> tuple[int, int]:
    if not plain(a):
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
