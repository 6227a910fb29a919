"""The group lift: a function of the norms of groups of entries. One group: the radial lift."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays import roots as _roots
from ...arrays import spectral as _spectral
from ...arrays.far import from_afar
from ...arrays.namespace import Array, Namespace
from ...arrays.value import has_arrays, replace, value_class
from ...errors import NotAvailable
from ...sets.ball import Ball
from ...sets.base import ArraySet, ConvexSet
from ...sets.box import Whole
from ..array_function import ArrayFunction
from ..base import ConvexFunction, Traits, inherited
from ..definitions.euclidean import L2
from ..definitions.support import Indicator, Support
from ..registry.entries import array_function
from .dual_norm import dual_norm


def _weighted_sum(k: ConvexFunction) -> bool:
    """Is k(r) = sum w_g r_g for r >= 0?"""
    return k.traits.structure == "elementwise" and k.traits.homogeneous


@cache
def _layout(groups: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, ...], tuple[int, ...]]:
    """Groups as the rows of a table: its shape, the entry at each place (one past the last: none), and its inverse."""
    members: dict[int, list[int]] = {g: [] for g in sorted(set(groups))}
    for i, label in enumerate(groups):
        members[label].append(i)
    longest = max(map(len, members.values()))
    into = [i for m in members.values() for i in (*m, *[len(groups)] * (longest - len(m)))]
    place = {i: p for p, i in enumerate(into)}
    return (len(members), longest), tuple(into), tuple(place[i] for i in range(len(groups)))


@value_class
class GroupLift(ArrayFunction):
    """``K(x) = k(N(x_1), ..., N(x_G))``, k even in each argument, N a norm; ``K* = k*(N*(y_1), ..., N*(y_G))``.

    Groups are the slices along ``axis`` (all other axes index them); ``axis=None`` makes one group of all entries;
    ``groups``, one whole number for each entry of a 1-d argument, puts entries of the same label into one group, the
    groups in the order of their labels.
    Arguments have at least ``ndim`` axes (2 for functions of matrices: a vector is no row by itself).
    ``dK = dk(norms)_g dN(x_g)``, of least norm for N = l2, else where dk is unique.
    """

    inner: ArrayFunction
    norm: ArrayFunction = L2
    axis: int | None = -1
    ndim: int = 1
    groups: tuple[int, ...] | None = None

    def _validate(self) -> None:
        if not self.inner.traits.absolute:
            raise ValueError(
                f"group_lift needs a k that depends on |x_i| only, such as l1, linf, huber; {self.inner!r} does not"
            )
        if not (self.norm.traits.homogeneous and self.norm.traits.even):
            raise ValueError(
                f"group_lift needs a norm, and {self.norm!r} is not one; use l2, l1, linf, lp, nuclear, ..."
            )
        if self.axis is not None and (isinstance(self.axis, bool) or not isinstance(self.axis, int)):
            raise ValueError(f"axis must be a whole number or None, got {self.axis!r}")

    @property
    def _round(self) -> bool:
        """Is the norm l2?"""
        return isinstance(self.norm, Support) and isinstance(self.norm.set, Ball) and self.norm.set.q == 2

    def _split(self, xp: Namespace, x: Array, batch: int) -> tuple[Array, Array]:
        """The array with each group in the last axes, and the norms of the groups."""
        if self.axis is None:
            return x, self.norm._value(xp, x, batch, 0.0)[..., None]
        if x.ndim - batch < self.ndim == 2:
            _spectral.check_matrix(x, "a function of rows or columns")
        if not -(x.ndim - batch) <= self.axis < x.ndim - batch:
            raise ValueError(f"axis {self.axis} does not exist in an array of {x.ndim - batch} dimension(s)")
        y = self._gather(xp, x, batch)
        return y, self.norm._value(xp, y, y.ndim - 1, 0.0)

    def _gather(self, xp: Namespace, x: Array, batch: int) -> Array:
        """Each group in the last axis; labelled groups of different size are filled up with zeros."""
        if self.groups is None:
            return xp.moveaxis(x, self._axis(batch), -1)
        if x.ndim - batch != 1 or x.shape[-1] != len(self.groups):
            raise ValueError(
                f"groups labels {len(self.groups)} entries of a 1-d array, got one of shape {tuple(x.shape)[batch:]}"
            )
        if not self.groups:
            return x[..., None]
        shape, into, _ = _layout(self.groups)
        filled = xp.concat([x, xp.zeros_like(x[..., :1])], axis=-1)
        picked = xp.take(filled, xp.asarray(into, device=_xp.device(x)), axis=-1)
        return xp.reshape(picked, (*x.shape[:-1], *shape))

    def _axis(self, batch: int) -> int:
        assert self.axis is not None
        return self.axis if self.axis < 0 else self.axis + batch

    def _join(self, xp: Namespace, y: Array, batch: int) -> Array:
        if self.axis is None:
            return y
        if self.groups is None:
            return xp.moveaxis(y, -1, self._axis(batch))
        if not self.groups:
            return y[..., 0]
        back = xp.asarray(_layout(self.groups)[2], device=_xp.device(y))
        return xp.take(_xp.flat(xp, y, batch), back, axis=-1)

    def _each(self, xp: Namespace, factor: Array, y: Array) -> Array:
        """One number for each group, ready to broadcast against the groups."""
        return _xp.spread(xp, factor[..., 0] if self.axis is None else factor, y)

    def _unit(self, xp: Namespace, y: Array, batch: int) -> Array:
        return self.norm._subgradient(xp, y, batch if self.axis is None else y.ndim - 1)

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        return self.inner._value(xp, self._split(xp, x, batch)[1], batch, tol)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        y, norms = self._split(xp, x, batch)
        # the rounding of a norm must not reach the boundary of an open domain, where K* is infinite
        size = _xp.event_size(y, batch if self.axis is None else y.ndim - 1)
        edge = 1 - 2 * _xp.eps(x) * math.sqrt(size) if self.traits.open_domain else 1.0
        unit = self._unit(xp, y, batch)
        slope = self._each(xp, edge * self.inner._subgradient(xp, norms, batch), unit)
        if not isinstance(self.inner.domain, Whole):  # at the edge of an open domain a slope is infinite
            slope = xp.where(unit == 0, xp.zeros_like(unit), slope)
        return self._join(xp, slope * unit, batch)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        """On the norms for N = l2; block by block for k = l1; for one group by a scalar root; else NotAvailable."""
        y, norms = self._split(xp, x, batch)
        if self._round:
            return self._resized(xp, y, norms, self.inner._prox(xp, norms, _xp.beside(xp, t, norms), batch), batch)
        ones, lifted = xp.ones_like(norms), self.conjugate
        dual: ArrayFunction = lifted.norm  # type: ignore[attr-defined]
        if _weighted_sum(self.inner):  # group by group, each with its weight
            s = _xp.beside(xp, t, norms) * self.inner._subgradient(xp, ones, batch)
            return self._join(xp, self._shrunk(xp, y, s, batch), batch)
        if _weighted_sum(self.inner.conjugate):  # the indicator of a ball for each group
            radii = self.inner.conjugate._subgradient(xp, ones, batch)
            return self._join(xp, self._onto(xp, dual.conjugate.domain, radii, y, batch), batch)
        if self.axis is None and not isinstance(self.inner.domain, Whole):  # Moreau: phi* is finite everywhere
            return self._by_conjugate(xp, x, t, batch)
        if self.axis is not None:
            raise NotAvailable(f"{self!r} has no known proximal operator: it is closed for norm='l2' or k='l1' only")

        each = _xp.beside(xp, t, norms)

        # s = t phi'(N(prox_{s N} x)); the right side decreases in s, so that the difference has one root
        def near(z: Array, a: Any) -> Array:
            def excess(s: Array) -> Array:
                shrunk = self.norm._value(xp, self._shrunk(xp, z, s, batch), batch, 0.0)[..., None]
                return s - a * each * self.inner._subgradient(xp, shrunk, batch)

            top = a * each * self.inner._subgradient(xp, self.norm._value(xp, z, batch, 0.0)[..., None], batch)
            top = xp.minimum(top, dual._value(xp, z, batch, 0.0)[..., None])  # there it is 0
            return self._shrunk(xp, z, _roots.root(xp, excess, xp.zeros_like(top), top), batch)

        return from_afar(xp, near, x, lambda: self.conjugate._slope(xp, x / t, batch), batch)

    def _shrunk(self, xp: Namespace, y: Array, s: Array, batch: int) -> Array:
        """prox of ``s N`` on each group, one ``s >= 0`` for each: the part outside the dual ball of radius s."""
        return y - self._onto(xp, self.norm.conjugate.domain, s, y, batch)

    def _onto(self, xp: Namespace, ball: Any, radii: Array, y: Array, batch: int) -> Array:
        """Each group, projected on the ball times its radius."""
        r = _xp.spread(xp, radii[..., 0] if self.axis is None else radii, y) + xp.zeros_like(xp.abs(y))
        one = xp.where(r == 0, xp.ones_like(r), r)
        inner = batch if self.axis is None else y.ndim - 1
        near = _xp.scaled_map(xp, lambda z: ball._project(xp, z, inner), one, y)
        return xp.where(r == 0, xp.zeros_like(y), near)

    def _resized(self, xp: Namespace, y: Array, norms: Array, new: Array, batch: int) -> Array:
        """The groups with these new norms; where the norm stays, the group does, bit for bit."""
        moved = self._each(xp, new, y) * self._unit(xp, y, batch)
        return self._join(xp, xp.where(self._each(xp, new == norms, y), y, moved), batch)

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        if self.traits.smooth or not self._round:
            return super()._subdifferential_distance(xp, x, s, batch)
        y, norms = self._split(xp, x, batch)
        z = s if self.axis is None else self._gather(xp, s, batch)
        inner_batch = batch if self.axis is None else y.ndim - 1
        unit = self._unit(xp, y, batch)
        along = reductions.inner(xp, unit, z, inner_batch)
        across = reductions.norm(xp, z - _xp.spread(xp, along, z) * unit, inner_batch)
        if self.axis is None:
            along, across = along[..., None], across[..., None]
        zero = norms == 0
        radial = self.inner._subdifferential_distance(xp, norms, xp.where(zero, across, along), batch)
        rest = reductions.norm(xp, xp.where(zero, xp.zeros_like(across), across), batch)
        return xp.hypot(radial, rest)

    def _dual(self) -> ConvexFunction:
        return GroupLift(self.inner.conjugate, dual_norm(self.norm), self.axis, self.ndim, self.groups, conjugate=self)

    def _domain(self) -> ConvexSet:
        if isinstance(self.inner.domain, Whole):
            return Whole()
        return Grouped(self.inner.domain, self.norm, self.axis, self.ndim, self.groups)

    def _traits(self) -> Traits:
        k, n = self.inner.traits, self.norm.traits
        # An even and smooth phi is flat at 0, so phi(N(x)) is smooth at a zero group; elsewhere N must be smooth.
        round_norm = isinstance(self.norm, Support) and isinstance(self.norm.set, Ball)
        dual: Any = self.conjugate
        sums = _weighted_sum(self.inner) or _weighted_sum(self.inner.conjugate)
        return replace(
            k,
            absolute=n.absolute,
            symmetric=k.symmetric and n.symmetric and self.axis is None and self.groups is None,
            smooth=k.smooth and round_norm,
            structure=(
                "matrix"
                if n.structure == "matrix"
                else "reduce"
                if self.axis is None
                else "rowwise"
                if k.structure == "elementwise"
                else k.structure
            ),
            along=self.axis,
            stacks=n.stacks or self.ndim == 2,
            selection=k.selection if self._round else inherited(k, n),
            prox=k.prox if self._round else n.prox and dual.norm.traits.prox and (self.axis is None or sums),
            needs=n.needs,
        )

    def _spec(self) -> dict[str, Any]:
        return {
            "name": "group_lift",
            "k": self.inner.spec,
            "norm": self.norm.spec,
            "axis": self.axis,
            "ndim": self.ndim,
            "groups": self.groups,
        }


@dual_norm.register
def _(norm: GroupLift) -> ArrayFunction:
    return GroupLift(dual_norm(norm.inner), dual_norm(norm.norm), norm.axis, norm.ndim, norm.groups)


@value_class
class Grouped(ArraySet):
    """``{ y : (N(y_1), ..., N(y_G)) in C }`` for a set C that depends on absolute values only."""

    inner: ArraySet
    norm: ArrayFunction
    axis: int | None = -1
    ndim: int = 1
    groups: tuple[int, ...] | None = None

    @property
    def _lift(self) -> GroupLift:
        """The function whose value at y is the indicator of this set; made once, unless it holds arrays."""
        made: GroupLift | None = vars(self).get("_made")
        if made is None:
            made = GroupLift(Indicator(self.inner), self.norm, self.axis, self.ndim, self.groups)
            if not has_arrays(self):
                vars(self)["_made"] = made
        return made

    @property
    def stacks(self) -> bool:
        return self.norm.traits.stacks or self.ndim == 2

    def _traits(self) -> dict[str, Any]:
        return vars(self._lift.conjugate.traits)

    def diameter(self, shape: tuple[int, ...]) -> float:
        """Exact for l2 and for a box of norms; else an upper bound."""
        if 0 in shape:
            return 0.0
        ball = self._lift.conjugate.norm.conjugate.domain  # type: ignore[attr-defined]
        if self.groups is not None:
            count, longest = _layout(self.groups)[0]
            return self.inner.diameter((count,)) * ball.diameter((longest,)) / 2
        axis = None if self.axis is None else self.axis % len(shape)
        groups = (1,) if axis is None else shape[:axis] + shape[axis + 1 :]
        return self.inner.diameter(groups) * ball.diameter(shape if axis is None else (shape[axis],)) / 2

    def _lmo(self, xp: Namespace, c: Array, batch: int) -> Array:
        return self._lift.conjugate._subgradient(xp, c, batch)

    def _project(self, xp: Namespace, y: Array, batch: int) -> Array:
        return self._kept(xp, y, self._lift._prox(xp, y, 1.0, batch), batch)

    def _violation(self, xp: Namespace, y: Array, batch: int) -> Array:
        return self.inner._violation(xp, self._lift._split(xp, y, batch)[1], batch)

    def _distance(self, xp: Namespace, y: Array, batch: int) -> Array:
        if self._lift._round:
            return self.inner._distance(xp, self._lift._split(xp, y, batch)[1], batch)
        return super()._distance(xp, y, batch)

    def _scale(self, xp: Namespace, y: Array, batch: int) -> Any:
        return self.inner._scale(xp, xp.abs(y), batch)


def _labels(groups: Any) -> tuple[int, ...] | None:
    """Labels as whole numbers, from a sequence or a 1-d array of integers."""
    if groups is None:
        return None
    if hasattr(groups, "shape"):
        if groups.ndim != 1:
            raise ValueError(f"groups must be a list or a 1-d array of labels, got shape {tuple(groups.shape)}")
        groups = [groups[i] for i in range(groups.shape[0])]
    if isinstance(groups, (str, bytes)) or not hasattr(groups, "__iter__"):
        raise TypeError(f"groups must be a list or a 1-d array of whole numbers, got {type(groups).__name__}")
    if not all(isinstance(g, (int, float)) or hasattr(g, "__index__") for g in groups):
        raise TypeError(f"groups must be a list or a 1-d array of whole numbers, got {groups!r}")
    labels = tuple(int(g) for g in groups)
    if any(label != g or isinstance(g, bool) for label, g in zip(labels, groups, strict=True)):
        raise ValueError(f"groups must be whole numbers, one for each entry, got {groups!r}")
    return labels


def group_lift(k: Any, norm: Any = "l2", axis: int | None = -1, ndim: int = 1, groups: Any = None) -> ConvexFunction:
    """``k(N(x_1), ..., N(x_G))`` over the slices along ``axis``; ``row_l1_l2 = group_lift("l1", "l2", -1, 2)``.

    ``groups``: labels (integers) of the entries of a 1-d argument, instead of an axis.

    >>> import array_api_strict as xp, lionk
    >>> K = lionk.functions.group_lift("l1", "l2", groups=[0, 0, 1])
    >>> float(K(xp.asarray([3.0, 4.0, -2.0])))
    7.0
    """
    return GroupLift(
        array_function(k, "group_lift"),
        array_function(norm, "group_lift"),
        -1 if groups is not None else axis,
        ndim,
        _labels(groups),
    )
