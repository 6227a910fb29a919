"""Members are their own projections, bit for bit; so are projections; and what is 0 in the mathematics is 0 here."""

from __future__ import annotations

import numpy as np
import pytest

import lionk
from table import TABLE
from turns import in_turns

K = lionk.K
CASES = [c for c in TABLE if not c.heavy]
_Q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))
MORE = {
    "rotated_l1": lambda: K("rotated_l1", rotation=_Q),
    "polytope": lambda: K("polytope", vertices=np.random.default_rng(1).standard_normal((12, 6))),
    "whitened by a rotation": lambda: lionk.functions.linear_map(K("l2"), _Q),
    "2 rotated_l1.shift": lambda: 2 * K("rotated_l1", rotation=_Q).shift(0.5),
}


def _projected(domain, y):
    try:
        return domain.project(y)
    except lionk.NotAvailable:
        pytest.skip("no projection is known")


def _hold(domain, shape, dtype) -> None:
    rng = np.random.default_rng(3)
    for scale in (1e-20, 1.0, 1e3, 1e20):
        y = (scale * rng.standard_normal(shape)).astype(dtype)
        p = _projected(domain, y)
        np.testing.assert_array_equal(domain.project(p), p)
        assert bool(domain.contains(p))
    p, q = (domain.project(rng.standard_normal(shape).astype(dtype)) for _ in range(2))
    for w in (0.25, 0.5):  # inside, or on a face
        z = p + np.asarray(w, dtype) * (q - p)
        if bool(domain.contains(z, 0)):
            np.testing.assert_array_equal(domain.project(z), z)


@pytest.mark.parametrize(("case", "dtype"), in_turns(CASES, ["float64", "float32"]), ids=lambda v: getattr(v, "id", v))
def test_a_projection_is_its_own_projection(case, dtype) -> None:
    domain = case.K.conjugate.domain
    if not isinstance(domain, lionk.sets.Whole) and "Projectable" not in repr(domain):
        _hold(domain, case.shape, dtype)


@pytest.mark.parametrize("name", MORE)
def test_members_of_rotated_sets_and_polytopes_stay(name) -> None:
    _hold(MORE[name]().conjugate.domain, (6,), "float64")


def test_groups_inside_their_balls_stay_where_others_move() -> None:
    y = np.random.default_rng(0).standard_normal((4, 3))
    y[0] *= 10
    y[1:] *= 0.1
    p = K("row_l1_l2").conjugate.domain.project(y)
    np.testing.assert_array_equal(p[1:], y[1:])
    assert abs(np.linalg.norm(p[0]) - 1) < 1e-15


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("l1", {}), ("weighted_l1", {"weights": (0.5, 1.0, 2.0, 0.0, 1.0, 3.0)}), ("l2", {}), ("lp", {"p": 3}),
        ("linf", {}), ("top_k", {"k": 3}), ("top_k_l2", {"k": 3}), ("k_support", {"k": 3}), ("owl", {}), ("box", {}),
        ("elastic", {}), ("soft_ball", {}), ("l1_plus_l2", {}), ("max_l1_l2", {}), ("group_l1_l2", {}),
    ],
)  # fmt: skip
def test_the_prox_of_a_norm_is_0_where_x_is_within_the_dual_ball(name, parameters) -> None:
    k, rng = K(name, **parameters), np.random.default_rng(1)
    for t in (0.3, 7.0, 1e-3):
        for f, step in ((k, t), (3 * k, t), (k.dilate(-2.0), t)):
            edge = f.conjugate.domain
            y = 0.3 * rng.standard_normal(6)
            y = np.asarray(edge.project(y)) * 0.5 if f.traits.homogeneous else 0.02 * y
            assert np.count_nonzero(f.prox(step * y, step)) == 0 or name == "weighted_l1"


def test_soft_thresholding_has_zeros_and_so_have_the_proxes_of_sums() -> None:
    x = np.random.default_rng(0).uniform(-0.5, 0.5, 10_000)
    small = np.abs(x) <= 0.3
    for k in (K("l1"), K("l1").ridge(0.5), K("l1") + K("huber"), 0.5 * K("l1") + 0.5 * K("l1").dilate(-1.0)):
        np.testing.assert_array_equal(k.prox(x, 0.3) == 0, small)
    for k in (K("l1") + K("l2"), K("group_l1_l2", axis=0) + K("l2")):
        assert np.count_nonzero(k.prox(x, 0.3)[~small]) == np.count_nonzero(~small) or k.traits.structure != "order"
    top = K("linf").prox(x, 0.3)
    np.testing.assert_array_equal(top[np.abs(x) < 0.3], x[np.abs(x) < 0.3])


LONG = [
    ("max", {}), ("linf", {}), ("capped_simplex", {"k": 50}), ("top_k", {"k": 50}), ("owl", {}), ("permutahedron", {}),
    ("k_support", {"k": 50}), ("top_k_l2", {"k": 50}), ("l2", {}),
]  # fmt: skip


def _long(n: int, name: str, parameters: dict) -> None:
    """Of float32, against float64."""
    k, rng = K(name, **parameters), np.random.default_rng(0)
    for y in (0.05 * rng.standard_normal(n), np.full(n, 0.1), 1e-6 * rng.standard_normal(n)):
        z = y.astype("float32")
        p, exact = k.conjugate.domain.project(z), k.conjugate.domain.project(z.astype(float))
        assert np.abs(p - exact).max() <= 1e-6 * np.abs(exact).max()
        if name in ("max", "capped_simplex"):
            total = k.conjugate.domain.k
            assert abs(p.sum(dtype=float) - total) <= 1e-6 * total
            assert abs(k.moreau(0.5).subgradient(z).sum(dtype=float) - total) <= 1e-6 * total
        assert float(k.value(z)) == pytest.approx(float(k.value(z.astype(float))), rel=1e-6)
        np.testing.assert_allclose(k.subgradient(z), k.subgradient(z.astype(float)), rtol=0, atol=3e-7)


@pytest.mark.parametrize(("name", "parameters"), LONG)
def test_long_arrays_in_single_precision(name, parameters) -> None:
    _long(1_000_000 if name == "max" else 100_000, name, parameters)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters"), LONG)
def test_very_long_arrays_in_single_precision(name, parameters) -> None:
    _long(10_000_000, name, parameters)


@pytest.mark.parametrize("scale", [1.0, 1e10, 1e30])
def test_a_projection_onto_a_cone_of_matrices_lies_in_it(scale) -> None:
    cone = K("trace_exp").conjugate.domain
    for seed in range(5):
        x = (scale * np.random.default_rng(seed).standard_normal((5, 5))).astype("float32")
        p = cone.project(x)
        assert bool(cone.contains(p, 0))
        assert np.abs(p - cone.project(x.astype(float))).max() <= 1e-5 * np.abs(x).max()
    np.testing.assert_array_equal(cone.project(np.diag([2.0, -1.0])), np.diag([2.0, 0.0]))


@pytest.mark.parametrize("name", ["range", "box_simplex", "total_variation", "std", "capped_simplex", "top_k"])
@pytest.mark.parametrize("n", [3, 50, 1000])
def test_projections_next_to_the_edge_are_members(name: str, n: int) -> None:
    """From points that are a few roundings of single precision beyond a point of the edge, most entries tiny."""
    domain, rng = lionk.K(name).conjugate.domain, np.random.default_rng(n)
    for away in (1e-7, 1e-6, 1e-5, 1e-3):
        for _ in range(5):
            c = rng.standard_normal(n).astype(np.float32)
            edge = domain.lmo(c)
            near = domain.project(edge + np.float32(away) * c)  # c is in the normal cone at the edge
            assert domain.contains(near)
            np.testing.assert_allclose(near, edge, atol=4e-6 * n**0.5)
            np.testing.assert_array_equal(domain.project(near), near)


@pytest.mark.parametrize("name", ["range", "box_simplex", "total_variation", "std", "capped_simplex", "owl", "k_norm"])
@pytest.mark.parametrize("drawn", ["noise", "walk", "trend"])
def test_long_projections_in_single_precision(name: str, drawn: str) -> None:
    """Thousands of entries, whose sums grow far beyond them: what double precision makes of the same numbers."""
    domain, y = lionk.K(name).conjugate.domain, np.random.default_rng(1).standard_normal(3000)
    y = {"noise": y, "walk": np.cumsum(y) / 10, "trend": np.linspace(-3, 3, 3000) + y / 100}[drawn].astype("float32")
    np.testing.assert_allclose(domain.project(y), domain.project(y.astype(float)), atol=2e-4)
