"""The cases for ports in other languages: as lines of JSON, and as a folder with what is expected and a README.

One line is one case, with all floats in hexadecimal ("0x1.8p-3").
"""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

from ..judging.judge import name_of
from ..judging.reference import expected, follow, reference_run
from ..specification.cases import FLAGS, Case, flags_of, function_of, host
from ..specification.families import cases
from ..specification.port import Capabilities
from ..specification.rules import LEVELS, RULES, VERSION


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
