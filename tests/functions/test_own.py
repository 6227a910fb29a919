"""Functions of one's own, against the shipped ones that they repeat."""

from __future__ import annotations

import copy
import json
import math
import pickle

import numpy as np
import pytest

import lionk
from backends_under_test import BACKENDS
from helpers import norm
from lionk.functions import from_lmo, from_projection, from_scalar, spectral_lift
from lionk.functions.registry import entries as registry
from table import OWN, _log_cosh, _tanh, _vertex

K = lionk.K
X = np.asarray([0.0, 1e-9, -0.3, 1.0, -2.5, 30.0])
Y = np.asarray([0.0, 1e-9, -0.3, 0.5, -0.999, 1.0])
SCALARS = {
    "log_cosh": (OWN[0].K, Y, 1e-12),
    "elastic": (OWN[1].K, X, 1e-12),
    "softsign": (OWN[3].K, 0.9 * Y, 1e-12),
    "exp": (from_scalar(np.exp, np.exp, slope_range=(0.0, math.inf)), abs(X) + 1e-3, 1e-12),
    "half_square": (
        from_scalar(lambda x: x * x / 2, lambda x: x, slope_range=(-math.inf, math.inf), even=True), X, 1e-12,
    ),
    "pseudo_huber": (
        from_scalar(
            lambda x: np.sqrt(1 + x * x) - 1, lambda x: x / np.sqrt(1 + x * x), slope_range=(-1, 1), even=True
        ), Y, 1e-7,  # half of the digits at the ends
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCALARS)
def test_scalars_against_shipped_ones(name):
    own, y, tol = SCALARS[name]
    shipped = K(name)
    for x in np.clip(X, None, 3.0).reshape(-1, 1):
        assert float(own.value(x)) == pytest.approx(float(shipped.value(x)), rel=1e-7, abs=1e-15)
        assert float(own.subgradient(x)[0]) == pytest.approx(float(shipped.subgradient(x)[0]), rel=1e-12, abs=1e-300)
        np.testing.assert_allclose(own.prox(x, 0.7), shipped.prox(x, 0.7), atol=1e-9, rtol=1e-9)
    for v in y.reshape(-1, 1):
        assert float(own.conjugate.value(v)) == pytest.approx(float(shipped.conjugate.value(v)), rel=tol, abs=tol)
        np.testing.assert_allclose(own.conjugate.prox(v, 0.7), shipped.conjugate.prox(v, 0.7), atol=1e-9, rtol=1e-9)
        if abs(v) < 1:
            s, right = own.conjugate.subgradient(v), shipped.conjugate.subgradient(v)
            np.testing.assert_allclose(s, right, rtol=1e-8, atol=1e-200)
    outside = np.asarray([-1.5])
    assert float(own.conjugate.value(outside)) == pytest.approx(float(shipped.conjugate.value(outside)))


def test_at_least_half_the_digits_at_the_ends_as_stated():
    own, _, _ = SCALARS["pseudo_huber"]
    error = abs(float(own.conjugate.value(np.asarray([1.0]))) - 1)
    assert error < 1e-7


def test_conjugates_beyond_the_dtype_are_infinite():
    own = SCALARS["exp"][0].conjugate
    assert float(own.value(np.asarray([math.inf]))) == math.inf
    steep = from_scalar(
        lambda x: (1 + abs(x)) * np.log1p(abs(x)) - abs(x), lambda x: np.sign(x) * np.log1p(abs(x)),
        slope_range=(-math.inf, math.inf), even=True,
    )  # fmt: skip
    assert float(steep.conjugate.value(np.asarray([1e6]))) == math.inf
    assert float(steep.conjugate.subgradient(np.asarray([-1e6]))[0]) == -math.inf


def test_what_a_scalar_function_must_be():
    with pytest.raises(ValueError, match="slope_range must be the limits"):
        from_scalar(abs, np.sign, slope_range=(1, -1))
    with pytest.raises(ValueError, match=r"f must act entry by entry: it made shape \(\) of \(3,\)"):
        from_scalar(np.sum, np.sign, slope_range=(-1, 1)).value(np.ones(3))
    with pytest.raises(ValueError, match="df must act entry by entry"):
        from_scalar(abs, np.sum, slope_range=(-1, 1)).subgradient(np.ones(3))
    with pytest.raises(TypeError, match="slope_range"):
        from_scalar(abs, np.sign)
    with pytest.raises(TypeError, match="not even"):
        SCALARS["exp"][0].value(np.ones(3, dtype=complex))


def test_projections_of_empty_arrays():
    own = from_projection(lambda y: np.clip(y, -1, 1), diameter=2.0)
    for k in (own, own.conjugate):
        assert float(k.value(np.zeros(0))) == 0
        assert k.subgradient(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("shape", [(), (0,), (2, 1, 2)])
def test_scalars_of_any_shape(shape):
    own, x = SCALARS["log_cosh"][0], np.full(shape, 0.5)
    assert own.subgradient(x).shape == shape
    assert float(own.conjugate.value(x)) == pytest.approx(float(K("log_cosh").conjugate.value(x)))


def test_low_precision():
    own, x = SCALARS["log_cosh"][0], np.asarray([0.5, -3.0], dtype=np.float16)
    assert own.subgradient(x).dtype == np.float16
    np.testing.assert_array_equal(own.subgradient(x), K("log_cosh").subgradient(x))


# -- sets ----------------------------------------------------------------------------------------------------------


def test_projections_against_shipped_envelopes():
    rng = np.random.default_rng(0)
    pairs = [
        (from_projection(lambda y: np.clip(y, -1, 1), 0.5, diameter=2 * 6**0.5), K("huber", delta=0.5)),
        (from_projection(K("max").conjugate.domain.project, 2.0, diameter=2**0.5), K("sparsemax", mu=2.0)),
    ]
    for own, shipped in pairs:
        for size in (0.1, 1.0, 10.0):
            x = size * rng.standard_normal(6)
            assert float(own.value(x)) == pytest.approx(float(shipped.value(x)), rel=1e-13)
            np.testing.assert_allclose(own.subgradient(x), shipped.subgradient(x), atol=1e-15)
            np.testing.assert_allclose(own.prox(x, 0.3), shipped.prox(x, 0.3), atol=1e-14)
            y = shipped.subgradient(x)
            assert float(own.conjugate.value(y)) == pytest.approx(float(shipped.conjugate.value(y)), rel=1e-13)
            assert float(own.conjugate.value(y + 3)) == math.inf
        with pytest.raises(lionk.NotAvailable, match="see from_lmo"):
            own.conjugate.domain.lmo(x)


def test_batches_are_taken_one_by_one():
    """A lift calls with stacks; the map sees one event at a time."""
    seen = []

    def clip(y):
        seen.append(y.shape)
        return np.clip(y, -1, 1)

    own = spectral_lift(from_projection(clip, diameter=2 * 3**0.5, even=True, absolute=True, symmetric=True))
    for shape in ((4, 3), (2, 4, 3), (0, 4, 3)):
        x = np.random.default_rng(1).standard_normal(shape)
        np.testing.assert_allclose(own.subgradient(x), K("spectral_huber").subgradient(x), atol=1e-14)
        assert float(own.value(x)) == pytest.approx(float(K("spectral_huber").value(x)))
    assert set(seen) <= {(3,), (0, 3)}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_oracles_against_shipped_sets(dtype):
    rng = np.random.default_rng(0)
    vertices = rng.standard_normal((9, 5))
    pairs = [
        (from_lmo(_vertex, diameter=2**0.5), K("max")),
        (from_lmo(lambda c: vertices.astype(c.dtype)[(vertices.astype(c.dtype) @ c).argmax()], diameter=8.0),
         K("polytope", vertices=vertices)),
        (from_lmo(K("l2").conjugate.domain.lmo, diameter=2.0), K("l2")),
    ]  # fmt: skip
    tol = 1e-8 if dtype == "float64" else 1e-3
    for own, shipped in pairs:
        one, two = own.conjugate.domain, shipped.to(like=np.zeros(1, dtype)).conjugate.domain
        for size in (0.1, 1.0, 10.0):
            y = (size * rng.standard_normal(5)).astype(dtype)
            assert float(own.value(y)) == pytest.approx(float(two.support(y)), rel=1e-5)
            p = one.project(y)
            assert p.dtype == y.dtype
            assert norm(p - two.project(y)) <= tol * (1 + norm(y))
            assert float(one.distance(y)) == pytest.approx(float(two.distance(y)), abs=tol * (1 + norm(y)))
            assert bool(one.contains(y)) == bool(two.contains(y))
            np.testing.assert_allclose(own.prox(y, 0.5), y - 0.5 * one.project(y / np.asarray(0.5, dtype)), atol=tol)


def test_members_are_never_refused():
    rng = np.random.default_rng(0)
    vertices = rng.standard_normal((12, 6))
    c = from_lmo(lambda c: vertices[(vertices @ c).argmax()], diameter=10.0).conjugate.domain
    for spread in (0.05, 1.0, 20.0):
        for _ in range(10):
            assert c.contains(rng.dirichlet(np.full(12, spread)) @ vertices)
    assert all(c.contains(v) for v in vertices)
    assert not c.contains(vertices[0] * 3)
    assert not c.contains(np.full(6, np.nan), tol=1e6)
    assert float(c.distance(np.full(6, np.inf))) == math.inf


def test_what_an_oracle_has_no_projection_for():
    own = from_lmo(np.sign, diameter=2 * 128**0.5)
    x = np.ones(128)
    assert float(own.value(x)) == 128
    with pytest.raises(lionk.NotAvailable, match="fewer than 128 entries, got 128; give a projection"):
        own.conjugate.domain.project(x)
    with pytest.raises(lionk.NotAvailable, match="real arrays"):
        own.conjugate.domain.project(np.ones(3, dtype=complex))


@pytest.mark.parametrize("bad", [0, -1.0, math.nan, True, "2"])
def test_diameters_that_are_refused(bad):
    with pytest.raises(ValueError, match="diameter must be a number > 0"):
        from_projection(np.sign, diameter=bad)
    with pytest.raises(ValueError, match="diameter"):
        from_lmo(np.sign, diameter=bad)


def test_more_that_is_refused():
    with pytest.raises(ValueError, match="finite diameter"):
        from_lmo(np.sign, diameter=math.inf)
    with pytest.raises(TypeError, match="'odd' is no claim"):
        from_projection(np.sign, odd=True)
    with pytest.raises(ValueError, match="mu must be"):
        from_projection(np.sign, 0.0)


# -- specs, libraries ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", OWN, ids=lambda c: c.id)
def test_without_a_name_there_is_no_spec(case):
    for k in (case.K, case.K.conjugate, 2 * case.K):
        with pytest.raises(lionk.NotAvailable, match="register it"):
            _ = k.spec
        with pytest.raises(lionk.NotAvailable, match="register it"):
            pickle.dumps(k)
    assert repr(case.K)


@pytest.mark.parametrize("case", OWN, ids=lambda c: c.id)
def test_what_has_no_name_is_copied_and_shown(case):
    """A copy of a value is the value, as scikit-learn's clone of an estimator asks for it."""
    for k in (case.K, case.K.conjugate, K("l1") + case.K):
        assert copy.copy(k) is k
        assert copy.deepcopy({"K": k})["K"] is k
        assert "<table" in k._repr_html_()
        assert k._repr_latex_() is None


def test_a_function_named_like_a_shipped_one_is_not_taken_for_it():
    def log_cosh(x):
        return x * x / 2

    with pytest.raises(lionk.NotAvailable):
        _ = from_scalar(log_cosh, lambda x: x, slope_range=(-math.inf, math.inf)).spec


def _build_own(width=1.0):
    return from_scalar(_log_cosh, _tanh, slope_range=(-1, 1), even=True).dilate(1 / width)


def test_a_name_makes_it_work_everywhere(monkeypatch):
    lionk.names()  # all of them, before the copy
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    lionk.register("own_log_cosh", _build_own, kind="scalar")
    assert "own_log_cosh" in lionk.names()
    k = K("own_log_cosh", width=0.5)
    assert k.spec == {"name": "own_log_cosh", "width": 0.5}
    for other in (K(json.loads(json.dumps(k.spec))), pickle.loads(pickle.dumps(k)), K(k.conjugate.spec).conjugate):
        assert other.spec == k.spec
        assert float(other.value(X)) == float(k.value(X))
    assert lionk.check_K("own_log_cosh", "torch", dtype="float32").ok
    assert (2 * k).spec["name"] == "scale"
    opt = lionk.LionK("own_log_cosh", lr=0.1, weight_decay=0.5)
    x = np.zeros(2)
    x, _ = opt.step(x, np.asarray([1.0, -1.0]), opt.init(x))
    assert x[0] < 0 < x[1]


@pytest.mark.parametrize("name", ["strict", "torch", "jax"])
@pytest.mark.parametrize("case", OWN, ids=lambda c: c.id)
def test_oracles_and_projections_on_other_libraries(case, name):
    here = BACKENDS[name]
    y = np.asarray([0.5, -1.0, 0.25, 0.0, 2.0, -0.125])
    dual = case.K.conjugate
    if name == "jax" and "from_lmo" in case.id:  # ten thousand calls, one by one
        return
    with here.active(dual.traits.needs):
        p = dual.prox(here.put(y, "float64"), 0.5)
    np.testing.assert_allclose(here.get(p), dual.prox(y, 0.5), atol=1e-9)


def test_jit():
    import jax

    y = BACKENDS["jax"].put(0.3 * np.ones(4), "float64")
    for case in (OWN[0], OWN[4]):
        dual = case.K.conjugate
        assert float(jax.jit(dual.value)(y)) == pytest.approx(float(dual.value(np.asarray(y))))


@pytest.mark.parametrize("made", [lambda y: y[:1], lambda y: y.sum(), lambda _: 0.0, lambda _: None, list])
def test_maps_keep_the_shape(made):
    """NumPy would stretch what they return, and K would have a value."""
    x = np.ones(3)
    for k in (from_projection(made), from_lmo(made, diameter=1.0)):
        with pytest.raises(ValueError, match=r"of the shape they get: .* for \(3,\)"):
            k.subgradient(x)
    with pytest.raises(ValueError, match=r"df must act entry by entry: it made .* of \(3,\)"):
        from_scalar(abs, made, slope_range=(-1, 1)).subgradient(x)


def test_builders_that_are_none_are_refused(monkeypatch):
    lionk.names()  # all of them, before the copy
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    with pytest.raises(TypeError, match="build must be a convex function, or a callable"):
        lionk.register("three", 3)
    lionk.register("a_name", lambda: "l1")
    with pytest.raises(TypeError, match="a_name is registered with a builder that returns str"):
        lionk.K("a_name")
