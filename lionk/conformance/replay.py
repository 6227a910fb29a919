"""One case of one port, as a Python file that runs by itself and shows every step."""

from __future__ import annotations

import json
from typing import Any

from .cases import Case, function_of
from .comparator import judge_step
from .families import cases
from .port import Port
from .reference import expected, follow
from .trace import run

_TEMPLATE = '''"""{id} of {port}: the inputs, and each step beside the reference's. It runs by itself, with lionk."""

import json

from lionk.conformance.cases import Case
from lionk.conformance.replay import show

CASE = json.loads("""{case}""")

{make}
show(port, Case.from_json(CASE))
'''


def script(port: Port, case_id: str, make: str) -> str:
    """The text of the file. ``make``: Python lines that define ``port``.

    Raises ValueError if the port is given no such case.
    """
    case = find(port, case_id)
    text = json.dumps(case.to_json(), indent=1)
    return _TEMPLATE.format(id=case.id, port=port.name, case=text, make=make)


def find(port: Port, case_id: str) -> Case:
    known = {c.id: c for c in cases(port.capabilities)}
    if case_id not in known:
        near = [k for k in known if k.partition("/")[0] == case_id.partition("/")[0]]
        raise ValueError(f"{case_id} is no case of {port.name}; there are {', '.join(near or known)}")
    return known[case_id]


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
        u, x = expected(K, point)
        wrong = judge_step(case, K, point, after, claims.accuracy)
        write(f"step {point.step}, lr = {point.lr:g}" + (f": {wrong.why}, entry {list(wrong.entry)}" if wrong else ""))
        rows = zip(point.x.reshape(-1), point.readout.reshape(-1), u.reshape(-1), x.reshape(-1), after.reshape(-1))  # noqa: B905
        for i, (x0, r, d, x1, seen) in enumerate(list(rows)[:20]):
            mark = "   <" if wrong and not abs(x1 - seen) <= 1e-3 * (abs(point.lr) + abs(x1 - x0)) else ""
            write(f"  [{i}] x {x0:+.9e} readout {r:+.6e} direction {d:+.6f} expected {x1:+.9e} seen {seen:+.9e}{mark}")
        right = right and (wrong is None or wrong.advice)
    return right
