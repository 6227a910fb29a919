"""Optional pieces around the step: each against its formula written out, on both ports, and what it costs in theory."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

import lionk
import lionk_jax
import lionk_torch
from lionk.optimizer import variants

RNG = np.random.default_rng(0)
X, GRADS = RNG.normal(size=(5, 4)), RNG.normal(size=(6, 5, 4))
LR, LAM, B1, B2 = 0.1, 0.5, 0.9, 0.99


def expected(K, cautious=None, decay=False, gamma=0.0):
    """The published updates, in NumPy, with the sign of the frameworks."""
    x, m, last = X.copy(), np.zeros_like(X), GRADS[0]
    for g in GRADS:
        c = g + gamma * B1 / (1 - B1) * (g - last)
        c, last = (c / max(1.0, np.linalg.norm(c)) if gamma else c), g
        u = -lionk.K(K).subgradient(-(B1 * m + (1 - B1) * c))
        m = B2 * m + (1 - B2) * c
        if cautious:
            mask = (u * c > 0).astype(float)
            u = u * mask * (mask.size / mask.sum() if cautious == "rescale" else 1.0)
        x = x - LR * (u + LAM * x * ((u * x >= 0) if decay else 1.0))
    return x


def on_numpy(K, **options):
    opt = variants.Variant(K, LR, (B1, B2), LAM, **options)
    x, state = X, opt.init(X)
    for g in GRADS:
        x, state = opt.step(x, g, state)
    return x


def on_torch(K, **options):
    p = torch.nn.Parameter(torch.tensor(X))
    opt = lionk_torch.LionK([p], LR, (B1, B2), LAM, K=K, **options)
    for g in GRADS:
        p.grad = torch.tensor(g)
        opt.step()
    return p.detach().numpy(), opt


def on_jax(K, gamma=0.0, **options):
    solver = lionk_jax.lion_k(LR, B1, B2, K=K, weight_decay=LAM, **options)
    solver = optax.chain(lionk_jax.mars(B1, gamma), solver) if gamma else solver
    x = jnp.asarray(X)
    state, update = solver.init(x), jax.jit(solver.update)
    for g in GRADS:
        updates, state = update(jnp.asarray(g), state, x)
        x = optax.apply_updates(x, updates)
    return x


@pytest.mark.parametrize("K", ["l1", "nuclear"])
@pytest.mark.parametrize(
    "pieces", [("mask", False), ("rescale", False), (None, True), ("mask", True)], ids=lambda p: f"{p[0]}-{p[1]}"
)
def test_cautious_masking_and_decay(K, pieces):
    want = expected(K, *pieces)
    options = {"cautious": pieces[0], "cautious_decay": pieces[1]}
    np.testing.assert_allclose(on_torch(K, **options)[0], want, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(on_jax(K, **options), want, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(on_numpy(K, **options), want, rtol=1e-10, atol=1e-12)
    assert not np.allclose(want, expected(K))


def test_a_weight_decay_may_be_an_array_of_another_precision():
    import array_api_strict as xp

    x, m, grad = (xp.asarray(a, dtype=xp.float32) for a in (X, GRADS[0], GRADS[1]))
    for options in ({"coupled": True}, {"cautious_decay": True}):
        opt = variants.Variant("l1", LR, **options)
        got = opt.update(x, m, grad, LR, xp.asarray(LAM, dtype=xp.float64))
        want = opt.update(x, m, grad, LR, LAM)
        assert all(bool(xp.all(a == b)) and a.dtype == xp.float32 for a, b in zip(got, want, strict=True))


def test_mars():
    want = expected("l1", gamma=0.025)
    got, opt = on_torch("l1", mars=0.025)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(on_jax("l1", gamma=0.025), want, rtol=1e-10, atol=1e-12)
    state = next(iter(opt.state.values()))
    np.testing.assert_array_equal(state["last_grad"], GRADS[-1])


def test_off_means_off():
    plain, opt = on_torch("l1")
    np.testing.assert_allclose(plain, expected("l1"), rtol=1e-13)
    assert set(next(iter(opt.state.values()))) == {"m"}


def test_masked_updates_of_functions_of_magnitudes_keep_the_bound_and_others_need_not():
    g = RNG.normal(size=(200, 4, 4))
    for name, keeps in [("l1", True), ("lp", True), ("huber", True), ("top_k", True), ("nuclear", False)]:
        K = lionk.K(name)
        masked = [variants.Cautious(K, 0 * a, b, 1.0, "mask").subgradient(a) for a, b in zip(g, g[::-1], strict=True)]
        inside = all(bool(K.conjugate.domain.contains(u)) for u in masked)
        assert inside == keeps == K.traits.absolute
    masked = variants.Cautious(lionk.K("l1"), X, GRADS[0], 1.0, "rescale").subgradient(-GRADS[1])
    assert np.abs(masked).max() > 1


def test_the_bounds_say_what_is_lost():
    def line(**options):
        return lionk_torch.LionK([torch.nn.Parameter(torch.ones(2, 2))], weight_decay=LAM, **options).bounds()[0]

    assert line(cautious="mask").startswith("|x_i| <= 1/lam")
    assert line(cautious="rescale") == "no bound: rescaled updates leave dom K*"
    assert line(cautious="mask", K="nuclear").startswith("no bound: masked updates may leave")
    assert line(cautious_decay=True).startswith("no bound: cautious decay")


def test_an_update_that_is_masked_everywhere_is_zero():
    g = np.ones(3)
    for how in ("mask", "rescale"):
        np.testing.assert_array_equal(variants.Cautious(lionk.K("l1"), g, g, 1.0, how).subgradient(g), np.zeros(3))


def test_wrong_pieces_are_refused():
    makers = (lambda **o: on_torch("l1", **o), lambda **o: lionk_jax.lion_k(0.1, **o), lambda **o: on_numpy("l1", **o))
    for make in makers:
        with pytest.raises(ValueError, match="cautious must be"):
            make(cautious="yes")
        with pytest.raises(ValueError, match="explicit"):
            make(cautious_decay=True, decay="implicit")


def test_hyperball_is_the_step_and_a_scaling():
    """Against the step written out here; by a runner the same; and the middle of two iterates is off the sphere."""
    x, m = X.copy(), np.zeros_like(X)
    for g in GRADS:
        r, m = B1 * m - (1 - B1) * g, B2 * m - (1 - B2) * g
        x = x + LR * (np.sign(r) - LAM * x)
        x = 3.0 * x / np.linalg.norm(x)
    got = on_numpy("l1", hyperball=3.0)
    np.testing.assert_allclose(got, x, rtol=1e-12)
    opt = variants.Variant("l1", LR, (B1, B2), LAM, hyperball=3.0)
    run = lionk.backends()["numpy"].runner(opt)
    a, b = run(X.copy(), np.zeros_like(X), GRADS[0].copy())
    want, state = opt.step(X, GRADS[0], opt.init(X))
    np.testing.assert_allclose(a, want, rtol=1e-13)
    np.testing.assert_allclose(b, state.m, rtol=1e-13)
    assert np.linalg.norm((got + want) / 2) < 3 * (1 - 1e-6)
    assert not np.any(opt.update(0 * X, 0 * X, 0 * X, LR, LAM)[0])
    assert "not convex" in variants.why_unbounded(lionk.K("l1"), None, False, 3.0)
    with pytest.raises(ValueError, match="hyperball"):
        variants.Variant("l1", hyperball=0.0)


def resized(kind, value):
    """The step of Lion, and the published rules: Emerging-Optimizers' hooks and the page on the radial brake."""
    x, m = X.copy(), np.zeros_like(X)
    for g in GRADS:
        r, m = B1 * m - (1 - B1) * g, B2 * m - (1 - B2) * g
        u = np.sign(r)
        if kind == "relative":
            u = u / np.sqrt((u**2).sum()) * np.sqrt((x**2).sum())
        new, old = x + LR * (u - LAM * x), np.sqrt((x**2).sum())
        size = np.sqrt((new**2).sum())
        if kind == "radial_brake":
            new = new / size * (old + (value if size > old else 1.0) * (size - old))
        if kind == "hyperball":
            new = new / size * (old if value == "keep" else value)
        x = new
    return x


@pytest.mark.parametrize(
    ("kind", "value"),
    [("hyperball", 3.0), ("hyperball", "keep"), ("radial_brake", 0.5), ("radial_brake", 0.0), ("relative", True)],
)
def test_what_is_done_to_norms_is_what_is_published(kind, value):
    want, options = resized(kind, value), {kind: value}
    np.testing.assert_allclose(on_numpy("l1", **options), want, rtol=1e-12)
    np.testing.assert_allclose(on_jax("l1", **options), want, rtol=1e-10)
    got, opt = on_torch("l1", **options)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    kept = kind == "radial_brake"
    assert opt.bounds()[0].startswith("|x_i| <= 1/lam" if kept else "no bound: ")
    lost = opt.loses()[0]
    assert {"exact identity", "Lyapunov inequality", "decrease of H over the run"} <= set(lost)
    assert ("phase I" not in lost) == kept
    assert ("suboptimality bound" in lost) == (kind == "hyperball")
    assert on_torch("l1")[1].loses() == [{}]
    half = torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    opt = lionk_torch.LionK([half], 0.1, weight_decay=1.0, **options)
    half.grad = torch.ones_like(half)
    opt.step()
    assert half.dtype == torch.bfloat16
    assert torch.isfinite(half).all()


def test_the_brake_keeps_the_constraint_and_relative_updates_leave_zero():
    opt = variants.Variant("l1", 0.5, (B1, B2), 1.0, radial_brake=0.3)
    x, state = X / np.abs(X).max(), opt.init(X)
    for g in GRADS:
        x, state = opt.step(x, g, state)
        assert np.abs(x).max() <= 1
    relative = variants.Variant("l1", 0.5, (B1, B2), 1.0, relative=True)
    assert not np.any(relative.step(0 * X, GRADS[0], relative.init(X))[0])
    assert not np.any(relative.step(X, 0 * X, relative.init(X))[0] - X / 2)
    assert "0 may be outside" in variants.why_unbounded(lionk.K("max"), None, False, radial_brake=0.5)
    for wrong in ({"radial_brake": 1.5}, {"hyperball": "held"}, {"hyperball": 1.0, "radial_brake": 0.5}):
        with pytest.raises(ValueError, match=r"radial_brake|hyperball"):
            variants.Variant("l1", **wrong)


def test_the_certificate_says_what_no_longer_applies():
    from lionk.theory.certificate import certificate_of
    from lionk.theory.record import Record

    def verdicts(**options):
        opt = variants.Variant("l1", LR, (B1, B2), LAM, **options)
        found = certificate_of(opt, Record(), eps=1e-16, gap=0.1, rounding=0.0, distance=0.0, momentum_gap=0.1,
                               convex=True, stochastic=False)  # fmt: skip
        return {s.name: s for s in found.statements}

    plain, ball, brake = verdicts(), verdicts(hyperball=2.0), verdicts(radial_brake=0.5)
    assert plain["suboptimality bound"].verdict == plain["phase I"].verdict == "holds"
    assert {s.verdict for s in ball.values()} == {"does not apply"}
    assert "a sphere is not convex" in ball["phase I"].text
    assert brake["phase I"].verdict == "holds"
    assert "radial_brake" in brake["Lyapunov inequality"].text


def test_palm_decay_shrinks_by_the_square_of_lr():
    for lr in (0.1, 0.02):
        assert lr * lionk.decay.at("palm", 0.5, lr, 1.0) == pytest.approx(lr * lr * 0.5)
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    opt = lionk_torch.LionK([p], 0.1, weight_decay=0.5, convention="palm")
    p.grad = torch.zeros(3, dtype=torch.float64)
    opt.step()
    torch.testing.assert_close(p.detach(), torch.full((3,), 1 - 0.1**2 * 0.5, dtype=torch.float64))
