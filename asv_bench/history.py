"""Measure past commits and keep the numbers in asv's format: ``python history.py COMMIT ...``

Each commit is checked out beside this one, and its counts and ratios are made by the instruments of this checkout. What
a commit lacks is left out. The results stand in results/MACHINE, where ``asv publish`` finds them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from asv.results import Results
from asv.runner import BenchmarkResult
from benchmarks.counts import name_of

from lionk.app.bench import against, counts

HERE = Path(__file__).parent
RESULTS = HERE / "results"
ENVIRONMENT = "existing-py3.11"


def measured(tree: Path, parts: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each part, as a worker gives them."""
    found = {}
    for part in parts:
        command = [sys.executable, "-P", str(counts.WORKER), "count", part]
        run = subprocess.run(
            command, env=counts.environment(tree), capture_output=True, text=True, timeout=counts.LIMIT, check=False
        )
        found[part] = json.loads(run.stdout) if run.returncode == 0 else []
    return found


def values(rows: dict[str, list[dict[str, Any]]]) -> dict[tuple[str, str], float]:
    """By the name of a benchmark, and the text of its parameter."""
    found = {}
    for row in (r for some in rows.values() for r in some if "value" in r):
        if row["unit"] == "times the reference loop":
            found["scenes.Scene.track_ratio", repr(f"{row['subject']}, {row['case']}")] = row["value"]
        else:
            name = f"counts.track_{name_of(row['subject'])}_{name_of(row['unit'])}"
            found[name, repr(row["case"])] = row["value"]
    return found


def save(commit: str, rows: dict[str, list[dict[str, Any]]], machine: str) -> Path:
    """Write the results of a commit, beside those that are there."""
    about = json.loads((RESULTS / machine / "machine.json").read_text(encoding="utf-8"))
    date = subprocess.run(["git", "show", "-s", "--format=%ct", commit], capture_output=True, text=True, check=True)
    versions = {name: v for name, v in counts.versions().items() if name != "python"}
    params = {k: v for k, v in about.items() if k != "version"} | {"python": "3.11"} | versions
    results = Results(params, versions, commit, 1000 * int(date.stdout), "3.11", ENVIRONMENT, {})
    have = values(rows)
    for name, benchmark in json.loads((RESULTS / "benchmarks.json").read_text(encoding="utf-8")).items():
        if name == "version" or len(benchmark["params"]) != 1:
            continue
        numbers = [have.get((name, p)) for p in benchmark["params"][0]]
        if any(v is not None for v in numbers):
            nothing = [None] * len(numbers)
            results.add_result(benchmark, BenchmarkResult(numbers, nothing, nothing, 0, "", None))
    (RESULTS / machine).mkdir(exist_ok=True)
    results.save(str(RESULTS))
    return RESULTS / results._filename


def main(arguments: list[str]) -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("commits", nargs="+")
    options.add_argument("--machine", default="two-cores", help="the name of this machine, as asv machine has it")
    options.add_argument("--parts", nargs="*", default=["steps", "evaluations", "imports", "numpy", "torch", "ratios"])
    given = options.parse_args(arguments)
    for commit in given.commits:
        command = ["git", "rev-parse", commit]
        whole = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        with against.worktree(counts.TREE, whole) as tree:
            print(save(whole, measured(tree, given.parts), given.machine))


if __name__ == "__main__":
    main(sys.argv[1:])
