"""Steps on NumPy arrays, in place: the recorded step replayed on tiles that stay in cache, or compiled by numba.

No buffer is larger than a tile. Small arrays are gathered into one tile, stepped together, and put back.
"""

from __future__ import annotations

from operator import is_
from typing import Any

from lionk.backend.protocol import Runner
from lionk.optimizer.jobs import arguments, check_memory, results
from lionk.optimizer.lion_k import LionK
from lionk.recording.passes import Step, run_passes
from lionk.recording.record import seen

from . import plan as _plan
from .plan import Plan, plan


def tiles(opt: LionK) -> Runner:
    """Replay the record on tiles, with NumPy's own loops."""
    return _runner(opt, compiled=False)


def numba(opt: LionK) -> Runner:
    """Compiled loops over large arrays, tiles for the rest."""
    return _runner(opt, compiled=True)


def _runner(opt: LionK, compiled: bool) -> Runner:
    plans: dict[Any, Plan | None] = {}
    last = Last()

    def plan_of(x: Any, m: Any, grad: Any, K: Any) -> Plan | None:
        k, extent = seen(opt, K, x.shape, all(a.flags.c_contiguous for a in (x, m, grad)))
        key = (id(k), x.dtype, m.dtype, grad.dtype, extent)
        if key not in plans:
            plans[key] = plan(opt, k, extent, (x, m, grad), compiled)
        return plans[key]

    def apart(rate: Any, decay: Any, jobs: list[Any]) -> tuple[list[Any], dict[Plan, list[Any]], list[Step]]:
        """The results, the small arrays by their plans, and the steps of the large ones."""
        check_memory(jobs, _span, _share)
        done: list[tuple[Any, Any]] = []
        large: list[Step] = []
        small: dict[Plan, list[Any]] = {}
        for a, b, g, K in jobs:
            fits = a.size and _steppable(a) and _steppable(b) and hasattr(g, "strides")
            p = plan_of(a, b, g, K) if fits else None
            done.append((a, b) if p else opt.update(a, b, g, rate, decay, K=K))
            if p is None:
                continue
            if a.size < _plan.GATHERED // 4 and len(jobs) > 1 and p.extent.shape is None:
                small.setdefault(p, []).append((a, b, g))
            else:
                large.append(p.replay(p.known(rate, decay, a), (a, b, g)))
        return done, small, large

    def run(x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None) -> tuple[Any, Any]:
        rate, decay, jobs = arguments(opt, x, m, grad, lr, weight_decay)
        known = last.find(jobs)
        done, small, large = known or apart(rate, decay, jobs)
        if known is None and sum(map(len, small.values())) == len(jobs) > 1:
            last.keep(jobs, (done, small, []))
        gathered = [t for p, group in small.items() for t in p.gathered(p.known(rate, decay, group[0][0]), group)]
        run_passes(large, gathered)
        return results(x, done)

    return run


def _steppable(a: Any) -> bool:
    """Can a be stepped in place? Not a number or a read-only array, nor one whose entries share memory."""
    return getattr(a, "strides", None) is not None and a.flags.writeable and not (0 in a.strides and a.size > 1)


def _span(a: Any) -> tuple[int, int]:
    import numpy as np

    if not isinstance(a, np.ndarray):
        return 0, 0
    if not a.flags.c_contiguous:
        return np.lib.array_utils.byte_bounds(a)
    start = a.__array_interface__["data"][0]
    return start, start + a.nbytes


def _share(a: Any, b: Any) -> bool:
    import numpy as np

    return np.shares_memory(a, b)


class Last:
    """What was found out of the arrays of the last call, for when the same small ones come again: they stay in memory.

    Thousands of tiny arrays take longer to look at than to step.
    """

    def __init__(self) -> None:
        self._seen: list[Any] = []
        self._found: Any = None

    def find(self, jobs: list[Any]) -> Any:
        """What was kept for these very objects, or None."""
        objects = [a for job in jobs for a in job]
        same = len(objects) == len(self._seen) and all(map(is_, objects, self._seen))
        return self._found if same else None

    def keep(self, jobs: list[Any], found: Any) -> None:
        self._seen, self._found = [a for job in jobs for a in job], found
