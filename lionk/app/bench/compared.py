"""``lionk bench --against COMMIT``: the checkout that is imported and another commit, side by side."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..console import BadInput, Failed, bad_input, console, right, table, unbroken
from ..files import json_path, write_json
from . import against as pairs
from . import counts as tally
from .counted import judge, made


def compare(commit: str, counts: bool, only: str, seconds: float, json: str | None, environment: str | None) -> None:
    """Say by name what differs. Raises Failed if something is slower, or if a count grew."""
    target = json_path(json)
    out = console(to_stderr=json == "-")
    python = sys.executable if environment is None else interpreter(environment)
    with bad_input(ValueError, of=f"--against {commit}: "), pairs.worktree(tally.TREE, commit) as tree:
        if counts:
            parts = [p for p in tally.PARTS if only in p]
            if not parts:
                raise BadInput(f"--only {only}: no part has this in its name; they are {', '.join(tally.PARTS)}")
            before, now = (made(parts, where, python) for where in (tree, tally.TREE))
            judge(tally.compare(before, now, parts), out, recorded=False)
            return
        verdicts = _played(tree, python, only, seconds, out)
    if target is not None:
        write_json(target, {"against": commit, "threshold": pairs.THRESHOLD, "scenes": [v.row() for v in verdicts]})
    _tell(verdicts, commit, out)


def _played(tree: Path, python: str, only: str, seconds: float, out: Any) -> list[pairs.Verdict]:
    @contextlib.contextmanager
    def sides() -> Iterator[tuple[pairs.Side, pairs.Side]]:
        with contextlib.ExitStack() as stack:
            made = []
            for where in (tree, tally.TREE):
                made.append(pairs.Side(where, python, tally.WORKER, tally.environment(where)))
                stack.callback(made[-1].close)
            yield made[0], made[1]

    def told(v: pairs.Verdict) -> None:
        out.print(f"{v.name}: {v.error if v.ratio is None else f'{v.ratio.value:.2f}'}", style="dim", markup=False)

    words = only.lower().split()
    found = pairs.compare(sides, lambda name: all(w in name.lower() for w in words), seconds, told)
    if not found:
        raise BadInput(f"--only {only}: no scene has these words in its name")
    return found


def _tell(verdicts: list[pairs.Verdict], commit: str, out: Any) -> None:
    slower, faster = [v for v in verdicts if v.slower], [v for v in verdicts if v.faster]
    for title, some in (("slower", slower), ("faster", faster)):
        if some:
            columns = (unbroken("scene"), right("times as long"), right("99 % bounds"))
            ratios = ((v.name, r.value, r.low, r.high) for v in some if (r := v.ratio))
            rows = ((name, f"{ratio:.2f}", f"{low:.2f} to {high:.2f}") for name, ratio, low, high in ratios)
            out.print(table(*columns, rows=rows, title=f"{len(some)} {title} than {commit}"))
    lost = [v for v in verdicts if v.ratio is None]
    for v in lost:
        out.print(f"not compared: {v.name} ({v.error})", style="dim", markup=False)
    rest = len(verdicts) - len(slower) - len(faster) - len(lost)
    summary = f"{len(slower)} slower, {len(faster)} faster, {rest} within {pairs.THRESHOLD - 1:.0%} or not told from it"
    if slower:
        raise Failed(summary)
    out.print(summary)


def interpreter(specification: str) -> str:
    """The Python of an environment that asv makes by asv_bench/asv.conf.json; lionk is installed for its entry points.

    Raises BadInput.
    """
    folder = tally.RECORD.parent
    try:
        from asv.config import Config
        from asv.environment import get_environments
        from asv.repo import get_repo
    except ImportError:
        raise BadInput("--environment needs asv: pip install 'lionk[bench]'") from None
    with contextlib.chdir(folder):
        try:
            configuration = Config.load(str(folder / "asv.conf.json"))
            made = next(iter(get_environments(configuration, [specification])))
            made.create()
            repository = get_repo(configuration)
            made.install_project(configuration, repository, repository.get_hash_from_name("HEAD"))
            return str(made.run(["-c", "import sys; print(sys.executable)"])).strip()
        except Exception as error:  # asv raises what pip, git and virtualenv say, in many ways
            raise BadInput(f"--environment {specification} cannot be made: {error}") from None
