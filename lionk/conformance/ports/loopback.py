"""The reference as a port: the step of lionk, by the runner of a backend. It must pass its own kit everywhere."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...backend.discovery import backends
from ...backend.protocol import Backend, resolve_dtype
from ...errors import LionKWarning
from ...optimizer.lion_k import LionK
from ..specification.cases import function_of
from ..specification.port import EVERYTHING, Capabilities, each_parameter

_DTYPES = {
    "numpy": ("float64", "float32", "float16"),
    "torch": ("float64", "float32", "float16", "bfloat16"),
    "jax": ("float64", "float32", "float16", "bfloat16"),
    "cupy": ("float64", "float32", "float16"),
    "dask": ("float64", "float32", "float16"),
}


class Loopback:
    """The runner of a backend as a port.

    Parameters
    ----------
    backend : str or Backend
        A name of ``lionk.backends()``, or a backend.
    K : name, spec, function, or callable of the shape
    state_dtype : str, optional
        Dtype of the momentum; None: that of x.
    """

    defaults: Mapping[str, Any] = {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0}

    def __init__(
        self, backend: str | Backend = "numpy", K: Any = "l1", state_dtype: str | None = None, device: Any = None
    ) -> None:
        self.backend, self.device = backend if isinstance(backend, Backend) else backends()[backend], device
        self.name = f"lionk on {self.backend.name}"
        self.capabilities = Capabilities(
            K=K,
            dtypes=_DTYPES.get(self.backend.name, ("float64", "float32")),
            state_dtype=state_dtype,
            **{**EVERYTHING, "restores": False, "closure": False, "buffers": False},
        )

    def create(self, x0: Any, **hyper: Any) -> Running:
        return Running(self, x0, **hyper)


class Running:
    """The handle: x, m and the number of steps."""

    def __init__(self, port: Loopback, x0: Any, *, groups: list[dict[str, Any]] | None = None, **hyper: Any) -> None:
        self.port, self.count = port, 0
        self.several = isinstance(x0, list)
        arrays = x0 if self.several else [x0]
        self.xs = [port.backend.asarray(a, device=port.device) for a in arrays]
        claims = port.capabilities
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LionKWarning)
            base = LionK("l1", state_dtype=claims.state_dtype, **hyper)
            own = groups or [{}] * len(arrays)
            self.opts = [
                replace(base, K=function_of(claims.K, a.shape).to(like=x), **g)
                for a, x, g in zip(arrays, self.xs, own, strict=True)
            ]
        self.runners = [port.backend.runner(opt) for opt in self.opts]
        dtype = None if claims.state_dtype is None else resolve_dtype(port.backend.namespace(), claims.state_dtype)
        xp = port.backend.namespace()
        self.ms = [xp.zeros_like(x) if dtype is None else xp.zeros_like(x, dtype=dtype) for x in self.xs]

    @property
    def x(self) -> Any:
        return self.xs if self.several else self.xs[0]

    def step(self, grad: Any) -> None:
        backend = self.port.backend
        received = each_parameter(grad, lambda g: backend.asarray(g, device=self.port.device))
        for i, g in enumerate(received if self.several else [received]):
            if g is None:
                continue
            rate = self.opts[i].lr(self.count) if callable(self.opts[i].lr) else None
            x, m = self.runners[i](self.xs[i], self.ms[i], g, lr=rate)
            self.xs[i], self.ms[i] = backend.synchronize((x, m))
        self.received = None if self.several else received
        self.count += 1

    def write(self, x: Any) -> None:
        arrays = x if self.several else [x]
        self.xs = [self.port.backend.asarray(a, device=self.port.device) for a in arrays]

    def edit(self, **hyper: Any) -> None:
        self.opts = [replace(opt, **hyper) for opt in self.opts]
        self.runners = [self.port.backend.runner(opt) for opt in self.opts]

    def add(self, x0: Any, **hyper: Any) -> None:
        other = Running(self.port, x0, **hyper)
        self.xs, self.ms, self.opts = self.xs + other.xs, self.ms + other.ms, self.opts + other.opts
        self.runners += other.runners

    def state(self) -> Any:
        return {"m": [self.port.backend.to_host(m) for m in self.ms], "count": self.count}

    def load(self, state: Any) -> None:
        names = [m.dtype for m in self.ms]
        self.ms = [
            self.port.backend.asarray(a, dtype=d, device=self.port.device)
            for a, d in zip(state["m"], names, strict=True)
        ]
        self.count = state["count"]
