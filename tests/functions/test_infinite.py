"""Infinite entries give what the definition gives, of envelopes too: infinity or a limit, and not NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lionk
from lionk.functions import entry

K = lionk.K
NAMES = [n for n in lionk.names() if entry(n).kind in ("scalar", "vector") and K(n).traits.even and n != "std"]


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_envelopes_of_even_functions_are_infinite_at_infinity(name, dtype) -> None:
    shape = (3, 4) if "group" in name else (6,)
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    for sign in (1, -1):
        x.flat[1] = sign * np.inf
        for k in (K(name), K(name).moreau(0.5), 2 * K(name).moreau(0.5), K(name).moreau(0.5).moreau(2.0)):
            assert k.value(x) == np.inf
    x.flat[0] = np.nan
    assert np.isnan(K(name).moreau(0.5).value(x))


def test_limits_of_envelopes_that_are_finite() -> None:
    x = np.asarray([0.3, -np.inf, 1.0])
    near = np.asarray([0.3, -1e9, 1.0])
    for k in (K("relu"), K("max"), K("log_sum_exp"), K("capped_simplex", k=2), K("softplus")):
        e = k.moreau(0.5)
        assert float(e.value(x)) == pytest.approx(float(e.value(near)), rel=1e-9)
    assert K("sparsemax").value(np.asarray([np.inf, 0.0])) == np.inf
    assert K("soft_ball").conjugate.value(np.asarray([3.0, 4.0])) == pytest.approx(16 / 2)
    assert K("soft_ball").conjugate.value(np.asarray([np.inf, 0.0])) == np.inf


@pytest.mark.parametrize(
    ("name", "x", "value"),
    [
        ("std", [np.inf, 0.3, -1.0], np.inf),
        ("std", [np.inf, -np.inf, 1.0], np.inf),
        ("std", [-np.inf, 2.0], np.inf),
        ("box_simplex", [-np.inf, 0.3, 0.1, 2.0], 1.15),
        ("box_simplex", [-np.inf, 0.3, np.inf, 2.0], np.inf),
        ("monotone", [np.inf, -np.inf, 1.0], np.inf),
        ("monotone", [-np.inf, 2.0, 1.0], 0.0),
        ("monotone", [1.0, -np.inf, 5.0], 1.0),
        ("total_variation", [np.inf, np.inf, 1.0], np.inf),
        ("total_variation", [-np.inf, -np.inf, -np.inf], 0.0),
        ("range", [np.inf, np.inf], 0.0),
        ("range", [-np.inf, -np.inf, 1.0], np.inf),
        ("permutahedron", [np.inf, -np.inf, 1.0], np.inf),
    ],
)
def test_infinite_entries_give_what_the_definition_gives(name: str, x: list[float], value: float) -> None:
    assert float(K(name).value(np.asarray(x))) == pytest.approx(value)
    assert np.isnan(K(name).value(np.asarray([np.nan, *x[1:]])))


B = np.asarray([[1.0, -1.0, 0.5], [0.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
MAPPED = {
    "of l1": lionk.functions.linear_map("l1", B), "of half_square": lionk.functions.linear_map("half_square", B),
    "of huber": lionk.functions.linear_map("huber", B), "quadratic": K("quadratic", matrix=B @ B.T),
    "ellipsoid": K("ellipsoid", matrix=B @ B.T), "of two rows": lionk.functions.linear_map("l1", B[:2]),
    "of two rows, smooth": lionk.functions.linear_map("huber", B[:2]),
    "whitened": K("whitened_nuclear", left=B, right=B.T), "centered": lionk.functions.centered("l1"),
}  # fmt: skip


@pytest.mark.parametrize("name", MAPPED)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_infinite_entries_that_cancel_in_a_map_are_infinite(name: str, dtype: str) -> None:
    """K* grows in each direction that is finite in K: with one infinite entry or several it is +inf, as K is."""
    k, rng = MAPPED[name].to(like=np.zeros(1, dtype)), np.random.default_rng(0)
    x = rng.standard_normal((3, 3) if name == "whitened" else 3).astype(dtype)
    for places in ([0], [1], [0, 1], [0, 1, 2]):
        for sign in (1, -1):
            y = x.copy()
            y.flat[places] = np.inf * np.asarray([1, sign, 1])[: len(places)]
            assert k.conjugate.value(y) == np.inf
            if "rows" not in name and name != "centered":
                assert k.value(y) == np.inf
    assert np.isnan(k.value(x * np.nan))
    assert np.isnan(k.conjugate.value(x * np.nan))


def test_finite_entries_beside_infinite_ones_keep_their_part_of_a_map() -> None:
    k = lionk.functions.linear_map("relu", np.asarray([[1.0, 0.0], [-1.0, 1.0]]))  # max(x, 0) + max(y - x, 0)
    assert k.value(np.asarray([np.inf, 3.0])) == np.inf
    k = lionk.functions.linear_map("relu", np.asarray([[1.0, 0.0], [0.25, 1.0]]))
    assert k.value(np.asarray([-np.inf, 3.0])) == 0.0
    k = lionk.functions.linear_map("max", np.asarray([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]]))
    assert k.value(np.asarray([-np.inf, 7.0, 3.0])) == 6.0


@pytest.mark.parametrize(
    ("k", "x", "value"),
    [
        (K("l1").tilt(0.3), [-np.inf, 1.0], np.inf),
        (K("l1").tilt(1.7), [-np.inf, 1.0], -np.inf),
        (K("half_square").tilt(3.0), [-np.inf, 1.0], np.inf),
        (K("max").tilt(-0.5), [np.inf, 1.0], np.inf),
        (K("max").tilt(-2.0), [np.inf, 1.0], -np.inf),
        (K("elastic").tilt(np.asarray([2.0, 3.0])), [-np.inf, np.inf], np.inf),
        (K("relu_square").tilt(-1.0), [-np.inf, 1.0], np.inf),
        (K("elastic").conjugate.shift(0.3).conjugate, [-np.inf, 1.0], np.inf),
        (K("max_l1_l2").moreau(2.5).tilt(2.0), [-np.inf, 1.0], -np.inf),
        (K("nuclear").tilt(0.3), [[-np.inf, 1.0], [0.0, 2.0]], np.inf),
    ],
)
def test_a_tilt_at_infinite_entries_is_as_steep_as_the_sum(
    k: lionk.ConvexFunction, x: list[float], value: float
) -> None:
    x = np.asarray(x)
    assert k.value(x) == value
    x.flat[-1] = np.nan
    assert np.isnan(k.value(x))


LEVEL = [  # K, x, and what K tends to: closed forms of it along the ray
    (K("l1").tilt(1.0), [-np.inf, 1.5], 3.0),
    (K("max").tilt(-1.0), [np.inf, 1.5], -1.5),
    (K("l2").tilt(np.asarray([1.0, 0.0])), [-np.inf, 7.0], 0.0),
    (K("huber").tilt(1.0), [-np.inf, 1.0], 1.0),
    (K("log_cosh").tilt(1.0), [-np.inf, 0.0], -np.log(2)),
    (K("pseudo_huber", delta=0.1).tilt(-1.0), [np.inf, 0.0], -0.1),
    (K("log_sum_exp").tilt(-0.5), [np.inf, np.inf], np.log(2)),
    (K("softsign").tilt(1.0), [-np.inf, 0.0], -np.inf),
]


@pytest.mark.parametrize(("k", "x", "value"), LEVEL)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_tilt_as_steep_as_the_function_gives_what_the_sum_falls_to(k, x, value, dtype) -> None:
    x = np.asarray(x, dtype)
    k = k.to(like=x)
    with np.errstate(invalid="ignore"):  # subgradients may be NaN there
        lower, upper = k.bounds(x)
    assert lower <= k.value(x) <= upper
    assert lower <= value <= upper
    room = float(np.finfo(dtype).eps ** 0.5 * (1 + np.sum(x[np.isfinite(x)] ** 2)))
    assert float(k.value(x)) == pytest.approx(value, abs=room)


def test_spread_of_sequences_whose_mean_is_infinite() -> None:
    k = lionk.functions.centered("total_variation")
    for x, value in (([np.inf, 1.0, 2.0], np.inf), ([np.inf, -np.inf, 0.0], np.inf), ([np.inf] * 3, 0.0)):
        assert k.value(np.asarray(x)) == value
    assert np.isnan(k.value(np.asarray([np.inf, np.nan])))


def test_infinite_entries_are_outside_a_hull_of_permutations() -> None:
    assert K("permutahedron").conjugate.value(np.asarray([np.inf, -np.inf, 0.5])) == np.inf


ENTROPY, LOGISTIC = K("exp").conjugate, K("softplus").conjugate
STEEP = {  # sums over entries whose slope is infinite at an edge of the domain, and that edge
    "at 0": (K("relu_square") + ENTROPY, (0.0, np.inf)),
    "at both ends": (LOGISTIC + ENTROPY, (0.0, 1.0)),
    "above 0": (ENTROPY.shift(-5.0) + K("l1"), (5.0, np.inf)),
    "below 0": (ENTROPY.dilate(-1.0) + K("softsign"), (-np.inf, 0.0)),
    "shifted": (LOGISTIC.shift(3.0) + K("elastic"), (-3.0, -2.0)),
}


@pytest.mark.parametrize("name", STEEP)
@pytest.mark.parametrize("t", [0.1, 5.0])
def test_proximal_operators_of_sums_stay_off_edges_of_infinite_slope(name, t) -> None:
    k, (low, high) = STEEP[name]
    x = 3 * np.random.default_rng(0).standard_normal(8)
    p = k.prox(x, t)
    assert np.all((low <= p) & (p <= high))
    for at, near in zip(x, p, strict=True):
        grid = near + np.asarray([-1, -1e-2, -1e-4, 0, 1e-4, 1e-2, 1])
        grid = grid[(grid >= low) & (grid <= high)]
        cost = [float(k.value(np.asarray([z]))) + (z - at) ** 2 / (2 * t) for z in grid]
        assert float(k.value(np.asarray([near]))) + (near - at) ** 2 / (2 * t) <= min(cost) + 1e-12


@pytest.mark.parametrize("name", ["std", "centered(lp)", "l1_plus_l2", "nuclear_frobenius"])
def test_envelopes_far_out_keep_the_digits_of_their_slopes(name: str) -> None:
    """A projection of what is far away is a point of the set, and no difference of two large numbers: dK in float32."""
    k = lionk.functions.centered(K("lp")) if "(" in name else K(name)
    envelope, x = k.moreau(2.5), np.random.default_rng(5).standard_normal((3, 3))
    for size in (1e3, 1e5, 1e7):
        far = (size * x).astype("float32")
        s = k.conjugate.domain.project(far.astype(float) / 2.5)
        np.testing.assert_allclose(envelope.subgradient(far), s, atol=4e-6)
        assert float(envelope.value(far)) == pytest.approx(float(np.sum(far * s) - 1.25 * np.sum(s * s)), rel=4e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["exp", "cosh", "trace_exp"])
def test_what_grows_beyond_the_largest_number_is_infinite_without_a_warning(name, dtype):
    """A warning is an error here. Up to a ten-thousandth below the largest number the value is finite."""
    f, half = lionk.K(name), math.log(2) if name == "cosh" else 0.0
    top = math.log(float(np.finfo(dtype).max)) + half
    for x in np.asarray([1.0001 * top, 1.5 * top, 1e4], dtype):
        assert float(f(np.full((1, 1), x))) == math.inf
    for x in np.asarray([top - 1e-4, top - 1, 0.5 * top], dtype):
        assert float(f(np.full((1, 1), x))) == pytest.approx(math.exp(float(x) - half), rel=1e-4)
    assert np.isnan(float(f(np.full((1, 1), math.nan, dtype))))


@pytest.mark.parametrize("phi", ["softsign", "log_cosh"])
@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_an_infinite_slope_along_a_direction_leaves_its_zeros_finite(phi: str, norm: str) -> None:
    """At the edge of an open domain: K* of a centred function, which is made of such slopes, is finite where it is."""
    K = lionk.functions.centered(lionk.functions.radial_lift(phi, norm))
    x = np.asarray([0.0, 0.0, 0.0, -3.0])
    s = K.subgradient(x)
    assert float(K.conjugate.value(s)) == pytest.approx(float(s @ x - K.value(x)), rel=1e-9)


@pytest.mark.parametrize("other", ["l1", "l2", "softplus", "max"])
@pytest.mark.parametrize("name", ["exp", "relu_square"])
def test_a_sum_is_infinite_at_infinite_entries_where_its_domain_is_a_half_line(name: str, other: str) -> None:
    """``y log y - y`` and ``y^2/2`` on y >= 0 outgrow what is added."""
    k = K(name).conjugate + K(other)
    for x in ([np.inf, np.inf], [np.inf, 1.0], [-np.inf, 1.0]):
        assert k.value(np.asarray(x)) == np.inf


@pytest.mark.parametrize(("dtype", "most"), [("float64", 600.0), ("float32", 70.0)])
def test_a_conjugate_that_grows_beyond_the_dtype_is_infinite_there(dtype: str, most: float) -> None:
    """By hand, the split of y leaves 2 to clip(2): ``K*(y) = cosh(y - 2) + 1``, and of the mean of asinh it is more."""
    k = K("asinh") + K("clip", bound=2.0)
    for y in (5.0, most):
        assert float(k.conjugate.value(np.asarray([y], dtype))) == pytest.approx(math.cosh(y - 2) + 1, rel=1e-5)
    for far in (k, lionk.functions.smoothed(K("asinh"), 0.5)):
        for y in (2 * most, 1e4, -1e6):
            assert far.conjugate.value(np.asarray([y, 0.1], dtype)) == np.inf
