"""Mistakes in the two averages: readout and state."""

from __future__ import annotations

from typing import Any

from ..cases import host
from ..variants import Slot
from .registry import mutant


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


@mutant("a momentum rounded to 16 bits after each step", "S4.state", "S1.readout")
def rounded_momentum(s: Slot, x: Any, m: Any, g: Any) -> Any:
    x, m = s.formula(x, m, g)
    return x, m.astype("float16").astype(m.dtype)


@mutant("gradients clipped to length 1", "S1.readout", "S4.state")
def clipped_length(s: Slot, x: Any, m: Any, g: Any) -> Any:
    length = float((g * g).sum() ** 0.5)
    return s.formula(x, m, g / length if length > 1 else g)


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


@mutant("the first step skipped", "S1.first")
def first_step_skipped(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g) if s.count else (x, s.formula(x, m, g)[1])


@mutant("the step made twice at the first call", "S1.first")
def first_step_twice(s: Slot, x: Any, m: Any, g: Any) -> Any:
    first = s.formula(x, m, g)
    return first if s.count else s.formula(*first, g)


@mutant("the gradient of the step before", "S1.first", "S1.readout")
def stale_gradient(s: Slot, x: Any, m: Any, g: Any) -> Any:
    s.memory["g"], g = g, s.memory.get("g", 0 * g)
    return s.formula(x, m, g)


@mutant("gradients that are added up and never cleared", "S1.readout", "S4.state")
def accumulated_gradient(s: Slot, x: Any, m: Any, g: Any) -> Any:
    s.memory["g"] = g = s.memory.get("g", 0 * g) + g
    return s.formula(x, m, g)


@mutant("a state that collects the direction, not the gradient", "S1.readout", "S4.state")
def direction_in_state(s: Slot, x: Any, m: Any, g: Any) -> Any:
    u = s.dK(s.readout(m, g))
    return s.formula(x, m, g)[0], s.formula(x, m, -u)[1]


@mutant("the gradient normalised to length 1", "S1.readout", "S4.state")
def normalised_gradient(s: Slot, x: Any, m: Any, g: Any) -> Any:
    length = float((g * g).sum() ** 0.5)
    return s.formula(x, m, g / length if length > 0 else g)


@mutant("gradient entries clipped to [-1, 1]", "S1.readout", "S4.state")
def clipped_gradient(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, xp.clip(g, -1.0, 1.0))


@mutant("the sign of the gradient wrong (ascent)", "S1.readout", "S1.first")
def ascent(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, -g)


@mutant("arithmetic in float32 where the parameter is float64", "S3.step")
def single_precision(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    if x.dtype != xp.float64:
        return s.formula(x, m, g)
    return s.formula(*(xp.astype(v, xp.float32) for v in (x, m, g)))


@mutant("the momentum kept in the parameter's 16 bits", "S6.precision", dtypes=("float16",), state_dtype="float32")
def narrow_momentum(s: Slot, x: Any, m: Any, g: Any) -> Any:
    x, m = s.formula(x, m, g)
    return x, m.astype(s.x.dtype)
