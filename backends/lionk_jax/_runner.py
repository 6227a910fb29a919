"""The step under ``jax.jit``: x and m are donated, and their memory becomes that of the results.

On a CPU the loop that XLA makes of a step takes four to five times as long as its bytes through memory. There,
large arrays are stepped by the loops that numba makes of the record for NumPy, which the program calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lionk.arrays.value import has_arrays
from lionk.backend.protocol import Runner
from lionk.functions.calculus.block_sum import ContainerFunction
from lionk.optimizer.jobs import arguments, results
from lionk.optimizer.lion_k import LionK
from lionk.recording.extent import seen
from lionk.recording.passes import run_passes
from lionk.recording.program import NotTraceableError
from lionk.recording.record import step_program

LARGE = 1 << 18  # entries from which on an array takes part in a call
WORTH = 3 << 19  # entries of all of these, from which on the call is worth its half a millisecond

Job = tuple[Any, ...]  # x, m, grad, K
Pairs = list[tuple[Any, Any]]


def jitted(opt: LionK) -> Runner:
    """All arrays in one compiled function. lr and weight decay are arguments of it: their values compile nothing."""
    return _runner(opt, called=False)


def numba(opt: LionK) -> Runner:
    """The same function, in which large arrays on one CPU are stepped by a call of NumPy's loops."""
    return _runner(opt, called=True)


def _runner(opt: LionK, called: bool) -> Runner:
    import jax

    # To look into a function takes longer than a small step: it is passed where it has arrays, or each array its own.
    passed = isinstance(opt.K, ContainerFunction) or has_arrays(opt.K)

    def update(columns: Any, grads: Any, functions: tuple[Any, ...], numbers: tuple[Any, Any], exact: Any) -> Pairs:
        jobs = list(zip(*columns, grads, functions if passed else [opt.K] * len(grads), strict=True))
        return _plainly(opt, jobs, numbers) if exact is None else _by_call(opt, jobs, numbers, exact)

    fused = jax.jit(update, donate_argnums=0)

    def run(x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None) -> tuple[Any, Any]:
        *numbers, jobs = arguments(opt, x, m, grad, lr, weight_decay)
        *columns, grads, functions = ([job[k] for job in jobs] for k in range(4))
        written, read = list(map(id, columns[0] + columns[1])), set(map(id, grads))
        if len(set(written)) < len(written) or read & set(written):
            raise ValueError(
                "x and m are donated, and may share no memory with each other or with grad; copy one of them first"
            )
        worth = called and sum(a.size for a in columns[0] if a.size >= LARGE) >= WORTH
        exact = _exact(numbers) if worth and _on_one_cpu([*columns[0], *columns[1], *grads]) else None
        return results(x, fused(columns, grads, tuple(functions) if passed else (), tuple(numbers), exact))

    return run


def _plainly(opt: LionK, jobs: list[Job], numbers: tuple[Any, Any]) -> Pairs:
    return [opt.update(x, m, grad, *numbers, K=K) for x, m, grad, K in jobs]


def _by_call(opt: LionK, jobs: list[Job], numbers: tuple[Any, Any], exact: tuple[Any, ...]) -> Pairs:
    """The large arrays by one call, where the program is compiled for a CPU, and the others plainly."""
    import jax
    import numpy as np

    from ._custom_call import custom_call

    plans = [_plan(opt, *job) for job in jobs]
    large, small = ([job for job, p in zip(jobs, plans, strict=True) if bool(p) == there] for there in (True, False))
    if sum(job[0].size for job in large) < WORTH:
        return _plainly(opt, jobs, numbers)

    def on_the_host(*arrays: Any) -> None:
        parts = zip(*(arrays[k : 3 * len(large) : 3] for k in range(3)), strict=True)
        given, inexact = zip(filter(None, plans), parts, strict=True), _inexact(arrays[3 * len(large) :])
        with np.errstate(all="ignore"):  # as JAX does
            run_passes([p.replay(p.known(*inexact), job) for p, job in given])

    flat = [a for job in large for a in job[:3]]
    call = custom_call(on_the_host, [*flat, *exact], [k for k in range(len(flat)) if k % 3 != 2])
    made = jax.lax.platform_dependent(
        cpu=lambda: call(*flat, *exact),
        default=lambda: tuple(a for pair in _plainly(opt, large, numbers) for a in pair),
    )
    done, others = iter(zip(made[0::2], made[1::2], strict=True)), iter(_plainly(opt, small, numbers))
    return [next(done) if p else next(others) for p in plans]


def _plan(opt: LionK, x: Any, m: Any, grad: Any, K: Any) -> Any:
    """That of NumPy for arrays like these, with loops of its own; None where there is none, or it is not worth it."""
    import array_api_compat.numpy as xp
    import numpy as np

    from lionk_numpy import borrowed

    kinds = {np.dtype(a.dtype) for a in (x, m, grad)}
    if x.size < LARGE or not x.shape == m.shape == grad.shape or not kinds <= {np.dtype("f4"), np.dtype("f8")}:
        return None
    K, extent = seen(opt, K, x.shape, True)
    try:
        like = extent.viewed((np.empty(x.shape, x.dtype),))[0].shape
        plan = borrowed(step_program(opt, K, xp, (x.dtype, m.dtype, grad.dtype), like, True), extent, opt.betas)
    except NotTraceableError:
        return None
    return plan if plan and plan.compiled else None


def _on_one_cpu(arrays: list[Any]) -> bool:
    """Do these lie on one CPU? Of arrays that are traced it is known only where there is no other device."""
    import jax

    if not all(isinstance(a, jax.Array) for a in arrays):
        return False
    traced = any(isinstance(a, jax.core.Tracer) for a in arrays)
    devices = set(jax.devices() if traced else [d for a in arrays for d in a.devices()])
    return [d.platform for d in devices] == ["cpu"]


def _exact(numbers: Sequence[Any]) -> tuple[Any, ...]:
    """Numbers of Python by their 64 bits, of which JAX would keep 32: as one array, if all are. Arrays as they are."""
    import numpy as np

    if all(isinstance(v, float) for v in numbers):
        return (np.asarray(numbers).view(np.uint32),)
    return tuple(_exact([v])[0] if isinstance(v, float) else v for v in numbers)


def _inexact(exact: Sequence[Any]) -> list[Any]:
    """The numbers, from NumPy's arrays."""
    return [v for a in exact for v in (a.view(float).tolist() if a.ndim else [a[()]])]
