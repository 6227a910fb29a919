"""Sum of two functions and infimal convolution, each the conjugate of the other."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import reduce
from operator import add as add_up
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays import roots as _roots
from ...arrays.namespace import Array, Namespace
from ...arrays.splitting import mended, rest
from ...arrays.value import replace, value_class
from ...errors import NotAvailable
from ...sets.base import ConvexSet, resolve_tol
from ...sets.box import Box, Whole
from ...sets.intersection import Intersection
from ...sets.rules import Minkowski, interval
from ..array_function import ArrayFunction, outside_is_infinite
from ..base import ConvexFunction, Traits
from ..enclosure import sharper
from . import entrywise
from .joint import divided, elementwise, joint, norm_and_ball, prox_is_closed
from .moreau import Moreau

# What a split leaves at worst, in the tests, of K and K*; it leaves 1e-12 of most. The worst are log_sum_exp + l1 of
# 100 to 3,000 entries (2.5e-4) and entries that differ by eight orders of magnitude (1e-4). Under a jit, where the
# number of steps is fixed, as much is left of up to 1000 entries of similar size.
ACCURACY = 5e-4


@value_class
class Sum(ArrayFunction):
    """``K1(x) + K2(x)``; selection ``dK1 + dK2``; conjugate: the infimal convolution of K1* and K2*."""

    first: ArrayFunction
    second: ArrayFunction

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        if isinstance(self.domain, Whole):
            return self.first._value(xp, x, batch, tol) + self.second._value(xp, x, batch, tol)
        violation = self.domain._violation(xp, x, batch)
        inside = xp.zeros_like(violation)
        if not self._indicators:
            near = self.domain._project(xp, _xp.finite(xp, x), batch)
            inside = self.first._value(xp, near, batch, math.inf) + self.second._value(xp, near, batch, math.inf)
            if not self.conjugate.traits.bounded_domain:  # infinite entries, which are no members elsewhere
                inside = inside + reductions.poison(xp, x, batch)
        return outside_is_infinite(xp, inside, violation, tol * self.domain._scale(xp, x, batch))

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        return self.first._subgradient(xp, x, batch) + self.second._subgradient(xp, x, batch)

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        one, two = (k._measured(xp, x, batch, tol) for k in (self.first, self.second))
        return self._value(xp, x, batch, tol), one[1] + two[1], one[2] + two[2]

    @property
    def _cancels(self) -> bool:
        return super()._cancels or not all(k.traits.minimum_at_zero for k in (self.first, self.second))

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        """Entry by entry, by a root; ``prox_{r l2}`` after the other one, if that is homogeneous (Yu 2013); else as in
        ``divided``: it is the x that K1 and ``K2 + |.|^2/(2t)`` share where ``x/t`` is divided between them.
        """
        pair = norm_and_ball(self.first, self.second)
        if pair is not None:
            k, ball = pair
            return ball._prox(xp, k._prox(xp, x, t, batch), t, batch)
        if self._indicators:
            return self.domain._project(xp, x, batch)
        if not elementwise(self.first, self.second):
            if not isinstance(self.domain, Whole):
                raise NotAvailable(
                    f"{self!r} has no known proximal operator; take the proximal operators of its two parts"
                )
            return divided(xp, [k.conjugate for k in _parts(self)], x / t, batch, 1 / t)[1]
        return entrywise.nearest(xp, self, x, t)

    @property
    def _indicators(self) -> bool:
        """Are both 0 on a set and infinite off it?"""
        return self.first.conjugate.traits.homogeneous and self.second.conjugate.traits.homogeneous

    def _dual(self) -> ConvexFunction:
        return InfimalConvolution(self.first.conjugate, self.second.conjugate, conjugate=self)

    def _domain(self) -> ConvexSet:
        a, b = self.first.domain, self.second.domain
        if isinstance(a, Whole) or isinstance(b, Whole):
            return b if isinstance(a, Whole) else a
        one, two = interval(a), interval(b)
        if one is None or two is None:
            return Intersection(a, b)
        low, high = max(one[0], two[0]), min(one[1], two[1])
        if low > high:
            raise ValueError(
                f"the two functions of a sum are finite on [{one[0]}, {one[1]}] and on [{two[0]}, {two[1]}], which "
                "share no point; choose functions that are finite at a common point"
            )
        return Box(low, high)

    def _traits(self) -> Traits:
        both = joint(self.first.traits, self.second.traits)
        split_up = isinstance(self.domain, Whole) and self.first.traits.prox and self.second.traits.prox
        return replace(both, prox=self._indicators or split_up or prox_is_closed(self.first, self.second))

    def _spec(self) -> dict[str, Any]:
        return {"name": "add", "K1": self.first.spec, "K2": self.second.spec}


@value_class
class InfimalConvolution(ArrayFunction):
    """``inf { K1(u) + K2(y - u) }``; conjugate ``K1* + K2*``; subgradient: the one that both share at the split.

    The value is that of a split u + v = y with u in dom K1 and v in dom K2, so it is an upper end: K* is the least of
    these. It is ``+inf`` where no such split is found, and ``-inf`` where dom K1* and dom K2* share no point. Entry by
    entry from a bracket of the subgradient; exact for two indicators of which one is a Euclidean ball, and one root for
    such a ball and another function; otherwise by ``splitting``.
    """

    first: ArrayFunction
    second: ArrayFunction

    @property
    def _indicators(self) -> bool:
        return self.first.conjugate.traits.homogeneous and self.second.conjugate.traits.homogeneous

    @property
    def _entrywise(self) -> bool:
        """Is it found entry by entry? Not where the conjugate has an edge, at which a slope may be anything beyond."""
        return elementwise(self.first, self.second) and isinstance(self.conjugate.domain, Whole)

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        if self._indicators or self._entrywise:
            violation, bound = self.domain._violation(xp, x, batch), tol * self.domain._scale(xp, x, batch)
            if self._indicators:
                return outside_is_infinite(xp, xp.zeros_like(violation), violation, bound)
            y = self.domain._project(xp, _xp.finite(xp, x), batch)
            u, beyond = entrywise.between(xp, self, y, *entrywise.ends(xp, self, y))
            inside = self._at(xp, u, y - u, batch, math.inf) + reductions.peak(xp, beyond, batch)
            return outside_is_infinite(xp, inside, violation + reductions.poison(xp, x, batch), bound)
        return self._found(xp, x, batch, tol)[0]

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        """The two parts may be larger than x, and of different sign, as may be their values ``<u, s> - K1*(s)``."""
        if self._indicators:
            return super()._measured(xp, x, batch, tol)
        if self._entrywise:
            value, s = self._value(xp, x, batch, tol), self._subgradient(xp, x, batch)
            found = [k.conjugate._subgradient(xp, s, batch) for k in (self.first, self.second)]
        else:
            value, s, found = self._sharp(xp, x, batch, tol)
        size, slope = reductions.magnitude(xp, value), _xp.finite(xp, s)
        for k, part in zip(_parts(self), found, strict=True):
            other = k.conjugate._value(xp, slope, batch, math.inf)
            size = size + reductions.norms(xp, part, s, batch) + reductions.magnitude(xp, other)
        return value, s, size

    def _sharp(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, list[Array]]:
        """``_found``, whose subgradient may have lost its digits far out."""
        value, s, found = self._found(xp, x, batch, tol)
        if self._met:  # the value is <x, s>
            return value, s, found
        return value, sharper(self.conjugate, _parts(self), xp, x, value, s, found, batch), found

    def _found(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, list[Array]]:
        """The value, the subgradient, and the parts of the split."""
        functions = _parts(self)
        shared = self.conjugate.domain
        if self._met and isinstance(shared, Intersection):
            value, s = shared._extreme(xp, x, batch)
            return value, s, [x, xp.zeros_like(x)]
        y = _xp.finite(xp, x)
        if not _xp.event_size(x, batch):
            return self._at(xp, y, y, batch, tol), y, [y] * len(functions)
        usual = resolve_tol(_xp.kind(y), y, None, batch)
        wide = 1e3 * usual < tol < math.inf  # that of a stack, or of a lower precision, is larger, too
        if wide and not isinstance(self.domain, Whole):  # parts a little outside add up to less
            value, s, found = self._found(xp, self.domain._project(xp, y, batch), batch, math.inf)
            near = reduce(add_up, [k._value(xp, u, batch, math.inf) for k, u in zip(functions, found, strict=True)])
            value = xp.where(value < math.inf, value, near)  # the projection is an edge, which a split may not reach
            bound = tol * self.domain._scale(xp, x, batch)
            return outside_is_infinite(xp, value, self.domain._violation(xp, x, batch), bound), s, found

        def apart(parts: list[Array], tol: float = tol) -> bool:
            """Is y outside the domain, by more than the tolerance, along what these parts leave of it?"""
            with suppress(NotAvailable):  # of a set that is known by its projection only
                lack = self.domain._separation(xp, y, reduce(add_up, parts), batch)
                return bool(lack > tol * self.domain._scale(xp, y, batch))
            return False

        sought = tol < math.inf and not batch and not isinstance(self.domain, Whole)
        found, s = divided(xp, functions, y, batch, apart=apart if sought else None)
        if tol == math.inf:  # x is a member, but not each of these is a split of it: y + 0, say
            tol = usual
        if _roots.visible(y):  # parts are known to their own rounding, which is finer than that of a domain of size 1
            tol = tol * min(1.0, max(float(reductions.peak(xp, u, 0)) for u in (y, *found)))

        def least(*splits: list[Array]) -> Array:
            values = []
            for parts in splits:
                for i in range(len(parts)):  # which takes the rest
                    each = [*parts[:i], rest(parts, i, y), *parts[i + 1 :]]
                    pairs = zip(functions, each, strict=True)
                    values.append(reduce(add_up, [k._value(xp, u, batch, tol) for k, u in pairs]))
            return reduce(xp.minimum, values)

        value = least(found, [xp.zeros_like(y) for _ in functions])  # towards a part that is 0 it may drift slowly
        if _roots.visible(value) and reductions.some(xp.isinf(value)) and not (sought and apart(found)):
            inside = mended(xp, functions, found, y, batch)
            value = value if inside is None else xp.minimum(value, least(inside))
        if isinstance(shared, Intersection):
            own = 1 if _closed(self.first, InfimalConvolution) else len(_parts(self.first))
            part = reduce(add_up, found[:own])
            value, s = shared._unless_apart(xp, part, y, value, shared._inside(xp, s, batch), batch)
        elif not isinstance(shared, Whole):
            s = shared._project(xp, s, batch)
        return value + reductions.poison(xp, x, batch), s + _xp.only_nan(xp, x), found

    @property
    def _cancels(self) -> bool:
        return super()._cancels or not all(k.traits.minimum_at_zero for k in (self.first, self.second))

    @property
    def _met(self) -> bool:
        """Are both support functions, so that this is the one of what the two sets share?"""
        return self.first.traits.homogeneous and self.second.traits.homogeneous

    def _enveloped(self, mu: float, dual: ArrayFunction | None = None) -> ArrayFunction | None:
        """That of one part: where the other part alone has a domain, a split is always found."""
        if self._entrywise or self._met or _closed(self, InfimalConvolution):
            return None
        part = self.second._enveloped(mu) or Moreau(self.second, mu)
        return InfimalConvolution(self.first, part, conjugate=dual)  # type: ignore[arg-type]

    def _at(self, xp: Namespace, u: Array, v: Array, batch: int, tol: float) -> Array:
        return self.first._value(xp, u, batch, tol) + self.second._value(xp, v, batch, tol)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        if self._indicators:
            return _xp.only_nan(xp, x)
        if not self._entrywise:
            return self._sharp(xp, x, batch, math.inf)[1]
        r = xp.abs(x) if _xp.is_complex(x) else x
        s = _roots.middle(xp, *entrywise.ends(xp, self, r))
        return s if r is x else _xp.sign(xp, x) * s

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        if norm_and_ball(self.first.conjugate, self.second.conjugate) is not None:
            return self.domain._project(xp, x, batch)  # closed; a difference would lose the digits of what is far away
        return self._by_conjugate(xp, x, t, batch)

    def _dual(self) -> ConvexFunction:
        return Sum(self.first.conjugate, self.second.conjugate, conjugate=self)

    def _domain(self) -> ConvexSet:
        a, b = self.first.domain, self.second.domain
        if isinstance(a, Whole) or isinstance(b, Whole):
            return Whole()
        one, two = interval(a), interval(b)
        if elementwise(self.first, self.second) and one is not None and two is not None:
            return Box(one[0] + two[0], one[1] + two[1])
        return Minkowski(a, b)

    def _traits(self) -> Traits:
        both = joint(self.first.traits, self.second.traits)
        smooth = self.first.traits.smooth or self.second.traits.smooth
        duals = self.first.conjugate, self.second.conjugate
        exact = self._entrywise or norm_and_ball(*duals) is not None
        split_up = isinstance(self.conjugate.domain, Whole) and self.first.traits.prox and self.second.traits.prox
        return replace(
            both,
            smooth=smooth,
            selection="min_norm" if smooth else both.selection,
            bounded_domain=self.first.traits.bounded_domain or self.second.traits.bounded_domain,
            prox=exact or self._met or split_up or elementwise(*duals),
            accuracy=max(both.accuracy, 0.0 if exact else ACCURACY),
        )

    def _spec(self) -> dict[str, Any]:
        return {"name": "infimal_convolution", "K1": self.first.spec, "K2": self.second.spec}


def _parts(k: Any) -> list[Any]:
    """The functions that a sum, or an infimal convolution, is made of; those whose sum has a closed prox as one."""
    rule: Any = type(k)
    return [p for part in (k.first, k.second) for p in ([part] if _closed(part, rule) else _parts(part))]


def _closed(k: Any, rule: Any) -> bool:
    """Is it no sum (no infimal convolution), or one whose proximal operator is closed?"""
    if not isinstance(k, rule):
        return True
    return prox_is_closed(*(p.conjugate if rule is InfimalConvolution else p for p in (k.first, k.second)))
