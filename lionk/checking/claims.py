"""What the traits of a function claim, asked of the function."""

from __future__ import annotations

from typing import Any

from .on import On, finite, inner, kinks, norm
from .verdict import at_most, expect


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
