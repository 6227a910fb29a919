"""Training curves at equal budget: Lion, Muon, Muon per head, lion-pytorch and AdamW, tuned alike.

A transformer on characters and a convolutional network on digits (`lionk.app.networks.contest`). Each optimizer has
twelve trials, the same six learning rates and two decays in units of AdamW, on a seed of its own; the best pair runs on
four other seeds. What to see: on the left, the loss on data that neither training nor tuning has seen, the mean and the
spread over seeds. In the middle, the share of right answers at the end, a dot for each seed. On the right, the loss of
the trials over the learning rate, at the better decay: where a curve is flat, a wrong rate costs little. l1 and
lion-pytorch (dots) are one algorithm, until rounding parts them.

The paper: says in its abstract that Lion performs comparably to AdamW or better, as Chen et al. found in large models
(2023, arXiv 2302.06675). Who wins with networks this small says nothing of those.

Scaled down: GPT-2 to 64,000 weights, hours to seconds, and one learning rate's schedule for all. Time is not compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

from ..networks import contest
from ..networks.contest import Entry
from ..style import AT_LEFT, BLUE, GREEN, INK, ORANGE, SKY
from .targets import Check, Outcome, need_torch

COLORS = {
    "AdamW": INK, "l1 (Lion)": BLUE, "lion-pytorch": SKY, "nuclear (Muon)": GREEN, "Muon, per head": ORANGE,
}  # fmt: skip
LEAST = {"transformer on characters": 0.35, "convolutions on digits": 0.95}  # right answers of the worst seed


def run(seed: int, quick: bool) -> Outcome:
    """The trials have seed 0 + 5 ``seed``, the runs the four after it."""
    need_torch("contest")
    found, first = {}, 5 * seed
    for task in contest.tasks():
        small = task._replace(steps=10, rates=task.rates[1:4:2]) if quick else task
        decays = contest.DECAYS[:1] if quick else contest.DECAYS
        found[task.name] = list(contest.entries(small, first, 1 if quick else 4, decays))
    checks = [c for name, entries in found.items() for c in _checks(name, entries, quick)]
    return Outcome(tuple(checks), {name: [vars(e) for e in entries] for name, entries in found.items()})


def _checks(task: str, entries: list[Entry], quick: bool) -> list[Check]:
    least = 0.1 if quick else LEAST[task]
    checks = [Check(f"{task}, {e.name}: right answers, worst seed", float(min(e.right)), least, 1.0) for e in entries]
    edges = sum(e.best[0] in (0, e.rates.size - 1) for e in entries)
    if not quick:
        checks.append(Check(f"{task}: learning rates chosen at an end of the grid", float(edges), 0.0, 0.0))
    lions = [e for e in entries if e.name in ("l1 (Lion)", "lion-pytorch")]
    if len(lions) == 2 and lions[0].best == lions[1].best:  # later on, rounding parts them
        apart = float(abs(lions[0].loss[:, 0] - lions[1].loss[:, 0]).max())
        checks.append(Check(f"{task}: l1 and lion-pytorch apart, first point of the curve", apart, 0.0, 1e-3))
    return checks


def draw(numbers: dict[str, Any]) -> Figure:
    """A row for each task: curves, the end, and the trials."""
    tasks = {name: [Entry(**e) for e in entries] for name, entries in numbers.items()}
    figure = Figure(figsize=(15, 4.4 * len(tasks)), layout="constrained")
    for row, (name, entries) in zip(figure.subplots(len(tasks), 3, squeeze=False), tasks.items(), strict=True):
        _curves(row[0], name, entries)
        _ends(row[1], entries)
        _trials(row[2], entries)
    first = next(iter(tasks.values()))[0]
    budget = f"{np.size(first.trials)} trials each, then {len(first.loss)} seeds"
    figure.suptitle(f"Equal steps, batches, seeds and trials: {budget}", **AT_LEFT)
    return figure


def _style(entry: Entry) -> dict[str, Any]:
    return {"color": COLORS[entry.name], "linestyle": ":" if entry.by == "lion-pytorch" else "-"}


def _curves(axes: Any, name: str, entries: list[Entry]) -> None:
    axes.set_title(f"{name.capitalize()}: loss on unseen data")
    for e in entries:
        loss = np.asarray(e.loss)
        axes.fill_between(e.at, loss.min(0), loss.max(0), color=COLORS[e.name], alpha=0.15, linewidth=0)
        axes.plot(e.at, loss.mean(0), **_style(e), label=f"{e.name}  {loss[:, -1].mean():.3f}")
    _of_loss(axes)
    axes.set_xlabel("step (line: mean of the seeds; band: all of them)")
    axes.legend(title="at the end")


def _ends(axes: Any, entries: list[Entry]) -> None:
    axes.set_title("Right answers at the end, each seed")
    for place, e in enumerate(entries):
        right = 100 * np.asarray(e.right)
        axes.plot(right, np.full(right.size, place), "o", color=COLORS[e.name], alpha=0.8)
        axes.plot([right.mean()] * 2, [place - 0.25, place + 0.25], color=COLORS[e.name])
    axes.set_yticks(range(len(entries)), [e.name for e in entries])
    axes.set_ylim(len(entries) - 0.5, -0.5)
    axes.set_xlabel("percent")


def _trials(axes: Any, entries: list[Entry]) -> None:
    axes.set_title("Trials: loss for tuning over the learning rate")
    for e in entries:
        i, j = e.best
        axes.plot(e.rates, np.asarray(e.trials)[:, j], **_style(e), marker=".")
        axes.plot(e.rates[i], np.asarray(e.trials)[i, j], "o", color=COLORS[e.name])
    _of_loss(axes)
    axes.set_xscale("log")
    axes.set_xticks(entries[0].rates, [f"{r:g}" for r in entries[0].rates])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("learning rate in units of AdamW (dot: taken)")


def _of_loss(axes: Any) -> None:
    """A logarithmic axis with numbers on it also where it spans less than a factor of 10."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 1.5, 2, 2.5, 3, 4, 5, 7)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(ScalarFormatter())
