"""Maxima of two functions, whose sets make a hull, and dual norms of the norms that rules make, against SciPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar, nnls

import lionk
from lionk.functions import block_lift, infimal_convolution, linear_map, matrix_lift, maximum, radial_lift

K = lionk.K
RNG = np.random.default_rng


def _nearest_of(points: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The nearest point of a hull of points, by nonnegative least squares: weights that add up to 1."""
    heavy = 1e5
    weights, _ = nnls(np.vstack([points.T, heavy * np.ones(len(points))]), np.append(y, heavy))
    return weights @ points / weights.sum()


SIGNS, UNITS = list(itertools.product((-1, 1), repeat=3)), [*np.eye(3), *-np.eye(3)]
CORNERS = {  # a maximum of two functions, and the corners of the hull of their sets
    "l1, 2 linf": (lambda: maximum(K("l1"), 2 * K("linf")), [*SIGNS, *(2 * u for u in UNITS)]),
    "relu, max": (lambda: maximum("relu", 1.5 * K("max")), [*itertools.product((0, 1), repeat=3), *1.5 * np.eye(3)]),
    "max, -min": (lambda: maximum("max", K("max").dilate(-2.0)), [*np.eye(3), *-2 * np.eye(3)]),
}


@pytest.mark.parametrize("name", CORNERS)
def test_maxima_without_a_ball_have_membership_projection_and_prox(name: str) -> None:
    build, corners = CORNERS[name]
    k, corners = build(), np.asarray(corners, float)
    hull, rng = k.conjugate.domain, RNG(0)
    for size in (0.3, 1.0, 5.0):
        y = size * rng.standard_normal(3)
        near = _nearest_of(corners, y)
        away = np.linalg.norm(y - near)
        np.testing.assert_allclose(hull.project(y), near, atol=1e-6)
        assert float(hull.distance(y)) == pytest.approx(away, abs=1e-6)
        assert bool(hull.contains(y)) is bool(away < 1e-6)
        assert (float(k.conjugate.value(y)) == 0.0) is bool(away < 1e-6)
        np.testing.assert_allclose(k.prox(y, 1.0), y - near, atol=1e-6)
    assert hull.contains(corners.mean(0))
    assert not hull.contains(np.asarray([np.inf, 0.0, 0.0]))


def test_long_iterations_are_not_available() -> None:
    """Those with decompositions, and those inside of others; where one of the two is a ball there is none."""
    edges = maximum("l1", 2 * K("linf"))
    for k in (maximum("row_l1_l2", "col_l1_l2"), maximum(edges, "max")):
        assert not k.traits.prox
        for f in (k.conjugate.value, k.conjugate.domain.project, k.prox):
            with pytest.raises(lionk.NotAvailable, match="multiple of l2"):
                f(np.eye(3))
        assert not maximum(k, 5 * K("l2")).traits.prox
    for k in (edges, maximum("nuclear", "l2"), maximum(maximum("l1", "l2"), 3 * K("l2"))):
        assert k.traits.prox


def soft(y: Any, t: float) -> np.ndarray:
    return np.maximum(abs(np.ravel(y)) - t, 0)


def ball_and_box(y: Any) -> float:
    """The least t with y in t (B_inf + B_2), the norm dual to l1 + l2."""
    return brentq(lambda t: np.linalg.norm(soft(y, t)) - t, 0, 2 * np.linalg.norm(y), xtol=1e-14)


def spectral(x: np.ndarray) -> float:
    return float(np.linalg.norm(x, 2))


B = np.eye(3) + 0.2 * np.arange(9).reshape(3, 3) % 0.7


def split(y: np.ndarray) -> float:
    """The least ``|u|_inf + |v|_2/2`` over u + v = y, the norm dual to max(l1, 2 l2)."""
    return minimize_scalar(
        lambda t: t + np.linalg.norm(soft(y, t)) / 2,
        bounds=(0, abs(y).max()),
        method="bounded",
        options={"xatol": 1e-12},
    ).fun


def halves(norm: Callable[[np.ndarray], float], *cut: int) -> Callable[[np.ndarray], float]:
    return lambda y: max(norm(part) for part in np.split(y, cut))


NORMS: dict[str, tuple[Callable[[], Any], tuple[int, ...], Callable[[np.ndarray], float]]] = {
    "nuclear of blocks": (lambda: block_lift("nuclear", 0, 2), (4, 3), halves(spectral, 2)),
    "linf of uneven blocks": (lambda: block_lift("linf", 0, [1, 3]), (4, 3), halves(lambda b: abs(b).sum(), 1)),
    "nuclear of a stack": (
        lambda: matrix_lift("nuclear", 0, 2), (3, 2, 2), lambda y: max(spectral(y[:, i]) for i in (0, 1))
    ),
    "kernel": (lambda: matrix_lift("nuclear", 0), (3, 2, 2), lambda y: spectral(y.reshape(3, 4))),
    "blocks of blocks": (
        lambda: block_lift(block_lift("l2", 1, 2), 0, 2), (2, 4),
        lambda y: np.linalg.norm(y.reshape(-1, 2), axis=1).max(),
    ),
    "l1 + l2": (lambda: K("l1") + K("l2"), (6,), ball_and_box),
    "nuclear and frobenius": (
        lambda: K("nuclear_frobenius"), (4, 3), lambda y: 2 * ball_and_box(np.linalg.svd(y, compute_uv=False))
    ),
    "max(l1, 2 l2)": (lambda: maximum("l1", 2 * K("l2")), (5,), split),
    "top 2, as an intersection": (
        lambda: infimal_convolution("l1", 2 * K("linf")), (5,), lambda y: max(abs(y).max(), abs(y).sum() / 2)
    ),
    "l1 of a map": (lambda: linear_map("l1", B), (3,), lambda y: abs(np.linalg.solve(B.T, y)).max()),
}  # fmt: skip


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("size", [1.0, 1e-30, 1e30])
def test_the_square_of_a_norm_has_the_square_of_its_dual_norm(name: str, size: float) -> None:
    build, shape, dual = NORMS[name]
    k, rng = radial_lift("half_square", build()).dilate(1 / size), RNG(2)
    ties = np.ones(shape)
    for y in (rng.standard_normal(shape), np.round(2 * rng.standard_normal(shape)), ties, 0 * ties):
        truth, s = dual(y) ** 2 / 2 if y.any() else 0.0, k.conjugate.subgradient(y / size)
        assert float(k.conjugate.value(y / size)) == pytest.approx(truth, rel=1e-7, abs=1e-300)
        assert float(k.value(s)) == pytest.approx(truth, rel=1e-7, abs=1e-300)
        assert float((s * y).sum()) / size == pytest.approx(2 * truth, rel=1e-7, abs=1e-300)
    if k.traits.prox and size == 1:
        p = k.prox(y := rng.standard_normal(shape), 0.7)
        np.testing.assert_allclose(p + 0.7 * k.conjugate.prox(y / 0.7, 1 / 0.7), y, atol=1e-6)
        assert float(k.fenchel_young(p, (y - p) / 0.7)) == pytest.approx(0, abs=1e-6)
    assert k.conjugate.value(np.full(shape, np.inf)) == np.inf


def test_constraints_by_dual_norms_of_blocks() -> None:
    """A ball of a coupled norm: Muon by blocks whose steps share one length, and projections on its set."""
    K_ = radial_lift("l1", block_lift("nuclear", 0, 2))
    c, rng = K_.conjugate.domain, RNG(3)
    y = rng.standard_normal((4, 3))
    near = c.project(5 * y)
    assert max(map(spectral, (near[:2], near[2:]))) == pytest.approx(1)
    other = radial_lift("l1", block_lift("spectral", 0, 2))
    near = other.conjugate.domain.project(5 * y)
    sums = [np.linalg.svd(b, compute_uv=False).sum() for b in (near[:2], near[2:])]
    assert max(sums) == pytest.approx(1)
    r = 5 * y - near
    assert float((r * near).sum()) == pytest.approx(sum(map(spectral, (r[:2], r[2:]))))


def test_norms_without_a_dual_norm_say_so() -> None:
    with pytest.raises(lionk.NotAvailable, match="no known dual norm"):
        radial_lift("half_square", "total_variation")
