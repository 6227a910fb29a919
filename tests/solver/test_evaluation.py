"""What a user's f does with what it is handed, and what it may return."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lionk
from backends_under_test import BACKENDS
from lionk.solver.evaluation import is_finite

TARGET = np.asarray([2.0, 0.3])


def _solved(fun, **given):
    return lionk.minimize(fun, np.zeros(2), K="l1", weight_decay=1.0, **{"jac": True, **given})


def _in_place(x):
    x -= TARGET
    return 0.5 * float(x @ x), x


_BUFFER = np.zeros(2)


def _one_buffer(x):
    np.subtract(x, TARGET, out=_BUFFER)
    return 0.5 * float(_BUFFER @ _BUFFER), _BUFFER


FUNCTIONS = {
    "works in place": (_in_place, True),
    "works in place, gradient apart": (lambda x: _in_place(x)[0], lambda x: _in_place(x)[1]),
    "one buffer for all gradients": (_one_buffer, True),
    "one buffer, gradient apart": (lambda x: _one_buffer(x)[0], lambda x: _one_buffer(x)[1]),
    "an array of one entry": (lambda x: (np.asarray([[_in_place(x.copy())[0]]]), x - TARGET), True),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_iterate_and_the_gradient_are_kept_apart(name) -> None:
    fun, jac = FUNCTIONS[name]
    plain = _solved(lambda x: (0.5 * float((x - TARGET) @ (x - TARGET)), x - TARGET))
    got = _solved(fun, jac=jac)
    assert got.success
    np.testing.assert_array_equal(got.x, plain.x)
    np.testing.assert_array_equal(got.history.f, plain.history.f)


def test_differentiated_functions_cannot_change_the_iterate() -> None:
    import torch

    target = torch.as_tensor(TARGET)

    def fun(x):
        with torch.no_grad():
            x -= 0 * x + 5.0
            x += 5.0 + 1e-3
        return torch.sum((x - target) ** 2) / 2

    x0 = torch.zeros(2, dtype=torch.float64)
    got = lionk.minimize(fun, x0, K="l1", weight_decay=1.0, maxiter=50)
    assert float(torch.max(torch.abs(got.last_x))) <= 1
    assert bool(torch.all(x0 == 0))


def test_gradients_of_another_library_and_values_of_several_entries_are_refused() -> None:
    with pytest.raises(TypeError, match="the gradient is an array of torch, but x is one of numpy"):
        _solved(lambda x: (0.0, BACKENDS["torch"].put(np.zeros(2), "float64")))
    x = BACKENDS["dask"].put(np.zeros(2), "float64")
    with pytest.raises(TypeError, match="the gradient is an array of numpy, but x is one of dask"):
        lionk.minimize(lambda x: (0.0, np.zeros(2)), x, K="l1", weight_decay=1.0, jac=True)
    with pytest.raises(ValueError, match="one entry"):
        _solved(lambda x: (np.zeros(2), x))


def test_masked_arrays_and_sizes_that_are_not_known_are_refused() -> None:
    masked = np.ma.masked_array(np.ones(3), [True, False, False])
    for f in (lionk.K("l1").value, lionk.K("l2").conjugate.domain.project):
        with pytest.raises(TypeError, match="masked array"):
            f(masked)
    with pytest.raises(TypeError, match="the gradient is a masked array"):
        _solved(lambda x: (0.0, np.ma.masked_array(x)))
    with pytest.raises(TypeError, match="f is a masked array"):
        _solved(lambda x: (np.ma.masked, x))
    with pytest.raises(TypeError, match="f must be a real number or a 0-d array, got bool"):
        _solved(lambda x: (True, x))
    x = BACKENDS["dask"].put(np.arange(4.0), "float64")
    unknown = x[x > 1]
    with pytest.raises(ValueError, match="unknown size"):
        lionk.K("l1").value(unknown)
    with pytest.raises(ValueError, match="unknown size"):
        lionk.minimize(lambda x: (0.0, x), unknown, K="l1", weight_decay=1.0, jac=True)


def test_a_gradient_with_fewer_digits_than_x_is_widened_and_what_is_no_gradient_is_named() -> None:
    """A float32 gradient for float64 must not fail the statement about the step by its rounding."""
    result = _solved(lambda x: (0.5 * float((x - TARGET) @ (x - TARGET)), (x - TARGET).astype("float32")))
    assert result.success
    assert not result.certificate.failed
    for dtype in ("int64", "object", "complex128"):
        with pytest.raises(TypeError, match=f"the gradient has dtype {dtype}, but x has float64"):
            _solved(lambda x, dtype=dtype: (0.0, (x - TARGET).astype(dtype)))


@pytest.mark.parametrize("name", ["numpy", "strict", "torch", "jax"])
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_a_gradient_whose_squares_overflow_is_told_from_one_that_is_not_finite(name, bad) -> None:
    b = BACKENDS[name]
    with b.active(), np.errstate(over="ignore"):
        for a in ([1e200, -1e200], [0.0, 1.0], []):
            assert bool(is_finite(b.put(np.asarray(a), "float64")))
            assert not bool(is_finite(b.put(np.asarray([*a, bad]), "float64")))


def test_the_numbers_of_a_start_with_gaps_between_its_entries_are_those_of_its_copy() -> None:
    wide = np.random.default_rng(0).normal(size=(40, 2))
    for x0 in (wide[:, 0], wide[::-1, 0]):
        runs = [
            lionk.minimize(
                lambda x: (0.5 * float(x @ x), x), x, K="l1", weight_decay=1.0, lr=0.01, jac=True, maxiter=20, tol=0.0
            )
            for x in (x0, x0.copy())
        ]
        np.testing.assert_array_equal(runs[0].last_x, runs[1].last_x)
        for one, other in zip(runs[0].history, runs[1].history, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)


def _squares(x):
    return 0.5 * float((x - TARGET) @ (x - TARGET)), x - TARGET


WRONG = {
    "not convex": lambda x: (-_squares(x)[0], TARGET - x),
    "a gradient of another size": lambda x: (_squares(x)[0], 1e-3 * (x - TARGET)),
    "a rounded f": lambda x: (float(round(10 * _squares(x)[0])), x - TARGET),
    "an f with noise": lambda x: (_squares(x)[0] + 0.1 * math.sin(1e6 * float(x.sum())), x - TARGET),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("given", [{}, {"lr": 0.1}, {"rule": "plateau"}, {"batch": 1}])
def test_no_run_succeeds_by_a_bound_that_f_contradicts(name, given) -> None:
    """A lower bound above F is no bound: f is not convex, or the gradient is another one's."""
    fun, start = WRONG[name], np.full(2, 0.5)
    if given.get("batch"):

        def many(x):
            f, g = zip(*map(fun, x), strict=True)
            return np.asarray(f), np.stack(g)

        r = lionk.minimize(many, start[None], K="l1", weight_decay=1.0, jac=True, convex=True, tol=1e-4, batch=1)
        assert not r.success[0] or name == "a rounded f"  # which is exact at the point where the problem goes on alone
        return
    run = {"K": "l1", "weight_decay": 1.0, "jac": True, "tol": 1e-4, "maxiter": 300, **given}
    r = lionk.minimize(fun, start, convex=True, **run)
    verdicts = {s.name: s.verdict for s in r.certificate.statements}
    assert not r.success
    assert "f is not convex, or the gradient is not that of f" in r.message
    assert verdicts["suboptimality bound"] == verdicts["momentum bound"] == "failed"
    assert r.gap >= 0
    r = lionk.minimize(fun, start, **run)  # nobody said that f is convex: a stationary point is looked for
    assert not r.certificate.failed
    assert {s.verdict for s in r.certificate.statements if "bound" in s.name} == {"does not apply"}


def _apart(x):
    g = {"w": x["w"] - 1, "v": x["v"]}
    return 0.5 * sum(float(np.sum(a**2)) for a in g.values()), g


BOTH = {"w": np.zeros(3), "v": np.ones((2, 2))}


def test_gradients_of_a_dict_may_have_its_keys_in_another_order() -> None:
    """As those of JAX have them, which sorts keys."""
    import jax

    assert BACKENDS["jax"].xp  # in double precision
    run = {"K": "l1", "weight_decay": 1.0, "jac": True, "convex": True}
    plain = lionk.minimize(_apart, BOTH, **run)
    turned = lionk.minimize(lambda x: (_apart(x)[0], dict(reversed(_apart(x)[1].items()))), BOTH, **run)
    both = jax.value_and_grad(lambda x: jax.numpy.sum((x["w"] - 1) ** 2) / 2 + jax.numpy.sum(x["v"] ** 2) / 2)
    sorted_keys = lionk.minimize(both, {k: jax.numpy.asarray(v) for k, v in BOTH.items()}, **run)
    assert plain.success
    assert list(turned.x) == ["w", "v"]
    for k in BOTH:
        np.testing.assert_array_equal(turned.x[k], plain.x[k])
        np.testing.assert_allclose(sorted_keys.x[k], plain.x[k], atol=1e-15)


LIKE_X = {
    "a list": (TARGET, list, "the gradient must be an array like x, got list; wrap"),
    "nothing": (TARGET, lambda g: None, r"the gradient must have shape \(2,\), got NoneType"),
    "a key too few": (BOTH, lambda g: {"w": g["w"]}, r"with \['w', 'v'\], got dict with \['w'\]"),
    "values": (BOTH, lambda g: list(g.values()), r"with \['w', 'v'\], got list with \['0', '1'\]"),
    "a tuple": ([TARGET, TARGET], tuple, "the gradient must be a container like x: .* list .* against tuple"),
    "a hole": (BOTH, lambda g: {**g, "v": None}, r"the gradient at v must have shape \(2, 2\), got NoneType"),
}


@pytest.mark.parametrize("name", LIKE_X)
def test_what_is_no_gradient_is_told_what_it_must_be(name) -> None:
    x0, change, match = LIKE_X[name]
    with pytest.raises(ValueError, match=match):
        lionk.minimize(lambda x: (0.0, change(x)), x0, K="l1", weight_decay=1.0, jac=True)


@pytest.mark.parametrize(
    ("x0", "match"),
    [
        (0.5, r"x0 must be an array .* got float; wrap it, e.g. numpy.asarray\(x0, dtype=float\)"),
        ([], "x0 must hold an array"),
        (np.asarray([1, 2]), "x0 has dtype int64"),
        ({"w": np.zeros(2), "v": None}, "x0.v must be an array .* got NoneType"),
        ({"w": np.zeros(2), "v": {"u": np.asarray([True])}}, "x0.v.u has dtype bool"),
    ],
)
def test_a_start_that_is_none_is_named(x0, match) -> None:
    with pytest.raises(TypeError, match=match):
        lionk.minimize(lambda x: (0.0, x), x0, K="l1", weight_decay=1.0, jac=True)


@pytest.mark.parametrize("lam", [1e-30, 1e-15, 1.0, 1e15, 1e30])
@pytest.mark.parametrize("K", ["l1", "l2"])
@pytest.mark.parametrize("given", [{}, {"lr": 0.3}, {"rule": "plateau"}])
def test_no_statement_of_a_certificate_depends_on_the_units_of_x(lam, K, given) -> None:
    c = np.asarray([4.1, -5.1, 0.8, -1.1]) / lam
    best = np.clip(c, -1 / lam, 1 / lam) if K == "l1" else c / np.linalg.norm(lam * c)
    given = {k: v / lam if k == "lr" else v for k, v in given.items()}
    r = lionk.minimize(
        lambda x: (float(np.sum((lam * (x - c)) ** 2)) / 2, lam * (lam * (x - c))),
        np.zeros(4), K=K, weight_decay=lam, jac=True, convex=True, maxiter=60, tol=1e-6, **given,
    )  # fmt: skip
    gain = r.objective - float(np.sum((lam * (best - c)) ** 2)) / 2
    assert -1e-12 <= gain <= min(r.gap + r.gap_rounding, r.momentum_gap)
    assert not r.certificate.failed, str(r.certificate)
