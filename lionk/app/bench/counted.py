"""``lionk bench --counts``: print the counts, compare them with the record, or write them down."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..console import BadInput, Failed, bad_input, console, one_of, right, table, unbroken
from ..files import json_path, output_path, write_json, writing
from . import counts as tally


def count(check: bool, record: bool, file: str | None, part: str | None, json: str | None) -> None:
    """``lionk bench --counts``."""
    if check and record:
        raise BadInput("--check compares with the record, --record replaces it: give one of them")
    one_of(tally.PARTS, part, "with --counts, --only")
    path = tally.RECORD if file is None else Path(file)
    with bad_input(ValueError):
        before = tally.read(path) if check else None
    if record:
        output_path(str(path), "--file")
    target = json_path(json)
    out = console(to_stderr=json == "-")
    parts = list(tally.PARTS) if part is None else [part]
    now = made(parts)
    for missing, why in now.absent.items():
        out.print(f"not counted: {missing} ({why})", style="dim")
    if target is not None:
        rows = [
            dict(zip(("part", "subject", "case", "unit", "value"), (*k, v), strict=True)) for k, v in now.values.items()
        ]
        write_json(target, {"versions": now.versions, "counts": rows})
    if record:
        with writing(path):
            tally.write(path, now)
        out.print(f"{len(now.values)} counts are in {path}", soft_wrap=True)
    elif before is not None:
        judge(tally.compare(before, now, parts), out)
    elif json != "-":
        lines: dict[str, list[str]] = {}
        for (_, subject, case, unit), value in now.values.items():
            lines.setdefault(f"{subject}, {case}", []).append(f"{unit} {value:g}")
        for name, numbers in lines.items():
            out.print(f"{name}: {', '.join(numbers)}", soft_wrap=True, markup=False)


def made(parts: list[str], tree: Path = tally.TREE, python: str = sys.executable) -> tally.Counts:
    """``counts.count``. Raises Failed where it raises RuntimeError."""
    try:
        return tally.count(parts, tree, python)
    except RuntimeError as error:
        raise Failed(str(error)) from None


def judge(found: tally.Comparison, out: Any, recorded: bool = True) -> None:
    """Say what grew and what fell, since the record or since a commit. Raises Failed if something grew."""
    for title, some in (("grew", found.grew), ("fell", found.fell)):
        if some:
            columns = (unbroken("count"), right("before"), right("now"))
            out.print(table(*columns, rows=some, title=f"{len(some)} {title}"))
    for reason, number in found.left.items():
        out.print(f"{number} not compared: {reason}", soft_wrap=True)
    if found.fell and recorded:
        out.print("Write the smaller counts down, so that they stay so: lionk bench --counts --record")
    if found.grew:
        meant = "; if this is meant, lionk bench --counts --record" if recorded else ""
        raise Failed(f"{len(found.grew)} counts grew, {found.same} are the same{meant}")
    out.print(f"no count grew; {found.same} are the same")
