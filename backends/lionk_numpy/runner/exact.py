"""Which numbers of 32 bits in a loop are numbers of 16 bits already, so that nothing is left to round.

A loop computes with 16 bits in float32 and rounds each result. To round takes as long as five operations, two of which
see to NaN: half of the bits of one could overflow. Most roundings need less, as the record shows.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from lionk.recording.program import Node

from .entries import HALVES

SAME = ("negative", "abs", "maximum", "minimum", "where")  # these give one of the numbers that they are given
FREE = ("add", "subtract", "multiply", "divide")  # of numbers whose NaN are short, and of those that are none
LOW = (1 << 16) - 1


class Bits(NamedTuple):
    """What is known of the bits of a number.

    short: are the last 16 bits 0, as in all of bfloat16, or may they be cut off, as those of a NaN that arithmetic made
    or handed on, whose first bit is set? calm: are they 0 where the number is NaN? Then to round is an addition, which
    cannot overflow.
    """

    short: bool
    calm: bool


def known(nodes: tuple[Node, ...]) -> list[Bits]:
    """What is known of each node of a record in which there is bfloat16."""
    found: list[Bits] = []
    for node in nodes:
        found.append(_known(node, nodes, found))
    return found


def rounding(node: Node, bits: list[Bits] | None) -> str:
    """What brings the result of an operation into its dtype, if anything does. numba promotes integers, too.

    ``bits``: what is known of the numbers that it is given; None: nothing.
    """
    kind = str(node.dtype)
    if kind == "int32":
        return kind
    if kind not in HALVES or node.op in (*SAME, "sign"):
        return ""
    if bits is None:
        return f"to_{kind}"
    given = [bits[i] for i in node.args]
    if kind == "bfloat16" and node.op == "astype" and given[0].short:
        return ""
    plain = kind == "bfloat16" and node.op in (*FREE, "astype") and all(b.calm for b in given)
    return f"near_{kind}" if plain else f"to_{kind}"


def _known(node: Node, n: tuple[Node, ...], found: list[Bits]) -> Bits:
    op = node.op
    if op == "constant":
        return Bits(_is_short(node.args[0]), True)
    if not node.array:  # lr, decay, betas and what is made of them are finite; a reduction may be anything
        return Bits(False, node.level == 0)
    given = [] if op == "input" else [found[i] for i in node.args]
    if str(node.dtype) == "bfloat16" and op not in (*SAME, "sign"):
        return given[0] if op == "astype" and given[0].short else Bits(True, True)
    if op == "where":
        test, (yes, no) = n[node.args[0]], given[1:]
        tested = test.op if test.args[:1] == node.args[1:2] else ""
        if tested == "isnan":
            made = n[node.args[1]].op in FREE
            return Bits(no.short and (made or yes.short), yes.calm and no.calm)
        return Bits(yes.short and no.short, no.calm and (yes.calm or tested == "isfinite"))
    if op in SAME or op == "astype":
        return Bits(all(b.short for b in given), all(b.calm for b in given))
    if op == "sign":
        return Bits(given[0].calm, given[0].calm)
    if op == "view":
        cut = n[node.args[0]]
        short = cut.op == "bitwise_and" and any(n[i].op == "constant" and not n[i].args[0] & LOW for i in cut.args)
        return Bits(short, short)
    return Bits(False, op in FREE and all(b.calm for b in given))


def _is_short(value: Any) -> bool:
    """Is this number one of bfloat16? Those that float32 has not are taken for none."""
    try:
        return not int.from_bytes(struct.pack("<f", value), "little") & LOW
    except OverflowError:
        return False
