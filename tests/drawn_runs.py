"""Runs of ``minimize`` on drawn functions and losses, whose bounds are judged by points that are found without it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize, special

import grammar
import lionk

Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]


def _kink(t: np.ndarray, slope: np.ndarray) -> np.ndarray:
    return np.where(t > 0, slope, 0.0)


def _largest(z: np.ndarray) -> tuple[float, np.ndarray]:
    return float(z.max()), (np.arange(z.size) == z.argmax()).astype(float)


def _length(z: np.ndarray) -> tuple[float, np.ndarray]:
    size = float(np.linalg.norm(z))
    return size, z / size if size else 0 * z


# phi(z) and its gradient, of z = A x - b
LOSSES: dict[str, Loss] = {
    "squares": lambda z: (float(z @ z) / 2, z),
    "logistic": lambda z: (float(np.logaddexp(0, z).sum()), special.expit(z)),
    "huber": lambda z: (float(np.where(abs(z) < 1, z * z / 2, abs(z) - 0.5).sum()), np.clip(z, -1, 1)),
    "fourth powers": lambda z: (float((z**4).sum()) / 4, z**3),
    "exponentials": lambda z: (float((np.exp(z) - z).sum()), np.exp(z) - 1),
    "linear": lambda z: (float(z.sum()), np.ones_like(z)),
    "absolute": lambda z: (float(abs(z).sum()), np.sign(z)),
    "hinge": lambda z: (float(np.maximum(z, 0).sum()), _kink(z, np.ones_like(z))),
    "largest": _largest,
    "length": _length,
    "squares and kinks": lambda z: (float(z @ z) / 2 + float(abs(z).sum()), z + np.sign(z)),
}


def loss(rng: np.random.Generator, n: int) -> tuple[str, Loss]:
    """f of a flat x: a loss of ``A x - b``, of columns in different units, times a number, plus another."""
    name = str(rng.choice(list(LOSSES)))
    rows, spread = int(rng.integers(1, 2 * n + 3)), float(rng.choice([0, 0, 0, 2, 4]))
    units = 10.0 ** rng.uniform(-spread, 0, n)
    A, b = rng.standard_normal((rows, n)) * units / math.sqrt(n), rng.standard_normal(rows)
    times, plus = float(rng.choice([1, 1, 1, 1e-6, 1e6])), float(rng.choice([0, 0, 0, -3.0, 1e5]))

    def fun(x: np.ndarray) -> tuple[float, np.ndarray]:
        f, slope = LOSSES[name](A @ x - b)
        return times * f + plus, times * (A.T @ slope)

    return f"{times:g} {name} of {rows} rows, {spread:g} decades, + {plus:g}", fun


class Points:
    """Feasible points ``dK(p)/lam`` and what K* is there, ``<p, s> - K(p)``, by the oracle of K: above F for any mean
    of them, by convexity of K*. The best mean is found by generalised conditional gradients, in which each p is minus
    the gradient at the best mean so far, and the weights are as good as SciPy finds them.
    """

    def __init__(self, made: grammar.Made, fun: Loss, lam: float, shape: tuple[int, ...]) -> None:
        self.made, self.fun, self.lam, self.shape = made, fun, lam, shape
        self.at: list[np.ndarray] = []
        self.dual: list[float] = []

    def add(self, p: np.ndarray) -> bool:
        p = p.reshape(self.shape)
        s = self.made.K.subgradient(p)
        if not (np.all(np.isfinite(p)) and np.all(np.isfinite(s))):  # SciPy's weights may be NaN
            return False
        inner, k = float(np.sum(p * s)), self.made.at(p)
        value = inner - k + 1e-14 * (float(np.sum(np.abs(p * s))) + abs(k))  # above K* with its rounding
        if not math.isfinite(value):
            return False
        self.at.append(s.reshape(-1) / self.lam)
        self.dual.append(value)
        return True

    def _mean(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        Z, k = np.stack(self.at), np.asarray(self.dual) / self.lam
        f, g = self.fun(w @ Z)
        return f + float(w @ k), Z @ g + k

    def best(self, rounds: int) -> float:
        n = math.prod(self.shape)
        for p in [np.zeros(n), *np.random.default_rng(0).standard_normal((3, n))]:
            self.add(p)
        if not self.at:
            return math.inf
        w, low = np.full(len(self.at), 1 / len(self.at)), math.inf
        for _ in range(rounds):
            F, slope = self._mean(w)
            unit = float(np.abs(slope - slope.min()).max()) or 1.0
            found = optimize.minimize(
                lambda w, unit=unit: tuple(a / unit for a in self._mean(w)), w, jac=True, method="SLSQP",
                bounds=[(0, 1)] * len(w), constraints={"type": "eq", "fun": lambda w: w.sum() - 1,
                "jac": np.ones_like}, options={"maxiter": 40, "ftol": 1e-15},
            ).x  # fmt: skip
            found = np.clip(found, 0, None)
            found = found / found.sum() if found.sum() > 0 else w
            better = self._mean(found)[0]
            w, F = (found, better) if better < F else (w, F)
            low = min(low, F)
            g = self.fun(w @ np.stack(self.at))[1]
            if not self.add(-g):
                break
            w = np.append(w, 0.0)
        return low


def runs(case: Any) -> None:
    """A run of any kind: its bounds hold against the best of other points, its numbers are none but numbers, and no
    statement of its certificate failed.
    """
    K, made, rng = case.K, case.made, case.rng
    n, lam = math.prod(case.shape), float(rng.choice([1e-3, 0.3, 1.0, 3.0]))
    text, flat = loss(rng, n)

    def fun(x: Any) -> Any:
        f, g = flat(np.asarray(x, float).reshape(-1))
        return f, g.reshape(x.shape).astype(x.dtype)

    given: dict[str, Any] = {"tol": float(rng.choice([1e-3, 1e-9]))}
    way = str(rng.choice(["anchored", "anchored", "plateau", "lr", "schedule"]))
    if way == "lr":
        given |= {"lr": float(rng.choice([1e-3, 0.05])) / lam}
    elif way == "schedule":
        given |= {"lr": lambda count: 0.5 / lam / (count + 1.0)}
    elif way == "plateau" or not K.conjugate.traits.prox:
        given |= {"rule": "plateau"}
    if way in ("lr", "schedule", "plateau"):
        given |= {
            "decay": str(rng.choice(["explicit", "implicit"])),
            "betas": [(0.9, 0.99), (0.5, 0.5)][rng.integers(2)],
        }
    start = rng.choice([0.0, 0.0, 1.0, 1e3]) * rng.standard_normal(case.shape)
    steps = int(rng.choice([1, 2, 5, 12, 40, 120]))
    x0 = start.astype(case.dtype)
    where = f"{text}; lam={lam} {given} {steps} steps from {x0!r}"
    try:
        r = lionk.minimize(fun, x0, K=K, weight_decay=lam, jac=True, convex=True, maxiter=steps, **given)
    except lionk.NonFiniteError:  # dK is infinite, or f is, and with it the step
        case.counts["runs that end at infinity"] += 1
        return
    names = ("fun", "objective", "gap", "gap_rounding", "momentum_gap", "distance")
    numbers = {name: float(getattr(r, name)) for name in names}
    case.expect("numbers of a run", float(any(map(math.isnan, numbers.values()))), f"{where}: {numbers}")
    case.expect("certificate of a run", float(len(r.certificate.failed)), f"{where}: {r.certificate}")
    if r.success:
        first = abs(float(r.history.objective[0]))  # F may be 0 to the rounding of where the run began
        room = given["tol"] * abs(r.objective) * (1 + 1e-6) + 64 * case.eps * (first if first < math.inf else 0.0)
        case.expect("success of a run", min(r.gap, r.momentum_gap) - room, f"{where}: {r}")
    x = np.asarray(r.x, float)
    f, g = flat(x.reshape(-1))
    size = abs(f) + float(np.sum(np.abs(g.reshape(x.shape) * x)))
    case.expect("f of a run", abs(f - r.fun) - 64 * case.eps * size, f"{where}: {f!r} {r.fun!r}")
    bounds = {"gap of a run": r.gap + r.gap_rounding, "momentum gap of a run": r.momentum_gap}
    if not math.isfinite(r.objective) or not any(map(math.isfinite, bounds.values())):
        case.counts["runs without a bound"] += 1
        return
    y = (lam * np.asarray(r.x)).astype(float)
    starts = [K.conjugate.subgradient(y), -g.reshape(x.shape), 0 * y + 1]
    dual = grammar.from_below(made, y, starts, 200)
    best = Points(made, flat, lam, case.shape).best(25)
    if not math.isfinite(best) or dual == -math.inf:
        case.counts["runs without another point"] += 1
        return
    size += abs(dual) / lam + abs(best)
    size += sum(float(np.sum(np.abs(y * s))) for s in starts if np.all(np.isfinite(s))) / lam  # outside by rounding
    room = (64 * case.eps + 4 * case.accuracy) * size + 1e-290
    below = f + dual / lam
    case.expect("F of a run", below - r.objective - room, f"{where}: {below!r} {r.objective!r}")
    for kind, bound in bounds.items():
        if bound < math.inf:
            case.expect(kind, below - best - bound - room, f"{where}: F {below!r} best {best!r} bound {bound!r}: {r}")
