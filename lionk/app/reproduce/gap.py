"""The certified gap is above the true suboptimality: close where K is smooth, its square root where K has a kink.

There are four convex problems on data: bounded logistic regression (box), stacked regression (simplex), a ridge
penalty, and a box with a ridge inside (Huber). The true minimum comes from SciPy (L-BFGS-B, SLSQP), not from Lion-K.

What to see: a run computes the gap G/lam from x and the gradient alone. At every step it is above F - min F. For the
smooth K the two fall together. For the sign and the simplex the iterate is about lr off its optimum. Then the gap is
proportional to lr and F - min F to lr^2, so the gap is about the square root (slope 1/2, last panel). In float32
(fifth panel) the gap itself is rounded, and only its sum with the rounding bound is proven. This sum is above the
suboptimality, too.

The paper: has no such bound. G is the Fenchel-Young gap of its fixed points, and for a norm it is Lion-K's Frank-Wolfe
gap. That G/lam bounds F - min F for convex f and every K is derived here.

Scaled down: the problems are small, so that the true minimum is known to more digits than are shown.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import LinearConstraint, minimize

import lionk
from lionk.theory import gap_rounding, nearest_feasible, objective

from ...solver.losses import loss_of
from ..solve.problems import bundled
from ..style import BLUE, GREEN, GREY, ORANGE, RED, SKY
from .targets import Check, Outcome

PROBLEMS: dict[str, tuple[str, dict[str, Any], float]] = {  # title: problem, K, lam
    "box: breast cancer, l1": ("breast-cancer", {"name": "l1"}, 1.0),
    "simplex: stacking, max": ("stacking", {"name": "max"}, 1.0),
    "ridge: breast cancer, half_square": ("breast-cancer", {"name": "half_square"}, 0.05),
    "box and ridge: breast cancer, huber": ("breast-cancer", {"name": "huber", "delta": 0.02}, 0.5),
}
SINGLE = "box: breast cancer, l1"  # run in float32, too


def run(seed: int, quick: bool) -> Outcome:
    """Nothing is random here; ``seed`` changes nothing."""
    steps = 400 if quick else 1000
    runs = {title: _run(*what, steps, np.float64) for title, what in PROBLEMS.items()}
    runs["float32, " + SINGLE] = _run(*PROBLEMS[SINGLE], steps, np.float32)
    checks = []
    for title, r in runs.items():
        least = float(np.nanmin(r["gap"] + r["rounding"] - r["suboptimality"]))
        checks.append(Check(f"least gap + rounding - suboptimality, {title}", least, -r["oracle"], float("inf")))
    smooth = [r for r in runs.values() if r["smooth"]]
    ratio = max(float(np.median((r["gap"] / r["suboptimality"])[_seen(r)][-50:])) for r in smooth)
    checks.append(Check("smooth K: gap over suboptimality near the end", ratio, 1.0, 2.0))
    for title, r in runs.items():
        if not r["smooth"]:
            use = _seen(r) & (r["suboptimality"] < 1e-2)
            slope = np.polyfit(np.log(r["suboptimality"][use]), np.log(r["gap"][use]), 1)[0]
            checks.append(Check(f"slope of the gap over the suboptimality, {title}", float(slope), 0.3, 0.8))
    return Outcome(tuple(checks), runs)


def _run(name: str, K: dict[str, Any], lam: float, steps: int, dtype: Any) -> dict[str, Any]:
    problem, k = bundled(name, None), lionk.K(K)
    design, targets = problem.design.astype(dtype), problem.targets.astype(dtype)
    fun = loss_of(problem.loss)(np, design, targets)
    exact = loss_of(problem.loss)(np, problem.design, problem.targets)
    least, oracle = _oracle(exact, problem.shape[0], k, lam)
    start = nearest_feasible(k, np.zeros(problem.shape), lam).astype(dtype)
    seen: list[tuple[float, float, float]] = []

    def watch(info: Any) -> None:
        """In float64, at the nearest feasible point: what the gap speaks of."""
        point = nearest_feasible(k, info.x.astype(np.float64), lam)
        F = float(objective(k, exact(point)[0], point, lam))
        seen.append((info.gap, float(gap_rounding(k, info.x, fun(info.x)[1], lam)), F - least))

    lionk.minimize(fun, start, K=k, weight_decay=lam, jac=True, convex=True, tol=0.0, maxiter=steps, certify=False,
                   rule="plateau", callback=watch)  # fmt: skip
    gap, rounding, sub = np.array(seen).T
    return {"gap": np.where(np.isfinite(gap), gap, np.nan), "rounding": rounding, "suboptimality": sub, "least": least,
            "oracle": oracle, "smooth": k.traits.smooth}  # fmt: skip


def _seen(r: dict[str, Any]) -> Any:
    """Where the suboptimality is far above what the true minimum is known to."""
    return (r["suboptimality"] > 1e-9) & (r["gap"] > 0)


def _oracle(fun: Any, n: int, K: Any, lam: float) -> tuple[float, float]:
    """min F by SciPy, over the box, the simplex or the whole space, and how well it knows it."""

    def F(x: Any) -> tuple[float, Any]:
        f, g = fun(x)
        if K.traits.homogeneous:  # K* is 0 on the set
            return float(f), g
        y = lam * x
        penalty = K.conjugate.value(y)  # quadratic here: K*(y) = <y, slope>/2
        return float(f + penalty / lam), g + 2 * penalty / max(float(y @ y), 1e-300) * y

    if K.traits.structure == "elementwise":
        ends = [(-1 / lam, 1 / lam) if K.traits.bounded_domain else (None, None)] * n
        options = {"ftol": 1e-16, "gtol": 1e-10, "maxiter": 20_000, "maxfun": 40_000, "maxcor": 30}
        found = minimize(F, np.zeros(n), jac=True, method="L-BFGS-B", bounds=ends, options=options)
    else:
        total = LinearConstraint(np.ones((1, n)), 1 / lam, 1 / lam)
        found = minimize(F, np.full(n, 1 / (n * lam)), jac=True, method="SLSQP", bounds=[(0, None)] * n,
                         constraints=total, options={"ftol": 1e-15, "maxiter": 1000})  # fmt: skip
    return float(found.fun), 1e-9


def draw(numbers: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(15, 8.6), layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    for axes, (title, r) in zip(panels, numbers.items(), strict=False):
        steps = np.arange(r["gap"].size)
        sub = np.where(r["suboptimality"] > 1e-12, r["suboptimality"], np.nan)
        axes.semilogy(
            steps, np.where(r["gap"] > 0, r["gap"], np.nan), color=BLUE, linewidth=1.0, label="gap, certified"
        )
        axes.semilogy(steps, sub, color=RED, linewidth=1.0, label="true F - min F")
        if title.startswith("float32"):
            proven = r["gap"] + r["rounding"]
            axes.semilogy(
                steps, proven, color=GREEN, linewidth=3.0, alpha=0.4, zorder=1, label="gap + rounding, proven"
            )
            axes.semilogy(steps, r["rounding"], ":", color=GREEN, label="rounding")
        axes.set(title=title, xlabel="step")
        axes.legend(loc="upper right")
    last = panels[5]
    for (title, r), color in zip(reversed(numbers.items()), (SKY, ORANGE, GREEN, RED, BLUE), strict=True):
        good = _seen(r)
        last.loglog(r["suboptimality"][good], (r["gap"] + r["rounding"])[good], ".", color=color, markersize=2.5,
                    label=title.split(":")[0])  # fmt: skip
    ends = np.array([1e-9, 10.0])
    last.loglog(ends, ends, color=GREY, linewidth=1.2)
    last.set(title="All steps: on or above the diagonal", xlabel="true F - min F", ylabel="gap + rounding")
    last.legend(loc="upper left", markerscale=4)
    return figure
