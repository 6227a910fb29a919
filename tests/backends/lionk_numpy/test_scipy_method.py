"""lionk_numpy.scipy_method against SciPy's own methods, in results and in manners."""

from __future__ import annotations

import doctest
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import (
    Bounds,
    LinearConstraint,
    NonlinearConstraint,
    OptimizeResult,
    OptimizeWarning,
    basinhopping,
    dual_annealing,
    minimize,
    minimize_scalar,
)

import lionk
import lionk_numpy
import lionk_numpy.scipy_solver
from lionk_numpy import scipy_method

RNG = np.random.default_rng(0)
A = RNG.normal(size=(20, 5))
B = A @ np.array([3.0, -2.0, 0.2, 0.0, 1.0]) + 0.1 * RNG.normal(size=20)
BOX = [(-1, 1), (-1, 1), (0, 1), (0.5, 0.5), (-3, 2)]


def squares(x, a=A, b=B):
    r = a @ x - b
    return r @ r / 2, a.T @ r


def solve(fun=squares, x0=(0.0,) * 5, jac=True, **given):
    return minimize(fun, x0, jac=jac, method=scipy_method, **given)


@pytest.mark.parametrize("bounds", [BOX, Bounds(*np.array(BOX).T)], ids=["pairs", "Bounds"])
def test_bounded_least_squares(bounds):
    r = solve(bounds=bounds, options={"convex": True}, tol=1e-4)
    exact = minimize(squares, np.zeros(5), jac=True, method="L-BFGS-B", bounds=BOX, options={"ftol": 1e-15})
    assert r.success and r.status == 0
    assert 0 <= r.fun - exact.fun <= r.gap <= 1e-4 * r.fun
    np.testing.assert_allclose(r.x, exact.x, atol=1e-2)
    assert isinstance(r, OptimizeResult)
    assert r.objective == r.fun == squares(r.x)[0]
    np.testing.assert_array_equal(r.jac, squares(r.x)[1])
    assert r.nfev >= r.nit > 0 and r.njev >= r.nit
    assert not r.certificate.failed


def test_every_iterate_is_in_the_box_and_x0_is_moved_there():
    seen = []
    solve(x0=np.full(5, 9.0), bounds=BOX, callback=seen.append, options={"maxiter": 50})
    low, high = np.array(BOX).T
    assert 1 < len(seen) <= 50
    assert all(((x >= low - 1e-12) & (x <= high + 1e-12)).all() for x in seen)


def test_arguments_gradients_apart_and_finite_differences():
    apart = solve(lambda x, a, b: squares(x, a, b)[0], jac=lambda x, a, b: squares(x, a, b)[1], args=(A, B), bounds=BOX)
    without = solve(lambda x: squares(x)[0], jac=None, bounds=BOX)
    together = solve(bounds=BOX)
    assert apart.fun == together.fun
    assert without.fun == pytest.approx(together.fun, rel=1e-3)
    assert without.nfev > 5 * without.njev


@pytest.mark.parametrize(("dtype", "narrow", "tol"), [(np.float64, 1e-9, 1e-6), (np.float32, 1e-4, 1e-3)])
def test_finite_differences_stay_within_the_bounds(dtype, narrow, tol):
    seen = []

    def fun(x):
        seen.append(x.copy())
        return np.sum(np.sqrt(x) - x * [0.5, 2.0, 1.0])  # not a number below 0

    low, high = np.asarray([[0.0, 0.25, 1.0], [1.0, 2.0, 1.0 + narrow]], dtype)
    r = minimize(fun, high, method=scipy_method, bounds=Bounds(low, high), options={"maxiter": 50})
    assert (low <= np.min(seen, axis=0)).all() and (np.max(seen, axis=0) <= high).all()
    assert r.x[1] == pytest.approx(2.0, abs=tol)


def test_other_K_by_options():
    r = solve(options={"K": "l2", "weight_decay": 0.5, "convex": True})
    assert r.success
    assert np.linalg.norm(r.x) <= 2 + 1e-9
    assert r.fun == pytest.approx(lionk.minimize(squares, np.zeros(5), K="l2", weight_decay=0.5, jac=True).fun)
    free = solve(options={"K": "half_square"}, tol=1e-5)
    assert free.success
    np.testing.assert_allclose(free.x, np.linalg.lstsq(A, B)[0], atol=2e-2)


def test_callbacks_see_the_run_and_stop_it():
    seen = []

    def watch(intermediate_result):
        seen.append(intermediate_result)
        if intermediate_result.nit == 3:
            raise StopIteration

    r = solve(bounds=BOX, callback=watch)
    assert [s.nit for s in seen] == [1, 2, 3]
    assert seen[-1].fun == squares(seen[-1].x)[0]
    assert (r.success, r.status, r.nit) == (False, 99, 3)
    assert "callback" in r.message


def test_the_end_of_the_steps_and_values_that_are_not_finite():
    r = solve(bounds=BOX, options={"maxiter": 2})
    assert (r.success, r.status, r.nit) == (False, 1, 2)
    start = solve(lambda x: (np.nan, x))
    assert (start.success, start.status) == (False, 2)
    later = solve(lambda x: (np.nan if x[0] > 0.01 else -x.sum(), -np.ones(5)), options={"lr": 0.01})
    assert (later.success, later.status) == (False, 2)
    assert np.isfinite(later.x).all()


def test_what_is_unknown_or_not_used_is_said_as_scipy_says_it():
    with pytest.warns(OptimizeWarning, match="Unknown solver options: ftol, speed"):
        solve(bounds=BOX, options={"ftol": 1e-3, "speed": 9, "maxiter": 1})
    with pytest.warns(RuntimeWarning, match="constraints"):
        solve(bounds=BOX, constraints={"type": "eq", "fun": np.sum}, options={"maxiter": 1})
    with pytest.warns(RuntimeWarning, match="hess"):
        solve(bounds=BOX, hess=lambda x: np.eye(5), options={"maxiter": 1})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bounds": [(0, 1)]}, "5 pairs"),
        ({"bounds": [(0, 1)] * 2 + [(1, 0)] * 3}, "no number is between 1.0 and 0.0, those of variable 2"),
        ({"bounds": [(np.nan, 0)] * 5}, "no number is between nan and 0.0"),
        ({"bounds": [(np.inf, np.inf)] * 5}, "no number is between inf"),
        ({"bounds": Bounds(np.zeros(3), np.ones(3))}, "one entry, or 5, one for each variable; got 3"),
        ({"jac": lambda x: np.zeros((5, 5)), "fun": lambda x: 0.0}, r"gradient must have shape \(5,\)"),
        ({"bounds": BOX, "options": {"K": "l1"}}, "not both"),
        ({"options": {"betas": (2, 0)}}, "betas"),
        ({"tol": -1}, "tol must be"),
    ],
)
def test_wrong_arguments(given, message):
    with pytest.raises(ValueError, match=message):
        solve(**given)


@pytest.mark.parametrize("wrong", [None, 1j, "a", [None]], ids=str)
def test_what_is_no_real_number_is_said_so(wrong):
    with pytest.raises(TypeError, match="fun must return one real number, got"):
        solve(lambda x: wrong, jac=lambda x: x)
    with pytest.raises(TypeError, match="jac must return real numbers, got"):
        solve(lambda x: 0.0, jac=lambda x: np.full(5, wrong))
    with pytest.raises(TypeError, match="fun must return one real number, got a masked array"):
        solve(lambda x: np.ma.masked, jac=lambda x: x)
    with pytest.raises(TypeError, match="jac must return real numbers, got a masked array"):
        solve(lambda x: 0.0, jac=lambda x: np.ma.masked_array(x, x > 9))
    assert solve(lambda x: Fraction(1, 2), jac=lambda x: [Fraction(0)] * 5, options={"maxiter": 1}).fun == 0.5


def test_other_functions_of_scipy_around_it():
    """Global methods take it as their local one; what asks for no starting point is refused with the way out."""

    def wells(x):
        return float(np.cos(14.5 * x[0] - 0.3) + (x[0] + 0.2) * x[0])

    found = [
        basinhopping(wells, [1.0], niter=15, minimizer_kwargs={"method": scipy_method, "bounds": [(-3, 3)]}, seed=0),
        dual_annealing(
            wells, [(-3, 3)], maxiter=20, minimizer_kwargs={"method": scipy_method, "bounds": [(-3, 3)]}, seed=0
        ),
    ]
    for r in found:
        assert r.x == pytest.approx([-0.195], abs=1e-3) and r.fun == pytest.approx(-1.00088, abs=1e-4)
    with pytest.raises(TypeError, match=r"x0, which scipy.optimize.minimize_scalar does not give: call"):
        minimize_scalar(lambda x: (x - 2) ** 2, method=scipy_method)


@pytest.mark.parametrize("bounds", [[(-0.1, 0.1)] * 3, [(-0.1, None)] * 3, None])
@pytest.mark.parametrize("together", [True, False])
def test_counts_are_those_of_the_calls(together, bounds):
    rows = np.random.default_rng(0).normal(size=(10, 3))
    calls = {"f": 0, "g": 0}

    def f(x):
        calls["f"] += 1
        value = float(np.sum((rows @ x - 1) ** 2)) / 2
        return (value, rows.T @ (rows @ x - 1)) if together else value

    def g(x):
        calls["g"] += 1
        return rows.T @ (rows @ x - 1)

    options = {"convex": True, "maxiter": 300}
    r = minimize(f, np.zeros(3), jac=True if together else g, method=scipy_method, bounds=bounds, options=options)
    assert r.nfev == calls["f"] and (together or r.njev == calls["g"])
    np.testing.assert_allclose(r.jac, rows.T @ (rows @ r.x - 1))


@pytest.mark.parametrize("jac", ["2-point", "3-point", "cs", None, False])
def test_finite_differences_by_any_name(jac):
    """SciPy hands on no name of a difference to methods that are not its own: all are forward differences."""
    kinds = set()

    def fun(x):
        kinds.add(x.dtype.kind)
        return float(((x - 2) ** 2).sum())

    r = minimize(fun, np.zeros(3), jac=jac, method=scipy_method, bounds=[(0, 1)] * 3)
    assert r.x == pytest.approx(np.ones(3)) and kinds == {"f"}


@pytest.mark.parametrize("kind", ["linear", "nonlinear", "list"])
def test_constraints_of_every_kind_are_named_as_not_used(kind):
    made = {
        "linear": LinearConstraint(np.eye(5), 0, 1),
        "nonlinear": NonlinearConstraint(np.sum, 0, 1),
        "list": [{"type": "ineq", "fun": np.sum}],
    }
    with pytest.warns(RuntimeWarning, match="does not use constraints"):
        solve(bounds=BOX, constraints=made[kind], options={"maxiter": 1})


def test_integers_become_floats_and_float32_stays():
    assert solve(x0=[0, 0, 0, 0, 0], bounds=BOX, options={"maxiter": 1}).x.dtype == np.float64
    assert solve(x0=np.zeros(5, dtype=np.float32), bounds=BOX, options={"maxiter": 1}).x.dtype == np.float32


@pytest.mark.parametrize("bounds", [None, [(0.4, 2.0), (-1.0, 1.0)]])
def test_a_gradient_that_lost_its_digits_is_no_success(bounds):
    """f is 9 (x - c)^2: its gradient, cut to whole numbers, is 0 near c and not only there."""
    c = np.asarray([0.46, 0.03])
    run = {"method": scipy_method, "bounds": bounds, "options": {"weight_decay": 0.1} if bounds is None else {}}

    def f(x):
        return float(9 * (x - c) @ (x - c))

    with pytest.raises(ValueError, match="digits of the gradient"):
        minimize(f, [0.5, 0.0], jac=lambda x: (18 * (x - c)).astype(int), **run)
    whole = minimize(
        lambda x: 1e6 * float((x - 1) @ (x - 1)), [1.0, 1.0], jac=lambda x: (2e6 * (x - 1)).astype(int), **run
    )
    assert whole.success and whole.x.tolist() == [1.0, 1.0]
    assert minimize(lambda x: float(3 * x[0] - x[1]), [0.5, 0.0], jac=lambda x: [3, -1], **run).success


def test_the_example_and_the_lazy_import():
    outcome = doctest.testmod(lionk_numpy.scipy_solver)
    assert outcome.attempted
    assert not outcome.failed
    code = "import lionk_numpy, sys; assert 'scipy' not in sys.modules; lionk_numpy.scipy_method"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="nothing"):
        _ = lionk_numpy.nothing


TARGET = np.array([2.0, 0.3])


def _value(x):
    return float((x - TARGET) @ (x - TARGET)) / 2


def _away(x):
    x -= TARGET  # in the array that it is handed
    return x @ x / 2, x


def _single(x):
    d = x.astype(np.float32) - TARGET.astype(np.float32)
    return d @ d / np.float32(2)


@pytest.mark.parametrize(
    ("fun", "jac"),
    [
        (lambda x: (_value(x), (x - TARGET)[None, :]), True),
        (_value, lambda x: (x - TARGET)[:, None]),
        (lambda x: np.array([_value(x)]), lambda x: x - TARGET),
        (_away, True),
        (lambda x: _away(x)[0], lambda x: _away(x)[1]),
        (_value, None),
        (_single, None),
        (lambda x: float(_single(x)), None),
    ],
    ids=["row", "column", "one entry", "in place", "in place twice", "differences", "float32", "float32 as float"],
)
def test_what_users_functions_do(fun, jac):
    r = solve(fun, (0.0, 0.0), jac, bounds=[(0, 1)] * 2)
    assert r.success
    np.testing.assert_allclose(r.x, [1.0, 0.3], atol=2e-3)
    bound = r.certificate.statements[-1]
    assert bound.verdict == ("holds" if jac else "does not apply")


@pytest.mark.parametrize(
    ("bounds", "first"),
    [([(None, 1), (0, None)], 1.0), (Bounds([-np.inf, 0], [1, np.inf]), 1.0), (Bounds(-np.inf, np.inf), 2.0)],
)
def test_infinite_bounds(bounds, first):
    r = solve(lambda x: (_value(x), x - TARGET), (0.0, 0.0), bounds=bounds, options={"atol": 1e-5})
    assert r.success
    np.testing.assert_allclose(r.x, [first, 0.3], atol=1e-2)


def test_a_minimum_far_from_where_a_side_without_bound_ends_at_first():
    far = np.array([300.0, -40.0])
    r = solve(lambda x: ((x - far) @ (x - far), 2 * (x - far)), (0.0, 0.0), bounds=[(0, None), (-1, None)], tol=1e-2)
    np.testing.assert_allclose(r.x, [300.0, -1.0], atol=1.0)


def test_minima_of_zero_whole_numbers_as_floats_and_other_methods_around_it():
    r = solve(lambda x: (x @ x / 2, x), (0.5, 0.7), bounds=[(-1, 1)] * 2, options={"maxiter": 1e4})
    assert r.success
    least = {"method": scipy_method, "jac": True, "bounds": [(0, 1)] * 2}
    around = basinhopping(lambda x: (_value(x), x - TARGET), np.zeros(2), niter=1, minimizer_kwargs=least)
    assert around.lowest_optimization_result.status == 0
    np.testing.assert_allclose(around.x, [1.0, 0.3], atol=2e-2)


def test_without_a_gradient_f_is_evaluated_once_a_point():
    r = solve(_value, (0.0, 0.0), None, bounds=[(0, 1)] * 2, options={"maxiter": 20})
    assert r.nfev == 3 * r.njev
    start = solve(lambda x: (np.inf, x), (0.0, 0.0), bounds=[(0, 1)] * 2)
    assert start.fun == np.inf
    assert start.jac.shape == (2,)
