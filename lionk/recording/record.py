"""A computation with arrays, recorded once, to be replayed by a runner or printed in another language.

``record`` hands symbols to a function of the Array API, such as ``LionK.update``: they answer ``array_namespace`` with
a namespace that notes what is asked of them. What comes out is a ``Program``, a list of operations on single entries
and of reductions over all of them, or over each slice. Its text is made from a table of phrases, one for each
operation, so that NumPy with ``out=``, a compiled loop and a CUDA kernel are printings of the same record, in the order
of the reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..arrays import reductions
from ..arrays.value import has_arrays
from ..functions.base import ConvexFunction
from ..optimizer.rounding import KEYS
from .extent import Extent
from .guess import guess
from .program import (
    ARITHMETIC,
    BETAS,
    COMPARISONS,
    INTEGER,
    LOGICAL,
    PARTS,
    TESTS,
    UNARY,
    Node,
    NotTraceableError,
    Program,
)


class Space:
    """The namespace of symbols: the dtypes of ``xp``, and operations that are noted. Equal ones are noted once."""

    __name__ = "lionk.recording.record"

    def __init__(self, xp: Any, extent: Extent, guesses: bool = False) -> None:
        """``guesses``: is a sum of scaled entries made beside their scale, where it can be?"""
        self.xp, self.extent, self._guesses = xp, extent, guesses
        self.nodes: list[Node] = []
        self._place: dict[Any, int] = {}
        self.pi, self.e, self.inf, self.nan = math.pi, math.e, math.inf, math.nan

    def __getattr__(self, name: str) -> Any:
        if name in ARITHMETIC + COMPARISONS + LOGICAL + TESTS + INTEGER + UNARY:
            return lambda *args: self.apply(name, *args)
        if name in ("isdtype", "finfo", "result_type", "bool", "complex64", "complex128", "int32") or "float" in name:
            return getattr(self.xp, name)
        if name in ("all", "any"):
            return self._branch
        raise NotTraceableError(f"{name} is not recorded")

    def symbol(self, op: str, args: tuple[Any, ...], dtype: Any, level: int, array: bool) -> Symbol:
        dtype = None if dtype is None else self.xp.result_type(dtype)  # of its several spellings, one
        key = (op, tuple((type(a), repr(a)) for a in args), str(dtype))
        if key not in self._place:
            self._place[key] = len(self.nodes)
            self.nodes.append(Node(op, args, dtype, level, array))
        return Symbol(self, self._place[key])

    def at(self, place: int) -> Symbol:
        return Symbol(self, place)

    def constant(self, value: Any, dtype: Any = None) -> Symbol:
        return self.symbol("constant", (value,), dtype, 0, False)

    def apply(self, op: str, *args: Any) -> Symbol:
        symbols = [a if isinstance(a, Symbol) else self.constant(a) for a in args]
        if op == "pow" and not isinstance(args[1], Symbol):
            if args[1] == 2:
                return self.apply("multiply", args[0], args[0])
            if args[1] in (1, 0.5):  # as libraries do it
                return symbols[0] if args[1] == 1 else self.apply("sqrt", args[0])
        nodes = [self.nodes[s.place] for s in symbols]
        dtypes = [n.dtype for n in nodes[op == "where" :] if n.dtype is not None]
        dtype = self.xp.result_type(*dtypes) if dtypes else None
        if op in COMPARISONS + LOGICAL + TESTS:
            dtype = self.xp.bool
        elif op in ("abs", "real", "imag") and dtype is not None:
            dtype = _real(self.xp, dtype)
        level, array = max(n.level for n in nodes), any(n.array for n in nodes)
        return self.symbol(op, tuple(s.place for s in symbols), dtype, level, array)

    def asarray(self, *_: Any, **__: Any) -> Any:
        raise NotTraceableError("arrays of values are not recorded")

    def _branch(self, *_: Any, **__: Any) -> Any:
        raise NotTraceableError("a branch on values cannot be recorded")

    # -- the functions that take more than symbols ---------------------------------------------------------------

    def where(self, condition: Symbol, a: Any, b: Any) -> Symbol:
        return self.apply("where", condition, a, b)

    def clip(self, x: Symbol, low: Any = None, high: Any = None) -> Symbol:
        x = x if low is None else self.apply("maximum", x, low)
        return x if high is None else self.apply("minimum", x, high)

    def zeros_like(self, x: Symbol, dtype: Any = None) -> Symbol:
        return self._like(0.0, x, dtype)

    def ones_like(self, x: Symbol, dtype: Any = None) -> Symbol:
        return self._like(1.0, x, dtype)

    def _like(self, value: float, x: Symbol, dtype: Any) -> Symbol:
        if dtype is not None:
            raise NotTraceableError("constants of another dtype are not recorded")
        return self.constant(value, x.dtype)

    def astype(self, x: Symbol, dtype: Any) -> Symbol:
        n = self.nodes[x.place]
        return self.symbol("astype", (x.place,), dtype, n.level, n.array)

    def reshape(self, x: Symbol, shape: tuple[int, ...]) -> Symbol:
        if tuple(shape) != (x.shape if x.ndim else (1,) * len(shape)):
            raise NotTraceableError("reshape is not recorded")
        return x  # a number that is made ready to broadcast stays a number

    def moveaxis(self, x: Symbol, source: int, destination: int) -> Symbol:
        along, ndim = self.extent.along, x.ndim
        if along is None or not ndim or not {source % ndim, destination % ndim} <= {along, ndim - 1}:
            raise NotTraceableError("moveaxis is not recorded")
        return x  # the axis of a slice counts as the last one anyway

    def reduce(self, op: str, x: Symbol, axis: Any = -1, *beside: Symbol) -> Symbol:
        last = x.ndim - 1
        over_all = axis in (-1, last, (last,)) or (axis is None and last == 0)
        if self.extent.shape is None or not x.ndim or not over_all:
            raise NotTraceableError(f"{op} is not recorded here")
        n = self.nodes[x.place]
        return self.symbol(op, (x.place, *(b.place for b in beside)), n.dtype, n.level + 1, False)

    def sum(self, x: Symbol, axis: Any = None) -> Symbol:
        known = guess(self, x) if self._guesses else None
        return self.reduce("sum", x, axis, *(() if known is None else (known,)))

    def max(self, x: Symbol, axis: Any = None) -> Symbol:
        return self.reduce("max", x, axis)

    def min(self, x: Symbol, axis: Any = None) -> Symbol:
        return self.reduce("min", x, axis)

    def order_statistic(self, x: Symbol, k: int) -> tuple[Symbol, ...]:
        n = self.nodes[x.place]
        found = self.symbol("order_statistic", (x.place, self.constant(k).place), n.dtype, n.level + 1, False)
        return tuple(self.symbol(op, (found.place,), n.dtype, n.level + 1, False) for op in PARTS)


reductions.ORDER_STATISTIC["lionk.recording.record"] = lambda x, k: x.space.order_statistic(x, k)


def _real(xp: Any, dtype: Any) -> Any:
    """The dtype of the absolute value."""
    return next((r for c, r in ((xp.complex64, xp.float32), (xp.complex128, xp.float64)) if dtype == c), dtype)


class Symbol:
    """An array, or a number, that will be known when the record is replayed."""

    __slots__ = ("place", "space")

    def __init__(self, space: Space, place: int) -> None:
        self.space, self.place = space, place

    def __array_namespace__(self, api_version: str | None = None) -> Space:
        return self.space

    @property
    def dtype(self) -> Any:
        return self.space.nodes[self.place].dtype

    @property
    def device(self) -> None:
        return None

    @property
    def ndim(self) -> int:
        return len(self.space.extent.shape or (0,)) if self.space.nodes[self.place].array else 0

    @property
    def shape(self) -> tuple[int, ...]:
        if not self.ndim:
            return ()
        if self.space.extent.shape is None:
            raise NotTraceableError("the shape is not known in a record for all sizes")
        return self.space.extent.shape

    def view(self, dtype: Any) -> Symbol:
        """The same bits as another dtype of as many, as the arrays of libraries have it."""
        n = self.space.nodes[self.place]
        return self.space.symbol("view", (self.place,), dtype, n.level, n.array)

    def __bool__(self) -> bool:
        raise NotTraceableError("a branch on values cannot be recorded")

    def __getitem__(self, key: Any) -> Symbol:
        if self.ndim or key not in ((..., None), (..., 0)):
            raise NotTraceableError("indexing is not recorded")
        return self  # one number on an axis of its own, or taken from it

    __float__ = __int__ = __iter__ = __bool__
    __hash__ = None  # type: ignore[assignment]


def _method(op: str, swap: bool = False) -> Callable[..., Symbol]:
    def method(self: Symbol, *other: Any) -> Symbol:
        return self.space.apply(op, *other, self) if swap else self.space.apply(op, self, *other)

    return method


for _names, _op in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow", "and": "logical_and",
    "or": "logical_or",
}.items():  # fmt: skip
    setattr(Symbol, f"__{_names}__", _method(_op))
    setattr(Symbol, f"__r{_names}__", _method(_op, swap=True))
for _names, _op in {
    "neg": "negative", "abs": "abs", "invert": "logical_not", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
}.items():  # fmt: skip
    setattr(Symbol, f"__{_names}__", _method(_op))


def step_program(
    opt: Any, K: ConvexFunction, xp: Any, dtypes: tuple[Any, ...], shape: tuple[int, ...], guesses: bool = False
) -> Program:
    """The record of ``opt.update`` with this K, or of ``opt.update_beside`` where there are arrays beside x and m.

    dtypes are of x, m, grad and those of ``opt.beside``, the arrays of this ``Extent``.

    lr, weight decay and betas are its inputs: where they change, what was compiled stays. ``guesses``: see ``guess``.

    Raises NotTraceableError where the reference must run.
    """
    structure = K.traits.structure
    if not all(isinstance(b, float) for b in opt.betas):
        raise NotTraceableError("betas that are arrays are not recorded")
    extent = Extent.of(opt, K, shape)
    if structure == "matrix" or (structure == "rowwise" and extent.along is None) or has_arrays(K):
        raise NotTraceableError(f"{structure} functions, and those with array parameters, are not recorded")
    rounds = {"low", "index"} & {*opt.beside}  # x is widened first
    real = _real(xp, xp.result_type(xp.float32 if rounds else dtypes[0], dtypes[1]))

    def update(
        x: Symbol,
        m: Symbol,
        grad: Symbol,
        lr: Symbol,
        weight_decay: Symbol,
        beta1: Symbol,
        beta2: Symbol,
        **beside: Any,
    ) -> tuple[Symbol, ...]:
        if not beside:
            x, m = opt.update(x, m, grad, lr, weight_decay, K=K, betas=(beta1, beta2))
            return x, m
        x, m, kept = opt.update_beside(x, m, grad, beside, lr, weight_decay, K=K, betas=(beta1, beta2))
        return x, m, *(kept[name] for name in written)

    written = [name for name in opt.beside if name != "index"]
    arrays = dict(zip(("x", "m", "grad", *opt.beside), dtypes, strict=True))
    numbers = dict.fromkeys(("lr", "weight_decay", *BETAS), real)
    if "index" in opt.beside:
        numbers |= dict.fromkeys(KEYS, arrays["index"])
    try:
        return record(update, xp, arrays, numbers, extent, ("x", "m", *written), guesses)
    except ValueError as error:  # a function of matrices or kernels: the record knows all entries or slices
        raise NotTraceableError(str(error)) from error


def record(function: Callable[..., Any], xp: Any, arrays: dict[str, Any], numbers: dict[str, Any], extent: Extent,
           replaced: tuple[str, ...], guesses: bool = False) -> Program:  # fmt: skip
    """Record ``function(**arrays, **numbers)``, given the dtypes; its results replace the inputs named ``replaced``.

    In a record of entries, which serves every size, reductions are refused.

    Raises
    ------
    NotTraceableError
        The function does what cannot be recorded.
    """
    space = Space(xp, extent, guesses)
    given = {k: space.symbol("input", (k,), dtype, 0, k in arrays) for k, dtype in (arrays | numbers).items()}
    results = function(**given)
    outputs = {k: r.place for k, r in zip(replaced, results, strict=True)}
    return Program(tuple(space.nodes), outputs, extent.along if extent.many else None)
