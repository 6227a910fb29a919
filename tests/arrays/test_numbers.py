"""``Backend.numbers``: what a library evaluates together, and prepares once, is what it is one by one."""

from __future__ import annotations

import math
import os

os.environ.setdefault("JAX_ENABLE_X64", "1")

import dask
import numpy as np
import pytest

import lionk
from lionk.backend.protocol import Backend
from lionk.solver.measures import final, iterate, membership
from turns import FULL

SHAPE = (6, 8)


@pytest.fixture(autouse=True)
def synchronous():
    with dask.config.set(scheduler="synchronous"):
        yield


def put(library, a):
    if library == "dask":
        import dask.array as da

        return da.from_array(a, chunks=(3, 8))
    return lionk.backends()[library].asarray(a)


def draw(seed=0, dtype="float64", size=0.3):
    rng = np.random.default_rng(seed)
    return [(size * rng.normal(size=SHAPE)).astype(dtype) for _ in range(3)]


CASES = [
    "l1",
    "huber",
    "l2",
    *(["linf"] if FULL else []),
    "half_square",
    "row_l1_l2",
    {"name": "blocks", "k": ["l1", "l2"]},  # of two arrays
]


@pytest.mark.parametrize(
    ("name", "lam", "library"),
    [
        (name, lam, library)
        for i, name in enumerate(CASES)
        for lam in (0.0, 0.5)
        for library in ("jax", "dask")
        if FULL or (lam == (i % 2) / 2 and (library == "dask" or name not in ("l1", "half_square")))
    ],
    ids=str,
)
def test_they_are_those_of_one_by_one(name, lam, library):
    """In lists of arrays too, outside the constraint as well as inside, with an average of gradients and without."""
    backend = lionk.backends()[library]
    several = isinstance(name, dict) and name["name"] == "blocks"
    K = lionk.blocks(["l1", "l2"]) if several else lionk.K(name)
    for seed, size, weight in ((0, 0.1, 0.4), (1, 0.1, 0.7), (2, 9.0, None)):
        x, m, grad = draw(seed, size=size)
        plain = [[a, 2 * a] if several else a for a in (x, m, grad)]
        here = [[put(library, a), put(library, 2 * a)] if several else put(library, a) for a in (x, m, grad)]
        got, want = (
            backend.numbers(iterate, K, *here, weight, 1e-9, lam=lam),
            Backend.numbers(backend, iterate, K, *plain, weight, 1e-9, lam=lam),
        )
        assert all(isinstance(v, float) for v in got)
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
        got = backend.numbers(final, K, 1.5, here[0], here[2], lam=lam)
        want = Backend.numbers(backend, final, K, 1.5, plain[0], plain[2], lam=lam)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)
        assert backend.numbers(membership, K, here[0], 1e-9, lam=lam) in [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]


@pytest.mark.parametrize("library", ["jax", "dask"])
def test_they_are_prepared_once_for_arrays_of_a_kind(library):
    backend, calls = lionk.backends()[library], []

    def function(x, a, *, lam):
        calls.append(1)
        return lam * a * x.sum(), math.inf, x.max()

    for k in range(1, 4):
        x = np.full((4, 4), float(k))
        assert backend.numbers(function, put(library, x), 0.5 * k, lam=2.0) == (16.0 * k * k, math.inf, k)
    assert len(calls) == 1
    assert backend.numbers(function, put(library, np.ones((2, 4))), 1.0, lam=2.0)[0] == 16.0
    assert backend.numbers(function, put(library, np.ones((2, 4))), 1.0, lam=3.0)[0] == 24.0
    assert len(calls) == 3


@pytest.mark.parametrize("library", ["jax", "dask"])
def test_numbers_do_not_raise_the_precision(library):
    seen = []

    def function(x, a):
        seen.append(str((a * x).dtype))
        return ((a * x).sum(),)

    lionk.backends()[library].numbers(function, put(library, np.ones((4, 4), dtype="float32")), 0.1)
    assert set(seen) == {"float32"}


@pytest.mark.parametrize("library", ["jax", "dask"])
def test_parameters_that_are_arrays(library):
    backend, (x, m, grad) = lionk.backends()[library], draw()
    for seed in (0, 1):
        c = 0.1 * np.random.default_rng(seed).normal(size=SHAPE)
        K, here = lionk.K("l1").tilt(put(library, c)), [put(library, a) for a in (x, m, grad)]
        got = backend.numbers(iterate, K, *here, 0.4, 1e-9, lam=0.5)
        want = Backend.numbers(backend, iterate, lionk.K("l1").tilt(c), x, m, grad, 0.4, 1e-9, lam=0.5)
        np.testing.assert_allclose(got, want, rtol=1e-9)


def test_jax_compiles_nothing_that_asks_the_host():
    import lionk_jax
    from lionk_jax import _numbers

    x, K = put("jax", np.full((3, 3), 1 / 3)), lionk.K("birkhoff")
    args = (K, x, x, x, 0.4, 1e-9)
    assert lionk_jax.backend.numbers(iterate, *args, lam=1.0)[1] == pytest.approx(1.0)  # <g, x>
    assert not hasattr(_numbers.compiled(iterate, {"lam": 1.0}, args), "lower")
