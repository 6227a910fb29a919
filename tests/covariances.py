"""What a drawn function answers alike when it is asked in another way: in another spelling, scale, order or precision,
and at points that are next to each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import lionk


def norm(x: Any) -> float:
    a = np.ravel(x)
    return float(np.linalg.norm(a.astype(np.result_type(a, float))))


def inner(x: Any, y: Any) -> float:
    return float(np.ravel(x).astype(float) @ np.ravel(y).astype(float))


def _prox(case: Any, K: Any, x: np.ndarray, t: float) -> np.ndarray | None:
    """In double precision, of a point in the case's; None where none is known."""
    try:
        found: np.ndarray = K.prox(x.astype(case.dtype), t).astype(float)
    except lionk.NotAvailable:
        case.counts["no known prox"] += 1
        return None
    return found


def spellings(case: Any) -> None:
    """K + K is 2 K; a sum does not know the order of its parts; both of them shifted or dilated, or one of them tilted,
    is the sum so changed. The enclosures of K* meet, and proximal points are the same.
    """
    K, rng = case.K, case.rng
    s, x, t = case.point([0.1, 1.0, 10.0]), case.point([0.0, 1e-9, 0.1, 1.0, 30.0]), float(rng.choice([0.1, 1.0, 5.0]))
    L = lionk.K(str(rng.choice(["l1", "huber", "l2", "linf", "log_cosh"])))
    c = 2.5 * np.cos(np.arange(x.shape[-1])).astype(case.dtype)
    spelled: dict[str, Callable[[], tuple[Any, Any]]] = {
        "K + K": lambda: (K + K, 2 * K),
        "K + L": lambda: (K + L, L + K),
        "shifts": lambda: (K.shift(c) + L.shift(c), (K + L).shift(c)),
        "a tilt": lambda: (K.tilt(c) + L, (K + L).tilt(c)),
        "dilations": lambda: (K.shift(c).dilate(2.0) + L.dilate(2.0), (K.shift(c) + L).dilate(2.0)),
    }
    name = str(rng.choice(list(spelled)))
    one, other = spelled[name]()
    accuracy = max(case.accuracy, *(k.traits.accuracy for k in (one.conjugate, other.conjugate)))
    y = (rng.choice([1.0, 0.9]) * one.subgradient(s)).astype(case.dtype)
    try:
        ends = [tuple(float(e) for e in k.conjugate.bounds(y)) for k in (one, other)] if np.all(np.isfinite(y)) else []
    except lionk.NotAvailable:
        ends = []
    if ends and all(math.isfinite(e) for pair in ends for e in pair):
        size = sum(abs(e) for pair in ends for e in pair) + float(np.sum(abs(y.astype(float) * s))) + norm(y)
        apart = max(ends[0][0] - ends[1][1], ends[1][0] - ends[0][1])
        case.expect(f"K* in two spellings, {name}", apart - 64 * case.eps * size, f"s={s!r} y={y!r}: {ends!r}")
    p, q = (_prox(case, k, x, t) for k in (one, other))
    if p is not None and q is not None:
        room = (4 * accuracy + 1024 * case.eps) * (1 + norm(x) + norm(p) + norm(q))
        case.expect(f"prox in two spellings, {name}", norm(p - q) - room, f"t={t} x={x!r}: {p!r} {q!r}")


def neighbours(case: Any) -> None:
    """Proximal points are firmly nonexpansive: those of any two points, and of floats beside p + t dK(p), where kinks
    are, an ulp to each side.
    """
    K, t, rng = case.K, float(case.rng.choice([0.1, 1.0, 5.0])), case.rng
    p = case.point([0.0, 0.1, 1.0, 10.0])
    s = K.subgradient(p)
    if not np.all(np.isfinite(s)):
        return
    x = (p + t * s).astype(case.dtype)
    near = _prox(case, K, x, t)
    if near is None:
        return
    others = [np.nextafter(x, x.dtype.type(e)) for e in (math.inf, -math.inf)]
    others += [np.where(rng.random(x.shape) < 0.5, z, x) for z in others]
    others += [x * (1 + 2.0**-10), case.point([0.1, 1.0, 10.0])]
    for z in others:
        q = _prox(case, K, z, t)
        assert q is not None
        step, moved = z.astype(case.dtype).astype(float) - x, q - near
        room = (case.accuracy + 512 * case.eps) * (1 + norm(x) + norm(z) + norm(q) + norm(near) + t * norm(s))
        where = f"t={t} x={x!r} z={z!r}: {near!r} {q!r}"
        case.expect("a prox goes no farther than its points", norm(moved) - norm(step) - room, where)
        case.expect("a prox is firm", inner(moved, moved) - inner(moved, step) - room * (norm(step) + room), where)


def units(case: Any) -> None:
    """In units of another power of two no digit changes. Where K does not know -x from x, the order of entries, or
    their signs, a prox does not either.
    """
    K, traits, rng, a = case.K, case.K.traits, case.rng, 2.0 ** int(case.rng.integers(-20, 21))
    x, t = case.point([0.1, 1.0, 10.0]), float(rng.choice([0.1, 1.0, 5.0]))
    p = _prox(case, K, x, t)
    if p is None:
        return
    order, signs = rng.permutation(x.size), rng.choice([-1.0, 1.0], x.shape)
    asked: dict[str, tuple[bool, Callable[[], np.ndarray | None], np.ndarray]] = {
        "in another unit": (True, lambda: _prox(case, K.dilate(1 / a).scale(a), a * x, a * t), a * p),
        "of a homogeneous K in another unit": (traits.homogeneous, lambda: _prox(case, K, a * x, a * t), a * p),
        "of an even K at -x": (traits.even, lambda: _prox(case, K, -x, t), -p),
        "with other signs": (traits.absolute, lambda: _prox(case, K, signs * x, t), signs * p),
        "in another order": (
            traits.symmetric, lambda: _prox(case, K, x.ravel()[order].reshape(x.shape), t),
            p.ravel()[order].reshape(p.shape),
        ),
    }  # fmt: skip
    for name, (known, found, want) in asked.items():
        q = found() if known else None
        if q is not None:
            unit = a if "unit" in name else 1.0
            room = unit * (case.accuracy + 512 * case.eps) * (1 + t + norm(x) + norm(p))
            case.expect(f"prox {name}", norm(q - want) - room, f"a={a} t={t} x={x!r} {order} {signs}: {want!r} {q!r}")


def precisions(case: Any) -> None:
    """At a point of single precision the prox in double precision is the same, up to single rounding; and x is the prox
    of K and t times that of K*.
    """
    K, rng = case.K, case.rng
    x, t = case.point([0.1, 1.0, 10.0]).astype("float32"), float(rng.choice([0.125, 1.0, 4.0]))
    try:
        p, q, s = K.prox(x, t), K.prox(x.astype(float), t), K.conjugate.prox(x / np.float32(t), 1 / t)
    except lionk.NotAvailable:
        case.counts["no known prox"] += 1
        return
    eps = float(np.finfo("float32").eps) * max(4, x.size)
    room = (case.accuracy + 256 * eps) * (1 + norm(x) + norm(q))
    case.expect("prox in single precision", norm(p - q) - room, f"t={t} x={x!r}: {p!r} {q!r}")
    case.expect("Moreau's identity in single precision", norm(x - p - t * s.astype(float)) - room, f"t={t} x={x!r}")


ASKED_ANOTHER_WAY: tuple[Callable[[Any], None], ...] = (spellings, neighbours, units, precisions)
