"""Every function of matrices, and every rule over one, takes a stack as a sum of blocks; other shapes that occur."""

from __future__ import annotations

import numpy as np
import pytest

import lionk
from lionk.functions import block_lift, centered, entry, infimal_convolution, linear_map, maximum, radial_lift, smoothed

K = lionk.K
_L = np.asarray([[2.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.2, 0.0, 1.5]])

NAMES = [n for n in lionk.names() + lionk.algorithms() if entry(n).kind in ("matrix", "square", "symmetric")]
RULES = {
    "nuclear.moreau": lambda: K("nuclear").moreau(0.5),
    "half_nuclear_squared.ridge": lambda: K("half_nuclear_squared").ridge(0.5),
    "nuclear + frobenius + l1": lambda: (K("nuclear") + K("frobenius")) + K("l1"),
    "nuclear + l2": lambda: K("nuclear") + K("l2"),
    "nuclear [] half_nuclear_squared": lambda: infimal_convolution(
        K("half_nuclear_squared"), K("spectral_elastic").conjugate
    ),
    "max(nuclear, 1.5 frobenius)": lambda: maximum(K("nuclear"), 1.5 * K("frobenius")),
    "max(row, col)": lambda: maximum(K("row_l1_l2"), K("col_l1_l2")),
    "radial(huber, nuclear)": lambda: radial_lift("huber", "nuclear"),
    "radial(huber, row_l1_l2)": lambda: radial_lift("huber", "row_l1_l2"),
    "3 polar_grad.dilate(-2)": lambda: 3 * K("polar_grad").dilate(-2.0),
    "polar_grad.tilt(matrix)": lambda: K("polar_grad").tilt(_L),
    "(L X R) of half_nuclear_squared": lambda: linear_map(K("half_nuclear_squared"), _L, _L.T),
    "(L X R) of l2": lambda: linear_map(K("l2"), _L, _L),
    "block_lift(half_nuclear_squared)": lambda: block_lift(K("half_nuclear_squared"), -2, [1, 2]),
    "centered(nuclear)": lambda: centered("nuclear"),
    "centered(spectral_elastic)": lambda: centered("spectral_elastic"),
    "half square of a map": lambda: radial_lift("half_square", linear_map("nuclear", _L, _L.T)),
    "smoothed(spectral)": lambda: smoothed(K("spectral"), 0.3),
}
FUNCTIONS = {**{n: (lambda n=n: K(n)) for n in NAMES}, **RULES}


def _or_none(f, *args):
    try:
        return np.asarray(f(*args))
    except lionk.NotAvailable:
        return None


def _same(a, b, tol: float = 1e-9) -> None:
    assert (a is None) == (b is None)
    if a is not None:
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


LONG = {"nuclear [] half_nuclear_squared"}  # ten seconds; stacks of other infimal convolutions are in test_bound.py


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in FUNCTIONS])
def test_a_stack_is_a_sum_of_blocks(name) -> None:
    k = FUNCTIONS[name]()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 1, 3, 3))
    # an iteration ends when all blocks have converged: a block beside others may get more steps than alone
    near = 1e-3 if max(f.traits.accuracy for f in (k, k.conjugate)) > 0 else 1e-9
    for f, y in ((k, x), (k.conjugate, k.subgradient(x))):
        blocks = [y[i, j] for i, j in np.ndindex(2, 1)]
        _same(_or_none(f.value, y), sum(f.value(b) for b in blocks) if _or_none(f.value, y) is not None else None)
        for part in (f.subgradient, f.prox, f.domain.project):
            whole = _or_none(part, y)
            if whole is not None and np.all(np.isfinite(whole)):
                _same(whole.reshape(2, 3, 3), np.stack([np.asarray(part(b)) for b in blocks]), near)
        _same(
            _or_none(f.domain.distance, 3 * y),
            np.sqrt(sum(f.domain.distance(3 * b) ** 2 for b in blocks))
            if _or_none(f.domain.distance, y) is not None
            else None,
        )
    if _or_none(k.conjugate.value, k.subgradient(x)) is not None:
        assert abs(float(k.fenchel_young(x, k.subgradient(x)))) <= 1e-4 * (1 + float(k.value(x)))
        assert bool(k.conjugate.domain.contains(k.subgradient(x), 1e-4))


@pytest.mark.parametrize("name", ["half_nuclear_squared", "nuclear_frobenius", "radial(huber, nuclear)"])
def test_empty_stacks_and_matrices_of_one_row_or_column(name) -> None:
    k = FUNCTIONS[name]()
    assert float(k.value(np.zeros((0, 3, 2)))) == 0
    assert k.subgradient(np.zeros((0, 3, 2))).shape == (0, 3, 2)
    for shape in ((1, 4), (4, 1), (1, 1), (2, 1, 4), (2, 4, 1)):
        x = np.random.default_rng(1).standard_normal(shape)
        assert abs(float(k.fenchel_young(x, k.subgradient(x)))) <= 1e-12 * (1 + float(k.value(x)))


@pytest.mark.parametrize("name", [n for n in lionk.names() if entry(n).kind in ("vector", "scalar", "matrix")])
def test_transposed_strided_and_read_only_arrays(name) -> None:
    k = K(name)
    base = np.random.default_rng(2).standard_normal((6, 8))
    for view in (base[::2, ::2].T, base[::-2, 1:5], np.asfortranarray(base[:3, :4]), base[:4, 3:4], base[2:3, :4]):
        view.flags.writeable = False
        copy = view.copy(order="C")
        kept = copy.copy()
        for f in (k.value, k.subgradient, k.conjugate.value):
            np.testing.assert_allclose(f(view), f(copy), rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(view, kept)


@pytest.mark.parametrize(
    "k",
    [
        K("linf") + K("ky_fan", k=2),
        K("spectral") + K("l2"),
        maximum(K("nuclear"), 1.5 * K("frobenius")),
        maximum(K("l2"), K("row_l1_l2")),
        infimal_convolution(K("nuclear"), 1.2 * K("l2")),
        linear_map(K("l2"), _L, _L.T),
        linear_map(K("linf"), _L, _L.T),
        centered("nuclear"),
    ],
    ids=repr,
)
def test_blocks_of_a_stack_are_no_further_apart_than_the_diameter(k) -> None:
    """A set of vectors is one for each block, where its sum with a set of matrices makes blocks of a stack."""
    width = k.conjugate.domain.diameter((4, 3, 3))
    assert width == pytest.approx(2 * k.conjugate.domain.diameter((3, 3)))
    for seed in range(3):
        c = np.random.default_rng(seed).standard_normal((4, 3, 3))
        assert np.linalg.norm(k.subgradient(c) - k.subgradient(-c)) <= width * (1 + 1e-6)
