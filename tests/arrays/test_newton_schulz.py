"""The published Newton-Schulz sets: what each promises, measured; and as ``polar=`` of muon and scion."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import lionk
from lionk.arrays.newton_schulz import SETS
from lionk.conventions import muon_ns5, newton_schulz
from lionk.optimizer.decay import imposed

RNG = np.random.default_rng(3)
NAMES = sorted(SETS)


def curve(steps, s):
    for a, b, c in steps:
        s = a * s + b * s**3 + c * s**5
    return s


@pytest.mark.parametrize("name", NAMES)
def test_range_and_error_are_those_of_the_polynomial(name):
    f = newton_schulz(name)
    s = np.concatenate([np.logspace(-8, 0, 200_001), np.linspace(0, 1, 400_001)])
    y = curve(f.steps, s)
    assert np.abs(y).max() <= f.reach <= np.abs(y).max() + 1e-5
    near = y[s >= 0.01].min()
    assert near - 1e-4 <= f.least <= near + 1e-9
    assert np.abs(y[s >= 0.01] - 1).max() <= f.error + 1e-12
    if not f.rows and name != "polar_express8" and name != "deepseek_v4":
        assert np.diff(y[:200_001]).min() < 0, "not monotone, so the dK of no K"


@pytest.mark.parametrize("form", ["", ":gram"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (2, 5, 5)])
def test_the_map_is_the_polynomial_of_the_singular_values(name, form, shape):
    f, x = newton_schulz(name + form), RNG.standard_normal(shape)
    wide = shape[-2] <= shape[-1]
    scaled = x / np.linalg.norm(x, axis=(-2, -1), keepdims=True)
    if f.rows:
        y = x if wide else np.swapaxes(x, -1, -2)
        y = y / np.sqrt(np.abs(y @ np.swapaxes(y, -1, -2)).sum(-1, keepdims=True))
        scaled = y if wide else np.swapaxes(y, -1, -2)
    u, s, vt = np.linalg.svd(scaled, full_matrices=False)
    assert s.max() <= 1 + 1e-12
    np.testing.assert_allclose(f(x), (u * curve(f.steps, s)[..., None, :]) @ vt, atol=1e-9)
    assert not np.any(f(np.zeros(shape)))
    np.testing.assert_allclose(f(1e200 * x), f(x), atol=1e-12)


def test_muon_s_set_is_muon_ns5_and_torch_s():
    x = RNG.standard_normal((6, 9))
    assert np.array_equal(newton_schulz("muon")(x), muon_ns5(x))


@pytest.mark.parametrize("name", NAMES)
def test_the_range_in_bfloat16(name):
    """Measured on random, tied and low-rank matrices: that of CANS has some on which it diverges."""
    generator, f, seen = torch.Generator().manual_seed(0), newton_schulz(name), 0.0
    for m, n in ((16, 16), (32, 96), (64, 24)):
        a = torch.randn(m, n, generator=generator)
        low = a[:, :2] @ torch.randn(2, n, generator=generator), a[:, :1] @ torch.randn(1, n, generator=generator)
        for x in (a, *low, torch.eye(m, n) + 0.01 * a):
            y = f(x.bfloat16()).double()
            seen = max(seen, torch.linalg.svdvals(y).max().item() if y.isfinite().all() else math.inf)
    assert seen <= f.half
    assert (f.half == math.inf) == (name == "cans")
    assert name != "cans" or seen > 2


@pytest.mark.parametrize("algorithm", ["muon", "scion_spectral"])
def test_polar_takes_a_set_and_the_bound_is_its_reach(algorithm):
    K = lionk.K(algorithm, polar="quintic")
    assert K.traits.selection == "approximate"
    assert lionk.K(K.spec) == K
    assert imposed(K).endswith(", times 1.145, the reach of quintic")
    opt, x = lionk.LionK(lionk.K(algorithm, polar="muon"), 0.3, (0.9, 0.95), 1.0), np.zeros((4, 4))
    state = opt.init(x)
    for _ in range(40):
        x, state = opt.step(x, RNG.standard_normal((4, 4)), state)
    assert np.linalg.norm(x, 2) <= SETS["muon"].reach
    opt = lionk.LionK("nuclear", 1.0, (0.0, 0.0), 1.0)
    x = np.diag([1.0, 0.05, 0.0])  # somewhere it does go beyond 1
    goes = newton_schulz("muon")(x)
    assert np.linalg.norm(goes, 2) <= SETS["muon"].reach


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="the Newton-Schulz sets are muon"):
        newton_schulz("svd")
    with pytest.raises(ValueError, match="Newton-Schulz sets"):
        lionk.K("muon", polar="quintic:fast")
