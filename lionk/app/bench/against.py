"""Two commits in one run: each has a process of its own, which play the same scenes in turns.

A slow-down is believed if 99 % bounds of the ratio lie above 1, the ratio is above a threshold, and two other processes
say so again.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from . import timing

THRESHOLD = 1.05  # what is below is not told from chance: where things lie in memory is worth some hundredths


class Side:
    """A process that plays the scenes of one checkout."""

    def __init__(self, tree: Path, python: str, worker: Path, environment: dict[str, str]) -> None:
        command = [python, "-P", str(worker), "serve", "times"]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tree
        )

    def ask(self, **question: Any) -> dict[str, Any]:
        """One line there, one line back. Raises EOFError if the process has ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise EOFError(f"the process of {self._process.args!r} has ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def serve(_: str) -> None:
    """The other end: scenes by name, and turns of the one that was asked for last."""
    out, sys.stdout = sys.stdout, sys.stderr
    known = {f"{s.subject}, {s.case}": s for s in timing.timeable()}
    clock: timing.Clock | None = None
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if "scene" in question:
                clock = timing.clock(timing.playable(known[question["scene"]]))
            elif "turn" in question and clock is not None:
                answer = {"seconds": clock()}
            else:
                answer = {"scenes": list(known)}
        except Exception as error:  # the commit may lack it, or be broken
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        out.write(json.dumps(answer) + "\n")
        out.flush()


@dataclass(frozen=True)
class Verdict:
    """The time of a scene now, in multiples of that of the other commit."""

    name: str
    ratio: timing.Ratio | None
    error: str = ""  # why there is no ratio
    confirmed: bool = True  # by other processes, where it was to be

    def row(self) -> dict[str, Any]:
        """The verdict as plain values, for JSON."""
        numbers = {} if self.ratio is None else self.ratio._asdict()
        return {"name": self.name, "slower": self.slower, "faster": self.faster, "error": self.error} | numbers

    @property
    def slower(self) -> bool:
        return self.confirmed and self.ratio is not None and self.ratio.value > THRESHOLD and self.ratio.low > 1

    @property
    def faster(self) -> bool:
        return self.confirmed and self.ratio is not None and self.ratio.value < 1 / THRESHOLD and self.ratio.high < 1


def play(before: Side, now: Side, name: str, seconds: float) -> Verdict:
    """Pairs of turns of one scene."""
    for side, which in ((before, "before"), (now, "now")):
        answer = side.ask(scene=name)
        if "error" in answer:
            return Verdict(name, None, f"{which}: {answer['error']}")
    pairs = timing.turns(lambda: before.ask(turn=1)["seconds"], lambda: now.ask(turn=1)["seconds"], seconds)
    return Verdict(name, timing.ratio(pairs))


def compare(
    sides: Callable[[], contextlib.AbstractContextManager[tuple[Side, Side]]],
    wanted: Callable[[str], bool],
    seconds: float,
    told: Callable[[Verdict], None],
) -> list[Verdict]:
    """Every scene that both commits have; those that seem to differ once more, by new processes, which must agree."""
    found = {}
    with sides() as (before, now):
        for name in filter(wanted, now.ask()["scenes"]):
            found[name] = play(before, now, name, seconds)
            told(found[name])
    again = [v for v in found.values() if v.slower or v.faster]
    if again:
        with sides() as (before, now):
            for first in again:
                second = play(before, now, first.name, 2 * seconds)
                agree = (first.slower, first.faster) == (second.slower, second.faster)
                found[first.name] = replace(second, confirmed=agree)
    return list(found.values())


@contextlib.contextmanager
def worktree(root: Path, commit: str) -> Iterator[Path]:
    """A checkout of a commit, which is removed in the end. Raises ValueError for what is no commit."""
    found = _git(root, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    if found.returncode:
        raise ValueError(f"{commit} is no commit of {root}")
    with TemporaryDirectory(prefix="lionk-against-") as folder:
        tree = Path(folder) / "tree"
        made = _git(root, "worktree", "add", "--detach", "--quiet", str(tree), found.stdout.strip())
        if made.returncode:
            raise ValueError(f"{commit} cannot be checked out: {made.stderr.strip()}")
        try:
            yield tree
        finally:
            _git(root, "worktree", "remove", "--force", str(tree))


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
