"""A recorded pass as loops over entries, compiled by numba, with calls of NumPy's functions between them.

A compiler makes vector instructions of arithmetic; NumPy's tanh, exp and sums are faster than what it makes of those.
numba is imported when a loop is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, cached_property, lru_cache
from typing import Any

from lionk.backend.protocol import missing
from lionk.recording.emit import bracket, function, phrase, scalar
from lionk.recording.program import REDUCTIONS, SIGNS, Node, Pass, Program
from lionk.recording.selection import tally

from .text import CALLS, over

# A conditional expression, since np.where of two numbers is hundreds of times slower; every number is made ``real``,
# since an integer in the text would promote float32.
PHRASES = {op: f"{{out}} = {{0}} {s} {{1}}" for op, s in SIGNS.items()} | {
    "negative": "{out} = -{0}",
    "abs": "{out} = abs({0})",
    "sqrt": "{out} = real(sqrt({0}))",
    "sign": "{out} = one if {0} > zero else (-one if {0} < zero else (zero if {0} == zero else {0}))",
    "maximum": "{out} = {0} if ({0} >= {1} or {0} != {0}) else {1}",
    "minimum": "{out} = {0} if ({0} <= {1} or {0} != {0}) else {1}",
    "where": "{out} = {1} if {0} else {2}",
    "isnan": "{out} = {0} != {0}",
    "logical_and": "{out} = {0} and {1}",
    "logical_or": "{out} = {0} or {1}",
    "logical_not": "{out} = not {0}",
    "output": "{out}_[i] = {0}",
}


Words = tuple[str, ...]
KEPT = 256  # compiled loops


def compilable(program: Program) -> bool:
    """Is numba here, and are entries real and of one dtype?"""
    kinds = {str(n.dtype) for n in program.nodes if n.array} - {"bool"}
    return kinds in ({"float32"}, {"float64"}) and not missing("numba", "numba")


class Loops:
    """One pass on tiles of one axis, or of a matrix in a record of its slices.

    ``run(x, m, grad, *numbers, *buffers)`` gives what the tile reduces.
    Every loop computes its arithmetic from the inputs, again if need be, and from what the calls before it have made.
    x and m are written by the last one.
    """

    def __init__(self, program: Program, step: Pass) -> None:
        import numpy as np

        n = list(program.nodes)
        self._along = program.along
        self.buffers: dict[str, Any] = {}  # name and dtype
        self._real = next(v.dtype.type for v in n if v.op == "input")
        self._names = {i: f"s{k}" for k, i in enumerate(step.numbers)}
        self._lines: list[str] = []
        self._space: dict[str, Any] = {"np": np, "tally": tally, "real": self._real, "over": over(program)}
        names = self._names | {i: v.args[0] for i, v in enumerate(n) if v.op == "input" and v.array}
        calls = [i for i in step.body if n[i].op not in PHRASES]
        depth: dict[int, int] = {}  # how many calls lie before a node, one after the other
        for i in step.body:
            depth[i] = max((depth.get(a, 0) + (a in calls) for a in n[i].args), default=0)
        for level in sorted({depth[i] for i in calls}):
            now = [i for i in calls if depth[i] == level]
            wanted = dict.fromkeys(a for i in now for a in n[i].args if a in depth and a not in names)
            self._loop(n, {self._buffer(names, n, a): a for a in wanted})
            for i in now:
                out = self._buffer(names, n, i)
                self._lines.append(phrase(CALLS, program, i, [names[a] for a in n[i].args], out))
            for i in now:
                n[i] = Node("input", (names[i],), n[i].dtype, n[i].level, True)
        roots = [program.nodes[i].args[0] for i in step.targets if program.nodes[i].op in REDUCTIONS]
        if roots:
            self._loop(n, {self._buffer(names, n, a): a for a in dict.fromkeys(roots) if a not in names})
        else:
            self._loop(n, program.outputs)
        results = "".join(
            f"{phrase(CALLS, program, i, [names[a]])}, " for i, a in zip(step.targets, roots, strict=False)
        )
        numbers = [*self._names.values(), *bracket(program, step)]
        arguments = ["x", "m", "grad", *numbers, *self.buffers]
        self.run = function("run", arguments, [*self._lines, f"return ({results})"], self._space)
        self.alone = not (calls or roots)  # is it one loop, that needs nothing else?
        self._many = ["places", "sizes", *numbers]

    @cached_property
    def many(self) -> Callable[..., None]:
        """``many(places, sizes, *numbers)``: the step of contiguous arrays at these addresses, a row for x, m, grad."""
        return _jit_many(tuple(self._many), tuple(self._lines), self._space["loop0"], self._real)

    def _buffer(self, names: dict[int, str], n: list[Node], i: int) -> str:
        names[i] = f"b{len(self.buffers)}"
        self.buffers[names[i]] = n[i].dtype
        return names[i]

    def _loop(self, n: list[Node], outputs: dict[str, int]) -> None:
        """A loop that writes these nodes into the arrays of these names."""
        if not outputs:
            return
        program = Program(tuple(n), outputs, self._along)
        step = program.passes()[-1]
        text = scalar(program, step, PHRASES, lambda value, _: f"real({value!r})")  # inf and nan are names there
        used = [a for i in step.body for a in n[i].args] + list(outputs.values())
        read = list(dict.fromkeys(n[i].args[0] for i in used if n[i].op == "input" and n[i].array))
        arrays = list(dict.fromkeys([*read, *outputs]))
        given = [i for i in step.numbers if n[i].op != "constant"]
        slices: dict[str, str] = {}  # the names of numbers, in the loop and here, of which each slice has its own
        numbers: dict[str, str] = {}
        for own, i in zip(text.numbers, given, strict=True):
            if program.by_slices(i):
                slices[own] = self._names[i]
            else:
                numbers[own] = f"real({self._names[i]})"
        name = f"loop{len(self._lines)}"
        words = (arrays, slices, numbers, read, text.lines)
        self._space[name] = _jit(*map(tuple, words), along=self._along, real=self._real)
        self._lines.append(f"{name}({', '.join([*arrays, *slices.values(), *numbers.values()])})")


@cache
def _pointer() -> Any:
    """An address, as what numba's carray takes."""
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    @intrinsic
    def pointer(_: Any, address: Any) -> Any:
        def code(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], cgutils.voidptr_t)

        return types.voidptr(address), code

    return pointer


@lru_cache(KEPT)
def _jit_many(arguments: Words, lines: Words, loop: Callable[..., None], real: Any) -> Callable[..., None]:
    from numba import carray, njit

    arrays = [f"{a} = carray(pointer(places[{k}, k]), (sizes[k],), real)" for k, a in enumerate(("x", "m", "grad"))]
    text = ["for k in range(sizes.size):", *(f"    {line}" for line in (*arrays, *lines))]
    space = {"loop0": loop, "real": real, "carray": carray, "pointer": _pointer()}
    return njit(nogil=True, error_model="numpy")(function("many", list(arguments), text, space))


@lru_cache(KEPT)
def _jit(
    arrays: Words, slices: Words, numbers: Words, read: Words, lines: Words, along: int | None, real: Any
) -> Callable[..., None]:
    """``loop(*arrays, *slices, *numbers)``: over one axis, or over the rows of matrices and along each of them.

    ``slices`` are the names of numbers of which each slice along the axis ``along`` has its own. What has been compiled
    serves every optimizer with the same text, whatever its lr, decay and betas.
    """
    from numba import njit

    by_entry = slices if along == 0 else ()
    body = [f"{a} = {a}_[i]" for a in (*read, *by_entry)] + list(lines)
    text = [f"for i in range({arrays[0]}_.size):", *(f"    {line}" for line in body)]
    if along is not None:
        rows = [f"{a}_ = {a}__[r]" for a in arrays] + [f"{s}_ = {s}__[0]" for s in by_entry]
        rows += [f"{s} = {s}__[r, 0]" for s in slices if s not in by_entry]
        text = [f"for r in range({arrays[0]}__.shape[0]):", *(f"    {line}" for line in (*rows, *text))]
    mark = "_" if along is None else "__"
    arguments = [f"{a}{mark}" for a in (*arrays, *slices)] + list(numbers)
    space: dict[str, Any] = {"real": real, "sqrt": math.sqrt, "inf": math.inf, "nan": math.nan}
    whole = function("loop", arguments, ["one, zero = real(1), real(0)", *text], space)
    return njit(nogil=True, error_model="numpy")(whole)
