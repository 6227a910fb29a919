"""K bound to arrays of one kind: the bits of the methods behind the door, and stacks of arguments as rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lionk
import statements
from backends_under_test import BACKENDS
from lionk.sets.box import Whole
from table import TABLE, Case
from turns import in_turns


def _both(case: Case, count: int) -> list[tuple[Any, np.ndarray]]:
    """K and K*, each with points: kinks, ties and zeros for K, and for K* what K selects there."""
    x = np.random.default_rng(5).standard_normal((count, *case.shape))
    x[0] = 0.0
    x[1].reshape(-1)[::2] = 0.0
    x = x + np.swapaxes(x, -1, -2) if case.shape == (3, 3) else x
    K = case.K
    return [(K, x), (K.conjugate, np.stack([K.subgradient(a) for a in x]))]


@pytest.mark.parametrize("case", TABLE, ids=lambda c: c.id)
def test_bound_is_the_same_function(case) -> None:
    for K, x in _both(case, 3):
        bound = K.bind(x[0])
        assert bound.conjugate.conjugate is bound
        for a in x:
            np.testing.assert_array_equal(bound.value(a), K.value(a))
            np.testing.assert_array_equal(bound.conjugate.value(3 * a, 0.5), K.conjugate.value(3 * a, 0.5))
            got, want = bound.subgradient(a), K.subgradient(a)
            np.testing.assert_array_equal(got, want)
            assert got.dtype == want.dtype
            if K.traits.prox and not case.heavy:
                np.testing.assert_array_equal(bound.prox(a, 0.7), K.prox(a, 0.7))


@pytest.mark.parametrize("case", TABLE, ids=lambda c: c.id)
def test_a_stack_is_each_of_its_rows(case) -> None:
    """Rows do not see each other; an iteration that stops when all have converged may take more steps."""
    tol = 1e-12 + 10 * max(case.K.traits.accuracy, case.K.conjugate.traits.accuracy)
    for K, x in _both(case, 4 if not case.heavy else 2):
        stacked, y = K.bind(x[0], 1), np.concatenate([x, 3 * x])  # of K*: most are outside
        values = stacked.value(y)
        assert values.shape == y.shape[:1]
        np.testing.assert_allclose(values, [float(K.value(a)) for a in y], rtol=tol, atol=tol)
        subgradients = np.stack([K.subgradient(a) for a in x])
        np.testing.assert_allclose(stacked.subgradient(x), subgradients, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(stacked.inner(x, x), [(a * a).sum() for a in x])


@pytest.mark.parametrize(
    "case", [c for c in TABLE if not c.heavy and not isinstance(c.K.conjugate.domain, Whole)], ids=lambda c: c.id
)
def test_rows_far_out_loosen_no_other_row(case) -> None:
    """The tolerance of membership is that of each row, in single precision beside one that is ten million long."""
    K, draws = case.K, np.random.default_rng(6).standard_normal((3, *case.shape))
    K = K.to(like=np.zeros(1, dtype=np.float32))
    near = np.stack([1.3 * K.subgradient(a) for a in draws[:2].astype(np.float32)])
    y = np.concatenate([near, 1e7 * draws[2:]]).astype(np.float32)
    inside = np.isfinite(K.conjugate.bind(y[0], 1).value(y))
    np.testing.assert_array_equal(inside, [np.isfinite(K.conjugate.value(a)) for a in y])


TWO_BALLS = lionk.K("frobenius") + lionk.K("std")  # K* is known by the sum of two balls
TWO_SETS = lionk.functions.infimal_convolution(lionk.K("linf"), 0.5 * lionk.K("l2"))


TWO = [Case("two balls", lambda: TWO_BALLS, (3, 2)), Case("two sets", lambda: TWO_SETS, (2,))]


@pytest.mark.parametrize(
    "case", [*TWO, *(pytest.param(c, marks=[pytest.mark.slow] * c.heavy) for c in TABLE)], ids=lambda c: c.id
)
def test_short_proximal_points_alone_and_in_a_stack(case) -> None:
    """Where the prox is far shorter than its argument, and others in the stack are not."""
    drawn = statements.Case.of(case, 3)
    with np.errstate(over="ignore"):  # of powers far out, which are infinite
        statements.pairs(drawn)
    assert not drawn.false, drawn.false[0]


@pytest.mark.parametrize("sections", [2, (1, 3)])
def test_stacks_of_an_intersection_with_parts(sections) -> None:
    K = lionk.functions.infimal_convolution("linf", lionk.functions.block_lift(lionk.K("l2"), 0, sections))
    y = np.asarray([[0.3, 0.2, -0.1, 0.3], [0.9, 0.9, 0.0, 0.0], [0.1, 0.0, 0.9, 0.9]])
    np.testing.assert_array_equal(K.conjugate.bind(y[0], 1).value(y), [float(K.conjugate.value(a)) for a in y])


DTYPES = ["bfloat16", "float64", "float32", "complex64"]


@pytest.mark.parametrize(
    ("library", "dtype"),
    [*((library, d) for library in ("numpy", "torch") for d in DTYPES), *in_turns(["jax", "dask"], DTYPES)],
)
def test_every_library_and_precision(library, dtype) -> None:
    """16-bit arrays are computed with in float32, as by the door, and numbers stay so; other dtypes go through it."""
    backend = BACKENDS[library]
    if dtype not in (*backend.dtypes, *backend.low, *(["complex64"] if backend.complex else [])):
        pytest.skip(f"{library} has no {dtype} here")
    values = np.asarray([0.5, -1.25, 0.0, 3.0])
    x, other = backend.put(values, dtype), backend.put(values, "float32")
    for K in (lionk.K("l1"), lionk.K("l2").scale(2.0), lionk.K("l2").conjugate):
        bound = K.bind(x)
        for a in (x, other):
            value, wide = K.value(a), bound.value(a)
            assert wide.dtype == (other.dtype if dtype in backend.low else value.dtype)
            rounded = backend.xp.astype(wide, value.dtype)
            for got, want in ((rounded, value), (bound.subgradient(a), K.subgradient(a))):
                np.testing.assert_array_equal(backend.get(got), backend.get(want))
                assert got.dtype == want.dtype


def test_blocks() -> None:
    x = {"w": np.asarray([[1.0, -2.0], [0.5, 3.0]]), "b": [np.asarray([0.5, -0.25]), np.asarray(2.0)]}
    K = lionk.blocks({"w": "nuclear", "b": "l1"})
    for one in (K, K.conjugate):
        bound = one.bind(x)
        assert float(bound.value(x)) == float(one.value(x))
        for a, b in zip((s := bound.subgradient(x))["b"], one.subgradient(x)["b"], strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(s["w"], one.subgradient(x)["w"])
    twice = {"w": np.stack([x["w"], 2 * x["w"]]), "b": [np.stack([a, 2 * a]) for a in x["b"]]}
    value = float(K.value(x))
    np.testing.assert_allclose(K.bind(x, 1).value(twice), [value, 2 * value])
    squares = sum(float((a * a).sum()) for a in (x["w"], *x["b"]))
    np.testing.assert_allclose(K.bind(x, 1).inner(twice, twice), [squares, 4 * squares])


def test_the_door_of_bind_refuses_what_that_of_value_does() -> None:
    K = lionk.K("l1")
    for wrong in (np.arange(3), [1.0], np.ma.masked_array(np.ones(3))):
        with pytest.raises(TypeError) as by_value:
            K.value(wrong)
        with pytest.raises(TypeError) as by_bind:
            K.bind(wrong)
        assert str(by_bind.value) == str(by_value.value)
