"""Loss and accuracy against lam: flat until the bound is felt, then worse; weights over time end at 1/lam.

Lion trains a small convolutional network on digits, without and with batch normalisation, at one lr and with lam from
1/4 to 32 (`lionk.app.networks.training`; biases and gains keep theirs).

What to see: the upper panels show the loss on the training data at the end, the accuracy on the test data, and the
share of the weights that are at their bound. Neither net notices lam up to 2, where no weight is at 1/lam. At lam = 4
a quarter of them are there, and the accuracy is still that of the best. The normalised net keeps it up to lam = 16,
because its output does not change with the size of most weights. The lower panels show the loss step by step, and how
the weights of the plain net, some of which begin outside, come within the bounds (red), spread, and gather at both
ends and at 0.

The paper: agrees with it in that loss and accuracy are flat up to a critical lam and degrade beyond, and in the
histograms. Its remark that a stronger bound speeds up the beginning is not seen here: at the same lr no larger lam is
ahead after 40 steps, with or without normalisation.

Scaled down: ResNet-18 on CIFAR-10 to 8 x 8 digits and a network of 3,818 parameters; hours to a minute.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter

from ..networks import training
from ..style import BLUE, ORANGE, RED, running_mean, shades
from .targets import Check, Outcome, need_torch

NETS = {"plain": False, "batch normalisation": True}
LOOKS = {"plain": (BLUE, "o-"), "batch normalisation": (ORANGE, "s-")}
SHOWN, EDGE, EARLY = 4.0, 0.99, slice(30, 50)  # lam of the histograms; at the bound from here on; around step 40


def run(seed: int, quick: bool) -> Outcome:
    """The seeds are ``seed`` and the next one."""
    need_torch("lam")
    lams = 2.0 ** (np.array([-2, 2, 5]) if quick else np.arange(-2, 6))
    data, seeds, steps = training.digits(), 1 if quick else 2, 60 if quick else 200
    recipes = [training.LION._replace(name=f"lam = {lam:g}", lam=float(lam)) for lam in lams]
    nets = {
        net: _table(list(training.torch_curves(data, seeds, steps, recipes, normalised, first=seed)))
        for net, normalised in NETS.items()
    }
    bins, seen = np.linspace(-1.5, 1.5, 76), []

    def watch(weights: list[Any]) -> None:
        all_weights = np.concatenate([w.detach().numpy().ravel() for w in weights])
        seen.append(np.histogram(SHOWN * all_weights, bins)[0])

    list(training.torch_curves(data, 1, steps, [training.LION._replace(lam=SHOWN)], watch=watch, first=seed))
    plain, normal = (nets[name] for name in NETS)
    mild = lams <= 1
    checks = (
        Check("distance to dom K* over its bound, all runs", max(n["excess"] for n in nets.values()),
              -float("inf"), 1e-5),
        Check("lam up to 1: largest loss of mean test accuracy to the best lam",
              max(float(np.ptp([*n["accuracy"].mean(1)[mild], n["accuracy"].mean(1).max()])) for n in nets.values()),
              0.0, 0.03),
        *(Check(f"lam = 32 over lam = 1/4: training loss at the end, {name}",
                float(n["train"].mean(1)[-1] / n["train"].mean(1)[0]), 10.0, float("inf")) for name, n in nets.items()),
        Check("lam = 32: loss of the plain net over the normalised one",
              float(plain["train"].mean(1)[-1] / normal["train"].mean(1)[-1]), 1.2, float("inf")),
        *(Check(f"least loss around step 40 of lam >= 4 over lam = 1/4, {name}",
                float(n["early"][lams >= SHOWN].min() / n["early"][0]), 1.0, float("inf")) for name, n in nets.items()),
    )  # fmt: skip
    return Outcome(checks, {"lam": lams, "nets": nets, "bins": bins, "weights": np.array(seen)})


def _table(curves: list[training.Curves]) -> dict[str, Any]:
    """Rows are lam, columns are seeds."""
    every: list[Any] = curves  # of Lion: none lacks a distance
    return {
        "train": np.array([c.train_loss for c in every]),
        "accuracy": np.array([c.accuracy for c in every]),
        "loss": np.array([c.loss.mean(0) for c in every]),
        "early": np.array([c.loss[:, EARLY].mean() for c in every]),
        "at bound": np.array([np.mean(np.abs(c.end) > EDGE) for c in every]),
        "excess": max(float((c.distance - c.predicted() * (1 + 1e-5)).max()) for c in every),
    }


def draw(numbers: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(15, 8.8), layout="constrained")
    (train, accuracy, bound), (plain, normal, weights) = figure.subplots(2, 3)
    lams = numbers["lam"]
    for name, n in numbers["nets"].items():
        color, style = LOOKS[name]
        for axes, values in ((train, n["train"]), (accuracy, 100 * n["accuracy"]), (bound, n["at bound"][:, None])):
            axes.semilogx(lams, values.mean(1), style, color=color, label=name)
            if values.shape[1] > 1:
                axes.semilogx(lams, values, style[0], color=color, markersize=3, alpha=0.5)
    train.set_yscale("log")
    train.set(title="Training loss at the end")
    accuracy.set(title="Test accuracy, percent (small: each seed)")
    bound.set(title="Weights at the bound: |lam x| > 0.99")
    bound.yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in (train, accuracy, bound):
        axes.set_xlabel("lam")
        axes.set_xticks(lams, [f"{v:g}" for v in lams])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.legend()
    for axes, (name, n) in zip((plain, normal), numbers["nets"].items(), strict=True):
        for loss, lam, color in zip(n["loss"], lams, shades(lams.size), strict=True):
            smooth = running_mean(loss, 10)
            axes.semilogy(np.arange(smooth.size) + 5, smooth, color=color, label=f"{lam:g}")
        axes.set(title=f"Loss of a batch, {name}", xlabel="step (running mean of 10)")
        axes.legend(title="lam", loc="lower left", ncols=2)
        axes.set_ylim(plain.get_ylim())
    _weights(weights, numbers)
    return figure


def _weights(axes: Any, numbers: dict[str, Any]) -> None:
    counts = np.where(numbers["weights"] > 0, numbers["weights"], np.nan).T
    steps = np.arange(counts.shape[1] + 1) - 0.5
    mesh = axes.pcolormesh(steps, numbers["bins"], np.log10(counts), cmap="Blues", vmin=-0.5)
    axes.figure.colorbar(mesh, ax=axes, label="$\\log_{10}$ of the number of weights")
    for side in (-1, 1):
        axes.axhline(side, color=RED, linestyle="--", linewidth=1.2)
    axes.set(title=f"Weights over time, in units of the bound 1/lam, lam = {SHOWN:g}", xlabel="step", ylabel="lam x")
