"""Properties of the domains: values outside and at the edge, growth, and what a set answers."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ..sets.box import Whole
from .on import On, finite, inner, kinks, norm
from .verdict import DoesNotApply, at_most, available, expect


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
    if on.accuracy:  # where a split of p is found by an iteration, it is one to its accuracy
        p = on.round(p + 10 * on.accuracy * (sum(on.points(rng)) / 3 - p))
    edge, barrier = on.value(p), on.K.conjugate.traits.open_domain
    allowed = edge == math.inf if math.isinf(edge) and barrier else math.isfinite(edge) or d == 0
    expect(allowed, "the value at a projection onto the domain", edge, x=p)
    if d > 0.1 * unit and math.isfinite(edge) and not barrier:
        y = on.round(p + 1e-2 * unit * (x - p) / d)
        off = float(on.call(c.distance, y, kind="real"))
        expect(on.value(y, tol=1e-4) == math.inf or off <= 2e-3 * (unit + norm(p)), "no +inf beyond tol", x=y)
        expect(math.isfinite(on.value(y, tol=1.0)), "not finite within tol=1", x=y)
        same = on.value(y, tol=1.0) - on.value(on.call(c.project, y), tol=on.accuracy or None)
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
    if math.isinf(edge) and on.accuracy:
        raise DoesNotApply("at the edge the value is found by an iteration, which ends outside")
    if math.isinf(edge) or on.K.conjugate.traits.open_domain:  # there rounding may leave a barrier finite
        grown = min(edge, near) > far + 0.1 * min(1, abs(far))
        expect(grown, "+inf at the edge, and no growth towards it", near - far, x=p)
    else:
        bound = 64 * math.sqrt(on.eps) * (1 + abs(edge)) + on.tol(1 + norm(p) + abs(edge))
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
        bound = on.tol((1 + norm(y)) * (1 + norm(z) + norm(p)))  # of a cone, p may be as long as y, and z be 0
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
