"""A small transformer on characters: weights of its blocks enter 1/lam no later than predicted.

Two blocks of width 48 are trained on the text of Python's manual with four K, with AdamW and, where it is installed,
with lion-pytorch, two seeds each (`lionk.app.networks.language`).

What to see: the panels show the losses of the batches, the share of the held-out characters that are guessed, and the
distance of lam x to dom K*, which stays below its predicted bound (dashed). They also show what each K bounds, in
units of its bound, at the start, when a part of it is outside, and at the end. l1 and lion-pytorch (dots) are the same
algorithm: their curves lie on each other until rounding parts them.

The paper: agrees with its histograms, which stay within 1/lam = 0.1 after about 200 steps, on another task. It
compares Lion-lp on GPT-2.

Scaled down: GPT-2 on OpenWebText to 64,000 weights and 400,000 characters.
"""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from ..networks import figure as training_figure
from ..networks import language
from .targets import Check, Outcome, need_torch
from .training import agreement, bounds


def run(seed: int, quick: bool) -> Outcome:
    """The seeds are 0 and 1, whatever ``seed`` is: learning rates were chosen for them."""
    need_torch("language")
    seeds, steps = (1, 20) if quick else (2, 300)
    found = list(language.curves(language.RECIPES, seeds, steps))
    most = 3.4 if quick else 2.4
    checks = [
        Check(f"{c.recipe.name}: worst loss of a seed on the text held out", float(c.train_loss.max()), 0.0, most)
        for c in found
    ]
    checks += agreement(found) + bounds(found)
    return Outcome(tuple(checks), training_figure.stored({"transformer": found}))


def draw(numbers: dict[str, Any]) -> Figure:
    return training_figure.draw(numbers, "A transformer on characters", "Characters guessed in the text held out")
