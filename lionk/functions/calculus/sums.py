"""Sums, maxima and infimal convolutions of functions: the rules that build them."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from ...sets.base import ArraySet
from ...sets.box import Box
from ...sets.hull import Hull
from ...sets.rules import interval
from ..base import ConvexFunction, labelled
from ..definitions.scalar import power
from ..definitions.support import Support
from ..registry.entries import K
from .affine import Affine
from .block_sum import Blocks
from .convolution import InfimalConvolution, Sum
from .joint import prox_is_closed
from .moreau import Ridge, moreau_envelope, ridge


def _paired(rule: Callable[..., ConvexFunction], first: Any, second: Any) -> ConvexFunction:
    K1, K2 = K(first), K(second)
    if isinstance(K1, Blocks):
        return K1.map(rule, K2.tree if isinstance(K2, Blocks) else K2)
    return K2.map(lambda b: rule(K1, b)) if isinstance(K2, Blocks) else rule(K1, K2)


def add(K1: Any, K2: Any) -> ConvexFunction:
    """``K1 + K2``; domain of the conjugate: the sum of the two sets.

    Where not both are finite everywhere, the domain is what the two domains share. Sums of sums are one sum: parts that
    act entry by entry are added first, as are norms and multiples of l2; multiples of half_square make a ridge, whose
    parts are closed.
    """
    return _paired(_added, K1, K2)


def _added(a: ConvexFunction, b: ConvexFunction) -> ConvexFunction:
    parts = [*_summands(a), *_summands(b)]
    rest, squares = [k for k in parts if _square(k) is None], [mu for mu in map(_square, parts) if mu is not None]
    if not rest:
        rest, squares = parts[:1], squares[1:]
    groups: list[Any] = []
    for k in rest:
        i = next((i for i, g in enumerate(groups) if prox_is_closed(g, k)), None)
        if i is None:
            groups.append(k)
        else:
            groups[i] = _met(groups[i], k, "add") or Sum(groups[i], k)
    made = reduce(Sum, groups)
    return ridge(made, sum(squares)) if squares else made


def _summands(k: Any) -> list[Any]:
    """What a sum that has no name of its own is made of."""
    if k.label is None and isinstance(k, Sum):
        return [*_summands(k.first), *_summands(k.second)]
    if k.label is None and isinstance(k, Ridge):
        return [*_summands(k.inner), power(2).scale(k.mu)]
    return [k]


def _met(a: ConvexFunction, b: ConvexFunction, rule: str) -> ConvexFunction | None:
    """The support function of what two intervals share, or its conjugate, the sum of both indicators; else None."""
    duals = rule == "add"
    sets = [k.domain if duals else k.conjugate.domain for k in (a, b)]
    if not all((k.conjugate if duals else k).traits.homogeneous for k in (a, b)) or None in map(interval, sets):
        return None
    (low, high), (least, most) = (interval(c) or (0.0, 0.0) for c in sets)
    if max(low, least) > min(high, most):
        raise ValueError(
            f"{rule}: the intervals [{low}, {high}] and [{least}, {most}] share no point; choose intervals that overlap"
        )
    shared = Support(Box(max(low, least), min(high, most)))
    return labelled(shared.conjugate if duals else shared, {"name": rule, "K1": a.spec, "K2": b.spec})


def _square(k: Any) -> float | None:
    """mu if k is ``mu/2 |x|^2``, else None."""
    mu, inner = (k.slope / k.width, k.inner) if isinstance(k, Affine) and k.plain else (1.0, k)
    return mu if inner == power(2) else None


def maximum(K1: Any, K2: Any) -> ConvexFunction:
    """``max(K1(x), K2(x))`` of two support functions; conjugate: the indicator of the hull of both sets.

    Selection: that of the larger one, and halfway between both where they are equal. Membership, projection and prox
    are exact where one of the two is a multiple of l2, and of other functions of vectors that are no sums, maxima or
    infimal convolutions found by an iteration (``traits.accuracy``); else they raise NotAvailable. Raises ValueError
    for functions that are not homogeneous: their conjugate has no known form.
    """

    def larger(a: ConvexFunction, b: ConvexFunction) -> ConvexFunction:
        for name, k in (("K1", a), ("K2", b)):
            if not k.traits.homogeneous:
                raise ValueError(f"maximum needs support functions (norms, max, ...), and {name} = {k!r} is none")
        one, two = a.conjugate.domain, b.conjugate.domain
        if not (isinstance(one, ArraySet) and isinstance(two, ArraySet)):
            raise TypeError("maximum takes convex functions of one array; use it inside lionk.blocks")
        hull = Support(Hull(one, two))
        return labelled(hull, {"name": "maximum", "K1": a.spec, "K2": b.spec})

    return _paired(larger, K1, K2)


def infimal_convolution(K1: Any, K2: Any) -> ConvexFunction:
    """``inf over u of K1(u) + K2(x - u)``; conjugate ``K1* + K2*``: constraints intersect, penalties add.

    A multiple of half_square makes it a Moreau envelope, whose parts are closed. Where dom K1* and dom K2* share no
    point, the infimum is -inf for all x, and K* is +inf: intervals raise ValueError, other sets are told at each x.
    """

    def convolved(a: Any, b: Any) -> ConvexFunction:
        for k, mu in ((b, _square(a)), (a, _square(b))):
            if mu is not None:
                return moreau_envelope(k, 1 / mu)
        return _met(a, b, "infimal_convolution") or InfimalConvolution(a, b)

    return _paired(convolved, K1, K2)
