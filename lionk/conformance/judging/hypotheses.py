"""Which mistake explains what parameters did: the step of the reference with other momenta, gradients and settings.

A hypothesis explains a run if it gives every x that was seen, each from the x that was there before. Tests of several
parameters and of loading ask here once they have failed, and put the sentence in front of what they say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...optimizer import step
from ..specification.cases import Case, function_of, host
from ..specification.port import DTYPES
from .dtypes import computed_in
from .held import is_held
from .pairs import CLOSE
from .reference import decay_and_gradient, stepped, two_constants
from .trace import Trace, read

_FAR = 4.0  # times the length of a step: up to there it is measured what the right step leaves
_LESS = 0.5  # of what the right step leaves: an approximation has its own error
_ENOUGH = 0.97  # of the entries: the finest probes turn in another order of evaluation


@dataclass
class Watched:
    """A parameter: its settings (of a case), x before, its gradient at each step (None: missing), x after each."""

    case: Case
    x0: Any
    grads: Sequence[Any]
    seen: Sequence[Any]
    rates: Sequence[float] = ()  # of each step, where they are not the case's
    accuracy: float = 0.0  # the error of a direction that the port declares, as a share of its length


@dataclass(frozen=True)
class Moment:
    """What a hypothesis is asked before a step of one of several parameters."""

    t: int
    index: int
    m: Any  # its momentum, minus the average
    given: Sequence[Any]  # the gradients of all
    gaps: Sequence[int]  # for how many steps each has had no gradient until now
    ever: bool  # has this one ever lacked its gradient?
    late: bool  # did it lack its first one?
    last: Any  # its last gradient, or None

    @property
    def g(self) -> Any:
        return self.given[self.index]


#: What a parameter is stepped with, (m, g); None: it is not stepped; DECAY: it decays, and no more.
Hypothesis = Callable[[Moment], Any]
DECAY = "decay"


def _if_given(change: Callable[[Moment], Any]) -> Hypothesis:
    return lambda s: None if s.g is None else change(s)


GAPS: dict[str, Hypothesis] = {
    "is stepped with a gradient of 0 while its own is missing": lambda s: (s.m, 0 * s.m if s.g is None else s.g),
    "is stepped with its last gradient again while its own is missing": lambda s: (
        None if s.g is None and s.last is None else (s.m, s.last if s.g is None else s.g)
    ),
    "decays while its gradient is missing": lambda s: DECAY if s.g is None else (s.m, s.g),
    "begins anew at m = 0 after a gap": _if_given(lambda s: (0 * s.m if s.gaps[s.index] else s.m, s.g)),
    "is not stepped while the gradient of a parameter before it is missing": _if_given(
        lambda s: None if any(g is None for g in s.given[: s.index]) else (s.m, s.g)
    ),
    "is not stepped while the gradient of another one is missing": _if_given(
        lambda s: None if any(g is None for g in s.given) else (s.m, s.g)
    ),
    "is never stepped, since it had no gradient at the first step": _if_given(lambda s: None if s.late else (s.m, s.g)),
    "is not stepped any more once its gradient was missing": _if_given(lambda s: None if s.ever else (s.m, s.g)),
    "is not stepped at its first gradient after a gap": _if_given(
        lambda s: None if s.gaps[s.index] and s.ever else (s.m, s.g)
    ),
}


def gaps(K: Any, parameters: Sequence[Watched], index: int) -> str:
    """Why one of several parameters, some gradients of which were missing, is not where it is alone; "" if unknown."""
    b2 = parameters[index].case.betas[1]
    fading = _if_given(lambda s: (s.m * b2 ** s.gaps[s.index], s.g))
    known = {**GAPS, f"has its momentum multiplied by b2 = {b2:g} for each step without a gradient": fading}
    found = next((says for says, h in known.items() if _explains(K, parameters, index, h)), "")
    if not found and _in_turn(K, parameters, index):
        found = "has the momentum of whichever parameter has its place among those with a gradient"
    return f"parameter {index} {found}; " if found else ""


def _explains(K: Any, parameters: Sequence[Watched], index: int, hypothesis: Hypothesis) -> bool:
    own = parameters[index]
    x, last, ever, late = read(own.x0), None, False, own.grads[0] is None
    m, gone = 0 * x, [0] * len(parameters)
    for t, after in enumerate(own.seen):
        given = [p.grads[t] for p in parameters]
        used = hypothesis(Moment(t, index, m, given, tuple(gone), ever, late, last))
        right = x
        if isinstance(used, str):
            lam, _ = decay_and_gradient(own.case, 0, x, 0 * x)
            right = x * (1 - own.case.lr[0] * lam)
        elif used is not None:
            right, m = moved(K, own.case, x, *used)
        if not _near(right, after, own.case.dtype):
            return False
        gone = [0 if g is not None else n + 1 for g, n in zip(given, gone, strict=True)]
        ever, last, x = ever or given[index] is None, last if given[index] is None else given[index], after
    return True


def _in_turn(K: Any, parameters: Sequence[Watched], index: int) -> bool:
    """Momenta by position among the parameters with a gradient."""
    xs = [read(p.x0) for p in parameters]
    ms = [0 * x for x in xs]
    for t, after in enumerate(parameters[index].seen):
        present = [i for i, p in enumerate(parameters) if p.grads[t] is not None]
        for place, i in enumerate(present):
            right, ms[place] = moved(K, parameters[i].case, xs[i], ms[place], parameters[i].grads[t])
            if i == index and not _near(right, after, parameters[i].case.dtype):
                return False
        xs = [p.seen[t] for p in parameters]
    return True


def together(K: Any, parameters: Sequence[Watched], index: int) -> str:
    """Why one of several parameters, all with gradients, steps otherwise than alone; "" if unknown."""
    own = parameters[index]
    if inner := computed_in(own.case.dtype, DTYPES, [Trace(list(own.seen))]):
        return f"parameter {index} is computed in {inner}; "
    ms = [0 * read(p.x0) for p in parameters]
    runs: dict[str, float] = {}  # what each hypothesis leaves of the steps; infinity, if it is refuted

    def check(says: str, right: Any, after: Any) -> None:
        runs[says] = runs.get(says, 0.0) + _left(own, right, x, after)

    x, shared, rows = read(own.x0), 0 * read(own.x0), []
    lam, _ = decay_and_gradient(own.case, 0, x, 0 * x)
    alone = 0.0
    for t, after in enumerate(own.seen):
        for j, other in enumerate(parameters):
            if read(other.x0).shape != x.shape:
                continue
            right, m = moved(K, own.case, x, ms[j], other.grads[t])
            if j != index:
                check(f"moves in the direction of parameter {j}", right, after)
                check(f"has the momentum of parameter {j}", moved(K, own.case, x, ms[j], own.grads[t])[0], after)
            ms[j] = m
            both, shared = moved(K, own.case, x, shared, other.grads[t])
            if j == index:
                check("shares one momentum with the others", both, after)
        check("does not move", x, after)
        decayed, _ = moved(K, own.case, x, ms[index] * 0, 0 * x)
        check("only decays", decayed, after)
        shrunk = x * (1 - own.case.lr[0] * lam)
        m = momentum(own.case, own.grads[:t], x)
        more = "decays once more for each other parameter"
        check(more, moved(K, own.case, shrunk, m, own.grads[t])[0], after)
        check("does not decay", moved(K, replace(own.case, weight_decay=0.0), x, m, own.grads[t])[0], after)
        right, _ = moved(K, own.case, x, m, own.grads[t])
        alone += _left(replace(own, accuracy=_FAR), right, x, after)
        lr = own.case.lr[0]
        rows.append(((right - x) / lr + lam * x, x, (after - x) / lr))
        check(f"{more}, after its step", right * (1 - own.case.lr[0] * lam), after)
        x = after
    least = min(runs.values())
    found = next((says for says, left in runs.items() if left == least), "") if least < _LESS * alone else ""
    if not found and x.size > 1 and (fit := two_constants(rows)):
        a, b = fit
        of_rate = f"has its learning rate multiplied by {a:.4g}" if abs(b - a * lam) < 1e-6 else ""
        found = of_rate or f"makes the step x + lr (a u - b x) with a = {a:.4g}, b = {b:.4g}; right are 1 and {lam:g}"
    return f"parameter {index} {found}; " if found else ""


def settings(K: Any, own: Watched, others: Mapping[str, Case], m: Any = None, held: Any = None) -> str:
    """Which setting of one of these other cases explains the run from the momentum m on; "" if none does. ``held``: the
    momentum as it is measured, by the b1 of ``own``.
    """
    for whose, case in others.items():
        for names in (("lr",), ("betas",), ("weight_decay",), ("lr", "betas", "weight_decay")):
            wrong = replace(own.case, **{n: getattr(case, n) for n in names})
            if held is not None and not is_held(held, _ratio(wrong) / _ratio(own.case) * -m, own.case.dtype):
                continue
            if wrong != own.case and follows(K, replace(own, case=wrong), m):
                return f"its {', '.join(names)} {'are' if len(names) > 1 or 'betas' in names else 'is'} {whose}; "
    return ""


def _ratio(case: Case) -> float:
    """Of the weights of momentum and gradient."""
    return case.betas[0] / (1 - case.betas[0])


def follows(K: Any, own: Watched, m: Any = None) -> bool:
    """Is this run right from this momentum on?"""
    x = read(own.x0)
    m = 0 * x if m is None else m
    rates = own.rates or own.case.lr[:1] * len(own.seen)
    for g, after, lr in zip(own.grads, own.seen, rates, strict=True):
        right, m = (x, m) if g is None else moved(K, replace(own.case, lr=(lr,)), x, m, g)
        if not _near(right, after, own.case.dtype):
            return False
        x = after
    return True


def momentum(case: Case, grads: Iterable[Any], like: Any) -> Any:
    """That after these gradients, minus the average; None stands for a missing one."""
    m, sign = 0 * read(like), -1.0 if case.maximize else 1.0
    for g in grads:
        m = m if g is None else step.update(lambda r: r, 0 * m, m, sign * read(g), 0.0, 0.0, *case.betas, False)[1]
    return m


def moved(K: Any, case: Case, x: Any, m: Any, g: Any) -> tuple[Any, Any]:
    """``(x, m)`` after a step of the reference with the settings of this case."""
    lam, g = decay_and_gradient(case, 0, x, read(g))
    return stepped(case, function_of(K, x.shape), x, m, g, case.lr[0], lam)


def _left(own: Watched, right: Any, x: Any, after: Any) -> float:
    """The square of what a hypothesis leaves of a step, as a share of it; infinity, if that is more than declared."""
    if not own.accuracy:
        return 0.0 if _near(right, after, own.case.dtype) else math.inf
    far, size = float(((after - right) ** 2).sum()), float(((right - x) ** 2).sum())
    return far / (size or 1.0) if far <= own.accuracy**2 * size + 1e-18 else math.inf


def _near(a: Any, b: Any, dtype: str) -> bool:
    xp = host().namespace()
    return bool(a.size == 0 or xp.mean(1.0 * (xp.abs(a - b) <= 8 * CLOSE[dtype] * (1 + xp.abs(a)))) >= _ENOUGH)
