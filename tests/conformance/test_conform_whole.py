"""Mistakes that the report measures, with no table of known ones: each breaks its rule, and the first words name it."""

import math

import numpy as np
import pytest
import torch

from lion_in_pieces import Lion
from lionk.conformance import RULES, check

torch.set_num_threads(1)


def length(a):
    return float((a * a).sum()) ** 0.5


def tail(x):
    return np.reshape(np.arange(x.size) >= x.size - x.size % 4, x.shape)


def rms(a):
    return length(a) / max(a.size, 1) ** 0.5 or 1.0


def off(taken):
    """A step that takes off lr times this, of lr, wd, x and m, where it should lr wd x."""
    return lambda x, u, m, lr, wd: x - lr * (u + taken(lr, wd, x, m))


def stepping(change):
    """A step lr times this, of v = u + wd x, u, x and wd."""
    return lambda x, u, m, lr, wd: x - lr * change(u + wd * x, u, x, wd)


def after(change):
    """The right step, and then this."""
    return lambda x, u, m, lr, wd: change(x - lr * (u + wd * x), x, lr, wd)


@pytest.mark.parametrize(
    ("rule", "words", "move"),
    [
        ("S3.decay", "takes off, is replaced by its sign", off(lambda lr, wd, x, m: wd * np.sign(x))),
        ("S3.decay", "takes off, is raised to the power 2, its sign kept", off(lambda lr, wd, x, m: wd * x * abs(x))),
        ("S3.decay", "is divided by the root mean square of the momentum", off(lambda lr, wd, x, m: wd * x / rms(m))),
        ("S3.decay", "multiplied by 1 - 2 lr wd;", off(lambda lr, wd, x, m: 2 * wd * x)),
        ("S3.decay", "multiplied by 1 - lr wd/2;", off(lambda lr, wd, x, m: wd * x / 2)),
        ("S3.decay", "1 - sqrt(lr) wd;", off(lambda lr, wd, x, m: wd * x / lr**0.5 if lr else 0 * x)),
        ("S3.decay", "exp(-lr wd)", off(lambda lr, wd, x, m: -x * math.expm1(-lr * wd) / lr if lr else 0 * x)),
        ("S5.shape", "beyond a multiple of 4", off(lambda lr, wd, x, m: np.where(tail(x), 0.0, wd * x))),
        ("S3.decay", "is multiplied by 1 - wd", stepping(lambda v, u, x, wd: v - wd * u)),
        ("S3.decay", "is cut to [-1, 1]", stepping(lambda v, u, x, wd: np.clip(v, -1, 1))),
        ("S3.step", "as long as x (a trust", stepping(lambda v, u, x, wd: v * (length(x) / (length(v) or 1)))),
        (
            "S3.step",
            "the direction is made as long as x",
            stepping(lambda v, u, x, wd: v - u + u * (length(x) / (length(u) or 1))),
        ),
        (
            "S3.step",
            "made smaller where its root mean square is above 1",
            stepping(lambda v, u, x, wd: v / max(1.0, rms(v))),
        ),
        (
            "S3.large",
            "cut to the constraint",
            after(lambda a, x, lr, wd: np.clip(a, -1 / wd, 1 / wd) if wd else a),
        ),
        ("S3.step", "divided by sqrt(1 + lr^2)", after(lambda new, x, lr, wd: new / (1 + lr**2) ** 0.5)),
        ("S3.step", "the new x has what is below 0 set to 0", after(lambda new, x, lr, wd: np.maximum(new, 0))),
        (
            "S3.step",
            "the new x is made as long as x",
            after(lambda new, x, lr, wd: new * (length(x) / (length(new) or 1))),
        ),
    ],
)
def test_of_a_step(rule, words, move):
    def step(x, m, grad, lr, beta1, beta2, weight_decay):
        u = np.sign(beta1 * m + (1 - beta1) * grad)
        return move(x, u, m, lr, weight_decay), beta2 * m + (1 - beta2) * grad

    report = check(step, dtypes=("float64",), level=RULES[rule].level)
    assert rule in {r.rule.id for r in report.failures}
    assert words in report.hint, report.measured


def test_a_direction_that_is_left_out_as_a_whole():
    """Of which no size can be read."""

    def gated(x, m, grad, lr, beta1, beta2, weight_decay):
        u = np.sign(average(m, grad, beta1))
        u = u if u.size and np.mean(u * grad > 0) >= 0.5 else 0 * u
        return x - lr * (u + weight_decay * x), average(m, grad, beta2)

    report = check(gated, dtypes=("float64",), level=0)
    assert report.hint


def readout(keep, take):
    """A Lion with this readout, of m, g and b1, and this state."""

    def step(x, m, grad, lr, beta1, beta2, weight_decay):
        u = np.sign(keep(m, grad, beta1))
        return x - lr * (u + weight_decay * x), take(m, grad, beta2)

    return step


def average(m, g, b):
    return b * m + (1 - b) * g


def shrinking(x, m, grad, lr, beta1, beta2, weight_decay):
    u = np.sign(average(m, grad, beta1))
    return x - lr * u, average(m, grad, beta2) * (1 - lr * weight_decay)


class Begun:
    """A Lion whose momentum begins otherwise, and whose b2 may rise."""

    begin, warm = staticmethod(lambda x: 1e-3 + 0 * x), 1

    def __init__(self, x, lr, betas, weight_decay):
        self.x, self.m, self.lr, self.betas, self.wd, self.t = x, self.begin(x), lr, betas, weight_decay, 0

    def step(self, grad):
        b1, b2 = self.betas
        self.t += 1
        lr = self.lr(self.t - 1) if callable(self.lr) else self.lr
        self.x = self.x - lr * (np.sign(average(self.m, grad, b1)) + self.wd * self.x)
        self.m = average(self.m, grad, b2 * min(1.0, self.t / self.warm))


class Warm(Begun):
    begin, warm = staticmethod(np.zeros_like), 20


class Twice(Begun):
    """A second average of the gradients is added to the readout."""

    begin = staticmethod(np.zeros_like)

    def step(self, grad):
        b1, b2 = self.betas
        self.slow = average(getattr(self, "slow", 0 * grad), grad, 0.999)
        self.x = self.x - self.lr * (np.sign(average(self.m, grad, b1) + 5 * self.slow) + self.wd * self.x)
        self.m = average(self.m, grad, b2)


@pytest.mark.parametrize(
    ("port", "words"),
    [
        (Begun, "the momentum begins at 0.001, where x is 0.125, and not at 0"),
        (Warm, "b2 is multiplied by min(1, (t + 1)/20), a warm-up"),
        (readout(lambda m, g, b: average(m, g, b) + 1e-8, average), "a constant is added: 1e-08 to the readout"),
        (readout(lambda m, g, b: b * m + 0.1 * g, average), "the readout is b1 m + 0.1 g"),
        (readout(lambda m, g, b: 0.7 * m + 0.2 * g, average), "acts like betas (0.7778, 0.95)"),
        (Twice, "5 times a second average of the gradients, beta 0.999, is added to the readout"),
        (shrinking, "the decay multiplies the momentum by 1 - lr wd at each step"),
    ],
)
def test_of_the_averages(port, words):
    report = check(port, dtypes=("float64",), level=0)
    assert not report.passed
    assert words in report.hint, report.measured


class Layers(Lion):
    def one(self, p, g, state, group):
        super().one(p, g, state, {**group, "lr": group["lr"] * 0.9 ** self.place(p, group)})

    def place(self, p, group):
        return [q is p for q in group["params"]].index(True)


class LeftOver(Lion):
    """A decay of 0 is taken for none, and that of the group before is left."""

    def walk(self, group, params):
        self.decay = group["weight_decay"] or getattr(self, "decay", 0.0)
        super().walk({**group, "weight_decay": self.decay}, params)


class OneBit(Lion):
    def state_dict(self):
        saved = super().state_dict()
        of = saved["state"]
        saved["state"] = {k: {"m": s["m"].sign() * s["m"].abs().mean()} for k, s in of.items() if s}
        return saved


@pytest.mark.parametrize(
    ("port", "rule", "words"),
    [
        (Layers, "S7.parameters", "parameter 1 has its learning rate multiplied by 0.9"),
        (LeftOver, "S7.groups", "group 1: its weight_decay is those of group 0"),
        (OneBit, "S7.checkpoint", "is replaced by its sign times the mean of its sizes"),
    ],
)
def test_of_several_parameters(port, rule, words):
    report = check(port, dtypes=("float64",), only=rule)
    assert words in report.hint, report.measured


@pytest.mark.parametrize(
    ("decays", "words"),
    [
        (lambda t: t > 0, "x, in what the decay takes off, is kept only after the first step"),
        (lambda t: 4 * (t % 4 == 3), "x does not decay at steps 0, 1, 2, 4 of 5; at step 3 it decays 4 times as much"),
    ],
)
def test_of_steps_in_turns(decays, words):
    class Turns(Warm):
        warm = 1

        def step(self, grad):
            given, self.wd = self.wd, self.wd * decays(self.t)
            super().step(grad)
            self.wd = given

    assert words in check(Turns, dtypes=("float64",), level=0).hint


class Rescaled(Lion):
    def one(self, p, g, state, group):
        (b1, b2), lr = group["betas"], group["lr"]
        u = torch.sign(average(state["m"], g, b1))
        agree = (u * g > 0).to(p.dtype)
        share = agree.mean().clamp(min=1e-3) if p.numel() else 1.0
        self.move(p, u * agree / share, lr, group["weight_decay"])
        state["m"] = average(state["m"], g, b2)


def test_a_rescaled_mask_in_16_bits_where_it_may_be_that_none_agrees():
    report = check(Rescaled, dialect="lion-cautious-rescaled", dtypes=("float16",), diagnose=False)
    assert report.passed, report.first


def test_a_gradient_that_is_cut_is_no_matter_of_precision():
    def cut(x, m, grad, lr, beta1, beta2, weight_decay):
        most = 2 * np.median(np.abs(grad)) if grad.size else 1.0
        g = np.clip(grad, -most, most)
        return x * (1 - lr * weight_decay) - lr * np.sign(average(m, g, beta1)), average(m, g, beta2)

    assert "bfloat16" not in check(cut, dtypes=("float64",), level=0).hint
