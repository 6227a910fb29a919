"""Keras optimizers as conformance ports. Keras runs on several libraries, and takes and gives NumPy arrays on each."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from lionk.conformance.ports.names import Names, Request, title, unwrap, versions_of
from lionk.conformance.specification.port import each_parameter


def adapt(obj: Any, request: Request | None) -> KerasPort | None:
    """A port, if obj is a subclass of keras.optimizers.Optimizer, or a partial of one."""
    keras = sys.modules.get("keras")
    inner = unwrap(obj)
    if keras is None or not (isinstance(inner, type) and issubclass(inner, keras.optimizers.Optimizer)):
        return None
    return KerasPort(obj, request or Request())


class KerasPort:
    """An optimizer class of Keras, on the library that KERAS_BACKEND names.

    Keras holds plain numbers in its ``floatx``; as long as the port works that is the dtype of the parameter.
    """

    def __init__(self, kind: Any, request: Request) -> None:
        import keras

        self.kind, self.request, self.name = kind, request, f"{title(kind)} on {keras.backend.backend()}"
        self.names = Names.of(kind, request.names)
        self.defaults: Mapping[str, Any] = self.names.defaults
        self.versions = versions_of("keras", keras.backend.backend())
        self.capabilities = self.names.capabilities(
            request,
            **self.names.function(request.K),
            dtypes=("float64", "float32", "float16", "bfloat16"),
            schedule=True,
            lists=True,
            missing=True,
            checkpoint=True,
            writable=True,
            tried=True,
        )

    def create(self, x0: Any, **hyper: Any) -> KerasHandle:
        return KerasHandle(self, x0, **hyper)


class KerasHandle:
    """Variables and their optimizer. A scheduled rate is a LearningRateSchedule, asked with Keras' own count."""

    def __init__(self, port: KerasPort, x0: Any, **hyper: Any) -> None:
        import keras

        self.several = isinstance(x0, list)
        arrays = x0 if self.several else [x0]
        self.variables = [keras.Variable(a, dtype=str(a.dtype)) for a in arrays]
        if callable(hyper["lr"]):
            hyper["lr"] = _schedule(hyper["lr"])
        named, extra = port.names.split(hyper)
        self.dtype = str(arrays[0].dtype)
        with _floatx(self.dtype):
            self.optimizer = port.kind(**named, **{**port.request.options, **extra})
            self.optimizer.build(self.variables)

    @property
    def x(self) -> Any:
        return [v.value for v in self.variables] if self.several else self.variables[0].value

    def step(self, grad: Any) -> None:
        import keras

        self.received = each_parameter(grad, lambda g: keras.ops.convert_to_tensor(g, dtype=str(g.dtype)))
        with _floatx(self.dtype):
            self.optimizer.apply(self.received if self.several else [self.received], self.variables)
        if self.several:
            self.received = None

    def write(self, x: Any) -> None:
        for v, a in zip(self.variables, x if self.several else [x], strict=True):
            v.assign(a)

    def state(self) -> Any:
        kept: dict[str, Any] = {}
        self.optimizer.save_own_variables(kept)
        return kept

    def load(self, state: Any) -> None:
        self.optimizer.load_own_variables(state)


@contextlib.contextmanager
def _floatx(dtype: str) -> Iterator[None]:
    import keras

    usual = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(usual)


def _schedule(rate: Any) -> Any:
    import keras

    class Rate(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> float:
            return float(rate(int(keras.ops.convert_to_numpy(step))))

    return Rate()
