"""The recorded step as one fused loop over entries, compiled by numba. numba is imported when a loop is made."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from lionk.backend import missing
from lionk.replay import function, scalar
from lionk.trace import SIGNS, Program

# What a compiler turns into vector instructions; NumPy's own loops are faster for the rest (tanh, exp, ...).
# A conditional expression, since np.where of two numbers is hundreds of times slower; every number is made ``real``,
# since an integer in the text would promote float32.
PHRASES = {op: f"{{out}} = {{0}} {s} {{1}}" for op, s in SIGNS.items()} | {
    "negative": "{out} = -{0}",
    "abs": "{out} = abs({0})",
    "sqrt": "{out} = real(sqrt({0}))",
    # of float32 as the C library has it: squares and sum in double precision, where they cannot overflow
    "hypot": "{out} = real(sqrt(double({0}) * double({0}) + double({1}) * double({1})))",
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


def compilable(program: Program) -> bool:
    """Is numba here, and would its loop be as fast as memory? One dtype of real entries, and nothing but arithmetic."""
    operations = program.operations()
    if missing("numba", "numba") or not operations <= set(PHRASES):
        return False
    kinds = {str(n.dtype) for n in program.nodes if n.array} - {"bool"}
    return kinds == {"float32"} or (kinds == {"float64"} and "hypot" not in operations)


def loop_of(program: Program) -> Callable[..., None]:
    """``loop(x, m, grad, *numbers)`` for arrays of one axis: the last pass, in place; compiled at its first call."""
    import numpy as np
    from numba import njit

    text = scalar(program, program.passes()[-1], PHRASES, _literal)
    real = next(n.dtype.type for n in program.nodes if n.op == "input")
    lines = [f"{name} = {name}_[i]" for name in ("x", "m", "grad")] + text.lines
    body = ["one, zero = real(1), real(0)", "for i in range(x_.size):", *(f"    {line}" for line in lines)]
    space: dict[str, Any] = {"real": real, "double": np.float64, "sqrt": math.sqrt, "inf": math.inf, "nan": math.nan}
    loop = function("loop", ["x_", "m_", "grad_", *text.numbers], body, space)
    return njit(nogil=True, error_model="numpy")(loop)


def _literal(value: Any, _: Any) -> str:
    return f"real({value!r})"  # inf and nan are names in the loop's module
