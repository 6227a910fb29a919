"""Lion-lp: K = |x|_p for p in [1, 2], and which p is best depends on the problem.

dK lies on the unit sphere of l_q, so its entries are of size n^(-1/q). With lr n^(1/q) and lam n^(-1/q), every p has
steps and bounds of the same size, and the p can be compared.

What to see: the left and the middle panel are softmax regression of handwritten digits. A larger p learns faster at
small lr. At its best lr, every p has 98 % of the test digits right. The right panel is a quadratic, once with its axes
along the coordinates and once rotated. p near 1 gains orders of magnitude where each coordinate has a curvature of its
own, and loses where the coordinates are mixed. p = 2 does not see the rotation; its two points differ by rounding,
which a thousand normalised steps amplify.

The paper: reports that p = 1 is best for ViT and GPT-2 and a larger p for ResNet-50, so that the architecture decides.
The problems here are too small to say anything of those networks. They agree in that the best p changes with the
problem.

Scaled down: ImageNet and OpenWebText to 1,797 digits of 8 x 8 pixels and a linear model; hours to seconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

import lionk

from ...solver.losses import loss_of
from ..solve.problems import bundled
from ..style import GREY, INK, RED, running_mean, shades
from .targets import Check, Outcome

POWERS = (1.0, 1.25, 1.5, 1.75, 2.0)
COLORS = shades(5)  # p has an order, and so have these
BATCH, TRAIN, LAM = 128, 1347, 0.5
DIMENSION, CONDITION = 40, 1e3


def run(seed: int, quick: bool) -> Outcome:
    powers = POWERS[::2] if quick else POWERS
    rates = np.array([0.02, 0.08] if quick else [0.005, 0.01, 0.02, 0.04, 0.08])
    digits = {p: [_digits(p, float(lr), 60 if quick else 300, seed) for lr in rates] for p in powers}
    accuracy = {p: np.array([r["accuracy"] for r in runs]) for p, runs in digits.items()}
    best = {p: runs[int(np.argmin([r["final"] for r in runs]))]["loss"] for p, runs in digits.items()}
    inside = max(r["radius"] for runs in digits.values() for r in runs)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(DIMENSION, DIMENSION)))[0]
    start, steps = rng.normal(size=DIMENSION), 600 if quick else 1000
    along = {p: _quadratic(p, np.eye(DIMENSION), start, steps) for p in powers}
    mixed = {p: _quadratic(p, rotation, start, steps) for p in powers}
    early = [_descend(2.0, A, start, 0.01, 30) for A in (np.eye(DIMENSION), rotation)]  # later, rounding is amplified
    checks = (
        Check("largest |lam x|_q at the end, all p and lr", inside, 0.0, 1 + 1e-9),
        Check("p = 2: relative change of f after 30 steps by the rotation", abs(early[1] / early[0] - 1), 0.0, 1e-9),
        Check("axes along the coordinates: f at the end, best p below 2 over p = 2",
              min(v for p, v in along.items() if p < 2) / along[2.0], 0.0, 0.5),
        Check("rotated: f at the end, p = 1 over p = 2", mixed[1.0] / mixed[2.0], 2.0, float("inf")),
        Check("least test accuracy of the digits, best lr of each p", min(float(a.max()) for a in accuracy.values()),
              0.9, 1.0),
    )  # fmt: skip
    numbers = {
        "powers": powers, "lr": rates, "accuracy": {f"{p:g}": a for p, a in accuracy.items()},
        "loss": {f"{p:g}": b for p, b in best.items()}, "along": np.array(list(along.values())),
        "rotated": np.array(list(mixed.values())),
    }  # fmt: skip
    return Outcome(checks, numbers)


def _size(p: float, n: int) -> float:
    """The factor n^(1/q), with 1/p + 1/q = 1."""
    return float(n ** (1 - 1 / p))


def _optimizer(p: float, n: int, lr: Any, lam: float) -> lionk.LionK:
    s = _size(p, n)
    return lionk.LionK(lionk.K("lp", p=p), lambda count: s * lr(count), weight_decay=lam / s)


def _digits(p: float, lr: float, steps: int, seed: int) -> dict[str, Any]:
    """Batches of the same order for every p; cosine schedule."""
    problem, rng = bundled("digits", None), np.random.default_rng(seed)
    order = rng.permutation(problem.design.shape[0])
    A, Y = problem.design[order], problem.targets[order]
    test = loss_of(problem.loss)(np, A[:TRAIN], Y[:TRAIN])
    opt = _optimizer(p, A.shape[1] * Y.shape[1], lambda t: lr * 0.5 * (1 + np.cos(np.pi * t / steps)), LAM)
    x = np.zeros(problem.shape)
    state, loss = opt.init(x), []
    for _ in range(steps):
        rows = rng.integers(0, TRAIN, BATCH)
        f, g = loss_of(problem.loss)(np, A[rows], Y[rows])(x)
        x, state = opt.step(x, g, state)
        loss.append(float(f))
    hit = (A[TRAIN:] @ x.T).argmax(1) == Y[TRAIN:].argmax(1)
    q = np.inf if p == 1 else p / (p - 1)
    radius = float(np.linalg.norm(opt.weight_decay * x.ravel(), q))
    return {"loss": np.array(loss), "final": float(test(x)[0]), "accuracy": float(hit.mean()), "radius": radius}


def _quadratic(p: float, rotation: Any, start: Any, steps: int) -> float:
    """f at the end, relative to the start, with the best of four lr."""
    return min(_descend(p, rotation, start, lr, steps) for lr in (0.002, 0.004, 0.008, 0.016))


def _descend(p: float, rotation: Any, start: Any, lr: float, steps: int) -> float:
    """The quadratic and its start are turned together, so that only the axes differ."""
    curvature = np.geomspace(1 / CONDITION, 1, DIMENSION)
    A, x = rotation @ np.diag(curvature) @ rotation.T, rotation @ start
    opt = _optimizer(p, DIMENSION, lambda t: lr * (1 - t / steps), 0.0)
    state, first = opt.init(x), float(x @ A @ x)
    for _ in range(steps):
        x, state = opt.step(x, A @ x, state)
    return float(x @ A @ x) / first


def draw(numbers: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(15, 5), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    colors = dict(zip((f"{p:g}" for p in POWERS), COLORS, strict=True))
    for p, loss in numbers["loss"].items():
        left.semilogy(running_mean(loss, 10), color=colors[p], label=f"p = {p}")
        middle.semilogx(numbers["lr"], 100 * numbers["accuracy"][p], "o-", color=colors[p], label=f"p = {p}")
    left.set(title="Digits: loss of a batch, best lr of each p", xlabel="step (running mean of 10)")
    left.legend(loc="upper right")
    middle.set(title="Digits: test accuracy, percent", xlabel="lr, before the factor $n^{1/q}$")
    middle.set_xticks(numbers["lr"], [f"{v:g}" for v in numbers["lr"]], minor=False)
    middle.xaxis.set_minor_formatter(NullFormatter())
    middle.legend(loc="lower right")
    right.semilogy(numbers["powers"], numbers["along"], "o-", color=INK, label="axes along the coordinates")
    right.semilogy(numbers["powers"], numbers["rotated"], "s-", color=RED, label="rotated")
    right.axhline(numbers["along"][-1], color=GREY, linewidth=1.0, linestyle="--")
    right.set(title="Quadratic in 40 dimensions: f, end over start", xlabel="p", xticks=numbers["powers"])
    right.legend(loc="lower right")
    return figure
