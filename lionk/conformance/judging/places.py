"""The arrays of a step at which an operation may be done that should not be, and a run under such changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...functions import ConvexFunction
from ..specification.cases import Case, host
from ..specification.port import Capabilities
from ..specification.variant import direction
from .operations import Operation, over
from .reference import Step

_FITS = 1e-5  # of a step: what an epsilon of 1e-8 changes is within it
_NEAR = 1e-5  # of the sum of sizes: a readout that is nearer to 0 may have either sign

#: Operations, by the array that they are done to: "gradient", and where it is "read" and "kept"; "momentum", where it
#: is read, "before" and "after" the step; "readout"; "direction", which may be "fitted", or of the readout's "shape";
#: "decayed", the x of the decay; "step"; "new", the x after it, and "shown", of an iterate that goes on from itself.
Changes = Mapping[str, Operation]
_OF_X = {"shape", "direction", "fitted", "decayed", "step", "new", "shown"}  # which change no readout
_OF_AVERAGES = {"gradient", "read", "kept", "momentum", "before", "after", "readout", "b1", "b2"}


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
    K: Any = None
    memory: dict[str, Any] = field(default_factory=dict)  # of the one that is done now
    read: Any = None  # the gradient of the readout
    alone: Any = False  # where a length that is fitted tells nothing

    later = property(lambda s: s.b2 * s.m + (1 - s.b2) * s.g, doc="The momentum from after the step.")

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
        self.tied = [_tied(s.point, b1 * s.m, (1 - b1) * s.g) for s in self.steps]
        self.wrong = [
            s.known & ~_is_near(s.x + s.point.lr * (s.u - s.decay), s) & ~tied
            for s, tied in zip(self.steps, self.tied, strict=True)
        ]

    def explains(self, changes: Changes, only: int | None = None) -> tuple[int, int]:
        """``(step, entries)``: the first step after which they give another x than was seen, or -1; and how many
        entries that are wrong they explain, less those of which they leave nothing but rounding. ``only``: the last
        step that is asked about, and the one whose entries are counted.
        """
        found = 0
        for n, x, tied in self._moved(changes, only):
            near = _is_near(x, self.steps[n])
            if not (near | tied).all():
                return n, 0
            if only is None or n == only:
                found += int((near & self.wrong[n] & ~tied).sum()) - int((self.wrong[n] & tied).sum())
        return -1, found

    def off(self, changes: Changes, numbers: Any, only: int | None = None) -> tuple[Any, Any]:
        """How far they are off with each of these numbers, in entries; and how many wrong entries they explain, less
        those of which they leave nothing but rounding.
        """
        off, found = 0.0 * numbers, 0.0 * numbers
        for n, x, tied in self._moved(changes, only):
            step, among = self.steps[n], tuple(range(-len(self.case.shape), 0))
            far = abs(x - step.after) / (step.point.lr + abs(step.after - step.x))
            right = _is_near(x, step) | tied
            off = off + host().namespace().where(right, 0.0, host().namespace().clip(far, 1e-5, 1.0)).sum(axis=among)
            if only is None or n == only:
                found = found + (self.wrong[n] & right & ~tied).sum(axis=among) - (self.wrong[n] & tied).sum(axis=among)
        return off, found

    def _moved(self, changes: Changes, only: int | None) -> Iterator[tuple[int, Any, Any]]:
        """Each step's number, the x after it, and the entries that rounding may have turned."""
        memories: dict[str, dict[str, Any]] = {}
        m, (b1, b2), wd = 0.0 * self.steps[0].x, self.case.betas, self.case.weight_decay
        averages = not changes.keys() <= _OF_X
        for n, step in enumerate(self.steps if only is None else self.steps[: only + 1]):
            p = step.point
            m = m if averages else step.m
            now = Now(
                p.x, self.steps[0].x, p.grad, m, step.r, -step.u, p.step, p.lr, wd, b1, b2, -step.seen, memories, self.K
            )
            now.seen = now.seen - step.decay
            tied = self.tied[n]
            if averages:
                m, tied = averaged(now, changes)
            if only is None or n == only or not changes.keys() <= _OF_AVERAGES:
                if averages:
                    now.u = -_directions(self.case, self.K, now, p.lam)
                x = stepped(now, p.lam, changes)
                if "fitted" in changes:
                    tied = tied | now.alone
                m = _done("after", m, now, changes)
                yield n, x, tied
            else:
                m = _done("after", m, now, changes)


def _done(at: str, v: Any, s: Now, changes: Changes) -> Any:
    if at not in changes:
        return v
    s.memory = s.memories.setdefault(at, {})
    return changes[at](v, s)


def averaged(s: Now, changes: Changes) -> tuple[Any, Any]:
    """``(momentum, entries whose readouts rounding may have turned)`` of a step with these changes; g and r with them
    go into s.
    """
    s.m = _done("before", s.m, s, changes)
    given = _done("gradient", s.g, s, changes)
    b1, b2 = _done("b1", s.b1, s, changes), _done("b2", s.b2, s, changes)
    s.read = _done("read", given, s, changes)
    a, b = b1 * _done("momentum", s.m, s, changes), (1 - b1) * s.read
    m = b2 * s.m + (1 - b2) * _done("kept", given, s, changes)
    s.r = _done("readout", a + b, s, changes)
    return m, _tied(s, a, b) | (_lost(s, s.r) if "readout" in changes else _cancelled(s, s.r))


def stepped(s: Now, lam: float, changes: Changes) -> Any:
    """The x after a step whose direction is s.u, with these changes."""
    u = _done("direction", _done("shape", s.r, s, changes) if "shape" in changes else s.u, s, changes)
    if "fitted" in changes:
        u, s.alone = _fitted(s, _done("fitted", u, s, changes))
    own = s.memories.setdefault("iterate", {"x": s.first}) if "shown" in changes else {"x": s.x}
    x = own["x"]
    step = _done("step", u + lam * _done("decayed", x, s, changes), s, changes)
    own["x"] = x = _done("new", x - s.lr * step, s, changes)
    return _done("shown", x, s, changes)


def moved(case: Case | Capabilities, K: ConvexFunction, s: Now, lam: float, changes: Changes) -> tuple[Any, Any]:
    """``(momentum, x)`` after a step with these changes."""
    m, _ = averaged(s, changes)
    s.u = -_directions(case, K, s, lam)
    return _done("after", m, s, changes), stepped(s, lam, changes)


def _is_near(x: Any, step: Step) -> Any:
    before, after = step.x, step.after
    return abs(x - after) <= _FITS * (step.point.lr + abs(after - before)) + 1e-12 * abs(before)


def _directions(case: Case | Capabilities, K: ConvexFunction, s: Now, lam: float) -> Any:
    """dK at minus the readout, or at minus each of several."""
    read = s.read
    if s.r.ndim == s.x.ndim or (K.by_entry and not (case.cautious or case.cautious_decay)):
        return direction(case, K, s.x, read, lam, -s.r)
    of = read if read.ndim > s.x.ndim else [read] * len(s.r)
    return host().namespace().stack([direction(case, K, s.x, g, lam, -r) for g, r in zip(of, s.r, strict=True)])


def _sum(s: Now, v: Any) -> Any:
    """Over the entries, of each array if there are several."""
    return v.sum(axis=tuple(range(-s.x.ndim, 0)), keepdims=True)


def _most(s: Any, v: Any) -> Any:
    return v.max(axis=tuple(range(-s.x.ndim, 0)), keepdims=True, initial=0.0)


def _tied(s: Any, a: Any, b: Any) -> Any:
    """May rounding have turned the sign of a + b, or made it one?"""
    r, size = abs(a + b), abs(a) + abs(b)
    return (r <= _NEAR * size + 1e-12 * _most(s, r)) & (r < size)


def _cancelled(s: Now, r: Any) -> Any:
    """Has a change left nothing but rounding, or an epsilon, of a readout?"""
    left = abs(r) <= 1e-9 * (abs(s.b1 * s.m) + abs((1 - s.b1) * s.g))
    return left & ((r != 0) | (s.x.size == 1)) & ((s.m != 0) | (s.g != 0))


def _lost(s: Now, r: Any) -> Any:
    """Is it nothing but rounding beside the largest?"""
    return (abs(r) <= 1e-12 * _most(s, abs(r))) & (r != 0)


def _fitted(s: Now, v: Any) -> tuple[Any, Any]:
    """v, made as long as fits best, and where this tells nothing: everywhere, if it is a matter of length alone."""
    vv, vu, uu, seen = (_sum(s, a * b) for a, b in ((v, v), (v, s.u), (s.u, s.u), (v, s.seen)))
    v = over(seen, vv) * v
    near = (abs(s.seen - v) <= _FITS).all(axis=tuple(range(-s.x.ndim, 0)), keepdims=True)
    return v, (vu * vu >= (1 - 1e-9) * vv * uu) & near


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
DECAYED: dict[str, Place] = {"x, in what the decay takes off,": _at("decayed")}
STEPS: dict[str, Place] = {
    "the direction": _at("direction"),
    "the step u - wd x": _at("step"),
    "the new x": _at("new"),
    **DECAYED,
    "the direction is the readout, which": _at("shape"),
}
FITTED: dict[str, Place] = {"the direction, but for a factor,": _at("fitted")}
#: Of a number of the step, and not of an array.
NUMBERS: dict[str, Place] = {"b1": _at("b1"), "b2": _at("b2")}
APART: dict[str, Place] = {"the x that is shown, while the iterate goes on from itself,": _at("shown")}
DIRECTION: dict[str, Place] = {"the direction": _at("direction")}
READOUT: dict[str, Place] = {"the readout": _at("readout")}
BEFORE: dict[str, Place] = {"the momentum, before each step,": _at("before")}
_FIRST = "the gradient, before it is averaged,"
PLACES: dict[str, Place] = {_FIRST: AVERAGES[_FIRST], **STEPS, **AVERAGES}
UNDECAYED: dict[str, Place] = {
    f"x does not decay, and {where}": _at(array, decayed=lambda x, _: 0 * x)
    for where, array in _ARRAYS.items()
    if not where.startswith("the momentum")
}
