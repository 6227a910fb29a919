"""The losses of linear models: their gradients, on every library, and what their names take."""

from __future__ import annotations

import numpy as np
import pytest

from lionk.solver.losses import LABELS, LOSSES, loss_of

NAMES = [*LOSSES, "quantile:0.25", "huber:0.3"]


def targets(name, rng, n):
    if name in LABELS:
        return np.sign(rng.normal(size=n))
    if name == "softmax":
        return np.eye(3)[rng.integers(3, size=n)]
    return rng.poisson(2.0, size=n).astype(float) if name == "poisson" else 2 * rng.normal(size=n)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_a_convex_function(backend, name):
    rng = np.random.default_rng(0)
    A, y = rng.normal(size=(9, 4)), targets(name, rng, 9)
    shape = (3, 4) if name == "softmax" else (4,)
    host = loss_of(name)(np, A, y)
    for dtype in backend.dtypes[:1]:
        put = lambda a: backend.put(a, dtype)  # noqa: B023, E731
        x = 0.5 * rng.normal(size=shape)
        there = loss_of(name)(backend.xp, put(A), put(y))(put(x))
        f, g = host(x)
        tol = 1e-10 if dtype == "float64" else 1e-4
        assert float(there[0]) == pytest.approx(f, rel=tol, abs=tol)
        np.testing.assert_allclose(backend.get(there[1]), g, atol=tol)
        for _ in range(20):  # and no point lies below the tangent, which a neighbour touches
            d = rng.normal(size=shape)
            assert host(x + d)[0] >= f + np.sum(g * d) - 1e-12
            assert host(x + 1e-7 * d)[0] == pytest.approx(f + 1e-7 * np.sum(g * d), abs=1e-12)


def test_what_the_losses_measure():
    A, y = np.ones((4, 1)), np.asarray([0.0, 1.0, 2.0, 9.0])
    assert loss_of("absolute")(np, A, y)(np.asarray([1.0]))[0] == 10 / 4
    assert loss_of("quantile:0.5")(np, A, y)(np.asarray([1.0]))[0] == 10 / 8
    assert loss_of("huber:1")(np, A, y)(np.asarray([1.0]))[0] == (0.5 + 0 + 0.5 + 7.5) / 4
    assert loss_of("poisson")(np, A, np.full(4, 3.0))(np.asarray([np.log(3.0)]))[0] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hing", "choose one of logistic, softmax"),
        ("hinge:2", "hinge takes no number"),
        ("quantile:1", "the level must be a number between 0 and 1"),
        ("huber:wide", "the width must be a number between 0 and inf"),
    ],
)
def test_names_that_are_no_loss(text, says):
    with pytest.raises(ValueError, match=says):
        loss_of(text)
