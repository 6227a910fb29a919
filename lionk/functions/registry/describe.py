"""A convex function as a notebook shows it: its formulas, or its composition in words."""

from __future__ import annotations

from typing import Any

from ...arrays.html import table
from ...errors import NotAvailable
from ..base import ConvexFunction
from .entries import entry
from .formula import tex


def formulas(K: ConvexFunction) -> str | None:
    """What is registered under its name, as TeX; None for a composition, which has no name."""
    try:
        spec = K.spec
    except NotAvailable:  # made of a user's own function, which no spec holds
        return None
    e = entry(spec["name"])
    if e.kind == "rule" or not e.formula:
        return None
    x, y = ("x", "y") if e.kind in ("scalar", "vector") else ("X", "Y")
    shown = [
        (rf"K({x})", "=", tex(e.formula)), (rf"\partial K({x})", r"\ni", tex(e.subgradient)),
        (f"K^*({y})", "=", tex(e.conjugate)), (_text("imposes"), "", tex(e.constraint)),
        (_text("traits"), "", _text(_traits(K))), (_text("source"), "", _text(e.source)),
    ]  # fmt: skip
    rows = r" \\ ".join(f"{head} {sign} & {what}" for head, sign, what in shown if what not in ("", _text("")))
    return rf"$\displaystyle \begin{{array}}{{rl}} {_text(_short(spec))} & \\ {rows} \end{{array}}$"


def described(K: ConvexFunction) -> str:
    """Its spec and traits, as HTML."""
    try:
        title = _short(K.spec)
    except NotAvailable:
        title = repr(K)
    return table(title, [("traits", _traits(K))])


def _text(words: str) -> str:
    escaped = "".join(f"\\{c}" if c in "_&%#{}$" else c for c in words)
    return rf"\text{{{escaped}}}"


def _traits(K: ConvexFunction) -> str:
    t = K.traits
    words = {t.structure: True, "even": t.even, "homogeneous": t.homogeneous, "smooth": t.smooth,
             "dom K* bounded": t.bounded_domain}  # fmt: skip
    return ", ".join(word for word, holds in words.items() if holds)


def _short(value: Any) -> str:
    """A spec as one would write it; arrays by their shape."""
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        inside = ", ".join(f"{k}={_short(v)}" for k, v in value.items() if k != "name")
        return f"{value['name']}({inside})" if inside else value["name"]
    return f"array{tuple(value.shape)}" if hasattr(value, "shape") else repr(value)
