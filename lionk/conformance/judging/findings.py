"""What is wrong with a port that fails: the nearest known mistakes, and what is measured of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..mutants import MUTANTS
from ..report.results import FAIL, Report, Result, belongs
from ..specification.cases import Case
from ..specification.dialects import DIALECTS
from ..specification.maker import WIDE
from ..specification.port import Port, With
from .approximate import direction_of
from .changes import change_of, is_exact
from .conditions import condition
from .decays import decay_of, factor_of
from .diagnosis import Likeness, nearest
from .direction import length_of
from .entries import entries_of
from .family import AS_MUON, depends_of, family_of
from .long import late_of, turns_of
from .measure import bits_of, held_of, nan_of, precision_of, range_of, share_of, step_of
from .spelling import spelled
from .trace import Trace
from .weights import is_fine, weights_of

Judge = Callable[..., Report]
#: Rules that ask about the size of gradients.
SIZED = ("S2.scale", "S2.fine", "S6.precision", "S6.infinity")
#: What is said of weights where something else may be why.
_IN_PART = (
    "the readout is no sum",
    "after a gradient of 1 none",
    "of gradients of size",
    "the weights of the readout change",
)
_LATE = 1100  # steps after which what the readout weighs is measured
_PARTS = 6  # rules that are looked at alone


@dataclass
class _Failed:
    """A port that fails, and its runs."""

    report: Report
    port: Port
    traces: dict[str, tuple[Case, Trace]]
    judge: Judge  # that of the kit, for a port with other arguments

    def __post_init__(self) -> None:
        self.claims, self.like = self.port.capabilities, Likeness(self.port.capabilities)
        self.failing = {r.id for r in self.report.failures}
        wrong = [(c, t) for c, t in self.traces.values() if c.id in self.failing]
        self.wrong = [(c, t) for c, t in wrong if not c.id.startswith("S3.large")] or wrong  # x is of other sizes there
        self.finite = [(c, t) for c, t in self.wrong if c.dtype in WIDE and not c.id.startswith("S6.")]

    def broke(self, *begins: str) -> bool:
        return any(i.startswith(begins) for i in self.failing)


def diagnose_into(report: Report, port: Port, traces: dict[str, tuple[Case, Trace]], judge: Judge) -> None:
    """Fill in the nearest mistakes, the rule that the nearest breaks first, and what was measured.

    ``judge``: that of the kit, for a port with other arguments.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        of = _Failed(report, port, traces, judge)
        factor, family, muon = _direction(of)
        step = factor or next((s for c, t in of.wrong if (s := step_of(c, of.claims, t))), "") or _bits(of)
        epsilon, digits = ("", "") if factor or report.sure else length_of(of.wrong, of.claims)
        decay = _decay(of, step)
        none = "there is no decay" in decay  # which may be elsewhere
        still = "x does not move: " in step or "is asked at another count" in step  # which say what may be the reason
        named = (
            epsilon
            or factor
            or muon
            or (decay and not none)
            or still
            or (" as in " in family and "second moment" not in family)
            or _is_clear(of)
        )
        counted, numbers, weighed = _numbers(of, family)
        elsewhere = counted or weighed
        two = not (report.sure or digits or elsewhere)
        named = named or not is_exact([t for i, t in traces.items() if i not in of.failing], of.claims)
        made = "" if named else change_of(port, list(traces.values()), not elsewhere, two)
        made = made if made.startswith("x") or "; and " in made or not none else ""  # which speaks of the decay
        other = epsilon or ("" if made else digits)
        if made or any("a scale is left" in words for words in numbers):
            dialects = {name for d in DIALECTS.values() for name in d.mistakes}
            report.diagnosis = [d for d in report.diagnosis if d[0] in dialects]
        when, then = turns_of(of.finite, of.claims) if not (report.sure or made) else ("", "")
        what, place = entries_of(of.wrong, of.claims)
    report.where = (
        condition(
            [c for c, _ in traces.values() if c.id in of.failing],
            [c for c, _ in traces.values() if not any(belongs(i, c.id) for i in of.failing)],
        )
        or (place if report.sure and what else "")
        or when
    )
    said, impure, cast, unset = _verdicts(report)
    parts = [] if report.sure or counted or factor or family or other or made else _parts(of)
    compared = [] if of.wrong and report.sure else _told(report, port, bool(of.wrong), judge)
    odd = f"{what}, {place}" if what and place else ""
    report.fact = bool(cast or impure or muon)
    beside = next((words for words in (made, other, decay, *numbers) if words), "")
    impure = f"{impure}; and {beside}" if impure and beside else impure
    # Of steps that are wrong in turns a mistake of each explains a part.
    uneven = [step] if " at step" in step and not then else []
    weights = [w for w in numbers if w.startswith("the decay multiplies the momentum")]
    lost = nan_of(of.wrong, of.claims) if not (of.finite or report.sure) else ""
    exact = (cast, impure, lost, muon, made, counted, odd, other, family, *weights, decay, *numbers, *uneven, *parts)
    on = depends_of(port) if of.wrong and not (report.sure or any(exact)) else ""
    told = (*exact, then or step, on, *compared, said, what if place or not report.sure else "", unset)
    report.measured = [words for words in dict.fromkeys(told) if words]
    if not report.measured and not report.looks_like.startswith("looks like") and report.first is not None:
        report.measured = [f"{report.first.id}: {report.first.text}"]
    if report.diagnosis:
        report.focus = MUTANTS[report.diagnosis[0][0]].rules[0]


def _is_clear(of: _Failed) -> bool:
    """Does a known mistake explain enough to be no chance? In arrays of some shapes alone a few entries are wrong."""
    return of.report.sure and (of.broke("S1.", "S2.", "S3.", "S4.") or not of.broke("S5.shape"))


def _direction(of: _Failed) -> tuple[str, str, str]:
    """What the direction of a matrix is, which kind of optimizer this is, and as whom it spells Muon; the nearest known
    mistakes go into the report, unless the first says more: of an approximation it does.
    """
    every = list(of.traces.values())
    factor = direction_of(of.wrong, every, of.claims) if of.claims.accuracy else ""
    of.report.diagnosis = [] if factor else nearest(of.port, of.report, of.traces, of.like)
    if not (factor or of.report.sure):
        factor = direction_of(of.wrong, every, of.claims)
    family = family_of(of.port) if of.broke("S1.", "S2.scale", "S5.shape") else ""
    asked = of.wrong and (of.claims.accuracy or AS_MUON in family)
    of.report.spelled, muon = spelled(of.port, of.judge) if asked else ("", "")
    told = factor if factor.startswith(("the direction is the right one", "the direction is that")) else family
    if told and muon and ("+" in of.report.spelled or family):
        muon = f"{told}; {muon}"
    return factor, family, muon


def _bits(of: _Failed) -> str:
    near = [(b, c.id) for c, t in of.finite if (b := bits_of(c, of.claims, t))]
    if not near or len(near) < len(of.finite):
        return ""
    bits, where = min(near, key=lambda n: n[0])
    return f"wherever x is wrong it is right to {bits} bits or more ({where})"


def _decay(of: _Failed, step: str) -> str:
    found = next((s for f in (factor_of, share_of, held_of) if (s := f(of.wrong, of.claims))), "")
    if found or (step and not of.claims.accuracy) or not any(c.weight_decay for c, _ in of.wrong):
        return found
    return decay_of(of.port)


def _numbers(of: _Failed, family: str) -> tuple[str, tuple[str, ...], bool]:
    """What happens at a count of steps; what is measured of weights, precision and range, the nearest first; and do the
    weights say what is wrong?
    """
    at, counted = late_of(of.wrong, of.claims)
    filtered = (of.broke("S1.", "S4.state") and not family) or 0 < at <= _LATE
    weights, off = weights_of(of.port, at if at <= _LATE else 0) if filtered else ("", 0.0)
    if at and weights:
        counted = f"{counted}; {weights}"
    # S4.state has the finest probes. With weight decay the momentum feels x, which is no precision.
    fine = of.broke("S4.state") and not weights.startswith("with weight decay")
    inside = precision_of(of.wrong, of.claims, off) if fine else ""
    if "float16" in inside and is_fine(of.port):
        inside = ""
    dtypes = dict.fromkeys(r.id.rpartition("/")[2] for r in of.report.failures if r.rule.id in SIZED)
    ranged = range_of(of.port, list(dtypes)) if not family else ""
    # A dtype of the range of float32 holds the scales of S2.scale: what fails there is first a matter of size.
    sizes = (ranged, inside) if of.broke("S2.scale") else (inside, ranged)
    said = bool(weights) and "1 : 0 : 0" not in weights and not weights.startswith(_IN_PART)
    return counted, (*sizes, weights) if inside else (weights, *sizes), said


def _verdicts(report: Report) -> tuple[str, ...]:
    """The words of verdicts that need no more: of a port that raised or ended, changed its gradient, or x's dtype, and
    of betas that it does not take.
    """
    named = bool(report.diagnosis) and "S4.pure" in MUTANTS[report.diagnosis[0][0]].rules
    return (
        next((r.text for r in report.failures if r.divergence is None and r.text.startswith("the port ")), ""),
        next((r.text for r in report.failures if r.rule.id == "S4.pure" and not named), ""),
        next((r.text for r in report.failures if r.rule.id in ("S5.dtype", "S5.kept")), ""),
        next((r.text for r in report.results if r.id == "S1.betas/none"), ""),
    )


def _parts(of: _Failed) -> list[str]:
    """Several mistakes at once: the known one that explains all that failed of a rule, for each rule that has one."""
    report, traces = of.report, of.traces
    broken = list(dict.fromkeys(r.rule.id for r in report.failures if r.id in traces))
    found: dict[str, list[str]] = {}
    for rule in broken[:_PARTS] if len(broken) > 1 else []:
        part = replace(report, results=[r for r in report.results if r.verdict != FAIL or r.rule.id == rule])
        others = {r.id for r in report.failures if r.rule.id != rule}
        alone = {i: t for i, t in traces.items() if i not in others}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            part.diagnosis = nearest(of.port, part, alone, of.like)
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
    alone = "S7.parameters", "S7.groups"  # others show it again
    rows = sorted(first.values(), key=lambda r: (r.rule.id not in alone, "; " not in r.text))  # which says why
    told = [f"{r.id}: {r.text}" for r in rows]
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
