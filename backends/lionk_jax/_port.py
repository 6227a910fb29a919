"""optax transformations as conformance ports: functions that make one from hyper-parameters."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Mapping
from typing import Any

from lionk import ConvexFunction, K
from lionk.conformance.ports.names import Names, Request, title, unwrap, versions_of
from lionk.conformance.specification.port import each_parameter


def adapt(obj: Any, request: Request | None) -> OptaxPort | None:
    """A port, if obj is a function, or a partial of one, that says it returns an optax GradientTransformation."""
    inner = unwrap(obj)
    if "optax" not in sys.modules or isinstance(inner, type) or not callable(inner):
        if hasattr(obj, "init") and hasattr(obj, "update") and isinstance(obj, tuple):
            raise TypeError("a transformation has its hyper-parameters already; pass the function that makes it")
        return None
    returns = str(getattr(inspect.signature(inner), "return_annotation", ""))
    return OptaxPort(obj, request or Request()) if "GradientTransformation" in returns else None


class OptaxPort:
    """A function of optax, or made like one. Without a learning rate, decay and rate follow it, as in chains."""

    def __init__(self, make: Any, request: Request) -> None:
        import jax

        self.make, self.request, self.name = make, request, title(make)
        self.whole = any(n in inspect.signature(make).parameters for n in ("learning_rate", "lr"))
        self.names = Names.of(make, {**_muon_names(make), **request.names}, need_rate=self.whole)
        self.defaults: Mapping[str, Any] = self.names.defaults
        self.versions = versions_of(unwrap(make).__module__, "optax", "jax")
        self.takes_K = "K" in self.names.parameters
        self.newton = newton = "ns_steps" in self.names.parameters
        wide = jax.config.jax_enable_x64
        chain: dict[str, Any] = {} if self.whole else {"decays": {"lr_wd": {}}}
        self.capabilities = self.names.capabilities(
            request,
            **{"K": transposed_muon if newton else "l1", **self.names.function(request.K)},
            **chain,
            dtypes=(*(("float64",) if wide else ()), "float32", "float16", "bfloat16"),
            accuracy=0.35 if newton else 0.0,
            schedule=True,
            lists=True,
            checkpoint=True,
            writable=True,
            mixed=True,
            tried=True,
        )

    def create(self, x0: Any, **hyper: Any) -> OptaxHandle:
        return OptaxHandle(self, x0, **hyper)

    def transformation(self, *, lr: Any, betas: Any, weight_decay: Any, **extra: Any) -> Any:
        import optax

        options = {**self.request.options, **extra, **({"K": self.capabilities.K} if self.takes_K else {})}
        if self.whole:
            return self.make(**self.names.arguments(lr=lr, betas=betas, weight_decay=weight_decay), **options)
        return optax.chain(
            self.make(**self.names.arguments(betas=betas), **options),
            optax.add_decayed_weights(weight_decay),
            optax.scale_by_learning_rate(lr),
        )


class OptaxHandle:
    """Parameters and the state of the transformation."""

    def __init__(self, port: OptaxPort, x0: Any, **hyper: Any) -> None:
        import jax

        self.port = port
        self.x = self._put(x0)
        self.transformation = port.transformation(**hyper)
        self.kept = self.transformation.init(self.x)
        self.update = self.transformation.update
        if port.newton and not callable(hyper["lr"]):  # its loop would be compiled again at every step
            self.update = jax.jit(self.update)

    def _put(self, a: Any) -> Any:
        from lionk_jax import backend

        return each_parameter(a, functools.partial(backend.asarray, device=self.port.request.device))

    def step(self, grad: Any) -> None:
        import optax

        updates, self.kept = self.update(self._put(grad), self.kept, self.x)
        self.x = optax.apply_updates(self.x, updates)

    def write(self, x: Any) -> None:
        self.x = self._put(x)

    def state(self) -> Any:
        return self.kept

    def load(self, state: Any) -> None:
        self.kept = state


def _muon_names(make: Any) -> dict[str, str]:
    parameters = inspect.signature(make).parameters
    return {"momentum": "beta"} if "ns_steps" in parameters and "beta" in parameters else {}


def transposed_muon(shape: tuple[int, ...]) -> ConvexFunction:
    """The K of optax.contrib.muon for a matrix of this shape: rows are inputs there, so the scale is transposed."""
    rows, cols = shape
    return K("nuclear").scale(max(1, cols / rows) ** 0.5)
