"""What the report measures of plain code: how the momentum takes gradients, by what x decays, what a stack does."""

import numpy as np
import pytest

from beyond_a_step import EVERY
from lionk.conformance import Capabilities, check


def port(kept=lambda g: g, factor=lambda lr, wd: lr * wd):
    def step(x, m, grad, lr, beta1, beta2, weight_decay):
        u = np.sign(beta1 * m + (1 - beta1) * grad)
        return x * (1 - factor(lr, weight_decay)) - lr * u, beta2 * m + (1 - beta2) * kept(grad)

    return step


def decays_on_both_sides(x, m, grad, lr, beta1, beta2, weight_decay):
    x, m = port()(x, m, grad, lr, beta1, beta2, weight_decay)
    return x * (1 - lr * weight_decay), m


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (port(kept=np.sign), "the momentum holds 1, 1, 1: their sign, and not their size"),
        (port(kept=lambda g: np.sign(g) * np.sqrt(np.abs(g))), "holds 0.125, 1, 8: their power 0.5"),
        (port(kept=lambda g: np.clip(g, -12, 12)), "as if they were cut at 12"),
        (port(factor=lambda lr, wd: (lr * wd) ** 2), "x is multiplied by 1 - (lr wd)^2; lr_wd is declared"),
        (port(factor=lambda lr, wd: lr * wd**2), "x is multiplied by 1 - lr wd^2; lr_wd is declared"),
        (port(factor=lambda lr, wd: -lr * wd), "x is multiplied by 1 + lr wd: it grows"),
        (port(factor=lambda lr, wd: 1 - (1 - lr * wd) ** 2), "by (1 - lr wd)^2: it decays twice; lr_wd is declared"),
        (decays_on_both_sides, "and the direction by 1 - lr wd: there is a decay after the step; lr_wd is declared"),
        (port(factor=lambda lr, wd: lr if wd else 0.0), "x is multiplied by 1 - lr; lr_wd is declared"),
    ],
)
def test_a_number_says_what_is_otherwise(made, words):
    report = check(made, dtypes=("float64",), level=0)
    assert not report.passed
    assert words in " | ".join(report.measured), report.measured


def test_a_right_port_has_nothing_measured():
    report = check(port(), dtypes=("float64",), level=1)
    assert report.passed
    assert not report.measured


def test_another_dtype_is_said_first():
    def step(x, m, grad, lr, beta1, beta2, weight_decay):
        return port()(x, m, grad, np.float64(lr), np.float64(beta1), beta2, weight_decay)

    report = check(step, dtypes=("float32",), level=0)
    assert report.hint.startswith("x is float64, not float32")


def polar(r):
    u, s, vh = np.linalg.svd(r, full_matrices=False)
    keep = s > s.max(axis=-1, keepdims=True, initial=0) * max(r.shape[-2:]) * np.finfo(r.dtype).eps
    return (u * keep[..., None, :]) @ vh


def of_matrices(way):
    def step(x, m, grad, lr, beta1, beta2, weight_decay):
        u = way(beta1 * m + (1 - beta1) * grad)
        x = x - lr * (u + weight_decay * x)
        return x.astype(grad.dtype), (beta2 * m + (1 - beta2) * grad).astype(grad.dtype)

    return step


def refuses(r):
    if r.ndim > 2:
        raise ValueError("a matrix is expected")
    return polar(r)


@pytest.mark.parametrize(
    ("way", "verdict", "words"),
    [
        (polar, "pass", ""),
        (lambda r: polar(r.reshape(len(r), -1)).reshape(r.shape), "pass", ""),
        (refuses, "skip", "a stack of matrices is refused: ValueError: a matrix is expected"),
        (lambda r: polar(r.reshape(-1, r.shape[-1])).reshape(r.shape), "fail", "direction of one matrix of 8 rows"),
        (lambda r: np.stack([polar(r[0]), 0 * r[0]]) if r.ndim > 2 else polar(r), "fail", "otherwise than alone"),
    ],
    ids=["each", "kernel", "refused", "rows", "first"],
)
def test_a_stack_of_matrices(way, verdict, words):
    report = check(of_matrices(way), K="nuclear", dtypes=("float64",), only="S5.shape/stacked", diagnose=False)
    (result,) = [r for r in report.results if r.id.startswith("S5.shape/")]
    assert result.verdict == verdict, result.text
    assert words in result.text


@pytest.mark.parametrize(
    ("norm", "words"),
    [
        (lambda rs: [np.linalg.norm(r) for r in rs], "each piece steps as it does alone: a norm"),
        (lambda rs: [sum(np.linalg.norm(r) for r in rs)] * len(rs), "times the right one at the steps"),
        (lambda rs: [np.linalg.norm(np.concatenate(rs))] * len(rs), ""),
    ],
    ids=["own", "sum", "right"],
)
def test_of_pieces_it_is_said_what_they_share(norm, words):
    class Handle:
        def __init__(self, xs, lr, betas, wd, many):
            self.xs, self.many, self.lr, self.betas, self.wd = xs, many, lr, betas, wd
            self.ms = [0 * x for x in xs]

        @property
        def x(self):
            return self.xs if self.many else self.xs[0]

        def step(self, grad):
            b1, b2 = self.betas
            grads = grad if self.many else [grad]
            rs = [b1 * m + (1 - b1) * g for m, g in zip(self.ms, grads, strict=True)]
            us = [r / n if n else r for r, n in zip(rs, norm(rs), strict=True)]
            self.xs = [x - self.lr * (u + self.wd * x) for x, u in zip(self.xs, us, strict=True)]
            self.ms = [b2 * m + (1 - b2) * g for m, g in zip(self.ms, grads, strict=True)]

    class Port:
        name, defaults = "pieces", {}
        capabilities = Capabilities(K="l2", dtypes=("float64",), pieces=True)

        def create(self, x0, *, lr, betas, weight_decay, pieces=False):
            many = isinstance(x0, list)
            return Handle(x0 if many else [x0], lr, betas, weight_decay, many)

    report = check(Port(), only="S7.shards/pieces")
    assert report.passed == (not words)
    assert words in report.hint


def held(x, m, grad, lr, beta1, beta2, weight_decay):
    x, m = port()(x, m, grad, lr, beta1, beta2, weight_decay)
    return np.clip(x, -7, 7), m


def shared_out(x, m, grad, lr, beta1, beta2, weight_decay):
    u = np.sign(beta1 * m + (1 - beta1) * grad) / max(x.size, 1) ** 0.5
    return x - lr * (u + weight_decay * x), beta2 * m + (1 - beta2) * grad


def of_signs(x, m, grad, lr, beta1, beta2, weight_decay):
    u = np.sign(beta1 * np.sign(m) + (1 - beta1) * np.sign(grad))
    return x - lr * (u + weight_decay * x), beta2 * m + (1 - beta2) * grad


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (held, "x is held within [-7, 7]"),
        (shared_out, "the direction is multiplied by n^-0.5, where n is the number of entries"),
        (of_signs, "the readout is no sum of weighted gradients: a first gradient turns it, but after a gradient of 1"),
    ],
)
def test_what_a_step_keeps_to_is_said_first(step, words):
    assert check(step, dtypes=("float64",), level=1).hint.startswith(words)


def of_decomposition(r):
    q, t = np.linalg.qr(r if len(r) >= len(r.T) else r.T)
    q = q * np.where(np.diagonal(t) < 0, -1.0, 1.0)
    return q if len(r) >= len(r.T) else q.T


def test_an_orthogonal_factor_that_is_not_the_polar_one():
    report = check(of_matrices(of_decomposition), K="nuclear", dtypes=("float64",), level=0)
    assert report.hint == "the direction is Q of the decomposition Q R, where the readout has full rank"


def forgets_nan(x, m, grad, lr, beta1, beta2, weight_decay):
    r = beta1 * m + (1 - beta1) * grad
    x = x * (1 - lr * weight_decay) - lr * (1.0 * (r > 0) - (r < 0))
    return x, np.nan_to_num(beta2 * m + (1 - beta2) * grad, posinf=np.inf, neginf=-np.inf)


def test_a_nan_that_leaves_the_momentum():
    report = check(forgets_nan, dtypes=("float64", "float16"), only="S6.nan")
    assert report.hint.startswith("the NaN of an earlier gradient is not in the momentum any more")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("schedule_off_by_one", "the direction takes the learning rates of the steps 1, 2"),
        ("schedule_late", "the direction takes the learning rates of the steps 0, 0, 1"),
        ("decay_with_previous_rate", "the decay takes the learning rates of the steps 0, 0, 1"),
    ],
)
def test_the_steps_of_a_schedule_whose_rates_are_taken_are_said(name, words):
    hint = check(EVERY[name], dtypes=("float64",), level=1).hint
    assert words in hint and "the schedule is asked at another count" in hint
