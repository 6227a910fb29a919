"""All tests of a port up to a level, as a report."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from ..report.results import FAIL, PASS, SKIP, WARN, XFAIL, Report, Result
from ..specification.cases import Case, function_of
from ..specification.dialects import spoken
from ..specification.families import cases, level_of
from ..specification.port import Capabilities, Port
from ..specification.rules import RULES, rule_of
from .behaviour import behaviours
from .comparator import judge_step, judge_steps
from .dtypes import kept
from .reference import follow
from .trace import Raised, Trace, run

_UNSET = (
    "the port has no parameter for betas or momentum (--map says how it is called), so it is judged with 0.9 and 0.99"
)
_CONSTANT = "the port does not claim: schedule (its learning rate is one number), so no run has a rate that changes"
_SCHEDULED = ("S5.schedule", "S5.rate", "S5.pause")  # rules that only ports with a schedule are asked
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
    if not claims.schedule:
        told = [n for n in _SCHEDULED if RULES[n].since <= claims.specification and RULES[n].level <= level]
        results += [Result(f"{n}/none", SKIP, _CONSTANT) for n in told if n.startswith(only)]
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
        from .findings import diagnose_into  # and what diagnoses, for which a right port does not wait

        diagnose_into(report, port, traces, judge)
    report.dialect = spoken(claims, [name for name, *_ in report.diagnosis], report.spelled)
    return report


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
