"""Mistakes in what is done to the gradient before it is averaged."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from ..specification.cases import host
from .registry import mutant, mutant_handle
from .step import Running, Slot


@mutant("gradient entries clipped to [-{0}, {0}]", "S2.scale", constants=(1000.0, 10.0, 100.0, 1e4, 1e6))
def clipped_far(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    return s.formula(x, m, host().namespace().clip(g, -value, value))


@mutant("gradients clipped to length {}", "S2.scale", constants=(1000.0, 100.0, 1e4, 1e6))
def clipped_length_far(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    length = float((g * g).sum() ** 0.5)
    return s.formula(x, m, g * (value / length) if length > value else g)


@mutant("the sign of the gradient wrong (ascent)", "S1.readout", "S1.first")
def ascent(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, -g)


@mutant("a step at every second call only, with the mean of two gradients", "S1.first", "S1.readout")
def every_second(s: Slot, x: Any, m: Any, g: Any) -> Any:
    if "g" not in s.memory:
        s.memory["g"] = g
        return x, m
    return s.formula(x, m, (s.memory.pop("g") + g) / 2)


@mutant("noise on the gradient: two runs of the same inputs differ", "S7.again")
def noisy_gradient(s: Slot, x: Any, m: Any, g: Any) -> Any:
    draw = s.memory.setdefault("draw", random.SystemRandom())
    return s.formula(x, m, g * (1 + 1e-2 * draw.uniform(-1, 1)), lr=s.lr * (1 + 1e-3 * draw.uniform(-1, 1)))


@mutant_handle("a state that outlives its optimizer, and is found by the next one of the same shape", "S7.again")
class LeakedState(Running):
    kept: ClassVar[dict[Any, Any]] = {}

    def step(self, grad: Any) -> None:
        for s in self.slots:
            s.m = self.kept.get((s.x.shape, s.x.dtype), s.m)
        super().step(grad)
        for s in self.slots:
            self.kept[s.x.shape, s.x.dtype] = s.m
