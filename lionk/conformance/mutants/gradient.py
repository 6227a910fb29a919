"""Mistakes in what is done to the gradient before it is averaged."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from ..specification.cases import host
from .registry import mutant, mutant_handle
from .step import Running, Slot


@mutant("gradients clipped to length {}", "S1.readout", "S4.state", constants=(1.0, 0.1, 0.25, 0.5, 2.0, 5.0, 10.0))
def clipped_length(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    length = float((g * g).sum() ** 0.5)
    return s.formula(x, m, g * (value / length) if length > value else g)


@mutant("gradients clipped to {} of the length of x", "S1.readout", "S4.state", constants=(0.01, 0.02, 0.1, 1.0))
def clipped_by_x(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    return clipped_length(s, x, m, g, value * max(float((x * x).sum() ** 0.5), 1e-3))


@mutant("the part of the gradient along x taken away", "S1.readout", "S4.state")
def projected_gradient(s: Slot, x: Any, m: Any, g: Any) -> Any:
    length = float((x * x).sum())
    return s.formula(x, m, g - x * (float((x * g).sum()) / length) if length else g)


@mutant("the gradient of {} steps before", "S1.first", "S1.readout", constants=(1, 2, 3))
def stale_gradient(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    kept = s.memory.setdefault("grads", [0 * g] * value)
    kept.append(g)
    return s.formula(x, m, kept.pop(0))


@mutant("gradients that are added up and never cleared", "S1.readout", "S4.state")
def accumulated_gradient(s: Slot, x: Any, m: Any, g: Any) -> Any:
    s.memory["g"] = g = s.memory.get("g", 0 * g) + g
    return s.formula(x, m, g)


@mutant("the gradient normalised to length 1", "S1.readout", "S4.state")
def normalised_gradient(s: Slot, x: Any, m: Any, g: Any) -> Any:
    length = float((g * g).sum() ** 0.5)
    return s.formula(x, m, g / length if length > 0 else g)


@mutant(
    "gradient entries clipped to [-{0}, {0}]", "S1.readout", "S4.state", constants=(1.0, 0.01, 0.1, 0.25, 0.5, 2.0, 5.0)
)
def clipped_gradient(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    xp = host().namespace()
    return s.formula(x, m, xp.clip(g, -value, value))


@mutant("gradient entries clipped to [-{0}, {0}]", "S2.scale", constants=(1000.0, 10.0, 100.0, 1e4, 1e6))
def clipped_far(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    return clipped_gradient(s, x, m, g, value)


@mutant("gradients clipped to length {}", "S2.scale", constants=(1000.0, 100.0, 1e4, 1e6))
def clipped_length_far(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    return clipped_length(s, x, m, g, value)


@mutant("the sign of the gradient wrong (ascent)", "S1.readout", "S1.first")
def ascent(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, -g)


@mutant("the gradient divided by its largest entry", "S1.readout", "S4.state")
def gradient_over_largest(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    size = float(xp.max(xp.abs(g))) if g.size else 0.0
    return s.formula(x, m, g / size if size else g)


@mutant("the gradient divided by its root mean square", "S1.readout", "S4.state")
def gradient_over_rms(s: Slot, x: Any, m: Any, g: Any) -> Any:
    size = float((g * g).sum() ** 0.5) / max(g.size, 1) ** 0.5
    return s.formula(x, m, g / size if size else g)


@mutant("gradients of matrices centred: the mean of each row taken away", "S5.shape")
def centred_gradient(s: Slot, x: Any, m: Any, g: Any) -> Any:
    rows = tuple(range(1, g.ndim))
    return s.formula(x, m, g - g.mean(axis=rows, keepdims=True) if rows and g.size else g)


@mutant("gradients centred: their mean taken away", "S1.readout", "S4.state")
def centred_over_all(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g - g.mean() if g.size else g)


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
