"""Mistakes around the steps of PyTorch optimizers, and in the ties and norms of others, by kind: failed and named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lion_in_pieces import Lion
from lionk.conformance import check

WIDE = ("float64",)


def called(closure):
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


class ListedBefore(Lion):
    @torch.no_grad()
    def step(self, closure=None):
        listed = [(g, [p for p in g["params"] if p.grad is not None]) for g in self.param_groups]
        loss = called(closure)
        for group, params in listed:
            self.walk(group, params)
        return loss


class CalledForEachGroup(Lion):
    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        for group in self.param_groups:
            loss = called(closure)
            self.walk(group, [p for p in group["params"] if p.grad is not None])
        return loss


class OtherMemory(Lion):
    def move(self, p, u, lr, wd):
        p.data = p.data * (1 - lr * wd) - lr * u


class MaximizeOneByOne(Lion):
    def one(self, p, g, state, group):
        super().one(p, -g if group["maximize"] and group["foreach"] else g, state, group)


class ScaledInPlace(Lion):
    def walk(self, group, params):
        super().walk(group, params)
        if len(params) > 1:
            torch._foreach_mul_([p.grad for p in params], 1 - group["betas"][1])


class KeepsOldStates(Lion):
    def load_state_dict(self, state):
        there = {p: dict(s) for p, s in self.state.items()}
        super().load_state_dict(state)
        for p, s in there.items():
            self.state[p] = self.state[p] or s


@pytest.mark.parametrize(
    ("port", "rule", "words"),
    [
        (ListedBefore, "S7.closure", "is another one with a closure"),
        (CalledForEachGroup, "S7.closure", "with two groups step 0 has called its closure 2 times"),
        (OtherMemory, "S7.edited", "has put x into other memory"),
        (MaximizeOneByOne, "S7.options", "with maximize and foreach=True"),
        (ScaledInPlace, "S7.parameters", "step 0 of two parameters together has changed a gradient"),
        (KeepsOldStates, "S7.restore", "after loading the momentum is that which was there"),
    ],
)
def test_the_kind_is_failed_and_named(port, rule, words):
    report = check(port, claims={"dtypes": WIDE}, only=f"{rule}/")
    assert {r.rule.id for r in report.failures} == {rule}
    assert words in " | ".join([report.hint, *report.measured]), (report.hint, report.measured)


def ties_by_isclose(x, m, grad, lr, beta1, beta2, weight_decay):
    c = beta1 * m + (1 - beta1) * grad
    tied = np.isclose(np.abs(c), np.abs(c).max(initial=0), rtol=1e-6, atol=0)
    return x - lr * (np.sign(c) * tied / max(int(tied.sum()), 1) + weight_decay * x), beta2 * m + (1 - beta2) * grad


def test_a_largest_entry_is_not_tied_with_its_neighbours():
    report = check(ties_by_isclose, K="linf", dtypes=WIDE)
    assert {r.rule.id for r in report.failures} == {"S2.fine"}
    assert "taken for ties" in report.hint
