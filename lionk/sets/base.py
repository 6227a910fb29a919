"""Convex sets, the domains of conjugates: what a set must answer, and the public layer over it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.containers import is_container
from ..arrays.namespace import Array, Namespace
from ..arrays.value import Value
from ..errors import NotAvailable


class ConvexSet(Value, ABC):
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


class ArraySet(ConvexSet):
    """A convex set of arrays: the checked public layer over private hooks.

    The hooks get the namespace ``xp``, arrays of at least 32 bits, and ``batch`` (see ``lionk.arrays.namespace``).
    """

    def support(self, x: Array) -> Array:
        kind, z, n = self._read(x, "x")
        v = self._support(kind.xp, z, n)
        return _xp.astype(kind.xp, reductions.total(kind.xp, v, 0) if n else v, kind.real_dtype)

    def lmo(self, c: Array) -> Array:
        kind, z, n = self._read(c, "c")
        return _xp.astype(kind.xp, self._lmo(kind.xp, z, n), c.dtype)

    def project(self, y: Array) -> Array:
        kind, z, n = self._read(y, "y")
        return _xp.astype(kind.xp, self._project(kind.xp, z, n), y.dtype)

    def distance(self, y: Array) -> Array:
        kind, z, n = self._read(y, "y")
        away = self._distance(kind.xp, z, n)
        return _xp.astype(kind.xp, reductions.norm(kind.xp, away) if away.ndim else away, kind.real_dtype)

    def contains(self, y: Array, tol: float | None = None) -> Array:
        kind, z, n = self._read(y, "y")
        inside = self._violation(kind.xp, z, n) <= resolve_tol(kind, y, tol) * self._scale(kind.xp, z, n)
        return kind.xp.all(inside) if n else inside

    def diameter(self, shape: Any) -> float:
        raise NotAvailable(f"{type(self).__name__} has no known diameter")

    @property
    def stacks(self) -> bool:
        """Is it a set of matrices, so that axes before the last two are independent blocks, each in the set?"""
        return False

    def _width(self, part: ArraySet, shape: tuple[int, ...]) -> float:
        """The diameter of a part of this set. Each block of a stack has that of a part that by itself takes none."""
        entries = part._traits().get("structure") == "elementwise"
        if entries or part.stacks or not self.stacks or 0 in shape:
            return part.diameter(shape)
        return math.sqrt(math.prod(shape[:-2])) * part.diameter(shape[-2:])

    # -- the support function --------------------------------------------------------------------------------

    def _traits(self) -> dict[str, Any]:
        """Traits of the support function, as far as they are not the default of ``Traits`` for such a function."""
        return {"even": False, "absolute": False, "symmetric": False, "minimum_at_zero": None}

    def _spec(self) -> dict[str, Any] | None:
        """The name and parameters that give the support function, if the registry has it."""
        return None

    # -- hooks -----------------------------------------------------------------------------------------------

    def _support(self, xp: Namespace, x: Array, batch: int) -> Array:
        """By the oracle, at large numbers in place of infinite entries, which count where its entry is not 0."""
        s = self._lmo(xp, x if _xp.is_complex(x) else _xp.cut(xp, x), batch)
        return reductions.inner(xp, xp.where((s == 0) & xp.isinf(x), xp.zeros_like(x), x), s, batch)

    def _terms(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        """The size of what the support is a sum of, for its rounding, s the oracle's member at x."""
        return reductions.products(xp, x, s, batch)

    @abstractmethod
    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array: ...

    @abstractmethod
    def _project(self, xp: Namespace, y: Array, batch: int) -> Array: ...

    @abstractmethod
    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        """A nonnegative measure of how far y is outside, in y's units; 0 exactly on C; NaN for NaN."""

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        return reductions.norm(xp, y - self._project(xp, y, batch), batch)

    def _kept(self, xp: Namespace, y: Array, near: Array, batch: int) -> Array:
        """y where it is a member, up to the rounding of a projection, bit for bit; else ``near``, its projection."""
        inside = self._violation(xp, y, batch) <= reductions.slack(xp, y, batch) * self._scale(xp, y, batch)
        return xp.where(_xp.spread(xp, inside, y), y, near)

    def _separation(self, xp: Namespace, y: Array, near: Array, batch: int) -> Array:
        """``max(<r, y> - support(r), 0)`` along ``r = (y - near)/|y - near|``: a lower bound of the distance of y.

        The violation of a set whose projections are found by iteration: it refuses no member.
        """
        r = self._normal(xp, y - near, batch)
        return _xp.clip(xp, reductions.inner(xp, r, y, batch) - self._support(xp, r, batch), 0.0, None)

    def _normal(self, xp: Namespace, r: Array, batch: int) -> Array:
        """r, bounding and of length 1; 0 where it is 0."""
        r = self._bounding(xp, r, batch)
        return _xp.divide(xp, r, _xp.spread(xp, reductions.norm(xp, r, batch), r) + xp.zeros_like(r))

    def _bounding(self, xp: Namespace, r: Array, batch: int) -> Array:
        """r, or of an unbounded set the nearest direction in which it ends, where that is known.

        Such are those in the polar of the recession cone. A normal is one, but for its rounding, by which the support
        is infinite.
        """
        return r

    def _outside(
        self, xp: Namespace, y: Array, near: Array, parts: Sequence[tuple[ArraySet, Array]], batch: int
    ) -> Array:
        """``near``, a member, where it separates y from C by more than the rounding of the separation; else y, bit for
        bit. It is the sum of the members of these sets.

        That rounding can be far less than the tolerance of membership: next to 0 it tells what is outside a cone.
        """
        r = self._normal(xp, y - near, batch)
        size = reductions.products(xp, r, y, batch)
        for c, part in parts:
            size = size + c._terms(xp, r, part, batch)
        lack = reductions.inner(xp, r, y, batch) - self._support(xp, r, batch)
        return xp.where(_xp.spread(xp, lack > reductions.slack(xp, y, batch) * size, y), near, y)

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        """The size of C that tolerances are relative to: a number, or an array with an entry for each of the batch."""
        return 1.0

    def _face_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        """Distance of s to the face ``{s in C : <x, s> = support(x)}``, the subdifferential of the support."""
        raise NotAvailable(
            f"the subdifferential of the support function of {type(self).__name__} has no closed distance; "
            "test membership with K.fenchel_young(x, s), which is 0 exactly on it"
        )

    def _read(self, y: Array, name: str) -> tuple[_xp.Kind, Array, int]:
        """Its kind, y ready for computing, and how many of its first axes are a stack of blocks."""
        if is_container(y):
            raise TypeError(f"{name} is a container; {type(self).__name__} takes one array (see lionk.blocks)")
        kind = _xp.floating(y, name)
        stacked = max(y.ndim - 2, 0) if self.stacks else 0
        return kind, kind.xp.astype(y, kind.computed) if kind.low else y, stacked


def but_for_rounding(xp: Namespace, z: Array, size: Array, batch: int) -> Array:
    """z, 0 where an entry is the rounding of what is that large: in an unbounded direction the support is infinite."""
    return xp.where(xp.abs(z) <= reductions.slack(xp, z, batch) * size, xp.zeros_like(z), z)


def settled(xp: Namespace, y: Array, near: Array, batch: int) -> Array:
    """``near``, the projection of y; but y bit for bit where both differ by rounding only, relative to y.

    For sets that hold no rounded numbers, such as ``sum y = 0``: there a projection is its own projection. It is half
    of the tolerance of membership, and all entries together, of which a sum is made.
    """
    room = resolve_tol(_xp.kind(y), y, None, batch) / 2
    same = reductions.total(xp, xp.abs(near - y), batch) <= room * reductions.peak(xp, y, batch)
    return xp.where(_xp.spread(xp, same, y), y, near)


STRUCTURES = ("elementwise", "rowwise", "reduce", "order", "matrix")


def joint_traits(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """What holds of a sum or maximum because it holds of both parts."""
    yes = {n: a.get(n, True) and b.get(n, True) for n in ("even", "absolute", "symmetric")}
    zero = a.get("minimum_at_zero", True) and b.get("minimum_at_zero", True)
    axes = {t.get("along") for t in (a, b) if t.get("structure") == "rowwise"}
    structures = [t.get("structure", "reduce") for t in (a, b)] + ["reduce"] * (len(axes) > 1)
    return {
        **yes,
        "structure": max(structures, key=STRUCTURES.index),
        "along": axes.pop() if len(axes) == 1 else None,
        "minimum_at_zero": True if zero else None,
        "needs": tuple(sorted({*a.get("needs", ()), *b.get("needs", ())})),
        "host": a.get("host", False) or b.get("host", False),
        "stacks": a.get("stacks", False) or b.get("stacks", False),  # of functions: a set has the property
    }


def resolve_tol(kind: _xp.Kind, y: Array, tol: float | None, batch: int = 0) -> float:
    """The tolerance of membership: ``8 eps sqrt(size)`` of the event in the dtype of y where none is given."""
    return 8 * kind.eps * math.sqrt(max(_xp.event_size(y, batch), 1)) if tol is None else tol


def nearer(xp: Namespace, y: Array, batch: int, most: float = math.inf) -> Array:
    """y, or where it is too far away for a set of size 1 to be told from a point, a nearer point on its ray.

    At a distance of 1/eps the digits of a projection are gone, while on a ray it tends to the support point: from
    ``eps^(-1/2)/4`` on, or from ``most`` on, entries that differ by less than that share count as tied. Derived here.
    """
    most = min(most, 0.25 / math.sqrt(_xp.eps(y)))
    far = reductions.peak(xp, y, batch) / most
    return y / _xp.spread(xp, xp.where(far > 1, far, xp.ones_like(far)), y)
