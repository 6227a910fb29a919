"""The iteration becomes its differential equation as lr goes to 0.

The function is a quadratic in the plane. The equation is m' = -grad f - m, x' = dK(m + eps m') - x with eps = 1/2, and
Runge-Kutta integrates it. The iteration has lr = h, b1 = 1 - eps and b2 = 1 - h.

What to see: on the left, the paths of the iteration close in on that of the equation. In the middle, their largest
distance up to time 4 is proportional to lr (slope 1). Smooth K are compared with the equation. Lion is compared with
an iteration 16 times as fine, because its sign makes the equation discontinuous. On the right, H falls along the
equation exactly by the integral of its dissipation. What is left over is the error of the integrator, which is of
order 4.

The paper: agrees with the reading of Lion-K as a discretised flow (Section 3) and with its Lyapunov function. That K
is differentiable is assumed there as here. The constants of the correspondence are derived here.

Scaled down: the paper proves this and shows no measurement of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

import lionk
from lionk.theory import FlowParameters, flow_parameters

from ..style import BLUE, GREEN, GREY, INK, ORANGE, RED
from .targets import Check, Outcome

HESSIAN, CENTRE, START, TIME = np.array([[2.0, 0.8], [0.8, 1.0]]), np.array([1.2, -0.5]), np.array([-0.6, 0.7]), 4.0
PARAMETERS = FlowParameters(alpha=1.0, gamma=1.0, eps=0.5, weight_decay=1.0)
FUNCTIONS: dict[str, dict[str, Any]] = {
    "half_square": {},
    "pseudo_huber": {"delta": 0.3},
    "log_cosh": {"delta": 0.5},
    "l1": {},
}
SMOOTH = ("half_square", "pseudo_huber", "log_cosh")
COLORS = (INK, BLUE, GREEN, RED)
SHOWN, SHOWN_LR = "pseudo_huber", (0.4, 0.2, 0.1)


def f(x: Any) -> tuple[Any, Any]:
    d = x - CENTRE
    return float(d @ HESSIAN @ d) / 2, HESSIAN @ d


def run(seed: int, quick: bool) -> Outcome:
    """Nothing is random here; ``seed`` changes nothing."""
    lrs = 0.2 / 2.0 ** np.arange(5 if quick else 6)
    counts = 20 * 2 ** np.arange(4 if quick else 5)
    fine = round(TIME / float(lrs[-1]))
    errors, residuals, path = {}, {}, None
    for name, p in FUNCTIONS.items():
        K = lionk.K(name, **p)
        exact = np.array(_flow(K, fine).x if name in SMOOTH else _iterate(K, float(lrs[-1]) / 16)[::16])
        errors[name] = np.array([_distance(np.array(_iterate(K, h)), exact) for h in lrs])
        if name in SMOOTH:
            residuals[name] = np.array([_flow(K, int(n)).residual for n in counts])
        if name == SHOWN:
            path = exact
    slopes = {n: _order(lrs, e) for n, e in errors.items()}
    orders = {n: _order(1 / counts, r) for n, r in residuals.items()}
    opt = lionk.LionK("l1", 0.05, (1 - PARAMETERS.eps, 1 - 0.05), 1.0)
    same = max(abs(a - b) for a, b in zip(flow_parameters(opt, 0.05), PARAMETERS, strict=True))
    checks = (
        *(Check(f"order of the distance to the flow in lr, {n}", s, 0.9, 1.1) for n, s in slopes.items()
          if n in SMOOTH),
        Check("order of the distance to a finer iteration in lr, l1", slopes["l1"], 0.8, 1.3),
        *(Check(f"order of the dissipation identity in the step of the integrator, {n}", o, 3.6, 4.5)
          for n, o in orders.items()),
        Check("parameters of the flow against those of the iteration, largest difference", same, 0.0, 1e-12),
    )  # fmt: skip
    shown = {f"{h:g}": np.array(_iterate(lionk.K(SHOWN, **FUNCTIONS[SHOWN]), h)) for h in SHOWN_LR}
    numbers = {"lr": lrs, "errors": errors, "slopes": slopes, "counts": counts, "residuals": residuals,
               "orders": orders, "path": path, "iterates": shown}  # fmt: skip
    return Outcome(checks, numbers)


def _order(h: Any, error: Any) -> float:
    """Slope over the three smallest steps."""
    return float(np.polyfit(np.log(h[-3:]), np.log(error[-3:]), 1)[0])


def _distance(path: Any, exact: Any) -> float:
    """Largest, over the times of the coarser path."""
    stride = (len(exact) - 1) // (len(path) - 1)
    return float(np.linalg.norm(path - exact[::stride], axis=1).max())


def _flow(K: Any, steps: int) -> lionk.theory.Flow:
    return lionk.flow(f, START, K=K, parameters=PARAMETERS, time=TIME, steps=steps)


def _iterate(K: Any, h: float) -> list[Any]:
    opt = lionk.LionK(K, h, (1 - PARAMETERS.eps * PARAMETERS.gamma, 1 - h * PARAMETERS.gamma), PARAMETERS.weight_decay)
    x, state = START, opt.init(START)
    path = [x]
    for _ in range(round(TIME / h)):
        x, state = opt.step(x, f(x)[1], state)
        path.append(x)
    return path


def draw(numbers: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(15, 5), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    left.plot(*numbers["path"].T, color=INK, linewidth=2, label="the differential equation")
    for (h, x), color in zip(numbers["iterates"].items(), (RED, ORANGE, BLUE), strict=True):
        left.plot(*x.T, "o-", color=color, markersize=3.5, linewidth=0.8, label=f"iteration, lr = {h}")
    left.set(title=f"Paths to time {TIME:g}, K = {SHOWN}", xlabel="$x_1$", ylabel="$x_2$")
    left.legend()
    lrs = numbers["lr"]
    for (name, error), color in zip(numbers["errors"].items(), COLORS, strict=True):
        middle.loglog(lrs, error, "o-", color=color, markersize=4, label=f"{name}: {numbers['slopes'][name]:.2f}")
    middle.loglog(lrs, lrs * 2.5, "--", color=GREY, linewidth=1.2, label="slope 1")
    middle.set(title=f"Largest distance to the equation, to time {TIME:g}", xlabel="lr")
    middle.legend(title="order", title_fontsize=9)
    counts = numbers["counts"]
    dt = TIME / counts
    for (name, residual), color in zip(numbers["residuals"].items(), COLORS, strict=False):
        right.loglog(dt, residual, "o-", color=color, markersize=4, label=f"{name}: {numbers['orders'][name]:.2f}")
    first = max(r[0] for r in numbers["residuals"].values())
    right.loglog(dt, 2 * first * (dt / dt[0]) ** 4, "--", color=GREY, linewidth=1.2, label="slope 4")
    right.set(title="H(0) - H(t) against the integral of dissipation", xlabel="step of the integrator")
    for axes, steps in ((middle, lrs), (right, dt)):
        axes.set_xticks(steps, [f"{v:.2g}" for v in steps])
        axes.xaxis.set_minor_formatter(NullFormatter())
    right.legend(title="order", title_fontsize=9)
    return figure
