"""The step taken apart: what mutants (wrong on purpose) and correct variants are made of.

Each is the one step of lionk with other arguments, or with something done before or after it, on NumPy arrays.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from ...optimizer import step
from ..specification.cases import function_of, host
from ..specification.port import EVERYTHING, Capabilities, each_parameter
from ..specification.variant import direction, spelled

Move = Callable[["Slot", Any, Any, Any], tuple[Any, Any]]


class Slot:
    """One parameter of a running variant: its hyper-parameters, the step, and room for what a variant remembers."""

    def __init__(self, port: Variant, x: Any, hyper: Mapping[str, Any], count: int = 0) -> None:
        self.port, self.hyper, self.count = port, dict(hyper), count
        self.K = function_of(port.capabilities.K, x.shape)
        self.x, self.memory = x, {}
        xp = host().namespace()
        self.m = xp.zeros(x.shape, dtype=port.capabilities.state_dtype or x.dtype)

    memory: dict[str, Any]

    @property
    def lr(self) -> float:
        lr = self.hyper["lr"]
        return float(lr(self.count) if callable(lr) else lr)

    @property
    def wd(self) -> float:
        return float(self.hyper["weight_decay"])

    @property
    def b1(self) -> float:
        return float(self.hyper["betas"][0])

    @property
    def b2(self) -> float:
        return float(self.hyper["betas"][1])

    @property
    def decay(self) -> str:
        """Its convention."""
        return str(self.hyper.get("decay", "lr_wd"))

    def dK(self, r: Any) -> Any:
        return self.K.subgradient(r)

    def formula(self, x: Any, m: Any, g: Any, **changed: Any) -> tuple[Any, Any]:
        """The step in result_type(x, m), in the dialect of the port, with some of lr, wd, b1, b2, dK, implicit and
        decay replaced. ``bare``: dK without what the dialect adds to it.
        """
        xp, claims = host().namespace(), self.port.dialect
        dtype = xp.result_type(x, m)
        a, b, c = (xp.astype(v, dtype) for v in (x, m, -g if claims.maximize else g))
        own = {"lr": self.lr, "wd": self.wd, "b1": self.b1, "b2": self.b2, "dK": self.dK, "decay": self.decay}
        p = {**own, "implicit": False, "bare": False, **changed}
        lr = self.hyper["lr"]
        lam, c = spelled(p["decay"], p["wd"], p["lr"], lr(0) if callable(lr) else lr, a, c)

        def dK(r: Any) -> Any:
            return p["dK"](r) if p["bare"] else direction(claims, SimpleNamespace(subgradient=p["dK"]), a, c, lam, r)

        return step.update(dK, a, b, c, p["lr"], lam, p["b1"], p["b2"], p["implicit"])

    def readout(self, m: Any, g: Any, b1: float | None = None) -> Any:
        """Minus the average that K is asked at."""
        return self.formula(0 * m, m, g, lr=1.0, wd=0.0, b1=self.b1 if b1 is None else b1, dK=lambda r: r, bare=True)[0]


def plain(s: Slot, x: Any, m: Any, g: Any) -> tuple[Any, Any]:
    """The step as it is."""
    return s.formula(x, m, g)


class Running:
    """The handle of a variant."""

    def __init__(self, port: Variant, x0: Any, *, groups: list[dict[str, Any]] | None = None, **hyper: Any) -> None:
        self.port, self.several = port, isinstance(x0, list)
        arrays = list(x0) if self.several else [x0]
        own = groups or [{}] * len(arrays)
        self.turned = -1 if hyper.pop("maximize", False) else 1
        base = {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0, **hyper}
        self.base, self.buffers = base, {}
        self.complex = None if arrays[0].dtype.kind != "c" else arrays[0].dtype
        self.slots = [Slot(port, self._real(a.copy()), {**base, **g}) for a, g in zip(arrays, own, strict=True)]

    buffers: dict[int, Any]

    def _real(self, a: Any) -> Any:
        """Complex numbers as pairs."""
        return a if self.complex is None else a.reshape(*a.shape, 1).view(a.real.dtype)

    def _shown(self, x: Any) -> Any:
        return x if self.complex is None else x.view(self.complex)[..., 0]

    @property
    def x(self) -> Any:
        return [s.x for s in self.slots] if self.several else self._shown(self.slots[0].x)

    def step(self, grad: Any) -> None:
        self.received = each_parameter(grad, lambda g: self._real(g if self.port.raw else g.copy()))
        for s, g in zip(self.slots, self.received if self.several else [self.received], strict=True):
            if g is not None:
                x, m = self.port.move(s, s.x, s.m, -g if self.turned < 0 else g)
                s.x, s.m = x.astype(s.x.dtype), m.astype(s.m.dtype)
            s.count += 1
        if self.several or self.complex is not None:
            self.received = None

    def state(self) -> Any:
        return [{"m": s.m, "count": s.count, "memory": s.memory, "hyper": s.hyper} for s in self.slots]

    def load(self, state: Any) -> None:
        for s, saved in zip(self.slots, copy.deepcopy(state), strict=True):
            s.m, s.count, s.memory, s.hyper = (saved[n] for n in ("m", "count", "memory", "hyper"))

    def write(self, x: Any) -> None:
        for s, a in zip(self.slots, x if self.several else [x], strict=True):
            s.x = a.copy()

    def edit(self, **hyper: Any) -> None:
        for s in self.slots:
            s.hyper.update(hyper)

    def add(self, x0: Any, **hyper: Any) -> None:
        self.slots.append(Slot(self.port, x0.copy(), {**self.base, **hyper}))

    def closure(self, grad: Any) -> tuple[int, bool, bool]:
        self.step(grad)
        return 1, True, True

    def reuse(self, grad: Any) -> None:
        """The gradients of one array are one buffer, which is written again."""
        first: dict[int, int] = {}

        def buffer(i: int, g: Any) -> Any:
            at = first.setdefault(id(g), i)
            kept = self.buffers.setdefault(at, g.copy())
            kept[...] = g
            return kept

        grads = grad if self.several else [grad]
        taken = [buffer(i, g) for i, g in enumerate(grads)]
        self.step(taken if self.several else taken[0])


@dataclass(frozen=True)
class Variant:
    """A port whose step is ``move``. ``raw``: it works on the caller's own gradient."""

    name: str
    move: Move = plain
    capabilities: Capabilities = Capabilities(  # noqa: RUF009  (a frozen value)
        dtypes=("float64", "float32", "float16"),
        **EVERYTHING,
        complex=True,
        options={"maximize": {"maximize": True}},
    )
    handle: type[Running] = Running
    raw: bool = False
    says: str = ""
    rules: tuple[str, ...] = ()  # of a mutant: the rules that must notice it
    kin: tuple[Variant, ...] = ()  # of a mutant: the same mistake with other constants
    dialect: Capabilities = Capabilities()  # noqa: RUF009  in which it makes the mistake

    @property
    def defaults(self) -> Mapping[str, Any]:
        return {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0}

    def create(self, x0: Any, **hyper: Any) -> Running:
        return self.handle(self, x0, **hyper)

    def claiming(self, **claims: Any) -> Variant:
        """The same with other capabilities."""
        return replace(self, capabilities=replace(self.capabilities, **claims))
