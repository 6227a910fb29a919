"""The statements of the theory, on random cases: identity, inequality, gap, phase I, limit cycles, the flow."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import lionk
from lionk import theory
from problems import logistic, quadratic, random_quadratic

MATRIX = (3, 4)
CASES = {
    "l1": (5,), "l2": (5,), "lp": (5,), "linf": (5,), "top_k": (5,), "huber": (5,), "clip": (5,), "dead_zone": (5,),
    "soft_threshold": (5,), "elastic": (5,), "half_square": (5,), "power": (5,), "log_cosh": (5,), "pseudo_huber": (5,),
    "softsign": (5,), "arctan": (5,), "asinh": (5,), "exp": (5,), "softplus": (5,), "box": (5,), "relu": (5,),
    "max": (5,), "capped_simplex": (5,), "log_sum_exp": (5,), "sparsemax": (5,), "half_l1_squared": (5,),
    "nuclear": MATRIX, "spectral": MATRIX, "row_l1_l2": MATRIX, "spectral_huber": MATRIX, "nuclear_frobenius": MATRIX,
}  # fmt: skip


def random_step(rng, name, ordered=True):
    """A random quadratic f, hyper-parameters, and a feasible point off the boundary; the step from there."""
    shape = CASES[name]
    n = math.prod(shape)
    K = lionk.K(name, k=2) if "k" in lionk.functions.entry(name).parameters else lionk.K(name)
    b1, b2 = rng.uniform(0.05, 0.99, size=2)
    if ordered != (b1 <= b2):
        b1, b2 = b2, b1
    lam = rng.uniform(0.2, 3.0)
    decay = "explicit" if rng.random() < 0.5 else "implicit"
    lr = rng.uniform(0.01, 0.9) / lam if decay == "explicit" else rng.uniform(0.01, 3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lionk.LionKWarning)
        opt = lionk.LionK(K, lr, (b1, b2), lam, decay)
    A = rng.normal(size=(n, n))
    Q, b = A @ A.T / n, rng.normal(size=n)

    def fun(x):
        v = x.reshape(-1)
        return v @ Q @ v / 2 - b @ v, (Q @ v - b).reshape(shape)

    w = rng.dirichlet(np.ones(4))
    x = sum(c * K.subgradient(2 * rng.normal(size=shape)) for c in w) / lam  # a convex combination of dom K*
    m = rng.normal(size=shape)
    f, g = fun(x)
    x1, s1 = opt.step(x, g, lionk.State(m, 0))
    d = theory.descent(opt, lr, x, m, f, g, x1, s1.m, fun(x1)[0])
    return opt, d


@pytest.mark.parametrize("name", CASES)
def test_exact_identity_and_inequality(name):
    """5,022 random cases over 31 functions: residual below 1e-11, D1 and D2 >= 0, descent within f's curvature."""
    rng = np.random.default_rng(sum(map(ord, name)))
    worst, checked = 0.0, 0
    for _ in range(162):
        opt, d = random_step(rng, name)
        scale = max(1.0, float(d.scale))
        assert math.isfinite(float(d.residual)), opt
        worst = max(worst, abs(float(d.residual)) / scale)
        checked += 1
        k, slack = d.coefficients, 1e-11 * scale
        assert d.D1 >= -slack and d.D2 >= -slack
        assert d.bregman_conjugate >= -slack and d.bregman_K >= -slack
        dissipated = k.h * (k.a * d.D1 + (k.b or 0.0) * d.D2)
        assert d.after - d.before <= -dissipated + d.bregman_f + slack
    assert checked == 162 and worst < 1e-11


@pytest.mark.parametrize("name", ["l1", "l2", "huber", "half_square", "pseudo_huber", "softplus", "max", "linf"])
def test_betas_in_the_wrong_order_break_the_inequality_but_not_the_identity(name):
    rng = np.random.default_rng(7)
    violations = 0
    for _ in range(200):
        _, d = random_step(rng, name, ordered=False)
        scale = max(1.0, float(d.scale))
        assert abs(d.residual) < 1e-11 * scale
        k = d.coefficients
        assert k.b < 0
        violations += d.after - d.before > -k.h * k.a * d.D1 + d.bregman_f + 1e-9 * scale
    assert violations > 0


def test_equal_betas_drop_the_second_dissipation():
    assert theory.coefficients(0.1, 0.9, 0.9, 1.0).b is None
    rng = np.random.default_rng(8)
    for name in ("l1", "huber", "nuclear"):
        for _ in range(50):
            opt, d = random_step(rng, name)
            same = lionk.LionK(opt.K, opt.lr, (opt.betas[0],) * 2, opt.weight_decay, opt.decay)
            x = 0.5 * opt.K.subgradient(rng.normal(size=CASES[name])) / opt.weight_decay
            m, g = rng.normal(size=(2, *CASES[name]))
            y, s = same.step(x, g, lionk.State(m, 0))
            d = theory.descent(same, same.lr, x, m, 0.0, g, y, s.m, float(np.sum(g * (y - x))))  # f linear
            assert abs(d.residual) < 1e-11 and float(d.D2) == 0.0


def test_no_momentum_is_frank_wolfe():
    """b1 = 0: c = 0, H = F, and the step is the generalised conditional gradient with step lr lam."""
    k = theory.coefficients(0.3, 0.0, 0.9, 2.0)
    assert (k.c, k.a, k.b) == (0.0, 1.0, 0.0)
    x, g = np.random.default_rng(9).normal(size=(2, 4))
    opt = lionk.LionK("l1", 0.3, (0.0, 0.9), 2.0)
    new, _ = opt.step(x, g, opt.init(x))
    t = 0.3 * 2.0
    vertex = lionk.K("l1").conjugate.domain.lmo(-g) / 2.0
    np.testing.assert_allclose(new, (1 - t) * x + t * vertex, rtol=1e-14)


def test_without_decay_the_identity_holds_too():
    rng = np.random.default_rng(10)
    for name in ("l1", "huber", "half_square", "dead_zone", "nuclear"):
        for _ in range(100):
            shape = CASES[name]
            opt = lionk.LionK(name, rng.uniform(0.01, 0.5), (0.8, 0.95), 0.0)
            x, m, g = rng.normal(size=(3, *shape))
            y, s = opt.step(x, g, lionk.State(m, 0))
            d = theory.descent(opt, opt.lr, x, m, 0.0, g, y, s.m, float(np.sum(g * (y - x))))
            assert abs(d.residual) < 1e-11 and d.D1 >= -1e-12 and d.D2 >= -1e-12


def test_stochastic_gradients_enter_by_one_term():
    rng = np.random.default_rng(11)
    for _ in range(200):
        opt = lionk.LionK("huber", 0.1, (0.9, 0.95), 1.0)
        fun, _ = random_quadratic(rng, 5)
        x, m, noise = 0.5 * np.tanh(rng.normal(size=(3, 5)))
        f, g = fun(x)
        y, s = opt.step(x, g + noise, lionk.State(m, 0))
        d = theory.descent(opt, 0.1, x, m, f, g, y, s.m, fun(y)[0], noisy_grad=g + noise)
        assert abs(d.residual) < 1e-11


def test_coefficients_agree_with_the_flow():
    """The discrete c over h is the continuous one over alpha, at the parameters of the same implicit step."""
    for b1, b2, lam, h in ((0.9, 0.99, 1.0, 0.1), (0.3, 0.5, 2.0, 1.5), (0.5, 0.5, 0.1, 0.01)):
        discrete = theory.coefficients(h, b1, b2, lam)
        p = theory.flow_parameters(lionk.LionK("l1", h, (b1, b2), lam, "implicit"), h)
        assert p.c / p.alpha == pytest.approx(discrete.c, rel=1e-12)
        assert p.eps * p.gamma == pytest.approx(1 - b1, rel=1e-12)


def test_coefficients_refuse_what_has_none():
    with pytest.raises(ValueError, match="b2 = 1"):
        theory.coefficients(0.1, 0.9, 1.0, 0.0)
    with pytest.raises(ValueError, match="implicit step exists"):
        theory.coefficients_of(lionk.LionK("l1", 0.5, weight_decay=2.0), 0.5)
    with pytest.raises(ValueError, match="step > 0"):
        theory.coefficients_of(lionk.LionK("l1", weight_decay=2.0), 0.0)


# -- the gap -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("exp", "asinh")])
def test_the_gap_bounds_the_suboptimality(name):
    """``F(x) - F(z) <= G(x)/lam`` for every feasible z: checked against many, and against a long run."""
    rng = np.random.default_rng(12)
    shape = CASES[name]
    K = lionk.K(name)
    fun, _ = random_quadratic(rng, math.prod(shape))

    def matrix_fun(x):
        f, g = fun(x.reshape(-1))
        return f, g.reshape(shape)

    lam = 0.7
    for _ in range(20):
        x, z = (0.9 * K.subgradient(rng.normal(size=shape)) / lam + 0.1 * K.subgradient(rng.normal(size=shape)) / lam
                for _ in range(2))  # fmt: skip
        f, g = matrix_fun(x)
        bound = lionk.kkt_gap(K, x, g, lam) / lam
        assert theory.objective(K, f, x, lam) - theory.objective(K, matrix_fun(z)[0], z, lam) <= bound + 1e-12
        assert bound >= -1e-12


def test_the_gap_refuses_decays_that_are_none():
    for lam in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="weight_decay"):
            lionk.kkt_gap("l1", np.ones(2), np.ones(2), lam)


def test_the_gap_is_zero_at_a_stationary_point():
    """Lion: ``x_i = -sign(g_i)/lam``, or ``g_i = 0`` inside."""
    x, g = np.array([0.5, -0.5, 0.2]), np.array([-3.0, 0.1, 0.0])
    assert lionk.kkt_gap("l1", x, g, 2.0) == 0
    assert lionk.kkt_gap("l1", x, -g, 2.0) > 0
    assert lionk.kkt_gap("l1", 3 * x, g, 2.0) == math.inf


def test_the_gap_of_a_support_function_is_the_frank_wolfe_gap():
    rng = np.random.default_rng(13)
    for name in ("l1", "l2", "linf", "max", "nuclear"):
        K, lam = lionk.K(name), 0.5
        x = K.subgradient(rng.normal(size=CASES[name])) / lam
        g = rng.normal(size=CASES[name])
        vertex = K.conjugate.domain.lmo(-g) / lam
        assert lionk.kkt_gap(K, x, g, lam) == pytest.approx(lam * np.sum(g * (x - vertex)), rel=1e-12, abs=1e-12)


def test_rounding_of_the_gap_in_float32():
    """The float32 gap plus its bound is at least the gap of the same point in float64, and minus it at most."""
    rng = np.random.default_rng(14)
    for name in ("l1", "l2", "top_k", "huber", "max", "nuclear", "row_l1_l2", "log_sum_exp"):
        K, lam = lionk.K(name), 0.5
        for _ in range(50):
            shape = (20, 30) if len(CASES[name]) == 2 else (600,)
            x = (K.subgradient(rng.normal(size=shape)) / lam).astype(np.float32)
            g = rng.normal(size=shape).astype(np.float32)
            low = float(lionk.kkt_gap(K, x, g, lam))
            bound = float(theory.gap_rounding(K, x, g, lam))
            feasible = K.conjugate.domain.project(lam * x.astype(np.float64)) / lam
            exact = float(lionk.kkt_gap(K, feasible, g.astype(np.float64), lam))
            assert abs(low - exact) <= bound, (name, low, exact, bound)


# -- phase I -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", ["explicit", "implicit"])
@pytest.mark.parametrize("name", ["l1", "l2", "linf", "top_k", "max", "relu", "nuclear", "row_l1_l2", "softplus"])
def test_phase_one_shrinks_at_least_by_the_predicted_factor(name, decay):
    rng = np.random.default_rng(15)
    K, lr, lam = lionk.K(name), 0.2, 0.8
    opt = lionk.LionK(K, lr, weight_decay=lam, decay=decay)
    x = 5 * rng.normal(size=CASES[name])
    state, factor = opt.init(x), theory.phase_one_factor(lr, lam, decay)
    before = theory.distance_to_domain(K, x, lam)
    start = before
    for t in range(60):
        x, state = opt.step(x, rng.normal(size=x.shape), state)
        after = theory.distance_to_domain(K, x, lam)
        assert after <= factor * before + 1e-13
        assert after <= factor ** (t + 1) * start + 1e-12
        before = after
    assert theory.phase_one_steps(float(start), 1e-6, lr, lam, decay) >= 1


def test_phase_one_rate_is_attained_and_the_count_is_exact():
    """With dK at one point of the face the distance shrinks exactly by the factor."""
    for decay in ("explicit", "implicit"):
        opt = lionk.LionK("l1", 0.1, weight_decay=1.0, decay=decay)
        x = np.array([3.0])
        state = opt.init(x)
        need = theory.phase_one_steps(2.0, 1e-3, 0.1, 1.0, decay)
        for t in range(need):
            assert float(theory.distance_to_domain("l1", x, 1.0)) > 1e-3
            x, state = opt.step(x, np.array([-1.0]), state)  # pushes up: dK = +1, the face nearest to x
            expected = 2.0 * theory.phase_one_factor(0.1, 1.0, decay) ** (t + 1)
            assert float(theory.distance_to_domain("l1", x, 1.0)) == pytest.approx(expected, rel=1e-9)
        assert float(theory.distance_to_domain("l1", x, 1.0)) <= 1e-3
    assert theory.phase_one_steps(0.0, 1e-3, 0.1, 1.0) == 0
    with pytest.raises(ValueError, match="tol"):
        theory.phase_one_steps(1.0, 0.0, 0.1, 1.0)


# -- the toy problem of the paper, cycles and stalls ----------------------------------------------------------------


def toy(x):
    """The toy problem of 2310.05898 (as recalled): ``(x1 - 1.5)^2 + x2^2``, with ``|x|_inf <= 1``."""
    return (x[0] - 1.5) ** 2 + x[1] ** 2, np.array([2 * (x[0] - 1.5), 2 * x[1]])


@pytest.mark.parametrize(("lr", "excess"), [(0.1, 2.8e-3), (0.03, 2.3e-4), (0.01, 2.5e-5), (0.003, 2.3e-6)])
def test_toy_problem_ends_at_the_corner_with_a_cycle_of_the_lr(lr, excess):
    opt = lionk.LionK("l1", lr, weight_decay=1.0)
    x = np.array([3.0, 2.0])
    state = opt.init(x)
    entered = None
    for t in range(round(60 / lr)):
        if entered is None and np.max(np.abs(x)) <= 1:
            entered = t
        x, state = opt.step(x, toy(x)[1], state)
    assert x[0] == pytest.approx(1.0, abs=1e-9)
    assert abs(x[1]) == pytest.approx(lr / (2 - lr), rel=1e-6)
    assert toy(x)[0] - 0.25 == pytest.approx(excess, rel=0.05)
    expected_entry = {0.03: 22, 0.01: 68}.get(lr)
    assert expected_entry is None or entered is None or entered >= expected_entry


@pytest.mark.parametrize(
    ("betas", "start", "period", "width"),
    [((0.0, 0.9), 0.3, 2, 1), ((0.5, 0.5), -0.4, 2, 1), ((0.5, 0.5), -0.38, 4, 2)],
)
def test_limit_cycles_of_the_sign(betas, start, period, width):
    """At an optimum 0 Lion ends in a cycle of width lr/(2 - lr lam); momentum can double it (f = x^2)."""
    lr, lam = 0.1, 1.0
    opt = lionk.LionK("l1", lr, betas, lam)
    x = np.array([start])
    state = opt.init(x)
    path = []
    for _ in range(300):
        x, state = opt.step(x, 2 * x, state)
        path.append(float(x[0]))
    tail = np.array(path[-40:])
    np.testing.assert_allclose(tail[period:], tail[:-period], atol=1e-7)
    assert np.max(np.abs(tail[2:] - tail[:-2])) < 1e-6 or period > 2
    assert np.max(np.abs(tail)) == pytest.approx(width * lr / (2 - lr * lam), rel=0.01)


def test_float32_stalls_before_the_boundary_and_never_overshoots():
    """1 - lam |x| stays within 1.1 eps/(lr lam), from inside; the reference update form never crosses."""
    eps = np.finfo(np.float32).eps
    rng = np.random.default_rng(16)
    for _ in range(8):
        lr, lam = 10 ** rng.uniform(-3.5, -2), rng.uniform(0.3, 3.0)
        opt = lionk.LionK("l1", lr, weight_decay=lam)
        x = np.zeros(1, dtype=np.float32) + np.float32(0.9 / lam)
        state, g = opt.init(x), -np.ones(1, dtype=np.float32)
        for _ in range(3000):
            x, state = opt.step(x, g, state)
            assert lam * float(x[0]) <= 1 + 4 * eps
        if 0.1 * (1 - lr * lam) ** 3000 < eps / (lr * lam):
            assert 1 - lam * float(x[0]) <= 1.1 * eps / (lr * lam)


def test_a_smooth_K_reaches_its_fixed_point_to_rounding():
    K, lam = lionk.K("pseudo_huber", delta=0.05), 1.0
    fun = quadratic(np.eye(2), np.array([1.5, 0.2]))
    opt = lionk.LionK(K, 0.01, weight_decay=lam)
    x = np.zeros(2)
    state = opt.init(x)
    for _ in range(8_000):
        x, state = opt.step(x, fun(x)[1], state)
    assert np.max(np.abs(lam * x - K.subgradient(-fun(x)[1]))) < 1e-14


def test_stationarity_rate_for_bounded_domains():
    """Theory 2.5, end: the average of G at mixed arguments is below the stated bound, for b1 > b2 too."""
    rng = np.random.default_rng(17)
    lam, L = 1.0, 0.25
    for betas in ((0.9, 0.99), (0.99, 0.9), (0.5, 0.5), (1.0, 0.5), (0.0, 0.0)):
        for name in ("l1", "l2", "huber"):
            fun = logistic(rng)
            K = lionk.K(name)
            h, T, x = 0.05, 200, np.zeros(6)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", lionk.LionKWarning)
                opt = lionk.LionK(K, h, betas, lam, "implicit")
            L = 0.25 * 40 * 6  # generous: |A|^2/4n is far smaller
            state, D = opt.init(x), K.conjugate.domain.diameter((6,)) / lam
            f0, g0 = fun(x)
            total = 0.0
            for _ in range(T):
                g = fun(x)[1]
                new, state = opt.step(x, g, state)
                total += float(K.value(-g) + K.conjugate.value(lam * new) + lam * g @ new)
                x = new
            D *= lam
            F0, b1, b2 = f0 + float(K.conjugate.value(0 * x)) / lam, *betas
            bound = F0 / (h * T) + L * h * D**2 / 2
            bound += b1 * D * (np.linalg.norm(g0) / ((1 - b2) * T) + L * h * D / (1 - b2))
            assert total / T <= bound


# -- the flow ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pseudo_huber", "log_cosh", "half_square", "softplus", "asinh", "log_sum_exp"])
@pytest.mark.parametrize("parameters", [theory.FlowParameters(), theory.FlowParameters(2.0, 0.5, 0.7, 1.5)])
def test_the_flow_dissipates_exactly(name, parameters):
    fun, _ = random_quadratic(np.random.default_rng(18), 4)
    K = lionk.K(name)
    x0 = (
        0.5 * K.subgradient(np.zeros(4)) / parameters.weight_decay
        + 0.5 * K.subgradient(np.arange(4.0)) / parameters.weight_decay
    )
    residuals = [
        lionk.flow(fun, x0, K=K, parameters=parameters, time=4.0, steps=steps).residual for steps in (100, 200)
    ]
    assert residuals[1] < 1e-4 and residuals[1] < residuals[0] / 8  # order 4
    run = lionk.flow(fun, x0, K=K, parameters=parameters, time=4.0, steps=200)
    assert all(b <= a + 1e-9 for a, b in zip(run.H, run.H[1:], strict=False))
    assert min(run.D1) > -1e-12 and min(run.D2) > -1e-12


def test_the_flow_in_phase_one_contracts_exponentially():
    fun = quadratic(np.eye(3), np.zeros(3))
    p = theory.FlowParameters(weight_decay=0.7)
    run = lionk.flow(fun, np.full(3, 4.0), K="pseudo_huber", parameters=p, time=3.0, steps=300)
    d0 = float(theory.distance_to_domain("pseudo_huber", run.x[0], 0.7))
    for t, x in zip(run.t, run.x, strict=True):
        assert float(theory.distance_to_domain("pseudo_huber", x, 0.7)) <= d0 * math.exp(-0.7 * t) + 1e-9
    assert math.isinf(run.H[0])


def test_the_discrete_iteration_follows_the_flow_to_first_order():
    fun, _ = random_quadratic(np.random.default_rng(19), 4)
    x0, errors = np.full(4, 0.2), []
    p = theory.FlowParameters(1.0, 1.0, 0.5, 1.0)
    end = lionk.flow(fun, x0, K="pseudo_huber", parameters=p, time=1.0, steps=400).x[-1]
    for h in (0.02, 0.01):
        opt = lionk.LionK("pseudo_huber", h, (1 - p.eps * p.gamma, 1 - h * p.gamma), 1.0)
        q = theory.flow_parameters(opt, h)
        assert tuple(q) == pytest.approx(tuple(p), rel=1e-12)
        x, state = x0, opt.init(x0)
        for _ in range(round(1 / h)):
            x, state = opt.step(x, fun(x)[1], state)
        errors.append(np.linalg.norm(x - end))
    assert errors[1] < 0.6 * errors[0] < 0.02


def test_the_flow_on_every_library(backend):
    fun = quadratic(np.eye(3), np.arange(3.0))
    x0 = backend.put(np.full(3, 0.1), backend.dtypes[0])
    options = {"K": "pseudo_huber", "time": 0.4, "steps": 2}  # Dask computes each number of each stage by itself
    run, host = lionk.flow(fun, x0, **options), lionk.flow(fun, np.full(3, 0.1), **options)
    assert run.H[-1] == pytest.approx(host.H[-1], rel=1e-5)


def test_the_flow_refuses_bad_parameters():
    fun = quadratic(np.eye(2), np.zeros(2))
    for p, message in (
        (theory.FlowParameters(alpha=0.0), "alpha"),
        (theory.FlowParameters(eps=2.0), "eps"),
        (theory.FlowParameters(weight_decay=0.0), "weight_decay"),
    ):
        with pytest.raises(ValueError, match=message):
            lionk.flow(fun, np.zeros(2), K="l1", parameters=p)
    with pytest.raises(ValueError, match="steps"):
        lionk.flow(fun, np.zeros(2), K="l1", steps=0)


def test_watch_of_containers_and_of_sets_without_projection():
    x = {"w": np.array([[2.0, 0.0], [0.0, 0.5]]), "b": np.array([0.5])}
    m, g = {"w": np.eye(2), "b": np.ones(1)}, {"w": -np.eye(2), "b": 100 * np.ones(1)}
    opt = lionk.LionK(lionk.blocks({"w": "nuclear", "b": "l1"}), weight_decay=1.0)
    seen = theory.watch(opt, x, m, g)
    assert seen.phase == "I"
    assert seen.violation == pytest.approx(1.0)
    assert seen.flips == pytest.approx(1 / 5)
    assert theory.watch(lionk.LionK("l1"), x, m, g).phase == "free"
    free = theory.watch(lionk.LionK("l1", weight_decay=0.1), np.zeros(0), np.zeros(0), np.zeros(0))
    assert free == (0.0, 0.0, 0.0, "II")


def test_the_nearest_feasible_point_is_the_projection_in_units_of_x():
    x = {"a": np.asarray([3.0, -1.0]), "b": np.asarray([[-5.0]])}
    z = theory.nearest_feasible("l1", x, 0.5)
    assert z["a"].tolist() == [2.0, -1.0]
    assert z["b"].tolist() == [[-2.0]]
    assert theory.nearest_feasible("l1", x, 0.0) is x
    assert theory.nearest_feasible("max", np.zeros(4), 2.0).tolist() == [0.125] * 4


@pytest.mark.parametrize(("weight_decay", "error"), [(-1.0, ValueError), (math.nan, ValueError), ("1", TypeError)])
@pytest.mark.parametrize(
    "name", ["kkt_gap", "objective", "gap_rounding", "distance_to_domain", "nearest_feasible", "lyapunov"]
)
def test_decays_that_are_none_are_refused_everywhere(name, weight_decay, error):
    x = np.asarray([0.5, -1.0])
    before, after = {
        "objective": ((1.0, x), ()),
        "lyapunov": ((1.0, x, x), (0.1,)),
        "distance_to_domain": ((x,), ()),
        "nearest_feasible": ((x,), ()),
    }.get(name, ((x, x), ()))
    with pytest.raises(error, match="weight_decay must be"):
        getattr(theory, name)("l1", *before, weight_decay, *after)


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        ({}, ValueError, "x holds no array"),
        ([0.5, -1.0], TypeError, "x must be an array"),
        (np.asarray([1, -1]), TypeError, "x has dtype int64"),
    ],
)
def test_what_is_no_point_is_refused_by_name(x, error, says):
    for f in (theory.kkt_gap, theory.gap_rounding):
        with pytest.raises(error, match=says):
            f("l1", x, x, 1.0)


@pytest.mark.parametrize(("h", "b1", "b2", "lam"), [(-0.1, 0.9, 0.99, 1), (0.1, 2, 0.99, 1), (0.1, 0.9, 0.99, -1)])
def test_coefficients_of_no_step(h, b1, b2, lam):
    with pytest.raises(ValueError, match="h > 0, betas in"):
        theory.coefficients(h, b1, b2, lam)


def test_phase_one_of_no_step():
    for lr, lam in ((-0.1, 1.0), (3.0, 1.0), (math.nan, 1.0)):
        with pytest.raises(ValueError, match="lr and weight_decay"):
            theory.phase_one_factor(lr, lam)
    assert theory.phase_one_factor(3.0, 1.0, "implicit") == 0.25
    with pytest.raises(ValueError, match="distance must be finite"):
        theory.phase_one_steps(math.inf, 0.1, 0.1, 1.0)
