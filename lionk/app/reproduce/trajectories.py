"""Two phases in the plane, for six K of the paper.

Each K minimises f(x) = |x - (1.5, 0.6)|^2 with lam = 1. All runs start at (-2.5, 2), outside every bounded set dom K*.

What to see: in phase I each path heads for the shaded set, and the distance falls at least as fast as (1 - lr)^t, the
dashed line. In phase II the path stays in the set and goes to the star, which is the minimum of F = f + K*. H falls,
and F - min F ends at the size that lr allows where K has a kink, and at rounding where K is smooth. H is infinite
outside the set, so its curve begins with phase II. Lion-K does not find the star: it is the proximal map of K* at the
minimum of f. The certificates hold on every run.

The paper: agrees with its pictures in the plane and Theorems 3.1 and 4.1. The minimum of f lies off the axis here, so
that six K have five different solutions; the paper's toy has its minimum on the axis. top_k selects the largest entry.

Scaled down: nothing; the paper's figure is of this size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

import lionk
from lionk.theory import phase_one_factor

from ..style import BLUE, GREEN, GREY, INK, PALE, RED
from .targets import Check, Outcome

CENTRE, START, LR = np.array([1.5, 0.6]), np.array([-2.5, 2.0]), 0.02
TABLE: dict[str, dict[str, Any]] = {
    "half_square": {},
    "l1": {},
    "lp": {"p": 1.5},
    "dead_zone": {"threshold": 0.4},
    "top_k": {"k": 1},
    "huber": {"delta": 0.5},
}
TITLES = {
    "half_square": "$\\frac{1}{2}|x|_2^2$: adds $\\frac{1}{2}|x|^2$",
    "l1": "$|x|_1$ (Lion): $|x|_\\infty \\leq 1$",
    "lp": "$|x|_{3/2}$: $|x|_3 \\leq 1$",
    "dead_zone": "dead zone 0.4: $|x|_\\infty \\leq 1$, adds $0.4\\,|x|_1$",
    "top_k": "largest entry: $|x|_1 \\leq 1$",
    "huber": "Huber 0.5: $|x|_\\infty \\leq 1$, adds $\\frac{1}{4}|x|^2$",
}


def f(x: Any) -> tuple[Any, Any]:
    d = x - CENTRE
    return float(d @ d), 2 * d


def run(seed: int, quick: bool) -> Outcome:
    """Nothing is random here; ``seed`` changes nothing."""
    steps = 400 if quick else 700
    numbers = {name: _path(name, steps) for name in TABLE}
    at_end = {name: float(np.linalg.norm(n["x"][-1] - n["solution"])) for name, n in numbers.items()}
    checks = (
        Check("largest distance of the last point to the solution, K with a kink, over lr",
              max(at_end[n] for n in ("l1", "dead_zone", "top_k")) / LR, 0.0, 2.0),
        Check("the same for the smooth ones, over lr", max(at_end[n] for n in ("half_square", "huber", "lp")) / LR,
              0.0, 0.25 if quick else 0.05),
        Check("largest distance to dom K* in phase I, over (1 - lr lam)^t times the first",
              max(n["excess"] for n in numbers.values()), 0.0, 1 + 1e-9),
        Check("statements of the certificates that fail", sum(n["failed"] for n in numbers.values()), 0.0, 0.0),
    )  # fmt: skip
    return Outcome(checks, numbers)


def _path(name: str, steps: int) -> dict[str, Any]:
    K, path = lionk.K(name, **TABLE[name]), []
    r = lionk.minimize(
        f, START, K=K, weight_decay=1.0, lr=LR, jac=True, convex=True, tol=0.0, maxiter=steps,
        callback=lambda info: path.append(info.x),
    )  # fmt: skip
    solution = K.conjugate.prox(CENTRE, 0.5)  # argmin of |x - centre|^2 + K*(x)
    least = f(solution)[0] + float(K.conjugate.value(solution))
    distance = np.asarray(r.history.distance)
    predicted = distance[0] * phase_one_factor(LR, 1.0) ** np.arange(distance.size)
    angles = np.linspace(0, 2 * np.pi, 721)
    edge = [K.subgradient(1e6 * np.array([np.cos(t), np.sin(t)])) for t in angles]  # exposed points of dom K*
    return {
        "x": np.array(path), "solution": solution, "least": least,
        "set": np.array(edge) if K.traits.bounded_domain else None,
        "f": np.asarray(r.history.f), "F": np.asarray(r.history.objective), "H": np.asarray(r.history.lyapunov),
        "distance": distance, "predicted": predicted,
        "excess": float(np.max(distance / predicted)) if distance[0] else 0.0,
        "phase_one": int((distance > 0).sum()), "failed": len(r.certificate.failed),
        "certificate": str(r.certificate),
    }  # fmt: skip


def draw(numbers: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(14, 15.5), layout="constrained")
    axes = figure.subplots(4, 3, height_ratios=[1.25, 1, 1.25, 1])
    for i, (name, n) in enumerate(numbers.items()):
        row, column = 2 * (i // 3), i % 3
        _plane(axes[row, column], TITLES[name], n, legend=i == 1)
        _curves(axes[row + 1, column], n, legend=i == 1)
    figure.suptitle("Six K of the paper: the same f, start, lr = 0.02 and lam = 1", fontsize=14)
    return figure


def _plane(axes: Any, title: str, n: dict[str, Any], legend: bool) -> None:
    axes.set_title(title)
    x, split = n["x"], n["phase_one"]
    u, v = np.meshgrid(np.linspace(-2.9, 2.3, 80), np.linspace(-1.4, 2.4, 60))
    level = (u - CENTRE[0]) ** 2 + (v - CENTRE[1]) ** 2
    axes.contour(u, v, level, levels=np.array([0.2, 0.7, 1.5, 3, 5, 8, 12, 17]), colors=GREY, linewidths=0.5, alpha=0.6)
    if n["set"] is not None:
        axes.fill(*n["set"].T, facecolor=PALE, edgecolor=INK, linewidth=1.0, label="dom K*/lam")
    axes.plot(*x[: split + 1].T, color=RED, label="phase I")
    axes.plot(*x[split:].T, color=BLUE, label="phase II")
    axes.plot(*START, "o", color=RED, markersize=5)
    axes.plot(*CENTRE, "+", color=GREY, markersize=9, markeredgewidth=1.8, label="minimum of f")
    axes.plot(*n["solution"], "*", color=GREEN, markersize=13, markeredgecolor="white", label="minimum of F", zorder=5)
    axes.set(xlim=(-2.9, 2.3), ylim=(-1.4, 2.4), aspect="equal")
    axes.grid(visible=False)
    if legend:
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, labels, loc="lower left")


def _curves(axes: Any, n: dict[str, Any], legend: bool) -> None:
    steps, floor = np.arange(n["f"].size), 1e-9

    def curve(values: Any, color: str, label: str, style: str = "-") -> None:
        axes.semilogy(steps, np.where(np.isfinite(values) & (values > floor), values, np.nan), style,
                      color=color, label=label)  # fmt: skip

    curve(n["f"] - f(n["solution"])[0], GREY, "f - f at the solution")
    curve(n["F"] - n["least"], BLUE, "F - min F")
    curve(n["H"] - n["least"], INK, "H - min F")
    curve(n["distance"], RED, "distance of lam x to dom K*")
    if n["distance"][0] > 0:
        shown = n["predicted"][: n["phase_one"] + 60]
        axes.semilogy(steps[: shown.size], shown, "--", color=RED, linewidth=1.0, label="the bound of phase I")
    axes.set(xlabel="step", ylim=(1e-8, 60), xlim=(0, steps[-1]))
    if legend:
        axes.legend(loc="lower left", fontsize=8, ncols=2)
