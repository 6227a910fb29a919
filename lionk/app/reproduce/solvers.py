"""Certified gaps beside other people's solvers, on problems that both can state.

There are sixteen problems. `minimize` runs with its default rule, from the feasible point nearest to 0, until F - min
F <= 1e-3 |F| + 1e-6 is proven. Each other solver runs with its own defaults: L-BFGS-B, lsq_linear, nnls and HiGHS of
SciPy, scikit-learn, cvxpy with the solver that it chooses, and the accelerated proximal gradients of copt, as far as
they are installed.

What to see: on the left, the proven gap against the number of evaluations of f. Tens suffice, where f has kinks, too.
On the right, the CPU time. The others give no bound in terms of F for the point that they return. Interior points come
to a relative accuracy of about 1e-8, which is far more than is asked here.

Where another is better: L-BFGS-B on a box takes a fourth of the time, lsq_linear about two thirds. nnls ends after
finitely many steps, and takes a hundredth. copt takes about as long on a simplex, an l1 ball and the smaller
completion. scikit-learn's coordinate descent on the elastic net and on support vectors takes a half or less. Where f
has kinks, HiGHS is many times as fast on absolute deviations and quantiles, which are small linear programs, and so is
an interior point on the hinge loss in a ball. For high accuracy on a problem with kinks, an interior point is the tool.
What no other has here is one call for every K, with a proof.

The paper: has no solver of this kind, and no numbers to compare with.

Scaled down: 200 rows of 24 columns, so that a run takes seconds; the last one is a matrix of 200 x 100.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

import lionk
from lionk.theory import nearest_feasible

from ..console import BadInput
from ..style import BLUE, ORANGE, shades
from .solver_cases import Case, cases
from .targets import Check, Outcome

TOL = 1e-3
SLACK = 1e-5  # of the others: they meet their constraints to a tolerance of their own


def run(seed: int, quick: bool) -> Outcome:
    problems = cases(np.random.default_rng(seed), 48 if quick else 200)
    for package in ("cvxpy", "copt", "sklearn.linear_model", "sklearn.svm"):
        with suppress(ImportError):
            import_module(package)  # here, and not in a solver's time
    _measured(problems[0])
    found = [_measured(case) for case in problems]
    others = [other for r in found for other in r["others"]]
    if not others:
        raise BadInput("solvers needs other people's solvers to compare with: pip install cvxpy scikit-learn copt")
    checks = (
        Check("problems certified to 1e-3", float(np.mean([r["certified"] for r in found])), 1.0, 1.0),
        Check("F above another solver's, over the certified gap: the largest", max(o["covered"] for o in others),
              -math.inf, 1.0),
        Check("evaluations of f: the largest number", max(len(r["gap"]) for r in found), 0.0, 300.0),
    )  # fmt: skip
    return Outcome(checks, {"problems": found})


def _measured(case: Case) -> dict[str, Any]:
    arguments = {
        "K": case.K,
        "weight_decay": case.lam,
        "jac": True,
        "convex": True,
        "tol": TOL,
        "atol": 1e-6,
        "maxiter": 1000,
    }
    start = time.process_time()
    r = lionk.minimize(case.fun, np.zeros(case.shape), **arguments)
    seconds = time.process_time() - start
    others, conjugate = [], lionk.K(case.K).conjugate
    for name, solve in case.others.items():
        start = time.process_time()
        try:
            x = np.reshape(np.asarray(solve()), case.shape)
        except ImportError:  # not installed
            continue
        theirs = time.process_time() - start
        near = nearest_feasible(case.K, x, case.lam)
        F = float(case.fun(near)[0] + conjugate.value(case.lam * near) / case.lam)
        covered = (r.objective - F - SLACK * abs(F)) / r.gap if r.gap > 0 else 0.0
        above = (F - (r.objective - r.gap)) / abs(r.objective)
        others.append({"name": name, "seconds": theirs, "F": F, "covered": covered, "proven": above})
    return {
        "name": case.name, "certified": bool(r.success), "evaluations": r.nit + 1, "seconds": seconds,
        "F": r.objective, "others": others, "gap": np.asarray(r.history.momentum_gap) / abs(r.objective),
    }  # fmt: skip


def draw(numbers: dict[str, Any]) -> Figure:
    problems = numbers["problems"]
    figure = Figure(figsize=(14, 6.6), layout="constrained")
    gaps, times = figure.subplots(1, 2)
    for r, color in zip(problems, shades(len(problems)), strict=True):
        gap = np.where(r["gap"] > 0, r["gap"], np.nan)
        gaps.semilogy(np.arange(1, gap.size + 1), gap, color=color, label=r["name"])
    gaps.axhline(TOL, color=ORANGE, linestyle="--", linewidth=1.2)
    gaps.set(title="Proven bound of (F - min F)/|F|", xlabel="evaluations of f", xscale="log")
    gaps.legend(fontsize=8, loc="upper right")
    at = np.arange(len(problems))[::-1]
    times.plot([1e3 * r["seconds"] for r in problems], at, "o", color=BLUE, label="lionk, to a proven 1e-3")
    for place, r in zip(at, problems, strict=True):
        for other in r["others"]:
            spot = 1e3 * other["seconds"], place
            times.plot(*spot, "s", color=ORANGE, markersize=5)
            times.annotate(other["name"], spot, (5, 4), textcoords="offset points", fontsize=7)
    times.plot([], [], "s", color=ORANGE, markersize=5, label="another solver, with its defaults")
    times.set_yticks(at, [r["name"] for r in problems], fontsize=8)
    times.set(title="CPU time", xlabel="milliseconds", xscale="log")
    times.margins(x=0.15)
    times.xaxis.set_minor_formatter(NullFormatter())
    times.legend(loc="lower left", fontsize=8)
    return figure
