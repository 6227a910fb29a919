"""Mistakes in the subgradient."""

from __future__ import annotations

import random
from typing import Any

from ..specification.cases import host
from .registry import mutant
from .step import Slot


@mutant("sign(0) = 1 (x moves by -lr at a tie)", "S2.selection")
def sign_of_zero_is_plus(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.where(r == 0, -1 + 0 * r, s.dK(r)))


@mutant("sign(0) = -1 (x moves by lr at a tie)", "S2.selection")
def sign_of_zero_is_minus(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.where(r == 0, 1 + 0 * r, s.dK(r)))


@mutant(
    "an epsilon in the sign, r/(|r| + {})", "S2.scale",
    constants=(1e-8, 1e-4, 1e-6, 1e-7, 1e-10, 1e-12, 1e-15, 1e-20, 1e-30),
)  # fmt: skip
def epsilon_in_sign(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: s.dK(r) * xp.abs(r) / (xp.abs(r) + value))


@mutant("an epsilon under the root, r/sqrt(r^2 + {})", "S2.scale", constants=(1e-16, 1e-8, 1e-10, 1e-12, 1e-20))
def epsilon_under_root(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r) * (r * r / (r * r + value)) ** 0.5)


@mutant("a dead zone, 0 where |r| < {}", "S2.scale", constants=(1e-6, 1e-3, 1e-4, 1e-8, 1e-10, 1e-12, 1e-15))
def threshold_in_sign(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.where(xp.abs(r) < value, 0 * r, s.dK(r)))


@mutant("no subgradient at all: the readout itself is the direction (SGD)", "S1.readout")
def identity_direction(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: r)


@mutant("a cautious mask: entries whose direction disagrees with the gradient stay", "S1.readout")
def cautious(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.where(r * g < 0, s.dK(r), 0 * r), bare=True)


@mutant("a cautious mask that is turned: entries whose direction agrees with the gradient stay", "S1.readout")
def cautious_turned(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.where(r * g > 0, s.dK(r), 0 * r), bare=True)


@mutant("a momentum that stays where the direction disagrees with the gradient", "S4.state")
def cautious_state(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    new, after = s.formula(x, m, g)
    return new, xp.where(s.readout(m, g) * g < 0, after, m)


@mutant("a cautious mask, rescaled by n/(k + 1) where k of n entries move", "S1.readout")
def cautious_rescaled(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()

    def masked(r: Any) -> Any:
        agree = r * g < 0
        return xp.where(agree, s.dK(r), 0 * r) * (agree.size / (float(xp.sum(agree)) + 1))

    return s.formula(x, m, g, dK=masked, bare=True)


@mutant("a cautious mask, divided by its mean", "S1.readout")
def cautious_normalised(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()

    def masked(r: Any) -> Any:
        agree = xp.where(r * g < 0, 1.0, 0.0)
        return agree * s.dK(r) / max(float(xp.mean(agree)), 1e-3) if agree.size else agree

    return s.formula(x, m, g, dK=masked, bare=True)


@mutant("a gradient that is all 0 skips the step", "S3.decay")
def zero_gradient_skipped(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g) if (g != 0).any() or not g.size else (x, m)


@mutant("the readout divided by its length (normalised gradient descent)", "S1.readout")
def unit_length(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: r / (float((r * r).sum() ** 0.5) or 1.0))


@mutant("Adam's direction, m/(sqrt(v) + 1e-8), corrected for bias", "S1.readout", "S4.state")
def adam(s: Slot, x: Any, m: Any, g: Any) -> Any:
    t = s.count + 1
    s.memory["v"] = v = s.b2 * s.memory.get("v", 0 * g) + (1 - s.b2) * g * g
    after = s.b1 * m - (1 - s.b1) * g
    u = after / (1 - s.b1**t) / ((v / (1 - s.b2**t)) ** 0.5 + 1e-8)
    return s.formula(x, m, g, dK=lambda _: u)[0], after


@mutant(
    "a squared length that underflows or overflows before its root is taken", "S2.scale", K="l2", dtypes=("float32",)
)
def naive_length(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()

    def unit(r: Any) -> Any:
        n = xp.sqrt(xp.sum(r * r))
        return xp.where(n > 0, r / xp.where(n > 0, n, 1 + 0 * n), 0 * r)

    return s.formula(x, m, g, dK=unit)


@mutant("dK at the average of the gradients, not at minus it, for a K that is not even", "S1.readout", K="softplus")
def sign_trap(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: -s.dK(-r))


@mutant("a random choice where the readout is 0", "S2.selection")
def random_ties(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp, draw = host().namespace(), random.SystemRandom()

    def pick(r: Any) -> Any:
        coin = xp.reshape(xp.asarray([draw.choice((-1.0, 1.0)) for _ in range(r.size)], dtype=r.dtype), r.shape)
        return xp.where(r == 0, coin, s.dK(r))

    return s.formula(x, m, g, dK=pick)


@mutant("a direction that is divided by 0, so that x is infinite", "S1.readout", "S3.step", "S5.trajectory")
def infinite_direction(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r) * float("inf"))
