"""Is this step right? A comparison that knows convex analysis, not a tolerance on x.

The direction is read back from the step, ``u = (x' - x)/lr + lam x``, up to the rounding ``tau`` of x. The readout r is
known up to ``d``. A correct u lies in dK(r + e) for some |e| <= d, entry by entry, so

- for an elementwise K, by monotonicity: ``dK(r - d) - tau <= u <= dK(r + d) + tau``. For K = l1 that is the sign where
  |r| > d, and anything in [-1, 1] where |r| <= d;
- for any K: ``FY(r, u) <= <d, |u - dK(r)|>``, because FY(r, u) <= <e, u - v> for every u in dK(r + e) and v in dK(r)
  (derived here); u in dom K* is part of it;
- for a smooth K that is not elementwise, the distance of u from dK(r), against how dK moves within d.

Where d = 0 the stated selection itself is demanded, and x' bit for bit if it is a dyadic number.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from ...functions import ConvexFunction
from ..report.results import Divergence
from ..specification.cases import EPS, Case, host
from ..specification.variant import direction
from .reference import Point, expected, ulps


def judge_step(case: Case, K: ConvexFunction, point: Point, after: Any, accuracy: float = 0.0) -> Divergence | None:
    """None if the step is right."""
    xp = host().namespace()
    if case.shape and 0 in case.shape:
        return None
    u, x_next = expected(case, K, point)
    if point.lr == 0:
        return _first(point, u, u, after != point.x, "lr = 0, but x has changed")
    eps = EPS[case.dtype]
    seen = (after - point.x) / point.lr + point.lam * point.x
    right = xp.isfinite(point.x) & xp.isfinite(host().asarray(x_next, dtype=case.dtype))
    if found := _first(point, u, seen, xp.isinf(after) & right, "x is infinite"):  # which no margin may excuse
        return found
    tau = ulps(eps) * eps * ((xp.abs(point.x) + xp.abs(after)) / point.lr + xp.abs(xp.nan_to_num(u)))
    if K.traits.structure == "elementwise":
        low, high = _between(case, K, point)
        return _elementwise(case, point, u, x_next, after, seen, tau, low, high)
    n = max(u.size, 1) ** 0.5
    tau = tau + 32 * eps * n * xp.max(xp.abs(u))
    if xp.any(xp.isnan(after)):
        return _first(point, u, seen, xp.isnan(after), "x is NaN")
    if accuracy:
        far = _norm(seen - u) > accuracy * _norm(u) + _norm(tau)
        return _first(point, u, seen, xp.abs(seen - u), "the direction is farther off than declared") if far else None
    if (
        case.exact
        and K.traits.selection == "min_norm"
        and (K.traits.structure != "matrix" or not xp.any(point.readout))
    ):
        return _first(
            point,
            u,
            seen,
            xp.abs(seen - u) > tau,
            "the readout is exact, and the direction is not the stated selection",
        )
    if K.traits.smooth:
        reach = xp.max(xp.stack([xp.abs(K.subgradient(point.readout + e) - u) for e in _within(point.bound)]))
        return _first(point, u, seen, xp.abs(seen - u) > tau + 8 * n * reach, "the direction is not the gradient of K")
    return _member(K, point, u, seen, tau)


def _between(case: Case, K: ConvexFunction, point: Point) -> tuple[Any, Any]:
    """The least and the largest direction, entry by entry, that a readout within the bound may have."""
    xp = host().namespace()
    ends = [point.readout - point.bound, point.readout + point.bound]
    if not (case.cautious or case.cautious_decay):
        return K.subgradient(ends[0]), K.subgradient(ends[1])
    both = [K.subgradient(r) * point.grad < 0 for r in ends]
    shares = {float(xp.mean(1.0 * b)) for b in (both[0] & both[1], both[0] | both[1])} if point.x.size else {1.0}
    least = 1.0 / max(point.x.size, 1)  # where it may be that none agrees, it may be one
    seen = [
        direction(case, K, point.x, point.grad, point.lam, r, max(share, least))
        for r in ends
        for share in sorted(shares)
    ]
    return xp.min(xp.stack(seen), axis=0), xp.max(xp.stack(seen), axis=0)


def judge_steps(case: Case, K: ConvexFunction, pairs: list[tuple[Point, Any]]) -> Divergence | None:
    """The first wrong step of a long run at one rate, for an elementwise K: all steps are judged as one array first."""
    xp = host().namespace()
    names = ("x", "readout", "bound", "m", "grad")
    x, readout, bound, m, grad = (xp.stack([getattr(p, n) for p, _ in pairs]) for n in names)
    after = xp.stack([a for _, a in pairs])
    whole = replace(pairs[0][0], x=x, readout=readout, bound=bound, m=m, grad=grad)
    if case.cautious != "rescale" and judge_step(replace(case, shape=tuple(x.shape)), K, whole, after) is None:
        return None
    return next(filter(None, (judge_step(case, K, p, a) for p, a in pairs)), None)


def _elementwise(
    case: Case, point: Point, u: Any, x_next: Any, after: Any, seen: Any, tau: Any, low: Any, high: Any
) -> Divergence | None:
    xp = host().namespace()
    nan = xp.isnan(point.readout)
    infinite = xp.isinf(point.readout)
    low, high = xp.where(infinite, u, low), xp.where(infinite, u, high)
    inside = (seen >= low - tau) & (seen <= high + tau)
    still = xp.abs(seen) <= tau
    gone = xp.isnan(after)
    x_nan = xp.isnan(point.x)  # an entry that was NaN before: nothing to ask but that it stays so
    wrong = xp.where(nan | x_nan, ~(gone | still), xp.where(infinite, ~(inside | gone), ~inside))
    if found := _first(point, u, seen, wrong & nan, "a NaN readout has moved x by a finite step"):
        return found
    if found := _first(point, u, seen, wrong & gone, "x is NaN, and the readout is not"):
        return found
    tie = wrong & (point.bound == 0) & (xp.abs(u) == 0)
    if found := _first(point, u, seen, tie, "the readout is exactly at a tie, and the direction is not the stated one"):
        return found
    if found := _first(point, u, seen, wrong, "the direction is outside the subdifferential"):
        return found
    rounded = host().asarray(x_next, dtype=case.dtype)
    short = (256 * point.lr).is_integer() and (256 * case.weight_decay).is_integer()
    dyadic = short and xp.all(xp.isfinite(u)) and xp.all(16 * u == xp.round(16 * u)) and xp.all(rounded == x_next)
    if (
        case.exact
        and not case.state_error
        and dyadic
        and (found := _first(point, u, seen, after != x_next, "all numbers are dyadic, and x is not exact"))
    ):
        return found
    advice = (nan & ~gone) | (infinite & gone)
    return _first(point, u, seen, advice, "the result at a NaN or infinity is not the standard's", advice=True)


def _member(K: ConvexFunction, point: Point, u: Any, seen: Any, tau: Any) -> Divergence | None:
    """The Fenchel-Young test."""
    xp = host().namespace()
    r, eps = point.readout, EPS["float64"]
    near = xp.where(u < seen - tau, seen - tau, xp.where(u > seen + tau, seen + tau, u))  # what it may have been
    largest = float(xp.max(xp.abs(u))) or 1.0
    gap = float(K.fenchel_young(r, near, tol=4 * _norm(tau) / largest + 64 * eps))
    allowed = float(xp.sum(point.bound * xp.abs(seen - u))) + 4 * _norm(r) * _norm(tau)
    allowed += 64 * eps * (abs(float(K.value(r))) + _norm(r) * _norm(u))
    if gap <= allowed:
        return None
    why = "the direction is outside the domain of K*" if gap == float("inf") else "the direction is no subgradient"
    return _first(point, u, seen, xp.abs(seen - u), why)


def _within(bound: Any) -> list[Any]:
    """Vectors with the entries of ``bound`` and signs of all kinds."""
    xp, draw = host().namespace(), random.Random(0)
    signs = [[1.0] * bound.size, [-1.0] * bound.size]
    signs += [[draw.choice((-1.0, 1.0)) for _ in range(bound.size)] for _ in range(6)]
    return [xp.reshape(host().asarray(s), bound.shape) * bound for s in signs]


def _norm(a: Any) -> float:
    return float((a * a).sum() ** 0.5)


def _first(point: Point, u: Any, seen: Any, where: Any, why: str, advice: bool = False) -> Divergence | None:
    """A divergence at the largest entry of ``where``, if there is one that is not zero."""
    xp = host().namespace()
    where = xp.asarray(where) * 1.0
    if not xp.any(where):
        return None
    flat = int(xp.argmax(xp.reshape(where, (-1,))))
    entry: list[int] = []
    for n in reversed(where.shape):
        flat, i = divmod(flat, n)
        entry.insert(0, i)
    at = tuple(entry)
    return Divergence(
        point.step, at, float(point.readout[at]), float(point.bound[at]), float(u[at]), float(seen[at]),
        float(point.x[at]), why, advice,
    )  # fmt: skip
