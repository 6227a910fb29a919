"""What a direction is where it is no subgradient of K; and averages of something else than the gradients."""

import numpy as np
import pytest

from lionk.conformance import check


def port(way, kept=lambda m, g, b: b * m + (1 - b) * g):
    def step(x, m, grad, lr, beta1, beta2, weight_decay):
        u = way(beta1 * m + (1 - beta1) * grad)
        return (x - lr * (u + weight_decay * x)).astype(x.dtype), kept(m, grad, beta2).astype(m.dtype)

    return step


def first(k):
    def way(r):
        u = np.zeros(r.size)
        order = np.argsort(-np.abs(r.ravel()), kind="stable")[:k]
        u[order] = np.sign(r.ravel()[order])
        return u.reshape(r.shape)

    return way


def first_sign(r):
    if not r.size:
        return r
    ties = abs(r) == abs(r).max()
    return np.sign(r.ravel()[np.argmax(abs(r))]) * ties / ties.sum()


def by_row(r):
    n = np.sqrt((r * r).sum(-1, keepdims=True)) if r.ndim else abs(r)
    return np.divide(r, n, out=np.zeros_like(r), where=n != 0)


def every(r):
    return np.sign(r) * (abs(r) == abs(r).max()) if r.size else r


def in_single(r):
    u, s, vh = np.linalg.svd(r.astype("float32"), full_matrices=False)
    return (u * (s > 1e-5 * s.max(initial=0))) @ vh


@pytest.mark.parametrize(
    ("way", "K", "words"),
    [
        (
            first(2),
            {"name": "top_k", "k": 2},
            "the direction is the signs of the 2 largest entries, of equal ones the first",
        ),
        (
            first(3),
            {"name": "top_k", "k": 2},
            "the direction is the signs of the 3 largest entries, of equal ones the first",
        ),
        (every, "linf", "the direction is the sign of every largest entry, where they should share 1 among them"),
        (lambda r: r / (np.sqrt((r * r).sum()) + 1e-6), "l2", "the right one times n/(n + 1e-06)"),
        (
            lambda r: np.clip(r / 0.3, -1, 1),
            {"name": "huber", "delta": 0.5},
            "the direction is that of K with delta = 0.3",
        ),
        (
            lambda r: np.sign(r) * abs(r) ** 1.5,
            "power",
            "the direction is the readout, which is raised to the power 1.5, its sign kept",
        ),
        (first_sign, "linf", "is shared among the largest entries, all with the sign of the first of them"),
        (np.sign, "l2", "the direction is that of K = l1"),
        (
            lambda r: r / (abs(r).sum() or 1),
            "l2",
            "the direction is divided by its sum of sizes",
        ),
        (in_single, "nuclear", "of its size, as where it is computed in float32"),
    ],
)
def test_the_direction_is_named(way, K, words):
    report = check(port(way), K=K, dtypes=("float64",), level=0)
    assert not report.passed
    assert words in report.hint


def test_a_direction_by_rows_is_seen_in_matrices():
    report = check(port(by_row), K="l2", dtypes=("float64",), level=1)
    assert not report.passed
    assert "the direction is that of each row alone, and not of the whole array" in report.hint


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (lambda m, g, b: b * m + (1 - b) * np.sign(g), "their sign, and not their size"),
        (
            lambda m, g, b: np.where(abs(b * m + (1 - b) * g) < 1e-8, 0, b * m + (1 - b) * g),
            "small entries of the momentum taken for 0",
        ),
    ],
)
def test_what_is_averaged_is_named(kept, words):
    report = check(port(np.sign, kept), dtypes=("float64",), level=0)
    assert words in " | ".join([report.hint, *report.measured])


def test_of_matrices_the_widest_dtype_is_asked():
    """In float32 a rate of 1e-4 leaves a direction three digits."""

    def way(r):
        return r / (np.linalg.norm(r, 2) or 1)

    report = check(port(way), K="nuclear", only="S3.step", level=1)
    assert report.hint == "the direction is the readout divided by its largest singular value"


def test_a_length_of_another_array_is_named():
    def step(x, m, grad, lr, beta1, beta2, weight_decay):
        r, m = beta1 * m + (1 - beta1) * grad, beta2 * m + (1 - beta2) * grad
        return x - lr * (r / (np.sqrt((m * m).sum()) or 1) + weight_decay * x), m

    hint = check(step, K="l2", dtypes=("float64",), level=0).hint
    assert hint.startswith("the direction is the readout, which is divided by the length of the momentum from after")


def test_lengths_of_rows_that_divide_columns_are_named():
    def way(r):
        n = np.sqrt((r * r).sum(-1)) if r.ndim else abs(r)
        n = np.where(n == 0, 1, n)
        return r / (n if r.ndim == 2 and len(r) == len(r.T) else n[..., None])

    hint = check(port(way), K="group_l1_l2", dtypes=("float64",), level=1).hint
    assert "is divided by its length, laid along the other axis, row by row" in hint
