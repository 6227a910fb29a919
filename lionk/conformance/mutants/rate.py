"""Mistakes in the learning rate, and in which x is shown."""

from __future__ import annotations

from typing import Any

from .registry import mutant
from .step import Slot


@mutant(
    "a warm-up of {} steps that nobody asked for", "S1.first", "S3.step", constants=(5, 2, 3, 4, 10, 20, 50, 100, 1000)
)
def hidden_warm_up(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    return s.formula(x, m, g, lr=s.lr * min(1.0, (s.count + 1) / value))


@mutant("x shown one step late: from before the step", "S1.first", "S1.readout")
def shown_late(s: Slot, x: Any, m: Any, g: Any) -> Any:
    true = s.memory.get("x", x)
    s.memory["x"], after = s.formula(true, m, g)
    return true, after


@mutant(
    "an average of x shown in place of x, {} of it old", "S1.first", "S1.readout", constants=(0.9, 0.5, 0.99, 0.999)
)
def shown_averaged(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    s.memory["x"], after = s.formula(s.memory.get("x", x), m, g)
    return value * x + (1 - value) * s.memory["x"], after
