"""Counts that are the same on every machine: made, written down in one file, and compared with it.

A count that grew is a slow-down, however small it is and however busy the machine.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lionk

TREE = Path(lionk.__file__).parents[1]
RECORD = TREE / "asv_bench" / "counts.json"
WORKER = Path(__file__).parent / "worker.py"
# The longest first, with the library without which there is no such part.
PARTS = {
    "arrays": "array_api_strict", "torch": "torch", "functions": "", "evaluations": "", "numpy": "numba", "steps": "",
    "people": "sklearn", "jax": "optax", "dask": "dask", "imports": "", "conform": "", "instructions": "",
}  # fmt: skip
LIBRARIES = ("numpy", "numba", "torch", "jax", "dask")  # whose versions some counts depend on
LIMIT = 900  # seconds for a part

Key = tuple[str, str, str, str]  # part, subject, case, unit


@dataclass
class Counts:
    """Numbers by part, subject, case and unit; of those that could not be made, why; and the versions they are of."""

    versions: dict[str, str]
    values: dict[Key, float] = field(default_factory=dict)
    needs: dict[Key, str] = field(default_factory=dict)
    errors: dict[Key, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)  # parts that are not made here, and why


def versions() -> dict[str, str]:
    """Two numbers of each version: "3.11"."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {name: ".".join(v.split(".")[:2]) for name, v in found.items()}


def environment(tree: Path = TREE) -> dict[str, str]:
    """The environment of a process that counts: one thread, one seed, and instructions that round alike everywhere."""
    path = [str(tree), str(tree / "backends"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(p for p in path if p),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "COLUMNS": "80",
    }


def count(parts: Iterable[str] = tuple(PARTS), tree: Path = TREE, python: str = sys.executable) -> Counts:
    """Make these parts, each in a process of its own. ``tree``: the checkout whose lionk is looked at.

    Raises RuntimeError for a part whose process fails.
    """
    found = Counts(versions())
    wanted = []
    for part in parts:
        if PARTS[part] and find_spec(PARTS[part]) is None:
            found.absent[part] = f"{PARTS[part]} is not installed"
        else:
            wanted.append(part)

    def made(part: str) -> list[dict[str, Any]]:
        command = [python, "-P", str(WORKER), "count", part]
        run = subprocess.run(
            command, env=environment(tree), capture_output=True, text=True, timeout=LIMIT, check=False, cwd=tree
        )
        if run.returncode:
            raise RuntimeError(
                f"the part {part} could not be counted: {(run.stderr.strip().splitlines() or ['?'])[-1]}"
            )
        rows: list[dict[str, Any]] = json.loads(run.stdout)
        return rows

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for part, rows in zip(wanted, pool.map(made, wanted), strict=True):
            for row in rows:
                key = (part, row["subject"], row["case"], row["unit"])
                if "value" in row:
                    found.values[key], found.needs[key] = row["value"], row["needs"]
                else:
                    found.errors[key] = row["error"]
    return found


def write(path: Path, counts: Counts) -> None:
    """A line for each case. Parts that were not made now stay as they are, if they are of the same versions."""
    kept = read(path) if path.exists() else None
    made = {part for part, *_ in counts.values}
    values = dict(counts.values)
    if kept is not None:
        values |= {key: v for key, v in kept.values.items() if key[0] not in made}
    parts: dict[str, dict[str, dict[str, float]]] = {}
    for part, subject, case, unit in sorted(values):
        parts.setdefault(part, {}).setdefault(f"{subject}: {case}", {})[unit] = values[part, subject, case, unit]
    blocks = (
        f' "{part}": {{\n'
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
        + "\n }"
        for part, rows in parts.items()
    )
    path.write_text(
        f'{{\n "versions": {json.dumps(counts.versions)},\n' + ",\n".join(blocks) + "\n}\n", encoding="utf-8"
    )


def read(path: Path) -> Counts:
    """The counts of a record. Raises ValueError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = Counts(content.pop("versions"))
        for part, rows in content.items():
            for name, row in rows.items():
                subject, _, case = name.partition(": ")
                found.values |= {(part, subject, case, unit): v for unit, v in row.items()}
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}; lionk bench --counts --record writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no record of counts: {error}; lionk bench --counts --record writes it") from None
    return found


@dataclass
class Comparison:
    """What became of each count: name, before, after."""

    grew: list[tuple[str, str, str]] = field(default_factory=list)
    fell: list[tuple[str, str, str]] = field(default_factory=list)
    same: int = 0
    left: dict[str, int] = field(default_factory=dict)  # how many were not compared, and why


def compare(before: Counts, now: Counts, parts: Iterable[str]) -> Comparison:
    """A count that is new, or that could not be made any more, is among those that grew: nothing watches it."""
    found = Comparison()
    parts = set(parts)
    keys = [k for k in dict.fromkeys([*before.values, *now.values]) if k[0] in parts]
    for key in keys:
        old, new, needs = before.values.get(key), now.values.get(key), now.needs.get(key, "")
        reason = now.absent.get(key[0], "")
        if new is None and "counts no instructions" in now.errors.get(key, ""):
            reason = "this machine counts no instructions"
        elif needs and before.versions.get(needs) != now.versions.get(needs):
            reason = f"recorded on {needs} {before.versions.get(needs)}, here is {now.versions.get(needs)}"
        name = f"{key[1]}, {key[2]}: {key[3]}"
        if reason:
            found.left[reason] = found.left.get(reason, 0) + 1
        elif old is None or new is None:
            why = now.errors.get(key, "no longer counted")
            found.grew.append((name, *(("not recorded", f"{new:g}") if old is None else (f"{old:g}", why))))
        elif new == old:
            found.same += 1
        else:
            (found.grew if new > old else found.fell).append((name, f"{old:g}", f"{new:g}"))
    return found
