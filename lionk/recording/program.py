"""A recorded computation: a list of operations on entries and of reductions, and the passes that it takes.

The names are those of the Array API; ``record`` records, ``emit`` prints.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..optimizer.jobs import cast
from ..optimizer.rounding import KEYS

ARITHMETIC = ("add", "subtract", "multiply", "divide", "pow", "maximum", "minimum", "hypot", "atan2")
COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
INTEGER = ("bitwise_and", "bitwise_xor", "bitwise_right_shift")
LOGICAL = ("logical_and", "logical_or", "logical_not")
# as Python and C spell them, and as Python computes them
SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"} | dict(
    zip(COMPARISONS, ("<", "<=", ">", ">=", "==", "!="), strict=True)
)
_NAMES = ("add", "sub", "mul", "truediv", "lt", "le", "gt", "ge", "eq", "ne")
PYTHON = {op: getattr(operator, name) for op, name in zip(SIGNS, _NAMES, strict=True)} | {
    "negative": operator.neg,
    "pow": operator.pow,
}
TESTS = ("isnan", "isfinite", "isinf")
UNARY = (
    "negative", "abs", "sign", "sqrt", "exp", "expm1", "log", "log1p", "tanh", "tan", "sin", "cos", "sinh", "cosh",
    "asinh", "atanh", "atan", "real", "imag", "conj",
)  # fmt: skip
BETAS = ("beta1", "beta2")  # the inputs of a step that are numbers of Python, always
REDUCTIONS = ("sum", "max", "min", "order_statistic")
# what an order statistic is made of: the entry, how many are larger, how many equal it
PARTS = {name: operator.itemgetter(k) for k, name in enumerate(("cut", "above", "at"))}


class NotTraceableError(TypeError):
    """The function asks for something that is not made entry by entry: the reference must run it."""


class Node(NamedTuple):
    """One operation. ``args`` are places of earlier nodes; those of inputs and constants are their names and values."""

    op: str
    args: tuple[Any, ...]
    dtype: Any  # None: a Python number
    level: int  # how many reductions lie before it
    array: bool  # one value for each entry, or one for all


class Pass(NamedTuple):
    """One pass over all entries."""

    body: tuple[int, ...]  # operations on entries, in order
    numbers: tuple[int, ...]  # numbers that they take
    targets: tuple[int, ...]  # what the pass is for: reductions, or the outputs
    guesses: tuple[int, ...] = ()  # numbers that say the same, where they are not NaN: see ``guess``


@dataclass(frozen=True)
class Program:
    """A record: nodes in the order of the reference, and the outputs among them, by the inputs that they replace.

    ``along``: the axis of the slices that are reduced, each to numbers of its own; None: all entries are.
    """

    nodes: tuple[Node, ...]
    outputs: dict[str, int]
    along: int | None = None

    @property
    def arrays(self) -> tuple[str, ...]:
        """The names of the arrays that go in."""
        return tuple(n.args[0] for n in self.nodes if n.op == "input" and n.array)

    def by_slices(self, i: int) -> bool:
        """Is this number one for each slice?"""
        return self.along is not None and self.nodes[i].level > 0 and not self.nodes[i].array

    def passes(self) -> list[Pass]:
        """One pass for each level of reductions, one for each order statistic, and a last one for the outputs."""
        seen: set[int] = set()
        left = list(self.outputs.values())
        while left:
            i = left.pop()
            if i not in seen:
                seen.add(i)
                left += self._sources(i)
        top = max(self.nodes[i].level for i in seen)
        reductions = [i for i in sorted(seen) if self.nodes[i].op in REDUCTIONS]
        targets: list[tuple[int, ...]] = []
        for level in range(1, top + 1):
            here = [i for i in reductions if self.nodes[i].level == level]
            ordered = [i for i in here if self.nodes[i].op == "order_statistic"]
            targets += [(i,) for i in ordered]
            targets += [tuple(i for i in here if i not in ordered)] * (len(here) > len(ordered))
        return [self._pass(t) for t in (*targets, tuple(self.outputs.values()))]

    def _sources(self, i: int) -> tuple[int, ...]:
        n = self.nodes[i]
        return () if n.op in ("input", "constant") else n.args

    def _pass(self, targets: tuple[int, ...]) -> Pass:
        n = self.nodes
        left = [n[i].args[0] if n[i].op in REDUCTIONS else i for i in targets]
        numbers, body = {i for i in left if not n[i].array}, set()
        while left:
            i = left.pop()
            if n[i].array and n[i].op != "input" and i not in body:
                body.add(i)
                numbers |= {a for a in n[i].args if not n[a].array}
                left += n[i].args
        guessed = all(n[i].op == "sum" and len(n[i].args) > 1 for i in targets)
        guesses = tuple(n[i].args[1] for i in targets) if guessed else ()
        return Pass(tuple(sorted(body)), tuple(sorted(numbers)), targets, guesses)

    def operations(self) -> set[str]:
        """What is done to entries."""
        return {self.nodes[i].op for p in self.passes() for i in p.body}

    def given(
        self, xp: Any, lr: Any, weight_decay: Any, betas: tuple[Any, Any], keys: tuple[int, ...] = ()
    ) -> dict[int, Any]:
        """The places of the numbers that are inputs, with their values made ready for arithmetic with the arrays."""
        values = {"lr": lr, "weight_decay": weight_decay, **dict(zip(BETAS, betas, strict=True))}
        values |= zip(KEYS, keys, strict=False)
        nodes = [(i, n) for i, n in enumerate(self.nodes) if n.op == "input" and not n.array]
        return {i: cast(xp, values[n.args[0]], n.dtype, n.args[0]) for i, n in nodes}

    def numbers(self, wanted: Iterable[int], known: dict[int, Any], meaning: Mapping[str, Callable[..., Any]]) -> Any:
        """The numbers at these places, by the library's own arithmetic on numbers; ``known`` grows by what is found."""
        return [self._number(i, known, meaning) for i in wanted]

    def _number(self, i: int, known: dict[int, Any], meaning: Mapping[str, Callable[..., Any]]) -> Any:
        if i not in known:
            n = self.nodes[i]
            if n.op == "constant":
                known[i] = n.args[0] if n.dtype is None else meaning["full"](n.args[0], n.dtype)
            elif n.op in ("astype", "number"):
                known[i] = meaning[n.op](self._number(n.args[0], known, meaning), n.dtype)
            else:
                known[i] = meaning[n.op](*[self._number(k, known, meaning) for k in n.args])
        return known[i]
