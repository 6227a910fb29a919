"""What is done to which array of a step, where it should be left as it is: every operation is tried at every place.

A change explains a port if it gives every x of its runs, each from the x that was there before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

from ..specification.cases import Case, size
from ..specification.maker import Maker, widest
from ..specification.port import Capabilities, Port
from .operations import ENTRIES, PLACED, Operation
from .operations_in_time import COUNTS, MEMORIES
from .operations_of_slices import SLICES, WHOLE, sliced
from .operations_of_steps import BESIDES, SCALES, WITH_X
from .places import APART, AVERAGES, FITTED, PLACES, STEPS, UNDECAYED, Changes, Place, Walk
from .reference import Runs, Step, steps_of
from .trace import run

_FRESH = 2  # runs that confirm
_DECAY = 0.4
_BASES = 2  # changes that explain a part, to each of which a second one is looked for
_NONE: Changes = {}
_WITHOUT = ("S6.", "S2.fine", "S2.scale", "S3.large")


def change_of(port: Port, runs: Runs) -> str:
    """The first change that explains every step of these runs, or else of those of the shapes that go wrong, in words;
    "" if none does.
    """
    alike, others, partly = *_told(port, runs), ""
    for words, changes in _explaining(alike):
        if _explained(others, changes):
            return words
        partly = partly or words
    return partly


def two_of(port: Port, runs: Runs) -> str:
    """Two changes that explain, together and not alone, every step of the runs of the shapes that go wrong: one that
    explains all without weight decay, or at a constant rate, or at first, and one that explains what is left.
    """
    alike, _ = _told(port, runs)
    plain = [w for w in alike if not w.case.weight_decay]
    plain = [*_fresh(port, {w.case.shape for w in alike}, 0.0), *plain] if len(plain) < len(alike) else []
    constant = [w for w in alike if not w.case.scheduled]
    starts = [Walk(w.case, w.K, w.steps[:1]) for w in alike]
    for part in (plain, constant if len(constant) < len(alike) else [], starts):
        for words, changes in islice(_explaining(part), _BASES):
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


def operations(axes: int = 3) -> Iterator[tuple[str, Operation, Mapping[str, Place]]]:
    """All that change an array of so many axes, and where each is tried, the simplest first: of two that do the same,
    the first is named.
    """
    along = {words: of for words, of in SLICES.items() if of(axes)}
    slices = {f"{words}{where}": sliced(of, each) for words, of in WHOLE.items() for where, each in along.items()}
    tables = (ENTRIES, slices, PLACED, BESIDES, COUNTS, MEMORIES)
    rows = [(table, PLACES) for table in tables] + [(SCALES, STEPS), (WITH_X, UNDECAYED)]
    rows += [(table, FITTED) for table in (slices, BESIDES, MEMORIES)]
    rows += [(table, APART) for table in (ENTRIES, MEMORIES)]
    for table, places in rows:
        for words, change in table.items():
            yield words, change, places


def _explaining(walks: list[Walk], base: Changes = _NONE) -> Iterator[tuple[str, Changes]]:
    """Each change that explains all these walks beside those of ``base``, in words, and all of these changes."""
    failed = [(-1 - n, w.case.size < 4, w.case.size, i) for i, w in enumerate(walks) if (n := w.explains(base)) < 0]
    if not failed:
        return
    at, *_, i = min(failed)
    first, walks, steps = walks[i], list(walks), not base and _moves_otherwise(walks)
    for words, change, places in operations(len(first.case.shape)):
        for where, place in places.items():
            if steps and where in AVERAGES:
                continue
            changes = _both(base, place(change))
            try:
                if first.explains(changes, at) > 0 and _explained(walks, changes):
                    yield f"{where} {words}".removesuffix(","), changes
            except (ValueError, TypeError, IndexError, ArithmeticError):  # an array of another shape than it takes
                continue


def _both(base: Changes, more: Changes) -> Changes:
    def after(one: Operation, other: Operation) -> Operation:
        return lambda v, s: other(one(v, s), s)

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
    for n, walk in enumerate(walks):
        if walk.explains(changes) < 0:  # what refutes one change refutes most: it is asked first from now on
            walks.insert(0, walks.pop(n))
            return False
    return True


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
