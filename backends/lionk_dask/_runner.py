"""The step block by block: one task makes x and m of a block, with the runner of NumPy."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any
from uuid import uuid4

from lionk.backend.protocol import Runner
from lionk.optimizer.jobs import arguments, results
from lionk.optimizer.lion_k import LionK


def blockwise(opt: LionK) -> Runner:
    """Lazy, like everything of Dask: three tasks a block and step, however many steps came before a ``persist``."""

    def run(x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None) -> tuple[Any, Any]:
        rate, decay, jobs = arguments(opt, x, m, grad, lr, weight_decay)
        numbers = isinstance(rate, float) and isinstance(decay, float)
        return results(x, [_step(opt, K, a, b, g, rate, decay, numbers) for a, b, g, K in jobs])

    return run


def _step(opt: LionK, K: Any, x: Any, m: Any, grad: Any, rate: Any, decay: Any, numbers: bool) -> tuple[Any, Any]:
    if not (numbers and K.by_entry and not opt.whole and x.shape == m.shape == grad.shape):
        return opt.update(x, m, grad, rate, decay, K=K)
    # Refuses what the step refuses, without a computation.
    opt.update(x._meta, m._meta, grad._meta, rate, decay, K=K)
    plain = replace(opt, K=K, lr=0.0, weight_decay=1.0, state_dtype=None)  # both are given with each step
    parts = (x, m.rechunk(x.chunks), grad.rechunk(x.chunks))
    token = uuid4().hex
    block = partial(_block, opt=plain, rate=rate, decay=decay)  # as options they would be searched for arrays
    both = _map(block, parts, f"lionk-step-{token}", x)
    return (
        _map(itemgetter(0), (both,), f"lionk-x-{token}", x),
        _map(itemgetter(1), (both,), f"lionk-m-{token}", m),
    )


def _map(function: Any, arrays: tuple[Any, ...], name: str, like: Any) -> Any:
    import dask.array as da

    return da.map_blocks(function, *arrays, name=name, dtype=like.dtype, meta=like._meta)


def _block(x: Any, m: Any, grad: Any, *, opt: LionK, rate: float, decay: float) -> tuple[Any, Any]:
    """A new block of x and of m: those of the graph may be anybody's."""
    return _runner_of(opt)(x.copy(), m.copy(), grad, lr=rate, weight_decay=decay)


@lru_cache(maxsize=32)
def _runner_of(opt: LionK) -> Runner:
    from lionk_numpy import backend

    return backend.runner(opt)
