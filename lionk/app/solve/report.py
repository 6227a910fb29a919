"""What a run says: the opening lines, the table at the end, the JSON trace."""

from __future__ import annotations

import csv
import io
import math
import platform
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

import lionk
from lionk.sets.box import Whole

from ..console import right, table, unbroken
from ..files import write_json, write_text
from ..tables.table import Table as DataTable
from .constraint import NEAR, View, entries, view
from .problems import BUNDLED

if TYPE_CHECKING:
    from .path import LamPath
    from .setup import Setup
    from .source import Task

FORMAT = "lionk solve 1"
MARKS = {"holds": ("yes", "green"), "failed": ("NO", "bold red"), "does not apply": ("n/a", "dim")}


@dataclass(frozen=True)
class Outcome:
    """A run with its result on the host, as the table, the picture and the trace need it."""

    setup: Setup
    result: lionk.Result
    seconds: float
    rest: DataTable | None = None  # rows kept out of the fit
    x: Any = field(init=False)
    history: dict[str, Any] = field(init=False)  # 1-d float64 arrays on the host
    view: View = field(init=False)
    score: tuple[str, float] = field(init=False)
    unseen: tuple[str, float] | None = field(init=False)  # the score on the rows kept out

    def __post_init__(self) -> None:
        set_, s = object.__setattr__, self.setup
        host = {"x": self.result.x, **self.result.history._asdict()}
        host = {name: s.backend.to_host(a).astype("float64") for name, a in host.items()}
        set_(self, "x", host.pop("x"))
        set_(self, "history", host)
        p = s.problem
        set_(self, "view", view(s.K.conjugate.domain, self.x, s.weight_decay, p.columns, p.classes))
        set_(self, "score", p.score(self.x))
        set_(self, "unseen", None if self.rest is None else p.score(self.x, self.rest))

    @property
    def relative_gap(self) -> float:
        """gap / |F|; of F = 0 it is 0 where the gap is 0 too, and infinite elsewhere."""
        gap, F = self.result.gap, abs(self.result.objective)
        return gap / F if F else math.inf if gap else 0.0


def list_problems(out: Console) -> None:
    """The bundled problems, with the K that each is meant for."""
    rows = (
        (b.name, b.summary, b.loss, ", ".join(f"{k} ({v:g})" for k, v in b.weight_decay.items()))
        for b in BUNDLED.values()
    )
    out.print(table(unbroken("problem"), "what", "loss", "K (weight decay)", rows=rows))


def opening(out: Console, s: Setup) -> None:
    """What will be solved, in five lines."""
    p, e, domain = s.problem, _entry(s), s.K.conjugate.domain
    imposed = e.constraint or ("none, a penalty" if isinstance(domain, Whole) else f"lam x in {domain!r}")
    lines = {
        "problem": f"{p.name}: {p.loss} loss, {p.design.shape[0]} samples, parameter {' x '.join(map(str, p.shape))}",
        "data": "; ".join(p.notes),
        "K": f"{s.k_text}, K(x) = {e.formula}",
        "constraint": f"{imposed}, lam = {s.weight_decay:g}",
        "runs on": f"{s.backend.name}, {s.dtype}" + (f", {s.device}" if s.device is not None else ""),
    }
    for name, text in lines.items():
        out.print(Text.assemble((f"{name:<11}", "bold cyan"), text))


LISTED = 30  # columns of a table, and
SHOWN = 12  # coefficients, that are printed one by one


def account(out: Console, task: Task) -> None:
    """What was read from the user's table, column by column, and what was done with it."""
    lines = task.problem.account
    if not lines:
        return
    columns = (Column(name, overflow="fold") for name in ("column", "read as", "what is in it", "used"))
    rows = ((escape(line.name), line.kind, escape(line.seen), escape(line.use)) for line in lines[:LISTED])
    out.print(table(*columns, rows=rows))
    if len(lines) > LISTED:
        kinds = Counter(line.kind or "left out" for line in lines[LISTED:])
        out.print(f"and {len(lines) - LISTED} more: {', '.join(f'{n} {kind}' for kind, n in kinds.items())}")


def coefficients(o: Outcome) -> list[tuple[str, float, float]]:
    """(feature, weight, coefficient in the data's units), the largest weight first; ``class: feature`` for softmax."""
    p = o.setup.problem
    units = p.entries_in_units(o.x)
    rows = list(zip(entries(o.x, p.columns, p.classes), o.x.ravel().tolist(), units.ravel().tolist(), strict=True))
    return sorted(rows, key=lambda row: -abs(row[1]))


def save_coefficients(o: Outcome, path: Path) -> None:
    """The coefficients as a table, the largest weight first."""
    with io.StringIO(newline="") as text:
        rows = csv.writer(text)
        rows.writerow(["feature", "weight", "in the units of the data"])
        rows.writerows(coefficients(o))
        write_text(path, text.getvalue())


def closing(out: Console, o: Outcome) -> None:
    """The table and the verdicts."""
    r, s = o.result, o.setup
    facts = Table(Column(style="bold", no_wrap=True), Column(), box=box.SIMPLE, show_header=False, pad_edge=False)
    facts.add_row("objective F", f"{r.objective:.8g}   (f = {r.fun:.8g}, K*(lam x)/lam = {r.objective - r.fun:.4g})")
    if s.weight_decay:
        facts.add_row("certified gap", f"F - min F <= {max(r.gap, 0.0):.3g} + {r.gap_rounding:.1g} (rounding)")
        color = "green" if r.success else "red"
        facts.add_row("gap / |F|", Text(f"{o.relative_gap:.3g}   (tolerance: gap <= {s.tolerance})", style=color))
        facts.add_row("distance", f"{r.distance:.3g}   from lam x to the constraint set")
        facts.add_row("active", escape(o.view.text))
    else:
        facts.add_row("stationarity", f"G = {r.gap:.3g}; weight decay 0: no constraint, no bound on F - min F")
    facts.add_row(o.score[0], f"{o.score[1]:.4f}   on the data of the fit")
    if o.unseen is not None and o.rest is not None:
        facts.add_row("held out", f"{o.unseen[1]:.4f}   {o.unseen[0]} on {len(o.rest.target)} rows kept out of the fit")
    facts.add_row("steps", f"{r.nit} in {o.seconds:.1f} s; {escape(r.message)}")
    out.print(facts)
    _show_coefficients(out, o)
    rows = ((s.name, Text(*MARKS[s.verdict]), escape(s.text)) for s in r.certificate.statements)
    out.print(table(unbroken("theory"), "holds", "what was seen", rows=rows))
    color = "green" if r.success and not r.certificate.failed else "red"
    head = "certified" if r.success else "NOT certified"
    out.print(Text.assemble((head, f"bold {color}"), f": {r.certificate.verdict}"))


def _show_coefficients(out: Console, o: Outcome) -> None:
    rows = coefficients(o)
    first = Column("largest weights" if len(rows) > SHOWN else "weights", overflow="fold")
    shown = ((escape(name), f"{weight:.4g}", f"{units:.4g}") for name, weight, units in rows[:SHOWN])
    out.print(table(first, right("weight"), right("in the units of the data"), rows=shown))


def _entry(s: Setup) -> Any:
    """What the registry says of K."""
    return lionk.functions.entry(s.k_text.partition(":")[0].strip())


def save(o: Outcome, path: Path, lams: LamPath | None = None) -> None:
    """The JSON trace: problem, settings, result, certificate, and the history step by step. No NaN: null."""
    s, r, p = o.setup, o.result, o.setup.problem
    v = o.view
    coefficients, intercepts = p.in_units(o.x)
    write_json(
        path,
        {
            "format": FORMAT,
            "versions": {"lionk": lionk.__version__, "python": platform.python_version()},
            "problem": {
                "name": p.name, "loss": p.loss, "samples": p.design.shape[0], "shape": p.shape, "columns": p.columns,
                "classes": p.classes, "data": p.notes, "account": [asdict(line) for line in p.account],
                "means": p.scaling.means, "deviations": p.scaling.deviations, "standardized": p.scaling.standardise,
                "target": p.target_name, "target_mean": p.goal.means, "target_deviation": p.goal.deviations,
            },
            "settings": {
                "K": s.K.spec, "weight_decay": s.weight_decay, "lr": s.lr, "schedule": s.schedule if s.lr else "rule",
                "betas": s.betas, "decay": s.decay, "backend": s.backend.name,
                "device": None if s.device is None else str(s.device), "dtype": s.dtype, "maxiter": s.maxiter,
                "tol": s.tol, "atol": s.atol, "seed": s.seed,
            },
            "result": {
                "success": r.success, "message": r.message, "steps": r.nit, "seconds": o.seconds, "f": r.fun,
                "objective": r.objective, "gap": r.gap, "gap_rounding": r.gap_rounding,
                "momentum_gap": r.momentum_gap, "relative_gap": o.relative_gap,
                "distance": r.distance, o.score[0]: o.score[1], "x": o.x,
                "held_out": o.unseen and {"measure": o.unseen[0], "score": o.unseen[1]},
                "in_the_units_of_the_data": {"coefficients": coefficients, "intercept": intercepts},
            },
            "path": lams and {
                "lams": lams.lams, "loss": lams.mean, "standard_error": lams.error, "score": lams.scores.mean(axis=0),
                "measure": lams.measure, "folds": lams.folds, "best": lams.lams[lams.best], "weights": lams.weights,
            },
            "constraint": {
                "what": v.what, "values": v.values, "lower": v.lower, "upper": v.upper, "active": v.active,
                "near": NEAR, "total": v.total,
            },
            "certificate": [statement._asdict() for statement in r.certificate.statements],
            "history": o.history,
        },
    )  # fmt: skip
