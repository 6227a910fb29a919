"""A convex function bound to arrays of one kind: what its methods do behind the door, with everything looked up once.

The door of ``K.value(x)`` asks what x is: its library, dtype, precision, and whether K's parameters go with it. A loop
asks that once, by ``K.bind(x)``, and then calls plain functions. They take arrays of the same library, dtype and number
of axes, which nobody checks again, and are not differentiable.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add, matmul
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.containers import SHORT, leaves, scaled, tree_inner, tree_map
from ..arrays.namespace import Array
from ..sets.base import resolve_tol
from .enclosure import rounding


class Fixed:
    """What is bound; ``bound`` knows it by this class."""

    __slots__ = ()


class Bound(Fixed):
    """A function of one array. With ``batch = 1`` the first axis counts independent points, and so in the results."""

    __slots__ = ("K", "_cancels", "_dot", "_n", "_plain", "_tol", "batch", "conjugate", "dtype", "kind", "traits", "xp")

    conjugate: Bound

    def __init__(self, K: Any, like: Array, batch: int) -> None:
        kind, _, stacked = K._read(like, "x")
        self.K, self.traits, self.batch = K, K.traits, batch
        self.kind, self.xp, self.dtype = kind, kind.xp, like.dtype
        self._n, self._tol = batch + stacked, resolve_tol(kind, like, None)
        self._cancels = K._cancels
        self._plain = not (kind.low or stacked)
        short = kind.real and not kind.low and like.ndim == 1 and like.shape[0] <= SHORT
        flags = getattr(like, "flags", None)
        one = kind.dot if getattr(flags, "contiguous", False) else matmul
        self._dot = (kind.vecdot if batch else one) if short else None

    def value(self, x: Array, tol: float | None = None) -> Array:
        """``K.value``"""
        if x.dtype != self.dtype:
            return self.K.value(x, tol)  # by the door: of a momentum with a dtype of its own
        if self._plain:
            return self.K._value(self.xp, x, self._n, self._tol if tol is None else tol)
        v = self.K._value(self.xp, self._computed(x), self._n, self._tol if tol is None else tol)
        return reductions.total(self.xp, v, self.batch)

    def upper(self, x: Array) -> Array:
        """``K.value``, and where its terms may cancel also what their rounding can hide: for lower bounds of F."""
        if not self._cancels:
            return self.value(x)
        if x.dtype != self.dtype:
            return self.K.bounds(x)[1]
        z = self._computed(x)
        value, _, size = self.K._measured(self.xp, z, self._n, self._tol)
        return reductions.total(self.xp, value + rounding(self.K, self.xp, z) * size, self.batch)

    def subgradient(self, x: Array) -> Array:
        """``K.subgradient``"""
        if x.dtype != self.dtype:
            return self.K.subgradient(x)
        if self._plain:
            return self.K._subgradient(self.xp, x, self._n)
        return _xp.astype(self.xp, self.K._subgradient(self.xp, self._computed(x), self._n), self.dtype)

    def prox(self, x: Array, t: float) -> Array:
        """``K.prox``"""
        return _xp.astype(self.xp, self.K._prox(self.xp, self._computed(x), t, self._n), x.dtype)

    def inner(self, x: Array, y: Array) -> Array:
        """``Re <x, y>``, of short vectors by the library's own product, which costs less than a sum."""
        if self._dot is not None and x.dtype == y.dtype:
            return self._dot(x, y)
        return reductions.inner(self.xp, x, y, self.batch)

    @property
    def alike(self) -> Callable[[Array, Array], Array]:
        """``inner`` of arrays of the dtype that K is bound to."""
        return self._dot or self.inner

    def distance(self, x: Array) -> Array:
        """From x to dom K."""
        away = self.K.domain._distance(self.xp, self._computed(x), self._n)
        away = reductions.norm(self.xp, away, self.batch) if away.ndim > self.batch else away
        return _xp.astype(self.xp, away, self.kind.real_dtype)

    def scaled(self, x: Array, a: float) -> Array:
        return a * x

    def _computed(self, x: Array) -> Array:
        return self.xp.astype(x, self.kind.computed) if self.kind.low else x


class BoundBlocks(Fixed):
    """A function of a container: ``tree`` holds what is bound to each array."""

    conjugate: BoundBlocks

    def __init__(self, K: Any, tree: Any, batch: int) -> None:
        self.traits, self.tree, self.batch = K.traits, tree, batch
        self._parts = leaves(tree)

    def value(self, x: Any, tol: float | None = None) -> Array:
        return reduce(add, [k.value(a, tol) for k, a in zip(self._parts, leaves(x), strict=True)])

    def upper(self, x: Any) -> Array:
        return reduce(add, [k.upper(a) for k, a in zip(self._parts, leaves(x), strict=True)])

    def subgradient(self, x: Any) -> Any:
        return tree_map(lambda a, k: k.subgradient(a), x, self.tree)

    def prox(self, x: Any, t: float) -> Any:
        return tree_map(lambda a, k: k.prox(a, t), x, self.tree)

    def inner(self, x: Any, y: Any) -> Array:
        return reduce(add, [k.inner(a, b) for k, a, b in zip(self._parts, leaves(x), leaves(y), strict=True)])

    def distance(self, x: Any) -> Array:
        each = [k.distance(a) for k, a in zip(self._parts, leaves(x), strict=True)]
        return reduce(add, [d * d for d in each]) ** 0.5

    scaled = staticmethod(scaled)
    alike = property(lambda self: self.inner)


class BoundWhole(Fixed):
    """A function of a container whose blocks know of each other: by its own methods, and for no stacks."""

    conjugate: BoundWhole

    def __init__(self, K: Any) -> None:
        self.traits, self.value, self.subgradient, self.prox = K.traits, K.value, K.subgradient, K.prox
        self.upper = K.value
        self.inner, self.scaled = tree_inner, scaled


class Selected(Fixed):
    """dK of a bound function, for arrays of its dtype alone; ``last`` is what it gave last."""

    __slots__ = ("_hook", "_of", "_plain", "last")

    def __init__(self, K: Bound) -> None:
        self._of, self._hook, self._plain = K, K.K._subgradient, K._plain

    def subgradient(self, x: Array) -> Array:
        of = self._of
        self.last = found = self._hook(of.xp, x, of._n) if self._plain else of.subgradient(x)
        return found


def bound(K: Any, like: Any, batch: int = 0) -> Any:
    """K bound to arrays, or containers, like this one; as it is if it is bound already."""
    return K if isinstance(K, Fixed) else K.bind(like, batch)
