"""What is done to which array of a step, where it should be left as it is: every operation is tried at every place.

A change explains a port if it gives every x of its runs, each from the x that was there before.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence

from ..specification.cases import Case, size
from ..specification.maker import Maker, widest
from ..specification.port import Capabilities, Port
from .operations import ENTRIES, PLACED, SLICES, WHOLE, Operation, sliced
from .operations_in_time import COUNTS, MEMORIES
from .operations_of_steps import BESIDES, SCALES, WITH_X
from .places import APART, AVERAGES, FITTED, PLACES, STEPS, UNDECAYED, Changes, Place, Walk
from .reference import Runs, Step, steps_of
from .trace import run

_FRESH = 2  # runs that confirm
_WITHOUT = ("S6.", "S2.fine", "S2.scale", "S3.large")


def change_of(port: Port, runs: Runs) -> str:
    """The first change that explains every step of these runs, in words; "" if none does."""
    walks = _walks(runs, port.capabilities)
    if not walks or walks[0].first == len(walks[0].steps):
        return ""
    wrong = {w.case.shape for w in walks if w.first < len(w.steps)}
    some = [w for w in walks if w.case.shape in wrong]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fresh = _fresh(port, wrong)
        except Exception:  # whatever the port raises has its own verdict
            return ""
        return _change_of(walks[0], [*fresh, *some], [w for w in walks if w.case.shape not in wrong])


def operations(axes: int = 3) -> Iterator[tuple[str, Operation, Mapping[str, Place]]]:
    """All that change an array of so many axes, and where each is tried, the simplest first: of two that do the same,
    the first is named.
    """
    along = {words: of for words, of in SLICES.items() if of(axes)}
    slices = {f"{words}{where}": sliced(of, each) for words, of in WHOLE.items() for where, each in along.items()}
    tables = (ENTRIES, slices, PLACED, BESIDES, COUNTS, MEMORIES)
    rows = [(table, PLACES) for table in tables] + [(SCALES, STEPS), (WITH_X, UNDECAYED)]
    rows += [(table, FITTED) for table in (slices, BESIDES, MEMORIES)] + [(table, APART) for table in (ENTRIES, MEMORIES)]
    for table, places in rows:
        for words, change in table.items():
            yield words, change, places


def _change_of(first: Walk, alike: list[Walk], others: list[Walk]) -> str:
    """The first change that explains all the walks; or else those of the shapes that go wrong. ``first``: of these, one
    whose first wrong step refutes most.
    """
    steps, partly = _moves_otherwise([*alike, *others]), ""
    for words, change, places in operations(len(first.case.shape)):
        for where, place in places.items():
            if steps and where in AVERAGES:
                continue
            try:
                if first.explains(place(change), first.first) > 0 and _explained(alike, place(change)):
                    said = f"{where} {words}".removesuffix(",")
                    if _explained(others, place(change)):
                        return said
                    partly = partly or said
            except (ValueError, TypeError, IndexError, ArithmeticError):  # an array of another shape than it takes
                continue
    return partly


def _fresh(port: Port, shapes: Collection[tuple[int, ...]]) -> list[Walk]:
    """Longer runs of the same shapes, by which what explains few entries by chance is told."""
    claims = port.capabilities
    dtype = widest(claims)
    make, chosen = Maker(claims, dtype or "float32"), sorted(shapes, key=lambda s: (size(s) > 1000, -len(s), -size(s)))
    cases: list[Case] = []
    for shape in chosen[:_FRESH]:
        script = make.script(f"fresh {shape}", 0.8, 0.95, shape).random(4)
        for power in (*range(-8, 3), -4, 0):  # of lengths by which limits are told apart
            script.random(1, 2.0**power, 2.0 ** (power + 2), 16)
        cases.append(make.case(f"S1.readout/fresh_{len(cases)}", script, shape=shape))
    return _walks([(c, run(port, c)) for c in cases], claims) if dtype else []


def _explained(walks: list[Walk], changes: Changes) -> bool:
    for n, walk in enumerate(walks):
        if walk.explains(changes) < 0:  # what refutes one change refutes most: it is asked first from now on
            walks.insert(0, walks.pop(n))
            return False
    return True


def _walks(runs: Runs, claims: Capabilities) -> list[Walk]:
    """The runs that tell something: first the one whose first wrong step is the earliest."""
    of: dict[str, list[Step]] = {}
    moving = [(c, t) for c, t in runs if 0.0 not in c.lr]  # of a step at rate 0 nothing is seen
    for s in steps_of(moving, claims, _WITHOUT):
        of.setdefault(s.case.id, []).append(s)
    made = (Walk(s[0].case, s[0].K, s) for s in of.values())
    return sorted(made, key=lambda w: (w.first == len(w.steps), w.first, w.case.size < 4, w.case.size))


def _moves_otherwise(walks: Sequence[Walk]) -> bool:
    """Has a direction been seen that K does not have, whatever it is asked at, if its own have one size?"""
    steps = [s for w in walks for s in w.steps]
    if not all(((abs(s.u) == 1) | (s.u == 0)).all() for s in steps):
        return False
    sizes = [abs(s.seen + s.decay)[s.known] for s in steps]
    return any(((abs(v - 1) > 1e-4) & (v > 1e-4)).any() for v in sizes)
