"""Counts of the steps of JAX and Dask: programs compiled, bytes that they move, tasks of a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import lionk

from .steps import LARGE, WHEN, Count, Stepped, ready, runners, worked


def jax() -> Iterator[Count]:
    """Steps of the runner; what is traced, compiled and moved, by the runner and under a user's own jit."""
    yield from runners("jax", "jit", models=("one of 100", "50 of 100"))
    made: dict[str, Callable[[], Callable[[], Any]]]
    made = {"runner": partial(Stepped, "jax", "jit", [100]), "optax under jit": _optax, "optax, not under jit": _eager}
    for case, make in made.items():
        for when in WHEN[: 2 if case == "optax under jit" else 3]:  # a user's jit compiles each function once
            yield Count("compiled by jax", f"{case}, {when}", "compilations", partial(_programs, make, when), "jax")
    yield from worked("optax", "update of 50, not under jit", _eager)
    for K in ("l1", "huber", "l2"):
        for unit in ("bytes per entry", "fusions"):
            yield Count("moved by jax", K, unit, partial(_program, K, unit), "jax")


def _optax() -> Callable[[], Any]:
    import optax

    import lionk_jax

    return _stepped(lionk_jax.lion_k(optax.cosine_decay_schedule(1e-3, 100), weight_decay=0.1), [100, 25])


def _eager() -> Callable[[], Any]:
    """Steps as in a notebook: nothing is under a jit of the user's."""
    import lionk_jax

    return _stepped(lionk_jax.lion_k(1e-3, weight_decay=0.1), [100] * 50, jit=False)


def both() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Steps of optax.lion and of ours under the same jit, on 50 arrays. Raises NotImplementedError without optax."""
    if find_spec("optax") is None:
        raise NotImplementedError("optax is not installed")
    import optax

    import lionk_jax

    rules = (make(1e-3, weight_decay=0.1) for make in (optax.lion, lionk_jax.lion_k))
    first, second = (_stepped(rule, [100] * 50) for rule in rules)
    return first, second


def _stepped(rule: Any, sizes: list[int], jit: bool = True) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp
    import optax

    held: Any = [[jnp.ones(n) for n in sizes]]
    held.append(rule.init(held[0]))
    grad = jax.tree.map(jnp.ones_like, held[0])

    def update(x: Any, state: Any) -> Any:
        change, state = rule.update(grad, state, x)
        return optax.apply_updates(x, change), state

    run = jax.jit(update) if jit else update

    def step() -> None:
        held[:] = jax.block_until_ready(run(*held))

    return step


def _programs(make: Callable[[], Callable[[], Any]], when: str) -> float:
    from jax import monitoring

    run = ready(make, when)
    seen: list[str] = []
    monitoring.register_event_duration_secs_listener(lambda event, *_, **__: seen.append(event))
    run()
    found = sum("jaxpr_trace" in event or "backend_compile" in event for event in seen)
    monitoring.clear_event_listeners()
    return found


def _program(K: str, unit: str) -> float:
    import jax
    import jax.numpy as jnp

    lionk.backends()["jax"].runners()
    opt = lionk.LionK(K, 1e-3, weight_decay=0.1)
    x = jnp.ones(LARGE)
    program = jax.jit(lambda x, m, g: opt.update(x, m, g, 1e-3, 0.1), donate_argnums=(0, 1)).lower(x, x, x).compile()
    if unit == "fusions":
        return program.as_text().count(" fusion(")
    return round(float(program.cost_analysis()["bytes accessed"]) / LARGE, 1)


def dask() -> Iterator[Count]:
    """Steps of the runner, and the tasks that one adds for each block."""
    yield from runners("dask", "blockwise", models=("one of 100",))
    for K in ("l1", "l2", "top_k"):
        yield Count("tasks of dask", K, "tasks per block", partial(_tasks, K), "dask")


def _tasks(K: str) -> float:
    import dask.array as da

    backend = lionk.backends()["dask"]
    x, m, grad = (da.ones(100, chunks=10).persist() for _ in range(3))
    run = backend.runner(lionk.LionK(K, lr=0.1))
    for _ in range(3):
        x, m = backend.synchronize(list(run(x, m, grad)))
    x, m = run(x, m, grad)
    return (len({**x.__dask_graph__(), **m.__dask_graph__()}) - 30) / 10
