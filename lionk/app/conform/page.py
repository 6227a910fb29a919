"""The report of ``lionk conform`` as one page of HTML: no script, and nothing from the network."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lionk.conformance import Report
from lionk.conformance.judging.comparator import judge_step
from lionk.conformance.judging.reference import expected, follow
from lionk.conformance.specification.cases import function_of
from lionk.conformance.specification.maker import WIDE

from ..style import BLUE, GREY, RED, STYLE

WORDS = {"pass": "pass", "fail": "fail", "warn": "warning", "xfail": "known failure", "skip": "left out"}


def page(report: Report) -> str:
    """The text of the page."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    verdicts = [r.verdict for r in report.results]
    with rc_context({**STYLE, "svg.hashsalt": "lionk"}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at NaN and infinities
        figures = [f for f in (_directions(report), _divergence(report)) if f]
    return made.get_template("page.html.jinja").render(
        r=report,
        d=report.first.divergence if report.first else None,
        ran=sum(v != "skip" for v in verdicts),
        warned=verdicts.count("warn"),
        figures=figures,
        words=WORDS,
    )


def _directions(report: Report) -> tuple[str, str] | None:
    """Every direction that was seen, over its readout."""
    claims, rows = report.claims, []
    for case, trace in report.runs.values():
        if case.dtype not in WIDE or not trace.xs or 0 in case.shape or case.long:
            continue
        K = function_of(claims.K, case.shape)
        for point, after in follow(case, trace.xs, claims.state_dtype):
            if point.lr:
                wrong = judge_step(case, K, point, after, claims.accuracy)
                seen = (after - point.x) / point.lr + point.lam * point.x
                bad = np.abs(seen - expected(case, K, point)[0]) > 1e-3 if wrong and not wrong.advice else 0 * seen
                rows.append(np.stack([v.reshape(-1) for v in (point.readout, seen, bad * 1.0)]))
    if not rows:
        return None
    readout, seen, bad = np.concatenate(rows, axis=1)
    known = np.isfinite(readout) & np.isfinite(seen)
    figure = Figure(figsize=(6.4, 4.2))
    axes = figure.subplots()
    axes.set_xscale("symlog", linthresh=1e-6)
    axes.set_xticks([-1e18, -1e8, -1e-2, 0, 1e-2, 1e8, 1e18])
    span = float(np.max(np.abs(seen[known]), initial=1.0))
    if span > 3:
        axes.set_yscale("symlog", linthresh=1.0)
    for color, size, which in ((BLUE, 9, bad == 0), (RED, 16, bad != 0)):
        at = known & which
        axes.scatter(readout[at], seen[at], s=size, color=color, alpha=0.6, linewidths=0, rasterized=True)
    axes.set(xlabel="readout r", ylabel="direction seen", title="Directions over readouts")
    more = " Red: where a rule is broken." if bool(np.any(bad[known])) else ""
    about = f"{int(known.sum())} entries of all steps in float64 and float32."
    about += " A correct port shows the sign." if report.K == "l1" else ""
    return _svg(figure, "Scatter plot of directions over readouts"), about + more


def _divergence(report: Report) -> tuple[str, str] | None:
    """The entry of the first divergence, step by step."""
    first = report.first
    if first is None or first.divergence is None or first.id not in report.runs:
        return None
    case, trace = report.runs[first.id]
    d, K = first.divergence, function_of(report.claims.K, case.shape)
    points = [(p, after, *expected(case, K, p)) for p, after in follow(case, trace.xs, report.claims.state_dtype)]
    steps = [p.step + 1 for p, *_ in points]
    seen = [float(points[0][0].x[d.entry]), *(float(after[d.entry]) for _, after, *_ in points)]
    right = [float(x[d.entry]) for *_, x in points]
    figure = Figure(figsize=(6.4, 4.2))
    axes = figure.subplots()
    axes.axvline(d.step + 1, color=GREY, linestyle=":", linewidth=1)
    axes.plot([0, *steps], seen, color=RED, marker="o", markersize=4, label="the port")
    axes.plot(steps, right, color=BLUE, marker="_", markersize=12, linestyle="", markeredgewidth=2, label="right")
    axes.set(xlabel="steps made", ylabel="x", title=f"Entry {list(d.entry)} of {case.id}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    about = (
        f"Blue: where each step should end, made from the x that the port had. Dotted: step {d.step} diverges first."
    )
    return _svg(figure, f"x of one entry over the steps of {case.id}"), about


def _svg(figure: Figure, label: str) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight", dpi=150, metadata={"Date": None})
    _, _, body = out.getvalue().partition("<svg")
    return f'<svg role="img" aria-label="{label}"{body}'
