"""All tests of a port up to a level, as a report."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..report.results import FAIL, PASS, SKIP, WARN, XFAIL, Report, Result, belongs
from ..specification.cases import Case, function_of
from ..specification.dialects import spoken
from ..specification.families import cases, level_of
from ..specification.maker import WIDE
from ..specification.port import Capabilities, Port
from ..specification.rules import RULES, rule_of
from .behaviour import behaviours
from .comparator import judge_step, judge_steps
from .conditions import condition
from .dtypes import kept
from .reference import follow
from .trace import Raised, Trace, run

if TYPE_CHECKING:
    from .diagnosis import Likeness

#: Rules that ask about the size of gradients.
SIZED = ("S2.scale", "S2.fine", "S6.precision", "S6.infinity")
_UNSET = (
    "the port has no parameter for betas or momentum (--map says how it is called), so it is judged with 0.9 and 0.99"
)
_PARTS = 6  # rules that are looked at alone
#: The defaults that the specification names: those of the Lion paper, which most ports keep.
DEFAULTS: dict[str, Any] = {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0}


def judge(
    port: Port,
    level: int,
    dtypes: tuple[str, ...] | None,
    only: str,
    known: Iterable[str],
    diagnose: bool,
    progress: Callable[[str], None] | None,
) -> Report:
    """Judge a port by the specification; the parameters are those of ``check``."""
    claims = port.capabilities
    results: list[Result] = []
    traces: dict[str, tuple[Case, Trace]] = {}
    everything = cases(claims, 3, dtypes)
    if claims.specification >= RULES["S5.taken"].since:
        claims, found = kept(port, everything)
        results += [r for r in found if r.id.startswith(only)]
    for case in everything:
        out = case.dtype not in claims.dtypes or level_of(case.id, case.dtype, claims.dtypes) > level
        if out or not case.id.startswith(only):
            continue
        if progress:
            progress(case.id)
        found, trace = judge_case(port, case)
        results += found
        if trace is not None:
            traces[case.id] = (case, trace)
    results += _beyond(port, claims, level, dtypes, only)
    if claims.betas == "none" and "S1.betas".startswith(only):
        results.append(Result("S1.betas/none", SKIP, _UNSET))
    results = apply_known(results, known)
    report = Report(
        port.name,
        name_of(claims.K),
        level,
        results,
        defaults=differing(port),
        versions=dict(getattr(port, "versions", {})),
        specification=claims.specification,
        claims=claims,
        runs=traces,
    )
    if diagnose and report.failures:
        diagnose_into(report, port, traces)
    report.dialect = spoken(claims, [name for name, *_ in report.diagnosis])
    return report


def diagnose_into(report: Report, port: Port, traces: dict[str, tuple[Case, Trace]]) -> None:
    """Fill in the nearest mistakes, the rule that the nearest breaks first, and what was measured."""
    from ..mutants import MUTANTS
    from .approximate import direction_of
    from .diagnosis import Likeness, nearest
    from .family import family_of
    from .long import long_of, turns_of
    from .measure import bits_of, factor_of, held_of, place_of, precision_of, range_of, share_of, step_of
    from .weights import weights_of

    like = Likeness(port.capabilities)
    failing = {r.id for r in report.failures}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = [(case, trace) for case, trace in traces.values() if case.id in failing]
        wrong = [(c, t) for c, t in wrong if not c.id.startswith("S3.large")] or wrong  # x is of other sizes there
        step = next((s for c, t in wrong if (s := step_of(c, port.capabilities, t))), "")
        decay = next((s for f in (factor_of, share_of, held_of) if (s := f(wrong, port.capabilities))), "")
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
        filtered = any(i.startswith(("S1.", "S4.state")) for i in failing) and not family
        weights, off = weights_of(port) if filtered else ("", 0.0)
        only_long = all(c.long for c, _ in wrong)
        counted = next((long_of(c, port.capabilities, t) for c, t in wrong if only_long), "")
        kept = any(i.startswith("S4.state") for i in failing)  # where the finest probes are
        inside = precision_of(wrong, port.capabilities, off) if kept else ""
        when, then = turns_of(finite, port.capabilities) if not report.sure else ("", "")
        step = then or step
        place = place_of([(c, t) for c, t in wrong if not c.long], port.capabilities)
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
    report.where = report.where or place or when
    told = _told(report, port, bool(wrong)) if not (wrong and report.sure) else []
    parts = [] if report.sure or counted or factor or family else _parts(report, port, traces, like)
    report.fact = bool(cast or impure)
    report.measured = [
        words for words in (cast, impure, counted, family, decay, *numbers, *parts, step, *told, said, unset) if words
    ]
    if not report.measured and not report.looks_like.startswith("looks like") and report.first is not None:
        report.measured = [f"{report.first.id}: {report.first.text}"]
    if report.diagnosis:
        report.focus = MUTANTS[report.diagnosis[0][0]].rules[0]


def _parts(report: Report, port: Port, traces: dict[str, tuple[Case, Trace]], like: Likeness) -> list[str]:
    """Several mistakes at once: the known one that explains all that failed of a rule, for each rule that has one."""
    from .diagnosis import nearest

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


def _told(report: Report, port: Port, stepped: bool) -> list[str]:
    """What the tests that compare runs say, one for each rule. ``stepped``: a wrong step has been seen, which edits
    and changed settings show again.
    """
    first: dict[str, Result] = {}
    for r in report.failures:
        again = stepped and r.rule.id in ("S7.edited", "S7.settings") and " is not read" not in r.text
        if r.divergence is None and r.rule.level == 3 and not again:
            first.setdefault(r.rule.id, r)
    told = [f"{r.id}: {r.text}" for r in first.values()]
    if "S7.options" in first and (more := _under_option(port, first["S7.options"].text)):
        told.insert(0, more)
    return told[:3]


def _under_option(port: Port, text: str) -> str:
    """What the port does with the option that the text names, judged like a port of its own; "" if that is right."""
    name = next((n for n in port.capabilities.options if text.startswith(f"with {n} ")), "")
    if not name or name.startswith("maximize"):
        return ""
    claims = replace(port.capabilities, options={})
    other = judge(With(port, claims, port.capabilities.options[name]), 1, None, "S", (), True, None)
    return f"with {name} it {other.hint}" if other.failures else ""


class With:
    """A port with other claims, and further arguments."""

    def __init__(self, port: Port, claims: Capabilities, choice: Mapping[str, Any]) -> None:
        self.port, self.capabilities, self.choice = port, claims, choice
        self.name, self.defaults, self.versions = port.name, port.defaults, getattr(port, "versions", {})

    def create(self, x0: Any, **hyper: Any) -> Any:
        return self.port.create(x0, **hyper, **self.choice)


def judge_case(port: Port, case: Case) -> tuple[list[Result], Trace | None]:
    """The results of one case (an advice has one of its own), and the run."""
    try:
        trace = run(port, case)
    except NotImplementedError as error:
        return [Result(case.id, SKIP, f"not available: {error}")], None
    except Raised as error:
        return [Result(case.id, FAIL, str(error))], None
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({at.filename.rpartition('/')[2]}, line {at.lineno})"
        return [Result(case.id, FAIL, f"the port raised {text}")], None
    return judge_trace(port.capabilities, case, trace), trace


def judge_trace(claims: Capabilities, case: Case, trace: Trace) -> list[Result]:
    """The verdicts on a run that has been made."""
    rule = rule_of(case.id)
    bad = FAIL if rule.must else WARN
    if trace.refused:
        return [Result(case.id, WARN if rule.refusable else bad, f"refused: {trace.refused}")]
    if trace.dtype and trace.dtype != case.dtype:
        return [Result(f"S5.dtype/{case.id}", FAIL, f"x is {trace.dtype}, not {case.dtype}")]
    results = []
    K = function_of(claims.K, case.shape)
    advice: Result | None = None
    advised = case.id.replace(rule.id, f"{rule.id}_result", 1) if f"{rule.id}_result" in RULES else ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if odd := next((tuple(x.shape) for x in trace.xs if tuple(x.shape) != case.shape), None):
            return [Result(f"S5.dtype/{case.id}", FAIL, f"x has shape {odd}, not {case.shape}")]
        if case.repeat > 1:
            long = judge_steps(case, K, list(follow(case, trace.xs, claims.state_dtype)))
            return [Result(case.id, bad, str(long), long) if long else Result(case.id, PASS)]
        for point, after in follow(case, trace.xs, claims.state_dtype):
            found = judge_step(case, K, point, after, claims.accuracy)
            if found is None:
                continue
            if found.advice:
                advice = advice or Result(advised or case.id, WARN, str(found), found)
                continue
            results.append(Result(case.id, bad, str(found), found))
            break
    if not results:
        results.append(Result(case.id, PASS))
    if trace.impure:
        results.append(Result(f"S4.pure/{case.id}", FAIL, f"step {trace.impure[0]} has changed its gradient"))
    if advised:
        results.append(advice or Result(advised, PASS))
    return results


def _beyond(port: Port, claims: Capabilities, level: int, dtypes: tuple[str, ...] | None, only: str) -> list[Result]:
    """The tests that compare runs with other runs."""
    results = []
    for dtype in claims.dtypes:
        if dtypes is None or dtype in dtypes:
            for test, wrong, absent in behaviours(port, dtype, level, only, claims):
                verdict = SKIP if absent else FAIL if wrong else PASS
                results.append(Result(test, verdict, absent or wrong))
    return results


def apply_known(results: list[Result], known: Iterable[str]) -> list[Result]:
    """Known failures become "xfail"; one that passes, or does not exist, is a failure of the list."""
    listed = set(known)
    done = []
    for r in results:
        if r.id in listed and r.verdict == FAIL:
            done.append(Result(r.id, XFAIL, r.text, r.divergence))
        elif r.id in listed and r.verdict in (PASS, WARN):
            done.append(Result(r.id, FAIL, "listed as a known failure, but it passes: take it off the list"))
        else:
            done.append(r)
    unknown = sorted(listed - {r.id for r in results})
    if unknown:
        raise ValueError(
            f"known failures that are no tests of this port, or pass now: {', '.join(unknown)}; take them off the list"
        )
    return done


def differing(port: Port) -> list[tuple[str, Any, Any]]:
    """Where the port's defaults are not those of the specification: (name, the specification's, the port's)."""
    found = []
    for name, ours in DEFAULTS.items():
        theirs = port.defaults.get(name)
        theirs = tuple(theirs) if isinstance(theirs, list) else theirs
        if name in port.defaults and theirs != ours and not (ours == 0 and theirs is None):
            found.append((name, ours, theirs))
    return found


def name_of(K: Any) -> str:
    if isinstance(K, (str, dict)):
        return str(K)
    return getattr(K, "__name__", None) or repr(K)
