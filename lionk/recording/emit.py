"""The text of a recorded pass: calls that write into buffers, or one expression after another for a single entry.

Phrases are format strings with ``{0} {1} {2}`` for the arguments and ``{out}`` for the result. A phrase for
arguments of given kinds, arrays (a) and numbers (n), is found first: ``subtract:na``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from ..arrays.namespace import Array
from .program import BETAS, PYTHON, REDUCTIONS, Node, NotTraceableError, Pass, Program

Arrays = tuple[Array, ...]  # x, m, grad, and those beside them
Alike = TypeVar("Alike", bound=tuple[Array, ...])  # arrays of one shape
T = TypeVar("T")


class Text(NamedTuple):
    lines: list[str]
    numbers: list[str]  # names of the numbers, in the order of the pass
    buffers: dict[str, Any]  # name and dtype of the buffers
    results: list[str]  # expressions: the reductions of a tile


def in_calls(program: Program) -> Program:
    """The record with choices by isnan and isfinite as one operation each, for libraries that have a call for them.

    ``nan_of(a, b)`` is b, but NaN where a is. ``finite_of(a, c)`` is a, but the number c where a is not finite.
    """
    n = program.nodes

    def joined(v: Node) -> Node:
        if v.op != "where" or "complex" in str(v.dtype):
            return v
        test, a, b = v.args
        if n[a].array and n[test].args == (a,) and n[test].op == ("isnan" if n[b].array else "isfinite"):
            return v._replace(op="nan_of" if n[b].array else "finite_of", args=(a, b))
        return v

    return replace(program, nodes=tuple(map(joined, n)))


def with_factors(program: Program) -> Program:
    """The record with the numbers that meet single and double precision in a product, and whole numbers anywhere, as
    arrays of no axis, which are made once: to convert a number takes as long as a call on a thousand entries.
    """
    nodes, made = list(program.nodes), dict[Any, int]()
    for i in sorted({i for p in program.passes() for i in p.body}):
        v = nodes[i]
        kind = str(v.dtype)
        if not ("int" in kind or (v.op == "multiply" and kind.endswith(("float32", "float64")))):
            continue
        args = list(v.args)
        for k, a in enumerate(args):
            if not nodes[a].array and not nodes[a].level:
                if (a, kind) not in made:
                    made[a, kind] = len(nodes)
                    nodes.append(Node("number", (a,), v.dtype, 0, False))
                args[k] = made[a, kind]
        nodes[i] = v._replace(args=tuple(args))
    return replace(program, nodes=tuple(nodes))


def contracted(program: Program, numbers: bool) -> Program:
    """The record with ``a + c b`` and ``a - c b`` as one operation each, for libraries that have a call for them.

    The product is then not rounded by itself. c is a Python number; ``numbers``: so are lr and weight decay. With 16
    bits nothing is joined: PyTorch's call rounds the last entries of a tensor otherwise than the rest.
    """
    n, passes = program.nodes, program.passes()
    body = {i for p in passes for i in p.body}
    read = Counter(a for i in body for a in n[i].args)
    read.update([*program.outputs.values(), *(n[i].args[0] for p in passes[:-1] for i in p.targets)])

    def known(i: int) -> bool:
        own = n[i].op in PYTHON and all(map(known, n[i].args))
        return n[i].op == "constant" or (n[i].op == "input" and (numbers or n[i].args[0] in BETAS)) or own

    def product(i: int) -> list[int]:
        """The array and the number whose product this is, if nothing else needs it."""
        if n[i].op != "multiply" or read[i] > 1 or "16" in str(n[i].dtype):
            return []
        c, a = sorted(n[i].args, key=lambda k: n[k].array)
        return [a, c] if n[a].array and not n[c].array and known(c) and n[a].dtype == n[i].dtype else []

    def fused(i: int) -> Node:
        orders = {"add": (n[i].args, n[i].args[::-1]), "subtract": (n[i].args,)}.get(n[i].op, ())
        for a, b in orders:
            if n[a].array and n[a].dtype == n[b].dtype and (scaled := product(b)):
                return n[i]._replace(op=f"{n[i].op}_scaled", args=(a, *scaled))
        return n[i]

    return replace(program, nodes=tuple(fused(i) if i in body else v for i, v in enumerate(n)))


def buffered(
    program: Program,
    step: Pass,
    phrases: Mapping[str, str],
    apart: frozenset[str] = frozenset(),
) -> Text:
    """Calls with ``out``, tile by tile, with as few buffers as the order allows.

    An output is written in place of its input as soon as that is not read any more. Operations in ``apart`` never write
    over their arguments; a phrase with ``{spare}`` gets a buffer for its own use. A view is no call, but another name.
    """
    n = program.nodes
    roots = [n[i].args[0] for i in step.targets if n[i].op in REDUCTIONS]
    replaces = {} if roots else {place: name for name, place in program.outputs.items()}
    seen: dict[int, int] = {}  # what a view is of
    for i in step.body:
        if n[i].op == "view":
            seen[i] = seen.get(n[i].args[0], n[i].args[0])
    kept_to_the_end = {seen.get(i, i) for i in (*roots, *replaces)}
    # the operation that reads a node last
    last = {seen.get(a, a): i for i in step.body if i not in seen for a in n[i].args}
    name = {i: v.args[0] for i, v in enumerate(n) if v.op == "input"} | {i: f"s{k}" for k, i in enumerate(step.numbers)}
    last_read = {name[a]: i for a, i in last.items() if n[a].op == "input"}
    free: dict[str, list[str]] = {}
    buffers: dict[str, Any] = {}
    lines: list[str] = []

    def acquire(dtype: Any) -> str:
        if free.get(str(dtype)):
            return free[str(dtype)].pop()
        buffers[f"b{len(buffers)}"] = dtype
        return f"b{len(buffers) - 1}"

    def release(some: list[tuple[str, str]]) -> None:
        for kind, b in some:
            free.setdefault(kind, []).append(b)

    for i in step.body:
        op, args, dtype = n[i].op, n[i].args, n[i].dtype
        if i in seen:
            name[i] = phrase(phrases, program, i, [name[a] for a in args])
            continue
        read = dict.fromkeys(seen.get(a, a) for a in args)
        done = [a for a in read if last[a] == i and a not in kept_to_the_end and name[a] in buffers]
        spare = [(str(n[a].dtype), name[a]) for a in done]
        kept = {name[a] for a in read if op in apart}
        release([b for b in spare if b[1] not in kept])
        target = replaces.get(i)
        in_place = target is not None and last_read.get(target, -1) <= i - (target in kept)
        name[i] = target if in_place else acquire(dtype)
        own = acquire(dtype) if "{spare}" in phrases.get(op, "") else ""
        release([*(b for b in spare if b[1] in kept), *([(str(dtype), own)] if own else ())])
        lines.append(phrase(phrases, program, i, [name[a] for a in args], name[i], own))
    lines += [phrases["astype"].format(name[i], out=t) for i, t in replaces.items() if name[i] != t]
    results = [phrase(phrases, program, i, [name[n[i].args[0]]]) for i in step.targets] if roots else []
    return Text(lines, [name[i] for i in step.numbers] + bracket(program, step), buffers, results)


def bracket(program: Program, step: Pass) -> list[str]:
    """The names of the two numbers that a pass for an order statistic takes beside its own."""
    return ["low", "high"] if program.nodes[step.targets[0]].op == "order_statistic" else []


def scalar(
    program: Program,
    step: Pass,
    phrases: Mapping[str, str],
    constant: Callable[[Any, Any], str],
    rounded: Callable[[Node], str] = lambda _: "",
) -> Text:
    """One assignment for each operation, for languages that compile a loop over entries.

    ``constant(value, dtype)`` is the text of a number known now; the others are arguments ``s0``, ``s1``, ...
    ``rounded`` names what brings the result of an operation into its dtype, where the language does not do so.
    """
    n = program.nodes
    name: dict[int, str] = {}
    numbers: list[str] = []
    for i in step.numbers:
        if n[i].op == "constant":
            continue
        name[i] = f"s{len(numbers)}"
        numbers.append(name[i])
    name |= {i: v.args[0] for i, v in enumerate(n) if v.op == "input" and v.array}
    lines = assignments(program, step.body, name, phrases, constant, rounded)
    if any(n[i].op in REDUCTIONS for i in step.targets):
        return Text(lines, numbers, {}, [phrase(phrases, program, i, [name[n[i].args[0]]]) for i in step.targets])
    for target, i in program.outputs.items():
        value = constant(n[i].args[0], n[i].dtype) if n[i].op == "constant" else name[i]
        lines.append(phrases["output"].format(value, out=target))
    return Text(lines, numbers, {}, [])


def assignments(
    program: Program,
    places: Iterable[int],
    name: dict[int, str],
    phrases: Mapping[str, str],
    constant: Callable[[Any, Any], str],
    rounded: Callable[[Node], str] = lambda _: "",
) -> list[str]:
    """The text of these operations, in their order; their names join those of what they take."""
    n = program.nodes
    lines: list[str] = []

    def argument(i: int, a: int) -> str:
        if n[a].op != "constant":
            return name[a]
        partners = [n[b].dtype for b in n[i].args if n[b].array and "bool" not in str(n[b].dtype)]
        return constant(n[a].args[0], n[a].dtype or (*partners, n[i].dtype)[0])

    for i in places:
        name[i] = f"v{i}"
        lines.append(phrase(phrases, program, i, [argument(i, a) for a in n[i].args], name[i]))
        lines += [f"{name[i]} = {call}({name[i]})" for call in (rounded(n[i]),) if call]
    return lines


def phrase(
    phrases: Mapping[str, str], program: Program, i: int, args: list[str], out: str = "", spare: str = ""
) -> str:
    """The text of one operation, whose arguments have these names. Raises NotTraceableError if there is none."""
    n = program.nodes
    op, kinds = n[i].op, "".join("a" if n[a].array or program.by_slices(a) else "n" for a in n[i].args)
    phrase = phrases.get(f"{op}:{kinds}", phrases.get(op))
    if phrase is None:
        raise NotTraceableError(f"there is no phrase for {op} here")
    return phrase.format(*args, out=out, dtype=n[i].dtype, spare=spare)


def function(name: str, arguments: list[str], lines: list[str], space: dict[str, Any]) -> Callable[..., Any]:
    """The function of this text, which finds the names of ``space``."""
    exec("\n    ".join([f"def {name}({', '.join(arguments)}):", *lines]), space)
    return space[name]


def tile(text: Text, arrays: Iterable[str], space: dict[str, Any]) -> Callable[..., Any]:
    """``tile(x, m, grad, *numbers, *buffers)``: a pass over some of the entries; returns what it has reduced."""
    results = "".join(f"{r}, " for r in text.results)
    return function("tile", [*arrays, *text.numbers, *text.buffers], [*text.lines, f"return ({results})"], space)


def pieces(arrays: Alike, limit: int, axes: Sequence[int] | None = None) -> Iterator[Alike]:
    """Views of at most ``limit`` entries, nearly equal, that make up the arrays, cut along one axis after the other.

    ``axes``: those that may be cut, None for all; views are larger where these do not suffice.
    """
    shape = arrays[0].shape
    size = math.prod(shape)
    axes = range(len(shape)) if axes is None else axes
    if size <= limit or not axes:
        yield arrays
        return
    axis, *left = axes
    step = max(1, limit * shape[axis] // size)
    step = -(-shape[axis] // -(-shape[axis] // step))
    for i in range(0, shape[axis], step):
        cut = (slice(None),) * axis + (slice(i, i + step),)
        part: Any = tuple(a[cut] for a in arrays)
        yield from pieces(part, limit, left)


def chunks(group: Iterable[T], size: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Lists of small things with at most ``limit`` entries in all, or one thing."""
    some: list[T] = []
    total = 0
    for one in group:
        n = size(one)
        if some and total + n > limit:
            yield some
            some, total = [], 0
        some.append(one)
        total += n
    if some:
        yield some
