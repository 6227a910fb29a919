"""The arrays of a step at which an operation may be done that should not be, and a run under such a change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ...functions import ConvexFunction
from ..specification.cases import Case
from ..specification.variant import direction
from .operations import Operation
from .reference import Step

_FITS = 1e-5  # of a step: what an epsilon of 1e-8 changes is within it
_NEAR = 1e-5  # of the sum of sizes: a readout that is nearer to 0 may have either sign


@dataclass
class Now:
    """A step, as an operation sees it. The averages are those of the gradients, not minus them."""

    x: Any
    first: Any
    g: Any
    m: Any
    r: Any
    u: Any
    t: int
    lr: float
    wd: float
    b1: float
    b2: float
    seen: Any  # the direction of the port, if x decays as it should
    memory: dict[str, Any] = field(default_factory=dict)

    def after(self, g: Any) -> Any:
        """The momentum, when g has been averaged."""
        return self.b2 * self.m + (1 - self.b2) * g

    def last(self, v: Any) -> Any:
        """What the array was at the step before; itself at the first."""
        t, own, before = self.memory.get("last", (-1, v, v))
        if t != self.t:
            before = own
            self.memory["last"] = self.t, v, before
        return before


Change = Callable[[Any], Any]
#: The momentum after a step in which an array is changed, and a function: x after it, and the entries whose readouts
#: rounding may have turned.
Place = Callable[["Walk", Now, float, Change], tuple[Any, Callable[[], tuple[Any, Any]]]]


@dataclass
class Walk:
    """The steps of one run under a change."""

    case: Case
    K: ConvexFunction
    steps: Sequence[Step]

    def __post_init__(self) -> None:
        b1 = self.case.betas[0]
        self.wrong = [
            s.known & ~_is_near(s.x + s.point.lr * (s.u - s.decay), s) & ~_tied(b1 * s.m, (1 - b1) * s.g)
            for s in self.steps
        ]
        self.first = next((n for n, w in enumerate(self.wrong) if w.any()), len(self.steps))

    def explains(self, place: Place, change: Operation, only: int | None = None) -> int:
        """In how many entries it gives an x that is wrong; -1 if it gives another x than was seen. ``only``: the last
        step that is asked about, and the one.
        """
        memory: dict[str, Any] = {}
        m, (b1, b2), wd, found = 0.0 * self.steps[0].x, self.case.betas, self.case.weight_decay, 0
        for n, step in enumerate(self.steps if only is None else self.steps[: only + 1]):
            p = step.point
            r = b1 * m + (1 - b1) * p.grad
            u, seen = -step.u, -step.seen - step.decay
            now = Now(p.x, self.steps[0].x, p.grad, m, r, u, p.step, p.lr, wd, b1, b2, seen, memory)
            m, look = place(self, now, p.lam, partial(_done, change, now))
            if only is not None and n < only:
                continue
            x, tied = look()
            near = _is_near(x, step)
            if not (near | tied).all():
                return -1
            found += int((near & self.wrong[n] & ~tied).sum())
        return found

    def to(self, s: Now, lam: float, r: Any, g: Any) -> Any:
        """x after a step in which K is asked at r."""
        return s.x + s.lr * (direction(self.case, self.K, s.x, g, lam, -r) - lam * s.x)


def _done(change: Operation, now: Now, v: Any) -> Any:
    return change(v, now)


def _is_near(x: Any, step: Step) -> Any:
    before, after = step.x, step.after
    return abs(x - after) <= _FITS * (step.point.lr + abs(after - before)) + 1e-12 * abs(before)


def _tied(a: Any, b: Any) -> Any:
    """May rounding have turned the sign of a + b, or made it one?"""
    r, size = abs(a + b), abs(a) + abs(b)
    return (r <= _NEAR * size + 1e-12 * r.max(initial=0.0)) & (r < size)


def _cancelled(s: Now, r: Any) -> Any:
    """Has a change left nothing but rounding, or an epsilon, of a readout?"""
    left = abs(r) <= 1e-9 * (abs(s.b1 * s.m) + abs((1 - s.b1) * s.g))
    return left & ((r != 0) | (r.size == 1)) & ((s.m != 0) | (s.g != 0))


def _of_averages(read: bool, kept: bool) -> Place:
    """A change of the gradient, where it is read, where it is kept in the momentum, or both."""

    def placed(w: Walk, s: Now, lam: float, change: Change) -> tuple[Any, Callable[[], tuple[Any, Any]]]:
        g = change(s.g)
        taken = g if read else s.g
        a, b = s.b1 * s.m, (1 - s.b1) * taken
        return s.after(g if kept else s.g), lambda: (w.to(s, lam, a + b, taken), _tied(a, b) | _cancelled(s, a + b))

    return placed


def _own(s: Now) -> Any:
    return _tied(s.b1 * s.m, (1 - s.b1) * s.g)


def _read(w: Walk, s: Now, lam: float, change: Change) -> tuple[Any, Callable[[], tuple[Any, Any]]]:
    a, b = s.b1 * change(s.m), (1 - s.b1) * s.g
    return s.after(s.g), lambda: (w.to(s, lam, a + b, s.g), _tied(a, b))


def _momentum(w: Walk, s: Now, lam: float, change: Change) -> tuple[Any, Callable[[], tuple[Any, Any]]]:
    return change(s.after(s.g)), lambda: (w.to(s, lam, s.r, s.g), _own(s))


def _readout(w: Walk, s: Now, lam: float, change: Change) -> tuple[Any, Callable[[], tuple[Any, Any]]]:
    r = change(s.r)
    return s.after(s.g), lambda: (
        w.to(s, lam, r, s.g),
        _own(s) | ((abs(r) <= 1e-12 * abs(r).max(initial=0.0)) & (r != 0)),
    )


def _of_step(after: Callable[[Now, float, Change], Any]) -> Place:
    def placed(_: Walk, s: Now, lam: float, change: Change) -> tuple[Any, Callable[[], tuple[Any, Any]]]:
        x = after(s, lam, change)
        return s.after(s.g), lambda: (x, _own(s))

    return placed


def _fitted(_: Walk, s: Now, lam: float, change: Change) -> tuple[Any, Callable[[], tuple[Any, Any]]]:
    """A change of the direction to which size fits best: nothing is told where it is one of its size alone."""
    v = change(s.u)
    vv, vu, uu, seen = (float((a * b).sum()) for a, b in ((v, v), (v, s.u), (s.u, s.u), (v, s.seen)))
    v = seen / (vv or 1.0) * v
    x = s.x - s.lr * (v + lam * s.x)
    alone = vu * vu >= (1 - 1e-9) * vv * uu and bool((abs(s.seen - v) <= _FITS).all())
    return s.after(s.g), lambda: (x, _own(s) | alone)


def _undecayed(place: Place) -> Place:
    return lambda w, s, _, change: place(w, s, 0.0, change)


#: In words, before the verb: those after which every entry of a sign still moves by a sign, and those of the step.
AVERAGES: dict[str, Place] = {
    "the gradient, before it is averaged,": _of_averages(True, True),
    "the momentum, after each step,": _momentum,
    "the momentum, where it is read,": _read,
    "the gradient, in the readout alone,": _of_averages(True, False),
    "the gradient, in the momentum alone,": _of_averages(False, True),
    "the readout": _readout,
}
STEPS: dict[str, Place] = {
    "the direction": _of_step(lambda s, lam, change: s.x - s.lr * (change(s.u) + lam * s.x)),
    "the step u - wd x": _of_step(lambda s, lam, change: s.x - s.lr * change(s.u + lam * s.x)),
    "the new x": _of_step(lambda s, lam, change: change(s.x - s.lr * (s.u + lam * s.x))),
    "x, in what the decay takes off,": _of_step(lambda s, lam, change: s.x - s.lr * (s.u + lam * change(s.x))),
    "the direction is the readout, which": _of_step(lambda s, lam, change: s.x - s.lr * (change(s.r) + lam * s.x)),
}
FITTED: dict[str, Place] = {"the direction, but for a factor,": _fitted}
_FIRST = "the gradient, before it is averaged,"
PLACES: dict[str, Place] = {_FIRST: AVERAGES[_FIRST], **STEPS, **AVERAGES}
UNDECAYED: dict[str, Place] = {
    f"x does not decay, and {where}": _undecayed(place)
    for where, place in AVERAGES.items()
    if not where.startswith("the momentum")
}
