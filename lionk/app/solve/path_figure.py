"""The path over the weight decay, as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..console import right, table
from .path import LamPath
from .setup import Setup
from .source import Task

NAMED = 8  # curves that have their names beside them


def show(out: Any, path: LamPath) -> None:
    """Loss and score of every lam, with the best marked."""
    rows = []
    for i, lam in enumerate(path.lams):
        mark = "[green]best[/green]" if i == path.best else ""
        loss = f"{path.mean[i]:.5g} +- {path.error[i]:.2g}"
        rows.append((f"{lam:.4g}", loss, f"{path.scores[:, i].mean():.4f}", mark))
    columns = ("lam", f"loss on unseen rows ({path.folds} folds)", path.measure, "")
    out.print(table(*map(right, columns), rows=rows))
    if path.at_the_end:
        out.print("The best weight decay is at the end of the list; give --lams LOW:HIGH:COUNT with a wider range.")


def save(task: Task, setup: Setup, path: LamPath, file: Path) -> None:
    """Draw the loss on unseen rows, and the weights, against lam."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from ..style import AT_LEFT, BLUE, GREEN, GREY, RED, STYLE, verbatim

    with rc_context(STYLE):
        figure = Figure(figsize=(13, 5), layout="constrained")
        loss, weights = figure.subplots(1, 2)
        best = path.lams[path.best]
        loss.set_title(f"Loss on unseen rows, {path.folds} folds")
        loss.fill_between(path.lams, path.mean - path.error, path.mean + path.error, color=BLUE, alpha=0.15,
                          label="standard error")  # fmt: skip
        loss.plot(path.lams, path.mean, "o-", color=BLUE, markersize=4, label="mean over the folds")
        loss.legend()
        weights.set_title("Weights fitted to all rows")
        curves = path.weights.reshape(len(path.lams), -1)
        largest = np.argsort(-np.abs(curves[path.best]))[: NAMED if task.problem.loss != "softmax" else 0]
        for i, curve in enumerate(curves.T):
            weights.plot(path.lams, curve, color=BLUE if i in largest else GREY, linewidth=1.4 if i in largest else 0.6)
        for i in largest:
            name = task.problem.columns[i]
            weights.annotate(verbatim(name[:24]), (path.lams[-1], curves[-1, i]), xytext=(4, 0),
                             textcoords="offset points", fontsize=8, va="center", annotation_clip=False)  # fmt: skip
        for axes in (loss, weights):
            axes.set_xscale("log")
            axes.set_xlabel("weight decay lam")
            axes.axvline(best, color=GREEN, linestyle="--", linewidth=1.2)
            axes.invert_xaxis()
        if path.at_the_end:
            loss.axvline(best, color=RED, linestyle="--", linewidth=1.2)
        title = f"{verbatim(task.problem.name)}: {task.problem.loss} loss, K = {verbatim(setup.k_text)}"
        figure.suptitle(f"{title}; best lam = {best:.4g}", **AT_LEFT)
        figure.savefig(file, dpi=130)
