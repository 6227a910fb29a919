"""Ports made of a plain function or a plain class, on the arrays of one library."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...backend.discovery import backends
from ...backend.protocol import Backend
from ..specification.cases import Rates
from ..specification.port import Capabilities, each_parameter
from .names import Names, Request, title

_DTYPES = {"jax": ("float32",), "numpy": ("float64", "float32")}


#: Attributes under which a class may keep its parameter.
_HELD = ("x", "p", "param", "params", "w", "theta")


def _claims(request: Request, names: Names, **known: Any) -> Capabilities:
    K = "l1" if request.K is None else request.K
    dtypes = _DTYPES.get(request.library, ("float64", "float32"))
    return names.capabilities(request, K=K, dtypes=dtypes, tried=True, **known)


def _given(port: PlainFunction | PlainClass, x0: Any) -> Any:
    """The parameter as its library has it; of NumPy in the layout that it is in."""
    return x0.copy(order="K") if port.backend.name == "numpy" else port.backend.asarray(x0, device=port.request.device)


class PlainFunction:
    """A function of x, m, grad (or x, grad, state) and hyper-parameters that returns ``(x, m)``, or writes in place.

    m begins at 0, of whatever sign; a state begins at None. A parameter called count, step or t gets the number of the
    step, from 0.
    """

    def __init__(self, function: Any, request: Request) -> None:
        self.function, self.request, self.name = function, request, title(function)
        self.names = Names.of(function, request.names)
        self.defaults: Mapping[str, Any] = self.names.defaults
        missing = [n for n in ("x", "grad") if n not in self.names.found]
        if missing or not {"m", "state"} & set(self.names.found):
            raise TypeError(
                f"{self.name} is no step: it needs parameters for x, grad and m (or state), has "
                f"{', '.join(self.names.parameters)}; map those that are called otherwise, as in x=NAME; if it makes "
                "an optax transformation, let its signature say so: -> optax.GradientTransformation"
            )
        self.backend: Backend = backends()[request.library]
        self.capabilities = _claims(request, self.names, schedule=True, checkpoint=True, writable=True, editable=True)

    def create(self, x0: Any, **hyper: Any) -> _FunctionHandle:
        return _FunctionHandle(self, x0, **hyper)


class _FunctionHandle:
    def __init__(self, port: PlainFunction, x0: Any, **hyper: Any) -> None:
        self.port, self.hyper, self.count = port, hyper, 0
        self.x = _given(port, x0)
        self.kept = port.backend.namespace().zeros_like(self.x) if "m" in port.names.found else None

    def step(self, grad: Any) -> None:
        port, found = self.port, self.port.names.found
        self.received = grad if port.backend.name == "numpy" else port.backend.asarray(grad)
        lr = self.hyper["lr"]
        hyper = {**self.hyper, "lr": float(lr(self.count)) if callable(lr) else lr}
        named, extra = port.names.split(hyper)
        given = {
            **port.request.options,
            **extra,
            **named,
            found["x"]: self.x,
            found["grad"]: self.received,
            found["m" if "m" in found else "state"]: self.kept,
        }
        if "count" in found:
            given[found["count"]] = self.count
        # In the order of the signature, so that positional-only parameters get theirs.
        only = [n for n, p in port.names.parameters.items() if p.kind is inspect.Parameter.POSITIONAL_ONLY]
        result = port.function(*[given.pop(n) for n in only if n in given], **given)
        if isinstance(result, (tuple, list)) and len(result) == 2:
            self.x, self.kept = result
        elif result is not None:
            raise TypeError(f"{port.name} returned {type(result).__name__}; a step returns (x, m), or None if in place")
        self.count += 1

    def write(self, x: Any) -> None:
        self.x = self.port.backend.asarray(x, device=self.port.request.device)

    def edit(self, **hyper: Any) -> None:
        self.hyper = {**self.hyper, **hyper}

    def state(self) -> Any:
        return self.kept, self.count

    def load(self, state: Any) -> None:
        self.kept, self.count = state


class PlainClass:
    """A class whose objects are handles: made from x0 and hyper-parameters, with ``step(grad)`` and ``x``.

    The parameter may be the attribute x, p, param, params, w or theta. ``state`` and ``load``, or ``state_dict`` and
    ``load_state_dict``, make it answer for checkpoints. ``step`` may return the new x.
    """

    def __init__(self, kind: type, request: Request) -> None:
        self.kind, self.request, self.name = kind, request, title(kind)
        if not callable(getattr(kind, "step", None)):
            raise TypeError(f"{self.name} has no method step(grad), so it is no optimizer that the kit can run")
        self.names = Names.of(kind, request.names)
        self.defaults: Mapping[str, Any] = self.names.defaults
        self.backend: Backend = backends()[request.library]
        pairs = (("state", "load"), ("state_dict", "load_state_dict"))
        self.saves = next((p for p in pairs if all(hasattr(kind, n) for n in p)), None)
        self.capabilities = _claims(request, self.names, checkpoint=self.saves is not None, writable=True)
        if "schedule" not in request.claims and self._takes_a_schedule():
            self.capabilities = replace(self.capabilities, schedule=True)

    def _takes_a_schedule(self) -> bool:
        """Does a class that asks whether something is ``callable`` take a function of the count as its rate, and follow
        it?
        """
        methods = [f for kind in self.kind.__mro__ for f in vars(kind).values()]
        if not any("callable" in getattr(getattr(f, "__code__", None), "co_names", ()) for f in methods):
            return False
        xp, moved = self.backend.namespace(), []
        ones = xp.ones((2, 2), dtype=xp.float32)
        try:
            for rate in (0.5, 0.25):
                handle = self.create(+ones, lr=Rates((rate,)), betas=(0.5, 0.5), weight_decay=0.0)
                handle.step(+ones)
                moved.append(float(xp.max(xp.abs(handle.x - ones))))
        except (Exception, SystemExit):  # it takes no function, no such shape, or no such gradient
            return False
        return moved[1] > 0 and moved[0] == 2 * moved[1]

    def create(self, x0: Any, **hyper: Any) -> _ClassHandle:
        return _ClassHandle(self, x0, **hyper)


class _ClassHandle:
    def __init__(self, port: PlainClass, x0: Any, **hyper: Any) -> None:
        self.port = port
        named, extra = port.names.split(hyper)
        x = _given(port, x0)
        self.inner = port.kind(x, **port.request.options, **extra, **named)
        self.kept = x

    @property
    def x(self) -> Any:
        for name in _HELD:
            if hasattr(self.inner, name):
                return getattr(self.inner, name)
        return self.kept

    def step(self, grad: Any) -> None:
        port = self.port
        numpy = port.backend.name == "numpy"
        self.received = grad if numpy else each_parameter(grad, port.backend.asarray)
        result = self.inner.step(self.received)
        if result is not None:
            self.kept = result

    def write(self, x: Any) -> None:
        held = next((n for n in _HELD if hasattr(self.inner, n)), None)
        x = self.port.backend.asarray(x, device=self.port.request.device)
        if held is not None:
            setattr(self.inner, held, x)
        elif self.port.backend.name == "numpy":
            self.kept[...] = x
        else:
            raise NotImplementedError("where its x is kept is not known")

    def state(self) -> Any:
        return getattr(self.inner, self.port.saves[0])() if self.port.saves else None

    def load(self, state: Any) -> None:
        if self.port.saves:
            getattr(self.inner, self.port.saves[1])(state)
