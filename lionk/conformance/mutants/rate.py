"""Mistakes in the learning rate, and in which x is shown."""

from __future__ import annotations

from typing import Any

from .registry import mutant
from .step import Slot


@mutant("a schedule that begins at 1, or is read after the step", "S5.schedule")
def schedule_off_by_one(s: Slot, x: Any, m: Any, g: Any) -> Any:
    lr = s.hyper["lr"]
    return s.formula(x, m, g, lr=float(lr(s.count + 1)) if callable(lr) else s.lr)


@mutant("a decay that keeps the first learning rate", "S5.schedule")
def decay_with_first_rate(s: Slot, x: Any, m: Any, g: Any) -> Any:
    first = s.memory.setdefault("lr", s.lr)
    return s.formula(x, m, g, wd=s.wd * first / s.lr if s.lr else 0.0)


@mutant("a learning rate that stays that of the first step", "S5.schedule")
def frozen_rate(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, lr=s.memory.setdefault("lr", s.lr))


@mutant("a direction without the learning rate", "S3.step")
def rate_forgotten(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r) / s.lr if s.lr else s.dK(r))


@mutant("the learning rate applied twice to the direction", "S3.step")
def rate_squared(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r) * s.lr)


@mutant("a learning rate corrected for bias, as Adam's", "S1.first", "S3.step")
def corrected_rate(s: Slot, x: Any, m: Any, g: Any) -> Any:
    t = s.count + 1
    return s.formula(x, m, g, lr=s.lr * (1 - s.b2**t) ** 0.5 / (1 - s.b1**t))


@mutant("the learning rate times {}", "S3.step", "S1.readout", constants=(0.5, 0.1, 2.0, 10.0))
def rate_times(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    return s.formula(x, m, g, lr=value * s.lr)


@mutant("a schedule that moves on at every second step only", "S5.schedule")
def schedule_half_speed(s: Slot, x: Any, m: Any, g: Any) -> Any:
    lr = s.hyper["lr"]
    return s.formula(x, m, g, lr=float(lr(s.count // 2)) if callable(lr) else s.lr)


@mutant("a learning rate that is read one step late", "S5.schedule")
def schedule_late(s: Slot, x: Any, m: Any, g: Any) -> Any:
    lr = s.hyper["lr"]
    return s.formula(x, m, g, lr=float(lr(max(s.count - 1, 0))) if callable(lr) else s.lr)


@mutant("a decay by the learning rate of the step before", "S5.schedule")
def decay_with_previous_rate(s: Slot, x: Any, m: Any, g: Any) -> Any:
    before = s.memory.get("lr", s.lr)
    s.memory["lr"] = s.lr
    return s.formula(x, m, g, wd=s.wd * before / s.lr if s.lr else 0.0)


@mutant(
    "a warm-up of {} steps that nobody asked for", "S1.first", "S3.step", constants=(5, 2, 3, 4, 10, 20, 50, 100, 1000)
)
def hidden_warm_up(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    return s.formula(x, m, g, lr=s.lr * min(1.0, (s.count + 1) / value))


@mutant("a learning rate that falls as 1/sqrt(t)", "S1.readout", "S3.step")
def hidden_fall(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, lr=s.lr / (s.count + 1) ** 0.5)


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
