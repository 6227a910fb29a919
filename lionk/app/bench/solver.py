"""The solver's tables: evaluations of f and time until a gap is certified, on problems by their kind."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import lionk
from lionk.functions import entry
from lionk.solver.losses import loss_of

SIZE, ROWS = 20, 40
SMOOTH = ("squared", "logistic", "huber:1", "fourth powers", "poisson")
KINKED = ("absolute", "largest of affine functions", "hinge")
FEW = ("l1", "huber", "l2", "max", "log_sum_exp", "half_square")  # of a quick run

Fun = Callable[[Any], tuple[Any, Any]]


@dataclass(frozen=True)
class SolverRow:
    """Evaluations of f over a set of problems: how many were certified within the limit, median and ninth decile."""

    name: str
    problems: int
    certified: int
    median: float
    decile: float
    seconds: float
    aim: str


class Counted:
    """f, and how often it was evaluated."""

    def __init__(self, fun: Fun) -> None:
        self.fun, self.count = fun, 0

    def __call__(self, x: Any) -> tuple[Any, Any]:
        self.count += 1
        return self.fun(x)


def loss(name: str, seed: int = 0) -> Fun:
    """A loss of random data, 40 rows of 20 columns."""
    rng = np.random.default_rng(seed)
    A, b = rng.normal(size=(ROWS, SIZE)) / math.sqrt(SIZE), 2 * rng.normal(size=ROWS)
    if name == "fourth powers":
        return lambda x: (float(np.mean((A @ x - b) ** 4)) / 4, A.T @ (A @ x - b) ** 3 / ROWS)
    if name == "largest of affine functions":
        return lambda x: (float(np.max(A @ x - b)) + 3, A[int(np.argmax(A @ x - b))])
    kind = name.partition(":")[0]
    targets = np.sign(b) if kind in ("logistic", "hinge") else rng.poisson(2.0, ROWS) if kind == "poisson" else b
    return loss_of(name)(np, A, np.asarray(targets, dtype=float))


def functions(quick: bool) -> list[str]:
    """Every K of vectors that is registered, and whose conjugate has a prox and needs no parameter."""
    if quick:
        return list(FEW)
    plain = [n for n in lionk.names() if entry(n).kind in ("scalar", "vector")]
    return [n for n in plain if lionk.K(n).conjugate.traits.prox]


def main_job() -> tuple[Fun, int]:
    """Bounded logistic regression on the breast-cancer data, of ``lionk solve``."""
    from ..solve.problems import bundled

    problem = bundled("breast-cancer", None)
    return problem.fun(lionk.backends()["numpy"], "float64", None), problem.shape[0]


def evaluations(fun: Fun, K: Any, size: int, limit: int, **options: Any) -> tuple[int, bool]:
    """Evaluations of f until the gap is certified, and whether it was, within the limit."""
    counted = Counted(fun)
    arguments = {"K": K, "weight_decay": 1.0, "jac": True, "convex": True, "maxiter": limit - 1, **options}
    result = lionk.minimize(counted, np.zeros(size), **arguments)
    return counted.count, result.success


def tables(quick: bool = False) -> Iterator[SolverRow]:
    """The rows, as they are measured."""
    yield _over("smooth f, gap <= 1e-4 F, in 300", SMOOTH, quick, 300, "all; 8; 40", tol=1e-4)
    yield _over("f with kinks, gap <= 1e-2 F + 1e-3, in 150", KINKED, quick, 150, "all", tol=1e-2, atol=1e-3)
    fun, size = main_job()
    for lam, aim in ((1.0, "80"), (0.5, ""), (2.0, "")):
        start = time.process_time()
        count, certified = evaluations(fun, "l1", size, 1000, weight_decay=lam)
        seconds = time.process_time() - start
        yield SolverRow(f"lionk solve, lam = {lam:g}, gap <= 1e-3 F", 1, int(certified), count, count, seconds, aim)


def _over(name: str, losses: tuple[str, ...], quick: bool, limit: int, aim: str, **options: Any) -> SolverRow:
    start = time.process_time()
    found = [evaluations(loss(f), k, SIZE, limit, **options) for k in functions(quick) for f in losses]
    counts = [count if certified else limit for count, certified in found]
    certified = sum(done for _, done in found)
    seconds = time.process_time() - start
    return SolverRow(
        name, len(found), certified, float(np.median(counts)), float(np.quantile(counts, 0.9)), seconds, aim
    )


def times_lbfgsb(turns: int = 15) -> float:
    """CPU time of the main job over that of L-BFGS-B to the same gap, each the least of so many turns."""
    from scipy.optimize import minimize

    fun, size = main_job()
    box = [(-1.0, 1.0)] * size

    def theirs(steps: int) -> Any:
        options = {"maxiter": steps, "ftol": 0.0, "gtol": 0.0}
        return minimize(fun, np.zeros(size), jac=True, method="L-BFGS-B", bounds=box, options=options)

    def gap(x: Any) -> float:
        _, g = fun(x)
        return float(np.abs(g).sum() + g @ x)

    steps = next(n for n in range(5, 500) if gap((r := theirs(n)).x) <= 1e-3 * r.fun)
    least, own = _least(turns, lambda: theirs(steps), lambda: evaluations(fun, "l1", size, 1000))
    return own / least


def _least(turns: int, *calls: Callable[[], Any]) -> list[float]:
    """The CPU seconds of each call, the least of so many turns."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(turns):
        for call, seconds in zip(calls, taken, strict=True):
            start = time.process_time()
            call()
            seconds.append(time.process_time() - start)
    return list(map(min, taken))


def times_one(turns: int = 5) -> float:
    """CPU time of a hundred problems at once over that of one of them alone, each the least of so many turns."""
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(100, ROWS, SIZE)) / math.sqrt(SIZE), 2 * rng.normal(size=(100, ROWS))
    run: dict[str, Any] = {"K": "l1", "weight_decay": 1.0, "jac": True, "convex": True, "tol": 1e-4}

    def all_of_them(x: Any) -> tuple[Any, Any]:
        r = (A @ x[..., None])[..., 0] - b
        return (r * r).mean(-1) / 2, (r[:, None, :] @ A)[:, 0, :] / ROWS

    def ten_alone() -> None:
        for i in range(10):
            lionk.minimize(loss_of("squared")(np, A[i], b[i]), np.zeros(SIZE), **run)

    many, ten = _least(turns, lambda: lionk.minimize(all_of_them, np.zeros((100, SIZE)), batch=1, **run), ten_alone)
    return 10 * many / ten
