"""How near to the bound: the gauge is the least factor of the set, on every set whose gauge is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lionk
from lionk.theory import nearness

RNG = np.random.default_rng(2)
KNOWN = [
    ("l1", (6,), 6), ("huber", (6,), 6), (lionk.K("box", lower=-0.5, upper=2.0), (6,), 6), ("l2", (6,), 1),
    ("linf", (6,), 1), (lionk.K("top_k", k=2), (6,), 1), ("owl", (6,), 1), ("dual_owl", (6,), 1),
    ("nuclear", (4, 3), 3),
    ("spectral", (4, 3), 1), ("nuclear", (2, 4, 3), 6), ("muon", (6, 3), 3), ("row_l1_l2", (4, 3), 4),
    (lionk.K("muon", sections=2), (6, 3), 6), ("kernel_lift", (3, 2, 2), 3), (lionk.K("lp", p=3), (6,), 1),
]  # fmt: skip


@pytest.mark.parametrize(("K", "shape", "pieces"), KNOWN, ids=str)
def test_the_gauge_is_the_least_factor(K, shape, pieces):
    k = lionk.K({"name": "kernel_lift", "k": "nuclear"}) if isinstance(K, str) and K == "kernel_lift" else lionk.K(K)
    x, lam = RNG.standard_normal(shape), 0.7
    near = nearness(k, x, lam)
    assert near.pieces == pieces
    c = k.conjugate.domain
    assert c.contains(lam * x / (near.gauge * (1 + 1e-9)), 0.0)
    assert not c.contains(lam * x / (near.gauge * (1 - 1e-6)), 0.0)


def test_the_share_at_the_bound_counts_pieces():
    assert nearness(lionk.K("l1"), np.asarray([1.0, -1.0, 0.5, 0.0]), 1.0) == (1.0, 0.5, 4)
    assert nearness(lionk.K("nuclear"), np.diag([2.0, 1.0, 2.0]), 0.5).at_bound == pytest.approx(2 / 3)
    near = nearness(lionk.K("half_square"), np.ones(3), 1.0)
    assert math.isnan(near.gauge) and near.pieces == 0


def test_what_is_not_known_is_refused():
    with pytest.raises(lionk.NotAvailable, match="gauge"):
        nearness(lionk.K("l1").tilt(0.5), np.ones(3), 1.0)
    with pytest.raises(TypeError, match="block"):
        nearness(lionk.blocks({"a": "l1"}), np.ones(3), 1.0)
