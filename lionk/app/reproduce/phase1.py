"""Phase I: the constraint is reached at the predicted rate, whatever the gradients.

What to see: on the left, with random gradients, the distance of lam x to dom K*, divided by its first value, stays
below (1 - lr lam)^t. This is so for sets of seven kinds. In the middle, dK stays at one point of the face, and the
rate is attained, by both forms of the decay. With a schedule the rate is the product of the factors. On the right, the
number of steps to a distance of 0.001 is the one that the formula gives, over four decades of lr.

The paper: agrees with Theorem B.9 and with phase I of Theorem 3.1. One thing is sharper here: at the attained rate the
distance is never 0. So "after finitely many steps" needs a tolerance, or momentum that carries the iterate across.

Scaled down: the paper shows it on a ResNet; `lionk reproduce training` does so on a small net.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

import lionk
from lionk.theory import distance_to_domain, phase_one_factor, phase_one_steps

from ..style import BLUE, BROWN, GREEN, GREY, INK, ORANGE, RED, SKY
from .targets import Check, Outcome

SHAPES = {
    "l1": (30,),
    "l2": (30,),
    "linf": (30,),
    "max": (30,),
    "softplus": (30,),
    "row_l1_l2": (6, 8),
    "nuclear": (6, 8),
}
COLORS = (BLUE, RED, GREEN, INK, ORANGE, BROWN, SKY)
LR, LAM, TOL = 0.05, 1.0, 1e-3


def run(seed: int, quick: bool) -> Outcome:
    rng, steps = np.random.default_rng(seed), 60 if quick else 120
    random = {n: _random(lionk.LionK(n, LR, weight_decay=LAM), 10 * rng.normal(size=shape), rng, steps)
              for n, shape in SHAPES.items()}  # fmt: skip
    bound = phase_one_factor(LR, LAM) ** np.arange(steps + 1)
    attained = {decay: _attained(decay, steps) for decay in ("explicit", "implicit", "schedule")}
    lrs = np.array([0.1, 0.01] if quick else [0.1, 0.03, 0.01, 0.003, 0.001])
    counted = np.array([_count(float(lr)) for lr in lrs])
    predicted = np.array([phase_one_steps(2.0, TOL, float(lr), LAM) for lr in lrs])
    checks = (
        Check("largest distance over the bound, random gradients, all K",
              max(float((d / bound).max()) for d in random.values()), 0.0, 1 + 1e-9),
        *(Check(f"the same at the worst gradients, {n}", float(np.abs(a["distance"] / a["bound"] - 1).max()), 0.0, 1e-9)
          for n, a in attained.items()),
        Check("largest difference of counted and predicted steps", float(np.abs(counted - predicted).max()), 0.0, 1.0),
    )  # fmt: skip
    numbers = {
        "bound": bound,
        "random": random,
        "attained": attained,
        "lr": lrs,
        "steps": counted,
        "predicted": predicted,
    }
    return Outcome(checks, numbers)


def _random(opt: lionk.LionK, x: Any, rng: Any, steps: int) -> Any:
    """Distances relative to the first, with normal gradients."""
    state, distance = opt.init(x), [float(distance_to_domain(opt.K, x, LAM))]
    for _ in range(steps):
        x, state = opt.step(x, rng.normal(size=x.shape), state)
        distance.append(float(distance_to_domain(opt.K, x, LAM)))
    return np.array(distance) / distance[0]


def _attained(decay: str, steps: int) -> dict[str, Any]:
    """Lion from 3 with a gradient that always pushes up: dK = 1, the end of [-1, 1] that is nearest."""
    rates = LR * 0.5 * (1 + np.cos(np.pi * np.arange(steps) / steps)) if decay == "schedule" else np.full(steps, LR)
    form = "explicit" if decay == "schedule" else decay
    opt = lionk.LionK("l1", lambda count: float(rates[count]), weight_decay=LAM, decay=form)
    x, g = np.array([3.0]), np.array([-1.0])
    state, distance = opt.init(x), [2.0]
    for _ in range(steps):
        x, state = opt.step(x, g, state)
        distance.append(float(distance_to_domain("l1", x, LAM)))
    factors = [phase_one_factor(float(lr), LAM, form) for lr in rates]
    return {"distance": np.array(distance), "bound": 2.0 * np.cumprod([1.0, *factors])}


def _count(lr: float) -> int:
    opt = lionk.LionK("l1", lr, weight_decay=LAM)
    x, g, n = np.array([3.0]), np.array([-1.0]), 0
    state = opt.init(x)
    while float(distance_to_domain("l1", x, LAM)) > TOL:
        x, state = opt.step(x, g, state)
        n += 1
    return n


def draw(numbers: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(15, 5), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for (name, d), color in zip(numbers["random"].items(), COLORS, strict=True):
        left.semilogy(np.where(d > 1e-6, d, np.nan), color=color, label=name)
    left.semilogy(numbers["bound"], "--", color=GREY, linewidth=2, label="$(1 - lr\\,lam)^t$")
    left.set(title="Random gradients: below the bound", xlabel="step", ylabel="distance, relative to the first")
    left.legend(ncols=2, loc="lower left")
    for (name, a), color in zip(numbers["attained"].items(), (BLUE, RED, GREEN), strict=True):
        step = np.arange(a["bound"].size)
        text = "cosine schedule of lr" if name == "schedule" else f"{name} decay"
        middle.semilogy(step[::6], a["distance"][::6], "o", color=color, markersize=5, label=text)
        middle.semilogy(step, a["bound"], color=color, linewidth=1.0)
    middle.plot([], [], color=GREY, linewidth=1.0, label="lines: the bound")
    middle.set(title="The worst gradients: on the bound", xlabel="step", ylabel="distance")
    middle.legend(loc="lower left")
    right.loglog(numbers["lr"], numbers["predicted"], color=GREY, label="predicted")
    right.loglog(numbers["lr"], numbers["steps"], "o", color=BLUE, label="counted")
    right.set(title=f"Steps from distance 2 to {TOL:g}", xlabel="lr")
    right.legend()
    return figure
