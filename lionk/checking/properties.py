"""The properties that every convex function has with its conjugate, each a function of ``On`` and a random generator.

A property returns where it holds, raises ``DoesNotApply`` where it says nothing, and anything else where it fails.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from ..errors import NotAvailable
from ..sets.atoms import Whole
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
    values = [on.value(x) for x in places]
    for x, v in zip(places, values, strict=True):
        s = on.gradient(x)
        if not finite(s):
            continue
        h = 16 * math.sqrt(on.eps) * on.random(rng)
        near = [on.round(x + h), on.round(x - h)]
        for z, w in [*zip(places, values, strict=True), *((z, on.value(z)) for z in near)]:
            bound = on.tol(1 + abs(v) + abs(w) + norm(s) * (norm(x) + norm(z)))
            at_most(inner(s, z - x) + v - w, bound, "K(z) is below K(x) + <dK(x), z - x>", x=x, z=z)


def monotonicity(on: On, rng: Any) -> None:
    """<dK(x) - dK(z), x - z> >= 0."""
    places = _places(on, rng)
    slopes = [on.gradient(x) for x in places]
    for i, (x, s) in enumerate(zip(places, slopes, strict=True)):
        for z, r in list(zip(places, slopes, strict=True))[:i]:
            if finite(s) and finite(r):
                bound = on.tol(1 + (norm(s) + norm(r)) * (norm(x) + norm(z)))
                at_most(-inner(s - r, x - z), bound, "<dK(x) - dK(z), x - z> is negative", x=x, z=z)


def conjugate_outside(on: On, rng: Any) -> None:
    """K is +inf off its domain, the value at the projection within ``tol``, NaN at NaN; nothing raises."""
    x = on.random(rng, 20.0)
    c, unit = on.K.domain, on.unit
    expect(math.isnan(on.value(on.full(math.nan))), "the value at NaN is not NaN")
    if on.everywhere:
        z = on.random(rng)
        expect(math.isfinite(on.value(z)), "the domain is everything, and the value is not finite", x=z)
        return
    d = available(lambda: float(on.call(c.distance, x, kind="real"))) or 0.0
    if d > 0.1 * unit:
        expect(on.value(x) == math.inf, "the value outside the domain is not +inf", on.value(x), x=x)
        expect(on.value(x, tol=0.0) == math.inf, "the value outside, with tol=0, is not +inf", x=x)
    expect(on.value(on.full(math.inf)) == math.inf, "the value at infinity is not +inf")
    p = available(on.call, c.project, x)
    if p is None:
        raise DoesNotApply("no projection onto the domain is known")
    edge, barrier = on.value(p), on.K.conjugate.traits.open_domain
    allowed = edge == math.inf if math.isinf(edge) and barrier else math.isfinite(edge) or d == 0
    expect(allowed, "the value at a projection onto the domain", edge, x=p)
    if d > 0.1 * unit and math.isfinite(edge) and not barrier:
        y = on.round(p + 1e-2 * unit * (x - p) / d)
        off = float(on.call(c.distance, y, kind="real"))
        expect(on.value(y, tol=1e-4) == math.inf or off <= 2e-3 * (unit + norm(p)), "no +inf beyond tol", x=y)
        expect(math.isfinite(on.value(y, tol=1.0)), "not finite within tol=1", x=y)
        same = on.value(y, tol=1.0) - on.value(on.call(c.project, y))
        bound = math.sqrt(on.eps) * 8 * (1 + abs(edge)) + on.tol()
        at_most(abs(same), bound, "within tol, not the value at the projection", x=y)


def closed(on: On, rng: Any) -> None:
    """The value at the edge of the domain is the limit from inside, +inf included."""
    if on.everywhere:
        raise DoesNotApply("the domain is everything, and has no edge")
    p = available(on.call, on.K.domain.project, on.random(rng, 20.0))
    if p is None:
        raise DoesNotApply("no projection onto the domain is known")
    middle = sum(on.points(rng)) / 3
    near, far = (on.value(on.round(p + h * (middle - p))) for h in (4 * on.eps, math.sqrt(on.eps)))
    edge = on.value(p)
    if math.isinf(edge) or on.K.conjugate.traits.open_domain:  # there rounding may leave a barrier finite
        grown = min(edge, near) > far + 0.1 * min(1, abs(far))
        expect(grown, "+inf at the edge, and no growth towards it", near - far, x=p)
    else:
        bound = 64 * math.sqrt(on.eps) * (1 + abs(edge)) + on.tol(1 + norm(p))
        at_most(abs(edge - near), bound, "the value at the edge is not the limit from inside", x=p)


def recession(on: On, rng: Any) -> None:
    """K(t x)/t tends to the support function of dom K* as t grows, to +inf where dom K* is everything; so does dK."""
    if not on.everywhere:
        raise DoesNotApply("the domain is not everything")
    c, z, t = on.K.conjugate.domain, on.random(rng), 1e6
    for x in (z, abs(z), -abs(z)):
        far = on.round(t * t * x)
        with warnings.catch_warnings():  # of what is too large for the dtype
            warnings.simplefilter("ignore")
            slope, steeper, s = on.value(on.round(t * x)) / t, on.value(far) / (t * t), on.gradient(far)
            best = None if isinstance(c, Whole) else available(lambda x=x: float(on.call(c.support, x, kind="real")))
        bound = 1e-3 * (on.dual().unit + abs(steeper))
        if finite(s) and math.isfinite(steeper):
            at_most(steeper - inner(s, x), bound, "dK far out is less steep than K", x=far, s=s)
        if isinstance(c, Whole):
            expect(slope == math.inf or steeper > 1.1 * slope, "dom K* is everything, K grows linearly", x=x)
        elif best is not None and math.isfinite(best):
            bound = 1e-3 * (on.dual().unit + abs(best))
            at_most(abs(steeper - best), bound, "K(t x)/t is not the support of dom K*", x=x)


def domain(on: On, rng: Any) -> None:
    """The domain: projection idempotent and the nearest point, distance, membership, oracle, diameter."""
    c = on.K.domain
    if on.everywhere:
        x = on.random(rng)
        expect((on.call(c.project, x) == x).all(), "the projection onto everything moves a point", x=x)
        expect(float(on.call(c.distance, x, kind="real")) == 0, "a distance to everything", x=x)
        expect(on.call(c.contains, x, kind="bool", tol=0.0), "not a member of everything", x=x)
        return
    if available(on.call, c.project, on.random(rng)) is None:
        raise DoesNotApply("no projection onto the domain is known")
    some = [on.random(rng, s) for s in (0.2, 1.0, 5.0)]
    members = [on.call(c.project, x) for x in some + [on.round(3 * on.unit * x) for x in kinks(on.shape)[4:8]]]
    width = c.diameter(on.shape)
    for size in (0.2, 2.0, 10.0):
        y = on.random(rng, size)
        p = on.call(c.project, y)
        corner = on.call(c.project, 10 * y * (abs(y) == abs(y).max()))  # of a norm ball: its vertex next to y
        _nearest(on, y, p, [*members, corner])
        if math.isfinite(width):
            _oracle(on, y, members, width)
    expect(not on.call(c.contains, on.full(math.nan), kind="bool", tol=1e6), "NaN is a member")
    spread = max(norm(a - b) for a in members for b in members)
    at_most(spread * (1 - on.tol()), width + on.tol(), "members are further apart than the diameter")
    claim = on.K.conjugate.traits.bounded_domain
    expect(math.isfinite(width) == claim, f"traits.bounded_domain is {claim}, the diameter {width}")


def _nearest(on: On, y: Any, p: Any, members: list[Any]) -> None:
    c, tol = on.K.domain, on.tol(1 + norm(y))
    at_most(norm(on.call(c.project, p) - p), tol, "the projection moves a projection", y=y)
    for z in members:
        bound = on.tol((1 + norm(y)) * (1 + norm(z)))
        at_most(inner(y - p, z - p), bound, "the projection is not the nearest point", y=y, p=p, z=z)
    d = float(on.call(c.distance, y, kind="real"))
    at_most(abs(d - norm(y - p)), tol, f"the distance {d:.6g} is not |y - P(y)|", y=y, p=p)
    inside = bool(on.call(c.contains, y, kind="bool", tol=0.0))
    expect(inside or d > 0, "at distance 0, and no member", y=y)
    expect(not inside or d <= tol, f"a member at distance {d:.3g}", d, y=y)
    expect(on.call(c.contains, p, kind="bool"), "a projection is not a member up to rounding", y=y, p=p)
    expect(on.call(c.contains, y, kind="bool", tol=1e6), "not a member with tol=1e6", y=y)
    expect(on.call(c.contains, p, kind="bool", tol=1e-3), "a projection is not a member with tol=1e-3", y=y, p=p)


def _oracle(on: On, y: Any, members: list[Any], width: float) -> None:
    c = on.K.domain
    s = available(on.call, c.lmo, y)
    if s is None:
        return
    best = float(on.call(c.support, y, kind="real"))
    tol = on.tol(1 + norm(y) * norm(s))
    at_most(abs(inner(y, s) - best), tol, "the oracle does not attain the support", y=y, s=s)
    expect(on.call(c.contains, s, kind="bool"), "the oracle leaves the set", y=y, s=s)
    across = norm(s - on.call(c.lmo, -y))
    at_most(across, width * (1 + on.tol()) + on.tol(), "the set is wider than its diameter", y=y)
    for z in members:
        bound = best + on.tol((1 + norm(y)) * (1 + norm(z)))
        at_most(inner(y, z), bound, "a member beats the oracle", y=y, z=z)
    if on.K.conjugate.traits.homogeneous:
        at_most(abs(on.dual().value(y) - best), tol, "K is not the support function of dom K*", y=y)


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


def traits(on: On, rng: Any) -> None:
    """Even, homogeneous, symmetric, absolute, smooth, structure, minimum_at_zero hold where they are claimed."""
    for x in on.points(rng, 2):
        _symmetries(on, rng, x)
        if on.everywhere and on.K.traits.smooth and on.eps < 1e-10 and norm(x) > 0:
            z, s, h = on.random(rng), on.gradient(x), 1e-6
            slope = (on.value(x + h * z) - on.value(x - h * z)) / (2 * h)
            at_most(abs(slope - inner(s, z)), 1e-3 * (1 + norm(s) * norm(z)), "dK is not the derivative", x=x, z=z)
    if on.everywhere:
        _no_kinks(on, rng)
        _minimum(on, rng)
    _apart(on, *on.points(rng, 2))


def _apart(on: On, x: Any, z: Any) -> None:
    """dK of an entry depends on no other entry, or on none of another slice, where the structure says so."""
    k, part = on.K.traits, on.full(0.0)
    if k.structure == "elementwise":
        part.reshape(-1)[0] = 1
    elif k.structure == "rowwise" and k.along in (-1, -2) and x.ndim >= 2:
        part[(..., 0, slice(None)) if k.along == -1 else (..., 0)] = 1
    else:
        return
    z = x + part * (z - x)
    s, r = on.gradient(x), on.gradient(z)
    if finite(s):
        what = f"traits.structure is {k.structure}, and dK of one part depends on another"
        at_most(norm((1 - part) * (s - r)), on.tol(1 + norm(s)), what, x=x, z=z)


def _symmetries(on: On, rng: Any, x: Any) -> None:
    k = on.K.traits
    v, s = on.value(x), on.gradient(x)
    tol, slack = on.tol(1 + abs(v) + norm(x)), on.tol(1 + norm(s))
    if k.even:
        at_most(abs(on.value(-x) - v), tol, "not even: K(-x) - K(x)", x=x)
        at_most(norm(on.gradient(-x) + s), slack, "not even: dK(-x) + dK(x)", x=x)
    if k.homogeneous:
        for a in (0.25, 8.0):
            at_most(abs(on.value(a * x) - a * v), a * tol, f"not homogeneous: K({a} x) - {a} K(x)", x=x)
            at_most(norm(on.gradient(a * x) - s), slack, f"not homogeneous: dK({a} x) - dK(x)", x=x)
    if k.symmetric:
        mixed = x.reshape(-1)[rng.permutation(x.size)].reshape(x.shape)
        at_most(abs(on.value(mixed) - v), tol, "not symmetric: the order of the entries matters", x=x, z=mixed)
    if k.absolute:
        signs = rng.choice([-1.0, 1.0], x.shape)
        at_most(abs(on.value(signs * x) - v), tol, "not absolute: signs matter", x=x, z=signs * x)
        at_most(norm(on.gradient(signs * x) - signs * s), slack, "not absolute: dK", x=x, z=signs * x)


def _no_kinks(on: On, rng: Any) -> None:
    """At a kink dK jumps, however near it is approached: next to usual kinks, and between random points."""
    if not (on.K.traits.smooth and on.eps < 1e-10):
        return
    z = on.random(rng)
    ends = [(x - z, x + z) for x in kinks(on.shape)]
    for a, b in [*ends, *((on.random(rng, 2.0), on.random(rng, 2.0)) for _ in range(3))]:
        wide, close, x = _steepest(on, a, b)
        bound = 0.85 * wide + on.tol(1 + norm(on.gradient(x)) * norm(b - a))
        at_most(close, bound, "traits.smooth is True, and there is a kink", x=x)


def _steepest(on: On, a: Any, b: Any) -> tuple[float, float, Any]:
    """How much <dK, b - a> grows on the segment halved 20 and 40 times, each time where it grows most, and where."""
    d = b - a

    def end(t: float) -> tuple[float, float]:
        return t, inner(on.gradient(a + t * d), d)

    low, high = end(0.0), end(1.0)
    grown = [high[1] - low[1]]
    while len(grown) <= 40 and grown[-1] > 1e-4 * grown[0]:
        middle = end((low[0] + high[0]) / 2)
        low, high = (low, middle) if middle[1] - low[1] > high[1] - middle[1] else (middle, high)
        grown.append(high[1] - low[1])
    return grown[len(grown) // 2], grown[-1], a + low[0] * d


def _minimum(on: On, rng: Any) -> None:
    k, zero = on.K.traits, on.full(0.0)
    if k.minimum_at_zero is None:
        return
    least, down = on.value(zero), on.gradient(zero)
    below = [on.round(-t * down) for t in (0.01, 0.1, 1.0)] if on.everywhere else []
    low = all(on.value(x) >= least - on.tol(1 + norm(x)) for x in on.points(rng) + kinks(on.shape) + below)
    expect(low == k.minimum_at_zero, f"traits.minimum_at_zero is {k.minimum_at_zero}")
    if k.minimum_at_zero and k.selection == "min_norm":
        expect(norm(on.gradient(zero)) == 0, "dK(0) is not 0, its member of least norm", s=on.gradient(zero))


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
