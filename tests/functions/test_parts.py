"""The lifts over axes: equal to loops over the parts, with one decomposition for parts of one shape."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import lionk
from lionk.arrays import spectral
from lionk.functions import block_lift, kernel_lift, matrix_lift
from lionk.optimizer.decay import imposed

RNG = np.random.default_rng(0)
INNER = ["nuclear", "muon", "spectral", "row_l1_l2", "scion_col", "l2", "log_sum_exp", "half_nuclear_squared", "f_muon"]


def _slices(x, axis, sections):
    ends = sections if isinstance(sections, int) else np.cumsum(sections)[:-1]
    return np.split(x, ends, axis=axis)


@pytest.mark.parametrize(("axis", "sections"), [(0, 3), (-1, 2), (-2, [1, 3, 2]), (1, (2, 2, 1, 1))])
@pytest.mark.parametrize("name", INNER)
def test_block_lift_is_the_sum_over_the_slices(name, axis, sections):
    k = lionk.K(name)
    K, x, y = block_lift(k, axis, sections), RNG.standard_normal((6, 6)), 0.05 * RNG.standard_normal((6, 6))
    parts = _slices(x, axis, sections)
    assert K(x) == pytest.approx(sum(float(k(p)) for p in parts), rel=1e-13)
    loop = np.concatenate([k.subgradient(np.ascontiguousarray(p)) for p in parts], axis=axis)
    np.testing.assert_allclose(K.subgradient(x), loop, rtol=1e-12, atol=1e-13)
    if name != "f_muon":  # whose conjugate is an iteration
        inside = sum(float(k.conjugate(p)) for p in _slices(y, axis, sections))
        assert float(K.conjugate(y)) == pytest.approx(inside, rel=1e-12)


@pytest.mark.parametrize(
    ("rows", "columns", "order", "shape"),
    [
        (0, None, "abcd->a(bcd)", (3, 40)),
        (None, 1, "abcd->(acd)b", (60, 2)),
        ((2, 0), (1, 3), "abcd->(ca)(bd)", (15, 8)),
        (-1, 1, "abcd->(ac)db", (15, 4, 2)),
        (0, 2, "abcd->(bd)ac", (8, 3, 5)),
    ],
)
def test_matrix_lift_is_a_permutation_and_a_reshape(rows, columns, order, shape):
    x, k = RNG.standard_normal((3, 2, 5, 4)), lionk.K("muon")
    flat = order.split("->")[1].replace("(", "").replace(")", "")
    turned = np.einsum(f"abcd->{flat}", x)
    matrices = turned.reshape(shape)
    matrices = matrices if matrices.ndim == 3 else matrices[None]
    K = matrix_lift(k, rows, columns)
    assert K(x) == pytest.approx(sum(float(k(m)) for m in matrices), rel=1e-13)
    back = np.einsum(f"{flat}->abcd", np.stack([k.subgradient(m) for m in matrices]).reshape(turned.shape))
    np.testing.assert_allclose(K.subgradient(x), back, atol=1e-13)


def test_kernel_lift_is_a_matrix_lift():
    assert kernel_lift(lionk.K("nuclear")) == matrix_lift(lionk.K("nuclear"), 0) == lionk.K("kernel_lift", k="nuclear")


def test_parts_of_one_shape_are_one_decomposition(monkeypatch):
    """Twelve heads and four key heads of the same size: one call; two sizes: two."""
    calls = []
    original = spectral._decompose
    monkeypatch.setattr(spectral, "_decompose", lambda xp, x: calls.append(x.shape) or original(xp, x))
    lionk.K("muon", heads=16).subgradient(RNG.standard_normal((64, 8)))
    assert calls == [(16, 4, 8)]
    calls.clear()
    lionk.K("muon", sections=[8, 4, 8, 4, 4]).subgradient(RNG.standard_normal((28, 8)))
    assert calls == [(2, 8, 8), (3, 4, 8)]


@pytest.mark.parametrize("name", [n for n in lionk.algorithms() if lionk.functions.entry(n).kind == "matrix"])
def test_algorithms_of_matrices_take_heads_and_sections(name):
    """The whole with heads and sections is the algorithm on each; the factors are those of one head."""
    K, one = lionk.K(name, heads=2, sections=3, axis=-1), lionk.K(name)
    x = RNG.standard_normal((3, 12))
    loop = np.concatenate([one.subgradient(np.ascontiguousarray(p)) for p in np.split(x, 6, axis=-1)], axis=-1)
    np.testing.assert_allclose(K.subgradient(x), loop, atol=1e-12)
    assert lionk.K(json.loads(json.dumps(K.spec))) == K
    assert one.spec.keys().isdisjoint({"heads", "sections", "axis"})


def test_a_sum_over_entries_is_the_same_in_parts():
    K = block_lift(lionk.K("huber"), 0, 3)
    assert K == lionk.K("huber")
    assert K.spec == {"name": "block_lift", "axis": 0, "sections": 3, "k": {"name": "huber", "delta": 1.0}}


@pytest.mark.parametrize("heads", [1, 2, 5])
def test_the_bound_of_the_whole_is_the_root_of_heads(heads):
    """Each head has s_1 <= 1, the whole at most sqrt(H), and that is attained."""
    K = lionk.K("muon", scaling="none", heads=heads)
    for x in (RNG.standard_normal((4 * heads, 6)), np.concatenate([np.eye(4, 6)] * heads)):
        u = K.subgradient(x)
        assert np.linalg.norm(u, 2) <= math.sqrt(heads) * (1 + 1e-12)
        assert max(np.linalg.norm(p, 2) for p in np.split(u, heads)) == pytest.approx(1)
        assert K.conjugate.domain.contains(u)
    assert np.linalg.norm(u, 2) == pytest.approx(math.sqrt(heads))


def test_parts_of_another_scale_keep_their_tolerance():
    """A slice whose set is small is not judged by the scale of a large one."""
    k = block_lift(lionk.K("l2").scale({"size": 4}), 0, [1, 9]).conjugate  # radii 1 and 6561
    y = np.zeros(10)
    y[0] = 1 + 1e-10
    assert float(k(y)) == math.inf
    y[0], y[1] = 0, 6561 * (1 + 1e-16)
    assert float(k(y)) == 0


@pytest.mark.parametrize(
    ("K", "shape", "message"),
    [
        (lambda: block_lift(lionk.K("nuclear"), 0, 4), (6, 3), "4 equal sections do not divide"),
        (lambda: block_lift(lionk.K("nuclear"), 0, [4, 4]), (6, 3), "make 8"),
        (lambda: block_lift(lionk.K("nuclear"), 2, 3), (6, 3), "axis 2 does not exist"),
        (lambda: matrix_lift(lionk.K("nuclear"), 0, 3), (6, 3), "columns has the axis 3"),
        (lambda: matrix_lift(lionk.K("nuclear"), (0, 1), -1), (6, 3), "twice"),
        (lambda: kernel_lift(lionk.K("nuclear")), (6,), "1 dimension"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(K, shape, message):
    with pytest.raises(ValueError, match=message):
        K()(np.ones(shape))


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: block_lift(lionk.K("nuclear"), 0, 0), ValueError),
        (lambda: block_lift(lionk.K("nuclear"), 0, []), TypeError),
        (lambda: block_lift(lionk.K("nuclear"), 0, 2.0), TypeError),
        (lambda: block_lift(lionk.K("nuclear"), None, 2), TypeError),
        (lambda: matrix_lift(lionk.K("nuclear"), None), ValueError),
        (lambda: matrix_lift(lionk.K("nuclear"), "rows"), TypeError),
        (lambda: block_lift(lionk.blocks({"a": "l1"}), 0, 2), TypeError),
        (lambda: lionk.K("lion", heads=2), TypeError),
    ],
)
def test_parameters_that_make_no_sense_are_refused(build, error):
    with pytest.raises(error):
        build()


def test_what_is_imposed_is_said_of_the_parts():
    assert imposed({"name": "muon", "sections": 3}) == "s_1(X) <= s/lam, for each of 3 slices along axis -2"
    assert imposed({"name": "muon", "sections": [4, 2], "heads": 2, "axis": 1}) == (
        "s_1(X) <= s/lam, for each of 2 slices of each slice of (4, 2) along axis 1"
    )
    assert imposed({"name": "block_lift", "k": "l2", "axis": 0, "sections": 2}) == (
        "|x|_2 <= 1/lam, for each of 2 slices along axis 0"
    )
    assert imposed({"name": "matrix_lift", "k": "nuclear", "rows": [0], "columns": [2, 3]}) == (
        "s_1(X) <= 1/lam, X each matrix of the axes 0 and 2, 3"
    )
