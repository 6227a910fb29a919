"""mlx.optimizers.Lion as a port: ``lionk conform docs/conformance/ports/mlx_lion.py:port``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np

from lionk.conformance import Capabilities

mx.set_default_device(mx.cpu)


def _array(a: Any) -> mx.array:
    return mx.array(np.array(a, order="C"), dtype=getattr(mx, str(a.dtype)))


class _Handle:
    def __init__(self, x0: Any, lr: Any, betas: tuple[float, float], weight_decay: float) -> None:
        self.several = isinstance(x0, list)
        self.rate = lr if callable(lr) else None
        self.optimizer = optim.Lion(lr(0) if callable(lr) else lr, list(betas), weight_decay)
        self.parameters = {str(i): _array(a) for i, a in enumerate(x0 if self.several else [x0])}
        self.count = 0

    @property
    def x(self) -> Any:
        arrays = [np.array(a) for a in self.parameters.values()]
        return arrays if self.several else arrays[0]

    def step(self, grad: Any) -> None:
        grads = {str(i): _array(g) for i, g in enumerate(grad if self.several else [grad])}
        if self.rate is not None:
            self.optimizer.learning_rate = self.rate(self.count)
        self.parameters = self.optimizer.apply_gradients(grads, self.parameters)
        self.count += 1

    def write(self, x: Any) -> None:
        self.parameters = {str(i): _array(a) for i, a in enumerate(x if self.several else [x])}

    def state(self) -> Any:
        arrays = {n: np.array(s["m"]) for n, s in self.optimizer.state.items() if isinstance(s, dict) and "m" in s}
        return {"m": arrays, "count": self.count}

    def load(self, state: Any) -> None:
        self.optimizer.init(self.parameters)
        for name, m in state["m"].items():
            self.optimizer.state[name]["m"] = _array(m)
        self.count = state["count"]


class MlxLion:
    """The optimizer of MLX, on its CPU."""

    name = "mlx.optimizers.Lion"
    defaults: Mapping[str, Any] = {"betas": (0.9, 0.99), "weight_decay": 0.0}
    versions: Mapping[str, str] = {"mlx": mx.__version__}
    capabilities = Capabilities(
        dtypes=("float64", "float32", "float16"), schedule=True, lists=True, checkpoint=True, writable=True,
        tried=True,
    )  # fmt: skip

    def create(self, x0: Any, **hyper: Any) -> _Handle:
        return _Handle(x0, **hyper)


port = MlxLion()
