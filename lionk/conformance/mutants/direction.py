"""Mistakes in the subgradient and in the learning rate."""

from __future__ import annotations

from typing import Any

from ..cases import host
from ..variants import Slot
from .registry import mutant


@mutant("sign(0) = 1 (x moves by -lr at a tie)", "S2.selection")
def sign_of_zero_is_plus(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.where(r == 0, -1 + 0 * r, s.dK(r)))


@mutant("sign(0) = -1 (x moves by lr at a tie)", "S2.selection")
def sign_of_zero_is_minus(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.where(r == 0, 1 + 0 * r, s.dK(r)))


@mutant("an epsilon in the sign, r/(|r| + 1e-8)", "S2.scale", "S1.readout")
def epsilon_in_sign(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: r / (xp.abs(r) + 1e-8))


@mutant("a dead zone, 0 where |r| < 1e-6", "S2.scale")
def threshold_in_sign(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.where(xp.abs(r) < 1e-6, 0 * r, s.dK(r)))


@mutant("a smooth direction, tanh(100 r), in place of the sign", "S1.readout", "S2.scale")
def smooth_sign(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.tanh(100 * r))


@mutant("no subgradient at all: the readout itself is the direction (SGD)", "S1.readout")
def identity_direction(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: r)


@mutant("a cautious mask: entries whose direction disagrees with the gradient stay", "S1.readout")
def cautious(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.where(r * g < 0, s.dK(r), 0 * r))


@mutant("a cautious mask, rescaled by the share of entries that move", "S1.readout")
def cautious_rescaled(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()

    def masked(r: Any) -> Any:
        agree = r * g < 0
        return xp.where(agree, s.dK(r), 0 * r) * (agree.size / (float(xp.sum(agree)) + 1))

    return s.formula(x, m, g, dK=masked)


@mutant("a cautious mask, divided by its mean", "S1.readout")
def cautious_normalised(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()

    def masked(r: Any) -> Any:
        agree = xp.where(r * g < 0, 1.0, 0.0)
        return agree * s.dK(r) / max(float(xp.mean(agree)), 1e-3) if agree.size else agree

    return s.formula(x, m, g, dK=masked)


@mutant("the direction divided by 1 - b1", "S1.readout", "S3.step")
def rescaled_direction(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r) / (1 - s.b1))


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


@mutant("entries whose gradient is 0 stay (sparse)", "S4.state")
def sparse_direction(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.where(g == 0, 0 * r, s.dK(r)))


@mutant("a gradient that is all 0 skips the step", "S3.decay")
def zero_gradient_skipped(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g) if (g != 0).any() or not g.size else (x, m)


@mutant("lr rounded to bfloat16", "S3.step")
def rounded_rate(s: Slot, x: Any, m: Any, g: Any) -> Any:
    from ..script import rounded

    return s.formula(x, m, g, lr=rounded(s.lr, "bfloat16"))


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
