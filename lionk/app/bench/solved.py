"""``lionk bench --solver``: the tables of the solver, printed and written."""

from __future__ import annotations

from dataclasses import asdict

from ..console import console, right, table
from ..files import json_path, write_json
from .solver import tables, times_lbfgsb, times_one


def print_tables(quick: bool, json: str | None) -> None:
    """Evaluations of f by kinds of problems, then the time of the main job beside that of L-BFGS-B."""
    path = json_path(json)
    out = console(to_stderr=json == "-")
    rows = list(tables(quick))
    numbers = ("number", "certified", "median", "ninth decile", "CPU s", "aim")
    shown = (
        (r.name, str(r.problems), str(r.certified), f"{r.median:g}", f"{r.decile:g}", f"{r.seconds:.2g}", r.aim)
        for r in rows
    )
    out.print(table("problems", *map(right, numbers), rows=shown))
    ratio = times_lbfgsb()
    out.print(f"lionk solve's problem takes {ratio:.1f} times the CPU time of L-BFGS-B to the same gap (aim: 5)")
    many = times_one()
    out.print(f"a hundred problems of 20 variables at once take {many:.1f} times the CPU time of one (aim: 5)")
    if path is not None:
        write_json(path, {"rows": [asdict(r) for r in rows], "times_lbfgsb": ratio, "times_one": many})
