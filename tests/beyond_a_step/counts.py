"""Mistakes that show at large counts of steps."""

from __future__ import annotations

from typing import Any

from lionk.conformance.mutants.step import Slot

from .registry import mutant

_COUNTS = (1000, 100, 128, 200, 256, 500, 512, 1024, 2000, 2048, 4000, 4096)


@mutant("a momentum that restarts at the {}th step", "S5.long", constants=_COUNTS)
def restarts_at(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    return s.formula(x, m if s.count != value else 0 * m, g)


@mutant("a momentum that is not updated any more after {} steps", "S5.long", constants=_COUNTS)
def stops_at(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    new, after = s.formula(x, m, g)
    return new, after if s.count < value else m


@mutant("a step that is left out at every {}th count", "S5.long", constants=_COUNTS)
def skips_at(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    return s.formula(x, m, g) if (s.count + 1) % value else (x, m)


@mutant("no step any more after {} steps", "S5.long", constants=_COUNTS)
def ends_at(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    return s.formula(x, m, g) if s.count < value else (x, m)


@mutant("no decay any more after {} steps", "S5.long", constants=_COUNTS)
def decays_until(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    return s.formula(x, m, g, wd=s.wd if s.count < value else 0.0)


@mutant("a learning rate that is halved after {} steps", "S5.long", constants=_COUNTS)
def halves_at(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    return s.formula(x, m, g, lr=s.lr if s.count < value else s.lr / 2)


@mutant("a schedule that begins anew after {} steps, as with a count of few bits", "S5.long", constants=(256, 128))
def count_of_few_bits(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    lr = s.hyper["lr"]
    return s.formula(x, m, g, lr=float(lr(s.count % value)) if callable(lr) else s.lr)
