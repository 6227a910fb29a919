"""A case: inputs of a run as plain numbers, so that any language can read them, and their JSON form in hex floats."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ...backend.discovery import backends
from ...backend.protocol import Backend
from ...functions import ConvexFunction
from ...functions import K as build

#: Of the parameter, and of its gradients. "expanded": one row in memory for all rows, where they are equal.
LAYOUTS = {
    "C": ("C", "C"),
    "transposed": ("transposed", "transposed"),
    "strided": ("strided", "strided"),
    "readonly": ("readonly", "readonly"),
    "transposed_x": ("transposed", "C"),
    "transposed_gradient": ("C", "transposed"),
    "strided_gradient": ("C", "strided"),
    "expanded": ("C", "expanded"),
}
EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


class Rates(tuple[float, ...]):
    """A schedule: the rate of each step, and the last one for ever."""

    __slots__ = ()

    def __call__(self, count: Any) -> float:
        return self[min(int(count), len(self) - 1)]


@dataclass(frozen=True)
class Case:
    """Start, gradients and hyper-parameters of a run.

    ``x0`` and each of ``grads`` are the entries in C order, all exact in ``dtype``; ``lr`` has one rate for each step.
    ``exact``: every correct order of evaluation gives the readouts without rounding, so that ties are ties.
    ``cautious``, ``cautious_decay``, ``maximize``, ``state_error``: what a dialect is (``Capabilities``).
    ``repeat``: the gradients and rates are used so often, from the first again when they end.
    """

    id: str
    dtype: str
    shape: tuple[int, ...]
    x0: tuple[float, ...]
    grads: tuple[tuple[float, ...], ...]
    lr: tuple[float, ...]
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    decay: str = "lr_wd"
    exact: bool = False
    layout: str = "C"
    scheduled: bool = False
    repeat: int = 1
    cautious: str = ""
    cautious_decay: bool = False
    maximize: bool = False
    state_error: float = 0.0

    @property
    def steps(self) -> int:
        return len(self.grads) * self.repeat

    @property
    def long(self) -> bool:
        """Is it the count of its steps that it asks about?"""
        return self.steps > 64

    def gradients(self) -> Iterator[tuple[int, tuple[float, ...]]]:
        """``(step, gradient)`` of every step."""
        return enumerate(self.grads * self.repeat)

    def rate(self, step: int) -> float:
        return self.lr[step % len(self.lr)]

    @property
    def size(self) -> int:
        return len(self.x0)

    def hyper(self) -> dict[str, Any]:
        """What ``create`` is given; the rate is a callable only where it changes."""
        return {
            "lr": Rates(self.lr) if self.scheduled else self.lr[0],
            "betas": self.betas,
            "weight_decay": self.weight_decay,
        }

    def array(self, entries: tuple[float, ...]) -> Any:
        """A parameter of these entries: a NumPy array of this dtype, shape and layout."""
        return self._laid(entries, LAYOUTS[self.layout][0])

    def gradient(self, entries: tuple[float, ...]) -> Any:
        """A gradient of these entries, in the layout of gradients."""
        return self._laid(entries, LAYOUTS[self.layout][1])

    def _laid(self, entries: tuple[float, ...], layout: str) -> Any:
        xp = host().namespace()
        a = host().asarray(entries, dtype="float64").reshape(self.shape)
        a = a if self.dtype == "float64" else host().asarray(a, dtype=self.dtype)
        if layout == "transposed":
            return a.T.copy().T
        if layout == "strided":
            return xp.stack([a, a + 1], axis=-1)[..., 0]
        if layout == "readonly":
            a.flags.writeable = False
        if layout == "expanded" and (a == a[:1]).all():
            return xp.broadcast_to(a[:1], self.shape)
        return a

    def to_json(self) -> dict[str, Any]:
        """Numbers that must be exact as hexadecimal floats ("0x1.8p-3", "nan", "inf"), which C, C++ and Rust read."""
        d = asdict(self)
        return {
            **d,
            "shape": list(self.shape),
            "steps": self.steps,
            "x0": hexes(self.x0),
            "grads": [hexes(g) for g in self.grads],
            "lr": hexes(self.lr),
            "betas": hexes(self.betas),
            "weight_decay": float(self.weight_decay).hex(),
        }

    @classmethod
    def from_json(cls, d: dict[str, Any]) -> Case:
        known = {k: v for k, v in d.items() if k in cls.__dataclass_fields__}
        return cls(
            **{
                **known,
                "shape": tuple(d["shape"]),
                "x0": floats(d["x0"]),
                "grads": tuple(floats(g) for g in d["grads"]),
                "lr": floats(d["lr"]),
                "betas": floats(d["betas"]),
                "weight_decay": number(d["weight_decay"]),
            }
        )


#: What is special about a case, in the words of the manifest.
FLAGS = {
    "exact": "every correct order of evaluation gives the readouts without rounding: compare bit for bit",
    "zero_gradient": "some gradients are 0 everywhere",
    "not_finite": "some gradients are NaN or infinite",
    "scheduled": "the learning rate changes from step to step",
    "zero_rate": "the learning rate is 0 at some step",
    "cycle": "the gradients are used again from the first: steps is more than their rows",
    "zero_beta": "b1 or b2 is 0",
    "no_decay": "there is no weight decay",
    "large_rate": "lr weight_decay is 1 or more, or lr is above 1",
    "beyond_float32": "some gradients are numbers that float32 does not hold",
}


def flags_of(case: Case) -> list[str]:
    """Those of ``FLAGS`` that hold for a case."""
    entries = [v for g in case.grads for v in g]
    magnitudes = [abs(v) for v in entries if v and math.isfinite(v)]
    holds = {
        "exact": case.exact,
        "zero_gradient": any(g and not any(g) for g in case.grads),
        "not_finite": not all(map(math.isfinite, entries)),
        "scheduled": case.scheduled,
        "zero_rate": 0.0 in case.lr,
        "cycle": case.repeat > 1,
        "zero_beta": 0.0 in case.betas,
        "no_decay": case.weight_decay == 0,
        "large_rate": max(case.lr) > 1 or max(case.lr) * case.weight_decay >= 1,
        "beyond_float32": any(not 1e-38 < v < 3e38 for v in magnitudes),
    }
    return [name for name in FLAGS if holds[name]]


@functools.cache
def host() -> Backend:
    """NumPy: what the kit hands over and judges in."""
    return backends()["numpy"]


def hexes(values: Any) -> list[str]:
    return [float(v).hex() for v in values]


def number(value: Any) -> float:
    """A float from a hexadecimal or decimal string, or a number."""
    if not isinstance(value, str):
        return float(value)
    return float.fromhex(value) if "0x" in value.lower() else float(value)


def floats(values: Any) -> tuple[float, ...]:
    return tuple(number(v) for v in values)


def function_of(K: Any, shape: tuple[int, ...]) -> ConvexFunction:
    """The convex function for a parameter of this shape: ``K`` may depend on the shape (Muon's scale)."""
    if isinstance(K, str):
        return _named(K)
    if callable(K) and not isinstance(K, ConvexFunction):
        K = K(shape)
    return build(K)


_named = functools.cache(build)


def size(shape: tuple[int, ...]) -> int:
    return math.prod(shape)
