"""Small networks on real digits: weights enter 1/lam no later than predicted, and pile up there.

A convolutional network on PyTorch and one of two layers on JAX are trained with five K and with AdamW, three seeds
each (`lionk.app.networks.training`). The Lion of optax, and that of lion-pytorch where it is installed, are l1 once
more.

What to see: the upper panels show the losses, the test accuracy of every run, and the distance of lam x to dom K*.
This distance stays below its predicted bound (dashed). The dots on the line of l1 are the other libraries' Lion. The
lower panels show what each K bounds, in units of its bound, at the start and at the end: the histograms end at the red
lines. lam was chosen so that its bound is felt, which costs training loss. AdamW has no bound, so this is no contest.

The paper: agrees with its histograms, which stay within 1/lam after about 200 steps. Its accuracy against lam is
`lionk reproduce lam`.

Scaled down: a ResNet-18 on CIFAR-10 to 8 x 8 digits and networks of a few thousand weights.
"""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

import lionk
from lionk.backend.protocol import missing

from ..console import BadInput
from ..networks import figure as training_figure
from ..networks import training, two_layers
from .targets import Check, Outcome


def run(seed: int, quick: bool) -> Outcome:
    """The seeds are 0, 1, 2, whatever ``seed`` is: learning rates were chosen for them."""
    lacking = [lionk.backends()[name].why_unavailable() for name in ("torch", "jax")] + [missing("optax", "jax")]
    if any(lacking):
        raise BadInput(f"training needs PyTorch, JAX and optax: {'; '.join(filter(None, lacking))}")
    data, seeds, steps = training.digits(), 1 if quick else 3, 20 if quick else 200
    nets = {
        "PyTorch, convolutional": list(training.torch_curves(data, seeds, steps)),
        "JAX, two layers": list(two_layers.jax_curves(data, seeds, steps)),
    }
    least = 0.2 if quick else 0.95
    checks = [
        Check(f"{name}, {c.recipe.name}: least test accuracy of a seed", float(c.accuracy.min()), least, 1.0)
        for name, curves in nets.items()
        for c in curves
    ]
    checks += [c for curves in nets.values() for c in agreement(curves)] + bounds(next(iter(nets.values())))
    return Outcome(tuple(checks), training_figure.stored(nets))


def agreement(curves: list[training.Curves]) -> list[Check]:
    """A peer makes the steps of the recipe that it repeats, until rounding parts them."""
    checks = []
    for peer in curves:
        if peer.recipe.peer:
            own = next(c for c in curves if c.recipe.K == peer.recipe.K and not c.recipe.peer)
            apart = float(abs(peer.loss[:, :10] - own.loss[:, :10]).max())
            claim = f"{own.recipe.name} and {peer.recipe.name}: difference of a loss in the first 10 steps"
            checks.append(Check(claim, apart, 0.0, 1e-3))
    return checks


def bounds(curves: list[training.Curves]) -> list[Check]:
    """What theory says of the weights of each run: the distance to the constraint, and when it is closed."""
    checks = []
    for c in curves:
        if c.distance is not None:
            excess = float((c.distance - c.predicted() * (1 + 1e-5)).max())
            checks.append(Check(f"{c.recipe.name}: distance to dom K* over its bound", excess, -float("inf"), 1e-5))
            predicted = c.predicted_inside()
            if predicted is not None:
                inside = c.inside()
                measured = float("nan") if inside is None else float(inside)
                checks.append(Check(f"{c.recipe.name}: steps until inside to 1 %", measured, 0.0, float(predicted)))
    return checks


def draw(numbers: dict[str, Any]) -> Figure:
    return training_figure.draw(numbers, "Digits, 8 x 8 pixels", "Accuracy on the test digits")
