"""``radial_lift`` over blocks, against the norms and dual norms of NumPy: values, steps, proxes, projections."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lionk
from backends_under_test import BACKENDS
from lionk.arrays.containers import tree_map
from lionk.functions import radial_lift

SHAPES = {"w": (3, 2), "b": (4,), "c": (3,)}
TREE = {"w": "nuclear", "b": "l1", "c": "l2"}
NORMS = {
    "w": lambda a: np.linalg.svd(a, compute_uv=False).sum(), "b": lambda a: abs(a).sum(), "c": np.linalg.norm,
}  # fmt: skip
DUALS = {"w": lambda a: np.linalg.norm(a, 2), "b": lambda a: abs(a).max(), "c": np.linalg.norm}
COMBINE = {"sum": sum, "max": max}
OTHER = {"sum": "max", "max": "sum"}
# phi, phi* and phi' for r >= 0
PHI = {
    "half_square": (lambda r: r * r / 2, lambda r: r * r / 2, lambda r: r),
    "l1": (lambda r: r, lambda r: np.inf if r > 1 + 1e-9 else 0.0, lambda r: float(r > 0)),
    "huber": (
        lambda r: r * r / 2 if r <= 1 else r - 0.5, lambda r: np.inf if r > 1 + 1e-9 else r * r / 2, lambda r: min(r, 1)
    ),
}  # fmt: skip
CASES = [(phi, combine) for phi in PHI for combine in COMBINE]


def points(seed: int, size: float = 1.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {k: size * rng.standard_normal(shape) for k, shape in SHAPES.items()}


def norm(x: dict[str, Any], how: str, norms: dict[str, Any] = NORMS) -> float:
    return COMBINE[how]([float(norms[k](x[k])) for k in x])


def oracle(phi: str, how: str, x: dict[str, Any]) -> float:
    return PHI[phi][0](norm(x, how))


def dual(phi: str, how: str, y: dict[str, Any]) -> float:
    return PHI[phi][1](norm(y, OTHER[how], DUALS))


def inner(x: dict[str, Any], y: dict[str, Any]) -> float:
    return float(sum((x[k] * y[k]).sum() for k in x))


@pytest.mark.parametrize(("phi", "how"), CASES)
@pytest.mark.parametrize("size", [0.05, 1.0, 20.0])
def test_value_conjugate_and_subgradient(phi: str, how: str, size: float) -> None:
    K = radial_lift(phi, TREE, how)
    for seed in range(3):
        x, z = points(seed, size), points(seed + 10, size)
        s = K.subgradient(x)
        assert float(K(x)) == pytest.approx(oracle(phi, how, x), rel=1e-13)
        assert inner(x, s) == pytest.approx(oracle(phi, how, x) + dual(phi, how, s), rel=1e-12)
        assert oracle(phi, how, z) >= oracle(phi, how, x) + inner(s, {k: z[k] - x[k] for k in x}) - 1e-9
        lower, upper = K.bounds(x)
        assert lower <= oracle(phi, how, x) <= upper < lower * (1 + 1e-11) + 1e-11
        y = {k: 0.99 * v for k, v in s.items()}
        assert float(K.conjugate(y)) == pytest.approx(dual(phi, how, y), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(("phi", "how"), CASES)
@pytest.mark.parametrize("dual_side", [False, True])
def test_proximal_points_are_optimal(phi: str, how: str, dual_side: bool) -> None:
    K = radial_lift(phi, TREE, how)
    value, other = (dual, oracle) if dual_side else (oracle, dual)
    for seed, t in ((0, 0.3), (1, 5.0), (2, 0.01)):
        x = points(seed)
        z = (K.conjugate if dual_side else K).prox(x, t)
        q = {k: (x[k] - z[k]) / t for k in x}
        total = value(phi, how, z) + other(phi, how, q)
        assert total == pytest.approx(inner(z, q), rel=1e-9, abs=1e-9)  # q is in the subdifferential at z


def test_a_step_of_the_sum_is_the_dual_norm_times_the_polar_factors() -> None:
    K = radial_lift("half_square", lionk.blocks("nuclear"))
    rng = np.random.default_rng(0)
    x = [rng.standard_normal(s) for s in ((3, 2), (2, 5), (4, 4))]
    parts = [np.linalg.svd(a, full_matrices=False) for a in x]
    length = sum(s.sum() for _, s, _ in parts)
    for found, (u, _, v) in zip(K.subgradient(x), parts, strict=True):
        np.testing.assert_allclose(found, length * u @ v, rtol=1e-12, atol=1e-12)


def test_the_largest_norm_takes_all_and_ties_share() -> None:
    K = radial_lift("l1", {"a": "l1", "b": "l2"}, "max")
    for a, b, first in (([2.0, -1.0], [0.0, 1.0], 1.0), ([1.0, -1.0], [0.0, 2.0], 0.5), ([0.0, 1.0], [2.0, 0.0], 0.0)):
        s = K.subgradient({"a": np.asarray(a), "b": np.asarray(b)})
        np.testing.assert_allclose(s["a"], first * np.sign(a))
        np.testing.assert_allclose(s["b"], (1 - first) * np.asarray(b) / np.linalg.norm(b))


@pytest.mark.parametrize("how", COMBINE)
def test_its_ball(how: str) -> None:
    K = radial_lift("l1", TREE, how)
    C = K.conjugate.domain
    inside = K.subgradient(points(3))
    assert bool(C.contains(inside))
    assert all((C.project({k: v * 0.9 for k, v in inside.items()})[k] == 0.9 * inside[k]).all() for k in inside)
    for seed in range(3):
        y = points(seed)
        near = C.project(y)
        assert norm(near, OTHER[how], DUALS) == pytest.approx(1, abs=1e-9)
        for other in (inside, K.subgradient(points(seed + 20)), {k: 0 * v for k, v in y.items()}):
            assert inner({k: y[k] - near[k] for k in y}, {k: other[k] - near[k] for k in y}) <= 1e-9
        away = np.sqrt(sum(((y[k] - near[k]) ** 2).sum() for k in y))
        assert float(C.distance(y)) == pytest.approx(away)
        assert not bool(C.contains(y))
        assert float(C.support(y)) == pytest.approx(norm(y, how))
        pairs = [K.subgradient(points(s)) for s in (seed, seed + 1)]
        assert np.sqrt(sum(((pairs[0][k] - pairs[1][k]) ** 2).sum() for k in y)) <= C.diameter(SHAPES)


def test_zero_nan_and_what_is_refused() -> None:
    for how in COMBINE:
        K = radial_lift("half_square", TREE, how)
        zero = {k: np.zeros(s) for k, s in SHAPES.items()}
        assert float(K(zero)) == 0
        assert not any(v.any() for v in K.subgradient(zero).values())
        assert np.isnan(K({**zero, "b": np.asarray([np.nan, 0, 0, 0])}))
        assert lionk.K(K.spec) == K
        assert K.conjugate.conjugate is K
    with pytest.raises(ValueError, match="combine must be"):
        radial_lift("l1", TREE, "mean")
    with pytest.raises(ValueError, match=r"needs a norm for each block.*and b is"):
        radial_lift("l1", {**TREE, "b": "huber"})
    with pytest.raises(ValueError, match="even phi"):
        radial_lift("relu", TREE)
    with pytest.raises(ValueError, match="make each matrix a block"):
        radial_lift("l1", {"w": "nuclear"})({"w": np.ones((2, 3, 2))})
    with pytest.raises(TypeError, match="one array"):
        lionk.LionK(K).step(np.ones(2), np.ones(2), lionk.LionK(K).init(np.ones(2)))


@pytest.mark.parametrize("name", ["strict", "torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_on_other_libraries(name: str) -> None:
    there = BACKENDS[name]
    with there.active(("linalg",)):
        for phi, how in CASES:
            K, x = radial_lift(phi, TREE, how), points(0)
            put = tree_map(lambda a: there.put(a, "float64"), x)
            for f in (K.value, K.subgradient, K.prox, K.conjugate.prox, K.conjugate.domain.project):
                want = f(x)
                got = tree_map(there.get, f(put))
                tree_map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10), got, want)
