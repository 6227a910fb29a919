"""minimize with batch=1: each problem as if it were alone, on every library; kinks, infinite f, and what is refused."""

from __future__ import annotations

import math

import array_api_strict
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import torch

import lionk
from lionk.solver import batch
from lionk.solver.many import Stack
from table import ALGORITHMS, DEFAULTS, RULES
from turns import in_turns

RNG = np.random.default_rng
B, ROWS, SIZE = 7, 24, 10


def data(seed=0, shape=(B,)):
    rng = RNG(seed)
    return rng.normal(size=(*shape, ROWS, SIZE)) / math.sqrt(SIZE), 2 * rng.normal(size=(*shape, ROWS))


def squares(A, b):
    """Of one problem, or of all at once."""

    def fun(x):
        r = np.einsum("...rn,...n->...r", A, x) - b
        return (r * r).mean(-1) / 2, np.einsum("...rn,...r->...n", A, r) / ROWS

    return fun


def fourth_powers(A, b):
    def fun(x):
        r = np.einsum("...rn,...n->...r", A, x) - b
        return (r**4).mean(-1) / 4, np.einsum("...rn,...r->...n", A, r**3) / ROWS

    return fun


def logistic(A, b):
    s = np.sign(b)

    def fun(x):
        z = s * np.einsum("...rn,...n->...r", A, x)
        return np.logaddexp(0, -z).mean(-1), np.einsum("...rn,...r->...n", A, -s * np.exp(-np.logaddexp(0, z))) / ROWS

    return fun


LAMS = np.geomspace(0.3, 3.0, B)


def each(K, loss, x0=None, **options):
    """The batch, and each of its problems alone."""
    A, b = data()
    x0 = np.zeros((B, SIZE)) if x0 is None else x0
    run = {"K": K, "jac": True, "convex": True, "tol": 1e-4, **options}
    many = lionk.minimize(loss(A, b), x0, batch=1, weight_decay=LAMS, **run)
    return many, [lionk.minimize(loss(A[i], b[i]), x0[i], weight_decay=float(LAMS[i]), **run) for i in range(B)]


NAMES = ["l1", "l2", "max", "owl", "log_sum_exp", "huber", "half_square", "softsign", "smooth_linf", "group_huber"]


@pytest.mark.parametrize(("K", "loss"), in_turns(NAMES, [squares, fourth_powers, logistic]))
def test_each_problem_takes_the_steps_that_it_takes_alone(K, loss):
    many, alone = each(K, loss)
    assert np.all(many.success) and many.message == f"{B} of {B} problems certified"
    assert many.nit.tolist() == [r.nit for r in alone]
    for name in ("objective", "momentum_gap"):
        expected = np.asarray([getattr(r, name) for r in alone])
        np.testing.assert_allclose(getattr(many, name), expected, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(many.x, np.stack([r.x for r in alone]), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("K", "library"), in_turns(["l1", "huber", "k_support"], ["numpy", "torch"]))
def test_problems_that_have_ended_are_left_out_and_nothing_else_changes(K, library, monkeypatch):
    """f is asked for all of them, at the last points of those; each keeps its weight decay, and history its rows."""
    A, b = data(4, (24,))
    A[::5] *= np.geomspace(1, 0.05, SIZE)  # these take longer
    put = {"numpy": np.asarray, "torch": torch.asarray}[library]
    lam, seen = np.geomspace(0.2, 3.0, 24), []

    def fun(x):
        seen.append(np.asarray(x))
        return tuple(put(np.asarray(v)) for v in squares(A, b)(np.asarray(x)))

    def solved():
        seen.clear()
        run = lionk.minimize(fun, put(np.zeros((24, SIZE))), K=K, weight_decay=lam, batch=1, jac=True, tol=1e-4)
        return run, [*seen]

    (parts, points), _ = solved(), monkeypatch.setattr(batch, "FEW", 100)
    together, same = solved()
    assert len(set(np.asarray(parts.nit).tolist())) > 3 and bool(parts.success.all())
    np.testing.assert_array_equal(parts.nit, together.nit)
    for a, other in (
        (parts.x, together.x),
        (parts.gap, together.gap),
        (parts.history.objective, together.history.objective),
    ):
        np.testing.assert_allclose(a, other, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(points, same, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("K", ["nuclear", "spectral_huber", "row_l1_l2", "nuclear_frobenius"])
def test_stacks_of_matrices(K):
    rng = RNG(1)
    targets = 6 * rng.normal(size=(B, 4, 3))

    def fun(X):
        return ((X - targets) ** 2).sum((-2, -1)) / 2, X - targets

    many = lionk.minimize(fun, np.zeros((B, 4, 3)), K=K, weight_decay=LAMS, batch=1, jac=True, convex=True, tol=1e-6)
    for i in range(B):
        alone = lionk.minimize(
            lambda X, T=targets[i]: (((X - T) ** 2).sum() / 2, X - T),
            np.zeros((4, 3)), K=K, weight_decay=float(LAMS[i]), jac=True, convex=True, tol=1e-6,
        )  # fmt: skip
        assert many.success[i]
        if K != "nuclear_frobenius":  # an iteration, which ends when that of each problem has
            assert many.nit[i] == alone.nit
            np.testing.assert_allclose(many.x[i], alone.x, atol=1e-9)
        assert abs(many.objective[i] - alone.objective) <= 1e-6 * alone.objective


def test_the_bounds_are_true():
    A, b = data(3)
    fun = logistic(A, b)
    r = lionk.minimize(fun, np.zeros((B, SIZE)), K="l1", weight_decay=LAMS, batch=1, jac=True, convex=True)
    for i in range(B):
        one = logistic(A[i], b[i])
        exact = scipy.optimize.minimize(
            one, np.zeros(SIZE), jac=True, method="L-BFGS-B", bounds=[(-1 / LAMS[i], 1 / LAMS[i])] * SIZE,
            options={"ftol": 1e-15, "gtol": 1e-12},
        ).fun  # fmt: skip
        assert one(r.x[i])[0] == pytest.approx(r.fun[i])
        assert -1e-12 <= r.objective[i] - exact <= r.gap[i] <= 1.01e-3 * r.objective[i]
    assert r.distance.tolist() == [0.0] * B and np.asarray(r.history.gap).shape == (int(r.nit.max()) + 1, B)


def test_a_prox_takes_a_step_for_each_problem():
    """One call for all of them, also where K is of norms, singular values, eigenvalues or parts of an array."""
    alone = []
    for case in [*DEFAULTS, *ALGORITHMS, *RULES]:
        if case.heavy or not case.K.conjugate.traits.prox or case.K.traits.homogeneous:
            continue
        x = RNG(0).standard_normal((8, *case.shape))
        stack = Stack(case.K, x, np.ones(8))
        with np.errstate(over="ignore"):
            stack.nearest(x, np.linspace(0.5, 2.0, 8))
        if not stack.together:
            alone.append(case.id)
    assert not alone


def test_f_is_evaluated_as_often_as_the_slowest_problem_asks():
    A, b = data()
    calls = []

    def fun(x):
        calls.append(x.copy())
        x[:] = math.nan  # what it gets is its own
        return squares(A, b)(calls[-1])

    x0 = np.zeros((B, SIZE))
    r = lionk.minimize(fun, x0, K="l1", weight_decay=1.0, batch=1, jac=True, convex=True)
    assert len(calls) == int(r.nit.max()) + 1 and not x0.any()
    ended = int(np.argmin(r.nit))
    assert all(np.array_equal(x[ended], calls[-1][ended]) for x in calls[int(r.nit[ended]) :])


@pytest.mark.parametrize(
    ("library", "dtype"),
    [
        pytest.param(library, dtype, marks=[pytest.mark.slow] if (library, dtype) == ("jax", "float64") else [])
        for library in ("torch", "jax", "strict")
        for dtype in ("float32", "float64")
    ],
)
def test_other_libraries(library, dtype):
    A, b = (a.astype(dtype) for a in data())
    run = {"K": "l1", "weight_decay": LAMS.tolist(), "batch": 1, "convex": True}
    expected = lionk.minimize(squares(*data()), np.zeros((B, SIZE)), jac=True, **run)
    if library == "torch":
        M, t = torch.tensor(A), torch.tensor(b)
        x0 = torch.zeros(B, SIZE, dtype=getattr(torch, dtype))
        r = lionk.minimize(lambda x: ((torch.einsum("brn,bn->br", M, x) - t) ** 2).mean(1) / 2, x0, **run)
    elif library == "jax":
        x0 = jnp.zeros((B, SIZE), dtype=dtype)
        r = lionk.minimize(lambda x: ((jnp.einsum("brn,bn->br", A, x) - b) ** 2).mean(1) / 2, x0, **run)
    else:
        xp = array_api_strict
        M, t, x0 = xp.asarray(A), xp.asarray(b), xp.zeros((B, SIZE), dtype=getattr(xp, dtype))

        def fun(x):
            r = (M @ x[:, :, None])[:, :, 0] - t
            return xp.sum(r * r, axis=1) / (2 * ROWS), (xp.matrix_transpose(M) @ r[:, :, None])[:, :, 0] / ROWS

        r = lionk.minimize(fun, x0, jac=True, **run)
    assert r.x.dtype == x0.dtype and all(bool(v) for v in r.success), r.message
    objective = np.asarray([float(v) for v in r.objective])
    assert np.all(np.abs(objective - expected.objective) <= 1.1e-3 * expected.objective)


def test_starts_outside_the_constraint_and_f_that_is_infinite_after_a_step():
    """A barrier, x < 1/2, in some of the problems."""
    A, b = data()
    walls = np.where(np.arange(B) % 2, 0.5, 50.0)[:, None]

    def fun(x):
        f, g = squares(A, b)(x)
        room = walls - x
        with np.errstate(divide="ignore", invalid="ignore"):
            f = np.where((room > 0).all(-1), f - 0.01 * np.log(np.abs(room)).sum(-1), math.inf)
            return f, g + 0.01 / room

    x0 = np.where(np.arange(B)[:, None] == 2, 40.0, 0.0) + np.zeros((B, SIZE))
    r = lionk.minimize(fun, x0, K="l1", weight_decay=0.5, batch=1, jac=True, convex=True, maxiter=500)
    assert np.all(r.success), r.message
    assert np.all(np.abs(r.x) <= 2.0) and np.all(r.x < walls)
    for i in (0, 1, 2):
        exact = scipy.optimize.minimize(
            lambda x, i=i: np.nan_to_num(fun(np.where(np.arange(B)[:, None] == i, x, 0.0))[0][i], posinf=1e9),
            np.zeros(SIZE), method="L-BFGS-B", bounds=[(-2, min(2, float(walls[i, 0]) - 1e-9))] * SIZE,
        ).fun  # fmt: skip
        assert -1e-6 <= r.objective[i] - exact <= r.gap[i] + 1e-6


def test_kinks_and_f_that_is_not_convex_are_solved_side_by_side():
    A, b = data()
    calls = []

    def fun(x):
        calls.append(x)
        r = np.einsum("...rn,...n->...r", A, x) - b
        f, g = np.abs(r).mean(-1), np.einsum("...rn,...r->...n", A, np.sign(r)) / ROWS
        smooth, slope = squares(A, b)(x)
        even = np.arange(B) % 2 == 0
        return np.where(even, f, smooth), np.where(even[:, None], g, slope)

    r = lionk.minimize(fun, np.zeros((B, SIZE)), K="l1", weight_decay=1.0, batch=1, jac=True, convex=True)
    assert np.all(r.success) and r.message == f"{B} of {B} problems certified"
    assert len(calls) <= r.nit.max() + 2 * B  # an evaluation serves all, but where a run begins or ends
    for i in range(0, B, 2):
        sides = np.block([[A[i], -np.eye(ROWS)], [-A[i], -np.eye(ROWS)]])
        cost = np.r_[np.zeros(SIZE), np.full(ROWS, 1 / ROWS)]
        bounds = [(-1, 1)] * SIZE + [(0, None)] * ROWS
        exact = scipy.optimize.linprog(cost, sides, np.r_[b[i], -b[i]], bounds=bounds).fun
        assert -1e-9 <= r.objective[i] - exact <= r.gap[i] <= 1.01e-3 * r.objective[i]

    def wavy(x):
        return np.cos(3 * x).sum(-1), -3 * np.sin(3 * x)

    r = lionk.minimize(wavy, np.full((3, 2), 0.3), K="l1", weight_decay=0.5, batch=1, jac=True, maxiter=300)
    assert np.all(np.abs(np.sin(3 * r.x)) < 1e-2)
    assert r.certificate.statements[0].verdict == "does not apply"


def test_maxiter_and_one_problem():
    A, b = data()
    r = lionk.minimize(fourth_powers(A, b), np.zeros((B, SIZE)), K="l1", weight_decay=1.0, batch=1, jac=True, maxiter=3)
    assert not r.success.all() and "maxiter" in r.message and r.nit.max() == 3 and np.isfinite(r.gap).all()
    one = lionk.minimize(squares(A[:1], b[:1]), np.zeros((1, SIZE)), K="l1", weight_decay=1.0, batch=1, jac=True)
    assert one.x.shape == (1, SIZE) and one.objective.shape == (1,) and "success: [ True]" in repr(one)
    with pytest.raises(lionk.NotAvailable, match="batch=1 has no picture"):
        one.plot()


def test_what_a_batch_does_not_take():
    A, b = data()
    fun, x0 = squares(A, b), np.zeros((B, SIZE))
    run = {"K": "l1", "weight_decay": 1.0, "batch": 1, "jac": True}
    for change, message in (
        ({"batch": 2}, "batch must be 0"),
        ({"batch": True}, "batch must be 0"),
        ({"lr": 0.1}, "leave out lr"),
        ({"rule": "plateau"}, "leave out rule"),
        ({"checkpoint": "a", "resume": True}, "leave out checkpoint, resume"),
        ({"convex": False}, "convex=False"),
        ({"weight_decay": [1.0, 2.0]}, f"one for each of {B} problems"),
        ({"weight_decay": 0.0}, "finite number > 0"),
        ({"weight_decay": [-1.0] * B}, "finite number > 0"),
        ({"K": lionk.blocks({"a": "l1"})}, "K of one array"),
        ({"jac": None}, "no automatic differentiation"),
        ({"tol": -1.0}, "tol must be"),
    ):
        with pytest.raises(ValueError, match=message):
            lionk.minimize(fun, x0, **{**run, **change})
    for start in (np.zeros(()), {"a": x0}, np.zeros((0, 3))):
        with pytest.raises(ValueError, match="first axis counts"):
            lionk.minimize(fun, start, **run)
    with pytest.raises(ValueError, match=r"f must have shape \(7,\)"):
        lionk.minimize(lambda x: (1.0, x), x0, **run)
    with pytest.raises(ValueError, match=r"the gradient must have shape \(7, 10\)"):
        lionk.minimize(lambda x: (x[:, 0], x[0]), x0, **run)
    with pytest.raises(TypeError, match="fun must return"):
        lionk.minimize(lambda x: x[:, 0], x0, **run)
