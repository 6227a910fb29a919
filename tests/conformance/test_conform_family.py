"""A port that is no Lion-K: one sentence says which kind of optimizer it acts like. And parameters of too few bits."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import optim

from lionk.conformance import adapt, check
from lionk.conformance.judging.family import family_of

SGD, SIZES = "no sign is taken: the direction is the gradient itself", "entry by entry (a second moment), as in "


class Own(optim.Optimizer):
    """``direction(p, g, state)``, where the state is a dict."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    u = self.direction(p, p.grad, self.state[p], *group["betas"])
                    p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(u, alpha=group["lr"])

    def direction(self, p, g, state, b1, b2):
        m = state.setdefault("m", torch.zeros_like(p))
        readout = b1 * m + (1 - b1) * g
        m.mul_(b2).add_(g, alpha=1 - b2)
        return self.of(readout, p)

    def of(self, r, p):
        return r.sign()


class Unit(Own):
    def of(self, r, p):
        return r / r.norm()


class TrustRatio(Own):
    def of(self, r, p):
        return r.sign() * p.norm() / max(1, r.numel()) ** 0.5


class MeanSign(Own):
    def of(self, r, p):
        return r.sign() * r.abs().mean()


class Root(Own):
    def of(self, r, p):
        return r.sign() * r.abs().sqrt()


class Polar(Own):
    def of(self, r, p):
        if r.ndim < 2:
            return r.sign()
        u, _, vh = torch.linalg.svd(r, full_matrices=False)
        return u @ vh


class OfSigns(Own):
    def direction(self, p, g, state, b1, b2):
        return state.setdefault("m", torch.zeros_like(p)).mul_(b1).add_(g.sign(), alpha=1 - b1)


class WarmUp(Own):
    """What changes with the count alone is no other kind."""

    def direction(self, p, g, state, b1, b2):
        state["t"] = state.get("t", 0) + 1
        return super().direction(p, g, state, b1, b2) * min(1, state["t"] / 100)


@pytest.mark.parametrize(
    ("kind", "K", "words"),
    [
        (optim.SGD, "l1", f"{SGD}, 1 g(t) + 0.95 g(t-1) + 0.903 g(t-2), as in gradient descent (SGD) with momentum"),
        (
            optim.SGD,
            "nuclear",
            "no subgradient of K is taken: the direction is the gradient itself, 1 g(t) + 0.95 g(t-1)",
        ),
        (optim.ASGD, "l1", f"{SGD}, 1 g(t), as in gradient descent (SGD): 4 times the gradient gives 4 times the step"),
        (optim.Adam, "l1", f"{SIZES}Adam"),
        (optim.AdamW, "l1", f"{SIZES}Adam"),
        (optim.Adamax, "l1", f"{SIZES}Adam"),
        (optim.NAdam, "l1", f"{SIZES}Adam"),
        (optim.Adam, "nuclear", f"{SIZES}Adam"),
        (optim.RAdam, "l1", f"{SIZES}RAdam (from step 5 on; before, nothing is divided)"),
        (optim.RMSprop, "l1", "or RMSprop with a momentum"),
        (optim.Adadelta, "l1", f"{SIZES}RMSprop, and it keeps no momentum"),
        (optim.Adagrad, "l1", f"{SIZES}Adagrad, and it keeps no momentum"),
        (optim.Adafactor, "l1", "and is multiplied by the length of x (a trust ratio, as of LARS and LAMB)"),
        (optim.Rprop, "l1", "each entry has a rate of its own, 1.2 times the last one while signs agree, as in Rprop"),
        (Unit, "l1", "no sign is taken: the direction is the gradients divided by the length of all entries"),
        (TrustRatio, "l1", "the direction is multiplied by the length of x (a trust ratio"),
        (MeanSign, "l1", "the sign is multiplied by the size of the whole gradient"),
        (Root, "l1", "the direction grows with the gradient: 4 times the gradient gives 2 times the step"),
        (OfSigns, "l1", "an average of the signs of the gradients, of size 0.2 at the first step and 0.832 at step 8"),
        (Polar, "l1", "of a matrix it is not the sign of each entry that is taken, but the polar factor"),
        (Own, "nuclear", "of a matrix the sign of each entry is taken, as in Lion: --k l1 judges that"),
        (Own, "l1", ""),
        (WarmUp, "l1", ""),
        (Unit, "l2", ""),
    ],
)
def test_the_kind_is_said(kind, K, words):
    said = family_of(adapt(kind, K=K))
    assert words in said
    assert bool(said) == bool(words)


@pytest.mark.parametrize(
    ("kind", "words"), [(optim.SGD, SGD), (partial(optim.Adagrad, lr_decay=0.1), "no sign is taken: the direction is")]
)
def test_the_report_begins_with_it(kind, words):
    report = check(kind, level=0)
    assert not report.passed
    assert report.hint.startswith(words)
    assert "--k" not in report.hint


def test_an_optimizer_without_betas_is_judged_with_the_usual_ones():
    class Fixed(Own):
        def __init__(self, params, lr=1e-4, weight_decay=0.0):
            super().__init__(params, lr=lr, weight_decay=weight_decay)

    report = check(Fixed, level=0, dtypes=("float64",))
    assert report.passed, [f"{r.id}: {r.text}" for r in report.failures]
    (said,) = [r for r in report.results if r.id == "S1.betas/none"]
    assert "has no parameter for betas or momentum" in said.text


def kept(dtype, before=False):
    def step(x, m, grad, lr, beta1, beta2, weight_decay):
        x = x.astype(dtype).astype(x.dtype) if before else x
        u = np.sign(beta1 * m + (1 - beta1) * grad)
        x = x - lr * (u + weight_decay * x)
        x = x if before else x.astype(dtype).astype(x.dtype)
        return x.astype(m.dtype), (beta2 * m + (1 - beta2) * grad).astype(m.dtype)

    return step


def test_a_parameter_kept_in_16_bits_is_failed_and_said():
    report = check(kept("float16"), level=0)
    assert {f"S5.kept/{d}" for d in ("float64", "float32")} <= {r.id for r in report.failures}
    assert report.hint.startswith("x of float64 is kept in float16: after each step it is a number of float16")


def test_a_parameter_rounded_before_its_step_is_named():
    report = check(kept("float16", before=True), level=0)
    assert "looks like the parameter rounded to float16 before each step" in report.hint


def every_fourth(x, m, grad, lr, beta1, beta2, weight_decay, t):
    new, m = kept("float64")(x, m, grad, lr, beta1, beta2, weight_decay)
    return (x if t % 4 == 3 else new), m


def in_place(x, m, grad, lr, beta1, beta2, weight_decay):
    grad *= 1 - beta1
    grad += beta1 * m
    return x - lr * (np.sign(grad) + weight_decay * x), beta2 * m + (1 - beta2) * grad


def test_what_happens_at_each_of_a_number_of_steps_is_said():
    hint = check(every_fourth, level=0, dtypes=("float64",)).hint
    assert hint == "the step u - wd x is 0 at each step whose count from 1 is a multiple of 4"


def test_that_a_gradient_is_changed_comes_before_what_follows_from_it():
    assert check(in_place, level=0, dtypes=("float64",)).hint.startswith("step 0 has changed its gradient")


def test_float64_kept_in_float32_is_advice():
    report = check(kept("float32"), level=0, dtypes=("float64", "float32"), diagnose=False)
    assert report.passed, [f"{r.id}: {r.text}" for r in report.failures]
