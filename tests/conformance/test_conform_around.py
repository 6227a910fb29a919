"""Mistakes around the steps of PyTorch optimizers, and in the ties and norms of others, by kind: failed and named."""

from __future__ import annotations

import copy

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


class SavesOnce(Lion):
    def state_dict(self):
        self.saved = getattr(self, "saved", None) or copy.deepcopy(super().state_dict())
        return self.saved


class SavesInPlace(Lion):
    def state_dict(self):
        for s in self.state.values():
            s["m"] = s["m"].to(torch.bfloat16).to(s["m"].dtype)
        return super().state_dict()


@pytest.mark.parametrize(
    ("port", "rule", "words"),
    [
        (ListedBefore, "S7.closure", "is another one with a closure"),
        (CalledForEachGroup, "S7.closure", "with two groups step 0 has called its closure 2 times"),
        (OtherMemory, "S7.edited", "has put x into other memory"),
        (MaximizeOneByOne, "S7.options", "with maximize and foreach=True"),
        (ScaledInPlace, "S7.parameters", "step 0 of two parameters together has changed a gradient"),
        (KeepsOldStates, "S7.restore", "after loading the momentum is that which was there"),
        (SavesOnce, "S7.restore", "after loading the momentum is that of the first save"),
        (SavesInPlace, "S7.restore", "saving changes the optimizer"),
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


class PolarExpress(torch.optim.Optimizer):
    """As it is published: the matrix is divided by 1.01 times its norm. Five steps, arXiv 2505.16932."""

    STEPS = (
        (8.28721201814563, -23.595886519098837, 17.300387312530933),
        (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
        (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
        (3.3184196573706015, -2.488488024314874, 0.51004894012372),
        (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    )

    def __init__(self, params, lr=1e-3, momentum=0.95, weight_decay=0.1):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        loss = called(closure)
        for group in self.param_groups:
            for p in [p for p in group["params"] if p.grad is not None]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                r = p.grad.lerp(m, group["momentum"])
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(self.polar(r), alpha=-group["lr"] * max(1, len(r) / len(r.T)) ** 0.5)
        return loss

    def polar(self, r):
        x = r.T if len(r) > len(r.T) else r
        x = x / (1.01 * x.norm() + 1e-30)
        for a, b, c in self.STEPS:
            gram = x @ x.T
            x = a / 1.01 * x + (b / 1.01**3 * gram + c / 1.01**5 * gram @ gram) @ x
        return x.T if len(r) > len(r.T) else x


class QuinticInstead(PolarExpress):
    STEPS = ((3.4445 * 1.01, -4.7750 * 1.01**3, 2.0315 * 1.01**5),) * 5


def test_polar_express_as_it_is_published_is_right_and_another_set_is_not():
    told = {"dialect": "muon-polar-express5", "dtypes": WIDE, "diagnose": False}
    right = check(PolarExpress, **told)
    assert right.passed, [f"{r.id}: {r.text}" for r in right.failures]
    assert not check(QuinticInstead, **told, level=0).passed


def rounded_to_decimals(x, m, grad, lr, beta1, beta2, weight_decay):
    c = beta1 * m + (1 - beta1) * grad
    return np.round(x - lr * (np.sign(c) + weight_decay * x), 12), beta2 * m + (1 - beta2) * grad


def test_an_error_of_a_few_last_bits_is_measured_and_not_taken_for_a_mistake_of_another_kind():
    report = check(rounded_to_decimals, dtypes=WIDE)
    assert not report.passed
    assert not report.diagnosis
    assert "bits or more" in report.hint
