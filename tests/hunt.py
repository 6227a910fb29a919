"""A hunt for false statements: draws compositions of ``grammar``, and asks of each what must hold. Run it with

    python tests/hunt.py --count 1000                                          every check of each, in NumPy
    python tests/hunt.py --count 100000 --only gaps --size few --limit 0.2     certificates, of many more
    python tests/hunt.py --count 1000 --only gaps,selections --size large      and of longer arrays
    python tests/hunt.py --count 1000 --only runs --limit 20                   runs of minimize
    python tests/hunt.py --count 100 --only libraries --limit 60               all libraries, and arrays of no entry

It says how far it is as it goes; at its end it prints how many statements were tried, and those that were false, by
kind; its exit code says whether there was one. Ctrl-C ends it early, with what it has. The tests run the same checks on
fewer draws.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import numpy as np

import grammar
import lionk
from lionk.functions.calculus import joint
from lionk.sets.rules import Minkowski
from statements import CHECKS, SHAPES, Case

IN_NUMPY = [name for name in CHECKS if name != "libraries"]
DRAWN = {
    "": SHAPES,
    "few": [shape for shape in SHAPES if math.prod(shape) <= 4],
    "large": [(30,), (100,), (300,), (1000,), (1, 300), (300, 1), (12, 30), (30, 12), (20, 20), (40, 3, 2), (3, 1, 40)],
}


def drawn(seed: int, index: int, depths: Any = (0, 1, 1, 2, 2, 3), shapes: Any = SHAPES) -> Case:
    rng = np.random.default_rng([seed, index])
    one = grammar.by(rng)
    shape = one(shapes)
    made = grammar.function(one, shape, one(depths))
    return Case(made, shape, one(["float64", "float64", "float32"]), rng)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in what takes more of the processor's time, however busy the machine is."""

    ended = []

    def late(*_: Any) -> None:
        ended.append(True)
        raise TimeoutError(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    except Exception as error:
        if ended and not isinstance(error, TimeoutError):  # what was at work made an error of its own of it
            late()
        raise
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def found_once() -> Iterator[None]:
    """A value, its ends, its subgradient and a domain at one point ask for one split: it is found once for them all.

    What is found is the library's, bit for bit; a statement costs a quarter.
    """
    kept: dict[Any, Any] = {}

    def once(find: Any, key: Any, *arguments: Any) -> Any:
        if key not in kept:
            kept[key] = find(*arguments), arguments  # with what the ids in the key belong to
        return kept[key][0]

    def split(xp: Any, functions: list[Any], y: Any, batch: int, shortest: Any, apart: Any) -> Any:
        if not isinstance(y, np.ndarray):  # of another library, or of a trace
            return before[0](xp, functions, y, batch, shortest, apart)
        key = *map(id, functions), batch, y.shape, y.tobytes(), np.asarray(shortest).tobytes(), apart is None
        return once(before[0], key, xp, functions, y, batch, shortest, apart)

    def parts(self: Any, xp: Any, y: Any, batch: int) -> Any:
        if not isinstance(y, np.ndarray):
            return before[1](self, xp, y, batch)
        return once(before[1], (id(self), batch, y.shape, y.tobytes()), self, xp, y, batch)

    before = joint.split, Minkowski._split
    with patch.object(joint, "split", split), patch.object(Minkowski, "_split", parts):
        yield


def asked(case: Case, names: list[str], limit: float) -> list[tuple[float, str]]:
    """Put these checks to one function. Returns the seconds of each."""
    took = []
    for name in names:
        then = time.process_time()
        try:
            with limited(limit), found_once(), np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                CHECKS[name](case)
        except lionk.NotAvailable:
            case.counts[f"{name}: not available"] += 1
        except TimeoutError:
            case.counts[f"{name}: more than {limit:g} s"] += 1
        except Exception as error:  # what a user would meet
            case.false.append((f"{name} raises", f"{case}: {type(error).__name__}: {error}"))
        took.append((time.process_time() - then, f"{name} {case}"))
    return took


def hunt(
    count: int,
    seed: int = 0,
    start: int = 0,
    seconds: float = math.inf,
    only: str = "",
    depths: Any = (0, 1, 1, 2, 2, 3),
    limit: float = 2.0,
    size: str = "",
    every: float = math.inf,
) -> tuple[Counter[str], list[tuple[str, str]], list[tuple[float, str]]]:
    """``only``: names of checks. ``seconds``: of the whole hunt; ``limit``: of the processor's, of one check;
    ``size``: of arrays, "few" entries, at most 4, or "large"; ``every``: so many seconds it says how far it is, and
    what is false at once.
    """
    counts: Counter[str] = Counter()
    false: list[tuple[str, str]] = []
    slow: list[tuple[float, str]] = []
    seen: set[str] = set()
    began = time.perf_counter()
    names, ends, next_word = only.split(",") if only else IN_NUMPY, began + seconds, began + every
    with suppress(KeyboardInterrupt):
        for i in range(start, start + count):
            if time.perf_counter() > ends:
                break
            try:
                case = drawn(seed, i, depths, DRAWN[size])
            except (ValueError, lionk.NotAvailable):
                counts["refused"] += 1
                continue
            slow = sorted([*slow, *asked(case, names, limit)], reverse=True)[:10]
            counts += case.counts + Counter(compositions=1)
            seen.add(case.made.text)
            counts["different compositions"] = len(seen)
            new = [(kind, f"[{i}] {text}") for kind, text in case.false]
            false += new
            if every < math.inf:
                sys.stderr.write("".join(f"FALSE {kind}: {text}\n" for kind, text in new))
            if time.perf_counter() > next_word:
                next_word = time.perf_counter() + every
                sys.stderr.write(
                    f"{next_word - every - began:.0f} s: {i + 1 - start} draws, {counts['compositions']} functions, "
                    f"{sum(counts.values()) - counts['compositions'] - len(seen)} statements, {len(false)} false\n"
                )
    return counts, false, slow


def told(counts: Counter[str], false: list[tuple[str, str]], slow: list[tuple[float, str]], show: int = 3) -> str:
    """Counts by statement, the false ones with their first examples, and the longest checks."""
    kinds = Counter(kind for kind, _ in false)
    lines = [f"{n:9d}  {kind}" + f"   FALSE: {kinds[kind]}" * (kind in kinds) for kind, n in sorted(counts.items())]
    lines += [f"           {kind}   FALSE: {n}" for kind, n in kinds.items() if kind not in counts]
    for kind in sorted(kinds):
        lines += [f"{kind}: {text}" for text in [t for k, t in false if k == kind][:show]]
    lines += [f"{seconds:.2f} s {text}" for seconds, text in slow]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--only", default="")
    parser.add_argument("--depths", type=int, nargs="+", default=[0, 1, 1, 2, 2, 3])
    parser.add_argument("--limit", type=float, default=2.0, help="seconds that a check may take")
    parser.add_argument("--size", choices=list(DRAWN), default="", help="of arrays: few entries, at most 4, or large")
    parser.add_argument("--every", type=float, default=20.0, help="seconds from one word on its progress to the next")
    parser.add_argument("--show", type=int, default=3)
    options = parser.parse_args()
    given = vars(options)
    show = given.pop("show")
    found = hunt(**given)
    sys.stdout.write(told(*found, show))
    return int(bool(found[1]))


if __name__ == "__main__":
    sys.exit(main())
