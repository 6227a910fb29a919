"""What happens in a long run that goes wrong at some count: from which step on, and what explains it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...functions import ConvexFunction
from ..specification.cases import Case, function_of
from ..specification.port import Capabilities
from .comparator import judge_step
from .reference import Point, expected, follow, row_of, two_constants
from .trace import Trace

_EARLY = 16  # what is wrong from the beginning is no matter of counts
_BEFORE, _AFTER = 48, 96  # steps around the first wrong one: a wrong momentum may turn no direction for a while


def long_of(case: Case, claims: Capabilities, trace: Trace) -> str:
    """One sentence about the first wrong step of a long run; "" if there is none."""
    K = function_of(claims.K, case.shape)
    pairs = list(follow(case, trace.xs, claims.state_dtype))
    at = next((p.step for p, after in pairs if judge_step(case, K, p, after)), None)
    if at is None or at < _EARLY:
        return ""
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
    for what, change in (("begins anew at 0", _anew), ("is not updated any more", _frozen)):
        for start in range(at, max(at - _BEFORE, 0), -1):
            if _explains(case, K, pairs, start, change):
                return f"the momentum {what} at step {start} ({at} steps are right)"
    again = ", at which the gradients begin again" if at == len(case.grads) else ""
    return f"{at} steps are right, and step {at}{again} is the first wrong one: something depends on the count of steps"


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


def _anew(m: Any, first: bool) -> Any:
    return 0 * m if first else None


def _frozen(m: Any, _: bool) -> Any:
    return m


def _explains(case: Case, K: ConvexFunction, pairs: list[tuple[Point, Any]], start: int, change: Any) -> bool:
    """Are the steps after ``start`` right if the momentum before each is changed so?"""
    b1, b2 = case.betas
    m = pairs[start - 1][0].m
    held = m
    for point, after in pairs[start : start + _AFTER]:
        # The readout is b1 m - (1 - b1) g: what g adds is known from the reference's own momentum.
        own = pairs[point.step - 1][0].m
        gradient = b1 * own - point.readout  # (1 - b1) g
        changed = change(held, point.step == start)
        m = m if changed is None else changed
        if judge_step(case, K, replace(point, readout=b1 * m - gradient), after):
            return False
        m = b2 * m - (1 - b2) / (1 - b1) * gradient
    return True
