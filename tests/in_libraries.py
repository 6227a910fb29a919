"""One drawn function in all libraries: the numbers of NumPy in double precision, and the same on arrays of no entry."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import lionk
from backends_under_test import BACKENDS

WAYS = [("strict", "float64"), ("torch", "float64"), ("torch", "float32"), ("jax", "float64"), ("jax:jit", "float64")]
EMPTY = {1: [(0,)], 2: [(0, 3), (3, 0), (0, 0)], 3: [(0, 2, 3), (2, 0, 3), (2, 3, 0)]}


def calls(K: Any, t: float) -> dict[str, Callable[[Any, Any], Any]]:
    """What is asked of a K, of x and of a y in dom K*."""
    return {
        "value": lambda x, y: K.value(x),
        "bounds": lambda x, y: K.bounds(x),
        "subgradient": lambda x, y: K.subgradient(x),
        "dual value": lambda x, y: K.conjugate.value(y),
        "dual bounds": lambda x, y: K.conjugate.bounds(y),
        "prox": lambda x, y: K.prox(x, t),
        "projection": lambda x, y: K.conjugate.domain.project(x),
    }


def asked(K: Any, t: float, x: Any, y: Any, way: str) -> dict[str, Any]:
    """The answers as NumPy arrays; those that are not available are left out."""
    name = way.partition(":")[0]
    there, compiled = BACKENDS[name], way.endswith("jit")
    if compiled and (K.traits.host or K.conjugate.traits.host):
        return {}
    import jax

    found: dict[str, Any] = {}
    with there.active(tuple({*K.traits.needs, *K.conjugate.traits.needs, "linalg"})):
        for what, call in calls(K, t).items():
            try:
                out = (jax.jit(call) if compiled else call)(x, y)
            except lionk.NotAvailable:
                continue
            found[what] = [there.get(a) for a in out] if isinstance(out, tuple) else there.get(out)
    return found


def libraries(case: Any) -> None:
    """Values between NumPy's bounds, bounds that meet, subgradients in dK(x) by NumPy, the same prox and projection."""
    shape, rng = case.shape, case.rng
    x = case.point([0.1, 1.0, 10.0]).astype(np.float32)
    a = case.K.subgradient(x.astype(float))
    if not np.all(np.isfinite(a)) or not math.isfinite(float(case.K.value(x.astype(float)))):
        return
    z = case.K.subgradient(case.point([0.1, 1.0, 10.0]).astype(float))
    y = (0.5 * a + 0.5 * np.where(np.isfinite(z), z, a)).astype(np.float32)
    t = float(rng.choice([0.25, 1.0, 4.0]))
    first = asked(case.K, t, x.astype(float), y.astype(float), "numpy")
    accuracy = case.accuracy
    for way, dtype in [
        w for w in WAYS if accuracy == 0 or "jit" not in w[0]
    ]:  # iterations within iterations compile for minutes
        there = BACKENDS[way.partition(":")[0]]
        put = [there.put(v, dtype) for v in (x, y)]
        K = case.K.to(like=put[0])
        found = asked(K, t, *put, way)
        eps = float(np.finfo(dtype).eps) * max(4, x.size)
        where = f"in {way} {dtype}, x={x!r} y={y!r} t={t}: "
        lost = first.keys() - found.keys() if "jit" not in way else set()
        case.expect("as available as in NumPy", float(len(lost)), lambda w=where, lost=lost: f"{w}{lost}")
        norm = float(np.linalg.norm(x.reshape(-1)))
        s = found["subgradient"]
        terms = float(np.sum(np.abs(x) * np.abs(s)))
        size = {"": abs(float(first["value"])) + terms + norm}
        dual = float(first.get("dual value", math.inf))
        reach = (
            float(np.linalg.norm(case.K.conjugate.subgradient(y.astype(float)).reshape(-1)))
            if "dual value" in first
            else 0.0
        )
        reach = reach if math.isfinite(reach) else 0.0
        steep = float(np.linalg.norm(y.reshape(-1)))
        size["dual "] = abs(dual) + steep * (norm + reach) + size[""] if math.isfinite(dual) else math.inf
        for which, total in size.items():
            if f"{which}bounds" not in first or not math.isfinite(total):
                continue
            room = (accuracy + 512 * eps) * total
            low, high = first[f"{which}bounds"]
            value, (lower, upper) = found[f"{which}value"], found[f"{which}bounds"]
            off = max(float(low) - float(value), float(value) - float(high)) - room
            if way.endswith("jit") and value == math.inf:
                case.counts["K* infinite under a jit"] += 1
                continue
            case.expect(f"{which}value in libraries", off, f"{where}{value!r} {low!r} {high!r}")
            apart = max(float(low) - float(upper), float(lower) - float(high)) - 64 * eps * total
            case.expect(f"{which}bounds in libraries", apart, f"{where}{lower!r} {upper!r} {low!r} {high!r}")
        if "dual bounds" in first and np.all(np.isfinite(s)):
            lower = float(case.K.bounds(x.astype(float))[0]) + float(case.K.conjugate.bounds(s, tol=64 * eps)[0])
            room = (accuracy + 512 * eps) * size[""]
            case.expect("subgradient in libraries", lower - float(np.sum(x * s)) - room, f"{where}{s!r}")
        for what in ("prox", "projection"):
            if what not in first or what not in found:
                continue
            away = float(np.linalg.norm((found[what] - first[what]).reshape(-1)))
            total = norm + float(np.linalg.norm(first[what].reshape(-1)))
            room = (math.sqrt(accuracy) + 1024 * eps) * total * (1 + t + 1 / t)
            case.expect(f"{what} in libraries", away - room, f"{where}{found[what]!r} {first[what]!r}")
    for empty in EMPTY[len(shape)]:
        _nothing(case, empty)


def _nothing(case: Any, shape: tuple[int, ...]) -> None:
    """Of no entry: ``K(x) = -K*(x)``, all arrays keep their shape, and all libraries say the same."""
    first: dict[str, Any] = {}
    zero = np.zeros(shape)
    for way, dtype in [("numpy", "float64"), ("numpy", "float32"), *WAYS[:4]]:
        there = BACKENDS[way]
        x = there.put(zero, dtype)
        try:
            found = asked(case.K.to(like=x), 1.0, x, x, way)
        except ValueError:  # an array parameter of another shape, or too few entries
            if first:
                raise
            case.counts["no empty arrays"] += 1
            return
        first = first or found
        what = {k: v for k, v in found.items() if k in first and not np.array_equal(v, first[k], equal_nan=True)}
        case.expect("the same of no entry", float(len(what)), lambda f=first, w=what, y=way: f"{shape} {y} {w} {f}")
        shapes = [k for k in ("subgradient", "prox", "projection") if k in found and found[k].shape != shape]
        case.expect("shapes of no entry", float(len(shapes)), f"{shape} {way} {shapes}")
        nan = [k for k, v in found.items() if np.any(np.isnan(np.asarray(v, float)))]
        case.expect("numbers of no entry", float(len(nan)), f"{shape} {way} {found}")
        if "dual value" in found:
            total = float(found["value"]) + float(found["dual value"])
            case.expect("K + K* of no entry", abs(total) if math.isfinite(total) else 0.0, f"{shape} {way} {found}")
