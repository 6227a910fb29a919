"""Mistakes in the two averages: readout and state."""

from __future__ import annotations

from typing import Any

from ..specification.cases import host
from .registry import mutant
from .step import Slot


@mutant("swapped betas", "S1.readout", "S1.first", "S4.state")
def swapped_betas(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b1=s.b2, b2=s.b1)


@mutant("the state updated before the readout", "S1.readout", "S1.first")
def state_before_readout(s: Slot, x: Any, m: Any, g: Any) -> Any:
    _, new = s.formula(x, m, g)
    return s.formula(x, new, g)[0], new


@mutant("the new state as readout (Signum, b1 = b2)", "S1.readout", "S1.betas")
def state_as_readout(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b1=s.b2)


@mutant("b1 used in the state too", "S1.readout", "S4.state", "S1.betas")
def one_beta(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b2=s.b1)


@mutant("the readout without the new gradient", "S1.readout", "S1.first")
def momentum_only(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b1=1.0)[0], s.formula(x, m, g)[1]


@mutant("the readout without the momentum (sign descent), or a state that is never updated", "S1.readout", "S1.betas")
def gradient_only(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b1=0.0)[0], s.formula(x, m, g)[1]


@mutant("lerp in the wrong direction in the readout", "S1.readout", "S1.betas")
def lerp_readout(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b1=1 - s.b1)[0], s.formula(x, m, g)[1]


@mutant("lerp in the wrong direction in the state", "S1.readout", "S4.state")
def lerp_state(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b2=1 - s.b2)


@mutant("lerp in the wrong direction in both averages", "S1.readout", "S4.state")
def lerp_both(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b1=1 - s.b1, b2=1 - s.b2)


@mutant("betas that are ignored: always 0.9 and 0.99", "S1.betas")
def fixed_betas(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b1=0.9, b2=0.99)


@mutant("the sum of the signs of momentum and gradient, in place of their average", "S1.readout")
def sum_of_signs(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda _: s.dK(xp.sign(m) - xp.sign(g)))


@mutant(
    "small entries of the momentum taken for 0",
    "S2.scale",
    "S2.fine",
    constants=(1e-12, 1e-6, 1e-8, 1e-10, 1e-15, 1e-20, 1e-30),
)
def small_momentum(s: Slot, x: Any, m: Any, g: Any, value: float) -> Any:
    xp = host().namespace()
    new, after = s.formula(x, m, g)
    return new, xp.where(xp.abs(after) < value, 0 * after, after)


@mutant("the sum b2 m + g as state, not the average", "S1.readout", "S4.state")
def sum_state(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g)[0], s.b2 * m - g


@mutant("the Nesterov readout b1 m + g, not the average", "S1.readout", "S1.betas")
def sum_readout(s: Slot, x: Any, m: Any, g: Any) -> Any:
    x, _ = s.formula(x, s.b1 * m, g, b1=0.5)
    return x, s.formula(x, m, g)[1]


@mutant("the Nesterov readout of the new state twice", "S1.readout")
def nesterov_twice(s: Slot, x: Any, m: Any, g: Any) -> Any:
    once = s.formula(x, m, g)[1]
    twice = s.formula(x, once, g)[1]
    return s.formula(x, twice, g)[0], once


@mutant("correction for bias", "S1.first", "S1.readout", "S4.state")
def bias_correction(s: Slot, x: Any, m: Any, g: Any) -> Any:
    weight = 1 - s.b2**s.count
    return s.formula(x, m / weight if s.count else m, g)[0], s.formula(x, m, g)[1]


@mutant("a momentum that starts at the first gradient", "S1.first", "S1.readout", "S4.state")
def starts_at_gradient(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m if s.count else -g, g)


@mutant("a first gradient that counts twice in the momentum", "S1.first", "S1.readout", "S4.state")
def first_gradient_twice(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m if s.count else -(1 - s.b2) * g, g)


@mutant("the step made twice at the first call", "S1.first")
def first_step_twice(s: Slot, x: Any, m: Any, g: Any) -> Any:
    first = s.formula(x, m, g)
    return first if s.count else s.formula(*first, g)


@mutant("a state that collects the direction, not the gradient", "S1.readout", "S4.state")
def direction_in_state(s: Slot, x: Any, m: Any, g: Any) -> Any:
    u = s.dK(s.readout(m, g))
    return s.formula(x, m, g)[0], s.formula(x, m, -u)[1]


@mutant("the state that takes (1-b1) g, not (1-b2) g", "S1.readout", "S4.state", "S1.betas")
def state_takes_other(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g)[0], s.b2 * m - (1 - s.b1) * g


@mutant("the state that keeps b1 m, not b2 m", "S1.readout", "S4.state", "S1.betas")
def state_keeps_other(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g)[0], s.b1 * m - (1 - s.b2) * g


@mutant("the readout b1 m + (1-b2) g, not (1-b1) g", "S1.readout", "S1.betas")
def readout_takes_other(s: Slot, x: Any, m: Any, g: Any) -> Any:
    r = s.b1 * m - (1 - s.b2) * g
    return s.formula(x, m, g, dK=lambda _: s.dK(r))


@mutant("the readout b2 m + (1-b1) g, not b1 m", "S1.readout", "S1.betas")
def readout_keeps_other(s: Slot, x: Any, m: Any, g: Any) -> Any:
    r = s.b2 * m - (1 - s.b1) * g
    return s.formula(x, m, g, dK=lambda _: s.dK(r))


@mutant("the readout written over the momentum, from which the state is then made (one buffer)", "S1.readout")
def readout_over_momentum(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g)[0], s.formula(x, s.readout(m, g), g)[1]


@mutant("sums, not averages: the readout b1 m + g, the state b2 m + g", "S1.readout", "S1.betas")
def both_sums(s: Slot, x: Any, m: Any, g: Any) -> Any:
    r = s.b1 * m - g
    return s.formula(x, m, g, dK=lambda _: s.dK(r))[0], s.b2 * m - g


@mutant("a readout corrected for bias, where dK feels its size", "S1.first", "S1.readout", K="huber")
def corrected_readout(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r / (1 - s.b1 ** (s.count + 1))))


@mutant("a momentum that stays where the gradient is 0", "S4.state")
def momentum_stays_at_zero(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    new, after = s.formula(x, m, g)
    return new, xp.where(g == 0, m, after)


@mutant("b1 that rises with the count of steps, min(b1, (t + 1)/(t + 11))", "S1.readout", "S1.first")
def rising_b1(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b1=min(s.b1, (s.count + 1) / (s.count + 11)))


@mutant("betas that are swapped after the first step", "S1.readout", "S4.state")
def betas_swapped_later(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, b1=s.b2, b2=s.b1) if s.count else s.formula(x, m, g)
