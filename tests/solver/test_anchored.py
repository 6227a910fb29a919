"""The anchored rule: few evaluations, kinks, f that is infinite or not convex, every library, and true lower bounds."""

from __future__ import annotations

import math
from typing import Any

import cvxpy
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import lionk
from lionk.functions import spectral_lift
from lionk.solver.bundle import on_simplex
from lionk.theory.anchored import AnchoredRecord, certificate_of_anchored, optimality, rounding_of_step
from lionk.theory.objective import nearest_feasible, objective
from lionk.theory.record import ROUNDING
from problems import logistic, random_quadratic
from turns import on_libraries

RNG = np.random.default_rng
ROWS, SIZE = 40, 20


class Counted:
    """f, and how often it was evaluated."""

    def __init__(self, fun):
        self.fun, self.count = fun, 0

    def __call__(self, x):
        self.count += 1
        return self.fun(x)


def data(seed):
    rng = RNG(seed)
    return rng.normal(size=(ROWS, SIZE)) / math.sqrt(SIZE), 2 * rng.normal(size=ROWS), np.sign(rng.normal(size=ROWS))


def smooth(name, seed=0):
    A, b, s = data(seed)

    def fun(x):
        r, z = A @ x - b, A @ x
        if name == "squares":
            f, slope = r @ r / 2, r
        elif name == "logistic":
            f, slope = np.sum(np.logaddexp(0, -s * z)), -s * np.exp(-np.logaddexp(0, s * z))
        elif name == "fourth powers":
            f, slope = np.sum(r**4) / 4, r**3
        elif name == "huber":
            clipped = np.clip(r, -1, 1)
            f, slope = np.sum(clipped * r - clipped**2 / 2), clipped
        else:
            with np.errstate(over="ignore"):
                f, slope = np.sum(np.exp(z) - 2 * z) + 5, np.exp(z) - 2
        return float(f) / ROWS, A.T @ slope / ROWS

    return fun


def kinked(name, seed=0):
    A, b, s = data(seed)

    def fun(x):
        r = A @ x - b
        if name == "absolute":
            return float(np.mean(np.abs(r))), A.T @ np.sign(r) / ROWS
        if name == "maximum":
            return float(r.max()) + 3, A[int(r.argmax())]
        z = s * (A @ x)
        return float(np.mean(np.maximum(0, 1 - z))), -A.T @ (s * (z < 1)) / ROWS

    return fun


KS = ["l1", "huber", "l2", "max", "log_sum_exp", "owl", "softsign", "half_square"]
SMOOTH = ["squares", "logistic", "fourth powers", "huber", "poisson"]
KINKED = ["absolute", "maximum", "hinge"]


def true_bound(r, fun, K, lam):
    """No point has a smaller F than the bounds of r allow: least of all the end of a long run at a tenth of its gap."""
    better = lionk.minimize(
        fun, r.x, K=K, weight_decay=lam, jac=True, convex=True, tol=0.0, atol=r.gap / 10, maxiter=60
    )
    excess = r.objective - better.objective
    assert excess <= r.gap + r.gap_rounding and excess <= r.momentum_gap
    assert not r.certificate.failed and not better.certificate.failed


@pytest.mark.parametrize("loss", SMOOTH)
@pytest.mark.parametrize("name", KS)
def test_smooth_problems_take_few_evaluations(name, loss):
    fun = Counted(smooth(loss))
    r = lionk.minimize(fun, np.zeros(SIZE), K=name, weight_decay=1.0, jac=True, convex=True, tol=1e-4)
    assert r.success and r.gap <= 1e-4 * abs(r.objective) and fun.count <= 150
    assert r.history.gap.shape == (r.nit + 1,) and r.history.momentum_gap[-1] <= r.history.momentum_gap[0]
    true_bound(r, fun, name, 1.0)


@pytest.mark.parametrize("loss", KINKED)
@pytest.mark.parametrize("name", KS)
def test_kinked_problems_are_certified(name, loss):
    fun = Counted(kinked(loss))
    r = lionk.minimize(fun, np.zeros(SIZE), K=name, weight_decay=0.7, jac=True, convex=True, tol=1e-2, atol=1e-3)
    assert r.success and fun.count <= 150, r.message
    assert r.objective <= float(np.min(r.history.objective)) + 1e-12
    true_bound(r, fun, name, 0.7)


def test_a_problem_with_kinks_says_so():
    r = lionk.minimize(kinked("absolute"), np.zeros(SIZE), K="l1", weight_decay=1.0, jac=True, convex=True)
    assert r.success and r.momentum_gap <= 1e-3 * r.objective < r.history.gap[-1]
    text = {s.name: s for s in r.certificate.statements}
    assert "f has kinks" in text["descent of F"].text and text["momentum bound"].verdict == "holds"


def test_memory_bounds_the_gradients(monkeypatch):
    from lionk.solver import bundle

    sizes = []
    model = bundle.Model.__init__

    def watched(self, backend, cuts, offsets):
        sizes.append(len(cuts))
        model(self, backend, cuts, offsets)

    monkeypatch.setattr(bundle.Model, "__init__", watched)
    run = {"K": "l1", "weight_decay": 1.0, "jac": True, "convex": True, "maxiter": 80}
    lionk.minimize(kinked("absolute"), np.zeros(SIZE), memory=6, tol=0.0, **run)
    assert max(sizes) == 6
    sizes.clear()
    lionk.minimize(kinked("absolute"), np.zeros(SIZE), memory=1, **run)
    assert not sizes
    with pytest.raises(ValueError, match="memory must be a whole number"):
        lionk.minimize(kinked("absolute"), np.zeros(SIZE), memory=0, **run)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize("loss", ["squares", "absolute"])
def test_the_scale_of_f_changes_nothing(loss, scale):
    inner = smooth(loss) if loss in SMOOTH else kinked(loss)
    runs = [
        lionk.minimize(lambda x: tuple(a * v for v in inner(x)), np.zeros(SIZE), K="l1", weight_decay=1.0, jac=True)  # noqa: B023
        for a in (1.0, scale)
    ]
    assert runs[0].success and runs[1].success and abs(runs[0].nit - runs[1].nit) <= 3


def test_the_main_job_in_eighty_evaluations():
    fun = Counted(logistic(RNG(0), 569, 30))
    r = lionk.minimize(fun, np.zeros(30), K="l1", weight_decay=1.0, jac=True, convex=True)
    assert r.success and fun.count <= 80


# -- f that is infinite, or not convex -----------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_step_to_where_f_is_not_finite_is_made_shorter(bad):
    """f = x - log x, steep at its end: a long step leaves its domain."""

    def fun(x):
        if np.any(x <= 0):
            return bad, np.full_like(x, bad)
        return float(np.sum(0.01 * x - np.log(x))), 0.01 - 1 / x

    r = lionk.minimize(fun, np.full(3, 1e-3), K="half_square", weight_decay=0.1, jac=True, convex=True, tol=1e-6)
    exact = (-0.01 + math.sqrt(0.01**2 + 4 * 0.1)) / (2 * 0.1)
    assert r.success
    np.testing.assert_allclose(r.x, exact, rtol=1e-2)


def test_f_that_stays_infinite_ends_the_run_with_the_best_point():
    calls = []

    def fun(x):
        calls.append(1)
        return (math.inf if len(calls) > 1 else float(x @ x) / 2 - float(x.sum())), x - 1

    with pytest.raises(lionk.NonFiniteError) as e:
        lionk.minimize(fun, np.zeros(3), K="l1", weight_decay=2.0, jac=True, tol=0.0)
    assert math.isfinite(e.value.result.history.f[0]) and len(calls) < 100


def bumps(x):
    return float(np.sum(np.cos(3 * x)) + 0.05 * x @ x), -3 * np.sin(3 * x) + 0.1 * x


@pytest.mark.parametrize("convex", [None, False])
@pytest.mark.parametrize("name", ["l1", "l2", "huber", "half_square"])
def test_f_that_is_not_convex_falls_and_is_given_no_bound(name, convex):
    x0 = np.array([0.05, 0.1, -0.03, 0.2])
    r = lionk.minimize(bumps, x0, K=name, weight_decay=0.5, jac=True, convex=convex, tol=0.0, atol=1e-6)
    assert r.success and r.gap <= 1e-6 and math.isinf(r.momentum_gap)
    assert r.objective < r.history.objective[0]
    verdicts = {s.name: s for s in r.certificate.statements}
    assert verdicts["suboptimality bound"].verdict == verdicts["momentum bound"].verdict == "does not apply"
    if convex is False:  # what is not taken back falls
        F = r.history.objective
        taken = [v for i, v in enumerate(F) if v <= np.min(F[: i + 1])]
        assert len(taken) >= len(F) / 2


# -- every library ---------------------------------------------------------------------------------------------------


@on_libraries(["l1", "max", "l2", "half_square"])
def test_the_same_end_on_every_library(backend, name):
    A = RNG(5).normal(size=(4, 3))
    fun, _ = random_quadratic(RNG(5), 3, 4)
    for dtype in backend.dtypes[:1]:
        x0 = backend.put(np.full(3, 1 / 3), dtype)
        r = lionk.minimize(fun, x0, K=name, weight_decay=1.0, jac=True, convex=True)
        host = lionk.minimize(fun, np.full(3, 1 / 3), K=name, weight_decay=1.0, jac=True, convex=True)
        assert r.success and not r.certificate.failed, str(r.certificate)
        assert r.objective == pytest.approx(host.objective, abs=r.gap + host.gap + 1e-5)
    assert A.shape == (4, 3)


@pytest.mark.parametrize(("xp", "matrix"), [(np, "nuclear"), (torch, "nuclear"), (jnp, "l1")])
def test_kinks_in_a_container(xp, matrix):
    A, b, _ = data(2)
    A, b = (xp.asarray(v, dtype=xp.float32) for v in (A, b))

    def fun(x):
        r = A[:, :12] @ xp.reshape(x["w"], (12,)) + A[:, 12:] @ x["v"] - b
        g = A.T @ xp.sign(r) / ROWS
        return xp.mean(xp.abs(r)), {"w": xp.reshape(g[:12], (4, 3)), "v": g[12:]}

    x0 = {"w": xp.zeros((4, 3), dtype=xp.float32), "v": xp.zeros(8, dtype=xp.float32)}
    K = lionk.blocks({"w": matrix, "v": "l1"})
    r = lionk.minimize(fun, x0, K=K, weight_decay=1.0, jac=True, convex=True, tol=5e-2)
    assert r.success and r.momentum_gap <= 5e-2 * r.objective and not r.certificate.failed, r
    assert bool(K.conjugate.domain.contains(r.x))


def test_float32_ends_where_rounding_ends_it():
    fun = smooth("squares")

    def single(x):
        f, g = fun(x.astype(np.float64))
        return f, g.astype(np.float32)

    r = lionk.minimize(single, np.zeros(SIZE, np.float32), K="l2", weight_decay=1.0, jac=True, convex=True, tol=1e-12)
    assert r.nit < 300, r.message
    exact = lionk.minimize(fun, np.zeros(SIZE), K="l2", weight_decay=1.0, jac=True, convex=True, tol=1e-10)
    assert r.objective - exact.objective <= r.momentum_gap <= 1e-4 * exact.objective


# -- resumed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [5, 15, 30, 45])
def test_a_run_on_kinks_resumes_bit_for_bit(tmp_path, stop):
    """Within the fast steps, at the change of the rule, and with gradients kept."""
    run = {"K": "l1", "weight_decay": 1.0, "jac": True, "convex": True, "tol": 0.0, "memory": 7}
    fun, x0, path = kinked("absolute"), np.zeros(SIZE), tmp_path / "run.safetensors"
    whole = lionk.minimize(fun, x0, maxiter=60, **run)
    lionk.minimize(fun, x0, maxiter=stop, checkpoint=path, **run)
    rest = lionk.minimize(fun, x0, maxiter=60, checkpoint=path, resume=True, **run)
    np.testing.assert_array_equal(whole.last_x, rest.last_x)
    np.testing.assert_array_equal(whole.state.m, rest.state.m)
    for a, b in zip(whole.history, rest.history, strict=True):
        np.testing.assert_array_equal(a, b)
    assert str(whole.certificate) == str(rest.certificate)
    with pytest.raises(ValueError, match="'memory': 7"):
        lionk.minimize(fun, x0, checkpoint=path, resume=True, **{**run, "memory": 9})


# -- the choice of the rule --------------------------------------------------------------------------------------------


def test_rules_are_named_and_refused():
    fun, _ = random_quadratic(RNG(1), 3)
    run = {"jac": True, "maxiter": 3}
    assert lionk.minimize(fun, np.zeros(3), K="l1", weight_decay=1.0, rule="plateau", **run).history.lr[0] == 0.1
    for wrong, says in (
        ({"rule": "best"}, "rule must be 'anchored', 'plateau' or None"),
        ({"rule": "anchored", "lr": 0.1}, "give no lr"),
        ({"rule": "anchored", "weight_decay": 0.0}, "weight_decay > 0 and a prox"),
    ):
        with pytest.raises(ValueError, match=says):
            lionk.minimize(fun, np.zeros(3), **{"K": "l1", "weight_decay": 1.0, **run, **wrong})


def test_a_given_rate_is_bounded_by_its_momentum_too():
    """Least absolute deviations, where the pointwise gap does not fall (theory, section 10)."""
    fun = kinked("absolute", 4)
    r = lionk.minimize(
        fun, np.zeros(SIZE), K="l1", weight_decay=1.0, lr=lambda t: 2 / (t + 2.1), jac=True, convex=True, tol=0.0,
        maxiter=800,
    )  # fmt: skip
    best = lionk.minimize(fun, np.zeros(SIZE), K="l1", weight_decay=1.0, jac=True, convex=True, tol=1e-5)
    assert r.objective - best.objective <= r.momentum_gap <= np.min(r.history.gap) / 2
    assert r.gap == r.momentum_gap and not r.certificate.failed


@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 8, 40])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_weights_of_a_quadratic_program(count, rank, scale):
    """By its conditions: what is used has the largest slope; for gradients that depend on each other, too."""
    rng = RNG(count + rank)
    G, q = rng.normal(size=(count, rank)), scale * rng.normal(size=count)
    H = scale * (G @ G.T + 1e-13 * np.eye(count))
    start = rng.dirichlet(np.ones(count)) * (rng.random(count) < 0.5)
    start = start / start.sum() if start.sum() > 0 else np.eye(count)[0]
    w = np.asarray(on_simplex(H, q, start.tolist()))
    assert w.min() >= 0 and w.sum() == pytest.approx(1, abs=1e-14)
    slope = q - H @ w
    assert np.all(slope[w > 0] >= slope.max() - 1e-7 * scale)
    exact = cvxpy.Variable(count)
    problem = cvxpy.sum_squares(G.T @ exact) / 2 - (q / scale) @ exact
    least = cvxpy.Problem(cvxpy.Minimize(problem), [exact >= 0, cvxpy.sum(exact) == 1]).solve(solver="CLARABEL")
    assert (w @ H @ w / 2 - q @ w) / scale <= least + 1e-7


def test_weights_of_gradients_that_are_alike_or_0():
    for H in (np.zeros((3, 3)), np.ones((3, 3))):
        w = on_simplex(H + 1e-15 * np.eye(3), np.asarray([1.0, 2.0, 2.0]), [1.0, 0.0, 0.0])
        assert w[0] <= 1e-12 and math.fsum(w) == pytest.approx(1)


def test_few_points_suffice_where_no_constraint_holds():
    """Least absolute deviations of three variables, inside of a large set: 22 evaluations, once 300."""
    rng = RNG(1)
    A = 0.13 * rng.normal(size=(10, 3))
    b = A @ np.asarray([0.0, -0.4, 0.0]) + 0.01 * rng.normal(size=10)
    calls = []

    def fun(x):
        calls.append(x)
        r = A @ x - b
        return float(np.abs(r).mean()), A.T @ np.sign(r) / 10

    r = lionk.minimize(
        fun, np.zeros(3), K="l1", weight_decay=0.03, jac=True, convex=True, tol=1e-6, atol=0.0, maxiter=200
    )
    assert r.success and len(calls) <= 40


def test_a_minimum_of_zero_is_reached_to_rounding():
    """A relative tolerance is never met where min F = 0; the run ends, as a success, where rounding ends it."""
    vertices = np.vstack([np.eye(3), -np.eye(3)])
    K = lionk.K("polytope", vertices=vertices)
    result = lionk.minimize(lambda x: (0.5 * float(x @ x), x), np.ones(3) / 9, K=K, weight_decay=1.0, jac=True)
    assert result.success, result.message
    assert result.objective <= 1e-16
    assert result.nit < 200


@pytest.mark.parametrize("size", [2.57e-5, 1e-9, 0.3])
def test_a_solution_much_smaller_than_the_shift_of_dom_dual_is_an_exact_step(size: float) -> None:
    """x comes from points of dom K*, whose size it is rounded with: the statement about the step must not fail."""
    c = np.asarray([size])
    result = lionk.minimize(
        lambda x: (0.33 * float((x - c) @ (x - c)), 0.66 * (x - c)), 0 * c, K=lionk.K("l2").tilt(0.3), weight_decay=0.3,
        jac=True, convex=True, maxiter=60, tol=1e-9,
    )  # fmt: skip
    assert not result.certificate.failed


def test_a_step_is_judged_by_what_its_function_is_known_to():
    """The terms of K* cancel next to 1, where slopes of 1e-7 make all others far smaller."""
    K = spectral_lift(lionk.K("berhu")).ridge(1.0)
    x = [[3.2863016, 0.3131342], [0.46236873, -3.0725956], [0.31232545, 1.2538815]]
    anchor = [[2.707088, -1.7133427], [1.8595088, 2.7423954], [0.5701009, -0.80923474]]
    slope = [[-2.247134e-08, -5.3551048e-09], [-1.6000968e-08, 1.9244803e-07], [6.0871344e-09, -7.4522745e-08]]
    x, anchor, slope = (np.asarray(a, dtype=np.float32) for a in (x, anchor, slope))
    L, eps = 3.5585748255834816e-09, float(np.finfo(np.float32).eps)
    for moved, holds in ((x, True), (x * np.float32(1.01), False)):
        residual, scale = optimality(K, moved, anchor, slope, L, 0.0, lam=0.3)
        size, width = rounding_of_step(K, moved, anchor, slope, L, lam=0.3)
        assert (abs(residual) - width <= ROUNDING * eps * (scale + size)) == holds


@pytest.mark.parametrize(("gap", "verdict"), [(1e-5, "does not apply"), (math.inf, "failed")])
def test_a_run_ends_inside_where_the_gap_of_its_end_is_finite(gap: float, verdict: str) -> None:
    """A finite gap is one with a finite K*: a distance of 1e-17 to dom K* is then rounding."""
    certificate = certificate_of_anchored(
        lionk.K("l1"), AnchoredRecord(outside=1), 1.0, eps=2e-16, gap=gap, rounding=0.0, momentum_gap=gap,
        distance=1e-17, convex=True,
    )  # fmt: skip
    assert {s.name: s.verdict for s in certificate.statements}["phase I"] == verdict


def scaled_squares(size: float, put: Any, seed: int = 0) -> tuple[Any, Any]:
    """Least squares of this size in arrays of a library and dtype, and in double precision."""
    rng = np.random.default_rng(seed)
    A, b = rng.standard_normal((30, 5)), rng.standard_normal(30)

    def fun(x: Any) -> tuple[float, Any]:
        r = A @ x - b
        return size * 0.5 * float(r @ r), size * A.T @ r

    return lambda x: tuple(map(put, fun(np.asarray(x).astype(np.float64)))), fun


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"], indirect=True)
def test_a_gradient_whose_square_overflows_is_refused_with_a_way_out(backend: Any) -> None:
    fun, _ = scaled_squares(1e19, lambda a: backend.put(np.asarray(a), "float32"))
    x0 = backend.put(np.zeros(5), "float32")
    with pytest.raises(lionk.NonFiniteError, match=r"square of the gradient overflows.*f in smaller units"):
        lionk.minimize(fun, x0, K="l1", weight_decay=0.5, jac=True)
    near, _ = scaled_squares(1e15, lambda a: backend.put(np.asarray(a), "float32"))
    assert lionk.minimize(near, x0, K="l1", weight_decay=0.5, jac=True).success


@pytest.mark.parametrize("K", ["l1", "l2", "log_cosh"])
@pytest.mark.parametrize("size", [1.0, 30.0])
@pytest.mark.parametrize("put", [np.float16, lambda a: torch.tensor(np.asarray(a), dtype=torch.float16)])
def test_half_precision_has_numbers_in_single_precision(K: str, size: float, put: Any) -> None:
    """|g|^2, and K of large arguments, are infinite in float16 where g is not: the gap is then of no use."""
    fun, exact = scaled_squares(size, put)
    r = lionk.minimize(fun, put(np.zeros(5)), K=K, weight_decay=2.0, jac=True, convex=True)
    x = nearest_feasible(K, np.asarray(r.x).astype(np.float64), 2.0)
    low = lionk.minimize(exact, np.zeros(5), K=K, weight_decay=2.0, jac=True, convex=True, tol=1e-7).objective
    F, bound = float(objective(K, exact(x)[0], x, 2.0)), float(r.gap) + float(r.gap_rounding)
    assert F - low <= bound <= 0.1 * F
