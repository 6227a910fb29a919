"""Support function of a set and its conjugate, the indicator: one definition for every norm and every constraint."""

from __future__ import annotations

from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays.namespace import Array, Namespace
from ...arrays.value import value_class
from ...errors import NotAvailable
from ...sets.base import ArraySet, ConvexSet
from ...sets.box import Box, Whole
from ..array_function import ArrayFunction, outside_is_infinite
from ..base import ConvexFunction, Traits


@value_class
class Support(ArrayFunction):
    """``K(x) = sup { Re<x, s> : s in C }`` for a bounded C; ``K* = indicator of C`` (Rockafellar 1970, Thm 13.2).

    Subgradient: the linear-minimisation oracle of C. ``prox_t(x) = x - t P_C(x/t)`` (Moreau).
    """

    set: ArraySet

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        return self.set._support(xp, x, batch)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        return self.set._lmo(xp, x, batch)

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        value, s = self._value(xp, x, batch, tol), self._subgradient(xp, x, batch)
        return value, s, reductions.magnitude(xp, value) + self.set._terms(xp, x, s, batch)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        return x - _xp.scaled_map(xp, lambda z: self.set._project(xp, z, batch), t, x)

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        return self.set._face_distance(xp, x, s, batch)

    def _dual(self) -> ConvexFunction:
        return Indicator(self.set, conjugate=self)

    def _domain(self) -> ConvexSet:
        return Whole()

    def _traits(self) -> Traits:
        return Traits(**{"homogeneous": True, "bounded_domain": True, **self.set._traits(), "stacks": self.set.stacks})

    def _spec(self) -> dict[str, Any]:
        spec = self.set._spec()
        if spec is not None:
            return spec
        raise NotAvailable(
            f"{self!r} was built from a set, not by name; register it (lionk.register) to give it a spec"
        )

    def _validate(self) -> None:
        if isinstance(self.set, Whole):
            raise ValueError("set must be bounded: the support function of the whole space is infinite")


@value_class
class Indicator(ArrayFunction):
    """0 on C, ``+inf`` outside; conjugate: the support function. Subgradient on C: 0, the least-norm normal."""

    set: ArraySet

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        violation = self.set._violation(xp, x, batch)
        return outside_is_infinite(xp, None, violation, tol * self.set._scale(xp, x, batch))

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        return _xp.only_nan(xp, x)

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        value = self._value(xp, x, batch, tol)
        return value, self._subgradient(xp, x, batch), reductions.magnitude(xp, value)  # it has no terms

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        return self.set._project(xp, x, batch)

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        """Normal cone of a box; other sets have no closed form here."""
        if not isinstance(self.set, Box) or _xp.is_complex(x):
            return super()._subdifferential_distance(xp, x, s, batch)
        low, up = self.set._ends(xp, x)
        zero = xp.zeros_like(s)
        off = xp.where(x >= up, xp.where(s < 0, s, zero), xp.where(x <= low, xp.where(s > 0, s, zero), s))
        off = xp.where((x >= up) & (x <= low), zero, off)
        return reductions.norm(xp, off, batch)

    def _dual(self) -> ConvexFunction:
        return Support(self.set, conjugate=self)

    def _domain(self) -> ConvexSet:
        return self.set

    def _traits(self) -> Traits:
        known = {"bounded_domain": False, "selection": "min_norm", "stacks": self.set.stacks}
        return Traits(**{**self.set._traits(), **known})

    def _spec(self) -> dict[str, Any]:
        return {"name": "conjugate", "K": self.conjugate._spec()}


def support(c: ArraySet) -> ConvexFunction:
    """The support function of a bounded convex set."""
    return Support(c)


def indicator(c: ArraySet) -> ConvexFunction:
    """The indicator of a convex set: 0 inside, +inf outside."""
    return Indicator(c)
