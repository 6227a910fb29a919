"""The properties that every convex function has with its conjugate, each a function of ``On`` and a random generator.

A property returns where it holds, raises ``DoesNotApply`` where it says nothing, and anything else where it fails.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from itertools import combinations
from typing import Any

from ..errors import NotAvailable
from .claims import traits
from .domains import closed, conjugate_outside, domain, recession
from .on import On, finite, inner, kinks, norm
from .verdict import DoesNotApply, Violation, at_most, available, expect

Property = Callable[[On, Any], None]


def _places(on: On, rng: Any) -> list[Any]:
    return on.points(rng) + ([on.round(x) for x in kinks(on.shape)] if on.everywhere else [])


def fenchel_young_equality(on: On, rng: Any) -> None:
    """K(x) + K*(s) = <x, s> at s = dK(x), at random points and at kinks."""
    for x in _places(on, rng):
        s = on.gradient(x)
        if finite(s):  # else dK(x) is empty: at the end of an open domain
            gap, scale = on.gap(x, s), 1 + abs(on.value(x)) + norm(x) * norm(s)
            at_most(abs(gap), on.tol(scale), "K(x) + K*(s) differs from <x, s> at s = dK(x)", x=x, s=s)


def few_equalities(on: On, rng: Any) -> None:
    """Fenchel-Young equality at one point, for functions whose calls are long."""
    x = on.points(rng, 2)[1]
    s = on.gradient(x)
    if not finite(s):
        raise DoesNotApply("the subdifferential is empty there")
    at_most(abs(on.gap(x, s)), on.tol(1 + abs(on.value(x)) + norm(x) * norm(s)), "K(x) + K*(s) - <x, s>", x=x, s=s)
    far = on.round(1.5 * s + on.random(rng, 3.0))
    expect(on.gap(x, far) > 0.01, "no gap where s is far from dK(x)", x=x, s=far)


def fenchel_young_inequality(on: On, rng: Any) -> None:
    """K(x) + K*(y) >= <x, y> at points of both domains, at the edge of dom K*, and at any y: +inf is large enough."""
    edge = on.K.conjugate.domain
    for x in on.points(rng, 2):
        others = [*on.dual().points(rng, 2), on.dual().random(rng, 3.0), available(on.call, edge.project, 20 * x)]
        for y in others:
            if y is not None:
                bound = on.tol(1 + norm(x) * norm(y))
                at_most(-on.gap(x, y), bound, "K(x) + K*(y) is less than <x, y>", x=x, y=y)


def subgradient_inequality(on: On, rng: Any) -> None:
    """K(z) >= K(x) + <dK(x), z - x>, at z far from x and, where a wrong slope shows whatever K is, next to it."""
    places = _places(on, rng)
    known = [(x, on.value(x), norm(x)) for x in places]
    for x, v, length in known:
        s = on.gradient(x)
        if not finite(s):
            continue
        h, slope = 16 * math.sqrt(on.eps) * on.random(rng), norm(s)
        near = [on.round(x + h), on.round(x - h)]
        for z, w, far in [*known, *((z, on.value(z), norm(z)) for z in near)]:
            bound = on.tol(1 + abs(v) + abs(w) + slope * (length + far))
            at_most(inner(s, z - x) + v - w, bound, "K(z) is below K(x) + <dK(x), z - x>", x=x, z=z)


def monotonicity(on: On, rng: Any) -> None:
    """<dK(x) - dK(z), x - z> >= 0."""
    places = _places(on, rng)
    slopes = [(x, s, norm(x), norm(s)) for x in places if finite(s := on.gradient(x))]
    for (z, r, *lengths), (x, s, *others) in combinations(slopes, 2):
        bound = on.tol(1 + (lengths[1] + others[1]) * (lengths[0] + others[0]))
        at_most(-inner(s - r, x - z), bound, "<dK(x) - dK(z), x - z> is negative", x=x, z=z)


def proximal(on: On, rng: Any) -> None:
    """(x - p)/t is a subgradient at p = prox_t(x), and prox_tK(x) + t prox_{K*/t}(x/t) = x."""
    for size, times in ((0.5, 1.0), (3.0, 0.3), (1.0, 5.0)):
        x, t = on.random(rng, size), times * on.unit / on.dual().unit
        p = available(on.prox, x, t)
        expect((p is None) == (not on.K.traits.prox), f"traits.prox is {on.K.traits.prox}")
        if p is None:
            raise DoesNotApply("no proximal operator is known")
        s = on.round((x - p) / t)
        scale = 1 + norm(x) * (1 + 1 / t) + norm(p) * norm(s)
        loose = on.tol(scale, 512)
        gap = on.gap(p, s, tol=loose)
        gap = min((on.gap(p, on.round((1 - 4 * on.eps) * s), tol=loose), gap), key=abs)
        bound = on.tol(scale * (1 + abs(on.value(p, tol=loose))), 1024)
        at_most(abs(gap), bound, f"(x - p)/t is no subgradient at p = prox(x, t={t})", x=x, p=p)
        q = available(on.dual().prox, on.round(x / t), 1 / t)
        if q is not None:
            at_most(norm(p + t * q - x), on.tol(scale, 512), f"Moreau's identity with t={t}", x=x, p=p, q=q)


def selection(on: On, rng: Any) -> None:
    """The selection lies in dK(x), at its least norm where the traits say so, by the closed distance to dK(x)."""
    for x in _places(on, rng):
        s = on.gradient(x)
        if not finite(s):
            continue
        try:
            off = on.off(x, s)
        except NotAvailable:
            raise DoesNotApply("the distance to the subdifferential has no closed form") from None
        scale = 1 + norm(s) + norm(x)
        at_most(off, on.tol(scale), "dK(x) is not in the subdifferential", x=x, s=s)
        least = on.off(x, on.full(0.0))
        at_most(least, norm(s) + on.tol(scale), "further from 0 than a member is", x=x, s=s)
        if on.K.traits.selection == "min_norm":
            at_most(norm(s) - least, on.tol(scale), "dK(x) is not of least norm", x=x, s=s)
        r = on.random(rng)
        at_most(on.off(x, r), norm(r - s) + on.tol(scale + norm(r)), "further than a member is", x=x, s=r)
        if on.off(x, r) <= on.eps:
            at_most(abs(on.gap(x, r)), on.tol(scale + norm(r)), "at distance 0 from dK(x), with a gap", x=x, s=r)


def least_norm_by_search(on: On, rng: Any) -> None:
    """No member of dK(x) found by search has a smaller norm: members are limits of dK(x + h), h -> 0."""
    if on.K.traits.selection != "min_norm":
        raise DoesNotApply("the selection is not claimed to be of least norm")
    if not on.everywhere:
        raise DoesNotApply("the domain is not everything")
    for x in kinks(on.shape):
        s = on.gradient(x)
        if not finite(s):
            continue
        near = [on.gradient(on.round(x + 1e-6 * on.random(rng))) for _ in range(3)]
        for r in near:  # <s, r - s> >= 0 for all members r of a convex set in which s is of least norm
            bound = 1e-4 * (1 + norm(r)) * (1 + norm(s))
            at_most(-inner(s, r - s), bound, "dK(x) is not of least norm: dK nearby is r", x=x, s=s, r=r)


def not_finite(on: On, rng: Any) -> None:
    """NaN gives NaN; infinite entries raise nowhere."""
    x = on.points(rng, 1)[0].copy()
    x.reshape(-1)[0] = math.nan
    expect(math.isnan(on.value(x)), "the value at an entry NaN is not NaN", x=x)
    s = on.gradient(x)
    expect((s != s).any(), "the subgradient at an entry NaN hides it", x=x, s=s)
    for y in (math.inf, -math.inf):
        x.reshape(-1)[0] = y
        if not on.everywhere:
            allowed = on.value(x) == math.inf or not on.K.conjugate.traits.bounded_domain
            expect(allowed, "the value at an infinite entry is not +inf", x=x)
        with warnings.catch_warnings():  # what has no limit is NaN, and some libraries say so
            warnings.simplefilter("ignore")
            on.value(x)
            on.gradient(x)


def spellings(on: On, rng: Any) -> None:
    """K is callable, K.conjugate.conjugate is K, and prox refuses a step that is not positive."""
    expect(on.K.conjugate.conjugate is on.K, "K.conjugate.conjugate is another function")
    x = on.points(rng, 1)[0]
    expect(float(on.call(on.K, x, kind="real")) == on.value(x), "K(x) is not K.value(x)", x=x)
    for t in (0, -1.0, math.inf):
        try:
            on.K.prox(on.put(x), t)
        except (ValueError, NotAvailable):
            continue
        raise Violation(f"prox took the step t={t}", None, {})


#: The properties by name, in the order of a report.
ALL: dict[str, Property] = {
    f.__name__: f
    for f in (
        fenchel_young_equality,
        fenchel_young_inequality,
        subgradient_inequality,
        monotonicity,
        conjugate_outside,
        closed,
        recession,
        domain,
        proximal,
        traits,
        selection,
        least_norm_by_search,
        not_finite,
        spellings,
    )
}

FEW: dict[str, Property] = {f.__name__: f for f in (fenchel_young_inequality, few_equalities, spellings)}
