"""Mistakes in the rate of a step, and of its decay: constants of the step show them."""

from __future__ import annotations

from typing import Any

from lionk.conformance.mutants.step import Slot

from .registry import mutant


@mutant("a learning rate that stays that of the first step", "S5.schedule")
def frozen_rate(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, lr=s.memory.setdefault("lr", s.lr))


@mutant("a schedule that begins at 1, or is read after the step", "S5.schedule")
def schedule_off_by_one(s: Slot, x: Any, m: Any, g: Any) -> Any:
    lr = s.hyper["lr"]
    return s.formula(x, m, g, lr=float(lr(s.count + 1)) if callable(lr) else s.lr)


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


@mutant("a decay that keeps the first learning rate", "S5.schedule")
def decay_with_first_rate(s: Slot, x: Any, m: Any, g: Any) -> Any:
    first = s.memory.setdefault("lr", s.lr)
    return s.formula(x, m, g, wd=s.wd * first / s.lr if s.lr else 0.0)


@mutant("decay after the learning rate in a chain: x + wd x, growth without lr", "S3.decay")
def decay_behind_rate(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, wd=-s.wd / s.lr if s.lr else 0.0)
