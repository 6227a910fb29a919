"""Which known mistake does a failing port make? The mutant whose runs are the port's own runs."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .behaviour import behaviours
from .cases import Case, function_of, host
from .families import WIDE
from .mutants import MUTANTS, with_claims
from .port import Capabilities, Port
from .reference import expected, follow
from .report import Report
from .trace import Trace, run
from .variants import Variant

_LIMIT = 12  # failing and passing runs that are compared, each
_ENOUGH = 0.75  # share of the failing runs that a mutant must repeat
_NEAR = {"float64": 1e-9, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


def nearest(port: Port, report: Report, traces: dict[str, tuple[Case, Trace]]) -> list[tuple[str, str, float]]:
    """``(mutant, what it does, share of the port's failing runs that it repeats)``, best first.

    Those that explain less than ``_ENOUGH`` are left out. Passing runs count, too: a mistake must not explain what is
    right. What is left equal is ordered by the rules that broke.
    """
    failing = {r.id for r in report.failures}
    rules = {r.rule.id for r in report.failures}
    if "S4.pure" in rules and all(r.startswith(("S4.pure", "S7.")) for r in rules):
        return [("gradient_in_place", MUTANTS["gradient_in_place"].says, 1.0)]
    seen = [(c, t) for c, t in traces.values() if t.xs and not t.refused]
    wrong = _spread([(c, t) for c, t in seen if c.id in failing])
    if not wrong:
        return _by_behaviour(port, failing)
    right = _spread([(c, t) for c, t in seen if c.id not in failing])
    found = []
    for mutant in MUTANTS.values():
        twin = with_claims(mutant, port.capabilities)
        share = _share(twin, wrong)
        if share >= _ENOUGH:
            overlap = len(rules & set(mutant.rules)) / len(rules | set(mutant.rules))
            found.append((share + _share(twin, right), overlap, share, mutant))
    found.sort(key=lambda f: (-f[0], -f[1]))
    return [(m.name, m.says, share) for _, _, share, m in found[:3]]


def fitted(case: Case, claims: Capabilities, trace: Trace) -> str:
    """The step that a run makes, as ``x + lr (a u - b x)``, if two constants a and b describe it; else ""."""
    xp = host().namespace()
    K = function_of(claims.K, case.shape)
    if case.size < 2 or case.dtype != "float64" or not all(math.isfinite(v) for g in case.grads for v in g):
        return ""
    rows = [(expected(K, p)[0], p.x, (after - p.x) / p.lr, p.lam) for p, after in follow(case, trace.xs) if p.lr]
    if not rows:
        return ""
    u, x, seen = (xp.concat([xp.reshape(r[i], (-1,)) for r in rows]) for i in range(3))
    lam = rows[0][3]
    uu, ux, xx = float((u * u).sum()), float((u * x).sum()), float((x * x).sum())
    us, xs, det = float((u * seen).sum()), float((x * seen).sum()), uu * xx - ux * ux
    if not (math.isfinite(det + us + xs) and det > 1e-9 * uu * xx):
        return ""
    a, b = (us * xx - xs * ux) / det, -(xs * uu - us * ux) / det
    off = float(xp.max(xp.abs(seen - a * u + b * x)))
    if off > 1e-7 * (1 + abs(a)):
        return ""
    return f"in {case.id} the step is x + lr (a u - b x) with a = {a:.6g}, b = {b:.6g}; right are 1 and {lam:.6g}"


def _spread(runs: list[Any]) -> list[Any]:
    """A dozen of the runs, from first to last."""
    return runs[:: -(-len(runs) // _LIMIT) or 1]


def _share(mutant: Variant, runs: list[Any]) -> float:
    """Of the runs, how many the mutant repeats."""
    return sum(_repeats(mutant, c, t) for c, t in runs) / max(len(runs), 1)


def _repeats(mutant: Variant, case: Case, trace: Trace) -> bool:
    xp = host().namespace()
    if case.dtype == "bfloat16":  # which NumPy lacks
        return False
    try:
        other = run(mutant, case)
    except Exception:  # a mistake with matrices, on a vector
        return False
    if len(other.xs) != len(trace.xs) or other.refused:
        return False
    a, b = xp.stack(trace.xs), xp.stack(other.xs)
    if a.shape != b.shape:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        near = (xp.abs(a - b) <= _NEAR[case.dtype] * (case.lr[0] + xp.abs(a))) | (xp.isnan(a) & xp.isnan(b)) | (a == b)
    return a.size == 0 or float(xp.mean(near * 1.0)) >= 0.97


def _by_behaviour(port: Port, failing: set[str]) -> list[tuple[str, str, float]]:
    """For failures that no single run shows: the mutants that fail the same tests of level 3."""
    dtype = next((d for d in port.capabilities.dtypes if d in WIDE), None)
    if dtype is None or not any(i.startswith("S7.") for i in failing):
        return []
    mine = {(i, wrong) for i, wrong, _ in behaviours(port, dtype) if wrong}
    found = []
    for mutant in MUTANTS.values():
        if not any(r.startswith("S7.") for r in mutant.rules):
            continue
        try:
            theirs = {(i, wrong) for i, wrong, _ in behaviours(with_claims(mutant, port.capabilities), dtype) if wrong}
        except Exception:  # it cannot be run under these claims
            continue
        same, tests = len(mine & theirs), [{i for i, _ in both} for both in (mine, theirs)]
        if tests[0] & tests[1]:  # the tests that broke, and by how much
            share = len(tests[0] & tests[1]) / len(tests[0] | tests[1])
            found.append((mutant.name, mutant.says, (share + same / len(mine | theirs)) / 2))
    return sorted(found, key=lambda f: -f[2])[:3]


def _by_name(name: str) -> list[tuple[str, str, float]]:
    return [(name, MUTANTS[name].says, 1.0)]
