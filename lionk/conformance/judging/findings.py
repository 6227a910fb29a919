"""What is wrong with a port that fails: the nearest known mistakes, and what is measured of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

from ..mutants import MUTANTS
from ..report.results import FAIL, Report, Result, belongs
from ..specification.cases import Case
from ..specification.maker import WIDE
from ..specification.port import Port, With
from .approximate import direction_of
from .conditions import condition
from .decays import decay_of, factor_of, taken_off
from .diagnosis import Likeness, nearest
from .direction import other_of
from .entries import entries_of
from .family import AS_MUON, depends_of, family_of
from .long import late_of, turns_of
from .measure import bits_of, held_of, precision_of, range_of, share_of, step_of
from .spelling import spelled
from .trace import Trace
from .weights import weights_of

Judge = Callable[..., Report]
#: Rules that ask about the size of gradients.
SIZED = ("S2.scale", "S2.fine", "S6.precision", "S6.infinity")
_LATE = 1100  # steps after which what the readout weighs is measured
_PARTS = 6  # rules that are looked at alone


def diagnose_into(report: Report, port: Port, traces: dict[str, tuple[Case, Trace]], judge: Judge) -> None:
    """Fill in the nearest mistakes, the rule that the nearest breaks first, and what was measured.

    ``judge``: that of the kit, for a port with other arguments.
    """
    like = Likeness(port.capabilities)
    failing = {r.id for r in report.failures}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = [(case, trace) for case, trace in traces.values() if case.id in failing]
        wrong = [(c, t) for c, t in wrong if not c.id.startswith("S3.large")] or wrong  # x is of other sizes there
        step = next((s for c, t in wrong if (s := step_of(c, port.capabilities, t))), "")
        decay = next((s for f in (taken_off, factor_of, share_of, held_of) if (s := f(wrong, port.capabilities))), "")
        finite = [(c, t) for c, t in wrong if c.dtype in WIDE and not c.id.startswith("S6.")]
        near = [(c, b) for c, t in finite if (b := bits_of(c, port.capabilities, t))]
        # Of an approximation it says more than a mistake within the declared error does.
        factor = direction_of(wrong, list(traces.values()), port.capabilities) if port.capabilities.accuracy else ""
        report.diagnosis = [] if factor else nearest(port, report, traces, like)
        if not (factor or report.sure):
            factor = direction_of(wrong, list(traces.values()), port.capabilities)
        step = factor or step
        if not step and len(near) == len(finite) and near:
            c, b = min(near, key=lambda n: n[1])
            step = f"wherever x is wrong it is right to {b} bits or more ({c.id})"
        sized = any(i.startswith(("S1.", "S2.scale", "S5.shape")) for i in failing)
        family = family_of(port) if sized else ""
        asked = wrong and (port.capabilities.accuracy or AS_MUON in family)
        report.spelled, muon = spelled(port, judge) if asked else ("", "")
        told = factor if factor.startswith(("the direction is the right one", "the direction is that")) else family
        if told and muon and ("+" in report.spelled or family):
            muon = f"{told}; {muon}"
        other = other_of(wrong, port.capabilities) if not (factor or report.sure) else ""
        if not decay and (port.capabilities.accuracy or not step) and any(c.weight_decay for c, _ in wrong):
            decay = decay_of(port)
        filtered = any(i.startswith(("S1.", "S4.state")) for i in failing) and not family
        at, counted = late_of(wrong, port.capabilities)
        filtered = filtered or 0 < at <= _LATE
        weights, off = weights_of(port, at if at <= _LATE else 0) if filtered else ("", 0.0)
        if at and weights:
            counted = f"{counted}; {weights}"
        kept = any(i.startswith("S4.state") for i in failing)  # where the finest probes are
        inside = precision_of(wrong, port.capabilities, off) if kept else ""
        if weights.startswith("with weight decay"):  # then the momentum feels x, which is no precision
            inside = ""
        when, then = turns_of(finite, port.capabilities) if not report.sure else ("", "")
        step = then or step
        what, place = entries_of(wrong, port.capabilities)
        odd = f"{what}, {place}" if what and place else ""
        dtypes = dict.fromkeys(r.id.rpartition("/")[2] for r in report.failures if r.rule.id in SIZED)
        ranged = range_of(port, list(dtypes)) if not family else ""
        # A dtype of the range of float32 holds the scales of S2.scale: what fails there is first a matter of size.
        sizes = (ranged, inside) if any(i.startswith("S2.scale") for i in failing) else (inside, ranged)
        numbers = (*sizes, weights) if inside else (weights, *sizes)
    said = next((r.text for r in report.failures if r.divergence is None and r.text.startswith("the port ")), "")
    named = bool(report.diagnosis) and "S4.pure" in MUTANTS[report.diagnosis[0][0]].rules
    impure = next((r.text for r in report.failures if r.rule.id == "S4.pure" and not named), "")
    cast = next((r.text for r in report.failures if r.rule.id in ("S5.dtype", "S5.kept")), "")
    unset = next((r.text for r in report.results if r.id == "S1.betas/none"), "")
    report.where = condition(
        [c for c, _ in traces.values() if c.id in failing],
        [c for c, _ in traces.values() if not any(belongs(i, c.id) for i in failing)],
    )
    report.where = report.where or (place if report.sure and what else "") or when
    compared = _told(report, port, bool(wrong), judge) if not (wrong and report.sure) else []
    parts = [] if report.sure or counted or factor or family or other else _parts(report, port, traces, like)
    report.fact = bool(cast or impure or muon)
    exact = (cast, impure, muon, counted, odd, other, family, decay, *numbers, *parts)
    on = depends_of(port) if wrong and not (report.sure or any(exact)) else ""
    report.measured = [words for words in (*exact, step, on, *compared, said, what, unset) if words]
    if not report.measured and not report.looks_like.startswith("looks like") and report.first is not None:
        report.measured = [f"{report.first.id}: {report.first.text}"]
    if report.diagnosis:
        report.focus = MUTANTS[report.diagnosis[0][0]].rules[0]


def _parts(report: Report, port: Port, traces: dict[str, tuple[Case, Trace]], like: Likeness) -> list[str]:
    """Several mistakes at once: the known one that explains all that failed of a rule, for each rule that has one."""
    broken = list(dict.fromkeys(r.rule.id for r in report.failures if r.id in traces))
    found: dict[str, list[str]] = {}
    for rule in broken[:_PARTS] if len(broken) > 1 else []:
        part = replace(report, results=[r for r in report.results if r.verdict != FAIL or r.rule.id == rule])
        others = {r.id for r in report.failures if r.rule.id != rule}
        alone = {i: t for i, t in traces.items() if i not in others}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            part.diagnosis = nearest(port, part, alone, like)
        if part.sure:
            found.setdefault(part.looks_like, []).append(rule)
    return [f"{', '.join(rules)}: it {words}" for words, rules in found.items()]


def _told(report: Report, port: Port, stepped: bool, judge: Judge) -> list[str]:
    """What the tests that compare runs say, one for each rule. ``stepped``: a wrong step has been seen, which edits
    and changed settings show again.
    """
    first: dict[str, Result] = {}
    for r in report.failures:
        again = stepped and r.rule.id in ("S7.edited", "S7.settings") and " is not read" not in r.text
        if r.divergence is None and r.rule.level == 3 and not again:
            first.setdefault(r.rule.id, r)
    told = [f"{r.id}: {r.text}" for r in first.values()]
    if "S7.options" in first and (more := _under_option(port, first["S7.options"].text, judge)):
        told.insert(0, more)
    return told[:3]


def _under_option(port: Port, text: str, judge: Judge) -> str:
    """What the port does with the option that the text names, judged like a port of its own; "" if that is right."""
    name = next((n for n in port.capabilities.options if text.startswith(f"with {n} ")), "")
    if not name or name.startswith("maximize"):
        return ""
    claims = replace(port.capabilities, options={})
    other = judge(With(port, claims, port.capabilities.options[name]), 1, None, "S", (), True, None)
    return f"with {name} it {other.hint}" if other.failures else ""
