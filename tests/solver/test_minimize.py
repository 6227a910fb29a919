"""minimize: exact solutions by independent solvers, every way to give f, checkpoints, faults, and its certificate."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time

import cvxpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import torch

import lionk
from lionk import theory
from lionk.checkpoint import file as checkpoint
from problems import logistic, quadratic, random_quadratic
from turns import on_libraries

RNG = np.random.default_rng


def certified(r, exact):
    """The proven bound covers the true suboptimality, from both sides."""
    assert r.success, r.message
    assert r.objective - exact <= r.gap + r.gap_rounding + 1e-9 * abs(exact)
    assert r.objective - exact >= -r.gap_rounding - 1e-7 * abs(exact)
    assert not r.certificate.failed, str(r.certificate)


# -- against independent solvers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("lam", [0.5, 2.0])
def test_box_against_lbfgsb(lam):
    fun = logistic(RNG(0))
    r = lionk.minimize(fun, np.zeros(6), K="l1", weight_decay=lam, jac=True, convex=True)
    exact = scipy.optimize.minimize(
        fun, np.zeros(6), jac=True, method="L-BFGS-B", bounds=[(-1 / lam, 1 / lam)] * 6, options={"ftol": 1e-15}
    )
    certified(r, exact.fun)
    assert r.gap <= 1e-3 * abs(r.objective)
    assert np.max(np.abs(r.x)) <= 1 / lam * (1 + 1e-15)


CONSTRAINED = {
    "l2": lambda z: [cvxpy.norm(z, 2) <= 1],
    "linf": lambda z: [cvxpy.norm(z, 1) <= 1],
    "top_k": lambda z: [cvxpy.norm(z, 1) <= 2, cvxpy.norm(z, "inf") <= 1],
    "max": lambda z: [z >= 0, cvxpy.sum(z) == 1],
    "relu": lambda z: [z >= 0, z <= 1],
}


@pytest.mark.parametrize("name", CONSTRAINED)
def test_constraints_against_cvxpy(name):
    fun, A = random_quadratic(RNG(1), 5, 9, scale=2.0)
    K = lionk.K(name, k=2) if name == "top_k" else lionk.K(name)
    lam = 0.8
    b = -np.linalg.lstsq(A.T, fun(np.zeros(5))[1], rcond=None)[0]  # A'b, which is all that matters
    z = cvxpy.Variable(5)
    data = cvxpy.sum_squares(A @ z / lam) / 2 - (A.T @ b) @ z / lam
    problem = cvxpy.Problem(cvxpy.Minimize(data), CONSTRAINED[name](z))
    problem.solve()
    r = lionk.minimize(fun, K.subgradient(np.arange(5.0)) / lam, K=K, weight_decay=lam, jac=True, convex=True)
    exact = problem.value + fun(np.zeros(5))[0]
    certified(r, exact)


@pytest.mark.parametrize(
    ("name", "penalty"),
    [("half_square", lambda z: cvxpy.sum_squares(z) / 2), ("huber", lambda z: cvxpy.sum_squares(z) / 2),
     ("dead_zone", cvxpy.norm1), ("soft_threshold", lambda z: cvxpy.sum_squares(z) / 2 + cvxpy.norm1(z))],
)  # fmt: skip
def test_penalties_against_cvxpy(name, penalty):
    fun, A = random_quadratic(RNG(2), 5, 9, scale=3.0)
    lam = 0.6
    g0 = fun(np.zeros(5))[1]
    x = cvxpy.Variable(5)
    box = [cvxpy.norm(lam * x, "inf") <= 1] if name in ("huber", "dead_zone") else []
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(A @ x) / 2 + g0 @ x + penalty(lam * x) / lam), box)
    problem.solve()
    r = lionk.minimize(fun, np.zeros(5), K=name, weight_decay=lam, jac=True, convex=True)
    certified(r, problem.value + fun(np.zeros(5))[0])


def test_nuclear_against_cvxpy():
    rng = RNG(3)
    target, lam = rng.normal(size=(4, 3)), 0.9

    def fun(x):
        return np.sum((x - target) ** 2) / 2, x - target

    X = cvxpy.Variable((4, 3))
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(X - target) / 2), [cvxpy.sigma_max(lam * X) <= 1])
    problem.solve(solver="SCS", eps=1e-9)
    r = lionk.minimize(fun, np.zeros((4, 3)), K="nuclear", weight_decay=lam, jac=True, convex=True)
    certified(r, problem.value)
    assert np.linalg.norm(r.x, 2) <= 1 / lam + 1e-12


def test_containers_with_a_K_for_each_block():
    rng = RNG(4)
    A, c = rng.normal(size=(3, 2)), rng.normal(size=3)

    def fun(x):
        d, e = x["w"] - A, x["b"] - c
        return (np.sum(d * d) + np.sum(e * e)) / 2, {"w": d, "b": e}

    x0 = {"w": np.zeros((3, 2)), "b": np.zeros(3)}
    K = lionk.blocks({"w": "nuclear", "b": "l1"})
    r = lionk.minimize(fun, x0, K=K, weight_decay=1.5, jac=True, convex=True, tol=1e-4)
    assert r.success and not r.certificate.failed
    np.testing.assert_allclose(r.x["b"], np.clip(c, -1 / 1.5, 1 / 1.5), atol=1e-2)
    assert np.linalg.norm(r.x["w"], 2) <= 1 / 1.5 + 1e-12
    assert np.all(x0["b"] == 0)


# -- every way to say f --------------------------------------------------------------------------------------------


def _shifted(xp):
    return lambda x: 0.5 * xp.sum((x - xp.asarray([2.0, 0.3, -0.1], dtype=x.dtype)) ** 2)


@pytest.mark.parametrize("xp", [torch, jnp], ids=["torch", "jax"])
def test_the_library_differentiates(xp):
    x0 = xp.zeros(3, dtype=xp.float64)
    r = lionk.minimize(_shifted(xp), x0, K="l1", weight_decay=1.0, convex=True)
    assert r.success
    np.testing.assert_allclose(np.asarray(r.x), [1.0, 0.3, -0.1], atol=1e-2)
    assert type(r.x) is type(x0) and type(r.history.gap) is type(x0)
    assert r.history.gap.shape == (r.nit + 1,)


def test_torch_parameters_keep_their_grad():
    x0 = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    lionk.minimize(_shifted(torch), x0, K="l1", weight_decay=1.0)
    assert x0.grad is None and x0.requires_grad


def test_numpy_needs_a_gradient_and_says_so():
    with pytest.raises(ValueError, match="jac=True"):
        lionk.minimize(_shifted(np), np.zeros(3), K="l1", weight_decay=1.0)


def test_gradient_as_a_second_callable():
    r = lionk.minimize(
        _shifted(np), np.zeros(3), K="huber", weight_decay=1.0, jac=lambda x: x - np.array([2.0, 0.3, -0.1])
    )
    assert r.success


@on_libraries(["pseudo_huber", "l1", "max"])
def test_the_same_run_on_every_library(backend, name):
    """A smooth K gives the same trajectory; a kinked one the same certificate."""
    A = RNG(5).normal(size=(4, 3))
    fun = quadratic(A, np.ones(4))
    for dtype in backend.dtypes[:1]:
        x0 = backend.put(np.full(3, 1 / 3), dtype)
        arguments = {"K": name, "weight_decay": 1.0, "lr": 0.02, "jac": True, "convex": True, "maxiter": 8}
        here = lionk.minimize(fun, x0, **arguments)
        host = lionk.minimize(fun, np.full(3, 1 / 3), **arguments)
        tol = 1e-10 if dtype == "float64" else 1e-4
        if name == "pseudo_huber":
            np.testing.assert_allclose(backend.get(here.history.objective), host.history.objective, atol=tol)
            np.testing.assert_allclose(backend.get(here.last_x), host.last_x, atol=tol)
        assert here.gap == pytest.approx(host.gap, abs=max(tol, 1e-6 if name == "pseudo_huber" else 0.05))
        assert [s.verdict for s in here.certificate.statements] == [s.verdict for s in host.certificate.statements]


def test_schedules_and_numbers_for_lr():
    fun, _ = random_quadratic(RNG(6), 4)
    r = lionk.minimize(fun, np.zeros(4), K="l1", weight_decay=1.0, lr=lambda t: 0.5 / (1 + t), jac=True, maxiter=60)
    np.testing.assert_allclose(r.history.lr, [0.5 / (1 + t) for t in range(r.nit + 1)])
    rising = lionk.minimize(
        fun, np.zeros(4), K="l1", weight_decay=1.0, lr=lambda t: 0.001 * (1 + t), jac=True, maxiter=20, tol=0.0
    )
    verdicts = {s.name: s for s in rising.certificate.statements}
    assert verdicts["decrease of H over the run"].verdict == "does not apply"
    assert "lr rose" in verdicts["decrease of H over the run"].text
    assert verdicts["exact identity"].verdict == "holds"


# -- the default rule -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("name", ["l1", "l2", "huber", "half_square", "elastic", "linf"])
def test_the_default_rule_needs_no_tuning(name, scale):
    """The scale of f, of the constraint, and a warm start change nothing."""
    inner, _ = random_quadratic(RNG(7), 6, 12, scale=2.0)

    def fun(x):
        f, g = inner(x)
        return scale * f, scale * g

    for lam in (0.5, 5.0):
        r = lionk.minimize(fun, np.zeros(6), K=name, weight_decay=lam, jac=True, convex=True)
        assert r.success, (name, scale, lam, r.message)
        again = lionk.minimize(fun, r.x, K=name, weight_decay=lam, jac=True, convex=True, tol=5e-4)
        assert again.success and again.objective <= r.objective + r.gap


def test_from_outside_the_constraint():
    fun, _ = random_quadratic(RNG(8), 4)
    r = lionk.minimize(fun, np.full(4, 30.0), K="l1", weight_decay=1.0, rule="plateau", jac=True, convex=True)
    assert r.success and r.history.distance[0] > 50 and r.distance == 0
    phase = r.certificate.statements[0]
    assert phase.verdict == "holds" and "begun outside" in phase.text
    assert math.isinf(r.history.objective[0]) and math.isfinite(r.history.objective[-1])


def test_without_decay_the_gradient_goes_to_zero():
    fun, _ = random_quadratic(RNG(9), 4, 8)
    r = lionk.minimize(fun, np.ones(4), K="half_square", weight_decay=0.0, jac=True, tol=1e-6)
    assert r.success and np.linalg.norm(fun(r.x)[1]) < 1e-2
    assert 0 <= r.gap == float(lionk.kkt_gap("half_square", r.x, fun(r.x)[1], 0.0)) < 1e-4, "of stationarity"


@pytest.mark.parametrize("name", ["max", "log_sum_exp"])
def test_without_decay_an_infinite_gap_is_no_success(name):
    fun, _ = random_quadratic(RNG(9), 4, 8)
    with pytest.warns(lionk.LionKWarning, match="not smallest at 0"):
        r = lionk.minimize(fun, np.ones(4), K=name, weight_decay=0.0, jac=True, maxiter=5)
    assert not r.success and r.nit == 5 and math.isinf(r.gap)


@pytest.mark.parametrize(("K", "lam", "seed"), [("l1", 1.0, 1), ("linf", 0.3, 5)])
def test_the_identity_holds_to_the_rounding_of_f(K, lam, seed):
    """An exact fit: f ends near 0, and is rounded like the products that cancel in it."""
    rng = RNG(seed)
    A, x = rng.normal(size=(20, 5)), rng.uniform(-0.5, 0.5, 5)
    y = A @ x

    def fun(v):
        r = A @ v - y
        return float(r @ r / 40), A.T @ r / 20

    r = lionk.minimize(fun, np.zeros(5), K=K, weight_decay=lam, jac=True, convex=True, maxiter=3000)
    assert r.objective < 1e-9 and not r.certificate.failed


def test_a_run_on_a_large_simplex_is_certified():
    """Membership of a simplex of 3,000 entries in float32."""
    y = RNG(1).dirichlet(np.full(3000, 0.05)).astype(np.float32)
    r = lionk.minimize(
        lambda v: (float(((v - y) ** 2).sum() / 2), v - y), np.full(3000, 1 / 3000, np.float32), K="max",
        weight_decay=1.0, jac=True, convex=True, maxiter=1000, atol=1e-2,
    )  # fmt: skip
    assert r.success and math.isfinite(r.objective) and math.isfinite(r.gap) and r.distance < 1e-5


# -- stochastic -----------------------------------------------------------------------------------------------------


def _sampled(x, rows):
    A = RNG(10).normal(size=(64, 4))[rows]
    r = A @ x - 1.0
    return float(np.mean(r * r) / 2), A.T @ r / len(rows)


def test_batches_as_callable_and_iterable_and_seed():
    def pick(t):
        return RNG([11, t]).integers(64, size=8)

    one = lionk.minimize(_sampled, np.zeros(4), K="l1", weight_decay=1.0, jac=True, batches=pick, maxiter=300)
    two = lionk.minimize(
        _sampled, np.zeros(4), K="l1", weight_decay=1.0, jac=True, batches=(pick(t) for t in range(500)), maxiter=300
    )
    np.testing.assert_array_equal(one.x, two.x)
    assert one.success and one.nit == 300
    short = lionk.minimize(
        _sampled, np.zeros(4), K="l1", weight_decay=1.0, jac=True, batches=[pick(t) for t in range(7)], maxiter=300
    )
    assert short.success and short.nit == 7 and "used up" in short.message
    text = {s.name: s for s in one.certificate.statements}
    assert text["suboptimality bound"].verdict == "does not apply"
    assert "stochastic" in text["exact identity"].text
    full = _sampled(one.x, np.arange(64))
    assert full[0] < _sampled(np.zeros(4), np.arange(64))[0]

    def noisy(x, rng):
        f, g = _sampled(x, np.arange(64))
        return f, g + 0.1 * rng.normal(size=4)

    a, b = (lionk.minimize(noisy, np.zeros(4), K="l1", weight_decay=1.0, jac=True, seed=3, maxiter=50) for _ in "ab")
    np.testing.assert_array_equal(a.x, b.x)
    other = lionk.minimize(noisy, np.zeros(4), K="l1", weight_decay=1.0, jac=True, seed=4, maxiter=50)
    assert not np.array_equal(a.last_x, other.last_x)


def test_a_jax_key_for_each_step():
    def noisy(x, key):
        return jnp.sum((x - 0.5) ** 2) + 0.01 * jnp.sum(jax.random.normal(key, x.shape) * x)

    r = lionk.minimize(noisy, jnp.zeros(3), K="l1", weight_decay=1.0, seed=0, maxiter=100)
    np.testing.assert_allclose(np.asarray(r.x), 0.5, atol=0.1)


# -- checkpoints ----------------------------------------------------------------------------------------------------


# JAX compiles each of them for seconds: one by default.
RESUMED = [
    pytest.param(
        name, kind, rule, marks=[pytest.mark.slow] if kind == "jax" and (name, rule) != ("l1", "anchored") else []
    )
    for kind in ("numpy", "torch", "jax")
    for name in ("l1", "nuclear")
    for rule in ("anchored", "plateau")
]


@pytest.mark.parametrize(("name", "kind", "rule"), RESUMED)
def test_a_resumed_run_continues_bit_for_bit(tmp_path, name, kind, rule):
    xp = {"numpy": np, "torch": torch, "jax": jnp}[kind]
    target = xp.asarray(RNG(12).normal(size=(3, 3)), dtype=xp.float32)
    stiff = xp.asarray(np.logspace(-3, 0, 9).reshape(3, 3), dtype=xp.float32)

    def fun(x):
        d = x - target
        return 0.5 * (stiff * d * d).sum(), stiff * d

    arguments = {"K": name, "weight_decay": 0.2, "rule": rule, "jac": True, "convex": True, "tol": 0.0}
    x0 = xp.zeros((3, 3), dtype=xp.float32)
    most = 90 if kind != "jax" else 64  # which compiles anew for each row that the curvature has
    whole = lionk.minimize(fun, x0, maxiter=most, **arguments)
    path = tmp_path / "run.safetensors"
    lionk.minimize(fun, x0, maxiter=40, checkpoint=path, checkpoint_every=7, **arguments)
    rest = lionk.minimize(fun, x0, maxiter=most, checkpoint=path, resume=True, **arguments)
    for a, b in ((whole.x, rest.x), (whole.last_x, rest.last_x), (whole.state.m, rest.state.m)):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    for a, b in zip(whole.history, rest.history, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert rest.nit == whole.nit > 40 and whole.state.count == rest.state.count
    assert str(whole.certificate) == str(rest.certificate) or rule == "plateau"


def test_resume_with_other_settings_is_refused(tmp_path):
    fun, _ = random_quadratic(RNG(13), 3)
    path = tmp_path / "run.safetensors"
    lionk.minimize(fun, np.zeros(3), K="l1", weight_decay=1.0, jac=True, maxiter=5, tol=0.0, checkpoint=path)
    with pytest.raises(ValueError, match="weight_decay"):
        lionk.minimize(fun, np.zeros(3), K="l1", weight_decay=2.0, jac=True, checkpoint=path, resume=True)
    with pytest.raises(ValueError, match=r"'lr': None.*'lr': 0.01"):
        lionk.minimize(fun, np.zeros(3), K="l1", weight_decay=1.0, jac=True, checkpoint=path, resume=True, lr=0.01)
    short = lionk.minimize(
        fun, np.zeros(3), K="l1", weight_decay=1.0, jac=True, checkpoint=path, resume=True, maxiter=2, tol=0.0
    )
    assert short.nit == 5 and "5 steps were made before" in short.message
    with pytest.raises(ValueError, match="checkpoint=PATH"):
        lionk.minimize(fun, np.zeros(3), K="l1", weight_decay=2.0, jac=True, resume=True)
    with pytest.raises((FileNotFoundError, ValueError), match=r"none\.safetensors"):
        lionk.minimize(
            fun, np.zeros(3), K="l1", weight_decay=1.0, jac=True, checkpoint=tmp_path / "none.safetensors", resume=True
        )


def test_resume_with_other_data_is_refused_and_the_file_stays(tmp_path):
    fun, _ = random_quadratic(RNG(13), 3)
    other, _ = random_quadratic(RNG(14), 3)
    path = tmp_path / "run.safetensors"
    arguments = {"K": "l1", "weight_decay": 1.0, "jac": True, "tol": 0.0, "checkpoint": path}
    lionk.minimize(fun, np.zeros(3), maxiter=5, **arguments)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="same data and objective"):
        lionk.minimize(other, np.zeros(3), maxiter=9, resume=True, **arguments)
    assert path.read_bytes() == before
    assert lionk.minimize(fun, np.zeros(3), maxiter=9, resume=True, **arguments).nit == 9


def test_a_killed_run_resumes(tmp_path):
    """A real process, killed in the middle; the file is whole, and the rest of the run equals the uninterrupted one."""
    script = textwrap.dedent("""
        import sys, time, numpy as np, lionk
        def fun(x):
            time.sleep(0.002)
            d = x - np.arange(5.0) / 3
            return 0.5 * np.sum(d * d), d
        r = lionk.minimize(fun, np.zeros(5), K="l1", weight_decay=1.0, jac=True, tol=0.0, maxiter=300,
                           checkpoint=sys.argv[1], checkpoint_every=3, resume=len(sys.argv) > 2)
        print(r.last_x.tobytes().hex())
    """)
    path = tmp_path / "run.safetensors"
    env = {**os.environ, "PYTHONWARNINGS": "error"}
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], env=env)
    limit = time.monotonic() + 60
    while not path.exists() and time.monotonic() < limit:
        time.sleep(0.005)
    time.sleep(0.15)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.exists()
    quiet = {"env": env, "capture_output": True, "text": True}
    rest = subprocess.run([sys.executable, "-c", script, str(path), "resume"], check=False, **quiet)
    whole = subprocess.run([sys.executable, "-c", script, str(tmp_path / "w")], check=True, **quiet)
    assert rest.returncode == 0, rest.stderr
    assert rest.stdout and rest.stdout == whole.stdout


# -- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("what", ["f", "gradient"])
def test_a_run_that_turns_non_finite_names_the_step_and_keeps_the_last_good_point(tmp_path, bad, what):
    inner, _ = random_quadratic(RNG(14), 3)
    calls = []

    def fun(x):
        calls.append(x)
        f, g = inner(x)
        if len(calls) == 13:
            return (bad, g) if what == "f" else (f, np.array([bad, 0.0, 0.0]))
        return f, g

    path = tmp_path / "run.safetensors"
    with pytest.raises(lionk.NonFiniteError, match="step 12") as caught:
        lionk.minimize(fun, np.zeros(3), K="l1", weight_decay=1.0, rule="plateau", jac=True, tol=0.0, checkpoint=path)
    error = caught.value
    assert error.step == 12 and error.result.nit == 11 and np.all(np.isfinite(error.result.x))
    assert not error.result.success and str(path) in str(error)
    resumed = lionk.minimize(
        inner,
        np.zeros(3),
        K="l1",
        weight_decay=1.0,
        rule="plateau",
        jac=True,
        tol=0.0,
        maxiter=30,
        checkpoint=path,
        resume=True,
    )
    whole = lionk.minimize(inner, np.zeros(3), K="l1", weight_decay=1.0, rule="plateau", jac=True, tol=0.0, maxiter=30)
    np.testing.assert_array_equal(resumed.last_x, whole.last_x)


def test_non_finite_at_the_start():
    with pytest.raises(lionk.NonFiniteError, match="at the start"):
        lionk.minimize(lambda x: (math.nan, x), np.zeros(2), K="l1", weight_decay=1.0, jac=True)


def test_interrupt_keeps_the_checkpoint(tmp_path):
    inner, _ = random_quadratic(RNG(15), 3)
    calls = []

    def fun(x):
        calls.append(1)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return inner(x)

    path = tmp_path / "run.safetensors"
    arguments = {"K": "l1", "weight_decay": 1.0, "rule": "plateau", "jac": True, "tol": 0.0, "maxiter": 40}
    with pytest.raises(KeyboardInterrupt):
        lionk.minimize(fun, np.zeros(3), checkpoint=path, **arguments)
    rest = lionk.minimize(inner, np.zeros(3), checkpoint=path, resume=True, **arguments)
    whole = lionk.minimize(inner, np.zeros(3), **arguments)
    np.testing.assert_array_equal(rest.last_x, whole.last_x)


# -- files that cannot be written -----------------------------------------------------------------------------------

FULL = "checkpoint .*run.safetensors was not written: No space left on device"


def _saves(monkeypatch, fails, error=lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))):
    """The saves whose numbers, from 0, ``fails`` picks find a full disk."""
    done, real = [], os.fsync

    def fsync(file):
        if stat.S_ISREG(os.fstat(file).st_mode):
            done.append(None)
            if fails(len(done) - 1):
                raise error()
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)


def _quadratic(tmp_path, **others):
    """Arguments of a run that is saved at steps 5, 10, 15, 20 and at its end, 22."""
    fun, _ = random_quadratic(RNG(15), 3)
    saved = {"checkpoint": tmp_path / "run.safetensors", "checkpoint_every": 5, "maxiter": 22}
    run = {"fun": fun, "x0": np.zeros(3), "K": "l1", "weight_decay": 1.0, "rule": "plateau", "jac": True, "tol": 0.0}
    return {**run, **saved, **others}


def test_a_full_disk_does_not_end_the_run(tmp_path, monkeypatch):
    run = _quadratic(tmp_path)
    whole = lionk.minimize(**{**run, "checkpoint": None})
    _saves(monkeypatch, lambda n: n >= 2)
    with pytest.warns(lionk.LionKWarning) as given:
        r = lionk.minimize(**run)
    np.testing.assert_array_equal(r.last_x, whole.last_x)
    assert (r.nit, r.message) == (22, whole.message)
    way, end = (str(w.message) for w in given)
    assert re.fullmatch(f"step 15: {FULL}; the run goes on, and tries again every 5 steps", way)
    assert re.fullmatch(FULL, end)
    assert r.unsaved == end
    assert {w.filename for w in given} == {__file__}
    assert checkpoint.load(run["checkpoint"])[1]["count"] == 10
    assert os.listdir(tmp_path) == ["run.safetensors"]
    monkeypatch.undo()
    assert lionk.minimize(**run, resume=True).unsaved == ""


def test_a_disk_with_room_again_holds_the_run(tmp_path, monkeypatch):
    """One warning for each time that the disk fills, not for each save that fails."""
    run = _quadratic(tmp_path)
    _saves(monkeypatch, lambda n: n in (0, 1, 3))
    with pytest.warns(lionk.LionKWarning) as given:
        r = lionk.minimize(**run)
    assert [str(w.message).split(":")[0] for w in given] == ["step 5", "step 20"]
    assert (r.unsaved, checkpoint.load(run["checkpoint"])[1]["count"]) == ("", 22)


@pytest.mark.parametrize(("error", "why"), [(MemoryError, "out of memory"), (lambda: OSError("odd"), "odd")])
def test_why_a_save_failed(error, why, tmp_path, monkeypatch):
    _saves(monkeypatch, lambda n: True, error)
    with pytest.warns(lionk.LionKWarning, match=why):
        assert lionk.minimize(**_quadratic(tmp_path, checkpoint_every=500)).unsaved.endswith(f"was not written: {why}")


def test_a_folder_that_vanishes_does_not_end_the_run(tmp_path):
    folder, inner = tmp_path / "folder", _quadratic(tmp_path)["fun"]
    folder.mkdir()

    def fun(x):
        if (folder / "run.safetensors").exists():
            shutil.rmtree(folder)
        return inner(x)

    with pytest.warns(lionk.LionKWarning, match="there is no folder .*folder for the checkpoint"):
        r = lionk.minimize(**_quadratic(folder, fun=fun))
    assert r.nit == 22 and r.unsaved and not folder.exists()


def test_a_non_finite_run_on_a_full_disk_keeps_its_result(tmp_path, monkeypatch):
    inner, calls = _quadratic(tmp_path)["fun"], []

    def fun(x):
        calls.append(x)
        return (math.nan, x) if len(calls) == 13 else inner(x)

    _saves(monkeypatch, lambda n: n == 2)
    with (
        pytest.warns(lionk.LionKWarning, match=FULL),
        pytest.raises(lionk.NonFiniteError, match=rf"step 12.* The {FULL}\.") as e,
    ):
        lionk.minimize(**_quadratic(tmp_path, fun=fun))
    assert e.value.result.nit == 11 and "No space" in e.value.result.unsaved
    assert "last good point" not in str(e.value).partition("(.result)")[2]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("full", [False, True])
def test_an_interrupt_says_whether_the_run_is_saved(full, error, tmp_path, monkeypatch):
    inner, calls = _quadratic(tmp_path)["fun"], []

    def fun(x):
        calls.append(x)
        if len(calls) == 4:
            raise error
        return inner(x)

    _saves(monkeypatch, lambda n: full)
    warned = pytest.warns(lionk.LionKWarning, match=FULL) if full else contextlib.nullcontext()
    with warned, pytest.raises(error) as e:
        lionk.minimize(**_quadratic(tmp_path, fun=fun))
    notes = [] if full else [f"{tmp_path / 'run.safetensors'} holds the run; resume=True continues it"]
    assert getattr(e.value, "__notes__", []) == notes
    if not full:
        rest, whole = lionk.minimize(**_quadratic(tmp_path, resume=True)), lionk.minimize(**_quadratic(tmp_path))
        np.testing.assert_array_equal(rest.last_x, whole.last_x)


def test_what_no_checkpoint_holds_is_refused_before_the_run(tmp_path):
    run = _quadratic(tmp_path, fun=lambda x: 1 / 0, x0={frozenset(): np.zeros(3)})
    with pytest.raises(TypeError, match="a key of x0 is a frozenset; a checkpoint holds"):
        lionk.minimize(**run)


FAULTS = [
    ({"weight_decay": -1.0}, ValueError, "weight_decay"),
    ({"tol": math.nan}, ValueError, "tol"),
    ({"maxiter": 2.5}, ValueError, "maxiter"),
    ({"checkpoint_every": 0}, ValueError, "checkpoint_every"),
    ({"jac": "yes"}, TypeError, "jac"),
    ({"K": "l1l"}, KeyError, "did you mean"),
    ({"lr": 2.0}, ValueError, "lr \\* weight_decay"),
    ({"x0": np.zeros(3, dtype=int)}, TypeError, "astype"),
    ({"x0": [1.0, 2.0]}, TypeError, "array"),
    ({"fun": lambda x: 1.0}, TypeError, "\\(f, grad\\)"),
    ({"fun": lambda x: (1.0, np.zeros(4))}, ValueError, "gradient must have shape \\(3,\\)"),
    ({"fun": lambda x: (np.zeros(2), x)}, ValueError, "one entry"),
    ({"batches": [1], "seed": 1}, ValueError, "not both"),
    ({"fun": lambda x: (None, x)}, TypeError, "f must be a real number .* got NoneType"),
    ({"fun": lambda x: (1j, x)}, TypeError, "f must be a real number .* got complex"),
    ({"fun": lambda x: (1.0, [0.0, 0.0, 0.0])}, ValueError, "an array like x, got list"),
    ({"lr": lambda count: None}, TypeError, "lr must be a number"),
    ({"batches": [], "fun": lambda x, b: (0.5 * x @ x, x)}, ValueError, "batches is empty"),
    ({"K": lionk.blocks({"a": "l1"})}, TypeError, "function of blocks, but x is one array"),
    ({"state_dtype": "float33"}, ValueError, "state_dtype must be a dtype"),
    ({"checkpoint": "no_such_folder/run.safetensors"}, FileNotFoundError, "no folder no_such_folder"),
    ({"checkpoint": "."}, OSError, "is a directory, a device or a pipe"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), FAULTS)
def test_bad_arguments_name_themselves(arguments, error, message):
    call = {
        "fun": lambda x: (0.5 * x @ x, x),
        "x0": np.zeros(3),
        "K": "l1",
        "weight_decay": 1.0,
        "jac": True,
        **arguments,
    }
    with pytest.raises(error, match=message):
        lionk.minimize(call.pop("fun"), call.pop("x0"), **call)


def test_numbers_of_numpy_are_numbers():
    fun, _ = random_quadratic(RNG(9), 3)
    a = lionk.minimize(fun, np.zeros(3), K="l1", weight_decay=1.0, jac=True, tol=1e-3, maxiter=50)
    one, tol = np.float32(1.0), np.float64(1e-3)
    b = lionk.minimize(fun, np.zeros(3), K="l1", weight_decay=one, jac=True, tol=tol, maxiter=np.int64(50))
    np.testing.assert_array_equal(a.x, b.x)


# -- the rest ---------------------------------------------------------------------------------------------------------


def test_callback_sees_every_iterate_and_can_stop():
    fun, _ = random_quadratic(RNG(16), 3)
    seen = []

    def callback(info):
        seen.append(info)
        return info.nit == 5

    r = lionk.minimize(fun, np.ones(3), K="l1", weight_decay=1.0, jac=True, tol=0.0, callback=callback)
    assert [i.nit for i in seen] == list(range(6)) and r.nit == 5 and "callback" in r.message
    assert seen[3].objective == r.history.objective[3] and seen[3].x.shape == (3,)


def test_progress_bar(capsys):
    fun, _ = random_quadratic(RNG(17), 3)
    lionk.minimize(fun, np.ones(3), K="l1", weight_decay=1.0, jac=True, progress=True, maxiter=20)
    assert "gap=" in capsys.readouterr().err


def test_history_is_what_the_theory_says():
    fun, _ = random_quadratic(RNG(18), 3)
    K, lam, seen = lionk.K("huber"), 1.0, []
    r = lionk.minimize(
        fun, np.zeros(3), K=K, weight_decay=lam, jac=True, tol=0.0, maxiter=15, callback=lambda i: seen.append(i.x)
    )
    for i, x in enumerate(seen):
        f, g = fun(x)
        assert r.history.f[i] == f
        assert r.history.gap[i] == pytest.approx(float(lionk.kkt_gap(K, x, g, lam)), rel=1e-9)
        assert r.history.objective[i] == pytest.approx(f + float(K.conjugate.value(lam * x)) / lam)
        assert r.history.lyapunov[i] >= r.history.objective[i] - 1e-12
    assert r.fun == fun(r.x)[0] and r.objective == pytest.approx(float(theory.objective(K, r.fun, r.x, lam)))


@pytest.mark.parametrize("K", ["l1", "nuclear", "log_cosh", "huber", {"a": "l1", "b": "l2"}], ids=str)
@pytest.mark.parametrize("lr", [0.05, lambda t: 0.3 / (1 + t) ** 0.5], ids=["constant", "falling"])
def test_what_waits_for_the_certificate_is_what_a_callback_sees_at_once(K, lr):
    """H and the identity are computed for many iterates at a time, and at each one where somebody looks."""
    target = RNG(25).normal(size=(4, 3))

    def fun(x):
        if isinstance(x, dict):
            each = {n: fun(a) for n, a in x.items()}
            return sum(f for f, _ in each.values()), {n: g for n, (_, g) in each.items()}
        return 0.5 * float(np.sum((x - target) ** 2)), x - target

    x0 = {"a": np.full((4, 3), 3.0), "b": np.zeros((4, 3))} if isinstance(K, dict) else np.full((4, 3), 3.0)
    K = lionk.blocks(K) if isinstance(K, dict) else K
    run = {"K": K, "weight_decay": 0.5, "lr": lr, "jac": True, "tol": 0.0, "maxiter": 77}
    seen = []
    alone, watched = lionk.minimize(fun, x0, **run), lionk.minimize(fun, x0, callback=seen.append, **run)
    assert len(seen) == 78 and "exact identity: holds" in str(alone.certificate)
    assert [i.lyapunov for i in seen] == watched.history.lyapunov.tolist()
    for name, a, b in zip(alone.history._fields, alone.history, watched.history, strict=True):
        if name == "lyapunov":
            np.testing.assert_allclose(a, b, rtol=1e-13)
        else:
            np.testing.assert_array_equal(a, b)
    numbers = re.compile(r"[-\d.e]+")
    verdicts = [[numbers.sub("", line) for line in str(r.certificate).splitlines()] for r in (alone, watched)]
    assert verdicts[0] == verdicts[1]


def test_b1_above_b2_is_certified_without_the_inequality():
    fun, _ = random_quadratic(RNG(19), 3)
    with pytest.warns(lionk.LionKWarning, match="b1 > b2"):
        r = lionk.minimize(
            fun,
            np.zeros(3),
            K="l1",
            weight_decay=1.0,
            betas=(0.9, 0.5),
            rule="plateau",
            jac=True,
            convex=True,
            maxiter=300,
        )
    text = {s.name: s for s in r.certificate.statements}
    assert text["Lyapunov inequality"].verdict == "does not apply" and "b1" in text["Lyapunov inequality"].text
    assert text["exact identity"].verdict == "holds" and text["suboptimality bound"].verdict == "holds"


def test_non_convex_f_is_not_given_a_bound():
    def fun(x):
        return float(np.sum(np.cos(x))), -np.sin(x)

    r = lionk.minimize(fun, np.full(2, 0.4), K="l1", weight_decay=0.5, jac=True, convex=False, tol=1e-2)
    assert {s.name: s.verdict for s in r.certificate.statements}["suboptimality bound"] == "does not apply"


def test_empty_and_zero_dimensional_arrays():
    r = lionk.minimize(lambda x: (0.0, x), np.zeros(0), K="l1", weight_decay=1.0, jac=True, maxiter=3)
    assert r.success and r.x.shape == (0,)
    r = lionk.minimize(lambda x: ((x - 3.0) ** 2, 2 * (x - 3.0)), np.asarray(0.0), K="l1", weight_decay=1.0, jac=True)
    assert r.success and float(r.x) == pytest.approx(1.0, abs=5e-3) and r.x.shape == ()


def test_low_precision_parameters_with_a_wide_state():
    target = torch.tensor([2.0, 0.3, -0.1])

    def fun(x):
        d = x.to(torch.float32) - target
        return 0.5 * (d * d).sum(), d.to(x.dtype)

    r = lionk.minimize(
        fun, torch.zeros(3, dtype=torch.bfloat16), K="l1", weight_decay=1.0, jac=True, state_dtype="float32",
        tol=3e-2, maxiter=400,
    )  # fmt: skip
    assert r.x.dtype == torch.bfloat16
    assert torch.allclose(r.x.to(torch.float32), torch.tensor([1.0, 0.3, -0.1]), atol=0.05)
