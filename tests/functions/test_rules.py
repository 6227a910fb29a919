"""The calculus: what each rule means in terms of its parts, specs and pickles, and what is refused."""

from __future__ import annotations

import collections
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest

import lionk
from helpers import On, norm
from lionk.functions import group_lift, indicator, infimal_convolution, radial_lift, spectral_lift, support
from lionk.functions.registry.text import parse
from lionk.sets import Affine, Ball, Box, Minkowski, Spectral, TopK
from table import SPECIFIED, Case

K = lionk.K
RNG = np.random.default_rng
cases = pytest.mark.parametrize("case", SPECIFIED, ids=lambda c: c.id)


def _arrays(spec: Any) -> bool:
    if isinstance(spec, dict):
        return any(map(_arrays, spec.values()))
    return any(map(_arrays, spec)) if isinstance(spec, (list, tuple)) else hasattr(spec, "shape")


@cases
def test_spec_and_pickle_give_the_function_back(case: Case) -> None:
    for k in (case.K, case.K.conjugate):
        arrays = _arrays(k.spec)
        assert arrays or K(json.loads(json.dumps(k.spec))) == k
        if not case.heavy:
            x = On(k, shape=case.shape, backend=On.case(case).backend).points(RNG(0), 1)[0]
            s = k.subgradient(x)
        for other in (K(k.spec), pickle.loads(pickle.dumps(k)), k.conjugate.conjugate):
            assert other.spec.keys() == k.spec.keys()
            assert other.traits == k.traits
            assert other.conjugate.conjugate is other
            if arrays:
                assert other is k or other != k  # by identity
            else:
                assert other == k
                assert hash(other) == hash(k)
            if not case.heavy and other is not k:
                np.testing.assert_allclose(other.subgradient(x), s, atol=1e-12)


# -- each rule against its definition ------------------------------------------------------------------------------

X = RNG(1).standard_normal(6)
C = RNG(2).standard_normal(6)


@pytest.mark.parametrize("name", ["l1", "huber", "log_cosh", "top_k", "max", "relu", "lp", "log_sum_exp"])
def test_affine_rules_are_their_formulas(name: str) -> None:
    k = K(name)
    dual = k.conjugate
    y = k.subgradient(C)
    for made, value, point, conjugate in (
        (2.5 * k, 2.5 * k(X), 2.5 * y, 2.5 * dual(y)),
        (k * 2.5, 2.5 * k(X), 2.5 * y, 2.5 * dual(y)),
        (k.dilate(-2.0), k(-2 * X), -2 * y, dual(y)),
        (k.tilt(C), k(X) + C @ X, y + C, dual(y)),
        (k.tilt(0.5), k(X) + 0.5 * X.sum(), y + 0.5, dual(y)),
        (k.shift(C), k(X + C), y, dual(y) - C @ y),
        (k.shift(C).tilt(X), k(X + C) + X @ X, y + X, dual(y) - C @ y),
        (k.tilt(C).scale(2.0).dilate(3.0), 2 * (k(3 * X) + 3 * C @ X), 6 * (y + C), 2 * dual(y)),
    ):
        assert made(X) == pytest.approx(value, rel=1e-13)
        assert made.conjugate(point) == pytest.approx(conjugate, rel=1e-11, abs=1e-12)
        assert made.conjugate.conjugate is made


def test_moreau_and_ridge_are_their_minima() -> None:
    for name in ("l1", "linf", "log_cosh", "relu", "l2"):
        k = K(name)
        p = k.prox(X, 0.7)
        assert k.moreau(0.7)(X) == pytest.approx(k(p) + norm(X - p) ** 2 / 1.4, rel=1e-12)
        assert k.ridge(0.7)(X) == pytest.approx(k(X) + 0.35 * norm(X) ** 2, rel=1e-13)
        for _ in range(20):
            z = p + 0.1 * RNG(_).standard_normal(6)
            assert k.moreau(0.7)(X) <= k(z) + norm(X - z) ** 2 / 1.4 + 1e-12


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (lambda: K("huber", delta=0.5), lambda: K("l1").moreau(0.5)),
        (lambda: K("clip", bound=2.0), lambda: (2 * K("l1")).moreau(1.0)),
        (lambda: K("clip", bound=2.0), lambda: 2.0 * K("huber", delta=2.0)),
        (lambda: K("soft_threshold", threshold=0.5), lambda: (0.5 * K("l1")).ridge(1.0).conjugate),
        (lambda: K("cosh"), lambda: K("asinh").conjugate),
        (lambda: K("linf"), lambda: K("top_k", k=1)),
        (lambda: K("top_k", k=6), lambda: K("l1")),
        (lambda: K("lp", p=2), lambda: K("l2")),
        (lambda: K("huber_l2", delta=0.5), lambda: radial_lift(K("huber", delta=0.5))),
        (lambda: K("group_huber", axis=None), lambda: K("huber_l2")),
        (lambda: K("moreau_linf", mu=0.5), lambda: K("linf").moreau(0.5)),
        (lambda: K("l1").ridge(1.0), lambda: K("l1") + K("half_square")),
        (lambda: K("half_square") + K("half_square"), lambda: 2 * K("half_square")),
        (lambda: infimal_convolution(K("half_square"), K("half_square")), lambda: 0.5 * K("half_square")),
        (lambda: K("quadratic", matrix=np.eye(6) * 2), lambda: 2 * K("half_square")),
        (lambda: K("box", lower=-1.0, upper=1.0), lambda: K("l1")),
        (lambda: K("relu").tilt(-0.5), lambda: 0.5 * K("l1")),
        (lambda: group_lift("l1", "linf", axis=None), lambda: K("linf")),
        (lambda: K("log_cosh").dilate(0.5).scale(2.0), lambda: K("log_cosh", delta=2.0)),
        (lambda: K("softplus").tilt(-0.5).shift(0.0), lambda: K("log_cosh", delta=2.0).scale(0.5)),
    ],
)  # fmt: skip
def test_two_ways_to_the_same_function(one, two) -> None:
    a, b = one(), two()
    constant = a(np.zeros(6)) - b(np.zeros(6))
    for size in (0.1, 1.0, 4.0):
        x = size * X
        assert a(x) - b(x) == pytest.approx(constant, rel=1e-10, abs=1e-12)
        np.testing.assert_allclose(a.subgradient(x), b.subgradient(x), atol=1e-12)
        np.testing.assert_allclose(a.prox(x, 0.5), b.prox(x, 0.5), atol=1e-11)
        y = b.subgradient(x)
        assert a.conjugate(y) + constant == pytest.approx(b.conjugate(y), rel=1e-10, abs=1e-11)


M = RNG(3).standard_normal((4, 3))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (lambda: K("frobenius"), lambda: K("l2")),
        (lambda: K("spectral_elastic", mu=0.5), lambda: K("nuclear").ridge(0.5)),
        (lambda: K("schatten_power", p=2), lambda: K("half_square")),
        (lambda: K("ky_fan", k=3), lambda: K("nuclear")),
        (lambda: K("ky_fan", k=1), lambda: K("spectral")),
        (lambda: spectral_lift(K("huber_l2")), lambda: K("huber_l2")),
        (lambda: K("row_l1_l2"), lambda: K("group_l1_l2")),
        (lambda: K("col_l1_l2"), lambda: K("group_l1_l2", axis=0)),
        (lambda: K("row_l1_l2"), lambda: group_lift("l1", "l2", -1)),
        (lambda: K("nuclear_frobenius", alpha=1), lambda: K("nuclear")),
        (lambda: group_lift("l1", "nuclear", axis=None), lambda: K("nuclear")),
        (lambda: 3 * K("nuclear"), lambda: spectral_lift(3 * K("l1"))),
    ],
)  # fmt: skip
def test_two_ways_to_the_same_matrix_function(one, two) -> None:
    a, b = one(), two()
    assert a(M) == pytest.approx(b(M), rel=1e-12)
    np.testing.assert_allclose(a.subgradient(M), b.subgradient(M), atol=1e-12)
    np.testing.assert_allclose(a.prox(M, 0.4), b.prox(M, 0.4), atol=1e-11)
    np.testing.assert_allclose(a.conjugate.domain.project(M), b.conjugate.domain.project(M), atol=1e-11)


@pytest.mark.parametrize("pair", [("l1", "huber_l2"), ("linf", "l1"), ("log_sum_exp", "owl"), ("nuclear", "softsign")])
def test_the_prox_of_a_sum_that_is_no_composition(pair) -> None:
    """By splitting: l1 + huber_l2, say, where the domain of huber_l2* is a ball, but huber_l2 is no multiple of l2."""
    k = K(pair[0]) + K(pair[1])
    for t in (0.1, 1.0, 10.0):
        p = k.prox(M, t)
        gap = k.fenchel_young(p, (M - p) / t, tol=1e-9)
        assert abs(gap) <= 1e-10 * (1 + k.value(p) + abs(M - p).sum() / t)
        np.testing.assert_allclose(p + t * k.conjugate.prox(M / t, 1 / t), M, atol=1e-11)


# -- containers ----------------------------------------------------------------------------------------------------

Pair = collections.namedtuple("Pair", "w b")


@pytest.mark.parametrize("make", [lambda w, b: {"w": w, "b": b}, lambda w, b: [w, b], lambda w, b: (w, b), Pair])
def test_blocks_are_sums(make) -> None:
    k = lionk.blocks(make("nuclear", {"name": "huber", "delta": 0.5}))
    x = make(M, X)
    parts = [(K("nuclear"), M), (K("huber", delta=0.5), X)]
    assert k(x) == pytest.approx(sum(f(a) for f, a in parts))
    s = k.subgradient(x)
    assert type(s) is type(x)
    assert k.fenchel_young(x, s) == pytest.approx(0, abs=1e-12)
    assert k.conjugate(s) == pytest.approx(sum(f.conjugate(f.subgradient(a)) for f, a in parts))
    assert k.conjugate.conjugate is k
    for got, (f, a) in zip(lionk.arrays.containers.leaves(k.prox(x, 0.3)), parts, strict=True):
        np.testing.assert_array_equal(got, f.prox(a, 0.3))
    c = k.conjugate.domain
    assert bool(c.contains(c.project(x)))
    assert c.distance(x) == pytest.approx(np.hypot(*(f.conjugate.domain.distance(a) for f, a in parts)))
    assert c.support(x) == pytest.approx(K("nuclear")(M) + K("l1")(X))
    assert K(k.spec) == k
    assert (2 * k)(x) == pytest.approx(2 * k(x))
    assert k.subdifferential_distance(x, s) == pytest.approx(0, abs=1e-12)


def test_blocks_of_array_parameters_move() -> None:
    import torch

    k = lionk.blocks([K("weighted_l1", weights=np.ones(3)), K("l1")])
    x = [torch.ones(3), torch.ones(2)]
    with pytest.raises(TypeError, match=r"K\.to"):
        k.value(x)
    assert float(k.to(like=x[0]).value(x)) == 5.0


def test_blocks_name_the_place_of_a_mistake() -> None:
    with pytest.raises(ValueError, match="differ at the top"):
        lionk.blocks({"w": "l1"}).value({"v": X})
    with pytest.raises(ValueError, match="empty"):
        lionk.blocks({})


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: K("l1", p=2), TypeError, "it takes: none"),
        (lambda: K("hubber"), KeyError, "did you mean 'huber'"),
        (lambda: K("L1"), KeyError, "did you mean 'l1'"),
        (lambda: K("moreau"), KeyError, "'moreau_"),
        (lambda: K(3), TypeError, "must be a name"),
        (lambda: K({"a": "l1"}), TypeError, "lionk.blocks"),
        (lambda: K("huber", delta=0), ValueError, "delta"),
        (lambda: K("huber", delta=True), ValueError, "delta"),
        (lambda: K("log_cosh", delta=-1.0), ValueError, "delta"),
        (lambda: K("power", p=1), ValueError, "p = 1 is l1"),
        (lambda: K("lp", p=0.5), ValueError, "p >= 1"),
        (lambda: K("top_k", k=1.5), ValueError, "whole number"),
        (lambda: K("l1_plus_l2", alpha=1.5), ValueError, "alpha"),
        (lambda: K("box", lower=1.0, upper=0.0), ValueError, "lower <= upper"),
        (lambda: K("box", upper=np.inf), ValueError, "finite"),
        (lambda: K("weighted_l1", weights=(-1.0, 1.0)), ValueError, "weights"),
        (lambda: K("weighted_l1", weights=np.asarray([1.0, -1.0])), ValueError, "weights must be >= 0"),
        (lambda: K("weighted_l1", weights=[1.0, np.inf]), ValueError, "weights must be finite"),
        (lambda: K("owl", weights=[np.nan, 1.0]), ValueError, "weights must be finite"),
        (lambda: K("owl", weights=np.asarray([1.0, 2.0])), ValueError, "must not increase"),
        (lambda: K("permutahedron", weights=[1.0, 2.0]), ValueError, "must not increase"),
        (lambda: K("spectral_owl", weights=np.asarray([[2.0, 1.0]])), TypeError, "one for each entry"),
        (lambda: K("box", lower=[1.0, 0.0], upper=[0.0, 1.0]), ValueError, "lower <= upper"),
        (lambda: K("box", lower=np.asarray([1.0, 0.0]), upper=0.5), ValueError, "lower <= upper"),
        (lambda: K("box", lower=[0.0, 0.0], upper=[1.0]), ValueError, "one entry each"),
        (lambda: K("box", lower=[-np.inf, 0.0]), ValueError, "lower must be finite"),
        (lambda: K("quadratic", matrix=np.ones((2, 3))), ValueError, "square"),
        (lambda: K("quadratic", matrix=np.asarray([[1.0, 2.0], [0.0, 1.0]])), ValueError, "symmetric"),
        (lambda: K("quadratic", matrix=-np.eye(2)), ValueError, "positive definite"),
        (lambda: K("l1").scale(0), ValueError, "a > 0"),
        (lambda: -2 * K("l1"), ValueError, "not convex"),
        (lambda: K("l1").dilate(0), ValueError, "a != 0"),
        (lambda: K("l1").moreau(0), ValueError, "mu"),
        (lambda: K("l1") + 1, TypeError, "unsupported"),
        (lambda: K("l1") * np.ones(2), TypeError, "does not support ufuncs|unsupported operand"),
        (lambda: spectral_lift(K("max")), ValueError, "absolute|x_i"),
        (lambda: spectral_lift(K("weighted_l1", weights=(1.0, 2.0))), ValueError, "order"),
        (lambda: group_lift("relu"), ValueError, "x_i"),
        (lambda: group_lift("l1", "huber"), ValueError, "norm"),
        (lambda: group_lift("l1", "l2", axis=0.5), ValueError, "axis"),
        (lambda: K("l1").to(like=[1.0]), TypeError, "array"),
    ],
)  # fmt: skip
def test_refusals_say_what_to_do(make, error, says: str) -> None:
    with pytest.raises(error, match=says):
        make()


def test_words_of_a_command_line() -> None:
    assert parse("box:lower=-inf,upper=[inf,1]") == ("box", {"lower": -np.inf, "upper": [np.inf, 1]})
    assert parse(" huber : delta = .5") == ("huber", {"delta": 0.5})
    with pytest.raises(ValueError, match="p is given twice"):
        parse("lp:p=1.5,p=2")


def test_numbers_of_libraries_are_numbers_in_specs() -> None:
    assert type(K("huber", delta=np.float64(0.5)).spec["delta"]) is float
    assert K("lp", p=1e16) == K("linf")
    assert type(K("top_k", k=np.int64(2)).spec["k"]) is int


def test_linear_maps_move_with_their_matrices() -> None:
    import torch

    k = K("whitened_nuclear", left=np.diag([1.0, 2.0]), right=np.diag([1.0, 3.0])).scale({"rows": 0.5})
    x = np.asarray([[1.0, 2.0], [0.0, -1.0]])
    there = k.to(like=torch.zeros(1, dtype=torch.float64))
    np.testing.assert_allclose(there.subgradient(torch.asarray(x)).numpy(), k.subgradient(x), rtol=1e-12)


def test_a_set_of_the_user_has_no_spec_but_works() -> None:
    k = support(Affine(Box(), 2.0, 0.5))
    assert k(X) == pytest.approx(2 * np.abs(X).sum() + 0.5 * X.sum())
    with pytest.raises(lionk.NotAvailable, match=r"lionk\.register"):
        k.spec  # noqa: B018
    assert pickle.loads(pickle.dumps(indicator(Ball(3.0)))) == indicator(Ball(3.0))  # the domain of K("lp", p=1.5)*


@pytest.mark.parametrize(
    ("c", "even", "absolute", "structure"),
    [
        (Affine(Box(), -2.0), True, True, "elementwise"),
        (Affine(Box(0.0, 1.0), -2.0), False, False, "elementwise"),
        (Affine(TopK(2), 2.0, 0.5), False, False, "order"),
        (Minkowski(Box(), TopK(2)), True, True, "order"),
        (Spectral(Box()), True, False, "matrix"),
    ],
)
def test_traits_of_sets_made_of_sets(c, even: bool, absolute: bool, structure: str) -> None:
    for k in (support(c), indicator(c)):
        assert (k.traits.even, k.traits.absolute, k.traits.structure) == (even, absolute, structure)


@pytest.mark.parametrize("k", [support(Affine(Box(), 2.0, 0.5)), K("l1") + K("l2")])
def test_a_registered_function_is_a_name(k) -> None:
    from lionk.functions.registry import entries as registry

    lionk.register("mine", k, kind="vector")
    try:
        assert K("mine")(X) == k(X)
        assert pickle.loads(pickle.dumps(K("mine"))) == K("mine")
        assert "mine" in lionk.names()
        with pytest.raises(ValueError, match="replace=True"):
            lionk.register("mine", k)
    finally:
        del registry._ENTRIES["mine"]
    with pytest.raises(ValueError, match="identifier"):
        lionk.register("not a name", k)


def test_smoothing_is_the_mean_over_the_noise() -> None:
    """Uniform noise on l1 is Huber, Gaussian noise on l1 the error function; max and l2 agree with a large sample."""
    x = np.linspace(-2, 2, 9)
    uniform = lionk.functions.smoothed(K("l1"), 0.7)
    assert uniform(x) == pytest.approx(K("huber", delta=0.7)(x) + 9 * 0.35, abs=9 * 0.7 / 127**2)
    np.testing.assert_allclose(uniform.subgradient(x), K("huber", delta=0.7).subgradient(x), atol=1 / 127)
    gaussian = lionk.functions.smoothed(K("l1"), 0.5, "gaussian")
    exact = [math.erf(v / 0.5 / math.sqrt(2)) for v in x]
    np.testing.assert_allclose(gaussian.subgradient(x), exact, atol=1 / 127)
    for y in (np.asarray([1.0, 0.5, 0.0]), np.zeros(10)):
        cloud = y + 0.5 * RNG(3).standard_normal((200_000, y.size))
        for name, mean in (("max", cloud.max(axis=1).mean()), ("l2", np.linalg.norm(cloud, axis=1).mean())):
            assert lionk.functions.smoothed(K(name), 0.5, "gaussian")(y) == pytest.approx(mean, abs=0.02)
    with pytest.raises(lionk.NotAvailable, match="sum over entries"):
        lionk.functions.smoothed(K("max")).conjugate(np.zeros(3))
    with pytest.raises(ValueError, match="noise must be one of"):
        lionk.functions.smoothed(K("l1"), noise="cauchy")


@pytest.mark.parametrize("noise", ["uniform", "gaussian"])
@pytest.mark.parametrize("name", ["huber", "log_cosh", "l2", "linf"])
def test_the_slope_of_a_smoothed_even_function_is_0_at_0_to_the_last_bit(name, noise, backend) -> None:
    """Opposite points of the noise cancel in pairs, in whatever order a library adds."""
    k = lionk.functions.smoothed(K(name), 0.3, noise)
    for dtype in backend.dtypes:
        x = backend.put(np.zeros((5,)), dtype)
        assert not np.any(backend.get(k.subgradient(x)))
