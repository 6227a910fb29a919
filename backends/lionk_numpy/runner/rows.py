"""All passes of a record in one compiled loop over rows: what a pass reads again is then still in the first caches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from lionk.recording.emit import assignments, function
from lionk.recording.program import REDUCTIONS, Pass, Program

from .compiled import PHRASES, constant, number, rounded
from .entries import HALVES, KEPT, Words, entry, indented, names
from .reduced import STARTS, lanes, reduced


def rowwise(program: Program) -> bool:
    """Is this a step of rows, for a loop that calls nothing?"""
    passes, n = program.passes(), program.nodes
    own = [n[i] for p in passes for i in p.body] + [n[i] for i in _numbers(program) if n[i].op not in STARTS]
    known = all(v.op in PHRASES or not (v.level or v.array) for v in own)
    return known and program.along == 1 and len(passes) > 1 and not {str(v.dtype) for v in n} & {"int32", *HALVES}


def _numbers(program: Program) -> list[int]:
    """The numbers that the passes take, and what the slices' own are made of, in order; no constants."""
    n, seen = program.nodes, set[int]()
    left = [i for p in program.passes() for i in p.numbers]
    while left:
        i = left.pop()
        if i not in seen:
            seen.add(i)
            left += [a for a in n[i].args if not n[a].array] if n[i].level else []
    return sorted(i for i in seen if n[i].op != "constant")


class Rows:
    """``run(x, m, grad, *numbers)`` steps matrices; the numbers are those of its one pass, known beforehand."""

    def __init__(self, program: Program) -> None:
        import numpy as np

        n = program.nodes
        given = [i for i in _numbers(program) if not n[i].level]
        self.step = Pass((), tuple(given), program.passes()[-1].targets)
        self.buffers: dict[str, Any] = {}
        real = np.float64 if any(str(v.dtype) == "float64" for v in n if v.array) else np.float32
        own = tuple(f"s{i}" for i in given)
        most = max(len(p.targets) for p in program.passes()[:-1])
        loop = _jit(program.arrays, own, tuple(_text(program)), most, real)
        ready = [number(s, n[i].dtype) for s, i in zip(own, given, strict=True)]
        lines = [f"loop({', '.join([*program.arrays, *ready])})", "return ()"]
        self.run: Callable[..., Any] = function("run", [*program.arrays, *own], lines, {"loop": loop, "real": real})


def _text(program: Program) -> Iterator[str]:
    """What is done to the row of number r: pass by pass, and the numbers in between."""
    n, arrays, numbers = program.nodes, program.arrays, _numbers(program)
    name = {i: v.args[0] if v.array else f"s{i}" for i, v in enumerate(n) if v.op == "input" or i in numbers}
    *before, last = program.passes()
    for k, step in enumerate((*before, last)):
        made = [i for i in numbers if n[i].level == k > 0 and n[i].op not in REDUCTIONS]
        yield from assignments(program, made, name, PHRASES, constant, rounded)
        here = dict(name)
        lines = assignments(program, step.body, here, PHRASES, constant, rounded)
        used = {a for i in step.body for a in n[i].args} | {a for i in step.targets for a in (i, *n[i].args)}
        read = tuple(n[i].args[0] for i in sorted(used) if n[i].op == "input" and n[i].array)
        body = entry((), (), read, tuple(lines), (), None)
        if step is last:
            yield from (f"{a}_ = {a}__[r]" for a in arrays)
            values = [constant(n[i].args[0], n[i].dtype) if n[i].op == "constant" else here[i] for i in step.targets]
            body += [f"{a}_[i] = {value}" for a, value in zip(program.outputs, values, strict=True)]
            yield from (f"for i in range({arrays[0]}_.size):", *indented(body))
            return
        targets = tuple((n[i].op, here[n[i].args[0]]) for i in step.targets)
        lines = [*(f"{a}_ = {a}__[r]" for a in read), *reduced(read, body, targets, f"a{k}_")]
        for j, i in enumerate(step.targets):
            name[i] = f"v{i}"
            lines.append(f"v{i} = real(a{k}_{j})")
        known = [name[n[i].args[1]] for i in step.targets if len(n[i].args) > 1]
        if len(known) == len(targets):
            yield from (f"v{i} = {v}" for i, v in zip(step.targets, known, strict=True))
            lines = [f"if {' or '.join(f'{v} != {v}' for v in known)}:", *indented(lines)]
        yield from lines


@lru_cache(KEPT)
def _jit(arrays: Words, numbers: Words, text: Words, most: int, real: Any) -> Callable[..., None]:
    from numba import njit

    arguments = [*(f"{a}__" for a in arrays), *numbers]
    whole = ["one, zero = real(1), real(0)", *lanes(most), f"for r in range({arrays[0]}__.shape[0]):", *indented(text)]
    return njit(nogil=True, error_model="numpy")(function("loop", arguments, whole, names(real)))
