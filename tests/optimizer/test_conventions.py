"""Parametrisations of other optimizers, against those optimizers themselves or their published update."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lionk
from lionk import conventions as c


def run(opt, x, grads):
    state = opt.init(x)
    out = []
    for g in grads:
        x, state = opt.step(x, g, state)
        out.append(x)
    return np.asarray(out)


GRADS = np.random.default_rng(0).normal(size=(25, 4, 3))
X0 = np.random.default_rng(1).normal(size=(4, 3))


@pytest.mark.parametrize("nesterov", [False, True])
def test_heavy_ball_and_nesterov_of_torch_are_half_square(nesterov):
    """Theory 1.4: sum momentum has b2 = mu, b1 = mu^2 (Nesterov) or mu, and lr/(1 - mu) for K = 1/2 |x|^2."""
    mu, lr = 0.8, 0.01
    p = torch.nn.Parameter(torch.tensor(X0))
    sgd = torch.optim.SGD([p], lr=lr, momentum=mu, nesterov=nesterov)
    # torch starts its buffer at g, not at (1 - mu) g: feed a first gradient of zero to both
    grads = np.concatenate([np.zeros((1, 4, 3)), GRADS])
    got = run(lionk.LionK("half_square", lr / (1 - mu), (mu**2 if nesterov else mu, mu)), X0, grads)
    for g, expected in zip(grads, got, strict=True):
        p.grad = torch.tensor(g)
        sgd.step()
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-12, atol=1e-13)


def test_sum_momentum_turns_a_width_into_a_share_of_it():
    mu = 0.9
    K = c.sum_momentum("huber", mu)
    x = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(K.subgradient((1 - mu) * x), lionk.K("huber").subgradient(x), rtol=1e-13)
    np.testing.assert_array_equal(c.sum_momentum("l1", mu).subgradient(x), np.sign(x))


def test_signum():
    opt = c.signum(lr=0.1, momentum=0.7, weight_decay=0.2)
    x, m = X0, 0 * X0
    for g, got in zip(GRADS, run(opt, X0, GRADS), strict=True):
        m = 0.7 * m + 0.3 * g
        x = (1 - 0.1 * 0.2) * x - 0.1 * np.sign(m)
        np.testing.assert_allclose(got, x, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("scaling", ["none", "original", "match_rms_adamw"])
def test_muon(nesterov, scaling):
    """The update of torch.optim.Muon with the exact polar factor in place of Newton-Schulz."""
    lr, mu, wd = 0.02, 0.95, 0.1
    s = {"none": 1.0, "original": (4 / 3) ** 0.5, "match_rms_adamw": 0.2 * 2.0}[scaling]
    opt = c.muon(lr, mu, wd, nesterov=nesterov, scaling=scaling)
    x, b = X0, 0 * X0
    for g, got in zip(GRADS, run(opt, X0, GRADS), strict=True):
        b = mu * b + (1 - mu) * g
        u, _, vt = np.linalg.svd((1 - mu) * g + mu * b if nesterov else b, full_matrices=False)
        x = x * (1 - lr * wd) - lr * s * (u @ vt)
        np.testing.assert_allclose(got, x, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["l1", "nuclear", "row_l1_l2", "l2"])
def test_scion_both_ways_of_its_scale(name):
    lr, a, s = 0.05, 0.1, 3.0
    K = lionk.K(name)
    once = run(c.scion(name, lr, a, scale=s), X0, GRADS)
    other = run(lionk.LionK(K, lr * s, (1 - a, 1 - a), 1 / s), X0, GRADS)
    np.testing.assert_allclose(once, other, rtol=1e-11, atol=1e-12)
    x, d = X0, 0 * X0
    for g, got in zip(GRADS, once, strict=True):
        d = (1 - a) * d + a * g
        x = (1 - lr) * x - lr * s * K.subgradient(d)
        np.testing.assert_allclose(got, x, rtol=1e-9, atol=1e-10)


def test_nesterov_betas_and_back():
    assert c.betas_from_nesterov(0.95, 0.9) == pytest.approx((0.855, 0.95))
    assert c.nesterov_from_betas(*c.betas_from_nesterov(0.95, 0.9)) == pytest.approx((0.95, 0.9))
    with pytest.raises(ValueError, match="b1 <= b2"):
        c.nesterov_from_betas(0.99, 0.9)
    bp, bn = 0.9, 0.8
    x, m = X0, 0 * X0
    for g, got in zip(
        GRADS, run(lionk.LionK("log_cosh", 0.1, c.betas_from_nesterov(bp, bn), 0.3), X0, GRADS), strict=True
    ):
        m = bp * m - (1 - bp) * g
        x = x + 0.1 * (np.tanh(bn * m - (1 - bn) * g) - 0.3 * x)
        np.testing.assert_allclose(got, x, rtol=1e-12, atol=1e-13)


def test_momentum_of_frameworks_changes_sign():
    m = {"a": np.array([1.0, -2.0])}
    np.testing.assert_array_equal(c.momentum_from_gradient_average(m)["a"], [-1.0, 2.0])


@pytest.mark.parametrize("name", ["l1", "nuclear", "box", "half_square"])
def test_anchored_decay_pulls_to_the_anchor(name):
    lam, anchor = 0.5, np.random.default_rng(2).normal(size=(4, 3))
    K = lionk.K(name)
    got = run(lionk.LionK(lionk.anchored(name, anchor, lam), 0.1, weight_decay=lam), X0, GRADS)
    x, m = X0, 0 * X0
    for g, y in zip(GRADS, got, strict=True):
        u = K.subgradient(0.9 * m - 0.1 * g)
        m = 0.99 * m - 0.01 * g
        x = x + 0.1 * (u - lam * (x - anchor))
        np.testing.assert_allclose(y, x, rtol=1e-9, atol=1e-10)


def test_anchored_on_containers_and_its_constraint():
    anchor = {"w": np.full((2, 2), 3.0), "b": np.zeros(2)}
    K = lionk.anchored(lionk.blocks({"w": "nuclear", "b": "l1"}), anchor, 2.0)
    assert bool(K.conjugate.domain.contains({"w": 2.0 * anchor["w"], "b": np.ones(2)}))
    assert not bool(K.conjugate.domain.contains({"w": 0 * anchor["w"], "b": np.ones(2)}))
    with pytest.raises(ValueError, match="weight_decay > 0"):
        lionk.anchored("l1", np.ones(2), 0.0)
    with pytest.raises(TypeError, match="x0"):
        lionk.anchored("l1", [1.0], 1.0)


@pytest.mark.parametrize(
    ("name", "shape", "factor"),
    [
        ("l1", (6, 4), 0.2),
        ("nuclear", (6, 4), 0.2 * 6**0.5),
        ("nuclear", (3, 40), 0.2 * 40**0.5),
        ("l2", (5,), 0.2 * 5**0.5),
        ("row_l1_l2", (6, 4), 0.2 * 4**0.5),
        ("spectral", (6, 4), 0.2 * 24**0.5),
    ],
)
def test_rates_from_adamw(name, shape, factor):
    """Where the size of dK is known in closed form: 1 for a sign, sqrt(rank) for a polar factor, sqrt(rows), 1."""
    lr, wd = c.from_adamw(name, 1e-3, 0.1, np.zeros(shape, dtype=np.float32))
    assert lr == pytest.approx(1e-3 * factor, rel=1e-5)
    assert lr * wd == pytest.approx(1e-4)


def test_rates_from_adamw_need_a_size():
    with pytest.raises(ValueError, match="depends on that of the gradient"):
        c.from_adamw("half_square", 1e-3, 0.1, np.zeros(3))
    with pytest.raises(ValueError, match="is 0 on this array"):
        c.from_adamw("l1", 1e-3, 0.1, np.zeros(0))


@pytest.mark.parametrize("like", [torch.zeros(70, 3), np.zeros((70, 3))])
def test_rates_from_adamw_on_every_library(like):
    assert c.from_adamw("nuclear", 1.0, 1.0, like)[0] == pytest.approx(0.2 * 70**0.5, rel=1e-5)


def test_bounds_of_decay_in_words():
    from lionk.optimizer import decay

    line = decay.bound("nuclear", "corrected", 0.5, 0.1, 0.2)
    assert line.startswith("s_1(X) <= 1/lam, lam = 0.25; radius 1/lam = 4: lr_max/(lr wd)")
    assert decay.bound("l1", "decoupled", 0.0, 0.1) == "no bound: the weight decay is 0"
    assert decay.imposed(lionk.blocks({"w": "nuclear", "b": "l1"})) == "w: s_1(X) <= 1/lam; b: |x_i| <= 1/lam"
    own = lionk.functions.from_projection(lambda y: y.clip(0, 1))
    assert decay.imposed(2 * lionk.K("l1")) == decay.imposed(own) == "lam x in dom K*"
    with pytest.raises(ValueError, match="decoupled, relative"):
        decay.bound("l1", "l2", 0.1, 0.1)
