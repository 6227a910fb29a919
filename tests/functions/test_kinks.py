"""Where selections, ties, scales and shapes meet: what special entries, sizes and shapes do to every K."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lionk
from backends_under_test import BACKENDS, Backend
from helpers import On, norm
from lionk.functions import entry
from table import TABLE
from turns import by_library, every, on_libraries

K = lionk.K
A = np.asarray


def _case(name: str):
    return next(c for c in TABLE if c.id == f"{name}()")


# -- stated selections -------------------------------------------------------------------------------------------

_S = math.sqrt(0.5)
_KINKS = [
    # the function, a point, and what it selects there
    (K("l1"), [0.0, -0.0, 2.0, -3.0], [0, 0, 1, -1]),
    (K("dead_zone"), [1.0, -1.0, 0.5, 1.5], [0, 0, 0, 1]),
    (K("elastic", mu=0.5), [0.0, 2.0, -2.0], [0, 2, -2]),
    (K("relu"), [0.0, 1.0, -1.0], [0, 1, 0]),
    (K("box", lower=0.5, upper=2.0), [0.0, 1.0, -1.0], [0.5, 2, 0.5]),
    (K("box", lower=-2.0, upper=-1.0), [0.0, 1.0, -1.0], [-1, -1, -2]),
    (K("l2"), [0.0, 0.0], [0, 0]),
    (K("lp", p=3), [0.0, 0.0, 0.0], [0, 0, 0]),
    (K("linf"), [2.0, -2.0, 1.0, 0.0], [0.5, -0.5, 0, 0]),
    (K("linf"), [0.0, 0.0], [0, 0]),
    (K("top_k", k=2), [3.0, 1.0, -1.0, 1.0], [1, 1 / 3, -1 / 3, 1 / 3]),
    (K("top_k", k=3), [3.0, 0.0, 0.0, 0.0], [1, 0, 0, 0]),
    (K("top_k", k=4), [3.0, 1.0, -1.0, 1.0], [1, 1, -1, 1]),
    (K("max"), [1.0, 1.0, 0.0], [0.5, 0.5, 0]),
    (K("capped_simplex", k=2), [0.0, 0.0, 0.0], [2 / 3, 2 / 3, 2 / 3]),
    (K("capped_simplex", k=3), [5.0, -1.0, 2.0], [1, 1, 1]),
    (K("group_l1_l2"), [[0.0, 0.0], [3.0, 4.0]], [[0, 0], [0.6, 0.8]]),
    (K("group_linf_l2"), [[3.0, 4.0], [0.0, -5.0], [1.0, 0.0]], [[0.3, 0.4], [0, -0.5], [0, 0]]),
    (K("row_l1_linf"), [[1.0, -1.0], [0.0, 0.0]], [[0.5, -0.5], [0, 0]]),
    (K("nuclear"), [[2.0, 0.0], [0.0, 0.0]], [[1, 0], [0, 0]]),
    (K("nuclear"), [[1.0, 1.0], [1.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]),
    (K("nuclear"), [[0.0, 0.0], [0.0, 0.0]], [[0, 0], [0, 0]]),
    (K("spectral"), [[2.0, 0.0], [0.0, -2.0]], [[0.5, 0], [0, -0.5]]),
    (K("spectral"), [[0.0, 2.0], [1.0, 0.0]], [[0, 1], [0, 0]]),
    (K("ky_fan", k=2), np.diag([2.0, 1.0, -1.0]).tolist(), np.diag([1, 0.5, -0.5]).tolist()),
    (K("spectral_dead_zone"), [[2.0, 0.0], [0.0, 0.5]], [[1, 0], [0, 0]]),
    (K("half_linf_squared"), [2.0, -2.0, 1.0], [1, -1, 0]),
    (K("half_l1_squared"), [2.0, 0.0, -1.0], [3, 0, -3]),
    (K("l1").tilt(0.5), [0.0, 1.0], [0.5, 1.5]),
    (K("l1") + K("l2"), [0.0, 3.0], [0, 2]),
    (K("l2").shift(A([1.0, 1.0])), [-1.0, -1.0], [0, 0]),
    (K("l2").shift(A([1.0, 1.0])), [0.0, 0.0], [_S, _S]),
]


@pytest.mark.parametrize("row", _KINKS, ids=lambda r: f"{r[0].spec.get('name')} {r[1]}")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_selection_at_a_kink(row, dtype: str) -> None:
    k, x, s = row
    on = On(k, BACKENDS["numpy"], dtype, np.shape(x))
    np.testing.assert_allclose(on.gradient(x), A(s, dtype=float), atol=8 * on.eps, rtol=0)
    assert abs(on.gap(x, s)) <= 1e-5


def test_near_ties_of_singular_values_share_and_clear_gaps_do_not() -> None:
    x = np.diag([1.0, 1.0 - 1e-16, 0.5])
    np.testing.assert_allclose(K("spectral").subgradient(x), np.diag([0.5, 0.5, 0.0]), atol=1e-15)
    np.testing.assert_allclose(K("spectral").subgradient(np.diag([1.0, 1 - 1e-12])), np.diag([1.0, 0.0]), atol=1e-15)


def test_noise_below_the_rank_tolerance_is_zero() -> None:
    x = np.diag([1.0, 1e-17, 0.0])
    np.testing.assert_allclose(K("nuclear").subgradient(x), np.diag([1.0, 0.0, 0.0]), atol=1e-15)


# -- shapes --------------------------------------------------------------------------------------------------------


def _matrix(name: str) -> bool:
    return entry(name).kind in ("matrix", "square", "symmetric") and K(name).traits.structure in ("matrix", "rowwise")


@by_library(lionk.names())
def test_too_few_axes(name: str, backend: Backend) -> None:
    """0-d arrays are one entry; functions of matrices refuse fewer than two axes, grouped ones an axis not there."""
    k = K(name)
    on = On(k, backend, backend.dtypes[-1], ())
    if _matrix(name):
        for x in (2.0, np.ones(3)):
            with pytest.raises(ValueError, match="last two axes"):
                on.value(x)
            with pytest.raises(ValueError, match="last two axes"):
                on.gradient(x)
    elif "group" in name:
        with pytest.raises(ValueError, match="axis"):
            on.value(2.0)
    elif name == "box_simplex":  # one entry of at most 1/2 has not the sum 1
        with pytest.raises(ValueError, match="sum 1"):
            on.value(2.0)
    elif not (backend.light and name == "moreau_lp"):
        one = On(k, BACKENDS["numpy"], backend.dtypes[-1], (1,))
        assert on.value(2.0) == pytest.approx(one.value([2.0]), rel=1e-6)
        if not backend.light:
            assert float(on.gradient(2.0)) == pytest.approx(one.gradient([2.0])[0], rel=1e-6)


_MINUS_INFINITY = (
    "cvar",
    "log_sum_exp",
    "capped_simplex",
    "max",
    "polytope",
    "smooth_linf",
    "sparsemax",
    "lambda_max",
    "sum_largest_eigenvalues",
    "log_trace_exp",
)


@by_library(lionk.names())
def test_empty_arrays(name: str, backend: Backend) -> None:
    """On the empty array the value is 0, or -inf where dom K* has no empty array: the maximum over nothing."""
    k = K(name)
    if backend.light and name == "moreau_lp":  # a root on a lazy array
        return
    for shape in [(0, 0)] if _matrix(name) else [(0,), (0, 0)]:
        on = On(k, backend, backend.dtypes[-1], shape)
        assert on.gradient(np.zeros(shape)).shape == shape
        assert on.value(np.zeros(shape)) == (-math.inf if name in _MINUS_INFINITY else 0.0)
        if name not in _MINUS_INFINITY:
            assert on.dual().value(np.zeros(shape)) == 0.0


@pytest.mark.parametrize("name", ["nuclear", "spectral", "schatten", "row_l1_l2", "col_l1_linf", "spectral_huber"])
def test_leading_axes_are_a_block_sum(name: str) -> None:
    k = K(name)
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    each = [k.value(b) for b in x.reshape(-1, 4, 5)]
    np.testing.assert_allclose(k.value(x), sum(each), rtol=1e-14)
    loop = np.stack([k.subgradient(b) for b in x.reshape(-1, 4, 5)]).reshape(x.shape)
    np.testing.assert_allclose(k.subgradient(x), loop, atol=1e-13)
    prox = np.stack([k.prox(b, 0.3) for b in x.reshape(-1, 4, 5)]).reshape(x.shape)
    np.testing.assert_allclose(k.prox(x, 0.3), prox, atol=1e-12)
    y = loop.copy()
    assert k.conjugate.value(y) == pytest.approx(sum(k.conjugate.value(b) for b in y.reshape(-1, 4, 5)), rel=1e-12)
    c = k.conjugate.domain
    np.testing.assert_allclose(
        c.project(3 * x), np.stack([c.project(3 * b) for b in x.reshape(-1, 4, 5)]).reshape(x.shape)
    )
    y[1, 2] *= 50
    if k.traits.bounded_domain:
        assert k.conjugate.value(y) == math.inf
        np.testing.assert_allclose(c.project(y)[0], c.project(y[0]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["ky_fan", "top_k", "capped_simplex"])
def test_k_is_checked_against_the_size(name: str) -> None:
    with pytest.raises(ValueError, match=r"k = 7 is larger than the number of entries"):
        K(name, k=7).value(np.ones((3, 2)))
    with pytest.raises(ValueError, match="whole number"):
        K(name, k=0)


# -- scales --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_scales(dtype: str, size: float) -> None:
    """Neither NaN nor overflow nor a warning, where the answer is finite in the dtype."""
    every(_scales, ((name, dtype, size) for name in lionk.names()))


def _scales(name: str, dtype: str, size: float) -> None:
    case = _case(name)
    on = On.case(case, dtype=dtype)
    x = on.round(size * on.random(np.random.default_rng(5)))
    t = on.K.traits
    grows = not t.bounded_domain  # faster than linearly: its values and slopes overflow with reason
    if size > 1 and grows:
        if name in ("half_square", "soft_threshold", "elastic", "quadratic", "asinh", "soft_ball"):
            assert np.all(np.isfinite(on.gradient(x)))
        return
    v, s = on.value(x), on.gradient(x)
    assert math.isfinite(v)
    assert np.all(np.isfinite(s))
    assert math.isfinite(on.dual().value(s))
    if t.homogeneous:
        unit = on.round(x / size)
        np.testing.assert_allclose(v, size * on.value(unit), rtol=64 * on.eps)
        np.testing.assert_allclose(s, on.gradient(unit), atol=on.tol(1 + norm(s)))
    if t.prox:
        p = on.prox(x)
        assert np.all(np.isfinite(p))
        assert norm(p) <= norm(x) * (1 + on.tol()) or not t.minimum_at_zero
    if not on.dual().everywhere:
        q = on.call(on.K.conjugate.domain.project, x)
        assert np.all(np.isfinite(q))
        if size > 1 and t.homogeneous:  # far out, the projection is the support point
            assert on.gap(x, q, tol=1e-4) <= 1e-4 * norm(x)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "k",
    [
        K("softsign"),
        K("arctan", delta=0.3),
        3 * K("softsign"),
        K("arctan").dilate(0.7).scale(1.1),
        K("spectral_softsign"),
        K("spectral_arctan"),
        lionk.functions.radial_lift("softsign"),
        lionk.functions.group_lift("arctan", "l2"),
        lionk.functions.group_lift("softsign", "l1"),
    ],
    ids=lambda k: k.spec["name"],
)
def test_open_domains_are_not_left_by_rounding(k, dtype: str) -> None:
    """K* is infinite on the boundary of its domain, so dK(x) stays inside however large x is."""
    for seed, size in enumerate((1e4, 1e8, 1e20, 1e30)):
        x = (size * np.random.default_rng(seed).standard_normal((20, 30))).astype(dtype)
        assert math.isfinite(k.conjugate.value(k.subgradient(x)))
    one = np.ones((1, 1), dtype)
    if k.spec["name"] in ("softsign", "spectral_softsign"):
        assert k.conjugate.value(one) == math.inf


@pytest.mark.parametrize("name", ["huber", "huber_l2", "sparsemax", "moreau_top_k", "moreau_linf", "moreau_lp"])
def test_envelopes_at_infinite_entries(name) -> None:
    """They are below K by a bounded amount, so they are infinite where K is."""
    k = lionk.K(name)
    with np.errstate(invalid="ignore"):
        assert k.value(np.asarray([math.inf, 1.0, -2.0])) == math.inf
        assert k.value(np.asarray([[math.inf, -math.inf], [0.0, 1.0]])) == math.inf
        assert math.isnan(k.value(np.asarray([math.nan, math.inf, 0.0])))


# -- refusals ------------------------------------------------------------------------------------------------------


@by_library(lionk.names())
def test_integers_are_refused(name: str, backend: Backend) -> None:
    x = backend.xp.asarray(np.ones((3, 3), dtype="int32"))
    for f in (K(name).value, K(name).subgradient, K(name).prox, K(name).conjugate.value):
        with pytest.raises(TypeError, match="floating-point"):
            f(x)


def test_containers_are_refused() -> None:
    every(_refuses_containers, ((name,) for name in lionk.names()))


def _refuses_containers(name: str) -> None:
    for x in ([1.0], {"a": np.ones(3)}, (1.0, 2.0)):
        with pytest.raises(TypeError, match=r"lionk\.blocks"):
            K(name).value(x)
    with pytest.raises(TypeError, match="must be an array"):
        K(name).value(1.0)
    with pytest.raises(TypeError, match=r"container"):
        K(name).domain.project([1.0])


_ARRAYS = {
    "weighted_l1": {"weights": np.ones(3)},
    "box": {"lower": -np.ones(3), "upper": np.ones(3)},
    "quadratic": {"matrix": np.eye(3)},
    "group_l1_l2": {"weights": np.ones(3)},
}


@on_libraries(_ARRAYS)
def test_mixed_libraries_are_refused_and_to_mends_it(name: str, backend: Backend) -> None:
    k = K(name, **_ARRAYS[name])
    for rule in (lambda k: k, lambda k: k.moreau(0.5), lambda k: 2 * k, lambda k: k.conjugate):
        there = rule(k)
        x = backend.put(np.ones((3, 3)) if "group" in name else np.ones(3), backend.dtypes[0])
        if backend.module != "numpy":
            with pytest.raises(TypeError, match=r"K\.to"):
                there.subgradient(x)
        moved = there.to(like=x)
        assert moved.subgradient(x).shape == x.shape
        assert moved.spec["name"] == there.spec["name"]
        assert moved.conjugate.conjugate is moved
        assert K(moved.spec).subgradient(x).shape == x.shape
        assert K(moved.conjugate.spec).spec.keys() == moved.conjugate.spec.keys()
        assert not np.any(np.asarray(moved == there)) or backend.module == "numpy"


def test_mixed_libraries_in_two_arguments() -> None:
    import torch

    with pytest.raises(TypeError):
        K("l1").fenchel_young(np.ones(2), torch.ones(2))


@pytest.mark.parametrize("name", ["exp", "softplus", "relu", "max", "log_sum_exp", "capped_simplex"])
def test_complex_has_no_meaning_without_evenness(name: str) -> None:
    for f in (K(name).value, K(name).subgradient):
        with pytest.raises(TypeError, match="real"):
            f(np.ones(3, dtype=complex))


@pytest.mark.parametrize("name", ["softplus", "log_cosh", "pseudo_huber"])
def test_slopes_of_envelopes_stay_in_the_domain_where_x_is_large(name: str) -> None:
    """The proximal operator of K* as a difference of large numbers left dom K* by their rounding."""
    k = lionk.K(name).moreau(2.5)
    x = np.asarray([1168.8499, 471.9435, -464.74277, 270.31406], dtype="float32")
    s = k.subgradient(x)
    assert bool(k.conjugate.domain.contains(s, 0.0))
    assert np.isfinite(k.conjugate.value(s))
