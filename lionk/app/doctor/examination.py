"""One backend on one device, examined at length: conformance, the time of a step, and a report that can be sent."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from lionk.conformance import Loopback, Report, check
from lionk.conformance.report.escape import table

from ..bench import speed

# K and the level of the specification that it is judged up to: Lion in full, and one K of each kind of step.
JUDGED = {"l1": 3, "huber": 1, "l2": 1, "log_sum_exp": 1, "nuclear": 1}
TIMED = ("l1", "huber", "pseudo_huber", "l2", "log_sum_exp")
SHAPES = ("2^24", "GPT-2", "2,000 x 100")
STREAMS = 5 * 4  # bytes that a step must move for each entry in float32: x, m and grad read, x and m written


@dataclass(frozen=True)
class Timing:
    """The median step on these shapes. ``rate``: 1e9 bytes per second, if it moves no more than it must."""

    shapes: str
    runner: str
    K: str
    ms: float
    rate: float


@dataclass(frozen=True)
class Examination:
    """What was found of a backend on a device. ``passed``: every port keeps its rules."""

    backend: str
    version: str
    device: str
    facts: dict[str, Any]
    reports: list[Report]
    timings: list[Timing]

    @property
    def passed(self) -> bool:
        return all(r.passed for r in self.reports)

    def to_json(self) -> dict[str, Any]:
        """The examination as plain values, for JSON."""
        shown = {k: getattr(self, k) for k in ("backend", "version", "device", "facts", "passed")}
        timings = [asdict(t) for t in self.timings]
        return {**shown, "timings": timings, "conformance": [r.to_json() for r in self.reports]}

    def to_markdown(self) -> str:
        """The report as a page."""
        lines = [f"# lionk: {self.backend} {self.version} on {self.device}", ""]
        lines += [", ".join(f"{k} {v}" for k, v in self.facts.items()) + ".", "", "## The step", ""]
        lines += [
            "One step in float32, median of several. GB/s: five streams (x, m and the gradient read, x and m written)",
            "divided by the time.",
            "",
        ]
        rows = ((t.shapes, t.runner, t.K, f"{t.ms:.3f}", f"{t.rate:.1f}") for t in self.timings)
        lines += table(("shapes", "runner", "K", "ms", "GB/s"), rows, numbers=("ms", "GB/s"))
        verdict = "passes" if self.passed else "FAILS"
        lines += ["", "## Conformance", "", f"The default runner {verdict} the kit.", ""]
        return "\n".join(lines) + "\n" + "\n".join(r.to_markdown() for r in self.reports)


def examine(
    backend: Any, version: str, device: Any, facts: dict[str, Any], seconds: float, say: Callable[[str], None]
) -> Examination:
    """Judge the default runner, and time all of them. ``say`` is told what comes next."""
    reports = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library
        for K, level in JUDGED.items():
            say(f"conformance of {K}, level {level}")
            reports.append(check(Loopback(backend, K, device=device), level=level))
        timings = []
        for shapes in SHAPES:
            say(f"steps on {shapes}")
            timings += _timings(backend, device, shapes, seconds)
    return Examination(backend.name, version, backend.describe(device), facts, reports, timings)


def _timings(backend: Any, device: Any, shapes: str, seconds: float) -> list[Timing]:
    arrays = speed.Arrays(speed.SHAPES[shapes])
    ways = [(runner, "l1") for runner in backend.runners()]
    if len(arrays.lists[0]) == 1:
        ways += [(next(iter(backend.runners())), K) for K in TIMED[1:]]
    steps = {way: speed.runner(arrays, backend.name, *way, device=device) for way in ways}
    found = speed.timings(steps, seconds)
    moved = STREAMS * sum(a.size for a in arrays.lists[0])
    return [Timing(shapes, runner, K, 1e3 * t.seconds, moved / t.seconds / 1e9) for (runner, K), t in found.items()]
