"""What the options of ``lionk_torch.LionK`` cost: steps in multiples of the time that their own bytes take."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from . import speed


class Option(NamedTuple):
    """Options, and the bytes for each entry that a step of them reads and writes at least."""

    options: dict[str, Any]
    bytes: int
    aim: float = 1.3  # compiled, or with numba
    eager: float = 2.5


_HALF: dict[str, Any] = {"dtype": "bfloat16"}
_WIDE = {**_HALF, "state_dtype": "float32"}
# x, m and the gradient are 20 bytes in float32 and 10 in bfloat16; m in float32 is 4 more, remainders are 4 more. MARS
# reads and writes the last gradient, and reads both gradients once before, for their norm.
OPTIONS = {
    "cautious": Option({"cautious": "mask"}, 20),
    "bfloat16": Option(_HALF, 10),
    "bfloat16, float32 state": Option(_WIDE, 14),
    "bfloat16, Kahan": Option({**_HALF, "rounding": "kahan"}, 14),
    "bfloat16, float32 state, Kahan": Option({**_WIDE, "rounding": "kahan"}, 18),
    "bfloat16, stochastic": Option({**_HALF, "rounding": "stochastic"}, 10, 2.0),
    "bfloat16, float32 state, stochastic": Option({**_WIDE, "rounding": "stochastic"}, 14, 2.0),
    "float16, Kahan": Option({"dtype": "float16", "rounding": "kahan"}, 14),
    "float16, stochastic": Option({"dtype": "float16", "rounding": "stochastic"}, 10, 2.0),
    "MARS": Option({"mars": 0.025}, 36),
}
WAYS = {"default": None, "eager": False, "compiled": True}  # values of ``compile``


def steps(arrays: speed.Arrays) -> dict[str, tuple[speed.Step, float, float]]:
    """For each name a step, its bytes in multiples of those of the five streams, and the aim of its ratio."""
    found = {}
    for name, option in OPTIONS.items():
        for way, compile_ in WAYS.items():
            step = partial(speed.optimizer, arrays, compile=compile_, **option.options)
            found[f"{name}: {way}"] = step(), option.bytes / 20, option.eager if way == "eager" else option.aim
    return found
