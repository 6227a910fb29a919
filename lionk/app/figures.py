"""The picture of a run: objective, gap, Lyapunov function, and the solution against its bounds."""

from __future__ import annotations

import textwrap
import warnings
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from lionk.arrays.containers import is_container, named_leaves, tree_map
from lionk.backend.discovery import backend_of
from lionk.errors import NotAvailable
from lionk.theory.gauge import nearness

from .solve.constraint import View, view
from .style import AT_LEFT, BLUE, BROWN, GREEN, GREY, INK, PALE, RED, STYLE, verbatim

if TYPE_CHECKING:
    from .solve.report import Outcome


RIGHT_WIDTH = 0.41  # of the right column, labels included
NAMED = 40  # so many bars have their names beside them


def save(o: Outcome, path: Path) -> None:
    """Draw the four panels and write the file; its suffix says the format."""
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph ")  # a letter that the font lacks is an empty box
        draw(o).savefig(path, dpi=130)


def draw(o: Outcome) -> Figure:
    """The picture; call it, and render it, within ``rc_context(STYLE)``."""
    figure = Figure(figsize=(13, 9))
    labels = 0.0048 * max(map(len, _labels(o))) if o.view.values.size <= NAMED else 0.0
    places = (  # left, bottom, width, height: fixed, as automatic layouts give way to long labels
        (_objective, (0.06, 0.545, 0.4, 0.345)),
        (_gap, (0.57, 0.545, RIGHT_WIDTH, 0.345)),
        (_lyapunov, (0.06, 0.08, 0.4, 0.35)),
        (_solution, (0.57 + labels, 0.08, RIGHT_WIDTH - labels, 0.35)),
    )
    for panel, place in places:
        panel(figure.add_axes(place), o)
    s, r = o.setup, o.result
    outcome = f"gap/|F| = {o.relative_gap:.2g}" if s.weight_decay else f"G = {r.gap:.2g}"
    figure.suptitle(
        f"{verbatim(s.problem.name)}: {s.problem.loss} loss, K = {verbatim(s.k_text)}, lam = {s.weight_decay:g}\n"
        f"F = {r.objective:.6g}, {outcome} after {r.nit} steps ({s.backend.name}, {s.dtype})",
        **AT_LEFT,
    )
    return figure


class Picture(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        with rc_context(STYLE), BytesIO() as file:
            self.savefig(file, format="png", dpi=90)
            return file.getvalue()


def plot(result: Any, *, tol: float = 0.0) -> Picture:
    """Objective, both bounds, Lyapunov function and constraint of a ``lionk.Result``: ``result.plot()``."""
    to_host = backend_of(result.x).to_host
    history = {name: to_host(v).astype(float) for name, v in result.history._asdict().items()}
    lam = result.weight_decay
    setup = SimpleNamespace(weight_decay=lam, tol=tol, atol=0.0, tolerance=f"{tol:g} |F|", problem=None)
    run: Any = SimpleNamespace(result=result, history=history, setup=setup)  # what the panels read of an Outcome
    if is_container(result.x):
        run.view = _gauges(result)
    else:
        x = np.atleast_1d(to_host(result.x))
        rows, columns = (tuple(map(str, range(n))) for n in (x.size // max(x.shape[-1], 1), x.shape[-1]))
        run.view = view(result.K.conjugate.domain, np.abs(x) if np.iscomplexobj(x) else x, lam, columns, rows)
    with rc_context(STYLE):
        figure = Picture(figsize=(13, 9), layout="constrained")
        for axes, panel in zip(figure.subplots(2, 2).flat, (_objective, _gap, _lyapunov, _solution), strict=True):
            panel(axes, run)
    return figure


def _gauges(result: Any) -> View:
    """How near each array of a container is to its own bound, where the gauge of the set is known."""
    found = {}
    for (path, x), (_, K) in zip(named_leaves(result.x), named_leaves(_functions(result)), strict=True):
        with suppress(NotAvailable):
            found[path] = nearness(K, x, result.weight_decay).gauge
    values = np.asarray([v for v in found.values() if np.isfinite(v)])
    names = tuple(name for name, v in found.items() if np.isfinite(v))
    free, bound = np.full(values.size, -np.inf), np.ones(values.size)
    return View("gauges of lam x in dom K*", values, free, bound, names, otherwise="no bound on an array alone")


def _functions(result: Any) -> Any:
    """The function of each array."""
    return tree_map(lambda _, k: k, result.x, result.K.tree)


def _labels(o: Outcome) -> list[str]:
    """The labels beside the bars. Those of coefficients have their values in the units of the data, too."""
    names = [_short(t) for t in o.view.labels]
    p = o.setup.problem
    if p is None or o.view.what != "coefficients" or o.x.ndim != 1 or not p.scaling.standardise:
        return names
    return [f"{name}  {u:.3g}" for name, u in zip(names, p.entries_in_units(o.x), strict=True)]


def _short(label: str) -> str:
    label = " ".join(label.split())
    return verbatim(label if len(label) <= 28 else label[:25] + "...")


def _finite(values: Any) -> Any:
    return np.where(np.isfinite(values), values, np.nan)


def _positive(values: Any) -> Any:
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _start(axes: Any, o: Outcome, title: str) -> Any:
    """Title, a step axis that spreads the first steps, and the steps outside shaded; returns the step numbers."""
    axes.set_title(title)
    axes.set_xlabel("step")
    steps = np.arange(o.history["f"].size)
    last = max(steps.size - 1, 1)
    if last > 20:
        axes.set_xscale("symlog", linthresh=10, linscale=0.6)
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlim(0, last)
    outside = np.flatnonzero(o.history["distance"] > 0)
    if outside.size:
        shade = {"facecolor": PALE, "edgecolor": "#b9c2cc", "zorder": 0}
        axes.axvspan(outside[0], outside[-1] + 1, label="lam x is outside the set", **shade)
    return steps


def _corner(o: Outcome) -> str:
    """Where a panel of falling curves is empty: at the right, or at the left if they only begin late."""
    return "lower left" if (o.history["distance"] > 0).mean() > 0.3 else "upper right"


def _logarithmic(axes: Any, low: float, high: float) -> None:
    """A logarithmic y axis with plain numbers for ticks, over a range of positive numbers."""
    axes.set_yscale("log")
    pad = (high / low) ** 0.06
    axes.set_ylim(low / pad, high * pad)
    if high < 1000 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 60 * low else (1,)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _objective(axes: Any, o: Outcome) -> None:
    steps = _start(axes, o, "Objective, and where min F is certified to be")
    F, f, gap = o.history["objective"], o.history["f"], o.history["gap"]
    axes.plot(steps, f, color=GREY, linewidth=1.2, label="loss f")
    seen = F[np.isfinite(F)]
    if seen.size:
        axes.plot(steps, _finite(F), color=BLUE, label="F = f + K*(lam x)/lam")
        if o.setup.weight_decay:
            best = np.fmin.accumulate(np.where(np.isfinite(F), F, np.inf))
            pointwise, momentum = _finite(F) - _finite(gap), _finite(best) - _finite(o.history["momentum_gap"])
            lower = np.fmax.accumulate(np.fmax(pointwise, momentum))
            axes.plot(steps, lower, color=GREEN, linewidth=1.2, label="certified lower bound of min F")
            axes.fill_between(steps, lower, _finite(best), color=GREEN, alpha=0.12, linewidth=0)
        # the first swings may dwarf what follows: the axis ends at the start of f, or at the quieter 90 %
        low, high = float(seen.min()), float(max(np.quantile(seen, 0.9), f[0]))
        if low > 0 and high > 2 * low:
            _logarithmic(axes, 0.8 * low, high)
        else:
            span = (high - low) or abs(high) or 1.0
            axes.set_ylim(low - 0.25 * span, high + 0.06 * span)
    axes.legend(loc="upper right")


def _gap(axes: Any, o: Outcome) -> None:
    lam, r = o.setup.weight_decay, o.result
    steps = _start(axes, o, "Two bounds of F - min F for the best point so far" if lam else "Stationarity G")
    axes.set_xscale("linear")
    gap, momentum = _positive(o.history["gap"]), _positive(o.history["momentum_gap"])
    axes.semilogy(steps, gap, color=BLUE, linewidth=0.8, alpha=0.45, label="G/lam at the point" if lam else "G")
    if np.isfinite(gap).any():
        axes.semilogy(steps, np.fmin.accumulate(gap), color=BLUE, label="its best so far")
    if np.isfinite(momentum).any():
        axes.semilogy(steps, momentum, color=BROWN, linewidth=1.4, label="gap by the averages of gradients")
    target = o.setup.atol + o.setup.tol * abs(r.objective)
    if lam and target:
        axes.axhline(target, color=GREEN, linestyle="--", linewidth=1.2, label=f"tolerance, {o.setup.tolerance}")
    if lam and r.gap_rounding > 0:
        text = f"rounding of the gap, {r.gap_rounding:.0e}"
        if r.gap_rounding > 1e-4 * np.nanmin(np.fmin(gap, momentum), initial=np.inf):
            axes.axhline(r.gap_rounding, color=RED, linestyle=":", linewidth=1.4, label=text)
        else:
            axes.plot([], [], color=RED, linestyle=":", linewidth=1.4, label=f"{text}, far below")
    axes.legend(loc="best")


def _lyapunov(axes: Any, o: Outcome) -> None:
    """H, and the distance to the set on an axis of its own if the run was ever outside."""
    steps = _start(axes, o, "Lyapunov function H(x, m), with F below it")
    H, F, distance = (_finite(o.history[n]) for n in ("lyapunov", "objective", "distance"))
    axes.plot(steps, H, color=INK, label="H")
    axes.plot(steps, F, color=BLUE, linewidth=1.0, alpha=0.8, label="F")
    both = np.concatenate([H, F])
    both = both[np.isfinite(both)]
    if both.size and both.min() > 0 and both.max() > 2 * both.min():
        _logarithmic(axes, both.min(), both.max())
    handles, labels = axes.get_legend_handles_labels()
    positive = _positive(distance)
    title = None
    if np.isfinite(positive).any():
        other = axes.twinx()
        other.spines["right"].set(visible=True, color=RED)
        other.grid(visible=False)
        other.tick_params(colors=RED, which="both")
        other.set_ylabel("distance of lam x to the constraint set", color=RED)
        (line,) = other.semilogy(steps, positive, color=RED, linewidth=1.2)
        handles, labels = [*handles, line], [*labels, "distance"]
    elif o.setup.weight_decay:
        title = "lam x is in the constraint set\nat every step (distance 0)"
    axes.legend(handles, labels, loc=_corner(o), title=title, title_fontsize=9)


def _solution(axes: Any, o: Outcome) -> None:
    """The bounded numbers as bars, the largest first (thin and sorted where they are many), and the bounds."""
    v = o.view
    order = np.argsort(np.abs(v.values) if v.values.size <= NAMED else v.values, kind="stable")
    values, lower, upper, active = v.values[order], v.lower[order], v.upper[order], v.active[order]
    place = np.arange(values.size)
    left = 0.0 if o.setup.problem is None else 1 - RIGHT_WIDTH / axes.get_position().width  # where the labels begin
    names = _labels(o)
    units = "; beside the names: in the units of the data" if any("  " in name for name in names) else ""
    axes.set_title(textwrap.fill(f"Solution: {v.text}{units}", 62), x=left)
    axes.grid(visible=False, axis="y")
    colors = np.where(active, RED, BLUE)
    if values.size <= NAMED:
        axes.barh(place, values, color=colors, height=0.72)
        axes.set_yticks(place, [names[i] for i in order], fontsize=8)
        axes.set_ylim(-0.7, values.size - 0.3)
    else:
        axes.hlines(place, 0, values, colors=colors, linewidth=0.8)
        axes.set_ylabel(f"{v.what}, sorted")
        axes.set_ylim(-1, values.size)
    axes.set_xlabel(v.what, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.axvline(0, color=GREY, linewidth=0.8)
    for bound in (lower, upper):
        if np.isfinite(bound).any():
            ends = np.r_[place, place[-1] + 1] - 0.5
            axes.step(np.r_[bound, bound[-1]], ends, color=INK, linestyle="--", linewidth=1.2)
    empty = active & (np.abs(values) < 1e-2 * np.abs(values).max(initial=0.0))  # at the bound 0 a bar has no length
    if empty.any():
        axes.plot(values[empty], place[empty], "o", color=RED, markersize=5, clip_on=False)
    if active.any():
        marks = [Patch(color=RED, label="at a bound"), Patch(color=BLUE, label="free")]
        axes.legend(handles=marks, loc="upper right", bbox_to_anchor=(1.0, -0.07), ncols=2)
