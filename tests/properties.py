"""The properties that every convex function has with its conjugate, each a function of ``On`` and a generator."""

from __future__ import annotations

import math

import numpy as np

import lionk
from helpers import On, available, inner, kinks, norm


def _places(on: On, rng: np.random.Generator) -> list[np.ndarray]:
    return on.points(rng) + ([on.round(x) for x in kinks(on.shape)] if on.everywhere else [])


def fenchel_young_equality(on: On, rng: np.random.Generator) -> None:
    """K(x) + K*(s) = <x, s> at s = dK(x), at random points and at kinks."""
    for x in _places(on, rng):
        s = on.gradient(x)
        if not np.all(np.isfinite(s)):  # dK(x) is empty: at the end of an open domain
            continue
        gap = on.gap(x, s)
        scale = 1 + abs(on.value(x)) + norm(x) * norm(s)
        assert abs(gap) <= on.tol(scale), f"gap {gap:.3g} at x={x!r}, s={s!r}"


def few_equalities(on: On, rng: np.random.Generator) -> None:
    """Fenchel-Young equality at one point, for functions whose calls are long."""
    x = on.points(rng, 2)[1]
    s = on.gradient(x)
    if not np.all(np.isfinite(s)):
        return
    assert abs(on.gap(x, s)) <= on.tol(1 + abs(on.value(x)) + norm(x) * norm(s))
    assert on.gap(x, 1.5 * s + 1) > 0.01


def fenchel_young_inequality(on: On, rng: np.random.Generator) -> None:
    """K(x) + K*(y) >= <x, y> at points of both domains, +inf being large enough."""
    for x in on.points(rng, 2):
        for y in [*on.dual().points(rng, 2), on.random(rng, 3.0)]:
            gap = on.gap(x, y)
            assert gap >= -on.tol(1 + norm(x) * norm(y)), f"gap {gap:.3g}"


def subgradient_inequality(on: On, rng: np.random.Generator) -> None:
    """K(z) >= K(x) + <dK(x), z - x>."""
    places = _places(on, rng)
    values = [on.value(x) for x in places]
    slopes = [on.gradient(x) for x in places]
    for x, v, s in zip(places, values, slopes, strict=True):
        if not np.all(np.isfinite(s)):
            continue
        for z, w in zip(places, values, strict=True):
            slack = w - v - inner(s, z - x)
            assert slack >= -on.tol(1 + abs(v) + abs(w) + norm(s) * (norm(x) + norm(z))), f"{slack:.3g} at {x!r}, {z!r}"


def monotonicity(on: On, rng: np.random.Generator) -> None:
    """<dK(x) - dK(z), x - z> >= 0."""
    places = _places(on, rng)
    slopes = [on.gradient(x) for x in places]
    for i, (x, s) in enumerate(zip(places, slopes, strict=True)):
        for z, r in list(zip(places, slopes, strict=True))[:i]:
            if np.all(np.isfinite(s)) and np.all(np.isfinite(r)):
                slack = inner(s - r, x - z)
                assert slack >= -on.tol(1 + (norm(s) + norm(r)) * (norm(x) + norm(z))), f"{slack:.3g} at {x!r}, {z!r}"


def conjugate_outside(on: On, rng: np.random.Generator) -> None:
    """K is +inf off its domain, the value at the projection within ``tol``, NaN at NaN; nothing raises."""
    x = on.random(rng, 20.0)
    c = on.K.domain
    assert math.isnan(on.value(np.full(on.shape, np.nan)))
    if on.everywhere:
        assert math.isfinite(on.value(on.random(rng)))
        return
    d = available(lambda: float(on.call(c.distance, x, kind="real"))) or 0.0
    if d > 0.1:
        assert on.value(x) == math.inf
        assert on.value(x, tol=0.0) == math.inf
    assert on.value(np.full(on.shape, np.inf)) == math.inf
    p = available(on.call, c.project, x)
    if p is None:
        return
    edge = on.value(p)
    assert edge == math.inf if np.isinf(edge) and on.K.conjugate.traits.open_domain else math.isfinite(edge) or d == 0
    if d > 0.1 and math.isfinite(edge) and not on.K.conjugate.traits.open_domain:
        y = on.round(p + 1e-2 * (x - p) / d)
        off = float(on.call(c.distance, y, kind="real"))
        assert on.value(y, tol=1e-4) == math.inf or off <= 2e-3 * (1 + norm(p))
        assert math.isfinite(on.value(y, tol=1.0))
        q = on.call(c.project, y)
        same = on.value(y, tol=1.0) - on.value(q)
        assert abs(same) <= math.sqrt(on.eps) * 8 * (1 + abs(edge)) + on.tol(), (
            f"not the value at the projection: {same:.3g}"
        )


def domain(on: On, rng: np.random.Generator) -> None:
    """The domain: projection idempotent and the nearest point, distance, membership, oracle, diameter."""
    c = on.K.domain
    if on.everywhere:
        x = on.random(rng)
        np.testing.assert_array_equal(on.call(c.project, x), x)
        assert float(on.call(c.distance, x, kind="real")) == 0
        assert bool(on.call(c.contains, x, kind="bool", tol=0.0))
        return
    if available(on.call, c.project, on.random(rng)) is None:
        return
    members = [on.call(c.project, on.random(rng, s)) for s in (0.2, 1.0, 5.0)]
    for size in (0.2, 2.0, 10.0):
        y = on.random(rng, size)
        p = on.call(c.project, y)
        tol = on.tol(1 + norm(y))
        assert norm(on.call(c.project, p) - p) <= tol, "projection is not idempotent"
        for z in members:
            assert inner(y - p, z - p) <= on.tol((1 + norm(y)) * (1 + norm(z))), "not the nearest point"
        d = float(on.call(c.distance, y, kind="real"))
        assert abs(d - norm(y - p)) <= tol, f"distance {d} but |y - P(y)| = {norm(y - p)}"
        inside = bool(on.call(c.contains, y, kind="bool", tol=0.0))
        assert inside if d == 0 else True
        assert not inside if d > tol else True
        assert bool(on.call(c.contains, p, kind="bool")), "a projection is not a member up to rounding"
        assert bool(on.call(c.contains, y, kind="bool", tol=1e6))
        assert bool(on.call(c.contains, p, kind="bool", tol=1e-3))
        s = on.call(c.lmo, y) if math.isfinite(c.diameter(on.shape)) else None
        if s is not None:
            best = float(on.call(c.support, y, kind="real"))
            assert abs(inner(y, s) - best) <= on.tol(1 + norm(y) * norm(s)), "the oracle does not attain the support"
            assert bool(on.call(c.contains, s, kind="bool")), "the oracle leaves the set"
            assert norm(s - on.call(c.lmo, -y)) <= c.diameter(on.shape) * (1 + on.tol()) + on.tol(), (
                "wider than the diameter"
            )
            for z in members:
                assert inner(y, z) <= best + on.tol((1 + norm(y)) * (1 + norm(z))), "a member beats the oracle"
    assert not bool(on.call(c.contains, np.full(on.shape, np.nan), kind="bool", tol=1e6)), "NaN is in no set"
    width = c.diameter(on.shape)
    assert width + on.tol() >= max(norm(a - b) for a in members for b in members) * (1 - on.tol())
    assert math.isfinite(width) == on.K.conjugate.traits.bounded_domain


def proximal(on: On, rng: np.random.Generator) -> None:
    """(x - p)/t is a subgradient at p = prox_t(x), and prox_tK(x) + t prox_{K*/t}(x/t) = x."""
    for size, t in ((0.5, 1.0), (3.0, 0.3), (1.0, 5.0)):
        x = on.random(rng, size)
        p = available(on.prox, x, t)
        assert (p is None) == (not on.K.traits.prox), f"traits.prox is {on.K.traits.prox}"
        if p is None:
            return
        s = on.round((x - p) / t)
        scale = 1 + norm(x) * (1 + 1 / t) + norm(p) * norm(s)
        loose = on.tol(scale, 512)
        gap = on.gap(p, s, tol=loose)
        gap = min((on.gap(p, on.round((1 - 4 * on.eps) * s), tol=loose), gap), key=abs)
        assert abs(gap) <= on.tol(scale * (1 + abs(on.value(p, tol=loose))), 1024), (
            f"t={t} x={x!r} p={p!r} gap={gap:.3g}"
        )
        q = available(on.dual().prox, on.round(x / t), 1 / t)
        if q is not None:
            assert norm(p + t * q - x) <= on.tol(scale, 512), "Moreau's identity"


def traits(on: On, rng: np.random.Generator) -> None:
    """Even, homogeneous, symmetric, absolute, smooth, minimum_at_zero hold where they are claimed."""
    k = on.K.traits
    if not on.everywhere:
        return
    for x in on.points(rng, 2):
        v = on.value(x)
        tol = on.tol(1 + abs(v) + norm(x))
        s = on.gradient(x)
        if k.even:
            assert abs(on.value(-x) - v) <= tol
            assert norm(on.gradient(-x) + s) <= on.tol(1 + norm(s))
        if k.homogeneous:
            for a in (0.25, 8.0):
                assert abs(on.value(a * x) - a * v) <= a * tol
                assert norm(on.gradient(a * x) - s) <= on.tol(1 + norm(s))
        if k.symmetric:
            order = rng.permutation(x.size)
            mixed = x.reshape(-1)[order].reshape(x.shape)
            assert abs(on.value(mixed) - v) <= tol
        if k.absolute:
            signs = rng.choice([-1.0, 1.0], x.shape)
            assert abs(on.value(signs * x) - v) <= tol
            assert norm(on.gradient(signs * x) - signs * s) <= on.tol(1 + norm(s))
        if k.smooth and on.eps < 1e-10 and norm(x) > 0:
            z = on.random(rng)
            h = 1e-6
            slope = (on.value(x + h * z) - on.value(x - h * z)) / (2 * h)
            assert abs(slope - inner(s, z)) <= 1e-3 * (1 + norm(s) * norm(z)), "not the derivative"
    if k.smooth and on.eps < 1e-10:
        z = on.random(rng)
        for x in kinks(on.shape):  # at a kink the second difference over h does not vanish with h
            wide, close = ((on.value(x + h * z) + on.value(x - h * z) - 2 * on.value(x)) / h for h in (1e-3, 1e-6))
            assert close <= 0.85 * wide + 1e-6 * (1 + on.value(x)), f"a kink at {x!r}"
    zero = np.zeros(on.shape)
    if k.minimum_at_zero is not None:
        low = all(on.value(x) >= on.value(zero) - on.tol(1 + norm(x)) for x in on.points(rng) + kinks(on.shape))
        assert low == k.minimum_at_zero, "minimum_at_zero"
        if k.minimum_at_zero and k.selection == "min_norm":
            assert norm(on.gradient(zero)) == 0


def selection(on: On, rng: np.random.Generator) -> None:
    """The selection lies in dK(x), at its least norm where the traits say so, by the closed distance to dK(x)."""
    for x in _places(on, rng):
        s = on.gradient(x)
        if not np.all(np.isfinite(s)):
            continue
        if available(on.off, x, s) is None:
            return
        scale = 1 + norm(s) + norm(x)
        assert on.off(x, s) <= on.tol(scale), f"dK(x) is not in dK(x): {on.off(x, s):.3g} at {x!r}"
        least = on.off(x, np.zeros(on.shape))
        assert least <= norm(s) + on.tol(scale)
        if on.K.traits.selection == "min_norm":
            assert abs(least - norm(s)) <= on.tol(scale), f"|dK(x)| = {norm(s)}, least is {least} at {x!r}"
        r = on.random(rng)
        assert on.off(x, r) <= norm(r - s) + on.tol(scale + norm(r)), "further than a member"
        gap = on.gap(x, r)
        if on.off(x, r) <= on.eps:
            assert abs(gap) <= on.tol(scale + norm(r))


def least_norm_by_search(on: On, rng: np.random.Generator) -> None:
    """No member of dK(x) found by search has a smaller norm: members are limits of dK(x + h), h -> 0."""
    if on.K.traits.selection != "min_norm" or not on.everywhere:
        return
    for x in kinks(on.shape):
        s = on.gradient(x)
        if not np.all(np.isfinite(s)):
            continue
        near = [on.gradient(on.round(x + 1e-6 * on.random(rng))) for _ in range(3)]
        for r in near:  # <s, r - s> >= 0 for all members r of a convex set in which s is of least norm
            assert inner(s, r - s) >= -1e-4 * (1 + norm(r)) * (1 + norm(s)), f"{inner(s, r - s):.3g} at {x!r}"


def not_finite(on: On, rng: np.random.Generator) -> None:
    """NaN gives NaN, infinite entries raise and warn nowhere in values."""
    x = on.points(rng, 1)[0].copy()
    x.reshape(-1)[0] = np.nan
    assert math.isnan(on.value(x))
    assert np.any(np.isnan(on.gradient(x)))
    for y in (np.inf, -np.inf):
        x.reshape(-1)[0] = y
        if not on.everywhere:
            assert on.value(x) == math.inf or on.K.conjugate.traits.bounded_domain is False
        with np.errstate(invalid="ignore", over="ignore"):  # what has no limit is NaN, and NumPy says so
            on.value(x)
            on.gradient(x)
    if on.K.traits.structure == "elementwise" and on.everywhere and on.K.label is not None:
        on.gradient(x)


def spellings(on: On, rng: np.random.Generator) -> None:
    """K is callable, K.conjugate.conjugate is K, and prox refuses a step that is not positive."""
    assert on.K.conjugate.conjugate is on.K
    x = on.points(rng, 1)[0]
    assert float(on.call(on.K, x, kind="real")) == on.value(x)
    for t in (0, -1.0, math.inf):
        try:
            on.K.prox(on.put(x), t)
        except (ValueError, lionk.NotAvailable):
            continue
        raise AssertionError(f"prox took t={t}")


ALL = {
    f.__name__: f
    for f in (
        fenchel_young_equality,
        fenchel_young_inequality,
        subgradient_inequality,
        monotonicity,
        conjugate_outside,
        domain,
        proximal,
        traits,
        selection,
        least_norm_by_search,
        not_finite,
        spellings,
    )
}

FEW = {f.__name__: f for f in (fenchel_young_inequality, few_equalities, spellings)}
