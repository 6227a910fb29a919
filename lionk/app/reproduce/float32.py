"""What a step size and a precision leave: limit cycles of the sign, and where rounding stops a run.

Two things keep a run from the last digits: the length of its steps, and the precision of its numbers.

What to see: on the left, Lion on f = x^2 ends in a cycle. Without momentum in the readout, the cycle has two points at
lr/(2 - lr lam); momentum makes it longer and wider. So, in the middle, the distance to an optimum in the interior is
proportional to lr. A smooth K (pseudo-Huber) has no cycle, and goes to rounding. On the right, a constant gradient
pushes x to the bound 1/lam. It stops where the step lr (1 - lam x) falls below half an ulp of x. For lam = 1 this is
eps/(4 lr lam) before the bound, on the inside. Weights in 16 bits stop far from their bound at the usual lr, if they
move at all: keep them in 32 bits.

The paper: is silent on both. Its discrete theorem allows for the cycle (its remainder is proportional to lr). The
constants are derived here.

Scaled down: nothing; one number is enough to see it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

import lionk

from ..style import BLUE, GREEN, GREY, INK, RED
from .targets import Check, Outcome

CYCLES = {
    "b1 = 0, b2 = 0.9": ((0.0, 0.9), 0.3),
    "b1 = b2 = 0.5": ((0.5, 0.5), -0.38),
    "Lion, (0.9, 0.99)": ((0.9, 0.99), 0.3),
}
TYPES: dict[str, tuple[Any, str]] = {
    "float16": (np.float16, RED),
    "float32": (np.float32, BLUE),
    "float64": (np.float64, INK),
}
LAM = 1.0


def run(seed: int, quick: bool) -> Outcome:
    """Nothing is random here; ``seed`` changes nothing."""
    cycles = {name: _descend("l1", 0.1, betas, start, 600)[-60:] for name, (betas, start) in CYCLES.items()}
    lrs = np.geomspace(0.3, 0.003, 4 if quick else 8)
    width = np.array([_width("l1", float(lr), (0.0, 0.9)) for lr in lrs])
    smooth = np.array([_width({"name": "pseudo_huber", "delta": 0.5}, float(lr), (0.0, 0.9)) for lr in lrs])
    predicted = lrs / (2 - lrs * LAM)
    rates = np.geomspace(0.3, 1e-2 if quick else 2e-3, 4 if quick else 7)
    stall = {name: np.array([_stall(float(lr), dtype) for lr in rates]) for name, (dtype, _) in TYPES.items()}
    bound = {name: float(np.finfo(dtype).eps) / (4 * rates * LAM) for name, (dtype, _) in TYPES.items()}
    overshoot = max(float(-(s / np.finfo(TYPES[n][0]).eps).min()) for n, s in stall.items())
    checks = (
        Check("b1 = 0: half-width of the cycle over lr/(2 - lr lam)", float((width / predicted).max()),
              1 - 1e-6, 1 + 1e-6),
        Check("b1 = 0: period", _period(cycles["b1 = 0, b2 = 0.9"]), 2.0, 2.0),
        Check("b1 = b2 = 0.5: period", _period(cycles["b1 = b2 = 0.5"]), 4.0, 4.0),
        Check("pseudo-Huber: what is left of x", float(smooth.max()), 0.0, 1e-12),
        *(Check(f"{n}: distance to the bound where it stops, over eps/(4 lr lam)", float((stall[n] / bound[n]).max()),
                0.5, 1.01) for n in ("float16", "float32")),
        Check("overshoot of the bound, in eps", overshoot, -float("inf"), 4.0),
    )  # fmt: skip
    numbers = {"cycles": cycles, "lr": lrs, "width": width, "smooth": smooth, "predicted": predicted, "rates": rates,
               "stall": stall, "bound": bound}  # fmt: skip
    return Outcome(checks, numbers)


def _descend(K: Any, lr: float, betas: tuple[float, float], start: float, steps: int) -> Any:
    """The path of Lion-K on f = x^2."""
    opt, x = lionk.LionK(K, lr, betas, LAM), np.array([start])
    state, path = opt.init(x), []
    for _ in range(steps):
        x, state = opt.step(x, 2 * x, state)
        path.append(float(x[0]))
    return np.array(path)


def _width(K: Any, lr: float, betas: tuple[float, float]) -> float:
    return float(np.abs(_descend(K, lr, betas, 0.3, round(40 / lr) + 50)[-20:]).max())


def _period(path: Any) -> float:
    """The least shift that maps the end of the path to itself."""
    return float(next(p for p in range(1, 60) if np.abs(path[p:] - path[:-p]).max() < 1e-6))


def _stall(lr: float, dtype: Any) -> float:
    """``1 - lam x`` where x no longer changes, or after the time in which exact arithmetic would come within eps."""
    opt = lionk.LionK("l1", lr, weight_decay=LAM)
    x, g = np.full(1, 0.9 / LAM, dtype=dtype), np.full(1, -1.0, dtype=dtype)
    state, last = opt.init(x), None
    for _ in range(round(min(40.0, -1.5 * np.log(np.finfo(dtype).eps)) / lr)):
        x, state = opt.step(x, g, state)
        if last is not None and x[0] == last:
            break
        last = x[0]
    return 1 - LAM * float(x[0])


def draw(numbers: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(15, 5), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for (name, path), color in zip(numbers["cycles"].items(), (BLUE, RED, GREEN), strict=True):
        wide = color == BLUE  # another one runs over it
        left.plot(
            path[-30:],
            "o-",
            color=color,
            markersize=7 if wide else 3.5,
            linewidth=3 if wide else 0.9,
            alpha=0.45 if wide else 1.0,
            label=name,
        )
    for sign in (-1, 1):
        left.axhline(sign * 0.1 / 1.9, color=GREY, linestyle="--", linewidth=1.0)
    left.plot([], [], "--", color=GREY, linewidth=1.0, label="lr/(2 - lr lam)")
    left.set(title="The last steps of Lion on $x^2$, lr = 0.1", xlabel="step", ylabel="x")
    left.set_ylim(*(1.55 * np.array(left.get_ylim())))
    left.legend(loc="upper center", ncols=2)
    middle.loglog(numbers["lr"], numbers["predicted"], color=GREY, label="lr/(2 - lr lam)")
    middle.loglog(numbers["lr"], numbers["width"], "o", color=BLUE, label="l1, b1 = 0")
    middle.loglog(
        numbers["lr"],
        np.maximum(numbers["smooth"], 1e-12),
        "s",
        color=GREEN,
        label="pseudo-Huber 0.5, below $10^{-12}$",
    )
    middle.set(title="How far from the optimum 0 it ends", xlabel="lr", ylim=(1e-13, 2))
    middle.legend(loc="center left")
    for name, s in numbers["stall"].items():
        color = TYPES[name][1]
        right.loglog(numbers["rates"], np.maximum(s, 1e-17), "o", color=color, label=name)
        right.loglog(numbers["rates"], numbers["bound"][name], color=color, linewidth=1.0)
    right.plot([], [], color=GREY, linewidth=1.0, label="lines: eps/(4 lr lam)")
    right.set(title="Distance to the bound where it stops: 1 - lam x", xlabel="lr")
    right.legend(loc="center left")
    return figure
