"""What goes wrong at some count of steps: at which, from which on, and what explains it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...functions import ConvexFunction
from ..specification.cases import Case, function_of
from ..specification.port import Capabilities
from .comparator import judge_step
from .reference import Point, Runs, expected, follow, row_of, two_constants

#: What a momentum becomes before a step, of what it is, at the first of these steps and later; None: what it is.
Change = Callable[[Any, bool], Any]
_SHORT = 256  # steps of a run that are looked at for what happens at each of a number
_EARLY = 16  # what is wrong from the beginning is no matter of counts
_BEFORE, _AFTER = 48, 96  # steps around the first wrong one: a wrong momentum may turn no direction for a while
_FEW = 24  # steps after it, for a momentum that begins anew


def late_of(runs: Runs, claims: Capabilities) -> tuple[int, str]:
    """The first wrong step and one sentence about it, if each of these runs is right for so long that a count may be
    why; else (0, "").
    """
    first, found = 0, ""
    for case, trace in runs:
        K = function_of(claims.K, case.shape)
        pairs = list(follow(case, trace.xs, claims.state_dtype))
        at = next((p.step for p, after in pairs if judge_step(case, K, p, after, claims.accuracy)), None)
        if at is None or at < _EARLY:
            return 0, ""
        first, found = min(at, first or at), found or _late(case, K, pairs, at)
    return first, found


def _late(case: Case, K: ConvexFunction, pairs: list[tuple[Point, Any]], at: int) -> str:
    later = pairs[at : at + _AFTER]
    if all((after == p.x).all() for p, after in later):
        return f"from step {at} on x does not move any more ({at} steps are right)"
    if (pairs[at][1] == pairs[at][0].x).all():
        return f"step {at} is left out: x does not move ({at} steps are right)"
    if case.scheduled:
        return _rate_of(case, K, *pairs[at]) or f"{at} steps are right, and step {at} is the first wrong one"
    scaled = _scaled(case, K, later)
    if scaled:
        return f"from step {at} on {scaled} ({at} steps are right)"
    changes = {"begins anew at 0": _times(0.0), "is not updated any more": _frozen}
    changes |= {f"is multiplied by {f:g}": _times(f) for f in (0.5, 0.1, 0.9, 2.0, -1.0)}
    for what, change in changes.items():
        for start in range(at, max(at - _BEFORE, 0), -1):
            if _explains(case, K, pairs, start, change):
                return f"the momentum {what} at step {start} ({at} steps are right)"
    again = ", at which the gradients begin again" if at == len(case.grads) else ""
    return f"{at} steps are right, and step {at}{again} is the first wrong one: something depends on the count of steps"


def turns_of(runs: Runs, claims: Capabilities) -> tuple[str, str]:
    """At which steps alone runs go wrong, and what happens there, if that is the first one, or each that a number
    divides, and neither the steps before nor those after; else ("", "").
    """
    wrong: set[int] = set()
    right: set[int] = set()
    still = True
    for case, trace in runs:
        K = function_of(claims.K, case.shape)
        for p, after in follow(case, trace.xs[:_SHORT], claims.state_dtype):
            bad = p.lr != 0 and judge_step(case, K, p, after) is not None
            (wrong if bad else right).add(p.step)
            if p.step in wrong and p.step in right:
                return "", ""
            still = still and (not bad or bool((after == p.x).all()))
    what = "x does not move" if still else ""
    if not wrong:
        return "", ""
    if wrong == {0}:
        return "only at the first step", what
    every = max(wrong | right) + 1
    for begin in (1, 0):  # a count from 1, or from 0
        for k in range(2, min(wrong) + begin + 1):
            if wrong == {t for t in range(1, every) if (t + begin) % k == 0} and len(wrong) > 1:
                return f"only at each step whose count from {begin} is a multiple of {k}", what
    return "", ""


def _scaled(case: Case, K: ConvexFunction, later: list[tuple[Point, Any]]) -> str:
    """Two constants that describe all steps from there on, where these are not the right ones."""
    found = two_constants([row_of(case, K, p, after) for p, after in later])
    lam = later[0][0].lam
    if found is None or abs(found[0] - 1) + abs(found[1] - lam) < 1e-6:
        return ""
    return f"the step is x + lr (a u - b x) with a = {found[0]:.6g}, b = {found[1]:.6g}; right are 1 and {lam:.6g}"


def _rate_of(case: Case, K: ConvexFunction, point: Point, after: Any) -> str:
    """Of which step a schedule's rate was, if that explains a wrong step."""
    found = two_constants([(expected(case, K, point)[0], point.x, after - point.x)])
    if found is None:
        return ""
    near, step = min((abs(lr - found[0]), s) for s, lr in enumerate(case.lr))
    if near > 1e-3 * case.lr[step]:
        return ""
    return f"step {point.step} takes the learning rate of step {step}: its schedule is asked at another count"


def _times(factor: float) -> Change:
    return lambda m, first: factor * m if first else None


def _frozen(m: Any, _: bool) -> Any:
    return m


def _explains(case: Case, K: ConvexFunction, pairs: list[tuple[Point, Any]], start: int, change: Change) -> bool:
    """Are the steps after ``start`` right if the momentum before each is changed so?"""
    b1, b2 = case.betas
    m = pairs[start - 1][0].m
    held = m
    for point, after in pairs[start : start + (_AFTER if change is _frozen else _FEW)]:
        # The readout is b1 m - (1 - b1) g: what g adds is known from the reference's own momentum.
        own = pairs[point.step - 1][0].m
        gradient = b1 * own - point.readout  # (1 - b1) g
        changed = change(held, point.step == start)
        m = m if changed is None else changed
        if judge_step(case, K, replace(point, readout=b1 * m - gradient), after):
            return False
        m = b2 * m - (1 - b2) / (1 - b1) * gradient
    return True
