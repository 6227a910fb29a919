"""The picture of a run: objective, gap, Lyapunov function, and the solution against its bounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from .report import Outcome

INK, BLUE, RED, GREEN, GREY, PALE = "#1f2933", "#1f6fb2", "#d1495b", "#2a9d6f", "#8a94a0", "#eef1f4"
STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "grid.color": "#e3e7eb",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "none",
}
NAMED = 40  # so many bars have their names beside them


def save(o: Outcome, path: Path) -> None:
    """Draw the four panels and write the file; its suffix says the format."""
    with rc_context(STYLE):
        figure = Figure(figsize=(13, 9), layout="constrained")
        panels = figure.subplots(2, 2)
        for draw, axes in zip((_objective, _gap, _lyapunov, _solution), panels.flat, strict=True):
            draw(axes, o)
        s, r = o.setup, o.result
        outcome = f"gap/|F| = {o.relative_gap:.2g}" if s.weight_decay else f"G = {r.gap:.2g}"
        figure.suptitle(
            f"{s.problem.name}: {s.problem.loss} loss, K = {s.k_text}, lam = {s.weight_decay:g}\n"
            f"F = {r.objective:.6g}, {outcome} after {r.nit} steps ({s.backend.name}, {s.dtype})",
            fontsize=13, fontweight="bold", x=0.012, ha="left",
        )  # fmt: skip
        figure.get_layout_engine().set(hspace=0.07, wspace=0.05)  # type: ignore[union-attr, call-arg]
        figure.savefig(path, dpi=130)


def _finite(values: Any) -> Any:
    return np.where(np.isfinite(values), values, np.nan)


def _positive(values: Any) -> Any:
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _start(axes: Any, o: Outcome, title: str) -> Any:
    """Title, x label, and the steps outside the constraint set shaded; returns the step numbers."""
    axes.set_title(title)
    axes.set_xlabel("step")
    steps = np.arange(o.history["f"].size)
    axes.set_xlim(0, max(steps.size - 1, 1))
    outside = np.flatnonzero(o.history["distance"] > 0)
    if outside.size:
        axes.axvspan(outside[0], outside[-1] + 1, color=PALE, zorder=0, label="outside the constraint set")
    return steps


def _objective(axes: Any, o: Outcome) -> None:
    steps = _start(axes, o, "Objective")
    F, f, gap = o.history["objective"], o.history["f"], o.history["gap"]
    axes.plot(steps, f, color=GREY, linewidth=1.2, label="loss f")
    if np.isfinite(F).any():
        best = np.fmin.accumulate(np.where(np.isfinite(F), F, np.inf))
        axes.plot(steps, _finite(F), color=BLUE, label="F = f + K*(lam x)/lam")
        if o.setup.weight_decay:
            lower = np.fmax.accumulate(np.where(np.isfinite(F - gap), F - gap, -np.inf))
            axes.plot(steps, _finite(lower), color=GREEN, linewidth=1.2, label="certified lower bound of min F")
            axes.fill_between(steps, _finite(lower), _finite(best), color=GREEN, alpha=0.12, linewidth=0)
        seen = F[np.isfinite(F)]
        # the start and its first swings may dwarf what follows: the axis shows the quieter 90 % and the start of f
        low, high = seen.min(), max(np.quantile(seen, 0.9), min(f[0], 20 * max(np.median(seen), 1e-300)))
        axes.set_ylim(low - 0.12 * (high - low), high + 0.06 * (high - low))
    axes.legend(loc="upper right")


def _gap(axes: Any, o: Outcome) -> None:
    lam = o.setup.weight_decay
    steps = _start(axes, o, "Certified gap: F - min F is below it" if lam else "Stationarity G")
    gap = _positive(o.history["gap"])
    axes.semilogy(steps, gap, color=BLUE, linewidth=0.8, alpha=0.45, label="gap")
    if np.isfinite(gap).any():
        axes.semilogy(steps, np.fmin.accumulate(gap), color=BLUE, label="best so far")
    if lam and o.setup.tol:
        target = o.setup.tol * abs(o.result.objective)
        axes.axhline(target, color=GREEN, linestyle="--", linewidth=1.2, label=f"tolerance {o.setup.tol:g} |F|")
    if lam and o.result.gap_rounding > 0:
        axes.axhline(o.result.gap_rounding, color=RED, linestyle=":", linewidth=1.4, label="rounding of the gap")
    axes.legend(loc="best")


def _lyapunov(axes: Any, o: Outcome) -> None:
    """H, and the distance to the set on an axis of its own if the run was ever outside."""
    steps = _start(axes, o, "Lyapunov function H(x, m), and F below it")
    H, F, distance = (_finite(o.history[n]) for n in ("lyapunov", "objective", "distance"))
    axes.plot(steps, H, color=INK, label="H")
    axes.plot(steps, F, color=BLUE, linewidth=1.0, alpha=0.8, label="F")
    if np.nanmin(np.fmin(H, F), initial=np.inf) > 0:
        axes.set_yscale("log")
    handles, labels = axes.get_legend_handles_labels()
    positive = _positive(distance)
    if np.isfinite(positive).any():
        other = axes.twinx()
        other.spines["right"].set(visible=True, color=RED)
        other.grid(visible=False)
        other.tick_params(colors=RED, which="both")
        other.set_ylabel("distance of lam x to the set", color=RED)
        (line,) = other.semilogy(steps, positive, color=RED, linewidth=1.2)
        handles, labels = [*handles, line], [*labels, "distance"]
    elif o.setup.weight_decay:
        axes.text(0.02, 0.04, "lam x was in the constraint set at every step", transform=axes.transAxes, color=GREEN)
    axes.legend(handles, labels, loc="upper right")


def _solution(axes: Any, o: Outcome) -> None:
    """The bounded numbers, sorted, as bars (a line where they are many), with their bounds and the active ones marked."""
    v = o.view
    order = np.argsort(v.values, kind="stable")
    values, lower, upper, active = v.values[order], v.lower[order], v.upper[order], v.active[order]
    place = np.arange(values.size)
    axes.set_title(f"Solution: {v.text}", wrap=True)
    axes.grid(visible=False, axis="y")
    colors = np.where(active, RED, BLUE)
    if values.size <= NAMED:
        axes.barh(place, values, color=colors, height=0.72)
        axes.set_yticks(place, [v.labels[i] for i in order], fontsize=8)
        axes.set_ylim(-0.7, values.size - 0.3)
    else:
        axes.hlines(place, 0, values, colors=colors, linewidth=0.8)
        axes.set_ylabel(f"{v.what}, sorted")
        axes.set_ylim(-1, values.size)
    axes.set_xlabel(v.what)
    axes.axvline(0, color=GREY, linewidth=0.8)
    for bound in (lower, upper):
        if np.isfinite(bound).any():
            axes.step(np.r_[bound, bound[-1]], np.r_[place, place[-1] + 1] - 0.5, color=INK, linestyle="--", linewidth=1.2)
    handles = [axes.barh([], [], color=c, label=t) for c, t in ((BLUE, "free"), (RED, "at its bound"))]
    if active.any():
        axes.legend(handles=handles, loc="lower right")
