"""Which dtypes a port keeps: those that it refuses are left out, and float64 where it is computed in float32."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..report.results import FAIL, PASS, WARN, Result
from ..specification.cases import Case, host
from ..specification.port import Capabilities, Port
from .trace import Raised, Trace, run

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
    left = [d for d in taken if not (d == "float64" and "float32" in taken and _single(port, asked[d]))]
    judged = f"judged in {', '.join(left)}"
    results = []
    for d in wanted:
        if refused[d]:
            text = f"{d} is refused ({refused[d]}); {judged}"
            results.append(Result(f"S5.taken/{d}", WARN if claims.tried else FAIL, text))
            continue
        results.append(Result(f"S5.taken/{d}", PASS))
        if d == "float64":
            narrow = d not in left
            text = f"float64 is computed in float32; {judged}" if narrow else ""
            results.append(Result(f"S5.inner/{d}", WARN if narrow else PASS, text))
    return replace(claims, dtypes=tuple(d for d in claims.dtypes if d in left)), results


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


def _single(port: Port, asked: list[Case]) -> bool:
    traces = [run(port, case) for case in asked]
    return bool(traces) and all(t.xs and in_single(t) for t in traces)


def in_single(trace: Trace) -> bool:
    """Is every x a number of float32? In float64 that happens to no entry of a run with rates that are not dyadic."""

    def rounded(x: Any) -> Any:
        return host().asarray(host().asarray(x, dtype="float32"), dtype="float64")

    return all(bool((rounded(x) == x).all()) for x in trace.xs)
