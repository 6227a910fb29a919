"""A convex function in words: what a notebook shows of it."""

from __future__ import annotations

from typing import Any

from .._html import table
from .base import ConvexFunction
from .registry import entry


def described(K: ConvexFunction) -> str:
    """Its spec and traits and, where it has a name of its own, the texts that are registered under it; HTML."""
    try:
        spec: Any = K.spec
    except TypeError:  # made of a user's own function, which no spec holds
        return table(repr(K), _traits(K))
    rows: list[tuple[str, ...]] = []
    if entry(spec["name"]).kind != "rule":
        e = entry(spec["name"])
        texts = (("K", e.formula), ("dK", e.subgradient), ("K*", e.conjugate), ("imposes", e.constraint))
        rows = [(head, text) for head, text in (*texts, ("source", e.source)) if text]
    return table(_short(spec), [*rows, *_traits(K)])


def _traits(K: ConvexFunction) -> list[tuple[str, ...]]:
    t = K.traits
    words = {t.structure: True, "even": t.even, "homogeneous": t.homogeneous, "smooth": t.smooth,
             "dom K* bounded": t.bounded_domain}  # fmt: skip
    return [("traits", ", ".join(word for word, holds in words.items() if holds))]


def _short(value: Any) -> str:
    """A spec as one would write it; arrays by their shape."""
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        inside = ", ".join(f"{k}={_short(v)}" for k, v in value.items() if k != "name")
        return f"{value['name']}({inside})" if inside else value["name"]
    return f"array{tuple(value.shape)}" if hasattr(value, "shape") else repr(value)
