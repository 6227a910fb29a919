"""Mistakes that show at large and small numbers, and when the rate jumps."""

from __future__ import annotations

from typing import Any

from ..specification.cases import host
from .registry import mutant
from .step import Slot


@mutant("b2 = 0 taken for a value that was not given", "S1.zero_b2")
def falsy_b2(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b2=s.b2 or 0.99)


@mutant("b2 kept away from 0 and 1 by 0.001", "S1.zero_b2")
def clamped_b2(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b2=min(max(s.b2, 1e-3), 1 - 1e-3))


@mutant("a sign that is taken in float32", "S2.fine")
def sign_in_single(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: s.dK(xp.astype(xp.astype(r, xp.float32), r.dtype)))


@mutant("gradients times 2^16 and divided again, as by a grad scaler: they overflow", "S2.fine")
def scaled_and_back(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, (g * 65536.0) / 65536.0)


@mutant("readouts below {} taken for 0", "S2.fine", constants=(1e-50, 1e-40, 1e-45, 1e-100, 1e-200))
def far_threshold(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: s.dK(xp.where(xp.abs(r) < value, 0 * r, r)))


@mutant("readouts below {} of the largest taken for 0", "S2.fine", constants=(1e-12, 1e-8, 1e-10, 1e-15, 1e-20))
def relative_threshold(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    xp = host().namespace()

    def cut(r: Any) -> Any:
        return s.dK(xp.where(xp.abs(r) < value * (xp.max(xp.abs(r)) if r.size else 1.0), 0 * r, r))

    return s.formula(x, m, g, dK=cut)


@mutant("a cancelled readout, below {} of |m|, taken for 0", "S2.fine", constants=(1e-12, 1e-10, 1e-13))
def cancelled_readout(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: s.dK(xp.where(xp.abs(r) < value * xp.abs(m), 0 * r, r)))


@mutant("the factor 1 - lr wd of the decay kept from falling below {}", "S3.large", constants=(0.0, 0.1))
def clamped_decay(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    return s.formula(x, m, g, wd=min(s.wd, (1 - value) / s.lr) if s.lr else s.wd)


@mutant("a factor 1 - lr wd of exactly 0 taken for no decay", "S3.large")
def falsy_factor(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, wd=s.wd if s.lr * s.wd != 1 else 0.0)


@mutant("the magnitude |1 - lr wd| as the factor of the decay", "S3.large")
def decay_by_magnitude(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, wd=(1 - abs(1 - s.lr * s.wd)) / s.lr if s.lr else s.wd)


@mutant("a learning rate cut at {}", "S3.large", constants=(10.0, 1.0, 0.5, 2.0))
def clamped_rate(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    return s.formula(x, m, g, lr=min(s.lr, value))


@mutant("a learning rate of at least {}", "S3.large", constants=(1e-8, 1e-10, 1e-6))
def least_rate(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    return s.formula(x, m, g, lr=max(s.lr, value) if s.lr else 0.0)


@mutant("the learning rate inside the momentum: b2 m + lr g", "S5.rate")
def rate_in_momentum(s: Slot, x: Any, m: Any, g: Any) -> Any:
    # The momentum is lr times an average: both averages of one step weigh the gradient by lr.
    r = s.b1 * m - (1 - s.b1) * s.lr * g
    return s.formula(x, m, g, dK=lambda _: s.dK(r))[0], s.formula(x, m, s.lr * g)[1]


@mutant("a momentum that stands still while the learning rate is 0", "S5.pause")
def pauses_with_rate(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g) if s.lr or not s.count else (x, m)


@mutant("a momentum that begins anew after a learning rate of 0", "S5.pause")
def begins_after_pause(s: Slot, x: Any, m: Any, g: Any) -> Any:
    was, s.memory["lr"] = s.memory.get("lr", 1.0), s.lr
    return s.formula(x, m if was or s.count < 2 else 0 * m, g)


@mutant("a learning rate of 0 taken for one that was not given: the last one is kept", "S5.pause")
def falsy_rate(s: Slot, x: Any, m: Any, g: Any) -> Any:
    s.memory["lr"] = lr = s.lr or s.memory.get("lr", 0.0)
    return s.formula(x, m, g, lr=lr)


@mutant("a weight decay below {} taken for 0", "S3.large", constants=(1e-6, 1e-5, 1e-4))
def least_decay(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    return s.formula(x, m, g, wd=s.wd if s.wd >= value else 0.0)


@mutant("b2 kept below {}", "S1.betas", constants=(0.9995, 0.999))
def capped_b2(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    return s.formula(x, m, g, b2=min(s.b2, value))


@mutant("entries of x that are 0 stay 0 (a pruning mask)", "S3.step")
def zeros_stay(s: Slot, x: Any, m: Any, g: Any) -> Any:
    new, after = s.formula(x, m, g)
    return host().namespace().where(x == 0, x, new), after
