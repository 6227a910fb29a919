"""Mistakes that are one operation at one array of the step: what the diagnosis finds by trying all of them."""

from __future__ import annotations

from functools import partial
from typing import Any

from lionk.conformance.judging.changes import operations
from lionk.conformance.judging.operations import Fitted, Operation
from lionk.conformance.judging.places import NUMBERS, PLACES, UNDECAYED, Now, moved
from lionk.conformance.mutants.step import Slot
from lionk.conformance.specification.variant import direction, spelled

from .registry import mutant

_AT = {
    "gradient": "the gradient, before it is averaged,",
    "kept": "the momentum, after each step,",
    "read": "the momentum, where it is read,",
    "gathered": "the gradient, in the momentum alone,",
    "direction": "the direction",
    "step": "the step u - wd x",
    "shape": "the direction is the readout, which",
    "decayed": "x, in what the decay takes off,",
    "readout_only": "x does not decay, and the readout",
    "gathered_only": "x does not decay, and the gradient, in the momentum alone,",
    "b1": "b1",
    "b2": "b2",
}
#: By name: the array, what is done to it, with which number if that has one, and the rules that notice it.
ROWS: dict[str, tuple[Any, ...]] = {
    "clipped_length": ("gradient", "is clipped to length {}", 1.0, ("S1.readout", "S4.state")),
    "clipped_by_x": ("gradient", "is clipped to {} of the length of x", 0.01, ("S1.readout", "S4.state")),
    "projected_gradient": ("gradient", "has its part along x taken off", ("S1.readout", "S4.state")),
    "stale_gradient": ("gradient", "is that of 1 step before", ("S1.first", "S1.readout")),
    "accumulated_gradient": ("gradient", "is the sum of all until then", ("S1.readout", "S4.state")),
    "normalised_gradient": ("gradient", "is divided by its length", ("S1.readout", "S4.state")),
    "clipped_gradient": ("gradient", "is cut to [-{0}, {0}], entry by entry", 1.0, ("S1.readout", "S4.state")),
    "gradient_over_largest": ("gradient", "is divided by its largest entry", ("S1.readout", "S4.state")),
    "centred_gradient": ("gradient", "has its mean taken off, row by row", ("S5.shape",)),
    "centred_over_all": ("gradient", "has its mean taken off", ("S1.readout", "S4.state")),
    "average_of_signs": ("gradient", "is replaced by its sign", ("S1.readout", "S4.state")),
    "delayed_gradient": ("gradient", "is that of 1 step before, or the first one", ("S1.readout", "S4.state")),
    "averaged_gradients": ("gradient", "is averaged with that of the step before", ("S1.readout", "S4.state")),
    "reversed_entries": ("gradient", "is read from the last entry to the first", ("S1.first", "S1.readout")),
    "transposed_gradient": ("gradient", "is transposed", ("S5.shape",)),
    "first_entry": ("gradient", "is its first entry, for all", ("S1.first", "S1.readout")),
    "row_momentum": ("kept", "is replaced by its mean, row by row", ("S5.shape",)),
    "momentum_restarts": (
        "kept", "is 0 at each step whose count from 1 is a multiple of 5", ("S1.readout", "S4.state"),
    ),
    "clipped_momentum": ("kept", "is cut to [-{0}, {0}], entry by entry", 0.1, ("S4.state", "S1.betas")),
    "momentum_turned": ("read", "is turned: its sign is wrong", ("S1.readout",)),
    "cautious_by_momentum": (
        "direction", "is kept only where it has the sign of the momentum", ("S1.readout", "S1.first"),
    ),
    "sparse_direction": ("direction", "is kept only where the gradient is not 0", ("S4.state",)),
    "larger_half": ("direction", "is kept only in the larger half of the readouts", ("S1.readout",)),
    "rescaled_direction": ("direction", "is divided by 1 - b1", ("S1.readout", "S3.step")),
    "scaled_sign": ("direction", "is multiplied by the mean size of the readout", ("S1.readout", "S2.scale")),
    "smooth_sign": ("shape", "is replaced by its tanh, multiplied by {} before,", 100.0, ("S1.readout", "S2.scale")),
    "first_step_skipped": ("step", "is kept only after the first step", ("S1.first",)),
    "squared_b1": ("b1", "is its square", ("S1.readout", "S1.betas")),
    "fixed_b1": ("b1", "is always {}", 0.9, ("S1.betas",)),
    "fixed_b2": ("b2", "is always {}", 0.99, ("S1.betas",)),
    "rising_b2": ("b2", "rises as min(it, (t + 1)/(t + {}))", 10.0, ("S4.state", "S1.readout")),
    "rate_forgotten": ("direction", "is divided by the learning rate", ("S3.step",)),
    "rate_squared": ("direction", "is multiplied by the learning rate", ("S3.step",)),
    "rate_times": ("step", "is multiplied by {}", 0.5, ("S3.step", "S1.readout")),
    "corrected_rate": (
        "step", "is multiplied by sqrt(1 - b2^(t + 1))/(1 - b1^(t + 1)), as in Adam,", ("S1.first", "S3.step"),
    ),
    "hidden_fall": ("step", "is divided by the root of the count of steps", ("S1.readout", "S3.step")),
    "decay_in_readout": ("readout_only", "has wd x added", ("S3.decay", "S1.readout")),
    "decay_in_state": ("gathered", "has wd x added", ("S3.decay", "S1.readout")),
    "decay_in_state_only": ("gathered_only", "has wd x added", ("S3.decay", "S1.readout")),
    "lazy_decay": ("decayed", "is kept only where the gradient is not 0", ("S3.decay",)),
    "momentum_in_few_bits": ("kept", "is rounded to 1/7 of its largest entry", ("S4.state",)),
}  # fmt: skip
_PLACES = {**PLACES, **UNDECAYED, **NUMBERS}
_DONE = {words: change for words, change, _ in operations()}


def _moved(s: Slot, x: Any, m: Any, g: Any, *, place: str, change: Operation) -> tuple[Any, Any]:
    claims, lr = s.port.dialect, s.hyper["lr"]
    g = -g if claims.maximize else g
    lam, g = spelled(s.decay, s.wd, s.lr, lr(0) if callable(lr) else lr, x, g)
    r = s.b1 * -m + (1 - s.b1) * g
    u = -direction(claims, s.K, x, g, lam, -r)
    first, memory = s.memory.setdefault("first", x), s.memory.setdefault("of the change", {})
    now = Now(x, first, g, -m, r, u, s.count, s.lr, s.wd, s.b1, s.b2, u, memory)
    kept, x = moved(claims, s.K, now, lam, _PLACES[place](change))
    return x, -kept


for _name, (_at, _words, *_number, _rules) in ROWS.items():
    _change = _DONE[_words]
    _move = partial(_moved, place=_AT[_at], change=_change.at(*_number) if isinstance(_change, Fitted) else _change)
    _move.__name__ = _name
    mutant(f"{_AT[_at]} {_words.format(*(f'{n:g}' for n in _number))}".removesuffix(","), *_rules)(_move)
