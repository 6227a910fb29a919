"""Ports in other languages: the cases as lines of JSON, the runs as lines of JSON, by files or through a program.

One line is one case, with all floats in hexadecimal ("0x1.8p-3"); the answer to it is one line
``{"id": ..., "x": [[...], ...]}`` with x after each step. So the program that reads a file of cases from standard input
and writes a file of results is the same as the one that the kit talks to.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..judging.dtypes import ASKED, computed_in
from ..judging.judge import DEFAULTS, apply_known, diagnose_into, judge_trace, name_of
from ..judging.reference import expected, follow, reference_run
from ..judging.trace import Trace, from_numbers
from ..report.results import FAIL, SKIP, WARN, Report, Result
from ..specification.cases import FLAGS, Case, flags_of, function_of, host
from ..specification.dialects import DIALECTS, in_dialect
from ..specification.families import cases
from ..specification.port import Capabilities, Port
from ..specification.rules import LEVELS, RULES, VERSION
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
    spoken = next((d for d in about.get("dialects", ()) if d in DIALECTS), None)
    return claims if spoken is None or spoken in ("lion", "lion-k") else in_dialect(claims, spoken)


def line(case: Case) -> str:
    """A case as one line."""
    d = {**case.to_json(), "flags": flags_of(case)}
    order = ("id", "dtype", "shape", "steps", "betas", "weight_decay", "decay", "flags", "lr", "x0", "grads")
    return json.dumps({"n": len(case.x0), **{k: d[k] for k in order}})


def export(folder: Path, claims: Capabilities, level: int = 3) -> int:
    """Write ``cases.jsonl``, the expected runs, the arrays as .npy, a manifest with checksums, and a README.

    Returns the number of cases.
    """
    chosen = cases(claims, level)
    arrays = folder / "arrays"
    arrays.mkdir(parents=True, exist_ok=True)
    (folder / "cases.jsonl").write_text("".join(line(c) + "\n" for c in chosen), encoding="utf-8")
    entries = []
    with warnings.catch_warnings(), (folder / "expected.jsonl").open("w", encoding="utf-8") as out:
        warnings.simplefilter("ignore")  # at NaN and infinities
        for i, case in enumerate(chosen):
            K = function_of(claims.K, case.shape)
            xs = _stored(case, reference_run(case, K))
            shown = [t for t in range(case.steps) if case.repeat == 1 or _near_power(t)]
            points = [(p, expected(case, K, p)[0]) for p, _ in follow(case, xs, claims.state_dtype) if p.step in shown]
            row = {
                "id": case.id,
                "x": [_hex(x) for x in xs],
                "steps": shown,
                "readout": [_hex(p.readout) for p, _ in points],
                "margin": [_hex(p.bound) for p, _ in points],
                "direction": [_hex(u) for _, u in points],
            }
            out.write(json.dumps(row) + "\n")
            stem = f"{i:03d}"
            _save(arrays / f"{stem}_x0.npy", case.array(case.x0))
            _save(arrays / f"{stem}_grads.npy", host().namespace().stack([case.array(g) for g in case.grads]))
            entries.append(
                {
                    "id": case.id,
                    "arrays": stem,
                    "dtype": case.dtype,
                    "shape": list(case.shape),
                    "exact": case.exact,
                    "flags": flags_of(case),
                }
            )
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".jsonl", ".npy"))
    manifest = {
        "specification": VERSION,
        "K": name_of(claims.K),
        "betas": claims.betas,
        "levels": LEVELS,
        "flags": FLAGS,
        "rules": {
            r.id: {"level": r.level, "must": r.must, "since": r.since, "text": r.text, "source": r.source}
            for r in RULES.values()
        },
        "cases": entries,
        "sha256": {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(README, encoding="utf-8")
    return len(chosen)


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
    asked = [t for c, t in traces.values() if c.id.startswith(ASKED) and c.dtype == "float64"]
    if computed_in("float64", ("float32",) * ("float32" in claims.dtypes), asked):
        claims = replace(claims, dtypes=tuple(d for d in claims.dtypes if d != "float64"))
        text = f"float64 is computed in float32; judged in {', '.join(claims.dtypes)}"
        results = [Result("S5.inner/float64", WARN, text), *(r for r in results if not r.id.endswith("/float64"))]
        traces = {i: t for i, t in traces.items() if not i.endswith("/float64")}
    judged = apply_known(results, known)
    report = Report(name, name_of(claims.K), level, judged, claims=claims, runs=traces)
    if report.failures and traces:
        diagnose_into(report, port or _Written(name, claims), traces)
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


def _near_power(step: int) -> bool:
    """Is the count of steps within two of a power of ten or of two?"""
    powers = {2**i for i in range(13)} | {10**i for i in range(4)}
    return any(abs(step - p) <= 2 for p in powers)


def _hex(x: Any) -> list[str]:
    return [float(v).hex() for v in x.reshape(-1)]


def _stored(case: Case, xs: list[Any]) -> list[Any]:
    """The reference's x after each step, rounded to the dtype: one right answer among several."""
    return [host().asarray(host().asarray(x, dtype=case.dtype), dtype="float64") for x in xs]


def _save(path: Path, a: Any) -> None:
    host().namespace().save(path, a)


README = """# Golden vectors of the Lion-K specification

Everything that a program in any language needs to be judged.

| file | content |
| --- | --- |
| `cases.jsonl` | one case a line: inputs |
| `expected.jsonl` | one line for each case: x after each step by the reference; and more at `steps` |
| `arrays/NNN_x0.npy`, `arrays/NNN_grads.npy` | the same inputs in NumPy's format, grads with the step as first axis |
| `manifest.json` | the rules, the list of cases with their arrays, SHA-256 of every file |

## A case

    {"n": 16, "id": "S3.decay/lr_wd/float64", "dtype": "float64", "shape": [16], "steps": 6,
     "betas": ["0x1.ccccccccccccdp-1", "0x1.fae147ae147aep-1"], "weight_decay": "0x1.999999999999ap-1",
     "decay": "lr_wd", "lr": ["0x1.999999999999ap-5", ...], "x0": ["0x1.c000000000000p+0", ...],
     "grads": [["0x0.0p+0", ...], ...]}

Floats are hexadecimal strings, or "nan", "inf", "-inf": C's `strtod`, C++'s `std::strtod`, Rust's `hexf` and Python's
`float.fromhex` read them without rounding. The keys have this order on every line, so a scanner will do in place of a
JSON library. Arrays are in C order. All inputs are exact in `dtype`; compute in it. `lr` has one rate for each step.

Start from m = 0 and make `steps` steps:

    c = b1 m + (1 - b1) g          readout, with the old m
    x = x - lr (dK(c) + wd x)      K = l1: dK is the sign, with sign(0) = 0
    m = b2 m + (1 - b2) g

in any order of evaluation, with or without fused multiply-adds. Where `steps` is more than the rows of `grads`, the
gradients and the rates are used again from the first (S5.long: a cycle of 23 gradients, 4186 steps).

## The answer

One line for each case, in any order:

    {"id": "S3.decay/lr_wd/float64", "x": [["0x1.ae147ae147ae1p+0", ...], ...]}
    {"id": "S6.nan/second/float64", "skip": "NaN is not handled here"}

with x after each step, in C order, as hexadecimal or decimal strings or as numbers; or with the reason why a case is
left out. Then

    lionk conform --results DIR        reads DIR/results.jsonl
    lionk conform --command "./port"   runs a program that reads cases on standard input and writes answers

Without lionk, compare with `expected.jsonl`: where |readout| exceeds the margin, x must agree to a few roundings; where
it does not, any direction of the subdifferential is right. Cases that the manifest marks `exact` agree in every bit.
"""
