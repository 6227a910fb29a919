"""Seconds per step, by library, function and size, and the bytes of state that a parameter costs."""

from __future__ import annotations

import math
from typing import Any

from .arrays import LIBRARIES, array, finish

# One function of each structure: elementwise twice, one norm, one order statistic.
FUNCTIONS = ["l1", "huber", "l2", "top_k"]
SHAPES = {10_000: (100, 100), 1_000_000: (1000, 1000)}


class Step:
    """``opt.step``: the pure reference, which allocates its results."""

    params = (LIBRARIES, FUNCTIONS, list(SHAPES))
    param_names = ("library", "K", "n")
    version = "1"

    def setup(self, library: str, K: str, n: int) -> None:
        import lionk

        self.x, self.grad = (array(library, SHAPES[n], seed) for seed in (0, 1))
        self.opt = lionk.LionK(K, lr=1e-4, weight_decay=0.1)
        self.state: Any = self.opt.init(self.x)
        self.time_step(library, K, n)

    def time_step(self, library: str, K: str, n: int) -> None:
        x, state = self.opt.step(self.x, self.grad, self.state)
        finish(x)
        finish(state.m)


class Runner:
    """The backend's own way to run the same step, which may consume x and m."""

    params = (LIBRARIES, FUNCTIONS, list(SHAPES))
    param_names = ("library", "K", "n")
    version = "1"

    def setup(self, library: str, K: str, n: int) -> None:
        import lionk

        self.x, self.grad = (array(library, SHAPES[n], seed) for seed in (0, 1))
        opt = lionk.LionK(K, lr=1e-4, weight_decay=0.1)
        self.m = opt.init(self.x).m
        self.run = lionk.backends()[library].runner(opt)
        for _ in range(2):  # compile, and touch the buffers
            self.time_run(library, K, n)

    def time_run(self, library: str, K: str, n: int) -> None:
        x, m = self.run(self.x, self.m, self.grad)
        self.x, self.m = finish(x), finish(m)


class Matrix:
    """The step with the nuclear norm (Muon with decay): a singular value decomposition."""

    params = (["numpy", "torch", "jax"], [(128, 128), (128, 512)])
    param_names = ("library", "shape")
    version = "1"

    def setup(self, library: str, shape: tuple[int, int]) -> None:
        import lionk

        self.x, self.grad = (array(library, shape, seed) for seed in (0, 1))
        self.opt = lionk.LionK("nuclear", lr=1e-4, weight_decay=0.1)
        self.state: Any = self.opt.init(self.x)
        self.time_step(library, shape)

    def time_step(self, library: str, shape: tuple[int, int]) -> None:
        x, state = self.opt.step(self.x, self.grad, self.state)
        finish(x)
        finish(state.m)


class StateBytes:
    """Bytes of state for each parameter: exact, whatever the machine does."""

    params = (LIBRARIES, [None, "float64"])
    param_names = ("library", "state_dtype")
    version = "1"
    unit = "bytes"

    def setup(self, library: str, state_dtype: str | None) -> None:
        if library == "jax" and state_dtype == "float64":
            raise NotImplementedError("JAX has no float64 unless it is switched on")
        import lionk

        self.x = array(library, (100, 100), 0)
        self.opt = lionk.LionK("l1", state_dtype=state_dtype)

    def track_state_bytes_per_parameter(self, library: str, state_dtype: str | None) -> float:
        m = self.opt.init(self.x).m
        return float(m.dtype.itemsize * math.prod(m.shape) / math.prod(self.x.shape))
