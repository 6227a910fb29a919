"""Ratios to the limit of the memory, and to other people's Lion, in one process: what `lionk bench` prints, tracked.

The times of a step stand in step.py. A ratio is the median of those of neighbouring measurements; on a shared machine
it is steadier than a time.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

RUNNERS = ["numpy:numba", "numpy:tiles", "torch:compiled", "torch:tiles", "jax:jit", "torch:numba"]
FUNCTIONS = ["l1", "huber", "pseudo_huber", "softsign", "log_cosh", "l2"]
SECONDS = 1.0


def _measure(shapes: Any, makers: Any) -> list[Any]:
    """The timings of the limit and of these steps. Raises NotImplementedError, asv's skip, without a library."""
    from lionk.app.bench import speed

    arrays = speed.Arrays(shapes)
    steps = [speed.limit(arrays), *(make(speed, arrays) for make in makers)]
    return list(speed.timings(dict(enumerate(steps)), SECONDS).values())


def _ratio(shapes: Any, runner: str, K: str = "l1") -> float:
    library, name = runner.split(":")
    return float(_measure(shapes, [lambda speed, arrays: speed.runner(arrays, library, name, K)])[1].ratio)


class Function:
    """One step on 2^22 entries, in multiples of the limit."""

    params = (RUNNERS, FUNCTIONS)
    param_names = ("runner", "K")
    version = "2"
    unit = "times the limit"
    timeout = 300

    def track_ratio(self, runner: str, K: str) -> float:
        return _ratio([(1 << 22,)], runner, K)


class Whole:
    """One step of a K that is no sum over entries, on 2048 x 2048, in multiples of the limit."""

    params = (RUNNERS, ["top_k", "row_l1_l2"])
    param_names = ("runner", "K")
    version = "2"
    unit = "times the limit"
    timeout = 300

    def track_ratio(self, runner: str, K: str) -> float:
        return _ratio([(1 << 11, 1 << 11)], runner, K)


class Polar:
    """Muon's matrix function: how many times longer that of torch.optim.Muon takes, at no smaller an error."""

    version = "2"
    unit = "times ours"
    timeout = 300

    def track_advantage(self) -> float:
        from lionk.app.bench import speed

        steps = speed.polar_factors()
        if not steps:
            raise NotImplementedError("torch is not installed, or has no Muon")
        return 1 / list(speed.timings(steps, SECONDS).values())[1].ratio


class Size:
    """Nanoseconds for each entry, from 1e3 to 1e8: flat where calls cost nothing and memory is the limit."""

    params = (RUNNERS, [10**k for k in range(3, 9)])
    param_names = ("runner", "n")
    version = "2"
    unit = "ns per entry"
    timeout = 300

    def track_cost(self, runner: str, n: int) -> float:
        library, name = runner.split(":")
        found = _measure([(n,)], [lambda speed, arrays: speed.runner(arrays, library, name)])
        return 1e9 * float(found[1].seconds) / n


class Model:
    """One step of l1 on the tensors of a model, in multiples of the limit."""

    params = ([r for r in RUNNERS if r != "jax:jit"], ["GPT-2", "ResNet-50", "2,000 x 100"])
    param_names = ("runner", "model")
    version = "2"
    unit = "times the limit"
    timeout = 300

    def track_ratio(self, runner: str, model: str) -> float:
        from lionk.app.bench import speed

        return _ratio(speed.SHAPES[model], runner)


class Peer:
    """How many times longer another library's Lion takes than ours, eager against eager and jit against jit."""

    params = (["lion-pytorch", "timm", "pytorch_optimizer", "optax"], ["2^24", "GPT-2", "ResNet-50", "2,000 x 100"])
    param_names = ("peer", "shapes")
    version = "3"
    unit = "times ours"
    timeout = 300

    def track_advantage(self, peer: str, shapes: str) -> float:
        from lionk.app.bench import speed

        def ours(speed: Any, arrays: Any) -> Any:
            return speed.runner(arrays, "jax", "jit") if peer == "optax" else speed.optimizer(arrays)

        _, mine, theirs = _measure(speed.SHAPES[shapes], [ours, lambda speed, arrays: speed.peer(arrays, peer)])
        return float(theirs.ratio / mine.ratio)


class Option:
    """How many times longer a step of lionk_torch.LionK takes with an option, on 2048 x 2048."""

    OPTIONS: ClassVar = {
        "maximize": {"maximize": True},
        "coupled decay": {"convention": "coupled"},
        "cautious": {"cautious": "mask"},
        "cautious, rescaled": {"cautious": "rescale"},
        "cautious decay": {"cautious_decay": True},
        "MARS": {"mars": 0.025},
        "bfloat16": {"dtype": "bfloat16"},
        "bfloat16, Kahan": {"dtype": "bfloat16", "rounding": "kahan"},
        "bfloat16, stochastic": {"dtype": "bfloat16", "rounding": "stochastic"},
        "kernels, rows": {"K": {"name": "kernel_lift", "k": "row_l1_l2"}},
    }
    params = list(OPTIONS)
    param_names = ("option",)
    version = "1"
    unit = "times the plain step"
    timeout = 300

    def track_ratio(self, option: str) -> float:
        def plain(speed: Any, arrays: Any) -> Any:
            return speed.optimizer(arrays)

        shape = (512, 512, 4, 4) if "kernels" in option else (1 << 11, 1 << 11)
        makers = [plain, lambda speed, arrays: speed.optimizer(arrays, **self.OPTIONS[option])]
        _, mine, other = _measure([shape], makers)
        return float(other.ratio / mine.ratio)


class Temporaries:
    """The largest amount of memory that a step of NumPy holds beside its arguments, for each of 2^22 entries."""

    params = (["tiles", "numba", "reference"], ["l1", "relu", "l2", "top_k"])
    param_names = ("runner", "K")
    version = "1"
    unit = "bytes per entry"

    def track_temporaries(self, runner: str, K: str) -> float:
        import tracemalloc

        from lionk.app.bench import speed

        shapes: Any = [(1 << 22,)]
        step = speed.runner(speed.Arrays(shapes), "numpy", runner, K)
        step()
        tracemalloc.start()
        step()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / math.prod(shapes[0])


class Graph:
    """Tasks that a step adds to the graph of Dask, for each block, after any number of steps."""

    version = "1"
    unit = "tasks per block"

    def track_tasks(self) -> float:
        from importlib.util import find_spec

        if find_spec("dask") is None:
            raise NotImplementedError("dask is not installed")
        import dask.array as da

        import lionk

        backend = lionk.backends()["dask"]
        x, m, grad = (da.zeros(100, chunks=10).persist() for _ in range(3))
        run = backend.runner(lionk.LionK("l1", lr=0.1))
        for _ in range(3):
            x, m = backend.synchronize(list(run(x, m, grad)))
        x, m = run(x, m, grad)
        return (len({**x.__dask_graph__(), **m.__dask_graph__()}) - 30) / 10
