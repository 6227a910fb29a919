"""Convex sets, the domains of conjugates: what a set must answer, and the public layer over it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

from .. import _xp
from .._xp import Array, Namespace
from ..errors import NotAvailable
from ..tree import is_container


@dataclass(frozen=True, eq=False)
class ConvexSet(ABC):
    """A nonempty convex set C of arrays, or of containers of arrays (``Product``)."""

    @abstractmethod
    def support(self, x: Array) -> Array:
        """``sup { Re<x, s> : s in C }``, 0-d."""

    @abstractmethod
    def lmo(self, c: Array) -> Array:
        """A maximiser of ``Re<c, s>`` over C, of least norm among them: the subgradient of the support function."""

    @abstractmethod
    def project(self, y: Array) -> Array:
        """The nearest point of the closure of C. Raises NotAvailable where no algorithm is known."""

    @abstractmethod
    def distance(self, y: Array) -> Array:
        """Euclidean distance to C, 0-d; exactly 0 for members whose projection is exact."""

    @abstractmethod
    def contains(self, y: Array, tol: float | None = None) -> Array:
        """0-d bool: is y in the closure of C, up to ``tol`` times the scale of C? ``tol=0`` is exact.

        ``None`` means ``8 eps(dtype) sqrt(size)``. NaN is in no set.
        """

    @abstractmethod
    def diameter(self, shape: Any) -> float:
        """Largest Euclidean distance between two arrays of this shape in C (inf if unbounded)."""

    def __eq__(self, other: object) -> bool:
        return same_value(self, other)

    def __hash__(self) -> int:
        return value_hash(self)


@dataclass(frozen=True, eq=False)
class ArraySet(ConvexSet):
    """A convex set of arrays: the checked public layer over private hooks.

    The hooks get the namespace ``xp``, arrays of at least 32 bits, and ``batch`` (see ``lionk._xp``).
    """

    def support(self, x: Array) -> Array:
        xp, z = self._read(x, "x")
        return _xp.astype(xp, self._support(xp, z, 0), _xp.real_dtype(xp, x))

    def lmo(self, c: Array) -> Array:
        xp, z = self._read(c, "c")
        return _xp.astype(xp, self._lmo(xp, z, 0), c.dtype)

    def project(self, y: Array) -> Array:
        xp, z = self._read(y, "y")
        return _xp.astype(xp, self._project(xp, z, 0), y.dtype)

    def distance(self, y: Array) -> Array:
        xp, z = self._read(y, "y")
        return _xp.astype(xp, self._distance(xp, z, 0), _xp.real_dtype(xp, y))

    def contains(self, y: Array, tol: float | None = None) -> Array:
        xp, z = self._read(y, "y")
        return self._violation(xp, z, 0) <= resolve_tol(xp, y, tol) * self._scale(xp, z)

    def diameter(self, shape: Any) -> float:
        raise NotAvailable(f"{type(self).__name__} has no known diameter")

    # -- hooks -----------------------------------------------------------------------------------------------

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        return _xp.inner(xp, x, self._lmo(xp, x, batch), batch)

    @abstractmethod
    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array: ...

    @abstractmethod
    def _project(self, xp: Namespace, y: Array, batch: int) -> Array: ...

    @abstractmethod
    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        """A nonnegative measure of how far y is outside, in y's units; 0 exactly on C; NaN for NaN."""

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        return _xp.norm(xp, y - self._project(xp, y, batch), batch)

    def _scale(self, xp: Namespace, y: Array) -> Any:
        """The size of C that tolerances are relative to: a number or a 0-d array."""
        return 1.0

    def accuracy(self, xp: Namespace, y: Array) -> float:
        """What an iterative projection leaves, relative to the scale; 0 where it is closed."""
        return 0.0

    def _face_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        """Distance of s to the face ``{s in C : <x, s> = support(x)}``, the subdifferential of the support."""
        raise NotAvailable(
            f"the subdifferential of the support function of {type(self).__name__} has no closed distance; "
            "test membership with K.fenchel_young(x, s), which is 0 exactly on it"
        )

    def _read(self, y: Array, name: str) -> tuple[Namespace, Array]:
        if is_container(y):
            raise TypeError(f"{name} is a container; {type(self).__name__} takes one array (see lionk.blocks)")
        xp = _xp.namespace(y, name=name)
        _xp.check_floating(xp, y, name)
        return xp, _xp.astype(xp, y, xp.float32) if _xp.is_low_precision(xp, y) else y


def resolve_tol(xp: Namespace, y: Array, tol: float | None) -> float:
    return 8 * _xp.eps(xp, y) * math.sqrt(max(_xp.event_size(y, 0), 1)) if tol is None else tol


def has_arrays(value: Any) -> bool:
    """Does this value, or any field of this object, hold an array?"""
    if isinstance(value, tuple):
        return any(has_arrays(v) for v in value)
    if hasattr(value, "__dataclass_fields__"):
        return any(has_arrays(getattr(value, f.name)) for f in fields(value) if f.compare)
    return hasattr(value, "shape")


def same_value(a: Any, b: object) -> bool:
    """Equality of parameters; of identity where an array is among them."""
    if a is b:
        return True
    if type(a) is not type(b) or has_arrays(a) or has_arrays(b):
        return False
    return all(getattr(a, f.name) == getattr(b, f.name) for f in fields(a) if f.compare)


def value_hash(a: Any) -> int:
    if has_arrays(a):
        return id(a)
    return hash((type(a), *(_hashable(getattr(a, f.name)) for f in fields(a) if f.compare)))


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((k, _hashable(v)) for k, v in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, (list, tuple)) else value
