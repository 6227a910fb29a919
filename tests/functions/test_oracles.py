"""Answers of others: cvxpy for K, conjugates, projections, oracles and proxes; SciPy and mpmath for scalars."""

from __future__ import annotations

import itertools
import math
import warnings

import cvxpy as cp
import mpmath as mp
import numpy as np
import pytest
import scipy.optimize
import scipy.special

import lionk

K = lionk.K
RNG = np.random.default_rng
S = cp.CLARABEL
N = 5
M = (3, 4)
P = np.diag([1.0, 2.0, 3.0, 0.5, 4.0]) + 0.2
W = (2.0, 1.5, 1.0, 0.5, 0.25)


def _rows(x, order):
    return sum(cp.norm(x[i, :], order) for i in range(M[0]))


def _columns(x, order):
    return sum(cp.norm(x[:, i], order) for i in range(M[1]))


_V = np.random.default_rng(7).standard_normal((7, N))
_PAIRS = [list(i) for i in itertools.combinations(range(N), 2)]
_PERMUTATIONS = [np.eye(3)[list(p)] for p in itertools.permutations(range(3))]


def _hull_of_pairs(y):
    """The k-support ball for k = 2: sums of vectors on pairs of entries, of total length at most 1."""
    z = [cp.Variable(N) for _ in _PAIRS]
    off = [[i for i in range(N) if i not in pair] for pair in _PAIRS]
    return [y == sum(z), sum(map(cp.norm2, z)) <= 1, *(v[o] == 0 for v, o in zip(z, off, strict=True))]


def _hull_of_points(y):
    w = cp.Variable(len(_V), nonneg=True)
    return [y == _V.T @ w, cp.sum(w) == 1]


def _hull_of_balls(y):
    u, w = cp.Variable(N), cp.Variable()
    return [cp.norm_inf(u) <= 0.6 * w, cp.norm2(y - u) <= 1 - w, w >= 0, w <= 1]


_VECTOR = [
    # K, its value as cvxpy writes it, dom K* as constraints on y (None: everything)
    (K("l1"), cp.norm1, lambda y: [cp.norm_inf(y) <= 1]),
    (K("weighted_l1", weights=W), lambda x: cp.norm1(cp.multiply(W, x)), lambda y: [cp.abs(y) <= np.asarray(W)]),
    (K("box", lower=-0.5, upper=2.0), lambda x: cp.sum(cp.maximum(-0.5 * x, 2 * x)), lambda y: [y >= -0.5, y <= 2]),
    (K("relu"), lambda x: cp.sum(cp.pos(x)), lambda y: [y >= 0, y <= 1]),
    (K("l2"), cp.norm2, lambda y: [cp.norm2(y) <= 1]),
    (K("lp", p=1.5), lambda x: cp.pnorm(x, 1.5), lambda y: [cp.pnorm(y, 3) <= 1]),
    (K("lp", p=4), lambda x: cp.pnorm(x, 4), lambda y: [cp.pnorm(y, 4 / 3) <= 1]),
    (K("linf"), cp.norm_inf, lambda y: [cp.norm1(y) <= 1]),
    (K("top_k", k=2), lambda x: cp.sum_largest(cp.abs(x), 2), lambda y: [cp.norm_inf(y) <= 1, cp.norm1(y) <= 2]),
    (K("capped_simplex", k=2), lambda x: cp.sum_largest(x, 2), lambda y: [y >= 0, y <= 1, cp.sum(y) == 2]),
    (K("max"), cp.max, lambda y: [y >= 0, cp.sum(y) == 1]),
    (K("l1_plus_l2", alpha=0.3), lambda x: 0.3 * cp.norm1(x) + 0.7 * cp.norm2(x), None),
    (K("huber", delta=0.5), lambda x: cp.sum(cp.huber(x, 0.5)), lambda y: [cp.norm_inf(y) <= 1]),
    (K("dead_zone"), lambda x: cp.sum(cp.pos(cp.abs(x) - 1)), lambda y: [cp.norm_inf(y) <= 1]),
    (K("soft_threshold"), lambda x: cp.sum_squares(cp.pos(cp.abs(x) - 1)) / 2, None),
    (K("elastic", mu=0.5), lambda x: cp.norm1(x) + cp.sum_squares(x) / 4, None),
    (K("half_l1_squared"), lambda x: cp.square(cp.norm1(x)) / 2, None),
    (K("half_linf_squared"), lambda x: cp.square(cp.norm_inf(x)) / 2, None),
    (K("quadratic", matrix=P), lambda x: cp.quad_form(x, P) / 2, None),
    (K("power", p=3), lambda x: cp.sum(cp.power(cp.abs(x), 3)) / 3, None),
    (K("log_sum_exp"), cp.log_sum_exp, lambda y: [y >= 0, cp.sum(y) == 1]),
    (K("softplus"), lambda x: cp.sum(cp.logistic(x)), lambda y: [y >= 0, y <= 1]),
    (K("exp"), lambda x: cp.sum(cp.exp(x)), None),
    (K("soft_ball", mu=0.5), lambda x: cp.norm2(x) + cp.sum_squares(x) / 4, None),
    (2 * K("l1").tilt(0.25), lambda x: 2 * cp.norm1(x) + 0.5 * cp.sum(x), lambda y: [cp.norm_inf(y - 0.5) <= 2]),
    (K("top_k_l2", k=2), lambda x: cp.maximum(*(cp.norm2(x[i]) for i in _PAIRS)), _hull_of_pairs),
    (K("k_support", k=2), None, lambda y: [cp.norm2(y[i]) <= 1 for i in _PAIRS]),
    (K("smooth_linf"), lambda x: cp.log_sum_exp(cp.hstack([x, -x])), lambda y: [cp.norm1(y) <= 1]),
    (K("polytope", vertices=_V), lambda x: cp.max(_V @ x), _hull_of_points),
    (K("max_l1_l2", alpha=0.6), lambda x: cp.maximum(0.6 * cp.norm1(x), cp.norm2(x)), _hull_of_balls),
    (
        K("group_l1_l2", groups=(0, 1, 0, 2, 1)),
        lambda x: cp.norm2(x[[0, 2]]) + cp.norm2(x[[1, 4]]) + cp.abs(x[3]),
        lambda y: [cp.norm2(y[[0, 2]]) <= 1, cp.norm2(y[[1, 4]]) <= 1, cp.abs(y[3]) <= 1],
    ),
    (K("l1") + 0.5 * K("linf"), lambda x: cp.norm1(x) + 0.5 * cp.norm_inf(x), None),
]

_MATRIX = [
    (K("nuclear"), cp.normNuc, lambda y: [cp.sigma_max(y) <= 1]),
    (K("spectral"), cp.sigma_max, lambda y: [cp.normNuc(y) <= 1]),
    (K("ky_fan", k=2), None, lambda y: [cp.sigma_max(y) <= 1, cp.normNuc(y) <= 2]),
    (K("frobenius"), lambda x: cp.norm(x, "fro"), lambda y: [cp.norm(y, "fro") <= 1]),
    (K("row_l1_l2"), lambda x: _rows(x, 2), lambda y: [cp.norm(y[i, :]) <= 1 for i in range(M[0])]),
    (K("col_l1_l2"), lambda x: _columns(x, 2), lambda y: [cp.norm(y[:, i]) <= 1 for i in range(M[1])]),
    (K("row_l1_linf"), lambda x: _rows(x, "inf"), lambda y: [cp.norm1(y[i, :]) <= 1 for i in range(M[0])]),
    (K("nuclear_frobenius", alpha=0.3), lambda x: 0.3 * cp.normNuc(x) + 0.7 * cp.norm(x, "fro"), None),
    (K("half_nuclear_squared"), lambda x: cp.square(cp.normNuc(x)) / 2, None),
    (K("group_linf_l2"), lambda x: cp.max(cp.norm(x, 2, axis=1)), None),
    (0.5 * K("nuclear") + 0.5 * K("l1"), lambda x: 0.5 * cp.normNuc(x) + 0.5 * cp.sum(cp.abs(x)), None),
]  # fmt: skip

_SQUARE = [
    (
        K("birkhoff"),
        lambda x: cp.maximum(*(cp.sum(cp.multiply(p, x)) for p in _PERMUTATIONS)),
        lambda y: [y >= 0, cp.sum(y, axis=0) == 1, cp.sum(y, axis=1) == 1],
    ),
]

_ROWS = [(*row, shape) for rows, shape in ((_VECTOR, (N,)), (_MATRIX, M), (_SQUARE, (3, 3))) for row in rows]


def _solve(problem: cp.Problem) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cvxpy, about itself
        problem.solve(solver=S)
    assert problem.status in ("optimal", "optimal_inaccurate"), problem.status
    return float(problem.value)


rows = pytest.mark.parametrize("row", _ROWS, ids=lambda r: f"{r[0].spec['name']}{r[3]}")


@rows
def test_value_and_conjugate(row) -> None:
    """K is cvxpy's function, and K* at random points of its domain is the supremum that defines it."""
    k, f, _constraints, shape = row
    rng = RNG(0)
    x = rng.standard_normal(shape)
    if f is not None:
        assert k.value(x) == pytest.approx(float(f(cp.Constant(x)).value), rel=1e-9)
        y = 0.9 * k.subgradient(x) + 0.1 * k.subgradient(rng.standard_normal(shape))
        z = cp.Variable(shape)
        best = _solve(cp.Problem(cp.Maximize(cp.sum(cp.multiply(y, z)) - f(z)), [cp.abs(z) <= 50]))
        assert k.conjugate.value(y) == pytest.approx(best, abs=2e-5)


@rows
def test_prox(row) -> None:
    k, f, _constraints, shape = row
    if f is None or not k.traits.prox:
        return
    x = 2 * RNG(1).standard_normal(shape)
    z = cp.Variable(shape)
    _solve(cp.Problem(cp.Minimize(f(z) + cp.sum_squares(z - x) / 1.4)))
    np.testing.assert_allclose(k.prox(x, 0.7), z.value, atol=2e-4)


@rows
def test_projection_distance_and_oracle(row) -> None:
    k, _f, constraints, shape = row
    if constraints is None:
        return
    c = k.conjugate.domain
    for size in (0.3, 2.0):
        y = size * RNG(2).standard_normal(shape)
        z = cp.Variable(shape)
        distance = math.sqrt(max(_solve(cp.Problem(cp.Minimize(cp.sum_squares(z - y)), constraints(z))), 0))
        np.testing.assert_allclose(c.project(y), z.value, atol=2e-4)
        assert float(c.distance(y)) == pytest.approx(distance, abs=2e-4)
        best = _solve(cp.Problem(cp.Maximize(cp.sum(cp.multiply(y, z))), constraints(z)))
        assert float(c.support(y)) == pytest.approx(best, rel=1e-5)
        assert float(np.vdot(y, c.lmo(y))) == pytest.approx(best, rel=1e-5)


def test_ky_fan_is_a_semidefinite_programme() -> None:
    x = RNG(3).standard_normal(M)
    s = np.linalg.svd(x, compute_uv=False)
    assert K("ky_fan", k=2).value(x) == pytest.approx(s[:2].sum(), rel=1e-13)
    y = cp.Variable(M)
    best = _solve(cp.Problem(cp.Maximize(cp.sum(cp.multiply(x, y))), [cp.sigma_max(y) <= 1, cp.normNuc(y) <= 2]))
    assert best == pytest.approx(s[:2].sum(), rel=1e-6)


def test_sum_of_balls_is_their_minkowski_sum() -> None:
    """Distances to 1/2 (spectral ball) + 1/2 (box), where lionk iterates, and to two sums of curved sets."""
    for k, split in (
        (0.5 * K("nuclear") + 0.5 * K("l1"), lambda u, v: [cp.sigma_max(u) <= 0.5, cp.abs(v) <= 0.5]),
        (
            K("row_l1_l2") + 0.5 * K("col_l1_l2"),
            lambda u, v: [cp.norm(u, 2, axis=1) <= 1, cp.norm(v, 2, axis=0) <= 0.5],
        ),
    ):
        u, v = cp.Variable(M), cp.Variable(M)
        for size in (0.5, 1.0, 3.0):
            y = size * RNG(4).standard_normal(M)
            d = math.sqrt(max(_solve(cp.Problem(cp.Minimize(cp.sum_squares(y - u - v)), split(u, v))), 0.0))
            assert float(k.conjugate.domain.distance(y)) == pytest.approx(d, abs=1e-4)
            assert float(k.conjugate.value(y)) == (math.inf if d > 1e-3 else 0.0)


@pytest.mark.parametrize("p", [1.05, 1.5, 3.0, 20.0])
def test_projection_on_lq_balls_solves_its_optimality_conditions(p: float) -> None:
    """y - P(y) is a multiple of the gradient of the q-norm at P(y), and |P(y)|_q = 1."""
    q = p / (p - 1)
    c = K("lp", p=p).conjugate.domain
    for size in (0.5, 1.0, 5.0, 1e3, 1e8):
        y = size * RNG(5).standard_normal(6)
        z = np.asarray(c.project(y))
        assert np.linalg.norm(z, q) == pytest.approx(min(1.0, np.linalg.norm(y, q)), rel=1e-12)
        normal = np.sign(z) * np.abs(z) ** (q - 1)
        out = y - z
        off = out - normal * (out @ normal) / (normal @ normal)
        assert np.linalg.norm(off) <= 1e-11 * np.linalg.norm(y)


# -- scalar functions against arbitrary precision ------------------------------------------------------------------

_mp = mp.mpf
_SCALARS = {
    # value, derivative, value of the conjugate
    "log_cosh": (
        lambda x: mp.log(mp.cosh(x)),
        mp.tanh,
        lambda y: ((1 + y) * mp.log1p(y) + ((1 - y) * mp.log1p(-y) if y != 1 else 0)) / 2,
    ),
    "pseudo_huber": (
        lambda x: mp.sqrt(1 + x * x) - 1,
        lambda x: x / mp.sqrt(1 + x * x),
        lambda y: 1 - mp.sqrt(1 - y * y),
    ),
    "softsign": (
        lambda x: abs(x) - mp.log1p(abs(x)),
        lambda x: x / (1 + abs(x)),
        lambda y: -abs(y) - mp.log1p(-abs(y)),
    ),
    "arctan": (
        lambda x: 2 / mp.pi * (x * mp.atan(x) - mp.log1p(x * x) / 2),
        lambda x: 2 / mp.pi * mp.atan(x),
        lambda y: -2 / mp.pi * mp.log(mp.cos(mp.pi * y / 2)),
    ),
    "asinh": (lambda x: x * mp.asinh(x) - mp.sqrt(x * x + 1) + 1, mp.asinh, lambda y: mp.cosh(y) - 1),
    "cosh": (lambda x: mp.cosh(x) - 1, mp.sinh, lambda y: y * mp.asinh(y) - mp.sqrt(y * y + 1) + 1),
    "exp": (mp.exp, mp.exp, lambda y: y * mp.log(y) - y),
    "softplus": (
        lambda x: mp.log1p(mp.exp(x)),
        lambda x: 1 / (1 + mp.exp(-x)),
        lambda y: y * mp.log(y) + (1 - y) * mp.log1p(-y),
    ),
    "huber": (lambda x: x * x / 2 if abs(x) <= 1 else abs(x) - _mp(0.5),
              lambda x: min(max(x, -1), 1), lambda y: y * y / 2),
    "power": (lambda x: abs(x) ** _mp(1.5) / _mp(1.5),
              lambda x: mp.sign(x) * mp.sqrt(abs(x)), lambda y: abs(y) ** 3 / 3),
}  # fmt: skip
_X = [1e-30, 1e-9, 1e-4, 0.01, 0.1, 0.24, 0.26, 0.49, 0.51, 0.75, 0.99, 1.0, 1.01, 1.5, 3.0, 20.0, 1e3, 1e8, 1e30]
_Y = [1e-30, 1e-9, 1e-4, 0.01, 0.1, 0.24, 0.26, 0.49, 0.51, 0.75, 0.9, 0.99, 0.999999]


@pytest.mark.parametrize("name", _SCALARS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_relative_accuracy_of_scalar_functions(name: str, dtype: str) -> None:
    """Value, derivative and conjugate within 16 ulp, at small, medium and large arguments."""
    k = K(name)
    value, derivative, dual = _SCALARS[name]
    eps = float(np.finfo(dtype).eps)
    largest = float(np.finfo(dtype).max)
    even = k.traits.even
    with mp.workdps(80):
        for f, g, points in (
            (value, k.value, _X if even else [*_X, *(-x for x in _X)]),
            (derivative, k.subgradient, _X if even else [*_X, *(-x for x in _X)]),
            (dual, k.conjugate.value, _Y),
        ):
            for point in points:
                x = np.asarray([point], dtype=dtype)
                want = f(_mp(float(x[0])))
                if abs(want) > 0.1 * largest or abs(want) < float(np.finfo(dtype).tiny) or not math.isfinite(want):
                    continue
                if f is dual and name == "exp" and abs(want) < 0.1:
                    continue
                with np.errstate(under="ignore"):
                    got = float(np.asarray(g(x)).reshape(-1)[0])
                error = abs((_mp(got) - want) / want)
                assert error <= 16 * eps, (
                    f"{g.__name__} at {x}: {got!r}, wanted {mp.nstr(want, 20)}, {float(error / eps):.3g} ulp"
                )


def test_scalar_functions_of_scipy() -> None:
    x = np.linspace(-5, 5, 41)
    y = np.linspace(0.01, 0.99, 25)
    assert K("huber", delta=0.7)(x) == pytest.approx(scipy.special.huber(0.7, x).sum() / 0.7)
    assert K("pseudo_huber", delta=0.7)(x) == pytest.approx(scipy.special.pseudo_huber(0.7, x).sum() / 0.7)
    np.testing.assert_allclose(K("softplus").subgradient(x), scipy.special.expit(x), rtol=1e-15)
    assert K("softplus")(x) == pytest.approx(scipy.special.log1p(np.exp(x)).sum(), rel=1e-14)
    assert K("log_sum_exp")(x) == pytest.approx(scipy.special.logsumexp(x), rel=1e-15)
    np.testing.assert_allclose(K("log_sum_exp").subgradient(x), scipy.special.softmax(x), rtol=1e-14)
    assert K("exp").conjugate(y) == pytest.approx((-scipy.special.entr(y) - y).sum())
    np.testing.assert_allclose(K("softplus").conjugate.subgradient(y), scipy.special.logit(y), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "name", ["log_cosh", "pseudo_huber", "softsign", "arctan", "asinh", "cosh", "exp", "softplus", "power"]
)
def test_scalar_prox_is_the_root_that_scipy_finds(name: str) -> None:
    k = K(name)
    for x in (-20.0, -1.0, 0.0, 0.3, 2.0, 30.0):
        for t in (0.1, 1.0, 10.0):

            def slope(z: float, x: float = x, t: float = t) -> float:
                return z - x + t * float(k.subgradient(np.asarray([z]))[0])

            root = scipy.optimize.brentq(slope, -60, 60, xtol=1e-13)
            assert float(k.prox(np.asarray([x]), t)[0]) == pytest.approx(root, abs=1e-9)


@pytest.mark.parametrize("name", ["owl", "permutahedron"])
def test_projection_on_large_balls_of_ranks_is_an_isotonic_regression(name: str) -> None:
    """With 50,000 entries, of which a table of all means would take 20 GB, and ties among entries and weights."""
    rng = np.random.default_rng(0)
    z = np.sort(np.abs(np.round(rng.normal(size=50_000), 3)))[::-1]
    w = np.round(np.linspace(1, 0, z.size) ** 2, 4)
    fit = scipy.optimize.isotonic_regression(z - w, increasing=False).x
    near = z - (np.clip(fit, 0, None) if name == "owl" else fit)
    place = rng.permutation(z.size)
    y = np.empty_like(z)
    y[place] = z
    got = lionk.K(name, weights=w).conjugate.domain.project(y)[place]
    np.testing.assert_allclose(got, near, rtol=0, atol=1e-12)
