"""A function of the positive part: constraints like those of a norm, and nonnegative entries on top."""

from __future__ import annotations

from typing import Any

from ...arrays import reductions
from ...arrays.namespace import Array, Namespace
from ...arrays.value import replace, value_class
from ...sets.base import ConvexSet
from ...sets.box import Box, Whole
from ...sets.positive import Positive, part, where_positive
from ..array_function import ArrayFunction, outside_is_infinite
from ..base import ConvexFunction, Traits
from ..registry.entries import array_function
from .block_sum import over_blocks


@value_class
class PositivePart(ArrayFunction):
    """``k(max(x, 0))`` for a k that depends on absolute values; the conjugate, ``only``: ``k*(y)`` where y >= 0.

    Selection: that of k at ``max(x, 0)``, and 0 where x <= 0, which keeps least norm since k is even in each entry;
    ``prox`` is that of k where x > 0, and elsewhere x itself (of the conjugate: 0). Derived here.
    """

    inner: ArrayFunction
    only: bool = False

    def _validate(self) -> None:
        if not self.inner.traits.absolute:
            raise ValueError(
                f"positive_part needs a k that depends on |x_i| only, such as l1, l2, huber; {self.inner!r} does not"
            )

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        value = self.inner._value(xp, part(xp, x), batch, tol)
        if not self.only:
            return value
        below = reductions.peak(xp, part(xp, -x), batch)
        return outside_is_infinite(xp, value, below, tol * self.domain._scale(xp, x, batch))

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        return where_positive(xp, x, self.inner._subgradient(xp, part(xp, x), batch), xp.zeros_like(x))

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        near = self.inner._prox(xp, part(xp, x), t, batch)
        return where_positive(xp, x, near, xp.zeros_like(x) if self.only else x)

    def _dual(self) -> ConvexFunction:
        return PositivePart(self.inner.conjugate, not self.only, conjugate=self)

    def _domain(self) -> ConvexSet:
        whole = isinstance(self.inner.domain, Whole)
        if whole:
            return Box(0.0, float("inf")) if self.only else Whole()
        return Positive(self.inner.domain, self.only)

    def _traits(self) -> Traits:
        k = self.inner.traits
        return replace(k, even=False, absolute=False, smooth=k.smooth and not self.only)

    def _spec(self) -> dict[str, Any]:
        if self.only:
            return {"name": "conjugate", "K": self.conjugate.spec}
        return {"name": "positive_part", "k": self.inner.spec}


def positive_part(k: Any) -> ConvexFunction:
    """``k(max(x, 0))`` for a k that depends on absolute values: what k* imposes, and ``y >= 0``.

    >>> import lionk, numpy as np
    >>> K = lionk.functions.positive_part(lionk.K("l2"))
    >>> K.subgradient(np.asarray([3.0, -1.0, 4.0])).tolist()
    [0.6, 0.0, 0.8]
    >>> K.conjugate.domain.project(np.asarray([3.0, -1.0, 4.0])).tolist()
    [0.6, 0.0, 0.8]
    """

    def lifted(k: ConvexFunction) -> ConvexFunction:
        return PositivePart(array_function(k, "positive_part"))

    return over_blocks(k, lifted)
