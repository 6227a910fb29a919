"""The arrays of a step at which an operation may be done that should not be, and a run under such changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...functions import ConvexFunction
from ..specification.cases import Case
from ..specification.port import Capabilities
from ..specification.variant import direction
from .operations import Operation
from .reference import Step

_FITS = 1e-5  # of a step: what an epsilon of 1e-8 changes is within it
_NEAR = 1e-5  # of the sum of sizes: a readout that is nearer to 0 may have either sign

#: Operations, by the array that they are done to: "gradient", and where it is "read" and "kept"; "momentum", where it
#: is read, and "after" the step; "readout"; "direction", which may be "fitted", or of the readout's "shape"; "decayed",
#: the x of the decay; "step"; "new", the x after it, and "shown", of an iterate that goes on from itself.
Changes = Mapping[str, Operation]
_OF_X = {"shape", "direction", "fitted", "decayed", "step", "new", "shown"}  # which change no readout


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
    memories: dict[str, dict[str, Any]]  # by array: of the operation that is done to it
    memory: dict[str, Any] = field(default_factory=dict)  # of the one that is done now

    def last(self, v: Any, name: str = "last") -> Any:
        """What the array of this name was at the step before; itself at the first."""
        t, own, before = self.memory.get(name, (-1, v, v))
        if t != self.t:
            before = own
            self.memory[name] = self.t, v, before
        return before


@dataclass
class Walk:
    """The steps of one run under changes."""

    case: Case
    K: ConvexFunction
    steps: Sequence[Step]

    def __post_init__(self) -> None:
        b1 = self.case.betas[0]
        self.wrong = [
            s.known & ~_is_near(s.x + s.point.lr * (s.u - s.decay), s) & ~_tied(b1 * s.m, (1 - b1) * s.g)
            for s in self.steps
        ]

    def explains(self, changes: Changes, only: int | None = None) -> int:
        """In how many entries they give an x that is wrong; -1 - n if they give another x than was seen after step n.
        ``only``: the last step that is asked about, and the one whose entries are counted.
        """
        memories: dict[str, dict[str, Any]] = {}
        m, (b1, b2), wd, found = 0.0 * self.steps[0].x, self.case.betas, self.case.weight_decay, 0
        for n, step in enumerate(self.steps if only is None else self.steps[: only + 1]):
            p = step.point
            r = b1 * m + (1 - b1) * p.grad
            u, seen = -step.u, -step.seen - step.decay
            now = Now(p.x, self.steps[0].x, p.grad, m, r, u, p.step, p.lr, wd, b1, b2, seen, memories)
            m, x, tied = moved(self.case, self.K, now, p.lam, changes)
            near = _is_near(x, step)
            if not (near | tied).all():
                return -1 - n
            if only is None or n == only:
                found += int((near & self.wrong[n] & ~tied).sum())
        return found


def moved(case: Case | Capabilities, K: ConvexFunction, s: Now, lam: float, changes: Changes) -> tuple[Any, Any, Any]:
    """``(momentum, x, entries whose readouts rounding may have turned)`` after a step with these changes."""

    def done(at: str, v: Any) -> Any:
        if at not in changes:
            return v
        s.memory = s.memories.setdefault(at, {})
        return changes[at](v, s)

    g = done("gradient", s.g)
    read = done("read", g)
    a, b = s.b1 * done("momentum", s.m), (1 - s.b1) * read
    m = s.b2 * s.m + (1 - s.b2) * done("kept", g)
    tied = _tied(a, b)
    if not changes.keys() <= _OF_X:
        s.r = done("readout", a + b)
        tied = tied | (_lost(s.r) if "readout" in changes else _cancelled(s, s.r))
        s.u = -direction(case, K, s.x, read, lam, -s.r)
    u = done("direction", done("shape", s.r) if "shape" in changes else s.u)
    if "fitted" in changes:
        u, alone = _fitted(s, done("fitted", u))
        tied = tied | alone
    own = s.memories.setdefault("iterate", {"x": s.first}) if "shown" in changes else {"x": s.x}
    x = own["x"]
    own["x"] = x = done("new", x - s.lr * done("step", u + lam * done("decayed", x)))
    return done("after", m), done("shown", x), tied


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


def _lost(r: Any) -> Any:
    """Is it nothing but rounding beside the largest?"""
    return (abs(r) <= 1e-12 * abs(r).max(initial=0.0)) & (r != 0)


def _fitted(s: Now, v: Any) -> tuple[Any, Any]:
    """v, made as long as fits best, and where this tells nothing: everywhere, if it is a matter of length alone."""
    vv, vu, uu, seen = (float((a * b).sum()) for a, b in ((v, v), (v, s.u), (s.u, s.u), (v, s.seen)))
    v = seen / (vv or 1.0) * v
    return v, vu * vu >= (1 - 1e-9) * vv * uu and bool((abs(s.seen - v) <= _FITS).all())


Place = Callable[[Operation], Changes]


def _at(array: str, **others: Operation) -> Place:
    return lambda change: {**others, array: change}


_ARRAYS = {
    "the gradient, before it is averaged,": "gradient",
    "the momentum, after each step,": "after",
    "the momentum, where it is read,": "momentum",
    "the gradient, in the readout alone,": "read",
    "the gradient, in the momentum alone,": "kept",
    "the readout": "readout",
}
#: In words, before the verb: those after which every entry of a sign still moves by a sign, and those of the step.
AVERAGES: dict[str, Place] = {where: _at(array) for where, array in _ARRAYS.items()}
STEPS: dict[str, Place] = {
    "the direction": _at("direction"),
    "the step u - wd x": _at("step"),
    "the new x": _at("new"),
    "x, in what the decay takes off,": _at("decayed"),
    "the direction is the readout, which": _at("shape"),
}
FITTED: dict[str, Place] = {"the direction, but for a factor,": _at("fitted")}
APART: dict[str, Place] = {"the x that is shown, while the iterate goes on from itself,": _at("shown")}
_FIRST = "the gradient, before it is averaged,"
PLACES: dict[str, Place] = {_FIRST: AVERAGES[_FIRST], **STEPS, **AVERAGES}
UNDECAYED: dict[str, Place] = {
    f"x does not decay, and {where}": _at(array, decayed=lambda x, _: 0 * x)
    for where, array in _ARRAYS.items()
    if not where.startswith("the momentum")
}
