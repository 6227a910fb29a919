"""A function of what is left when the mean is taken away: constants cost nothing."""

from __future__ import annotations

import math
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays.layout import Axes
from ...arrays.namespace import Array, Namespace
from ...arrays.value import replace, value_class
from ...errors import NotAvailable
from ...sets.base import ConvexSet
from ...sets.box import Whole
from ...sets.constants import UpToConstants, constant, mean
from ...sets.rules import ball_radius
from ..array_function import ArrayFunction, outside_is_infinite
from ..base import ConvexFunction, Traits, inherited
from ..registry.entries import array_function
from .block_sum import over_blocks
from .parts import PartLift


def _round(k: ArrayFunction) -> bool:
    """Is it a multiple of the Euclidean norm, or its conjugate?"""
    return any(ball_radius(c) is not None for c in (k.domain, k.conjugate.domain))


def _traits(k: Traits) -> Traits:
    structure = k.structure if k.structure in ("order", "matrix") else "reduce"
    zero = True if k.symmetric or k.minimum_at_zero else None  # of equal entries nothing is left
    return replace(k, absolute=False, structure=structure, along=None, minimum_at_zero=zero)


def _less_mean(xp: Namespace, x: Array, batch: int) -> Array:
    return reductions.limit(xp, lambda x: x - mean(xp, x, batch), lambda x: x + mean(xp, x, batch), x)


@value_class
class Centered(ArrayFunction):
    """``k(x - mean x)``; conjugate: ``min over c of k*(y + c)`` where ``sum y = 0``, else ``+inf``.

    This is k after the projection ``I - 11'/n``, whose kernel are the constants (Rockafellar 1970, Thm 16.3). Selection
    ``dk(x - mean x)`` less its mean. The proximal operator keeps the mean and is that of k, shifted by a constant such
    that its sum is 0: one scalar root (derived here).
    """

    inner: ArrayFunction

    def _validate(self) -> None:
        if not isinstance(self.inner.domain, Whole):
            raise NotAvailable(
                f"centered needs a k that is finite everywhere, such as l1, l2, huber, max; {self.inner!r} is not"
            )

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        return self.inner._value(xp, _less_mean(xp, x, batch), batch, tol)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        s = self.inner._subgradient(xp, x - mean(xp, x, batch), batch)
        return s - mean(xp, s, batch)

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        value, s, size = self.inner._measured(xp, _less_mean(xp, x, batch), batch, tol)
        return value, s - mean(xp, s, batch), size + reductions.norms(xp, x, s, batch)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        centre = mean(xp, x, batch)
        z = x - centre
        c: Any = 0.0
        if not _round(self.inner):
            c = constant(
                xp,
                lambda c: mean(xp, self.inner._prox(xp, z + c, t, batch), batch),
                _xp.finite(xp, z),
                batch,
                self.inner.traits.absolute,
            )
        near = self.inner._prox(xp, z + c, t, batch)
        return near - mean(xp, near, batch) + centre

    def _dual(self) -> ConvexFunction:
        return CenteredConjugate(self.inner.conjugate, conjugate=self)

    def _domain(self) -> ConvexSet:
        return Whole()

    def _traits(self) -> Traits:
        k = self.inner.traits
        keeps = k.smooth or _round(self.inner)
        return replace(_traits(k), selection=k.selection if keeps else inherited(k))

    def _spec(self) -> dict[str, Any]:
        return {"name": "centered", "k": self.inner.spec}


@value_class
class CenteredConjugate(ArrayFunction):
    """``min over c of k*(y + c)`` where ``sum y = 0``, else ``+inf``: c by one scalar root."""

    inner: ArrayFunction  # k*

    def _shifted(self, xp: Namespace, y: Array, batch: int, middle: bool = False) -> Array:
        """``y + c`` at a best c, for y of sum 0; ``middle``: at the middle of them."""
        if _round(self.inner):
            return y
        if self.conjugate.traits.homogeneous:
            return y + UpToConstants(self.inner.domain)._shift(xp, y, batch, middle)

        def slope(c: Array) -> Array:
            w = y + c
            if isinstance(self.inner.domain, Whole):
                return mean(xp, self.inner._subgradient(xp, w, batch), batch)
            near = self.inner.domain._project(xp, w, batch)
            # finite: a slope may be infinite at one end, and minus infinity at the other
            top = float(xp.finfo(w.dtype).max) / (4 * max(_xp.event_size(w, batch), 1))
            s = mean(xp, _xp.clip(xp, self.inner._subgradient(xp, near, batch), -top, top), batch)
            outside = _xp.spread(xp, self.inner.domain._violation(xp, w, batch) > 0, s)
            return xp.where(outside, mean(xp, w - near, batch), s)

        return y + constant(xp, slope, y, batch, self.inner.traits.absolute, middle)

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        violation = self.domain._violation(xp, x, batch)
        z = _xp.finite(xp, x)
        w = self._shifted(xp, z - mean(xp, z, batch), batch)
        inside = self.inner._value(xp, w, batch, math.inf)
        return outside_is_infinite(xp, inside, violation, tol * self.domain._scale(xp, x, batch))

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        """That of k* at ``y + c``, and of the normals of its domain what makes the sum 0."""
        w = self._shifted(xp, x - mean(xp, x, batch), batch, middle=True)
        s = self.inner._subgradient(xp, w, batch)
        s = xp.where(xp.isinf(s), math.nan * xp.ones_like(s), s)  # infinite at one end and the other: there is none
        if not isinstance(self.inner.domain, Whole):
            excess = mean(xp, s, batch)
            beyond = w - _xp.sign(xp, excess) * math.sqrt(_xp.eps(x)) * (
                1 + _xp.spread(xp, reductions.peak(xp, w, batch), w)
            )
            normal = beyond - self.inner.domain._project(xp, beyond, batch)
            s = s - _xp.divide(xp, excess, mean(xp, normal, batch)) * normal
        return s - mean(xp, s, batch)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        if self.conjugate.traits.homogeneous:  # an indicator; a difference would lose the digits of what is far away
            return self.domain._project(xp, x, batch)
        return self._by_conjugate(xp, x, t, batch)

    def _dual(self) -> ConvexFunction:
        return Centered(self.inner.conjugate, conjugate=self)

    def _domain(self) -> ConvexSet:
        return UpToConstants(self.inner.domain, self.inner.traits.stacks)

    def _traits(self) -> Traits:
        return replace(_traits(self.inner.traits), smooth=False, selection=inherited(self.inner.traits))

    def _spec(self) -> dict[str, Any]:
        return {"name": "conjugate", "K": self.conjugate.spec}


def centered(k: Any, axis: int | None = None) -> ConvexFunction:
    """``k(x - mean x)``, the mean over all entries, or of each slice along ``axis``.

    With an axis, k must be a sum over entries (l1, huber, ...), of which each slice gets its own.

    >>> import lionk, numpy as np
    >>> print(lionk.functions.centered(lionk.K("l2"))(np.asarray([3.0, 5.0, 4.0])) ** 2)
    2.0000000000000004
    """

    def lifted(k: ConvexFunction) -> ConvexFunction:
        k = array_function(k, "centered")
        if axis is None:
            return k if isinstance(k, Centered) else Centered(k)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise TypeError(f"axis must be a whole number or None, got {axis!r}")
        if not k.by_entry:
            raise NotAvailable(
                f"centered along an axis is for a k that is a sum over entries, and {k!r} is not; use axis=None, or "
                "block_lift(centered(k), axis, sections) for slices of their own"
            )
        return PartLift(Centered(k), Axes((axis,), ()))

    return over_blocks(k, lifted)
