"""The picture of networks in training: loss, accuracy, the way into the constraint, and weights against it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ..style import AT_LEFT, BLUE, BROWN, GREEN, GREY, INK, ORANGE, RED, running_mean
from .recipes import Recipe
from .training import TOLERANCE, Curves

COLORS = (INK, BLUE, GREEN, RED, ORANGE, BROWN)  # of the recipes, in order, without peers
DOTS = (0, (1, 1.2))  # of a peer
SMOOTH = 10  # steps of the running mean of a loss


def draw(numbers: dict[str, Any], title: str, accuracy: str) -> Figure:
    """The picture of what ``stored`` gave; call it, and render it, within ``rc_context(STYLE)``.

    The first net is the one whose weights were watched.
    """
    nets = {
        name: [Curves(**{**c, "recipe": Recipe(**c["recipe"])}) for c in curves] for name, curves in numbers.items()
    }
    figure = Figure(figsize=(16, 8.4), layout="constrained")
    panels = iter(figure.subplots(2, 4).flat)
    watched = next(iter(nets.values()))
    for name, curves in nets.items():
        _loss(next(panels), name, curves)
    _accuracy(next(panels), accuracy, nets)
    _distance(next(panels), watched)
    seen: list[tuple[Any, Any]] = [
        (c, style) for c, style in zip(watched, _styles(watched), strict=True) if c.end is not None
    ]
    for c, style in seen:
        if not c.recipe.peer and c.end.shape[1] > 10 and (panel := next(panels, None)) is not None:
            _histogram(panel, c, style["color"], [o for o in seen if o[0].recipe.peer and o[0].recipe.K == c.recipe.K])
    for panel in panels:
        panel.remove()
    seeds, steps = watched[0].loss.shape
    figure.suptitle(f"{title}: {steps} steps of {len(watched)} optimizers, {seeds} seeds", **AT_LEFT)
    return figure


def stored(nets: dict[str, list[Curves]]) -> dict[str, Any]:
    """Curves as plain values and arrays, for a file and for ``draw``."""
    return {name: [{**vars(c), "recipe": c.recipe._asdict()} for c in curves] for name, curves in nets.items()}


def _styles(curves: list[Curves]) -> list[dict[str, Any]]:
    """The styles of the lines. A peer has dots, lighter than the line that it repeats, so that they are seen on it."""
    own = dict(zip((str(c.recipe.K) for c in curves if not c.recipe.peer), COLORS, strict=False))
    lines = [(to_rgb(own[str(c.recipe.K)]), c.recipe.peer) for c in curves]
    return [{"color": 0.4 * np.array(c) + 0.6, "linestyle": DOTS} if peer else {"color": c} for c, peer in lines]


def _loss(axes: Any, name: str, curves: list[Curves]) -> None:
    axes.set_title(f"Loss: {name}")
    for c, style in zip(curves, _styles(curves), strict=True):
        many = min(SMOOTH, c.loss.shape[1])
        smooth = np.array([running_mean(row, many) for row in c.loss])
        steps = np.arange(smooth.shape[1]) + many / 2
        if not c.recipe.peer:
            axes.fill_between(steps, smooth.min(0), smooth.max(0), color=style["color"], alpha=0.15, linewidth=0)
        axes.plot(steps, smooth.mean(0), **style, label=c.recipe.name)
    axes.set_yscale("log")
    axes.set_xlabel(f"step (running mean of {SMOOTH}; band: all seeds)")
    axes.legend(loc="lower left", fontsize=8)


def _accuracy(axes: Any, title: str, nets: dict[str, list[Curves]]) -> None:
    """One dot for each seed, filled for the first net."""
    axes.set_title(title)
    rows = list(dict.fromkeys(c.recipe.name for curves in nets.values() for c in curves))
    for k, (name, curves) in enumerate(nets.items()):
        for c, style in zip(curves, _styles(curves), strict=True):
            color, face = style["color"], style["color"] if k == 0 else "none"
            place = np.full(c.accuracy.size, rows.index(c.recipe.name) + (0.16 * (2 * k - 1) if len(nets) > 1 else 0))
            axes.plot(100 * c.accuracy, place, "o", color=color, markerfacecolor=face, markersize=6)
        if len(nets) > 1:
            axes.plot([], [], "o", color=GREY, markerfacecolor=GREY if k == 0 else "none", label=name)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) + 0.5, -0.6)
    axes.set_xlabel("percent")
    if len(nets) > 1:
        axes.legend(loc="lower left", fontsize=8)


def _distance(axes: Any, curves: list[Curves]) -> None:
    """Measured distance of lam x to dom K*, all seeds, and the bound of Phase I."""
    axes.set_title("Phase I: distance of lam x to dom K*")
    inside = []
    for c, style in zip(curves, _styles(curves), strict=True):
        if c.distance is None:
            continue
        if not c.distance[:, 0].any():
            inside.append(c.recipe.name)
            continue
        for row in c.distance:
            axes.plot(np.where(row > 0, row, np.nan), **style, linewidth=1.0)
        axes.plot([], [], **style, label=c.recipe.name)
        if not c.recipe.peer:
            axes.plot(c.predicted(), color=style["color"], linestyle="--")
    axes.plot([], [], color=GREY, linestyle="--", label="at most")
    axes.axhline(TOLERANCE, color=GREY, linestyle=":", linewidth=1.2)
    axes.set_yscale("log")
    axes.set_ylim(1e-6, None)
    axes.set_xlabel("step")
    note = f"inside from the start:\n{', '.join(inside)}" if inside else None
    axes.legend(loc="upper right", fontsize=8, title=note, title_fontsize=8)


def _histogram(axes: Any, c: Curves, color: Any, peers: list[tuple[Any, Any]]) -> None:
    """What K bounds, in units of its bound, at the start and at the end; the bound is at 1 (and -1)."""
    assert c.start is not None and c.end is not None
    low, high = min(c.start.min(), c.end.min(), 0.0), max(c.start.max(), c.end.max(), 1.0)
    bins = (np.arange(np.floor(24 * low), np.ceil(24 * high) + 2) - 0.5) / 24  # one bin has the bound in its middle
    axes.hist(c.start.ravel(), bins, color=GREY, alpha=0.55, label="start")
    axes.hist(c.end.ravel(), bins, histtype="stepfilled", facecolor=color, alpha=0.45, label="end")
    axes.hist(c.end.ravel(), bins, histtype="step", color=color)
    for peer, style in peers:
        axes.hist(peer.end.ravel(), bins, histtype="step", **style, label=f"end, {peer.recipe.name}")
    for bound in (1.0, -1.0) if low < -0.5 else (1.0,):
        axes.axvline(bound, color=RED, linestyle="--", linewidth=1.4)
    axes.set_yscale("log")
    axes.set_ylim(0.7, 5 * axes.get_ylim()[1])  # room for the legend
    axes.set_title(f"{c.recipe.name}: {c.what}")
    axes.set_xlabel("in units of the bound, 1/lam for each")
    axes.legend(loc="upper center", fontsize=8)
