"""What is wrong in some entries only, late, or after loading is measured: where, and what happens there."""

import numpy as np
import pytest

from lionk.conformance import check
from lionk.conformance.judging import changes
from turns import FULL


@pytest.fixture
def one_by_one(monkeypatch):
    """Two changes are looked for where no one explains a port. It takes the longest, and finds none of these."""
    if not FULL:
        monkeypatch.setattr(changes, "_two_of", lambda *_: "")


def port(mask, turned=0.0, decayed=1.0):
    """Where ``mask`` holds the direction is times ``turned``, and the decay times ``decayed``."""

    def step(x, m, grad, lr, beta1, beta2, weight_decay, count):
        r = beta1 * m + (1 - beta1) * grad
        with np.errstate(invalid="ignore"):
            odd = mask(x, m, grad, r, np.arange(x.size).reshape(x.shape), count)
        u, d = np.sign(r), weight_decay * x
        u, d = np.where(odd, turned * u, u), np.where(odd, decayed * d, d)
        return (x - lr * (u + d)).astype(x.dtype), (beta2 * m + (1 - beta2) * grad).astype(x.dtype)

    return step


def mean(a):
    return np.abs(a).mean() if a.size else 1.0


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize(
    ("step", "words"),
    [
        (port(lambda x, *_: x < 0, 1.0, 0.0), "in what the decay takes off, has what is below 0 set to 0"),
        (port(lambda x, *_: np.abs(x) > 1, 1.0, 3.0), "the decay is multiplied by 3, only where |x| is above 1"),
        (port(lambda x, m, g, r, i, t: (i + t) % 2 == 1), "is left out, only where one of place and count of steps is"),
        (port(lambda x, m, g, r, i, t: i % 2 == 0, -1.0), "the direction is turned, only where the place of the entry"),
        (port(lambda x, m, g, r, i, t: m * g < 0, 0.25), "by 0.25, only where momentum and gradient have opposite"),
        (port(lambda x, m, g, r, i, t: np.abs(g) < 0.5 * mean(g)), "only where |g| is below 0.50"),
        (port(lambda x, m, g, r, i, t: np.abs(r) > 1.5 * mean(r), 2.0), "by 2, only where the readout is above 1.5"),
        (
            port(lambda x, m, g, r, i, t: g > 0, 1.0, 0.0),
            "the decay takes off, is kept only where the gradient is at most 0",
        ),
    ],
)
def test_what_the_wrong_entries_have_in_common(step, words):
    report = check(step, dtypes=("float64",), level=1)
    assert not report.passed
    assert words in report.hint


def halved(x, m, grad, lr, beta1, beta2, weight_decay, count):
    m = m / 2 if count and count % 25 == 0 else m
    u = np.sign(beta1 * m + (1 - beta1) * grad)
    return x - lr * (u + weight_decay * x), beta2 * m + (1 - beta2) * grad


def test_a_momentum_that_changes_at_a_count():
    hint = check(halved, dtypes=("float64",), level=1).hint
    assert "the momentum is multiplied by 0.5 at step 25" in hint


class Exchanges:
    """A checkpoint that brings the betas back in the other order."""

    def __init__(self, x, lr, betas, weight_decay):
        self.x, self.m, self.lr, self.betas, self.wd = x, 0 * x, lr, betas, weight_decay

    def step(self, grad):
        b1, b2 = self.betas
        u = np.sign(b1 * self.m + (1 - b1) * grad)
        self.x, self.m = self.x - self.lr * (u + self.wd * self.x), b2 * self.m + (1 - b2) * grad

    def state(self):
        return {"m": self.m.copy(), "betas": self.betas}

    def load(self, state):
        self.m, self.betas = state["m"].copy(), state["betas"][::-1]


def test_betas_that_loading_exchanges():
    assert "after loading its betas are exchanged" in check(Exchanges, dtypes=("float64",)).hint


def lion(off=lambda x, m, g, x0: x, held=lambda m, lr, wd: m, u=lambda r, x, lr: np.sign(r), b2=lambda b, t: b):
    first = {}

    def step(x, m, grad, lr, beta1, beta2, weight_decay, count):
        x0 = first["x"] = x if count == 0 else first["x"]
        taken = u(beta1 * m + (1 - beta1) * grad, x, lr) + weight_decay * off(x, m, grad, x0)
        b = b2(beta2, count)
        return x - lr * taken, held(b * m + (1 - b) * grad, lr, weight_decay)

    return step


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lion(lambda x, m, g, x0: g), "x, in what the decay takes off, is replaced by the gradient"),
        (lion(lambda x, m, g, x0: 3 * m), "in what the decay takes off, is replaced by 3 times the momentum"),
        (lion(lambda x, m, g, x0: x**2), "in what the decay takes off, is replaced by its square"),
        (lion(lambda x, m, g, x0: np.maximum(x, 0)), "only where x is negative"),
        (lion(held=lambda m, lr, wd: m * (1 - wd / 4)), "with weight decay: with betas (0.8, 0.95) the readout weighs"),
        (
            lion(u=lambda r, x, lr: np.sign(r) * (1 + 0.1 * np.tanh(x))),
            "the direction depends on x: at 1 and at -2 it is",
        ),
        (
            lion(u=lambda r, x, lr: np.sign(r) * (1 - lr**2)),
            "depends on the learning rate: at 2^-8 and at 2^-4 it is 1 and 0.9961",
        ),
    ],
)
def test_what_stands_in_place_of_what_is_right(step, words):
    report = check(step, dtypes=("float64",), level=1)
    assert not report.passed
    assert any(words in said for said in report.measured[:2]), report.measured


def test_another_b2_from_a_step_on_is_seen_in_a_long_run():
    report = check(lion(b2=lambda b, t: b if t < 700 else (1 + b) / 2), dtypes=("float64",), level=1)
    assert any("so it acts like betas (0.8, 0.975)" in said for said in report.measured[:2]), report.measured
