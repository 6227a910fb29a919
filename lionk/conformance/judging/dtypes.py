"""Which dtypes a port keeps: those that it refuses are left out, and those that are computed in fewer bits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from ..report.results import FAIL, PASS, WARN, Result
from ..specification.cases import Case
from ..specification.maker import WIDE
from ..specification.port import DTYPES, Capabilities, Port
from ..specification.script import rounded
from .trace import Raised, Trace, run

#: Dtypes in which no parameter of more bits may be kept.
NARROW = ("float16", "bfloat16")
#: What is run to find out, and has no dyadic rate, so that a result in float64 is no number of float32.
ASKED = ("S1.readout/random/", "S3.step/lr_0.3/", "S6.precision/short/", "S1.readout/push/")


def kept(port: Port, everything: list[Case]) -> tuple[Capabilities, list[Result]]:
    """The claims without the dtypes of these cases that are not kept, and a line for each dtype."""
    claims, wanted = port.capabilities, list(dict.fromkeys(c.dtype for c in everything))
    asked = {d: [c for c in everything if c.dtype == d and c.id.startswith(ASKED)] for d in wanted}
    refused = {d: _refusal(port, asked[d]) for d in wanted}
    taken = [d for d in wanted if not refused[d]]
    if not taken:  # it refuses everything: then that is not a matter of dtypes
        return claims, []
    runs = {d: _runs(port, asked[d]) for d in taken}
    inner = {d: computed_in(d, taken, runs[d]) for d in taken}
    left = [d for d in taken if not inner[d]]
    judged = f"judged in {', '.join(left)}"
    results = []
    for d in wanted:
        if refused[d]:
            text = f"{d} is refused ({refused[d]}); {judged}"
            results.append(Result(f"S5.taken/{d}", WARN if claims.tried else FAIL, text))
            continue
        results.append(Result(f"S5.taken/{d}", PASS))
        if d != DTYPES[-1]:
            text = f"{d} is computed in {inner[d]}; {judged}" if inner[d] else ""
            results.append(Result(f"S5.inner/{d}", WARN if inner[d] else PASS, text))
        results += keeps(d, runs[d])
    return replace(claims, dtypes=tuple(d for d in claims.dtypes if d in left)), results


def keeps(dtype: str, traces: list[Trace]) -> list[Result]:
    """Is x, by the runs of ``ASKED``, kept in as many bits as it has? [] for a dtype of 16 bits, and without runs."""
    if dtype not in WIDE or not traces:
        return []
    narrow = computed_in(dtype, NARROW, traces)
    text = f"x of {dtype} is kept in {narrow}: after each step it is a number of {narrow}" if narrow else ""
    return [Result(f"S5.kept/{dtype}", FAIL if narrow else PASS, text)]


def _refusal(port: Port, asked: list[Case]) -> str:
    """Why the port takes no arrays of this dtype; "" if it does."""
    for case in asked[:1]:
        try:
            return run(port, case).refused
        except NotImplementedError:
            return ""  # another thing that is not there: its test says which
        except Raised as error:
            return error.error.split("\n")[0][:200]
        except Exception as error:
            return f"{type(error).__name__}: {error}".split("\n")[0][:200]
    return ""


def _runs(port: Port, asked: list[Case]) -> list[Trace]:
    """None of a port that fails in one: a rule says how."""
    try:
        return [run(port, case) for case in asked]
    except Exception:
        return []


def computed_in(dtype: str, taken: Iterable[str], traces: list[Trace]) -> str:
    """The dtype of fewer bits, among those taken, that every x of these runs is a number of; "" if there is none.

    In a dtype that is computed in that happens to no run, whose rates are not dyadic.
    """
    if not traces or not all(t.xs for t in traces):
        return ""
    values = {float(v) for t in traces for x in t.xs for v in x.reshape(-1)}
    narrower = [d for d in DTYPES[DTYPES.index(dtype) + 1 :] if d in taken]
    return next((d for d in reversed(narrower) if all(_holds(d, v) for v in values)), "")


def _holds(dtype: str, value: float) -> bool:
    try:
        return math.isfinite(value) and rounded(value, dtype) == value  # NaN and infinity are in every dtype
    except OverflowError:  # beyond its largest number
        return False
