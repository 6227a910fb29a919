"""What the report measures of plain code: how the momentum takes gradients, by what x decays, what a stack does."""

import numpy as np
import pytest

from lionk.conformance import check


def port(kept=lambda g: g, factor=lambda lr, wd: lr * wd):
    def step(x, m, grad, lr, beta1, beta2, weight_decay):
        u = np.sign(beta1 * m + (1 - beta1) * grad)
        return x * (1 - factor(lr, weight_decay)) - lr * u, beta2 * m + (1 - beta2) * kept(grad)

    return step


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (port(kept=np.sign), "the momentum holds 1, 1, 1: their sign, and not their size"),
        (port(kept=lambda g: np.sign(g) * np.sqrt(np.abs(g))), "holds 0.125, 1, 8: their power 0.5"),
        (port(kept=lambda g: np.clip(g, -12, 12)), "as if they were cut at 12"),
        (port(factor=lambda lr, wd: (lr * wd) ** 2), "x decays by the factor 1 - (lr wd)^2; lr_wd is declared"),
        (port(factor=lambda lr, wd: lr * wd**2), "x decays by the factor 1 - lr wd^2; lr_wd is declared"),
        (port(factor=lambda lr, wd: -lr * wd), "it grows"),
        (port(factor=lambda lr, wd: lr if wd else 0.0), "x decays by the factor 1 - lr; lr_wd is declared"),
    ],
)
def test_a_number_says_what_is_otherwise(made, words):
    report = check(made, dtypes=("float64",), level=1)
    assert not report.passed
    assert words in " | ".join(report.measured), report.measured


def test_a_right_port_has_nothing_measured():
    report = check(port(), dtypes=("float64",), level=1)
    assert report.passed
    assert not report.measured


def test_another_dtype_is_said_first():
    def step(x, m, grad, lr, beta1, beta2, weight_decay):
        return port()(x, m, grad, np.float64(lr), np.float64(beta1), beta2, weight_decay)

    report = check(step, dtypes=("float32",), level=1)
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
