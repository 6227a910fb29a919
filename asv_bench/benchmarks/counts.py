"""Counts that are the same on every machine, of each subject by case: those of `lionk bench --counts`, tracked.

Which there are is read from counts.json; the numbers are made once for all benchmarks here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from . import tools

RECORD = Path(__file__).parents[1] / "counts.json"


def setup_cache() -> dict[tuple[str, str, str], float]:
    """Every count of the lionk that is installed here."""
    found = tools("counts").count()
    return {key[1:]: value for key, value in found.values.items()}


setup_cache.timeout = 900  # type: ignore[attr-defined]


def _function(subject: str, unit: str, cases: list[str]) -> Any:
    def setup(cache: dict[tuple[str, str, str], float], case: str) -> None:
        if (subject, case, unit) not in cache:
            raise NotImplementedError(f"{subject}, {case} is not counted here")

    def track(cache: dict[tuple[str, str, str], float], case: str) -> float:
        return cache[subject, case, unit]

    track.setup = setup  # type: ignore[attr-defined]
    track.params, track.param_names, track.unit = cases, ["case"], unit  # type: ignore[attr-defined]
    track.version, track.pretty_name = "1", f"{subject}: {unit}"  # type: ignore[attr-defined]
    track.__module__, track.__name__ = __name__, f"track_{name_of(subject)}_{name_of(unit)}"
    return track


def name_of(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")


def _functions() -> dict[str, Any]:
    cases: dict[tuple[str, str], list[str]] = {}
    for part, rows in json.loads(RECORD.read_text(encoding="utf-8")).items():
        for name, units in rows.items() if part != "versions" else ():
            subject, _, case = name.partition(": ")
            for unit in units:
                cases.setdefault((subject, unit), []).append(case)
    made = [_function(subject, unit, some) for (subject, unit), some in cases.items()]
    return {function.__name__: function for function in made}


globals().update(_functions())
