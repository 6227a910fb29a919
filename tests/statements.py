"""What must hold of a drawn function: each a function of ``Case``, which counts statements and notes the false ones."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import grammar
import lionk
from covariances import ASKED_ANOTHER_WAY, inner, norm
from drawn_runs import runs
from in_libraries import libraries
from lionk.theory import gap_rounding

SHAPES = [(1,), (2,), (3,), (4,), (7,), (1, 4), (4, 1), (2, 2), (2, 3), (3, 2), (3, 3), (2, 2, 3), (2, 1, 2)]
SIZES = [0.0, 1e-3, 0.1, 1.0, 1.0, 4.0, 30.0, 1e3]


@dataclass
class Case:
    """A drawn function, and a generator of its points."""

    made: grammar.Made
    shape: tuple[int, ...]
    dtype: str
    rng: np.random.Generator
    counts: Counter[str] = field(default_factory=Counter)
    false: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, row: Any, seed: int) -> Case:
        """A row of ``table``, of which no oracle knows, in double precision."""
        made = grammar.Made(row.id, row.K, lambda _: math.nan)
        return cls(made, row.shape, "float64", np.random.default_rng(seed))

    def __repr__(self) -> str:
        return f"{self.made.text} of {self.shape}, {self.dtype}"

    @property
    def K(self) -> Any:
        return self.made.K

    @property
    def eps(self) -> float:
        return float(np.finfo(self.dtype).eps) * max(4, math.prod(self.shape))

    @property
    def accuracy(self) -> float:
        return float(max(self.K.traits.accuracy, self.K.conjugate.traits.accuracy))

    def point(self, sizes: Any = None) -> np.ndarray:
        x = self.rng.choice(SIZES if sizes is None else sizes) * self.rng.standard_normal(self.shape)
        kind = self.rng.integers(8)
        if kind == 0:  # ties
            x = np.round(x)
        elif kind == 1:  # zeros
            x = x * (self.rng.random(self.shape) < 0.5)
        elif kind == 2:  # entries of different size
            x = x * 10.0 ** self.rng.uniform(-4, 2, self.shape)
        return x.astype(self.dtype)

    def expect(self, kind: str, excess: float, text: Callable[[], str] | str = "") -> None:
        """Note a statement, true where the excess is not positive."""
        self.counts[kind] += 1
        if not excess <= 0:
            self.false.append((kind, f"{self}: excess {excess:.3g} {text() if callable(text) else text}"))


def _terms(x: Any, s: Any) -> float:
    return float(np.sum(np.abs(x).astype(float) * np.abs(np.where(np.isfinite(s), s, 0)).astype(float)))


def enclosures(case: Case) -> None:
    """Both ends of K hold the oracle; both ends of K* hold what a search finds below K*, and are as close as stated."""
    K, made, dual = case.K, case.made, case.K.conjugate
    s, r = case.point(), case.point([0.1, 1.0, 10.0])
    lower, upper = (float(e) for e in K.bounds(s))
    truth = made.at(s)
    if not math.isfinite(truth):
        return
    room = 4 * case.eps * (abs(truth) + _terms(s, K.subgradient(s)))
    value = float(K.value(s))
    case.expect("lower <= value <= upper", max(lower - value, value - upper), f"x={s!r}")
    case.expect("lower end of K", lower - truth - room, f"x={s!r}")
    if made.exact:
        case.expect("upper end of K", truth - upper - room, f"x={s!r}")
    a, b = K.subgradient(s), K.subgradient(r)
    if not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        return
    for part in (1.0, 0.5, 0.97):
        y = (part * a + (1 - part) * b).astype(case.dtype)
        try:
            lower, upper = (float(e) for e in dual.bounds(y))
            slope = dual.subgradient(y)
        except lionk.NotAvailable:
            case.counts["no known conjugate"] += 1
            return
        value = float(dual.value(y))
        below = grammar.from_below(made, y, [s, r, slope], 60, int(case.rng.integers(1 << 30)))
        product = _terms(y, slope) if np.all(np.isfinite(slope)) else 0.0
        size = abs(below) + product + _terms(y, s) + abs(truth)
        where = f"part {part}, y={y!r}, value {value!r}, bounds {lower!r} {upper!r}, below {below!r}"
        case.expect(
            "lower <= value <= upper of K*",
            max(lower - value, value - upper) if value < math.inf else lower - value,
            where,
        )
        case.expect("upper end of K*", below - upper - 8 * case.eps * (size + norm(y)), where)
        case.counts["K* infinite where no split is found"] += upper == math.inf
        if math.isfinite(upper) and np.all(np.isfinite(slope)):
            width = (
                upper
                - lower
                - (dual.traits.accuracy + 128 * case.eps) * (abs(upper) + abs(made.at(slope)) + product + norm(y))
            )
            case.expect("width of K* as stated", width, where)


def cancellations(case: Case) -> None:
    """The ends of K in single precision, where the oracle is 0 or nearly so: large terms leave their rounding."""
    K, made = case.K, case.made
    if not made.exact:
        return
    p, q = (case.point([0.1, 1.0, 10.0, 100.0]).astype(float) for _ in range(2))
    a, b = made.at(p), made.at(q)
    if math.isfinite(a) and math.isfinite(b) and a * b < 0:
        for _ in range(30):
            middle = (p + q) / 2
            p, q = (middle, q) if made.at(middle) * a > 0 else (p, middle)
    x = q.astype(np.float32)
    truth, (lower, upper) = made.at(x), K.bounds(x)
    if math.isfinite(truth) and math.isfinite(upper):
        excess = max(float(lower) - truth, truth - float(upper))
        case.expect("both ends of K where terms cancel", excess - 1e-14 * abs(truth) - 1e-300, f"x={x!r} {truth!r}")


def selections(case: Case) -> None:
    """Fenchel-Young at dK(x), up to the stated accuracy, and monotonicity."""
    K = case.K
    x, z = case.point(), case.point()
    s, r = K.subgradient(x), K.subgradient(z)
    finite = np.all(np.isfinite(s)) and np.all(np.isfinite(r))
    if not (finite and math.isfinite(float(K.value(x))) and math.isfinite(float(K.value(z)))):
        return
    try:
        gap, dual = float(K.fenchel_young(x, s)), float(K.conjugate.value(s))
    except lionk.NotAvailable:
        return
    if dual == math.inf and K.conjugate.traits.accuracy:  # at the edge, where no split was found: true, and no help
        case.counts["K* infinite where no split is found"] += 1
        return
    size = abs(float(K.value(x))) + abs(dual) + _terms(x, s) + norm(x)
    case.expect(
        "Fenchel-Young at dK(x)",
        abs(gap) - (case.accuracy + 128 * case.eps) * size,
        lambda: f"x={x!r} s={s!r} gap {gap!r}",
    )
    rise = inner(s.astype(float) - r, x.astype(float) - z)
    size = (norm(x) + norm(z)) * (norm(s) + norm(r))
    case.expect(
        "dK is monotone", -rise - (K.traits.accuracy + 128 * case.eps) * (size + norm(x) + norm(z)), f"x={x!r} z={z!r}"
    )


def projections(case: Case) -> None:
    """Members stay, projections are idempotent and satisfy the variational inequality."""
    K, domain = case.K, case.K.conjugate.domain
    x, z = case.point([0.1, 1.0, 3.0, 30.0]), case.point()
    members = [m for m in (K.subgradient(z), K.subgradient(x)) if np.all(np.isfinite(m))]
    if not members:
        return
    try:
        near = domain.project(x)
    except lionk.NotAvailable:
        case.counts["no known projection"] += 1
        return
    bound = (
        (case.accuracy + 256 * case.eps)
        * (norm(x) + norm(near) + 1e-30)
        * (norm(x) + norm(near) + max(map(norm, members)))
    )
    for member in members:
        away = inner(x.astype(float) - near, member.astype(float) - near)
        case.expect("variational inequality of a projection", away - bound, f"x={x!r} near={near!r} member={member!r}")
        moved = norm(domain.project(member).astype(float) - member)
        case.expect(
            "a member stays",
            moved - (case.accuracy + 64 * case.eps) * (norm(member) + norm(near)),
            f"member={member!r}",
        )
    again = domain.project(near)
    case.expect(
        "a projection is its own",
        norm(again.astype(float) - near) - (case.accuracy + 64 * case.eps) * norm(near),
        f"x={x!r}",
    )


def proximals(case: Case) -> None:
    """(x - p)/t is in dK(p): K(w) >= K(p) + <(x - p)/t, w - p> by the oracle; and Moreau's identity."""
    K, made = case.K, case.made
    x, t = case.point([0.1, 1.0, 10.0]), float(case.rng.choice([0.1, 1.0, 5.0]))
    try:
        p = K.prox(x, t)
    except lionk.NotAvailable:
        case.counts["no known prox"] += 1
        return
    at_p = made.at(p) if made.exact else math.inf
    at_p = at_p if math.isfinite(at_p) else float(K.value(p))  # it may be outside by its rounding
    w = np.stack([x, 0 * p, *(p + 10.0**-k * case.rng.standard_normal(p.shape) for k in (0, 1, 2, 3))]).astype(float)
    r = (x.astype(float) - p) / t
    values = made.each(w)
    lack = at_p + np.sum((r * (w - p)).reshape(len(w), -1), -1) - values
    size = abs(at_p) + np.abs(values) + (1 + 1 / t) * (norm(x) + norm(p)) ** 2 + norm(x)
    room = (case.accuracy + 512 * case.eps) * size
    case.expect("optimality of a prox", float(np.max(lack - room)), f"x={x!r} t={t} p={p!r}")


def pairs(case: Case) -> None:
    """The prox of p + t s, with s = dK(p), is p, however short; and a point in a stack is answered as it is alone."""
    K, t, rng = case.K, float(case.rng.choice([0.1, 1.0, 5.0])), case.rng
    p = np.stack([case.point([1.0]) * 10.0 ** rng.uniform(-6, 1) for _ in range(3)]).astype(case.dtype)
    s = np.stack([K.subgradient(a) for a in p])
    if not (np.all(np.isfinite(s)) and np.all(np.isfinite([float(K.value(a)) for a in p]))):
        return
    x, accuracy = (p + t * s).astype(case.dtype), case.accuracy + 1024 * case.eps
    try:
        near = [K.prox(a, t) for a in x]
    except lionk.NotAvailable:
        case.counts["no known prox"] += 1
        return
    for a, found, known, slope in zip(x, near, p, s, strict=True):
        room = accuracy * (1 + norm(a) + norm(known) + t * norm(slope))
        case.expect("the prox of p + t dK(p) is p", norm(found - known) - room, f"t={t} p={known!r} {found!r}")
    stack, dual, inside = K.bind(x[0], 1), K.conjugate, (0.7 * s).astype(case.dtype)
    stacked = {
        "prox": (K._prox(stack.xp, x, t, stack._n), near),
        "K": (stack.value(x), [K.value(a) for a in x]),
        "K*": (stack.conjugate.value(inside), [dual.value(a) for a in inside]),
        "projection": (dual.domain._project(stack.xp, x, stack._n), [dual.domain.project(a) for a in x]),
    }
    for name, (together, alone) in stacked.items():
        for a, one, other in zip(x, together, alone, strict=True):
            room = accuracy * (1 + norm(a) + (norm(other) if np.all(np.isfinite(other)) else 0.0))
            same = np.array_equal(one, other) or norm(one - other) <= room
            case.expect(f"{name} in a stack is that alone", float(not same), f"t={t} x={x!r} {one!r} {other!r}")


def complexes(case: Case) -> None:
    """Complex entries of one phase are treated as real ones, where they have a meaning; those without an imaginary part
    are, whatever K.
    """
    K, dual, rng = case.K, case.K.conjugate, case.rng
    x, t = case.point([0.1, 1.0, 10.0]), float(rng.choice([0.1, 1.0, 5.0]))
    phase = np.exp(1j * rng.uniform(0, 7)) if K.traits.absolute else 1.0
    dtype = {"float64": "complex128", "float32": "complex64"}[case.dtype]

    def turned(a: np.ndarray) -> np.ndarray:
        return (phase * a).astype(dtype)

    try:
        K.value(turned(x))
    except (TypeError, lionk.NotAvailable):
        case.counts["no meaning for complex entries"] += 1
        return
    y = K.subgradient(x)
    asked = [
        ("K", K.value, x),
        ("K*", dual.value, (0.7 * y).astype(case.dtype)),
        ("distance to dom K*", dual.domain.distance, x),
        ("prox", lambda a: K.prox(a, t), x),
        ("prox of K*", lambda a: dual.prox(a, t), x),
        ("projection", dual.domain.project, x),
    ]
    if K.traits.smooth:
        asked.append(("dK", K.subgradient, x))
    for name, call, at in asked:
        if not np.all(np.isfinite(at)):
            continue
        try:
            known, found = call(at), call(turned(at))
        except lionk.NotAvailable:
            case.counts[f"{name}: not available"] += 1
            continue
        if not norm(known) < 1e100:  # infinite in one of the two is huge in the other
            continue
        away = norm(found - (turned(known) if np.ndim(known) == at.ndim else known))
        size = 1 + norm(at) + norm(known) + norm(y[np.isfinite(y)]) * norm(at)
        room = (case.accuracy + 1024 * case.eps) * size
        case.expect(f"{name} of complex entries", away - room, f"t={t} x={at!r} {phase}: {found!r} {known!r}")
    s = K.subgradient(turned(x))
    if norm(s) < 1e100 and abs(float(K.value(x))) < 1e100:
        try:
            gap = float(K.fenchel_young(turned(x), s))
        except lionk.NotAvailable:
            return
        size = 1 + abs(float(K.value(x))) + norm(x) * (1 + norm(s))
        room = (case.accuracy + 1024 * case.eps) * size
        case.expect("Fenchel-Young of complex entries", abs(gap) - room, f"x={x!r} {phase} {s!r} {gap!r}")


def scales(case: Case) -> None:
    """a K(x/a) for a from 1e-30 to 1e30 is as large, and its conjugate at y is a K*(y)."""
    exponent = case.rng.integers(-30, 31) // (3 if case.dtype == "float32" else 1)
    a, K = 10.0 ** float(exponent), case.K
    k = K.dilate(1 / a).scale(a)
    x = case.point([0.1, 1.0, 10.0])
    far = (a * x.astype(float)).astype(case.dtype)
    value, s = float(K.value(x)), K.subgradient(x)
    if not (math.isfinite(value) and np.all(np.isfinite(s))):
        return
    size = abs(value) + _terms(x, s) + norm(x)
    room = (case.accuracy + 1024 * case.eps) * size
    case.expect("K at another scale", abs(float(k.value(far)) / a - value) - room, f"a={a} x={x!r}")
    y = (0.5 * s).astype(case.dtype)
    try:
        here, there = float(K.conjugate.value(y)), float(k.conjugate.value(y)) / a
    except lionk.NotAvailable:
        return
    if math.isfinite(here):
        case.expect(
            "K* at another scale",
            abs(here - there) - room - (case.accuracy + 1024 * case.eps) * abs(here),
            f"a={a} y={y!r}: {here!r} {there!r}",
        )


def envelopes(case: Case) -> None:
    """At any scale, the slope y of an envelope is in ``dK(z)``, z = x - mu y up to rounding of x, as the oracle sees K
    about z and x; and the envelope is ``K(z) + |x - z|^2/(2 mu)``.
    """
    K, made, rng = case.K, case.made, case.rng
    mu, size = float(rng.choice([0.01, 0.3, 2.5])), 10.0 ** rng.uniform(-30, 30)
    x = case.point([1.0]).astype(float) * size
    if rng.integers(2):  # ties, nearly
        x = (np.round(x / size) + 10.0 ** rng.uniform(-7, 0) * rng.standard_normal(case.shape)) * size
    x = x.astype(case.dtype)
    try:
        k = K.moreau(mu)
        y, value, ends = k.subgradient(x).astype(float), float(k.value(x)), [float(e) for e in k.bounds(x)]
    except lionk.NotAvailable:
        case.counts["no known envelope"] += 1
        return
    case.expect("numbers of an envelope", float(not np.all(np.isfinite(y)) or math.isnan(value)), f"mu={mu} x={x!r}")
    far, rounded = x.astype(float), 4 * float(np.finfo(case.dtype).eps) * norm(x)
    points = [far - mu * y, np.where(abs(far - mu * y) < rounded, 0, far - mu * y), 0 * y, far]
    with contextlib.suppress(lionk.NotAvailable):
        points.append(K.prox(far, mu))
    above = [made.at(z) + norm(far - z) ** 2 / (2 * mu) for z in points]
    if not np.any(np.isfinite(above)):
        return
    z = points[int(np.nanargmin(above))]
    there, most = made.at(z), float(np.finfo(case.dtype).max) / 1e8
    if not (made.exact and math.isfinite(there) and math.isfinite(made.at(x)) and norm(x) * norm(y) < most):
        return
    steep = norm(y) + sum(norm(s) for s in map(K.subgradient, (far, -far)) if np.all(np.isfinite(s)))
    away = norm(x) + 3 * math.sqrt(x.size) * ("shift" in made.text or "tilt" in made.text)
    accuracy = max(k.traits.accuracy, k.conjugate.traits.accuracy) + 128 * case.eps
    room = accuracy * (abs(there) + away * steep) + 1e3 * float(np.finfo(case.dtype).tiny)
    where = f"mu={mu} x={x!r} y={y!r}"
    sizes = [*(norm(x) * 10.0 ** -np.arange(9.0)), *(norm(z) * 10.0 ** -np.arange(9.0)), *10.0 ** np.arange(-4.0, 5.0)]
    each = rng.standard_normal((3, len(sizes), *case.shape)) * np.reshape(sizes, (-1, *(1,) * x.ndim))
    each[1] *= rng.random(each[1].shape) < 0.3
    p = np.concatenate([z[None], x[None], 0 * x[None], *(z + each), *(each[:1] + 0 * x)])
    away = steep * np.linalg.norm((p - z).reshape(len(p), -1), axis=-1)
    values = made.each(p)
    lack = there + np.sum((y * (p - z)).reshape(len(p), -1), -1) - values
    lack = lack - accuracy * (away + np.where(np.isfinite(values), abs(values), 0))
    case.expect("slope of an envelope", float(np.max(np.where(values < math.inf, lack, -math.inf))) - room, where)
    truth = there + norm(far - z) ** 2 / (2 * mu)
    case.expect("value of an envelope", abs(truth - value) - room, f"{where}: {truth!r} {value!r}")
    case.expect("ends of an envelope", max(ends[0] - truth, truth - ends[1]) - room / 8, f"{where}: {truth!r} {ends!r}")


def gaps(case: Case) -> None:
    """gap + gap_rounding bounds F(x) - D, where D is below min F and F(x) is from below by a search.

    f = |x - c|^2/2. D, of the gradient at x alone, is f's tangent and K by the oracle.
    """
    K, made, rng = case.K, case.made, case.rng
    lam = float(rng.choice([0.3, 1.0, 3.0]))
    c, s = case.point([0.3, 1.0, 3.0]), case.point([0.1, 1.0, 10.0, 100.0])
    y = K.subgradient(s)
    part = rng.choice([1.0, 0.9, 0.5])
    x = (part * y / lam).astype(case.dtype)
    if not np.all(np.isfinite(x)):
        return
    g = (x - c).astype(case.dtype)
    try:
        gap = float(lionk.kkt_gap(K, x, g, lam)) + float(gap_rounding(K, x, g, lam))
    except lionk.NotAvailable:
        return
    if not made.exact:
        return
    lx = lam * x  # as kkt_gap does
    slope = K.conjugate.subgradient(lx)
    below = grammar.from_below(made, lx, [s, slope, -g], 21 if part == 1 else 60)  # s is the best there, up to rounding
    if gap == math.inf:  # it says nothing
        case.counts["gap + gap_rounding: infinite"] += 1
        return
    if math.isnan(gap) and float(K.conjugate.value(lx)) == -math.inf:  # of a sum whose domains share no point
        case.counts["gap + gap_rounding: K is infinite everywhere"] += 1
        return
    truth = made.at(-g) + below + lam * inner(g, x)
    size = abs(below) + abs(made.at(-g)) + lam * _terms(g, x)
    ends = [a for a in (s, slope) if np.all(np.isfinite(a))]
    size += sum(_terms(lx, a) + norm(a) for a in ends)  # x may be outside by its rounding, and K a sum that cancels
    case.expect(
        "gap + gap_rounding", truth - gap - 64 * case.eps * size, f"x={x!r} c={c!r} lam={lam}: {truth!r} > {gap!r}"
    )


CHECKS: dict[str, Callable[[Case], None]] = {
    f.__name__: f
    for f in (
        enclosures,
        cancellations,
        selections,
        projections,
        proximals,
        pairs,
        complexes,
        scales,
        gaps,
        runs,
        envelopes,
        *ASKED_ANOTHER_WAY,
        libraries,
    )
}
