"""Steps on NumPy arrays, in place: the recorded step replayed on tiles that stay in cache, or compiled by numba.

No buffer is larger than a tile. Small arrays are gathered into one tile, stepped together, and put back.
"""

from __future__ import annotations

from operator import is_
from typing import Any

from lionk.backend.protocol import Runner
from lionk.optimizer.jobs import arguments, check_memory, results
from lionk.optimizer.lion_k import LionK
from lionk.optimizer.rounding import KEYS
from lionk.recording.emit import Arrays
from lionk.recording.extent import seen
from lionk.recording.passes import Step, run_passes
from lionk.recording.places import with_places

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
    last, counted = Last(), "index" in opt.beside

    def plan_of(arrays: Arrays, K: Any) -> Plan | None:
        k, extent = seen(opt, K, arrays[0].shape, _contiguous(arrays))
        key = (id(k), tuple(a.dtype for a in arrays), extent)
        if key not in plans:
            plans[key] = plan(opt, k, extent, arrays, compiled)
        return plans[key]

    def apart(
        numbers: tuple[Any, ...], jobs: list[Any], beside: dict[str, Any]
    ) -> tuple[list[Any], dict[Plan, list[Any]], list[Step]]:
        """The results, the small arrays by their plans, and the steps of the large ones; given lr, decay and keys."""
        import array_api_compat.numpy as xp
        import numpy as np

        check_memory(jobs, _span, _share)
        rate, decay, *_ = numbers
        done: list[tuple[Any, Any]] = []
        large: list[Step] = []
        small: dict[Plan, list[Any]] = {}
        for job in jobs:
            x, m, grad, *others, K = job
            written = [a for a in (x, m, *others) if hasattr(a, "shape")]
            fits = x.size and all(map(_steppable, written)) and hasattr(grad, "strides")
            arrays = job[:-1]
            if fits and counted:
                arrays = with_places(opt, K, arrays, xp, np.dtype(np.int32), _contiguous)
            p = plan_of(arrays, K) if fits else None
            done.append((x, m) if p else opt.one(job, rate, decay, beside))
            if p is None:
                continue
            if x.size < _plan.GATHERED // 4 and len(jobs) > 1 and p.extent.shape is None:
                small.setdefault(p, []).append(arrays)
            else:
                large.append(p.replay(p.known(*numbers), arrays))
        return done, small, large

    def run(
        x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None, beside: dict[str, Any] | None = None
    ) -> tuple[Any, Any]:
        rate, decay, jobs = arguments(opt, x, m, grad, lr, weight_decay, beside)
        beside = beside or {}
        known = None if counted else last.find(jobs)
        numbers = rate, decay, *(beside[k] for k in KEYS if k in beside)
        done, small, large = known or apart(numbers, jobs, beside)
        if known is None and sum(map(len, small.values())) == len(jobs) > 1:
            last.keep(jobs, (done, small, []))
        gathered = [t for p, group in small.items() for t in p.gathered(p.known(*numbers), group)]
        run_passes(large, gathered)
        return results(x, done)

    return run


def _contiguous(arrays: Any) -> bool:
    return all(a.flags.c_contiguous for a in arrays if hasattr(a, "flags"))


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
