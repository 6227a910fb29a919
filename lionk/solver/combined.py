"""Sums of two points."""

from __future__ import annotations

from typing import Any

from ..arrays.containers import is_container, tree_map


def combined(a: float, x: Any, b: float, y: Any) -> Any:
    """``a x + b y``"""
    return tree_map(lambda u, v: a * u + b * v, x, y) if is_container(x) else a * x + b * y
