"""Splits in the tail: of pairs whose slopes differ by orders of magnitude, or have kinks all along; denoised chains."""

from __future__ import annotations

from functools import reduce
from itertools import product
from operator import add

import mpmath
import numpy as np
import pytest
from array_api_compat import numpy as xp

from grammar import SCALAR, VECTOR
from lionk.arrays import split_steps
from lionk.functions import K, infimal_convolution, positive_part
from lionk.sets import Minkowski, chain
from turns import FULL, in_turns

ORACLES = {**SCALAR, **VECTOR}
TAIL = [
    "log_cosh + linf", "softplus + linf", "arctan + top_k", "pseudo_huber + lp", "berhu + max",
    "softsign + half_l1_squared", "log_sum_exp + l1", "log_sum_exp + range", "smooth_linf + owl",
    "softsign + l1 + linf", "log_cosh + top_k + l2",
]  # fmt: skip


@pytest.mark.parametrize("n", [3, 30])
@pytest.mark.parametrize("names", TAIL)
def test_a_split_takes_few_evaluations_where_slopes_differ_by_orders_of_magnitude(names, n, monkeypatch) -> None:
    """At ``y = dK(x)`` the oracle knows ``K*(y) = <x, y> - K(x)``. By the other steps alone some took 300."""
    seen, at = [], split_steps.Problem.at
    monkeypatch.setattr(split_steps.Problem, "at", lambda self, z: seen.append(1) or at(self, z))
    parts = [(K(name, **ORACLES[name][0]), ORACLES[name][1]) for name in names.split(" + ")]
    k, x = parts[0][0], 3 * np.random.default_rng(n).standard_normal(n)
    for other, _ in parts[1:]:
        k = k + other
    y = k.subgradient(x)
    truth = float(x @ y) - sum(float(oracle(x[None])[0]) for _, oracle in parts)
    seen.clear()
    lower, upper = k.conjugate.bounds(y)
    room = 1e-11 * (abs(truth) + float(abs(x) @ abs(y)))
    assert lower - room <= truth <= upper + room
    assert upper - lower <= room
    assert len(seen) <= 60


@pytest.mark.parametrize(
    ("names", "n"), in_turns(["log_sum_exp + l1", "log_sum_exp + linf", "max + log_sum_exp + l1"], [66, 300])
)
def test_both_ends_are_finite_where_a_split_is_not_found_to_rounding(names: str, n: int) -> None:
    """Of an entropy on a simplex and a box more than 64 unknowns are left short of a split: one is made of what is
    found. The truth is ``<x, y> - K(x)`` at ``y = dK(x)``; a point outside stays infinite.
    """
    parts = [(K(name), ORACLES[name][1]) for name in names.split(" + ")]
    k, x = parts[0][0], 3 * np.random.default_rng(n).standard_normal(n)
    for other, _ in parts[1:]:
        k = k + other
    y = k.subgradient(x)
    truth = float(x @ y) - sum(float(oracle(x[None])[0]) for _, oracle in parts)
    lower, upper = k.conjugate.bounds(y)
    room = 1e-3 * float(abs(x) @ abs(y))
    assert truth - room <= lower <= truth + 1e-12 * room
    assert truth - 1e-12 * room <= upper <= truth + room
    assert k.conjugate.value(y + 0.1) == np.inf


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-17, 1e-8, 1e-3])
@pytest.mark.parametrize("name", ["l1", "linf", "l2", "huber"])
def test_the_prox_of_a_shifted_sum_at_a_short_point(name: str, size: float) -> None:
    """Far shorter than the parts of its split, which do not grow for that: no other point next to it is better, and in
    another spelling of the same function it is the same.
    """
    rng, c = np.random.default_rng(5), 2.5 * np.cos(np.arange(4.0))
    owl, other = K("owl").shift(c), K(name, **ORACLES[name][0])
    x = size * rng.standard_normal(4)
    k, same = owl.dilate(2.0) + other.dilate(2.0), (owl + other).dilate(2.0)
    p = k.prox(x)

    def objective(z: np.ndarray) -> np.ndarray:
        weights, u = np.arange(4, 0, -1) / 4, 2 * z + c
        return -np.sort(-abs(u), -1) @ weights + ORACLES[name][1](2 * z) + np.sum((z - x) ** 2, -1) / 2

    around = p + 10.0 ** rng.uniform(-8, 0, (2000, 1)) * rng.standard_normal((2000, 4))
    assert objective(p[None])[0] <= objective(around).min() + 1e-14
    np.testing.assert_allclose(p, same.prox(x), atol=1e-9)


@pytest.mark.parametrize("size", [1.0, 20.0, 40.0, 100.0, 200.0])
def test_both_ends_are_close_at_extreme_slopes(size: float) -> None:
    """cosh + linf, whose slopes reach 1e200: the lower end is as close as the upper one."""
    x = size * np.random.default_rng(3).standard_normal(4)
    k = K("cosh") + K("linf")
    y = k.subgradient(x)
    truth = float(x @ y) - float(np.sum(2 * np.sinh(x / 2) ** 2)) - abs(x).max()
    lower, upper = k.conjugate.bounds(y)
    room = 1e-11 * (abs(truth) + float(abs(x) @ abs(y)))
    assert truth - room <= lower <= truth + room
    assert truth - room <= upper <= truth + room


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("shape", [(1, 2), (4, 7), (2, 300)])
def test_a_chain_is_denoised(shape: tuple[int, ...], seen: bool, monkeypatch) -> None:
    """By its optimality: with u the running sum of y - x, ``|u| <= 1``, and u is the sign of each jump of x.

    Values that are drawn, rounded to ties, one ramp, and powers of 2, which are divided one by one.
    """
    monkeypatch.setattr(chain, "visible", lambda y: seen)
    rng = np.random.default_rng(7)
    ramp = np.linspace(-9.0, 9.0, shape[-1]) + np.zeros(shape)
    for y in (
        3 * rng.standard_normal(shape),
        np.round(2 * rng.standard_normal(shape)),
        ramp,
        2.0 ** np.round(2 * ramp),
    ):
        x = chain._denoised(xp, y)
        noise = 1e-13 * shape[-1] * abs(y).max()
        u = np.cumsum(y - x, axis=-1)
        jump = np.diff(x, axis=-1)
        assert abs(u[..., -1]).max() <= noise
        assert abs(u[..., :-1]).max() <= 1 + noise
        np.testing.assert_array_less(abs(u[..., :-1] + np.sign(jump)) * (abs(jump) > 64 * noise), noise)


FAR = [("l2", 2.0), ("l1", 1.0), ("linf", np.inf), ("huber", 1.0), ("dead_zone", 1.0)]


@pytest.mark.parametrize(
    ("slow", "q", "fast", "dtype"),
    [
        (*row, fast, dtype)
        for i, (row, fast, dtype) in enumerate(
            product(FAR, ("half_linf_squared", "half_l1_squared"), ("float32", "float64"))
        )
        if FULL or i % 4 in (0, 3)
    ],
)
def test_far_out_the_subgradient_is_that_of_the_part_that_grows_linearly(slow, q, fast, dtype) -> None:
    """``t s`` is lost in the rounding of a part there. The other part grows as a square, and takes what s costs:
    <x, s> tends to the recession function of the first part, and K(z) >= K(x) + <s, z - x> for z far and near 0.
    """
    direction = np.asarray([1.25, -1.3, 6.4, 1.0, -5.4, 3.6])
    for first, second in ((slow, fast), (fast, slow)):
        k = infimal_convolution(K(first), K(second))
        for size in 10.0 ** np.asarray([8, 15]):
            x = (size * direction).astype(dtype)
            s = k.subgradient(x).astype("float64")
            slope = float(s @ direction)
            far = np.linalg.norm(direction, q)
            assert slope == pytest.approx(far, rel=1e-4, abs=100 / size)
            for z in (-size * direction, size * direction[::-1], direction):
                rise = float(k.value(z.astype(dtype))) - float(k.value(x))
                assert rise >= float(s @ (z.astype(dtype).astype("float64") - x)) - 1e-4 * size * far


def test_each_of_two_blocks_far_out_has_its_own_subgradient() -> None:
    k = infimal_convolution(K("l2"), K("half_linf_squared"))
    both = (np.asarray([[1e9], [3e10]]) * np.random.default_rng(0).standard_normal((2, 6))).astype("float32")
    for row, s in zip(both, k._subgradient(xp, both, 1), strict=True):
        np.testing.assert_allclose(s, row / np.linalg.norm(row), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("y", "value"), [((10.0, 1.0), 1.0), ((10.0, 3.0), 1.0), ((3.0, -0.5), 0.625), ((4.0, 4.0), 1.0)]
)
def test_within_a_wide_tolerance_a_conjugate_is_that_at_the_projection(y, value):
    """dom K* is the square plus the l1 ball: by hand, the projections are (2, 1), (2, 1), (2, -1/2) and (3/2, 3/2), and
    K* is half the square of what the l1 ball leaves of them.
    """
    conjugate = (K("huber") + K("linf")).conjugate
    assert float(conjugate.value(np.asarray(y), tol=100.0)) == pytest.approx(value, rel=1e-6)
    assert float(conjugate.value(np.asarray(y), tol=1e-3)) == np.inf


def test_the_usual_tolerance_of_a_stack_asks_for_no_projection(monkeypatch) -> None:
    conjugate, x = (K("nuclear") + K("huber")).conjugate, np.random.default_rng(0).standard_normal((40, 3, 3))
    y = 0.5 * (K("nuclear") + K("huber")).subgradient(x)
    monkeypatch.delattr(Minkowski, "_project")
    assert np.isfinite(conjugate.value(y))


@pytest.mark.parametrize("scale", [1e-3, 1e-7, 1e-17])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("second", ["relu_square", "positive part", "half_l1_squared"])
def test_a_small_point_outside_a_cone_is_no_member_of_it(second, dtype, scale):
    """K of squares: K*(s y) = s^2 K*(y), however small s is beside the rounding of 1."""
    k = K("half_linf_squared").moreau(0.3)
    k = k + (positive_part(K("half_square")) if second == "positive part" else K(second))
    y = np.asarray([0.3, -0.7, 0.0, -0.9], dtype=dtype)
    low, high = (float(v) / scale**2 for v in k.conjugate.bounds(np.asarray(scale, dtype) * y))
    value = float(k.conjugate.value(y))
    assert low * (1 - 1e-3) <= value <= high * (1 + 1e-3)


@pytest.mark.parametrize("y", [1e23, -1e26, 1e51])
@pytest.mark.parametrize("second", ["huber", "half_l1_squared", "elastic"])
def test_far_out_a_sum_whose_slopes_overflow_has_numbers(second, y):
    """K of a hyperbolic cosine, whose slope at y is beyond the dtype while K*(y), some |y| log |y| or less, is not."""
    k = K("asinh").conjugate + K(second)
    y = np.asarray([y, -0.3, 0.0])
    low, high = (float(v) for v in k.conjugate.bounds(y))
    s = k.conjugate.subgradient(y)
    assert np.isfinite(s).all()
    below = float(y @ s) - float(k.value(s))
    assert low <= high < np.inf
    assert below <= high * (1 + 1e-12)


@pytest.fixture
def evaluations(monkeypatch) -> list[int]:
    """An entry for each evaluation of a residual."""
    seen, at = [], split_steps.Problem._at
    monkeypatch.setattr(split_steps.Problem, "_at", lambda self, z: seen.append(1) or at(self, z))
    return seen


LONG = "softplus + top_k", "softsign + linf", "lp + log_cosh", "arctan + top_k", "asinh + top_k"


@pytest.mark.parametrize("n", [1000, 10000])
@pytest.mark.parametrize("names", LONG)
def test_a_split_of_many_entries_has_a_step_length_for_each(names: str, n: int, evaluations) -> None:
    """Slopes from 1 to 1e-5 along one point. With one length for all of them most took 100 to 400 evaluations."""
    first, second = (K(name) for name in names.split(" + "))
    x = 3 * np.random.default_rng(n).standard_normal(n)
    y = first.subgradient(x) + second.subgradient(x)
    truth, size = float(x @ y) - float(first.value(x)) - float(second.value(x)), float(abs(x) @ abs(y))
    lower, upper = (first + second).conjugate.bounds(y)
    assert truth - 1e-12 * size <= upper
    assert lower <= truth + 1e-12 * size
    assert upper - lower <= 1e-10 * size
    assert len(evaluations) <= 100


@pytest.mark.parametrize("names", [*LONG[:-1], "owl + log_cosh", "log_sum_exp + l1 + linf"])
def test_a_split_ends_where_a_direction_shows_that_there_is_none(names: str, evaluations) -> None:
    """Half of the entries of y are farther than any slope. That took 400 evaluations."""
    k = reduce(add, (K(name) for name in names.split(" + ")))
    y = 2.5 * np.random.default_rng(1).standard_normal(300)
    lower, upper = k.conjugate.bounds(y)
    assert lower < upper == np.inf
    assert len(evaluations) <= 40


SLOPES = {"cosh": mpmath.sinh, "power": mpmath.sqrt, "log_cosh": mpmath.tanh}


@pytest.mark.parametrize("t", [2e-250, 3e-42, 2e-10, 1e-3, 3e3])
@pytest.mark.parametrize("name", SLOPES)
def test_the_prox_of_a_sum_with_linf_at_any_step_length(name: str, t: float) -> None:
    """It cuts the prox of the other function at the height r where ``sum (|x_i| - r)/t - K'(r)`` over these is 1."""
    slope, step, k = SLOPES[name], mpmath.mpf(t), K(name) + K("linf")
    for size in (1e-3, 1.0, 30.0):
        x = size * np.asarray([0.7, -1.3, 0.2])
        with mpmath.workdps(400):
            sizes = [mpmath.mpf(abs(float(v))) for v in x]
            near = [_root(lambda p, v=v: p + step * slope(p) - v, v) for v in sizes]

            def rest(r, sizes=sizes, near=near):
                return 1 - sum((v - r) / step - slope(r) for v, p in zip(sizes, near, strict=True) if p > r)

            height = _root(rest, max(near))
            expected = [float(min(p, height)) for p in near]
        found = k.prox(x, t)
        np.testing.assert_array_equal(np.sign(found), np.sign(x) * (np.abs(found) > 0))
        np.testing.assert_allclose(np.abs(found), expected, rtol=0, atol=1e-12 * max(expected) + 1e-290)


def _root(f, high):
    """Of an increasing function on ``(0, high]``, to 20 digits, or 0 where it is below 1e-320."""
    low = mpmath.mpf(10) ** -320
    if f(low) >= 0:
        return mpmath.mpf(0)
    while high - low > high * mpmath.mpf(10) ** -20:
        middle = mpmath.sqrt(low * high)
        low, high = (low, middle) if f(middle) >= 0 else (middle, high)
    return high
