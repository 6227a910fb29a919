"""Steps of a K that couples the arrays of a container: ``LionK``, its runners, and the ports, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lionk
from lionk.functions import radial_lift

SHAPES = [(3, 2), (2, 4)]
LR, BETAS, DECAY, STEPS = 0.1, (0.9, 0.99), 0.2, 4


def problem() -> tuple[list[Any], list[list[Any]]]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(s) for s in SHAPES], [[rng.standard_normal(s) for s in SHAPES] for _ in range(STEPS)]


def expected(sign: float = 1.0, cautious: bool = False) -> list[Any]:
    """The adaptive step: the polar factor of each readout, times the sum of all singular values."""
    x, gradients = problem()
    m = [np.zeros(s) for s in SHAPES]
    for given in gradients:
        g = [sign * a for a in given]
        parts = [
            np.linalg.svd(BETAS[0] * b - (1 - BETAS[0]) * a, full_matrices=False) for a, b in zip(g, m, strict=True)
        ]
        length = sum(s.sum() for _, s, _ in parts)
        for j, (u, _, v) in enumerate(parts):
            step = length * u @ v
            if cautious:
                step = np.where(step * g[j] < 0, step, 0)
            x[j] = x[j] + LR * (step - DECAY * x[j])
            m[j] = BETAS[1] * m[j] - (1 - BETAS[1]) * g[j]
    return x


K = radial_lift("half_square", lionk.blocks("nuclear"))


def close(found: Any, want: list[Any], tol: float = 1e-12) -> None:
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(np.asarray(a), b, rtol=tol, atol=tol)


@pytest.mark.parametrize("runner", [None, "tiles", "reference"])
def test_steps_and_runners(runner: str | None) -> None:
    opt = lionk.LionK(K, LR, BETAS, DECAY)
    x, gradients = problem()
    state = opt.init(x)
    y, m = [a.copy() for a in x], [np.zeros_like(a) for a in x]
    run = lionk.backends()["numpy"].runner(opt, runner)
    for g in gradients:
        x, state = opt.step(x, g, state)
        y, m = run(y, m, g)
    close(x, expected())
    close(y, expected())


@pytest.mark.parametrize("options", [{}, {"maximize": True}, {"cautious": "mask"}])
def test_torch(options: dict[str, Any]) -> None:
    import torch

    import lionk_torch

    x, gradients = problem()
    params = [torch.nn.Parameter(torch.tensor(a)) for a in x]
    opt = lionk_torch.LionK(params, LR, BETAS, DECAY, K=K, **options)
    for g in gradients:
        for p, a in zip(params, g, strict=True):
            p.grad = torch.tensor(a)
        opt.step()
        opt.load_state_dict(opt.state_dict())
    want = expected(-1.0 if options.get("maximize") else 1.0, bool(options.get("cautious")))
    close([p.detach() for p in params], want)
    assert np.isfinite(opt.certificate()[0].gap)
    with pytest.raises(TypeError, match="one norm for all of them"):
        lionk_torch.LionK(params, K=radial_lift("half_square", ["nuclear", "nuclear"]))
    with pytest.raises(lionk.NotAvailable, match="couples them all"):
        lionk_torch.LionK(params, K=K, exchange="average")


def test_optax() -> None:
    import jax
    import optax

    import lionk_jax

    x, gradients = problem()
    solver = lionk_jax.lion_k(LR, *BETAS, K=K, weight_decay=DECAY)
    with jax.enable_x64(True):
        params = [jax.numpy.asarray(a) for a in x]
        state, jitted = solver.init(params), jax.jit(solver.update)
        for i, g in enumerate(gradients):
            update = jitted if i % 2 else solver.update
            updates, state = update([jax.numpy.asarray(a) for a in g], state, params)
            params = optax.apply_updates(params, updates)
        close(params, expected(), 1e-10)


def test_minimize_certifies_it() -> None:
    """``|a| + |b| <= 1`` (Euclidean norms of two blocks), nearest to (3, 4) and 5 e_1: the multiplier is the same."""
    target = [np.asarray([3.0, 4.0]), np.asarray([5.0, 0.0])]
    coupled = radial_lift("l1", lionk.blocks("l2"), combine="max")

    def f(x: list[Any]) -> tuple[float, list[Any]]:
        rest = [a - b for a, b in zip(x, target, strict=True)]
        return sum(0.5 * float((r * r).sum()) for r in rest), rest

    r = lionk.minimize(f, [np.zeros(2), np.zeros(2)], K=coupled, weight_decay=1.0, jac=True, tol=1e-10)
    assert r.success
    close(r.x, [np.asarray([0.3, 0.4]), np.asarray([0.5, 0.0])], 1e-5)
