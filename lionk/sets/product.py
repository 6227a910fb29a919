"""The set of containers whose every block lies in its own set."""

from __future__ import annotations

import math
from typing import Any

from ..arrays.containers import is_container, leaves, tree_map
from ..arrays.namespace import Array
from ..arrays.value import value_class
from .base import ConvexSet


@value_class
class Product(ConvexSet):
    """``{ y : y_i in C_i }`` over the leaves of a container; ``tree`` holds the sets, as in ``lionk.blocks``."""

    tree: Any

    def support(self, x: Any) -> Array:
        return sum(leaves(tree_map(lambda a, c: c.support(a), x, self.tree)))

    def lmo(self, c: Any) -> Any:
        return tree_map(lambda a, s: s.lmo(a), c, self.tree)

    def project(self, y: Any) -> Any:
        return tree_map(lambda a, c: c.project(a), y, self.tree)

    def distance(self, y: Any) -> Array:
        return sum(d * d for d in leaves(tree_map(lambda a, c: c.distance(a), y, self.tree))) ** 0.5

    def contains(self, y: Any, tol: float | None = None) -> Array:
        first, *rest = leaves(tree_map(lambda a, c: c.contains(a, tol), y, self.tree))
        for inside in rest:
            first = first & inside
        return first

    def diameter(self, shape: Any) -> float:
        """``shape``: a container of the same kind whose leaves are shapes (tuples of int)."""

        def walk(s: Any, c: Any) -> float:
            if isinstance(s, tuple) and all(isinstance(n, int) for n in s):
                return c.diameter(s) ** 2
            items = s.items() if isinstance(s, dict) else enumerate(s)
            return sum(walk(v, c[k] if is_container(c) else c) for k, v in items)

        return math.sqrt(walk(shape, self.tree))
