"""A recorded pass as loops over entries, compiled by numba, with calls of NumPy's functions between them.

A compiler makes vector instructions of arithmetic; NumPy's tanh, exp and sums are faster than what it makes of those.
numba is imported when a loop is made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property, lru_cache, partial
from typing import Any

from lionk.backend.protocol import missing
from lionk.recording.emit import bracket, function, phrase, scalar
from lionk.recording.program import REDUCTIONS, SIGNS, Node, Pass, Program
from lionk.recording.selection import tally

from . import exact
from .entries import HALVES, KEPT, Kinds, Words, entry, indented, names, places, rows
from .reduced import STARTS, reduction
from .text import CALLS, over

SIGNS_OF_BITS = {"bitwise_and": "&", "bitwise_xor": "^", "bitwise_right_shift": ">>"}
# A conditional expression, since np.where of two numbers is hundreds of times slower; every number is made ``real``,
# since an integer in the text would promote float32.
PHRASES = {op: f"{{out}} = {{0}} {s} {{1}}" for op, s in (SIGNS | SIGNS_OF_BITS).items()} | {
    "negative": "{out} = -{0}",
    "abs": "{out} = abs({0})",
    "sqrt": "{out} = real(sqrt({0}))",
    "sign": "{out} = copysign(one, {0}) if ({0} > zero or {0} < zero) else {0} + zero",  # -0 gives 0, and NaN itself
    "maximum": "{out} = {0} if ({0} >= {1} or {0} != {0}) else {1}",
    "minimum": "{out} = {0} if ({0} <= {1} or {0} != {0}) else {1}",
    "where": "{out} = {1} if {0} else {2}",
    "isnan": "{out} = {0} != {0}",
    "isfinite": "{out} = {0} - {0} == zero",
    "astype": "{out} = real({0})",
    "view": "{out} = view_{dtype}({0})",
    "logical_and": "{out} = {0} and {1}",
    "logical_or": "{out} = {0} or {1}",
    "logical_not": "{out} = not {0}",
    "output": "{out}_[i] = kept_{out}({0})",
}
# Beside reductions, which are rounded in an order of their own; elsewhere an exponential is that of NumPy, bit for bit.
BESIDE_SUMS = PHRASES | {"exp": "{out} = exp({0})"}


def compilable(program: Program) -> bool:
    """Is numba here, and are entries real, of 64 bits or of at most 32, of which the latter are computed in float32?"""
    n = program.nodes
    kinds = {str(v.dtype) for v in n if v.array} - {"bool"}
    called = [i for p in program.passes() for i in p.body if n[i].op not in PHRASES]
    called += [a for i in called for a in n[i].args if n[a].array]
    called += [v.args[0] for v in n if v.op in REDUCTIONS]
    between = {str(n[i].dtype) for i in called}  # what NumPy's functions take and give
    one = kinds == {"float64"} or (kinds <= {"float32", "int32", *HALVES} and not between & {"int32", *HALVES})
    return one and not missing("numba", "numba")


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
        self._real = np.float64 if any(str(v.dtype) == "float64" for v in n if v.array) else np.float32
        sums = self._real is np.float32 and any(v.op in STARTS for v in n)
        self._phrases = BESIDE_SUMS if sums else PHRASES
        halves = any(str(v.dtype) == "bfloat16" for v in n)
        self._rounded = partial(exact.rounding, bits=exact.known(program.nodes)) if halves else rounded
        self._kinds = {v.args[0]: str(v.dtype) for v in n if v.op == "input" and v.array}
        self._names = {i: f"s{k}" for k, i in enumerate(step.numbers)}
        self._lines: list[str] = []
        self._space: dict[str, Any] = {"np": np, "tally": tally, "real": self._real, "over": over(program)}
        self._space |= {"int32": np.int32, "float16": np.float16}
        names = self._names | {i: v.args[0] for i, v in enumerate(n) if v.op == "input" and v.array}
        calls = [i for i in step.body if n[i].op not in self._phrases]
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
        results = ""
        if roots and all(program.nodes[i].op in STARTS for i in step.targets):
            results = self._reduced(n, [(program.nodes[i].op, a) for i, a in zip(step.targets, roots, strict=True)])
        elif roots:  # an order statistic
            self._loop(n, {self._buffer(names, n, a): a for a in dict.fromkeys(roots) if a not in names})
            results = f"{phrase(CALLS, program, step.targets[0], [names[roots[0]]])}, "
        else:
            self._loop(n, program.outputs)
        numbers = [*self._names.values(), *bracket(program, step)]
        arguments = [*program.arrays, *numbers, *self.buffers]
        self.run = function("run", arguments, [*self._lines, f"return ({results})"], self._space)
        self.alone = not (calls or roots)  # is it one loop, that needs nothing else?
        self._many = ["places", "sizes", *numbers]
        self._arrays = program.arrays

    @cached_property
    def many(self) -> Callable[..., None]:
        """``many(places, sizes, *numbers)``: the step of contiguous arrays at these addresses, a row for each array.

        The places of entries have a row of numbers, those of the first ones.
        """
        kinds = tuple((a, self._kinds[a]) for a in self._arrays)
        return _jit_many(tuple(self._many), tuple(self._lines), self._space["loop0"], kinds)

    def _buffer(self, names: dict[int, str], n: list[Node], i: int) -> str:
        names[i] = f"b{len(self.buffers)}"
        self.buffers[names[i]] = n[i].dtype
        return names[i]

    def _loop(self, n: list[Node], outputs: dict[str, int]) -> None:
        """A loop that writes these nodes into the arrays of these names."""
        if not outputs:
            return
        words, given = self._words(n, outputs)
        name = f"loop{len(self._lines)}"
        self._space[name] = _jit(*words, along=self._along, real=self._real)
        self._lines.append(f"{name}({given})")

    def _reduced(self, n: list[Node], targets: list[tuple[str, int]]) -> str:
        """A loop that reduces these nodes, and the text of what it gives."""
        roots = list(dict.fromkeys(a for _, a in targets))
        words, given = self._words(n, {f"t{k}": a for k, a in enumerate(roots)})
        wanted = tuple((op, f"t{roots.index(a)}") for op, a in targets)
        self._space["reduce"] = reduction(*words, wanted, self._along, self._real)
        self._lines.append(f"found = reduce({given})")
        return "".join(f"real(found[{k}]), " if self._along is None else f"found[{k}], " for k in range(len(targets)))

    def _words(self, n: list[Node], outputs: dict[str, int]) -> tuple[tuple[Any, ...], str]:
        """What makes the text of a loop that writes these nodes, as ``_jit`` takes it, and what it is called with."""
        program = Program(tuple(n), outputs, self._along)
        step = program.passes()[-1]
        text = scalar(program, step, self._phrases, constant, self._rounded)
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
                given_as = f"float16({self._names[i]})" if _is_half(n[i].dtype) else self._names[i]
                numbers[own] = number(given_as, n[i].dtype)
        kinds = [(a, self._kinds.get(a, "")) for a in arrays]
        words = (arrays, slices, numbers, read, text.lines, kinds)
        there = [a for a in arrays if not (a in outputs and a.startswith("t"))]  # those of a reduction are its own
        return tuple(map(tuple, words)), ", ".join([*there, *slices.values(), *numbers.values()])


def constant(value: Any, dtype: Any) -> str:
    return number(repr(float(dtype.type(value)) if _is_half(dtype) else value), dtype)  # inf and nan are names there


def number(text: str, dtype: Any) -> str:
    return f"{'int32' if str(dtype) == 'int32' else 'real'}({text})"


def _is_half(dtype: Any) -> bool:
    """Is it NumPy's float16, to which NumPy rounds numbers, too, before it computes with them? PyTorch does not."""
    return getattr(dtype, "char", "") == "e"


def rounded(node: Node) -> str:
    """What brings a result into its dtype, where nothing else is known of the bits of the numbers."""
    return exact.rounding(node, None)


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
def _jit_many(arguments: Words, lines: Words, loop: Callable[..., None], kinds: Kinds) -> Callable[..., None]:
    import numpy as np
    from numba import carray, njit

    arrays = [
        f"{a} = places[{k}, k]" if kind == "int32" else f"{a} = carray(pointer(places[{k}, k]), (sizes[k],), {kind})"
        for k, (a, kind) in enumerate(kinds)
    ]
    text = ["for k in range(sizes.size):", *(f"    {line}" for line in (*arrays, *lines))]
    space = {"loop0": loop, "carray": carray, "pointer": _pointer(), "int32": np.int32}
    space |= {
        "float32": np.float32,
        "float64": np.float64,
        "real": np.float64 if ("x", "float64") in kinds else np.float32,
    }
    space |= dict.fromkeys(HALVES, np.int16)
    return njit(nogil=True, error_model="numpy")(function("many", list(arguments), text, space))


@lru_cache(KEPT)
def _jit(
    arrays: Words,
    slices: Words,
    numbers: Words,
    read: Words,
    lines: Words,
    kinds: Kinds,
    along: int | None,
    real: Any,
) -> Callable[..., None]:
    """``loop(*arrays, *slices, *numbers)``: over one axis, or over the rows of matrices and along each of them.

    ``slices`` are the names of numbers of which each slice along the axis ``along`` has its own. ``kinds``: the dtypes
    of the arrays, by their names. What has been compiled serves every optimizer with the same text, whatever its lr,
    decay and betas.
    """
    from numba import njit

    body = entry(arrays, slices, read, lines, kinds, along)
    counted = places(kinds, along)
    sized = next(a for a in arrays if a not in counted)
    text = [f"for i in range({sized}_.size):", *indented(body)]
    if along is not None:
        text = [f"for r in range({sized}__.shape[0]):", *indented([*rows(arrays, slices, along), *text])]
    mark = "_" if along is None else "__"
    arguments = [f"{a}{mark}" for a in (*arrays, *slices)] + list(numbers)
    whole = function("loop", arguments, ["one, zero = real(1), real(0)", *text], names(real))
    return njit(nogil=True, error_model="numpy")(whole)
