"""Ports in other languages: the cases as lines of JSON, the runs as lines of JSON, by files or through a program.

One line is one case, with all floats in hexadecimal ("0x1.8p-3"); the answer to it is one line
``{"id": ..., "x": [[...], ...]}`` with x after each step. So the program that reads a file of cases from standard input
and writes a file of results is the same as the one that the kit talks to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..judging.dtypes import ASKED, computed_in, keeps
from ..judging.judge import DEFAULTS, apply_known, judge, judge_trace, name_of
from ..judging.trace import Trace, from_numbers
from ..report.results import FAIL, SKIP, WARN, Report, Result
from ..specification.cases import Case
from ..specification.dialects import DIALECTS, in_dialect
from ..specification.families import cases
from ..specification.port import Capabilities, Port
from ..specification.rules import RULES
from .export import line
from .process import Ended, Limits, Process

#: What a program in another language can answer without a handle: nothing that compares runs.
DTYPES = ("float64", "float32")


def claims_of_program(K: Any = None, **claims: Any) -> Capabilities:
    """The claims of a program: it is given the rates of a schedule as data."""
    known: dict[str, Any] = {"K": "l1" if K is None else K, "dtypes": DTYPES, "schedule": True}
    return Capabilities(**{**known, **claims})


def agreed(claims: Capabilities, about: Mapping[str, Any]) -> Capabilities:
    """The claims, with what a handshake says: dtypes, decays, betas, K, schedule. Raises ValueError at other values."""
    told = about.get("capabilities", {})
    more: dict[str, Any] = {n: told[n] for n in ("betas", "schedule", "accuracy", "state_dtype") if n in told}
    if "dtypes" in about:
        more["dtypes"] = tuple(d for d in claims.dtypes if d in about["dtypes"]) or tuple(about["dtypes"])
    if "decays" in told:
        more["decays"] = {str(d): {} for d in told["decays"]}
    if "K" in told and claims.K == "l1":
        more["K"] = told["K"]
    claims = replace(claims, **more)
    spoken = next((d for d in about.get("dialects", ()) if str(d).partition("+")[0] in DIALECTS), None)
    return claims if spoken is None or spoken in ("lion", "lion-k") else in_dialect(claims, spoken)


def judge_results(
    lines: Iterable[str],
    claims: Capabilities,
    *,
    name: str,
    level: int = 3,
    known: Iterable[str] = (),
    port: Port | None = None,
) -> Report:
    """The verdict on what a program wrote: one line for each case, in any order. ``port``: what can be run again.

    Raises ValueError for lines that are not results.
    """
    found: dict[str, Any] = {}
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
            found[row["id"]] = row["x"] if "skip" not in row else Skipped(str(row["skip"])[:300])
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f'line {number} is no result {{"id": ..., "x": [[...], ...]}}: {text.strip()[:80]}'
            ) from None
    results: list[Result] = []
    traces: dict[str, tuple[Case, Trace]] = {}
    for case in cases(claims, level):
        if case.id not in found:
            results.append(Result(case.id, FAIL, "no result was written for this case"))
            continue
        if isinstance(found[case.id], Skipped):
            results.append(Result(case.id, SKIP, f"the program leaves it out: {found[case.id].reason}"))
            continue
        try:
            trace = from_numbers(case, found[case.id])
        except (ValueError, TypeError) as error:
            results.append(Result(case.id, FAIL, f"unreadable: {error}"))
            continue
        traces[case.id] = (case, trace)
        results += judge_trace(claims, case, trace)
    asked = {d: [t for c, t in traces.values() if c.id.startswith(ASKED) and c.dtype == d] for d in claims.dtypes}
    since = RULES["S5.kept"].since
    held = [r for d, runs in asked.items() for r in keeps(d, runs)] if claims.specification >= since else []
    if computed_in("float64", ("float32",) * ("float32" in claims.dtypes), asked.get("float64", [])):
        claims = replace(claims, dtypes=tuple(d for d in claims.dtypes if d != "float64"))
        text = f"float64 is computed in float32; judged in {', '.join(claims.dtypes)}"
        results = [Result("S5.inner/float64", WARN, text), *(r for r in results if not r.id.endswith("/float64"))]
        traces = {i: t for i, t in traces.items() if not i.endswith("/float64")}
    judged = apply_known(results + held, known)
    report = Report(name, name_of(claims.K), level, judged, claims=claims, runs=traces)
    if report.failures and traces:
        from ..judging.findings import diagnose_into

        diagnose_into(report, port or _Written(name, claims), traces, judge)
    return report


@dataclass(frozen=True)
class Skipped:
    """A case that a program leaves out."""

    reason: str


class _Written:
    """A port that has been run elsewhere."""

    def __init__(self, name: str, claims: Capabilities) -> None:
        self.name, self.capabilities = name, claims
        self.defaults: Mapping[str, Any] = {}

    def create(self, x0: Any, **hyper: Any) -> Any:
        raise NotImplementedError(f"{self.name} was run elsewhere (asked for x0 of {x0.shape} with {hyper})")


class Program(_Written):
    """A port that is a program: lines of cases in, lines of results out.

    ``command``: the program and its arguments. It may answer each line at once, or all at the end of its input.
    """

    live = False

    def __init__(self, command: list[str], claims: Capabilities | None = None, limits: Limits | None = None) -> None:
        super().__init__(" ".join(command), claims or claims_of_program())
        self.command, self.limits = command, limits or Limits()
        self.defaults = dict(DEFAULTS)
        self.about = self._handshake()
        self.name = str(self.about.get("name", self.name))[:200]
        self.versions = {str(self.name): str(self.about["version"])[:80]} if "version" in self.about else {}
        if claims is None or "dtypes" in self.about:
            self.capabilities = agreed(self.capabilities, self.about)

    def _handshake(self) -> dict[str, Any]:
        """What the program says of itself when it is called with ``--handshake``; {} if it says nothing."""
        try:
            with Process(
                [*self.command, "--handshake"], replace(self.limits, seconds=min(5.0, self.limits.seconds))
            ) as p:
                said, _ = p.finish("")
            about = json.loads(said.splitlines()[0])
        except (OSError, Ended, ValueError, IndexError):
            return {}
        return about if isinstance(about, dict) and isinstance(about.get("name"), str) else {}

    def run_all(self, chosen: list[Case]) -> list[str]:
        """The lines that the program writes for these cases. Raises RuntimeError if it fails."""
        asked = "".join(line(c) + "\n" for c in chosen)
        try:
            with Process(self.command, self.limits) as process:
                written, code = process.finish(asked)
                said = process.said.decode(errors="replace").strip()[-300:]
        except (OSError, Ended) as error:
            raise RuntimeError(f"{self.name} {error}") from None
        if code:
            raise RuntimeError(f"{self.name} ended with {code}: {said}")
        return written.splitlines()

    def run(self, case: Case) -> Trace:
        """The run of one case."""
        return from_numbers(case, json.loads(self.run_all([case])[0])["x"])

    def check(self, *, level: int = 3, known: Iterable[str] = ()) -> Report:
        """All cases in one run of the program."""
        lines = self.run_all(cases(self.capabilities, level))
        return judge_results(lines, self.capabilities, name=self.name, level=level, known=known, port=self)
