"""f that is far steeper in some directions than in others: certified in a hundred evaluations or two, by secants."""

from __future__ import annotations

import math
from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import torch

import lionk
from lionk.solver import minimization
from lionk.solver.state import AnchoredState
from turns import FULL

RNG = np.random.default_rng
ROWS, SIZE, RADIUS = 80, 12, 1e3
RUN = {"weight_decay": 1 / RADIUS, "jac": True, "convex": True, "tol": 1e-4, "maxiter": 200}
DUAL = {"l1": 1, "l2": 2, "linf": math.inf}  # K(g) is this norm of g


def table(decades, loss="squares", seed=0):
    """f, of columns in units of so many decades; the same f in common units; and the units."""
    rng = RNG(seed)
    A, units = rng.normal(size=(ROWS, SIZE)), rng.permutation(np.logspace(0, -decades, SIZE))
    b = A @ rng.normal(size=SIZE) + 2 * rng.normal(size=ROWS)

    def common(x):
        z, s = A @ x, np.sign(b)
        if loss == "squares":
            return float(np.mean((z - b) ** 2) / 2), A.T @ (z - b) / ROWS
        return float(np.mean(np.logaddexp(0, -s * z))), A.T @ (-s * np.exp(-np.logaddexp(0, s * z))) / ROWS

    def fun(x):
        f, g = common(units * x)
        return f, units * g

    return fun, common, units


def by_secants(r):
    return "the curvature that f has shown" in str(r.certificate)


TABLES = [("squares", 2), ("squares", 4), ("squares", 8), ("logistic", 4), ("logistic", 6)]


@pytest.mark.parametrize(("loss", "decades"), TABLES)
@pytest.mark.parametrize("K", list(DUAL))
def test_columns_need_no_common_units(K, loss, decades):
    """The gap by its formula, from f and its gradient alone."""
    if K == "linf" and loss == "logistic" and not FULL:
        pytest.skip("slow: LIONK_FULL=1 runs it")
    fun, _, _ = table(decades, loss, seed=decades)
    r = lionk.minimize(fun, np.zeros(SIZE), K=K, **RUN)
    assert r.success and by_secants(r) and not r.certificate.failed, r.message
    f, g = fun(r.x)
    assert np.linalg.norm(r.x, {"l1": math.inf, "l2": 2, "linf": 1}[K]) <= RADIUS * (1 + 1e-12)
    assert f == r.objective and g @ r.x + RADIUS * np.linalg.norm(g, DUAL[K]) <= 1.01e-4 * f


@pytest.mark.parametrize(("loss", "decades"), TABLES)
def test_the_bounds_are_true(loss, decades):
    """At every end, early or late, against the optimum in common units."""
    fun, common, units = table(decades, loss, seed=decades)
    exact = scipy.optimize.minimize(
        common, np.zeros(SIZE), jac=True, method="L-BFGS-B", bounds=[(-RADIUS * u, RADIUS * u) for u in units],
        options={"maxiter": 10**4, "maxfun": 10**5, "ftol": 1e-15, "gtol": 1e-12},
    ).fun  # fmt: skip
    for stop in (62, 66, 70, 500):
        r = lionk.minimize(fun, np.zeros(SIZE), K="l1", **{**RUN, "maxiter": stop})
        assert -1e-9 <= r.objective - exact <= r.momentum_gap and not r.certificate.failed
    assert r.success


def test_a_sum_of_few_directions_in_many_variables():
    """Correlated columns: as many evaluations as there are directions, where fast steps take thousands."""
    rng = RNG(0)
    Q, P = (np.linalg.qr(rng.normal(size=(100, 100)))[0] for _ in range(2))
    A = rng.normal(size=(400, 100)) @ (Q * np.logspace(0, -2, 100)) @ P
    b = A @ rng.normal(size=100) * 3 + rng.normal(size=400)
    r = lionk.minimize(
        lambda x: (float((A @ x - b) @ (A @ x - b)) / 800, A.T @ (A @ x - b) / 400), np.zeros(100), K="l1",
        **{**RUN, "weight_decay": 0.1, "maxiter": 300},
    )  # fmt: skip
    exact = np.linalg.lstsq(A, b, rcond=None)[0]
    assert np.abs(exact).max() < 10  # inside
    assert r.success and r.objective - float(np.mean((A @ exact - b) ** 2)) / 2 <= 1e-4 * r.objective


@pytest.mark.parametrize("xp", [np, torch])
def test_a_matrix_and_a_vector_of_different_units(xp):
    fun, common, _ = table(4)
    exact = scipy.optimize.minimize(common, np.zeros(SIZE), jac=True, method="L-BFGS-B").fun

    def both(x):
        joined = np.concatenate([np.asarray(x["w"], dtype=float).reshape(-1), np.asarray(x["v"], dtype=float)])
        f, g = fun(joined)
        return xp.asarray(f), {"w": xp.asarray(g[:6].reshape(2, 3)), "v": xp.asarray(g[6:])}

    x0 = {"w": xp.zeros((2, 3), dtype=xp.float64), "v": xp.zeros(6, dtype=xp.float64)}
    K = lionk.blocks({"w": "nuclear", "v": "l1"})
    r = lionk.minimize(both, x0, K=K, **{**RUN, "weight_decay": 1e-6, "maxiter": 400})
    assert r.success and not r.certificate.failed, r.message
    assert -1e-6 <= r.objective - exact <= r.gap + r.gap_rounding


@pytest.mark.parametrize("xp", [np, torch, jnp])
def test_secants_of_32_bits(monkeypatch, xp):
    monkeypatch.setattr(minimization, "AnchoredState", partial(AnchoredState, due=5, then=(0.0, 0.0)))
    A, b = (np.asarray(v, np.float32) for v in (RNG(0).normal(size=(9, 3)) * [1, 0.1, 0.01], RNG(1).normal(size=9)))
    exact = np.linalg.lstsq(A.astype(float), b.astype(float), rcond=None)[0]

    def fun(x):
        t = A @ np.asarray(x) - b
        return xp.asarray((t @ t) / 2), xp.asarray(A.T @ t)

    r = lionk.minimize(fun, xp.zeros(3, dtype=xp.float32), K="l2", weight_decay=0.01, jac=True, tol=1e-2, maxiter=60)
    assert r.success and by_secants(r) and not r.certificate.failed, r.message
    assert r.x.dtype == xp.float32 and abs(r.objective - np.sum((A @ exact - b) ** 2) / 2) <= r.gap + r.gap_rounding


@pytest.mark.parametrize("stop", [60, 61, 62, 70])
def test_secants_resume_bit_for_bit(tmp_path, stop):
    fun, _, _ = table(4, "logistic", seed=4)
    whole = lionk.minimize(fun, np.zeros(SIZE), K="l2", **RUN)
    path = tmp_path / "run.safetensors"
    lionk.minimize(fun, np.zeros(SIZE), K="l2", checkpoint=path, **{**RUN, "maxiter": stop})
    rest = lionk.minimize(fun, np.zeros(SIZE), K="l2", checkpoint=path, resume=True, **RUN)
    assert whole.nit == rest.nit > stop and whole.success
    np.testing.assert_array_equal(whole.last_x, rest.last_x)
    for a, b in zip(whole.history, rest.history, strict=True):
        np.testing.assert_array_equal(a, b)
    assert str(whole.certificate) == str(rest.certificate)


def test_an_f_that_ends_is_no_end():
    """f = x - log x of each entry, steep at 0 and in different units: secants lead out of its domain."""
    units = np.logspace(0, -3, 6)
    outside = []

    def fun(x):
        z = units * x
        if np.any(z <= 0):
            outside.append(len(outside))
            return math.inf, np.full_like(x, math.inf)
        return float(np.sum(0.01 * z - np.log(z))) + 10, units * (0.01 - 1 / z)

    r = lionk.minimize(fun, 1e-2 / units, K="half_square", **{**RUN, "weight_decay": 1e-8, "maxiter": 500})
    lam = 1e-8 / units**2  # in common units: .01 z - log z + lam z^2/2
    z = 2 / (0.01 + np.sqrt(0.01**2 + 4 * lam))
    assert r.success and by_secants(r) and outside
    exact = float(np.sum(0.01 * z - np.log(z) + lam * z * z / 2)) + 10
    assert -1e-9 <= r.objective - exact <= 1.01e-4 * abs(r.objective)


@pytest.mark.parametrize("due", [3, 12])
@pytest.mark.parametrize("loss", ["absolute", "largest", "hinge"])
def test_kinks_are_seen_by_secants_too(monkeypatch, loss, due):
    """By those that come before fast steps see them."""
    monkeypatch.setattr(minimization, "AnchoredState", partial(AnchoredState, due=due, then=(0.0, 0.0)))
    rng = RNG(0)
    A, b = rng.normal(size=(40, 20)) / math.sqrt(20), 2 * rng.normal(size=40)

    def fun(x):
        t = A @ x - b
        if loss == "absolute":
            return float(np.mean(np.abs(t))), A.T @ np.sign(t) / 40
        if loss == "largest":
            return float(t.max()) + 3, A[int(t.argmax())]
        z = np.sign(b) * (A @ x)
        return float(np.mean(np.maximum(0, 1 - z))), -A.T @ (np.sign(b) * (z < 1)) / 40

    r = lionk.minimize(fun, np.zeros(20), K="l1", weight_decay=0.7, jac=True, convex=True, tol=1e-2, atol=1e-3)
    assert r.success and r.nit < 200 and by_secants(r) and "f has kinks" in str(r.certificate), r.message
    better = lionk.minimize(fun, np.zeros(20), K="l1", weight_decay=0.7, jac=True, convex=True, tol=0.0, maxiter=80)
    assert r.objective - better.objective <= r.momentum_gap


def test_secants_see_that_f_is_not_convex():
    """Flat in some directions, and only there not convex."""
    units = np.logspace(0, -4, 4)

    def fun(x):
        z = units * x
        return float(z @ z / 2 + np.sum(np.cos(3 * z))), units * (z - 3 * np.sin(3 * z))

    r = lionk.minimize(fun, np.full(4, 0.02) / units, K="half_square", **{**RUN, "convex": None, "weight_decay": 1e-9})
    verdicts = {s.name: s.verdict for s in r.certificate.statements}
    assert verdicts["suboptimality bound"] == verdicts["momentum bound"] == "does not apply"


def test_a_batch_leaves_slow_problems_to_themselves():
    funs = [table(d, seed=d)[0] for d in (0, 4, 8)]

    def fun(x):
        f, grad = zip(*map(lambda g, a: g(a), funs, x), strict=True)
        return np.asarray(f), np.stack(grad)

    r = lionk.minimize(fun, np.zeros((3, SIZE)), K="l2", batch=1, **{**RUN, "maxiter": 1000})
    assert r.success.all(), r.message
    for i, g in enumerate(funs):
        f, grad = g(r.x[i])
        assert grad @ r.x[i] + RADIUS * np.linalg.norm(grad) <= 1.01e-4 * f == pytest.approx(1.01e-4 * r.objective[i])


def test_memory_bounds_the_pairs(monkeypatch):
    from lionk.solver import secants

    kept = []
    choose = secants.Secants.choose

    def watched(self):
        kept.append(len(self.method.run.now.kept.get("points", ())))
        choose(self)

    monkeypatch.setattr(secants.Secants, "choose", watched)
    fun, _, _ = table(4)
    for memory, most in ((5, 5), (100, SIZE), (1, None)):
        kept.clear()
        lionk.minimize(fun, np.zeros(SIZE), K="l2", memory=memory, **{**RUN, "tol": 0.0, "maxiter": 90})
        assert max(kept, default=None) == most
