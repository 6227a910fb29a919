"""The step under ``jax.jit``: x and m are donated, and their memory becomes that of the results."""

from __future__ import annotations

from typing import Any

from lionk.backend.protocol import Runner
from lionk.optimizer.jobs import arguments, results
from lionk.optimizer.lion_k import LionK


def jitted(opt: LionK) -> Runner:
    """All arrays in one compiled function. lr and weight decay are arguments of it: their values compile nothing."""
    import jax

    def update(x: list[Any], m: list[Any], grad: list[Any], functions: tuple[Any, ...], rate: Any, decay: Any) -> Any:
        every = zip(x, m, grad, functions, strict=True)
        return [opt.update(a, b, g, rate, decay, K=K) for a, b, g, K in every]

    # functions with array parameters are pytrees, and are passed as such
    fused = jax.jit(update, donate_argnums=(0, 1))

    def run(x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None) -> tuple[Any, Any]:
        rate, decay, jobs = arguments(opt, x, m, grad, lr, weight_decay)
        columns = [[job[k] for job in jobs] for k in range(3)]
        written, read = [*map(id, columns[0]), *map(id, columns[1])], set(map(id, columns[2]))
        if len(set(written)) < len(written) or read & set(written):
            raise ValueError(
                "x and m are donated, and may share no memory with each other or with grad; copy one of them first"
            )
        return results(x, fused(*columns, tuple(job[3] for job in jobs), rate, decay))

    return run
