"""What a port does, measured: the constants of its step, its precision, and the weights of its averages.

These words do not depend on the list of known mistakes, so they say something of one that is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..specification.cases import EPS, Case, function_of, host
from ..specification.maker import WIDE, betas_for, main_shape
from ..specification.port import Capabilities, Port
from .comparator import judge_step
from .reference import Runs, Step, expected, follow, steps_of, two_constants
from .trace import Trace, run

#: Powers of two: magnitudes that a gradient may have, with room for its sums with others.
EXPONENTS = {"float64": (-1010, 1010), "float32": (-120, 120), "float16": (-12, 12), "bfloat16": (-120, 120)}
_GRID = 257


def step_of(case: Case, claims: Capabilities, trace: Trace) -> str:
    """The step that a run makes, as ``x + lr (a u - b x)``, if constants a and b describe it; else "".

    Two constants for the whole run, or two for each step. Not asked at huge and tiny gradients, where any mistake that
    adds to them has two such constants.
    """
    if (
        case.id.startswith(("S2.scale", "S2.fine", "S3.large"))
        or case.long
        or case.size < 1
        or case.dtype not in WIDE
        or not all(math.isfinite(v) for g in case.grads for v in g)
    ):
        return ""
    K = function_of(claims.K, case.shape)
    points = [(p, after, *expected(case, K, p)) for p, after in follow(case, trace.xs, claims.state_dtype) if p.lr]
    still = all((after == p.x).all() for p, after, *_ in points)
    if still and any(u.any() for _, _, u, _ in points):
        return f"in {case.id} x does not move: is it left out, a copy of it changed, or a list of parameters expected?"
    rows = [(u, p.x, (after - p.x) / p.lr) for p, after, u, _ in points if case.size > 1]
    fits = [two_constants(rows)] * len(rows) if rows and two_constants(rows) else [two_constants([row]) for row in rows]
    pairs = [f for f in fits if f]
    found = list(zip(pairs, points, strict=False)) if len(pairs) == len(rows) else []
    if any(abs(a - 1) + abs(b - p.lam) > 1e-6 for (a, b), (p, *_) in found):
        if words := _at_steps([(a, b, p.lam) for (a, b), (p, *_) in found]):
            return f"in {case.id} {words}"
        if said := _counts(case, found):
            return f"in {case.id} {said}: the schedule is asked at another count"
        law = _law([a for a, _ in pairs])
        a, b, lam = (_listed(v) for v in ([a for a, _ in pairs], [b for _, b in pairs], [p.lam for p, *_ in points]))
        return f"in {case.id} the step is x + lr (a u - b x) with a = {a}{law}, b = {b}; right are 1 and {lam}"
    return ""


def _counts(case: Case, found: Sequence[tuple[tuple[float, float], tuple[Any, ...]]]) -> str:
    """Of which steps of a schedule the rates of the direction and of the decay are; "" if they are of none."""
    said = []
    for what, rates in {
        "the direction takes": [(p.lr, p.lr * a) for (a, _), (p, *_) in found],
        "the decay takes": [(p.lr, p.lr * b / p.lam) for (_, b), (p, *_) in found if p.lam],
    }.items():
        near = [[t for t, lr in enumerate(case.lr) if abs(rate - lr) <= 1e-6 * lr] for _, rate in rates]
        if not (case.scheduled and all(near)):
            return ""
        if any(abs(rate - lr) > 1e-6 * lr for lr, rate in rates):
            said.append(f"{what} the learning rates of the steps {', '.join(str(t) for t, *_ in near)}")
    return ", and ".join(said)


def _at_steps(found: list[tuple[float, float, float]]) -> str:
    """In words, what is wrong at some of the steps, of their constants and the right decay: one thing for all."""
    names: dict[str, Callable[[float, float, float], bool]] = {
        "x does not move": lambda a, b, _: abs(a) + abs(b) < 1e-6,
        "x does not decay": lambda a, b, _: abs(a - 1) + abs(b) < 1e-6,
        "x only decays": lambda a, b, lam: abs(a) + abs(b - lam) < 1e-6,
        "the direction is turned": lambda a, b, lam: abs(a + 1) + abs(b - lam) < 1e-6,
    }
    for words, holds in names.items():
        at = [i for i, f in enumerate(found) if holds(*f)]
        rest = [(i, *f) for i, f in enumerate(found) if i not in at]
        if not at or not rest or any(abs(a - 1) > 1e-6 for _, a, *_ in rest):
            continue
        more = [f"at step {i} it decays {b / lam:.4g} times as much" for i, _, b, lam in rest if abs(b - lam) > 1e-6]
        return "; ".join([f"{words} at step{'s' * (len(at) > 1)} {', '.join(map(str, at))} of {len(found)}", *more])
    return ""


def _law(values: list[float]) -> str:
    """How a number changes with the count t of steps, if one of the usual schedules has all of these values."""
    n = len(values) - 1
    if n < 2 or min(values) <= 0:
        return ""
    v = [x / values[0] for x in values]
    power, rate, slope = -math.log(v[n]) / math.log(n + 1), v[n] ** (1 / n), (1 - v[n]) / n
    laws: dict[str, Callable[[int], float]] = {
        f"{rate:.6g}^t": lambda t: rate**t,
        f"(t + 1)^{-power:.4g}": lambda t: (t + 1.0) ** -power,
        f"1 - t/{1 / (slope or 1):.6g}": lambda t: 1 - slope * t,
        f"1/(1 + {(1 / v[n] - 1) / n:.6g} t)": lambda t: 1 / (1 + (1 / v[n] - 1) / n * t),
    }
    held = (
        f", which goes as {words}"
        for words, law in laws.items()
        if all(abs(law(t) - x) < 1e-8 for t, x in enumerate(v))
    )
    return next(held, "") if abs(slope) > 1e-9 else ""


def _listed(values: list[float]) -> str:
    """One value for all steps, or one for each."""
    words = [f"{0.0 if abs(v) < 1e-12 else v:.6g}" for v in values]
    return words[0] if len(set(words)) == 1 else "(" + ", ".join(words) + ")"


def bits_of(case: Case, claims: Capabilities, trace: Trace) -> int:
    """To how many bits x is right at every step, if that is at least six and fewer than its dtype has; else 0."""
    xp = host().namespace()
    K = function_of(claims.K, case.shape)
    worst = 0.0
    for p, after in follow(case, trace.xs, claims.state_dtype):
        off = xp.abs(after - expected(case, K, p)[1])
        if not float(xp.max(off)) < p.lr / 8:  # most wrong runs are far off at the first step
            return 0
        worst = max(worst, float(xp.max(off / (xp.abs(after) + p.lr))))
    return int(-math.log2(worst)) if 8 * EPS[case.dtype] < worst < 2.0**-6 else 0


def precision_of(runs: Runs, claims: Capabilities, off: float = 0.0) -> str:
    """The dtype of the most bits in which every readout of these runs would be right, if it has fewer than theirs; of
    a port that declares an error of its state, the error. ``off``: that of its weights, which rounding does not make.
    """
    strange = ("S2.", "S3.large", "S5.shape", "S6.")
    wide = [(c, t) for c, t in runs if c.dtype in WIDE and not (c.exact or c.id.startswith(strange) or c.long)]
    for bits in range(6, 0, -1) if wide and claims.state_error else ():
        if all(_right_in(c.dtype, replace(c, state_error=2.0**-bits), claims, t) for c, t in wide):
            share = f"1/{2**bits} of its largest entry after each step"
            return (
                f"every readout is right to a momentum that is right to {share}; declared is {claims.state_error:.2g}"
            )
    for dtype in ("float32", "float16", "bfloat16") if wide and not claims.state_error else ():
        narrower = [(c, t) for c, t in wide if EPS[dtype] > EPS[claims.state_dtype or c.dtype]]
        if narrower and off <= EPS[dtype] and all(_right_in(dtype, c, claims, t) for c, t in narrower):
            more = ", or in bfloat16" if dtype == "float16" else ""
            return f"every readout is right to {dtype}: the gradient, the momentum or an average is kept in it{more}"
    return ""


def _right_in(dtype: str, case: Case, claims: Capabilities, trace: Trace) -> bool:
    K = function_of(claims.K, case.shape)
    return all(judge_step(case, K, p, after, claims.accuracy) is None for p, after in follow(case, trace.xs, dtype))


def range_of(port: Port, dtypes: Sequence[str]) -> str:
    """Outside of which magnitudes steps with gradients g, -g/8 and -g are wrong, in the first dtype that has such
    ends; "" if there are none, or they cannot be measured. For an elementwise K whose step has no size of its own.

    A small step back shows whether large gradients are cut, and a large one whether they overflow. A lower end that
    falls with the largest gradient is a share of it.
    """
    claims = port.capabilities
    K = function_of(claims.K, (_GRID,)) if main_shape(claims.K) == (16,) else None
    if (
        K is None
        or claims.accuracy
        or claims.state_error
        or K.traits.structure != "elementwise"
        or not K.traits.homogeneous
    ):
        return ""
    for dtype in dtypes:
        high = EXPONENTS[dtype][1]
        try:
            sizes, good, seen, fine = _ranged(port, K, dtype, high)
            first, last = (f(i for i, v in enumerate(good) if v) for f in (min, max)) if any(good) else (0, 0)
            if not all(good[first : last + 1]) or all(good):
                continue
            shown = []
            if first:
                size = _size(seen, fine, first - 1)
                why = "an epsilon, or a slope in place of a jump" if 0 < size < 1 else "a threshold or an underflow"
                other, fewer, *_ = _ranged(port, K, dtype, high // 2)
                place = next((i for i, v in enumerate(fewer) if v), 0)
                share, again = sizes[first] / sizes[-1], other[place] / other[-1]
                of = f"{share:.1g} of the largest" if 2.0**-8 < share / again < 2.0**8 else f"{sizes[first]:.2g}"
                shown.append(f"below {of}, where the direction has size {size:.3g}, as by {why}")
        except Exception:  # whatever the port raises has its own verdict
            return ""
        if last < _GRID - 1:
            size = _size(seen, fine, last + 1)
            shown.append(
                f"above {sizes[last]:.2g}, where the direction has size {size:.3g}, as if they were cut or overflowed"
            )
        return f"in {dtype} steps with gradients g, -g/8 and -g are wrong for |g| {'; and '.join(shown)}"
    return ""


def _ranged(port: Port, K: Any, dtype: str, high: int) -> tuple[list[float], list[bool], Any, Any]:
    """Sizes up to 2^high, which of them step right, every direction, and which are right."""
    claims, xp, low = port.capabilities, host().namespace(), EXPONENTS[dtype][0]
    sizes = [2.0 ** (low + (high - low) * i // (_GRID - 1)) for i in range(_GRID)]
    g, decay = tuple((-1.0) ** i * v for i, v in enumerate(sizes)), next(iter(claims.decays))
    grads, betas = (g, tuple(-v / 8 for v in g), tuple(-v for v in g)), betas_for(claims, 0.8, 0.95)
    case = Case(f"S2.scale/range/{dtype}", dtype, (_GRID,), (1.0,) * _GRID, grads, (2.0**-4,) * 3, betas, 0.0, decay)
    points = list(follow(replace(case, maximize=claims.maximize), run(port, case).xs))
    seen = xp.stack([(after - p.x) / p.lr for p, after in points])
    fine = xp.abs(seen - xp.stack([K.subgradient(p.readout) for p, _ in points])) <= 2.0**-3
    return sizes, [bool(v) for v in fine.all(axis=0)], seen, fine


def _size(seen: Any, fine: Any, place: int) -> float:
    """That of the first wrong direction of an entry."""
    return abs(float(seen[:, place][~fine[:, place]][0]))


def nan_of(runs: Runs, claims: Capabilities) -> str:
    """Has a NaN left the momentum, if these are runs with one, and go wrong where the gradient is a number again?"""
    xp, at = host().namespace(), 0
    for case, trace in runs:
        for p, after in follow(case, trace.xs, claims.state_dtype) if case.id.startswith("S6.nan") else ():
            seen = abs((after - p.x) / (p.lr or 1.0) + p.lam * p.x)
            moved = xp.isnan(p.readout) & xp.isfinite(after) & (seen > 0.1)
            if xp.isnan(p.grad)[moved].any():
                return ""
            at = at or p.step * bool(moved.any())
    return f"the NaN of an earlier gradient is not in the momentum any more: at step {at} x moves" if at else ""


def held_of(runs: Runs, claims: Capabilities) -> str:
    """The bound within which x is held, if every wrong entry is at it and should be beyond; else ""."""
    bounds: set[float] = set()
    for case, trace in runs:
        K = function_of(claims.K, case.shape)
        for p, after in follow(case, trace.xs, claims.state_dtype):
            due = expected(case, K, p)[1]
            wrong = abs(after - due) > _FITS * (p.lr + abs(due))
            if (abs(after) >= abs(due))[wrong].any():
                return ""
            bounds |= {float(abs(v)) for v in after[wrong]}
    return f"x is held within [-{max(bounds):g}, {max(bounds):g}]" if len(bounds) == 1 and max(bounds) else ""


def share_of(runs: Runs, claims: Capabilities) -> str:
    """The number and the power of the number of entries by which every direction of these runs is multiplied; "" if
    there is no such power.
    """
    sizes: dict[float, float] = {}
    for s, (a, _) in constants(runs, claims):
        if not a > 0 or abs(sizes.setdefault(math.log(s.x.size), math.log(a)) - math.log(a)) > 1e-3:
            return ""
    if len(sizes) < 2:
        return ""
    (low, first), (high, last) = min(sizes.items()), max(sizes.items())
    power = round((last - first) / (high - low), 4)
    number = math.exp(first - power * low) if len(sizes) > 2 else 1.0
    if abs(power) < 1e-3 or any(abs(a - math.log(number) - power * n) > 1e-3 for n, a in sizes.items()):
        return ""
    times = "" if abs(number - 1) < 1e-3 else f"{number:.3g} "
    return f"the direction is multiplied by {times}n^{power:.3g}, where n is the number of entries"


def constants(runs: Runs, claims: Capabilities) -> Iterator[tuple[Step, tuple[float, float]]]:
    """``two_constants`` of each step that has them, of two entries or more."""
    for s in steps_of(runs, claims, ()):
        if s.x.size > 1 and (found := two_constants([s.row])):
            yield s, found


_FITS = 1e-7
