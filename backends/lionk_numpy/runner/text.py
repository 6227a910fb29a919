"""Phrases for recorded steps: calls of NumPy's ufuncs that write into buffers."""

from __future__ import annotations

from typing import Any

from lionk.recording.program import ARITHMETIC, COMPARISONS, INTEGER, LOGICAL, TESTS, UNARY, Program

NAMES = {
    "abs": "absolute",
    "pow": "power",
    "asinh": "arcsinh",
    "atanh": "arctanh",
    "atan": "arctan",
    "conj": "conjugate",
    "bitwise_right_shift": "right_shift",
}

CALLS = (
    {op: f"np.{NAMES.get(op, op)}({{0}}, out={{out}})" for op in (*UNARY, *TESTS, "logical_not")}
    | {
        op: f"np.{NAMES.get(op, op)}({{0}}, {{1}}, out={{out}})"
        for op in (*ARITHMETIC, *COMPARISONS, *LOGICAL[:2], *INTEGER)
    }
    | {
        "where": "select({0}, {1}, {2}, {out}, {spare})",
        "view": "{0}.view(np.{dtype})",
        "astype": 'np.copyto({out}, {0}, casting="unsafe")',
        "sum": "np.add.reduce({0}, **over)",
        "max": "np.maximum.reduce({0}, **over)",
        "min": "np.minimum.reduce({0}, **over)",
        "order_statistic": "tally({0}, low, high)",
    }
)
# np.sign is many times slower where it writes over its argument; select reads its arguments after it has written.
APART = frozenset({"sign", "where"})


def over(program: Program) -> dict[str, Any]:
    """The entries that are reduced together, as arguments of a reduction."""
    return {"axis": program.along, "keepdims": program.along is not None}


def select(condition: Any, a: Any, b: Any, out: Any, spare: Any) -> None:
    """``np.where`` by bits, ``b ^ ((a ^ b) & mask)``: many times faster where the condition is hard to predict."""
    import numpy as np

    if np.ndim(condition) == 0:
        return np.copyto(out, a if condition else b)
    if out.itemsize > 8:
        return np.copyto(out, np.where(condition, a, b))
    bits = np.dtype(f"i{out.itemsize}")
    one, other = (np.asarray(v, out.dtype).view(bits) for v in (a, b))
    mask, chosen = spare.view(bits), out.view(bits)
    np.copyto(mask, condition)
    np.negative(mask, out=mask)
    np.bitwise_xor(one, other, out=chosen)
    np.bitwise_and(chosen, mask, out=chosen)
    np.bitwise_xor(chosen, other, out=chosen)
    return None
