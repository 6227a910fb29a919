"""Steps on CuPy arrays, in place: one kernel, printed from the record, on the current stream."""

from __future__ import annotations

from functools import cache
from typing import Any

from lionk.backend.protocol import Runner
from lionk.optimizer.jobs import arguments, check_memory, results
from lionk.optimizer.lion_k import LionK
from lionk.recording.program import PYTHON, NotTraceableError, Program
from lionk.recording.record import step_program

from ._kernel import NAME, Kernel, kernel

THREADS = 256


def fused(opt: LionK) -> Runner:
    """One launch for each array. Nothing waits for the device: an lr that is a device array is read by the kernel."""
    programs: dict[Any, Program | None] = {}

    def program_of(x: Any, m: Any, grad: Any, K: Any) -> Program | None:
        import array_api_compat.cupy as xp

        if not x.size or not all(a.flags.c_contiguous for a in (x, m, grad)):
            return None
        key = (id(K), x.dtype, m.dtype, grad.dtype)
        if key not in programs:
            try:
                programs[key] = program = step_program(opt, K, xp, key[1:], x.shape)
                kernel(program)
            except NotTraceableError:
                programs[key] = None
        return programs[key]

    def run(x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None) -> tuple[Any, Any]:
        rate, decay, jobs = arguments(opt, x, m, grad, lr, weight_decay)
        check_memory(jobs, _span, lambda a, b: a.device == b.device)
        done = []
        for a, b, g, K in jobs:
            program = program_of(a, b, g, K)
            if program is None:
                done.append(opt.update(a, b, g, rate, decay, K=K))
            else:
                _launch(program, a, b, g, rate, decay, opt.betas)
                done.append((a, b))
        return results(x, done)

    return run


def _launch(program: Program, x: Any, m: Any, grad: Any, rate: Any, decay: Any, betas: tuple[float, float]) -> None:
    import array_api_compat.cupy as xp
    import cupy

    known = program.given(xp, rate, decay, betas)
    wanted = [i for i in program.passes()[-1].numbers if program.nodes[i].op != "constant"]
    values = dict(zip(wanted, program.numbers(wanted, known, _meaning()), strict=True))
    text = kernel(program, frozenset(i for i, v in values.items() if isinstance(v, cupy.ndarray)))
    given = [v if isinstance(v, cupy.ndarray) else cupy.dtype(text.real).type(v) for v in values.values()]
    with x.device:
        blocks = min((x.size + THREADS - 1) // THREADS, 1 << 16)
        _compiled(text)((blocks,), (THREADS,), (x, m, grad, cupy.int64(x.size), *given))


@cache
def _compiled(text: Kernel) -> Any:
    import cupy

    return cupy.RawKernel(text.source, NAME, options=("--fmad=false",))  # products and sums as the reference rounds


def _span(a: Any) -> tuple[int, int]:
    import cupy

    return cupy.byte_bounds(a) if a.size else (0, 0)


@cache
def _meaning() -> dict[str, Any]:
    """Arithmetic on numbers, which are Python's or 0-d arrays."""
    return {
        **PYTHON,
        "maximum": max,
        "minimum": min,
        "full": lambda value, _: value,
        "astype": lambda value, dtype: value.astype(dtype) if hasattr(value, "dtype") else value,
    }
