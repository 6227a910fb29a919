"""Both ends of a number that an iteration makes: true, close, and what the gap is made with."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
from scipy import optimize, special

import grammar
import lionk
from backends_under_test import BACKENDS
from lionk.arrays import roots
from lionk.functions import centered, infimal_convolution, linear_map, radial_lift, spectral_lift
from lionk.theory import gap_rounding

K = lionk.K


def pair(a: str, b: str) -> grammar.Made:
    """A sum of two names, with its oracle."""
    tables = {**grammar.SCALAR, **grammar.VECTOR, **grammar.MATRIX}
    (p, f), (q, g) = tables[a], tables[b]
    return grammar.Made(f"{a} + {b}", K(a, **p) + K(b, **q), lambda x: f(x) + g(x))


NEAR_THE_EDGE = np.asarray([1.970201, 1.054976, 1.214631])  # 0.005 inside dom K* of softsign + l2
ODD = [("softsign", "linf"), ("log_sum_exp", "l1"), ("pseudo_huber", "lp"), ("huber", "top_k"), ("power", "linf")]
ODD += [("smooth_linf", "l2"), ("asinh", "owl"), ("huber_l2", "max"), ("arctan", "log_cosh")]


def test_the_gap_of_softsign_and_l2_bounds_the_distance_to_the_minimum() -> None:
    """F - min F from SciPy: K* by maximising the concave <y, s> - K(s), the minimum of F by its smooth dual."""
    made, x, c = pair("softsign", "l2"), NEAR_THE_EDGE, np.asarray([2.055303, 1.114753, 1.175482])

    def dual(s: np.ndarray) -> tuple[float, np.ndarray]:  # of K*: minus <x, s> - K(s)
        r = float(np.linalg.norm(s))
        return made.at(s) - float(x @ s), s / (1 + abs(s)) + s / r - x

    value = -optimize.minimize(dual, np.asarray([500.0, 40, 100]), jac=True, method="BFGS", options={"gtol": 1e-12}).fun
    least = -optimize.minimize(lambda s: made.at(s) + s @ s / 2 - c @ s, c / 2, options={"gtol": 1e-12}).fun
    gap = float(lionk.kkt_gap(made.K, x, x - c, 1.0)) + float(gap_rounding(made.K, x, x - c, 1.0))
    truth = float((x - c) @ (x - c)) / 2 + value - least
    assert value == pytest.approx(float(made.K.conjugate.value(x)), rel=1e-9)
    assert 11.3 < truth <= gap


@pytest.mark.parametrize(("a", "b"), ODD)
def test_the_ends_hold_the_truth_and_the_value_and_are_close(a: str, b: str) -> None:
    made, rng = pair(a, b), np.random.default_rng(len(a + b))
    dual = made.K.conjugate
    for size, part in itertools.product((1.0, 20.0), (0.5, 0.9)):
        s = size * rng.standard_normal(4)
        y = part * made.K.subgradient(s) + (1 - part) * made.K.subgradient(rng.standard_normal(4))
        lower, upper = dual.bounds(y)
        assert lower <= dual.value(y) <= upper
        slope = dual.subgradient(y)
        scale = abs(upper) + abs(made.at(slope)) + float(abs(slope) @ abs(y))
        assert upper - lower <= (dual.traits.accuracy + 1e-13) * scale
        assert grammar.from_below(made, y, [s, slope], 400) <= upper + 1e-14 * scale
        assert lower <= float(slope @ y) - made.at(slope) + 1e-13 * scale


@pytest.mark.parametrize("name", ["linf", "huber", "log_cosh", "log_sum_exp", "exp"])
def test_closed_forms_have_the_width_of_rounding(name: str) -> None:
    k, x = K(name), np.asarray([0.3, -1.5, 2.0])
    for f, a in ((k, x), (k.conjugate, k.subgradient(x))):
        lower, upper = f.bounds(a)
        assert lower < f.value(a) < upper or lower == f.value(a) == upper == 0
        assert upper - lower <= 1e-12


def test_ends_outside_of_the_domain_and_of_what_is_no_number() -> None:
    dual = (K("softsign") + K("l2")).conjugate
    y = np.asarray([3.0, 0.0, 0.0])
    assert dual.bounds(y)[1] == np.inf and dual.value(y) == np.inf
    assert all(np.isnan(e) for e in dual.bounds(y * np.nan))
    assert gap_rounding(K("softsign") + K("l2"), y, y, 1.0) == np.inf


def test_ends_of_stacks_and_of_blocks_are_sums() -> None:
    k = K("spectral_softsign") + K("l1")
    x = np.random.default_rng(0).standard_normal((2, 1, 3, 2))
    whole, *parts = ([float(e) for e in k.bounds(a)] for a in (x, x[0], x[1]))
    both = [float(e) for e in lionk.blocks([k, k]).bounds([x[0], x[1]])]
    assert whole[0] <= k.value(x) <= whole[1]
    assert both == pytest.approx([a + b for a, b in zip(*parts, strict=True)], rel=1e-14)
    assert whole == pytest.approx(both, rel=1e-12)
    assert k.conjugate.bounds(0.9 * k.subgradient(x))[1] < math.inf


@pytest.mark.parametrize("name", ["strict", "torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_libraries_agree_on_the_ends(name: str) -> None:
    backend, k = BACKENDS[name], K("softsign") + K("l2")
    y = np.asarray([1.2, 0.5, -0.3])
    ends = [float(backend.get(e)) for e in k.conjugate.bounds(backend.put(y, "float64"))]
    assert ends == pytest.approx([float(e) for e in k.conjugate.bounds(y)], rel=1e-12)


@pytest.mark.parametrize("names", [("softsign", "l2"), ("softsign", "log_cosh"), ("log_sum_exp", "l1")])
def test_where_values_cannot_be_seen_the_number_of_steps_is_fixed(names, monkeypatch) -> None:
    k, y = K(names[0]) + K(names[1]), np.asarray([1.2, 0.5, -0.3])
    y = 0.9 * k.subgradient(y)
    seen = [float(e) for e in k.conjugate.bounds(y)]
    monkeypatch.setattr(roots, "visible", lambda *arrays: False)
    assert [float(e) for e in k.conjugate.bounds(y)] == pytest.approx(seen, rel=1e-9)


@pytest.mark.parametrize("names", [("soft_threshold", "linf"), ("softsign", "top_k"), ("berhu", "max")])
def test_a_fixed_number_of_steps_keeps_the_stated_accuracy(names, monkeypatch) -> None:
    k, rng = K(names[0]) + K(names[1]), np.random.default_rng(len(names[0]))
    for size in (1.0, 50.0):
        s, r = size * rng.standard_normal(100), rng.standard_normal(100)
        y = 0.9 * k.subgradient(s) + 0.1 * k.subgradient(r)
        value = float(k.conjugate.value(y))
        with monkeypatch.context() as patch:
            patch.setattr(roots, "visible", lambda *arrays: False)
            lower, upper = (float(e) for e in k.conjugate.bounds(y))
            slope = k.conjugate.subgradient(y)
        scale = abs(upper) + abs(float(k.value(slope))) + float(abs(slope) @ abs(y))
        assert lower - 1e-13 * scale <= value <= upper + 1e-13 * scale
        assert upper - lower <= k.conjugate.traits.accuracy * scale


def test_nothing_branches_on_traced_values() -> None:
    import jax

    k = K("log_cosh") + K("l2")  # a prox that is a root, in a split: loops, of which each step is written once
    program = jax.make_jaxpr(k.conjugate.value)(BACKENDS["jax"].put(np.asarray([1.2, 0.5]), "float64"))
    assert str(program).count("\n") < 5000


@pytest.mark.parametrize("build", [lambda: K("softsign") + K("l2"), lambda: K("log_sum_exp") + K("l1")])
def test_a_composed_conjugate_takes_few_proximal_steps(build, monkeypatch) -> None:
    """Counts, not times: 150 steps with nested bisections took 2 s for 4 entries."""
    from lionk.arrays import split_steps

    steps, run = [], split_steps.Problem.step
    monkeypatch.setattr(split_steps.Problem, "step", lambda self, *a: steps.append(1) or run(self, *a))
    k = build()
    for n in (4, 1000):
        steps.clear()
        y = 0.9 * k.subgradient(np.random.default_rng(n).standard_normal(n))
        lower, upper = k.conjugate.bounds(y)
        assert upper - lower <= 1e-10 * (1 + abs(upper))
        assert len(steps) <= 120


@pytest.mark.parametrize(
    "rows", [[[85.0], [1.0]], [[1e6], [1.0]], [[1e5, 3.0], [3.0, 2e-3]], [[1.0, 0.0], [1e-4, 2e3]]]
)
def test_a_split_whose_parts_drift_goes_on_until_they_arrive(rows) -> None:
    """Parts at a kink move by the same small step for as long as the sizes of the entries differ."""
    k, x = K("spectral_row"), np.asarray(rows)
    s = k.subgradient(x)
    assert abs(float(k.fenchel_young(x, s))) <= 1e-12 * float(np.sum(abs(x)))
    assert float(k.bounds(x)[1]) - float(k.bounds(x)[0]) <= 1e-10 * float(np.sum(abs(x)))


@pytest.mark.parametrize(("a", "b"), [("range", "linf"), ("total_variation", "linf"), ("total_variation", "l2")])
def test_the_slope_of_an_infimal_convolution_where_the_shared_set_is_flat(a: str, b: str) -> None:
    """dom K* lies in sum y = 0, which rounding leaves: the slope must not be drawn to 0 for that."""
    k, x = infimal_convolution(K(a), K(b)), np.asarray([-131.0, 542.0, -0.46, 1.86e-3])
    lower, upper = (float(e) for e in k.bounds(x))
    assert 0 < upper - 1e-9 * upper <= lower
    assert abs(float(k.fenchel_young(x, k.subgradient(x)))) <= 1e-9 * upper


@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 3)])
def test_an_envelope_of_an_infimal_convolution_is_not_below_it(shape) -> None:
    """A split into y and 0 counts where y is in the domain of its part, and nowhere else."""
    k = (spectral_lift(K("half_square")) + K("schatten", p=3.0)).ridge(2.5)
    x = 3 * np.random.default_rng(0).standard_normal(shape)
    s = k.subgradient(x)
    value = float(np.sum(x * s)) - float(k.value(x))
    assert float(k.conjugate.value(s)) == pytest.approx(value, rel=1e-9)


def _near(c: float, n: int = 200) -> np.ndarray:
    return (c + np.random.default_rng(n).uniform(-1e-3, 1e-3, n)).astype(np.float32)


HALF = _near(0.5) / 2
MIXED = np.asarray([[1.0, -1.0], [-1.0, 1.001]], np.float32)
CANCEL = {  # K, x in float32, and K(x) in float64: terms that cancel leave their rounding in what is left
    "a tilt": (K("l1").tilt(-1 + 1e-3), _near(0.7), lambda x: math.fsum(abs(x) - (1 - 1e-3) * x)),
    "a tilted slope": (K("softplus").tilt(-1.0), _near(8.0), lambda x: math.fsum(np.log1p(np.exp(-x)))),
    "a shift": (K("std").shift(1e3), _near(0.0, 20), lambda x: float(np.linalg.norm(x - x.mean()))),
    "a product": (K("half_square").shift(HALF).conjugate, 2 * HALF, lambda x: math.fsum(x * (x / 2 - HALF))),
    "a logarithm": (K("log_sum_exp"), _near(-math.log(200)), special.logsumexp),
    "a small one": (K("log_sum_exp"), np.asarray([0.0, -20.0], np.float32), lambda x: math.log1p(math.exp(-20))),
    "a sum": (K("log_sum_exp") + K("l1").tilt(-1.0), _near(-math.log(200)) + 6, special.logsumexp),
    "an envelope": (K("l1").tilt(-1 + 1e-3).moreau(2.0), _near(9.0), lambda x: math.fsum(1e-3 * x - 1e-6)),
    "a mean": (centered("l1"), _near(1e3, 20), lambda x: math.fsum(abs(x - x.mean()))),
    "a map": (linear_map("l1", MIXED), np.full(2, 1e3, np.float32), lambda x: math.fsum(abs(MIXED.astype(float) @ x))),
    "a kink": (K("dead_zone", threshold=0.4), np.full(1, 0.4, np.float32), lambda x: x[0] - 0.4),
    "a kink of a norm": (
        radial_lift(K("dead_zone", threshold=0.4), "l2"), np.full(1, 0.4, np.float32), lambda x: x[0] - 0.4,
    ),
    "a sum of none": (
        K("monotone"), np.asarray([-2.3060448, 0.33286887, 1.9731761], np.float32), lambda x: max(0.0, math.fsum(x)),
    ),
    "an eigenvalue": (
        K("lambda_max"), np.asarray([[1e-3, 1.0], [1.0, -1e3]], np.float32), lambda x: np.linalg.eigvalsh(x)[-1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CANCEL)
def test_ends_hold_what_is_left_where_terms_cancel(name: str) -> None:
    k, x, truth = CANCEL[name]
    lower, upper = (float(e) for e in k.bounds(x))
    assert lower <= truth(x.astype(float)) <= upper <= lower + 0.2


def test_ends_of_an_entropy_at_a_singular_matrix_are_quiet_and_hold_it(recwarn) -> None:
    """Rounding makes eigenvalues of 1e-17 of zeros, of which the entropy is 4e-16."""
    x = np.ones((3, 3)) / 3
    for name in ("log_trace_exp", "trace_exp"):
        lower, upper = K(name).conjugate.bounds(x)
        assert lower <= (0.0 if name == "log_trace_exp" else -1.0) <= upper <= lower + 1e-11
        assert np.all(np.isnan(K(name).conjugate.subgradient(x)))
    assert not recwarn.list


def test_ends_in_half_precision_are_infinite_where_the_value_is() -> None:
    lower, upper = K("l1").conjugate.bounds(np.asarray([3.0, 0.0], np.float16))
    assert lower == upper == np.inf


def test_envelopes_of_infimal_convolutions_are_close_where_the_nearest_point_is_at_the_edge() -> None:
    """A nearest point of an iteration is outside by its rounding, and no split of it counts; the envelope is finite."""
    k = ((K("linf") + K("huber_l2")).ridge(2.5) + K("pseudo_huber")).conjugate
    for y in (-17.986393, 3.2, 40.0):
        at = optimize.minimize_scalar(
            lambda s, y=y: s + (s - 0.5 if s > 1 else s * s / 2) + 1.25 * s * s + math.hypot(1, s) - 1 - abs(y) * s,
            bounds=(0, 40), method="bounded", options={"xatol": 1e-10},
        )  # fmt: skip
        assert float(k.value(np.asarray([y]))) == pytest.approx(-at.fun, rel=1e-9)
    envelope, x = (
        (K("l2") + K("softsign")).conjugate.moreau(0.7),
        30 * np.random.default_rng(0).standard_normal((20, 4)),
    )
    for row in x:
        lower, upper = envelope.bounds(row)
        assert upper <= lower + 1e-10 * (1 + upper)


SUMS = [("softsign", "l1", "linf"), ("log_cosh", "linf", "owl"), ("huber", "linf", "top_k", "l2")]
SUMS += [("huber_l2", "max", "asinh", "log_sum_exp"), ("linf", "half_square", "log_cosh")]


@pytest.mark.parametrize("names", SUMS)
def test_sums_of_sums_are_one_sum(names, monkeypatch) -> None:
    """However they are put together: one split, whose ends hold the truth, and not splits inside of each step."""
    from lionk.arrays import split_steps

    tables, made = {**grammar.SCALAR, **grammar.VECTOR}, []
    for name in names:
        parameters, f = tables[name]
        made.append((K(name, **parameters), f))
    k, reverse = (functools.reduce(lambda a, b: a + b, [k for k, _ in each]) for each in (made, made[::-1]))
    nested = made[0][0] + functools.reduce(lambda a, b: b + a, [k for k, _ in made[:0:-1]])
    assert k == nested == K(k.spec)
    oracle = grammar.Made(" + ".join(names), k, lambda x: sum(f(x) for _, f in made))
    rng, splits, run = np.random.default_rng(len(names)), [], split_steps.Problem.__init__
    s, r = 2 * rng.standard_normal(4), rng.standard_normal(4)
    y = 0.8 * k.subgradient(s) + 0.2 * k.subgradient(r)
    monkeypatch.setattr(split_steps.Problem, "__init__", lambda self, *a: splits.append(1) or run(self, *a))
    value = k.conjugate.value(y)
    assert len(splits) == 1
    lower, upper = k.conjugate.bounds(y)
    slope = k.conjugate.subgradient(y)
    scale = abs(upper) + abs(oracle.at(slope)) + float(abs(slope) @ abs(y))
    assert lower <= value <= upper <= lower + 1e-12 * scale
    assert grammar.from_below(oracle, y, [s, slope], 400) <= upper + 1e-14 * scale
    assert lower <= float(slope @ y) - oracle.at(slope) + 1e-13 * scale
    assert reverse.conjugate.value(y) == pytest.approx(value, abs=1e-12 * scale)
    p = k.prox(s, 0.5)
    least = oracle.at(p) + float((p - s) @ (p - s))
    for z in (s, p + 1e-3 * r, p - 1e-3 * r, p * (1 + 1e-3)):
        assert least <= oracle.at(z) + float((z - s) @ (z - s))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("y", [[1, -1, -1, -1, 1, 1], [1.25, -0.75, -0.5], [1.5, -0.5, -0.5, -0.5]])
def test_a_centred_conjugate_where_one_constant_alone_takes_it_into_the_domain(y, dtype) -> None:
    """Slopes are infinite at both ends of the domain at once. K* is the entropy at that constant, by the definition."""
    y = np.asarray(y, dtype)
    w = y.astype(float) - (y.max() + y.min()) / 2
    truth = float(np.sum(special.xlogy(1 + w, 1 + w) + special.xlogy(1 - w, 1 - w))) / 2
    lower, upper = centered("log_cosh").conjugate.bounds(y)
    assert float(lower) <= truth * (1 + np.finfo(dtype).eps) and truth <= float(upper) + 4 * np.finfo(dtype).eps * truth
    assert upper - lower <= 1e3 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_value_too_large_for_the_dtype_is_above_the_largest_number(dtype) -> None:
    """K is finite everywhere, so its lower end is; off a domain, or of infinite entries, both are infinite."""
    most = float(np.finfo(dtype).max)
    with np.errstate(over="ignore"):
        for k, large in (
            (lionk.K("cosh"), 800),
            (lionk.K("half_square"), most),
            (lionk.K("cosh") + lionk.K("l1"), 800),
        ):
            x = np.asarray([large, 1.0], dtype)
            assert k.value(x) == np.inf
            lower, upper = (float(e) for e in k.bounds(x))
            assert 0.99 * most <= lower <= most < upper
            assert k.bounds(np.asarray([np.inf, 1.0], dtype)) == (np.inf, np.inf)
    assert lionk.K("l1").conjugate.bounds(np.asarray([2.0, 0.0], dtype)) == (np.inf, np.inf)
    assert lionk.K("l1").conjugate.bounds(np.asarray([2.0, 0.0], dtype)) == (np.inf, np.inf)


def test_an_envelope_of_a_tilted_function_keeps_its_digits_next_to_0() -> None:
    """There it is ``|x|^2/(2 mu)``. Its slope is a prox of the conjugate, which has the rounding of the tilt."""
    k = radial_lift("elastic", "owl").tilt(0.3).moreau(0.3)
    x = 1e-8 * np.asarray([6.0, 4.0, 5.5, -5.0])
    exact = float(x @ x) / 0.6
    assert k.value(x) == pytest.approx(exact, rel=1e-14)
    lower, upper = k.bounds(x)
    assert lower <= exact <= upper and upper - lower <= 1e-13 * exact


@pytest.mark.parametrize("t", [1e2, 4e6, 1e12])
def test_the_prox_of_an_envelope_of_a_tilted_function_at_long_steps(t: float) -> None:
    """``p + t s = x`` with s in dK*(p): in float32 it was off by t times the rounding of the tilt."""
    c, x, s = np.asarray([2.5, 1.4, -1.0, -2.5]), np.asarray([0.4, 0.7, -0.3, -0.5]), np.zeros(4)
    k = K("softsign").shift(c).ridge(2.5)
    for _ in range(40):  # s = (x - dsoftsign(s + c))/(t + 2.5)
        s = (x - (s + c) / (1 + abs(s + c))) / (t + 2.5)
    exact = (s + c) / (1 + abs(s + c)) + 2.5 * s
    for dtype in (np.float32, np.float64):
        p = k.conjugate.prox(np.asarray(x, dtype), t)
        np.testing.assert_allclose(p, exact, rtol=0, atol=400 * np.finfo(dtype).eps)
