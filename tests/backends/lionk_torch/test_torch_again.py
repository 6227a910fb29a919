"""Steps after which something has changed, and steps after which nothing has: what is remembered is never out of date.

Drawn events between the steps of one optimizer, against its formula in NumPy, written here.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import lionk_torch
import lionk_torch.runner.run
import lionk_torch.runner.small

SHAPES = [(3,), (2, 4), (5, 5), (), (7, 3), (90, 50), (40, 120)]  # gathered, and stepped by themselves
SLOPES: dict[str, Callable[[Any], Any]] = {"l1": np.sign, "log_cosh": np.tanh}


class Run:
    """An optimizer, and what its parameters and momenta have to be, in NumPy's double precision."""

    def __init__(self, K: str, compile: bool | None, seed: int) -> None:  # noqa: A002  (the optimizer's name for it)
        self.rng, self.K = np.random.default_rng(seed), K
        self.closure: Any = None
        self.params = [self.parameter(s) for s in SHAPES]
        groups = [{"params": self.params[:5]}, {"params": self.params[5:], "lr": 0.02}]
        self.opt = lionk_torch.LionK(groups, lr=0.01, weight_decay=0.1, K=K, compile=compile)
        self.x = [p.detach().double().numpy().copy() for p in self.params]
        self.m = [np.zeros_like(a) for a in self.x]
        for p in self.params:
            self.give(p)

    def parameter(self, shape: tuple[int, ...]) -> Any:
        dtype = torch.float64 if self.rng.random() < 0.2 else torch.float32
        return torch.nn.Parameter(torch.tensor(self.rng.normal(size=shape), dtype=dtype))

    def give(self, p: Any, turned: bool = False) -> None:
        """A new gradient; ``turned``: in another order in memory."""
        made = torch.tensor(self.rng.normal(size=tuple(p.shape)), dtype=p.dtype)
        p.grad = made.mT.contiguous().mT if turned and made.ndim == 2 else made

    def step(self) -> None:
        self.opt.step(self.closure)
        self.closure = None
        for group in self.opt.param_groups:
            b1, b2 = group["betas"]
            lr, lam = float(group["lr"]), float(group["weight_decay"])
            for p in group["params"]:
                i = next(k for k, q in enumerate(self.params) if q is p)
                if p.grad is None:
                    continue
                g = p.grad.double().numpy() * (-1 if group["maximize"] else 1)
                slope = SLOPES[self.K](b1 * self.m[i] - (1 - b1) * g)
                self.x[i] = self.x[i] + lr * (slope - lam * self.x[i])
                self.m[i] = b2 * self.m[i] - (1 - b2) * g

    def compare(self) -> None:
        for p, x, m in zip(self.params, self.x, self.m, strict=True):
            np.testing.assert_allclose(p.detach().double().numpy(), x, rtol=2e-5, atol=2e-6)
            if p in self.opt.state:
                np.testing.assert_allclose(self.opt.state[p]["m"].double().numpy(), m, rtol=2e-5, atol=2e-6)

    # -- events, each of which is drawn between two steps ---------------------------------------------------------

    def some(self) -> Any:
        return self.params[self.rng.integers(len(self.params))]

    def new_gradients(self) -> None:
        for p in self.params:
            self.give(p)

    def written_gradients(self) -> None:
        for p in self.params:
            if p.grad is not None:
                p.grad.mul_(-1.5)

    def one_gradient(self) -> None:
        self.give(self.some(), turned=bool(self.rng.random() < 0.5))

    def no_gradient(self) -> None:
        self.some().grad = None

    def moved_gradient(self) -> None:
        p = self.some()
        if p.grad is not None:
            p.grad.data = p.grad.detach().clone()

    def frozen(self) -> None:
        p = self.some()
        p.requires_grad_(not p.requires_grad)
        p.grad = None

    def zeroed(self) -> None:
        self.opt.zero_grad(set_to_none=bool(self.rng.random() < 0.5))
        for p in self.params:
            if self.rng.random() < 0.8 and p.grad is None:
                self.give(p)

    def exchanged_data(self) -> None:
        p = self.some()
        p.data = p.detach().clone()

    def turned_data(self) -> None:
        """The same memory, seen in another order; its gradient stays."""
        p = self.params[2]
        i = next(k for k, q in enumerate(self.params) if q is p)
        p.data = p.detach().mT
        self.x[i] = self.x[i].T.copy()

    def exchanged_moment(self) -> None:
        p = self.some()
        if p in self.opt.state:
            self.opt.state[p]["m"] = self.opt.state[p]["m"].clone()

    def written_parameter(self) -> None:
        i = self.rng.integers(len(self.params))
        with torch.no_grad():
            self.params[i].mul_(0.5)
        self.x[i] = self.x[i] * 0.5

    def rates(self) -> None:
        group = self.opt.param_groups[self.rng.integers(len(self.opt.param_groups))]
        group["lr"] = float(self.rng.uniform(0.001, 0.05))
        if self.rng.random() < 0.3:
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float64)

    def options(self) -> None:
        group = self.opt.param_groups[self.rng.integers(len(self.opt.param_groups))]
        group["betas"] = (float(self.rng.uniform(0.5, 0.9)), 0.95)
        group["weight_decay"] = float(self.rng.uniform(0, 1))
        group["maximize"] = bool(self.rng.random() < 0.5)

    def added(self) -> None:
        p = self.parameter((6,))
        self.params.append(p)
        self.x.append(p.detach().double().numpy().copy())
        self.m.append(np.zeros(6))
        self.give(p)
        self.opt.add_param_group({"params": [p]})

    def added_to_a_group(self) -> None:
        p = self.parameter((4, 2))
        self.params.append(p)
        self.x.append(p.detach().double().numpy().copy())
        self.m.append(np.zeros((4, 2)))
        self.give(p)
        self.opt.param_groups[0]["params"].append(p)

    def other_order(self) -> None:
        self.opt.param_groups[0]["params"].reverse()

    def loaded(self) -> None:
        self.opt.load_state_dict(self.opt.state_dict())

    def pickled(self) -> None:
        kept = [p.grad for p in self.params]
        self.params, self.opt = pickle.loads(pickle.dumps((self.params, self.opt)))
        for p, g in zip(self.params, kept, strict=True):
            p.grad = g

    def copied(self) -> None:
        self.params, self.opt = copy.deepcopy((self.params, self.opt))

    def by_closure(self) -> None:
        """The next step takes gradients that are made within it."""
        self.closure = self.new_gradients

    def by_hook(self) -> None:
        """A hook changes the rate of every step from here on."""
        self.opt.register_step_pre_hook(lambda opt, *_: opt.param_groups[0].update(lr=opt.param_groups[0]["lr"] * 0.9))


EVENTS = [
    "new_gradients", "written_gradients", "one_gradient", "no_gradient", "moved_gradient", "frozen", "zeroed",
    "exchanged_data", "turned_data", "exchanged_moment", "written_parameter", "rates", "options", "added",
    "added_to_a_group", "other_order", "loaded", "pickled", "copied", "by_closure", "by_hook",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("K", "compile"), [("l1", False), ("log_cosh", False), ("l1", None)])
def test_whatever_happens_between_two_steps(monkeypatch, K, compile, seed):  # noqa: A002  (the name of the argument of LionK)
    """Two steps after each event: the second one finds what the first one remembered."""
    monkeypatch.setattr(lionk_torch.runner.small, "TINY", 100)
    monkeypatch.setattr(lionk_torch.runner.small, "PATIENCE", 3)
    run = Run(K, compile, seed)
    for _ in range(14):
        event = str(run.rng.choice(EVENTS))
        for _ in range(2):
            run.step()
            try:
                run.compare()
            except AssertionError as error:
                raise AssertionError(f"before {event}") from error
        getattr(run, event)()


@pytest.mark.parametrize("shape", [(3, 2), (90, 50)])
def test_what_is_unchanged_is_looked_up_once(monkeypatch, shape):
    """New gradients, and another lr, are no reason to look at the tensors again."""
    looked = []
    apart = lionk_torch.runner.run.Steps.apart
    monkeypatch.setattr(lionk_torch.runner.run.Steps, "apart", lambda *a: looked.append(1) or apart(*a))
    params = [torch.nn.Parameter(torch.ones(shape)) for _ in range(3)]
    opt = lionk_torch.LionK(params, lr=0.1, compile=False)
    for k in range(6):
        opt.zero_grad(set_to_none=bool(k % 2))
        for p in params:
            p.grad = torch.ones(shape)
        opt.param_groups[0]["lr"] = 0.1 / (1 + k)
        opt.step()
    assert len(looked) == 1
    params[0].data = torch.ones(shape)
    opt.step()
    opt.step()
    assert len(looked) == 2


def test_a_step_that_fails_leaves_nothing_behind():
    """After a gradient that cannot be stepped the next step is as if there had been none."""
    params = [torch.nn.Parameter(torch.ones(4)) for _ in range(3)]
    opt = lionk_torch.LionK(params, lr=0.1, compile=False)
    for p in params:
        p.grad = torch.ones(4)
    opt.step()
    opt.step()
    params[1].grad = params[1].detach()
    with pytest.raises(ValueError, match="memory"):
        opt.step()
    params[1].grad = torch.ones(4)
    opt.step()
    for p in params:
        np.testing.assert_allclose(p.detach(), 0.7, rtol=1e-6)
