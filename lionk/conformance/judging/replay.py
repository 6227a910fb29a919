"""One case of one port, as a Python file that runs by itself and shows every step."""

from __future__ import annotations

import difflib
import json
from typing import Any

from ..report.escape import clean
from ..report.results import belongs
from ..specification.cases import Case, function_of
from ..specification.families import cases
from ..specification.port import Port
from . import behaviour
from .comparator import judge_step
from .reference import expected, follow
from .trace import run

_TEMPLATE = '''"""{id} of {port}: the inputs, and each step beside the reference's. It runs by itself, with lionk."""

import json

from lionk.conformance.specification.cases import Case
from lionk.conformance.judging.replay import show

CASE = json.loads("""{case}""")

{make}
show(port, Case.from_json(CASE))
'''


_OF_LEVEL_3 = '''"""{id} of {port}: what is wrong with it. It runs by itself, with lionk."""

from lionk.conformance.judging.replay import show_test

{make}
show_test(port, {id!r})
'''


def script(port: Port, case_id: str, make: str) -> str:
    """The text of the file. ``make``: Python lines that define ``port``.

    Raises ValueError if the port is given no such case.
    """
    name = clean(port.name).replace("\\", "/").replace('"', "'")
    if case_id in behaviour.ids(port.capabilities):
        return _OF_LEVEL_3.format(id=case_id, port=name, make=make)
    case = find(port, case_id)
    text = json.dumps(case.to_json(), indent=1)
    return _TEMPLATE.format(id=case.id, port=name, case=text, make=make)


def find(port: Port, test: str) -> Case:
    """The case of a test, which may be about a side of it, as S4.pure/S1.first/one/float64 or S6.nan_result/... are."""
    known = {c.id: c for c in cases(port.capabilities)}
    found = next((c for i, c in known.items() if belongs(test, i)), None)
    if found is None:
        near = difflib.get_close_matches(test, [*known, *behaviour.ids(port.capabilities)], 6, 0.3)
        raise ValueError(f"{test} is no test of {port.name}" + (f"; near it are {', '.join(near)}" if near else ""))
    return found


def show_test(port: Port, test: str, write: Any = print) -> bool:
    """Run a test that compares runs and write what is wrong; True if nothing is."""
    dtype = test.rpartition("/")[2]
    wrong, absent = next((w, a) for i, w, a in behaviour.behaviours(port, dtype) if i == test)
    write(f"{test}: {port.name}: {wrong or absent or 'right'}")
    return not wrong


def show(port: Port, case: Case, write: Any = print) -> bool:
    """Run the case and write each step, entry by entry; True if every step is right."""
    claims = port.capabilities
    K = function_of(claims.K, case.shape)
    trace = run(port, case)
    write(f"{case.id}: {port.name}, {case.dtype}, betas {case.betas}, weight_decay {case.weight_decay} ({case.decay})")
    if trace.refused:
        write(f"refused: {trace.refused}")
        return False
    right = True
    for point, after in follow(case, trace.xs, claims.state_dtype):
        u, x = expected(case, K, point)
        wrong = judge_step(case, K, point, after, claims.accuracy)
        write(f"step {point.step}, lr = {point.lr:g}" + (f": {wrong.why}, entry {list(wrong.entry)}" if wrong else ""))
        rows = zip(point.x.reshape(-1), point.readout.reshape(-1), u.reshape(-1), x.reshape(-1), after.reshape(-1))  # noqa: B905
        for i, (x0, r, d, x1, seen) in enumerate(list(rows)[:20]):
            mark = "   <" if wrong and not abs(x1 - seen) <= 1e-3 * (abs(point.lr) + abs(x1 - x0)) else ""
            write(f"  [{i}] x {x0:+.9e} readout {r:+.6e} direction {d:+.6f} expected {x1:+.9e} seen {seen:+.9e}{mark}")
        right = right and (wrong is None or wrong.advice)
    return right
