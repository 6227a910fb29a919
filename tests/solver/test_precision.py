"""Bounds where f has fewer digits than x, and where what a bound is made of is told by its text or its first array."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize

import lionk
import lionk_numpy

CENTER = np.asarray([1.7, -0.4, 0.2, -2.9, 0.05])
LOSSES = {  # an offset of 1e5 hides the last digits of f, which is flat, kinked, steep or far away
    "squares": lambda z: (z @ z / 2, z),
    "absolute": lambda z: (np.abs(z).sum(), np.sign(z)),
    "far": lambda z: (1e5 + z @ z / 2, z),
    "steep": lambda z: (1e6 * np.abs(z).sum() / 7, 1e6 * np.sign(z) / 7),
}
KINDS = {"l1": (1.0, 0.0), "half_square": (math.inf, 1.0), "huber": (1.0, 1.0)}  # bound of |y|, factor of y^2/2 in K*
LAM = 0.7


def _objective(name: str, K: str, x: np.ndarray) -> float:
    edge, factor = KINDS[K]
    assert np.all(np.abs(LAM * x) <= edge * (1 + 1e-7))
    return LOSSES[name](x - CENTER)[0] + factor * LAM * float(x @ x) / 2


def _least(name: str, K: str) -> float:
    """Entry by entry, on a grid that is drawn together."""
    edge, factor = KINDS[K]
    total = LOSSES[name](np.zeros(1))[0]
    for c in CENTER:

        def F(t: float, c: float = c) -> float:
            z = np.asarray([t - c])
            return LOSSES[name](z)[0] - LOSSES[name](0 * z)[0] + factor * LAM * t * t / 2

        ends = (-min(edge / LAM, 10), min(edge / LAM, 10))
        found = scipy.optimize.minimize_scalar(F, bounds=ends, method="bounded", options={"xatol": 1e-12}).fun
        total += min(found, *map(F, (*ends, min(max(c, ends[0]), ends[1]))))
    return total


def _single(name: str, both: str):
    """f or its gradient, or both of them, in single precision."""

    def fun(x):
        f, g = LOSSES[name](x - CENTER)
        return np.float32(f) if both != "gradient" else float(f), g.astype(np.float32 if both != "f" else x.dtype)

    return fun


@pytest.mark.parametrize("both", ["f", "gradient", "both"])
@pytest.mark.parametrize("K", KINDS)
@pytest.mark.parametrize("name", LOSSES)
def test_bounds_hold_where_f_has_fewer_digits_than_x(name, K, both) -> None:
    fun, least = _single(name, both), _least(name, K)
    for given in ({}, {"rule": "plateau"}, {"lr": 0.05}):
        for steps in (3, 60):
            r = lionk.minimize(
                fun, np.zeros(5), K=K, weight_decay=LAM, jac=True, convex=True, tol=1e-12, maxiter=steps, **given
            )
            beyond = _objective(name, K, r.x) - least - 1e-13 * abs(least)
            assert not r.certificate.failed, r.certificate
            assert beyond <= r.gap + r.gap_rounding
            assert beyond <= r.momentum_gap
    x = np.zeros((2, 5))

    def many(x):
        f, g = zip(*map(fun, x), strict=True)
        return np.stack(f), np.stack(g)

    r = lionk.minimize(many, x, K=K, weight_decay=LAM, jac=True, batch=1, tol=1e-12, maxiter=60)
    for b in range(2):
        assert _objective(name, K, r.x[b]) - least - 1e-13 * abs(least) <= r.gap[b] + r.gap_rounding[b]


@pytest.mark.parametrize("name", LOSSES)
def test_an_account_and_a_method_of_scipy_know_how_precise_f_is(name) -> None:
    fun, least = _single(name, "both"), _least(name, "l1")
    opt, account, x = lionk.LionK("l1", 0.02, weight_decay=LAM), lionk.theory.Account(), np.zeros(5)
    state = opt.init(x)
    for _ in range(100):
        f, g = fun(x)
        bounds = account.observe(opt, f, x, g, state.m, state.count, convex=True)
        assert not bounds.failed, bounds
        assert _objective(name, "l1", x) - least - 1e-13 * abs(least) <= min(bounds.gap, bounds.momentum_gap)
        x, state = opt.step(x, g.astype(float), state)
    method = {"method": lionk_numpy.scipy_method, "options": {"K": "l1", "weight_decay": LAM, "convex": True}}
    r = scipy.optimize.minimize(lambda x: fun(x)[0], np.zeros(5), jac=lambda x: fun(x)[1], tol=1e-12, **method)
    assert r.gap_rounding > 0
    assert not r.certificate.failed, r.certificate
    assert r.jac.dtype == r.x.dtype == np.float64
    assert _objective(name, "l1", r.x) - least - 1e-13 * abs(least) <= r.gap + r.gap_rounding


def test_the_rounding_of_a_gap_is_that_of_the_least_precise_array() -> None:
    """K is 0 at these gradients, and has no rounding of its own."""
    x = {"a": np.asarray([1.0]), "b": np.asarray([0.0, 0.5, 0.5], np.float32)}
    g = {"a": np.asarray([0.0]), "b": np.asarray([0.0, 5.0, 7.0], np.float32)}
    for order in (["a", "b"], ["b", "a"]):
        rounding = lionk.theory.gap_rounding("max", {k: x[k] for k in order}, {k: g[k] for k in order}, 1.0)
        assert float(rounding) >= 16 * np.finfo(np.float32).eps * 6


def test_a_momentum_of_more_digits_than_x_leaves_the_rounding_of_x() -> None:
    """The terms f - <g, x> of the lower bound are computed in the precision of x."""

    def unit(**given):
        r = lionk.minimize(
            lambda x: (float(LOSSES["far"](x - CENTER)[0]), x - CENTER.astype(np.float32)),
            np.zeros(5, np.float32), K="l1", weight_decay=LAM, jac=True, convex=True, lr=0.05, maxiter=5, **given,
        )  # fmt: skip
        return r.momentum_gap

    assert unit(state_dtype="float64") == pytest.approx(unit(), rel=0.1)


def _tilted(middle: float):
    """Functions whose texts are the same, since NumPy writes the first and the last three entries of long arrays."""
    c = np.zeros(2000)
    c[1000] = middle
    return lionk.K("l1").tilt(c)


def test_a_run_is_not_resumed_with_other_arrays_of_K(tmp_path) -> None:
    def fun(x):
        return float(x @ x) / 2 - float(x.sum()), x - 1

    given = {"weight_decay": 1.0, "jac": True, "checkpoint": tmp_path / "run.st", "tol": 1e-12}
    lionk.minimize(fun, np.zeros(2000), K=_tilted(0.5), maxiter=3, **given)
    lionk.minimize(fun, np.zeros(2000), K=_tilted(0.5), maxiter=4, resume=True, **given)
    with pytest.raises(ValueError, match="resume with the same settings"):
        lionk.minimize(fun, np.zeros(2000), K=_tilted(-0.9), maxiter=4, resume=True, **given)


def test_an_account_of_other_arrays_is_that_of_another_problem() -> None:
    account, x = lionk.theory.Account(), np.zeros(2000)
    state = lionk.LionK("l1", 0.1, weight_decay=1.0).init(x)
    least = {}
    for middle in (0.0, 0.9):  # K* is |y - c| <= 1: the first has the larger minimum of f = x_1000 - 1
        opt = lionk.LionK(_tilted(-middle), 0.1, weight_decay=1.0)
        grad = np.zeros(2000)
        grad[1000] = 1.0
        least[middle] = -1.0 - middle
        bounds = account.observe(opt, 0.0, x, grad, state.m, 0, convex=True)
        assert 0.0 - least[middle] <= bounds.momentum_gap
