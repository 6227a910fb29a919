"""What is done to which array of a step, where it should be left as it is: every operation is tried at every place.

A change explains a port if it gives every x of its runs, each from the x that was there before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from ...functions import ConvexFunction
from ..specification.cases import Case, host, size
from ..specification.maker import Maker, widest
from ..specification.port import Capabilities, Port
from .direction import DIRECTIONS, parameters_of
from .operations import ENTRIES, PLACED, Fitted, Operation, Table
from .operations_in_time import BETAS, COUNTS, MEMORIES
from .operations_of_slices import SLICES, WHOLE, sliced
from .operations_of_steps import BESIDES, REPLACED, SCALES, WITH_X
from .places import (
    APART,
    AVERAGES,
    BEFORE,
    DECAYED,
    DIRECTION,
    FITTED,
    NUMBERS,
    PLACES,
    READOUT,
    STEPS,
    UNDECAYED,
    Changes,
    Place,
    Walk,
)
from .reference import Runs, Step, steps_of
from .trace import run

_FRESH = 2  # runs that confirm
_DECAY = 0.4
_ROUNDS, _MORE, _LARGE = 6, 33, 100  # of a fit: how often nearer numbers are tried, how many, up to which size
_PATIENCE = 60  # fits that one step does not refute, each of which takes hundredths of a second
_BASES = 2  # changes that explain a part, to each of which a second one is looked for
_NONE: Changes = {}
_WITHOUT = ("S6.", "S2.fine", "S2.scale", "S3.large")


def change_of(port: Port, runs: Runs, fitted: bool = True, two: bool = False) -> str:
    """The first change that explains every step of these runs, or else of those of the shapes that go wrong, in words;
    "" if none does. ``fitted``: also those with a number that is fitted. ``two``: else two changes at once.
    """
    alike, others = _told(port, runs)
    for kind in (False, True)[: 1 + fitted]:
        partly = ""
        for words, changes in _explaining(alike, kinds=(kind,)):
            if _explained(others, changes):
                return words
            partly = partly or words
        if partly:
            return partly
    return _two_of(port, alike) if two else ""


def is_exact(passing: Runs, claims: Capabilities) -> bool:
    """Are these directions, which are right, those of the reference to rounding? By those of an approximation no change
    is told.
    """
    return not (claims.accuracy and any(e.any() for w in _walks(passing, claims) for e in w.wrong))


def _two_of(port: Port, alike: list[Walk]) -> str:
    """Two changes that explain, together and not alone, all these walks: one that explains all without weight decay, or
    at a constant rate, or at first, and one that explains what is left.
    """
    plain = [w for w in alike if not w.case.weight_decay]
    plain = [*_fresh(port, {w.case.shape for w in alike}, 0.0), *plain] if len(plain) < len(alike) else []
    constant = [w for w in alike if not w.case.scheduled]
    starts = [Walk(w.case, w.K, w.steps[:1]) for w in alike]
    for part in (plain, constant if len(constant) < len(alike) else [], starts):
        for words, changes in islice(_explaining(part, kinds=(False, True)[: 1 + (part is plain)]), _BASES):
            for more, _ in _explaining(alike, changes):
                return f"{words}; and {more}"
    return ""


def _told(port: Port, runs: Runs) -> tuple[list[Walk], list[Walk]]:
    """Walks of the shapes that go wrong, with new ones; and of the others. None of a port that makes no new ones."""
    walks = _walks(runs, port.capabilities)
    wrong = {w.case.shape for w in walks if any(entries.any() for entries in w.wrong)}
    fresh = _fresh(port, wrong, _DECAY)
    alike = [w for w in walks if w.case.shape in wrong]
    return ([*fresh, *alike], [w for w in walks if w.case.shape not in wrong]) if fresh else ([], [])


def operations(
    axes: int = 3, kinds: tuple[bool, ...] = (False, True), K: ConvexFunction | None = None
) -> Iterator[tuple[str, Operation | Fitted, Mapping[str, Place]]]:
    """All that change an array of so many axes, and where each is tried, the simplest first: of two that do the same,
    the first is named. ``kinds``: without a number, and with one. ``K``: of the step.
    """
    along = {words: of for words, of in SLICES.items() if of(axes)}
    slices = {f"{words}{where}": sliced(of, each) for words, of in WHOLE.items() for where, each in along.items()}
    tables = (ENTRIES, slices, PLACED, BESIDES, COUNTS, MEMORIES)
    own: Table = dict(parameters_of(K)) if K is not None else {}
    rows: list[tuple[Table, Mapping[str, Place]]] = [(DIRECTIONS, DIRECTION), (own, DIRECTION), (own, FITTED)]
    rows += [
        (REPLACED, DECAYED),
        (BETAS, NUMBERS),
        *((table, PLACES) for table in tables),
        (SCALES, STEPS),
        (WITH_X, UNDECAYED),
    ]
    rows += [(SCALES, READOUT)] if K is not None and not K.traits.homogeneous else []
    rows += [(BESIDES, BEFORE), *((table, FITTED) for table in (slices, BESIDES, MEMORIES))]
    rows += [(table, APART) for table in (ENTRIES, MEMORIES)]
    for kind in kinds:
        for table, places in rows:
            for words, change in table.items():
                if isinstance(change, Fitted) == kind:
                    yield words, change, places


def _explaining(
    walks: list[Walk], base: Changes = _NONE, kinds: tuple[bool, ...] = (False, True)
) -> Iterator[tuple[str, Changes]]:
    """Each change that explains all these walks beside those of ``base``, in words, and all of these changes.
    ``kinds``: those without a number that is fitted, and those with one; beside others, of the step alone.
    """
    failed = [(n, w.case.size < 4, w.case.size, i) for i, w in enumerate(walks) if (n := w.explains(base)[0]) >= 0]
    if not failed:
        return
    at, *_, i = min(failed)
    first, walks, steps = walks[i], list(walks), not base and _moves_otherwise(walks)
    patience = _PATIENCE
    half = 0.5 * first.off(base, host().namespace().asarray([1.0]), at)[0]  # of what is wrong a fit must explain more
    for words, change, places in operations(len(first.case.shape), kinds, first.K):
        for where, place in places.items():
            if (steps and where in AVERAGES) or (base and isinstance(change, Fitted) and where not in STEPS):
                continue
            said = f"{where} {words}".removesuffix(",")
            try:
                if isinstance(change, Fitted):
                    made = partial(_at, base, place, change)
                    numbers = _fit(walks, first, at, half, made, change.among) if patience else None
                    patience -= numbers is not None
                    for number in numbers or []:
                        if _explained(walks, changes := made(number)):
                            yield said.format(f"{number:.6g}"), changes
                            break
                elif first.explains(changes := _both(base, place(change)), at)[1] > 0 and _explained(walks, changes):
                    yield said, changes
            except (ValueError, TypeError, IndexError, ArithmeticError):  # an array of another shape than it takes
                continue


def _fit(
    walks: list[Walk],
    first: Walk,
    at: int,
    most: Any,
    changes: Callable[[Any], Changes],
    among: tuple[float, ...],
) -> list[float] | None:
    """Numbers with which these changes may explain all walks, those of few digits first; None if one step shows that
    there are none. ``most``: what they may leave of the first walk, at one step, to be looked at further.

    All numbers are tried at once, at one step, then at more. Where none is left, those between the neighbours of the
    nearest are tried.
    """
    if first.case.size > _LARGE:
        return None
    xp = host().namespace()
    numbers, ends, middle = xp.asarray(among), (1.0, math.inf), 1.0
    for _ in range(_ROUNDS):
        total = 0.0 * numbers
        for n, walk in enumerate((first, *(w for w in walks if w.case.size <= _LARGE))):
            given = numbers.reshape((-1,) + (1,) * len(walk.case.shape))
            off, found = walk.off(changes(given), numbers, None if n else at)
            total = total + xp.where(found > 0 if not n else found == found, off, math.inf)
            if not n and not (total <= most).any():
                return None
            if float(total.min()) > 0:
                break
        low, high = (int(i) for i in xp.nonzero(total <= total.min() + 1e-9)[0][[0, -1]])
        ends = float(numbers[max(low - 1, 0)]), float(numbers[min(high + 1, len(numbers) - 1)])
        middle = float(numbers[low] + numbers[high]) / 2
        if not total.min() > 0:
            return _rounded(*ends, middle)
        if high - low > _MORE / 2:
            break
        numbers = xp.linspace(*ends, _MORE)
    return _rounded(*ends, middle) if ends[1] < 2 * ends[0] else []  # one of few digits alone may be it, at ties


def _rounded(low: float, high: float, middle: float) -> list[float]:
    """Numbers between these: a quarter, a half or one of a power of ten, those of few digits, and the middle."""
    unit = 10.0 ** math.floor(math.log10(middle))
    values = [float(f"{v * unit:.6g}") for v in (1, 10, 5, 2, 2.5, 7.5)] + [float(f"{middle:.{n}e}") for n in range(5)]
    return [*dict.fromkeys(v for v in values if low <= v <= high), middle]


def _at(base: Changes, place: Place, change: Fitted, number: Any) -> Changes:
    return _both(base, place(change.at(number)))


def _both(base: Changes, more: Changes) -> Changes:
    def after(one: Operation, other: Operation) -> Operation:
        def done(v: Any, s: Any) -> Any:
            v = one(v, s)
            s.memory = s.memory.setdefault("of the second change", {})
            return other(v, s)

        return done

    return {**base, **{at: after(base[at], change) if at in base else change for at, change in more.items()}}


def _fresh(port: Port, shapes: Collection[tuple[int, ...]], wd: float) -> list[Walk]:
    """Longer runs of the same shapes, by which what explains few entries by chance is told; none if the port raises."""
    claims = port.capabilities
    dtype = widest(claims)
    make, chosen = Maker(claims, dtype or "float32"), sorted(shapes, key=lambda s: (size(s) > 1000, -len(s), -size(s)))
    cases: list[Case] = []
    for shape in chosen[:_FRESH]:
        script = make.script(f"fresh {shape}", 0.8, 0.95, shape).random(4)
        for power in (*range(-8, 3), -4, 0):  # of lengths by which limits are told apart
            script.random(1, 2.0**power, 2.0 ** (power + 2), 16)
        cases.append(make.case(f"S1.readout/fresh_{len(cases)}", script, shape=shape, wd=wd))
    try:
        return _walks([(c, run(port, c)) for c in cases], claims) if dtype else []
    except Exception:  # whatever the port raises has its own verdict
        return []


def _explained(walks: list[Walk], changes: Changes) -> bool:
    total = 0
    for n, walk in enumerate(walks):
        step, found = walk.explains(changes)
        if step >= 0:  # what refutes one change refutes most: it is asked first from now on
            walks.insert(0, walks.pop(n))
            return False
        total += found
    return total >= 0


def _walks(runs: Runs, claims: Capabilities) -> list[Walk]:
    """The runs that tell something."""
    of: dict[str, list[Step]] = {}
    moving = [(c, t) for c, t in runs if 0.0 not in c.lr]  # of a step at rate 0 nothing is seen
    for s in steps_of(moving, claims, _WITHOUT):
        of.setdefault(s.case.id, []).append(s)
    return [Walk(s[0].case, s[0].K, s) for s in of.values()]


def _moves_otherwise(walks: Sequence[Walk]) -> bool:
    """Has a direction been seen that K does not have, whatever it is asked at, if its own have one size?"""
    steps = [s for w in walks for s in w.steps]
    if not all(((abs(s.u) == 1) | (s.u == 0)).all() for s in steps):
        return False
    sizes = [abs(s.seen + s.decay)[s.known] for s in steps]
    return any(((abs(v - 1) > 1e-4) & (v > 1e-4)).any() for v in sizes)
