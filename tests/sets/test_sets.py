"""Sets on their own: membership to the last bit, tolerances, diameters, batches, and sums by iteration."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lionk
from helpers import norm
from lionk.sets import Affine, Ball, Box, Minkowski, Product, Spectral, TopK, Whole

RNG = np.random.default_rng
SETS = [
    (Box(), (5,)),
    (Box(-0.5, 2.0), (5,)),
    (Box(0.0, math.inf), (5,)),
    (Box(upper=(1.0, 0.0, 2.0, 3.0, 0.5)), (5,)),
    (Box(-1.0, np.asarray([1.0, 0.0, 2.0, 3.0, -0.5])), (5,)),
    (Ball(), (5,)),
    (Ball(1.1), (5,)),
    (Ball(3.0), (5,)),
    (Ball(30.0), (5,)),
    (TopK(), (5,)),
    (TopK(3), (5,)),
    (TopK(5), (5,)),
    (TopK(1, absolute=False), (5,)),
    (TopK(3, absolute=False), (5,)),
    (Affine(TopK(2), -2.0), (5,)),
    (Affine(Ball(3.0), 2.0, np.arange(5.0)), (5,)),
    (Spectral(Box()), (3, 4)),
    (Spectral(TopK(2)), (2, 3, 4)),
    (Spectral(Ball(3.0)), (3, 4)),
    (Minkowski(Box(), Ball()), (5,)),
    (Minkowski(Affine(Ball(), 0.5), TopK(2)), (5,)),
    (Minkowski(Spectral(Box()), Box()), (3, 4)),
    (lionk.K("group_l1_l2").conjugate.domain, (3, 4)),
    (lionk.K("group_linf_l2", axis=0).conjugate.domain, (3, 4)),
    (lionk.K("row_l1_linf").conjugate.domain, (3, 4)),
    (Whole(), (5,)),
]
sets = pytest.mark.parametrize(("c", "shape"), SETS, ids=lambda v: repr(v)[:60])


@sets
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_projections_are_nearest_members(c, shape, dtype) -> None:
    eps = float(np.finfo(dtype).eps)
    rng = RNG(0)
    members = [c.project(s * rng.standard_normal(shape).astype(dtype)) for s in (0.1, 1.0, 10.0)]
    for size in (0.1, 1.0, 10.0, 1e4):
        y = (size * rng.standard_normal(shape)).astype(dtype)
        p = c.project(y)
        loose = 300 * eps * (1 + norm(y))
        assert norm(c.project(p) - p) <= loose
        assert all(np.vdot(y - p, z - p) <= loose * (1 + norm(z)) for z in members)
        assert bool(c.contains(p))
        assert abs(float(c.distance(y)) - norm(y - p)) <= loose
        inside = bool(c.contains(y, 0))
        if inside:
            assert norm(y - p) <= loose
        elif norm(y - p) > loose:
            assert not bool(c.contains(y, 1e-6 if size < 100 else 0))


@sets
def test_tolerance_is_relative_to_the_size_of_the_set(c, shape) -> None:
    """A set a thousand times as large, and points a thousand times as far, give the same answers."""
    if isinstance(c, Whole) or not math.isfinite(c.diameter(shape)):
        return
    big = Affine(c, 1000.0)
    y = c.project(5 * RNG(1).standard_normal(shape))
    for k in (1.0, 1 + 1e-13, 1 + 1e-9, 1 + 1e-6, 1.1):
        for tol in (0.0, 1e-10, 1e-5):
            close = bool(c.contains(k * y, tol)), bool(big.contains(1000 * (k * y), tol))
            if abs(k - 1) * norm(y) > 1e-12 or tol > 0:
                assert close[0] == close[1] or 0.2 < tol / max((k - 1) * norm(y), 1e-15) < 10


@pytest.mark.parametrize(
    ("c", "inside", "outside"),
    [
        (Box(), [1.0, -1.0], [np.nextafter(1.0, 2), 0.0]),
        (Box(0.0, 1.0), [0.0, 1.0], [-5e-324, 0.5]),
        (Ball(), [0.6, 0.8], [0.6, 0.8000001]),
        (TopK(), [0.5, 0.5], [0.5, 0.5 + 2.0**-52]),
        (TopK(2), [1.0, -1.0, 0.0], [1.0, -1.0, 2.0**-50]),
        (TopK(1, absolute=False), [0.25, 0.75], [0.25, 0.75 + 2.0**-52]),
        (TopK(2, absolute=False), [1.0, 1.0, 0.0], [1.0, 0.5, 0.0]),
    ],
)
def test_membership_is_exact_with_tol_zero(c, inside, outside) -> None:
    assert bool(c.contains(np.asarray(inside), 0))
    assert float(c.distance(np.asarray(inside))) == 0
    np.testing.assert_array_equal(c.project(np.asarray(inside)), inside)
    assert not bool(c.contains(np.asarray(outside), 0))
    assert not bool(c.contains(np.asarray([*inside[:-1], np.nan]), 1e9))
    k = lionk.functions.indicator(c)
    assert k.value(np.asarray(inside), tol=0) == 0
    assert k.value(np.asarray(outside), tol=0) == math.inf
    assert k.value(np.asarray(outside), tol=1.0) == 0
    assert math.isnan(k.value(np.asarray([*inside[:-1], np.nan])))


@pytest.mark.parametrize("n", [1, 10, 3000, 100_000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_projections_on_large_simplices_are_members(dtype, n) -> None:
    """Their entries are small beside the largest one, from which they are measured."""
    rng = np.random.default_rng(0)
    spike = np.full(n, 0.43 / max(n - 1, 1))
    spike[0] = 0.57
    points = [spike * (1 + 1e-7), rng.dirichlet(np.ones(n)), rng.normal(size=n), 1e6 * rng.normal(size=n), np.zeros(n)]
    for y in (p.astype(dtype) for p in points):
        wide = np.sort(y.astype(float))[::-1]
        levels = (np.cumsum(wide) - 1) / np.arange(1, n + 1)
        near = np.clip(y - levels[np.nonzero(wide > levels)[0][-1]], 0, None)
        for K in ("max", "linf", *({"name": name, "k": min(3, n)} for name in ("capped_simplex", "top_k"))):
            domain = lionk.K(K).conjugate.domain
            got = domain.project(y)
            assert domain.contains(got), K
            if K == "max":
                np.testing.assert_allclose(got, near, rtol=0, atol=16 * np.finfo(dtype).eps)


def test_projections_on_ellipsoids_are_members() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        a = rng.normal(size=(4, 4))
        domain = lionk.K("ellipsoid", matrix=a @ a.T + 0.1 * np.eye(4)).conjugate.domain
        assert domain.contains(domain.project(10 * rng.normal(size=4)))


@sets
def test_diameter_is_the_largest_distance(c, shape) -> None:
    width = c.diameter(shape)
    if not math.isfinite(width):
        return
    rng = RNG(2)
    found = 0.0
    for _ in range(200):
        d = rng.standard_normal(shape) * (rng.random(shape) < rng.random())
        found = max(found, norm(c.lmo(d) - c.lmo(-d)))
    assert found <= width * (1 + 1e-12)
    if isinstance(c, (Box, Ball, TopK)) or (isinstance(c, Spectral) and isinstance(c.inner, (Box, TopK))):
        assert found >= 0.75 * width


def test_diameters_in_closed_form() -> None:
    assert Box().diameter((4,)) == 4
    assert Box(0.0, 3.0).diameter((4,)) == 6
    assert Box(upper=(1.0, 2.0)).diameter((2,)) == pytest.approx(math.sqrt(20))
    assert Box(upper=(1.0, 2.0)).diameter((3, 2)) == pytest.approx(math.sqrt(60))
    assert Box(-1.0, np.asarray([0.0, 1.0])).diameter((2,)) == pytest.approx(math.sqrt(5))
    assert Box(0.0, math.inf).diameter((2,)) == math.inf
    assert Ball().diameter((4,)) == 2
    assert Ball(4.0).diameter((16,)) == 4
    assert TopK(1).diameter((5,)) == 2
    assert TopK(4).diameter((5,)) == 4
    assert TopK(1, absolute=False).diameter((5,)) == pytest.approx(math.sqrt(2))
    assert TopK(4, absolute=False).diameter((5,)) == pytest.approx(math.sqrt(2))
    assert TopK(5, absolute=False).diameter((5,)) == 0
    assert Spectral(Box()).diameter((3, 4)) == pytest.approx(2 * math.sqrt(3))
    assert Spectral(Box()).diameter((5, 3, 4)) == pytest.approx(2 * math.sqrt(15))
    assert Product({"a": Box(), "b": Ball()}).diameter({"a": (4,), "b": (3,)}) == pytest.approx(math.sqrt(20))
    weighted = lionk.K("group_l1_l2", weights=(1.0, 2.0, 3.0)).conjugate.domain
    assert weighted.diameter((3, 4)) == pytest.approx(2 * math.sqrt(14))
    block = lionk.K("group_l1_l2", weights=np.ones((2, 3))).conjugate.domain
    assert block.diameter((2, 3, 4)) == pytest.approx(2 * math.sqrt(6))
    for c in (Box(), Ball(), TopK(), Spectral(Box()), Box(0.0, math.inf), Whole()):
        assert c.diameter((0, 0)) == 0


@pytest.mark.parametrize("shape", [(6,), (2, 3)])
def test_far_points_and_large_sets_lose_no_digits(shape) -> None:
    """Projections of y + a, a large multiple of ones, on the simplex are those of y."""
    y = np.round(RNG(3).standard_normal(shape) * 64) / 64
    for c in (TopK(1, absolute=False), TopK(3, absolute=False)):
        np.testing.assert_allclose(c.project(y + 2.0**40), c.project(y), atol=1e-15)
        np.testing.assert_array_equal(c.project((y + 2.0**12).astype("float32")), c.project(y.astype("float32")))


# -- sums ----------------------------------------------------------------------------------------------------------

PAIRS = [
    # the sum, and how far from it a point is refused, relative to the scale
    (0.5 * lionk.K("nuclear") + 0.5 * lionk.K("l1"), (4, 5), 1e-9),
    (lionk.K("linf") + 0.5 * lionk.K("l1"), (8,), 1e-9),
    (lionk.K("top_k", k=2) + lionk.K("linf"), (8,), 1e-9),
    (lionk.K("nuclear") + lionk.K("spectral"), (4, 3), 1e-9),
    (lionk.K("max") + lionk.K("linf"), (8,), 1e-9),
    (lionk.K("row_l1_l2") + 0.5 * lionk.K("col_l1_l2"), (4, 3), 1e-4),
    (lionk.K("nuclear") + lionk.K("row_l1_l2"), (4, 3), 1e-4),
]  # fmt: skip


@pytest.mark.parametrize(("k", "shape", "accuracy"), PAIRS, ids=lambda v: repr(v)[:40])
def test_sums_of_sets_never_refuse_a_member_and_refuse_from_the_stated_distance(k, shape, accuracy) -> None:
    c = k.conjugate.domain
    rng = RNG(4)
    for _ in range(3):
        x = rng.standard_normal(shape)
        s = k.subgradient(x)  # a point of the boundary, with normal x
        assert bool(c.contains(s))
        assert k.conjugate.value(s) == 0
        assert bool(c.contains(0.9 * s + 0.1 * k.subgradient(rng.standard_normal(shape))))
        u = x / norm(x)
        assert not bool(c.contains(s + 10 * accuracy * u))
        assert k.conjugate.value(s + 10 * accuracy * u) == math.inf
        far = s + u
        assert float(c.distance(far)) == pytest.approx(1.0, abs=10 * accuracy)
        np.testing.assert_allclose(c.project(far), s, atol=max(100 * accuracy, 1e-7))
    assert c.diameter(shape) >= norm(k.subgradient(x) - k.subgradient(-x)) * (1 - 1e-12)


def test_what_a_set_refuses() -> None:
    with pytest.raises(lionk.NotAvailable, match="unbounded"):
        Whole().lmo(np.ones(2))
    with pytest.raises(ValueError, match="lower <= upper"):
        Box(1.0, 0.0)
    with pytest.raises(ValueError, match="upper >= 0"):
        Box(upper=-1.0)
    with pytest.raises(ValueError, match="1 < q < inf"):
        Ball(1.0)
    with pytest.raises(TypeError, match="symmetric box"):
        Box(0.0, 1.0).project(np.ones(2, dtype=complex))
    with pytest.raises(ValueError, match="bounded"):
        lionk.functions.support(Whole())
