"""The lifts over axes: a function of each part of an array, summed over the parts. Heads, experts, kernels."""

from __future__ import annotations

from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays.layout import KERNEL, Axes, Layout, Sections, axes
from ...arrays.layout import sections as read_sections
from ...arrays.namespace import Array, Namespace
from ...arrays.value import replace, value_class
from ...sets.base import ConvexSet
from ...sets.box import Whole
from ...sets.parts import Parts, of_parts, parts_of, root_of_squares, traits_of_parts
from ..array_function import ArrayFunction
from ..base import ConvexFunction, Traits, labelled
from ..registry.entries import array_function


@value_class
class PartLift(ArrayFunction):
    """``K(x) = sum_p k(x_p)`` over the parts of x; ``K*(y) = sum_p k*(y_p)``.

    A layout only moves entries, so that subgradient, conjugate, prox and projection are those of the parts, and least
    norm is kept. Parts of one shape are computed as one batch. Derived here.
    """

    inner: ArrayFunction
    layout: Layout

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        each = (self.inner._value(xp, part, b, tol) for part, b in parts_of(self, xp, x, batch))
        first, *rest = (reductions.total(xp, v, batch) for v in each)
        for v in rest:
            first = first + v
        return first

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        return of_parts(self, self.inner._subgradient, xp, x, batch)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        return of_parts(self, lambda xp, part, b: self.inner._prox(xp, part, _xp.beside(xp, t, part), b), xp, x, batch)

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        pairs = zip(parts_of(self, xp, x, batch), parts_of(self, xp, s, batch), strict=True)
        each = [self.inner._subdifferential_distance(xp, a, c, b) for (a, b), (c, _) in pairs]
        return root_of_squares(xp, each, batch)

    def _dual(self) -> ConvexFunction:
        return PartLift(self.inner.conjugate, self.layout, conjugate=self)

    def _domain(self) -> ConvexSet:
        return Whole() if isinstance(self.inner.domain, Whole) else Parts(self.inner.domain, self.layout)

    def _traits(self) -> Traits:
        return replace(self.inner.traits, **traits_of_parts(vars(self.inner.traits), self.layout))

    def _spec(self) -> dict[str, Any]:
        return {**self.layout.spec, "k": self.inner.spec}


def _lifted(k: Any, layout: Layout, rule: str) -> ConvexFunction:
    k = array_function(k, rule)
    if k.by_entry:  # a sum over entries is the same in parts
        return labelled(k, {**layout.spec, "k": k.spec})
    return PartLift(k, layout)


def block_lift(k: Any, axis: int, sections: Any) -> ConvexFunction:
    """``sum_h k(x_h)`` over slices along an axis: heads of attention, experts, fused projections.

    Parameters
    ----------
    k : convex function of one array
    axis : int
        The axis that is split; of a weight (out, in), -2 are the outputs.
    sections : int or list of int
        How many equal slices, or the size of each.

    Factors that depend on the shape (Muon's, Scion's) see that of the slice. With ``s_1(X_h) <= 1/lam`` for each of
    H slices, ``s_1(X) <= sqrt(H)/lam`` (derived here).

    >>> import lionk, numpy as np
    >>> K = lionk.functions.block_lift(lionk.K("nuclear"), 0, 2)
    >>> x = np.vstack([np.eye(2), 3 * np.eye(2)])
    >>> print(K(x), float(np.linalg.norm(K.subgradient(x), 2)))
    8.0 1.4142135623730951
    """
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise TypeError(f"axis must be a whole number, got {axis!r}")
    return _lifted(k, Sections(axis, read_sections(sections)), "block_lift")


def matrix_lift(k: Any, rows: Any = 0, columns: Any = None) -> ConvexFunction:
    """``k`` of the matrix whose rows are the axes ``rows`` and whose columns are the axes ``columns``, in that order.

    The other axes count matrices, whose values add up. None for one of the two: all axes that the other leaves;
    () for none: a vector is one column.
    Kernels (out, in, k, k) are ``rows=0``; projections (out, heads, dim) with one matrix for each head are
    ``rows=0, columns=2``.

    >>> import lionk, numpy as np
    >>> K = lionk.functions.matrix_lift(lionk.K("spectral"), rows=(0, 1), columns=2)
    >>> print(round(float(K(np.ones((3, 2, 4)))) ** 2, 9))
    24.0
    """
    layout = Axes(axes("rows", rows), axes("columns", columns))
    if layout.rows is None and layout.columns is None:
        raise ValueError("matrix_lift needs the axes of the rows or those of the columns; both are None")
    return _lifted(k, layout, "matrix_lift")


def kernel_lift(k: Any) -> ConvexFunction:
    """``k`` of a convolution kernel (out, in, k...) reshaped to the matrix (out, in k...): ``matrix_lift(k, 0)``."""
    return _lifted(k, KERNEL, "kernel_lift")
