"""Mistakes in the weight decay."""

from __future__ import annotations

from typing import Any

from ..specification.cases import host
from .registry import mutant
from .step import Slot


@mutant("coupled weight decay (L2): wd x is added to the gradient", "S3.decay", "S1.readout")
def coupled_decay(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g + s.wd * x, wd=0.0)


@mutant("wd x in the readout only: the state has the plain gradient", "S4.state", decays={"coupled": {}})
def decay_not_in_state(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g + s.wd * x, wd=0.0)[0], s.formula(x, m, g, wd=0.0)[1]


@mutant("decay after the step, on the new x", "S3.decay")
def decay_after(s: Slot, x: Any, m: Any, g: Any) -> Any:
    x, m = s.formula(x, m, g, wd=0.0)
    return x * (1 - s.lr * s.wd), m


@mutant("implicit decay, (x + lr u)/(1 + lr wd)", "S3.decay")
def implicit_decay(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, implicit=True)


@mutant("decay without the learning rate, by wd", "S3.decay")
def decay_without_lr(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, wd=s.wd / s.lr if s.lr else 0.0)


@mutant("decay by lr^2 wd", "S3.decay")
def decay_lr_squared(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, wd=s.wd * s.lr)


@mutant("decay by lr wd, where another convention is declared", "S3.decay", decays={"fixed": {}})
def decay_of_lion(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, decay="lr_wd")


@mutant("decay forgotten", "S3.decay")
def no_decay(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, wd=0.0)


@mutant("a masked decay, only where it agrees with the direction (cautious)", "S3.decay")
def cautious_decay(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    u = s.dK(s.readout(m, g))
    return x + s.lr * (u - s.wd * xp.where(u * x < 0, x, 0 * x)), s.formula(x, m, g)[1]


@mutant("decay left out for parameters with fewer than two axes", "S3.decay")
def no_decay_for_vectors(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, wd=s.wd if x.ndim >= 2 else 0.0)


@mutant("no decay where the direction is 0", "S3.decay")
def decay_when_moving(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    u = s.dK(s.readout(m, g))
    return x + s.lr * (u - s.wd * xp.where(u == 0, 0 * x, x)), s.formula(x, m, g)[1]


@mutant("wd times the new x in the state only", "S3.decay", "S1.readout")
def decay_of_new_in_state(s: Slot, x: Any, m: Any, g: Any) -> Any:
    new, _ = s.formula(x, m, g, wd=0.0)
    return new, s.formula(x, m, g + s.wd * new)[1]


@mutant("half of the way back to a slow copy at every {}th step (look-ahead)", "S5.trajectory", constants=(5, 6, 10))
def slow_copy(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    slow = s.memory.setdefault("slow", x)
    new, after = s.formula(x, m, g)
    if (s.count + 1) % value == 0:
        new = s.memory["slow"] = (slow + new) / 2
    return new, after
