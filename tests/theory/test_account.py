"""The proof of runs that others make, with gradients of all data: true against optima found by linear programs."""

from __future__ import annotations

import copy
import io
import math
from dataclasses import asdict
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize
import torch

import lionk
import lionk_jax
import lionk_torch

ROWS, SIZE = 40, 20


def data(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(ROWS, SIZE)) / math.sqrt(SIZE), 2 * rng.normal(size=ROWS)


def least(A, b, radius):
    """min of mean |A x - b| over |x_i| <= radius_i."""
    n = A.shape[1]
    sides = np.block([[A, -np.eye(ROWS)], [-A, -np.eye(ROWS)]])
    bounds = [(-r, r) for r in radius] + [(0, None)] * ROWS
    cost = np.concatenate([np.zeros(n), np.full(ROWS, 1 / ROWS)])
    return scipy.optimize.linprog(cost, sides, np.concatenate([b, -b]), bounds=bounds).fun


class Run:
    """Least absolute deviations with a constant column, in two groups with decays of their own."""

    def __init__(self, seed=0, dtype=torch.float64, decays=(2.0, 1.0), **options):
        A, b = data(seed)
        self.A, self.b = torch.tensor(A, dtype=dtype), torch.tensor(b, dtype=dtype)
        radius = [1 / decays[0]] * SIZE + [1 / decays[1]] if all(decays) else [1.0] * (SIZE + 1)
        self.least = least(np.hstack([self.A, np.ones((ROWS, 1))]), self.b.numpy(), radius)
        self.w, self.c = (torch.nn.Parameter(torch.zeros(n, dtype=dtype)) for n in (SIZE, 1))
        groups = [{"params": [p], "weight_decay": d} for p, d in zip((self.w, self.c), decays, strict=True)]
        self.opt = lionk_torch.LionK(groups, **options)

    def loss(self):
        self.opt.zero_grad()
        loss = (self.A @ self.w + self.c - self.b).abs().mean()
        loss.backward()
        return loss.detach()

    def go(self, steps, first=0):
        for k in range(first, first + steps):
            for group in self.opt.param_groups:
                group["lr"] = 1 / (k + 5)
            f = self.loss()
            bounds = self.opt.certificate(f, convex=True)
            self.opt.step()
            yield float(f), bounds


@pytest.mark.parametrize(("dtype", "seed"), [(torch.float64, 0), (torch.float32, 2)])
def test_both_bounds_are_true_at_every_step_and_the_momentum_is_the_better_one(dtype, seed):
    run = Run(seed, dtype)
    for f, bounds in run.go(300):
        assert f - run.least <= bounds.gap
        assert f - run.least <= bounds.momentum_gap
    assert bounds.momentum_gap < 0.02 < bounds.gap
    assert [s.verdict for s in bounds.statements] == ["holds", "holds"]


def test_other_betas_and_a_restart_of_x_keep_it_true():
    run = Run()
    for k in range(150):
        if k % 50 == 25:
            with torch.no_grad():
                run.w.zero_()
        for group in run.opt.param_groups:
            group["betas"] = (0.9, 0.9 + 0.099 * (k % 7) / 7)
        ((f, bounds),) = run.go(1, k)
        assert f - run.least <= bounds.momentum_gap + 1e-12
    assert bounds.momentum_gap < bounds.gap


def test_other_decays_are_another_problem():
    run = Run()
    list(run.go(200))
    for group in run.opt.param_groups:
        group["weight_decay"] = 4.0
    with torch.no_grad():
        run.w.zero_(), run.c.zero_()
    tighter = least(np.hstack([run.A, np.ones((ROWS, 1))]), run.b.numpy(), [0.25] * (SIZE + 1))
    for f, bounds in run.go(50, 200):
        assert f - tighter <= bounds.momentum_gap


def test_copies_and_checkpoints_go_on_with_the_same_bits():
    run, twin = Run(), Run()
    list(run.go(30))
    file = io.BytesIO()
    torch.save(run.opt.state_dict(), file)
    file.seek(0)
    twin.opt.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        twin.w.copy_(run.w), twin.c.copy_(run.c)
    again = copy.deepcopy(run)
    expected = list(run.go(20, 30))
    assert expected == list(twin.go(20, 30)) == list(again.go(20, 30))
    assert expected[-1][1].momentum_gap < math.inf


def reason(run, steps=3):
    (*_, (_, bounds)) = run.go(steps)
    return next(s.text for s in bounds.statements if s.name == "momentum bound" and s.verdict == "does not apply")


@pytest.mark.parametrize(
    ("options", "why"), [({"mars": 0.025}, "with mars"), ({"decays": (1.0, 0.0)}, "weight_decay = 0")]
)
def test_it_says_why_it_does_not_apply(options, why):
    assert why in reason(Run(**options))


def test_groups_with_other_weights_have_no_common_bound():
    run = Run()
    run.opt.param_groups[1]["betas"] = (0.9, 0.9)
    assert "several second betas" in reason(run)


def test_steps_that_were_not_looked_at_end_it():
    run = Run()
    list(run.go(3))
    run.loss()
    run.opt.step()
    (_, bounds), _ = run.go(2, 4)
    assert "gradients of steps 3 to 4" in str(bounds)
    assert math.isinf(bounds.momentum_gap)
    assert bounds.gap < math.inf, "this gradient bounds as before"
    late = Run()
    late.loss()
    late.opt.step()
    assert "before the first look" in reason(late)


def test_looking_twice_counts_once_and_changes_nothing():
    run, twin = Run(), Run()
    for (_, a), (_, b) in zip(run.go(20), twin.go(20), strict=True):
        assert a == b
        assert run.opt.certificate(run.loss(), convex=True).gap > 0
    assert torch.equal(run.w, twin.w)


def test_no_gradient_is_an_error():
    with pytest.raises(ValueError, match="after backward"):
        Run().opt.certificate(1.0)


def test_a_loss_that_is_not_convex_is_seen():
    w = torch.nn.Parameter(torch.tensor([0.2], dtype=torch.float64))
    opt = lionk_torch.LionK([w], lr=0.05, weight_decay=0.5)
    for _ in range(60):
        opt.zero_grad()
        loss = torch.cos(w).sum()
        loss.backward()
        bounds = opt.certificate(loss.detach())
        opt.step()
    assert "not convex" in str(bounds)


def test_maximize_and_points_outside():
    w = torch.nn.Parameter(torch.tensor([3.0, 0.0], dtype=torch.float64))
    opt = lionk_torch.LionK([w], lr=0.3, weight_decay=1.0, maximize=True)
    seen = []
    for _ in range(100):
        opt.zero_grad()
        value = -(w - 2.0).abs().sum()
        value.backward()
        seen.append((float(-value.detach()), opt.certificate(value, convex=True)))
        opt.step()
    assert "outside dom K*" in str(seen[0][1])
    f, bounds = seen[-1]
    assert f - 2.0 <= bounds.gap < 1e-9
    assert f - 2.0 <= bounds.momentum_gap < 5.0


@pytest.mark.parametrize("x64", [True, False])
def test_runs_of_optax(x64):
    A, b = data(5)
    with jax.enable_x64(x64):
        K = lionk.blocks({"w": "l1", "c": "l2"})
        solver = lionk_jax.lion_k(lambda k: 1 / (k + 5), K=K, weight_decay=2.0)
        optimizer = lionk.LionK(K, weight_decay=2.0)
        x = {"w": jnp.zeros(SIZE), "c": jnp.zeros(1)}
        matrix, target = jnp.asarray(A), jnp.asarray(b)
        best = least(np.hstack([matrix, np.ones((ROWS, 1))]), np.asarray(target), [0.5] * (SIZE + 1))
        fun = jax.jit(jax.value_and_grad(lambda x: jnp.abs(matrix @ x["w"] + x["c"] - target).mean()))
        state, account = solver.init(x), lionk.theory.Account()
        for _ in range(200):
            f, grad = fun(x)
            bounds = account.observe(optimizer, f, x, grad, state.m, state.count, convex=True)
            assert float(f) - best <= min(bounds.gap, bounds.momentum_gap)
            updates, state = solver.update(grad, state, x)
            x = optax.apply_updates(x, updates)
            account = lionk.theory.Account(**asdict(account))
        assert bounds.momentum_gap < 0.05


def test_it_is_the_momentum_gap_of_minimize():
    A, b = data(7)

    def fun(x):
        return float(np.mean(np.abs(A @ x - b))), A.T @ np.sign(A @ x - b) / ROWS

    opt = lionk.LionK("l1", weight_decay=1.0)
    run = lionk.minimize(
        fun,
        np.zeros(SIZE),
        K="l1",
        weight_decay=1.0,
        lr=lambda k: 2 / (k + 4),
        jac=True,
        convex=True,
        maxiter=50,
        tol=0.0,
    )
    x, account, lows = np.zeros(SIZE), lionk.theory.Account(), []
    state = opt.init(x)
    for k in range(51):
        f, g = fun(x)
        found = account.observe(opt, f, x, g, state.m, state.count, convex=True)
        lows.append(f)
        gap = min(lows) - f + found.momentum_gap
        assert gap == pytest.approx(float(run.history.momentum_gap[k]), rel=1e-9, abs=1e-12)
        x, state = opt.step(x, g, state, lr=2 / (k + 4))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bounds_are_true_where_the_terms_of_K_cancel(dtype) -> None:
    """A linear f and l1 tilted against it: ``min F = -K(-g)`` is a thousandth of its terms. By exact fractions."""
    d = -1 + 1e-3
    for seed in range(8):
        c = -np.random.default_rng(seed).uniform(0.5, 1, 50).astype(dtype)

        def fun(x, c=c):
            return math.fsum(c.astype(float) * x.astype(float)), c

        run = lionk.minimize(
            fun, np.zeros(50, dtype), K=lionk.K("l1").tilt(d), weight_decay=1.0, jac=True, convex=True, maxiter=5,
            tol=1e-12,
        )  # fmt: skip
        least = sum((1 + Fraction(d)) * Fraction(float(v)) for v in c)
        truth = float(sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(c, run.x, strict=True)) - least)
        assert truth <= min(run.momentum_gap, run.gap + run.gap_rounding) <= 1e3 * np.finfo(dtype).eps * 50
        assert not run.certificate.failed
