"""Muon as others spell it: a port that declares another dialect is told which one it is, and passes in that one."""

import numpy as np
import pytest

from lionk.conformance import Capabilities, check
from lionk.conformance.specification.dialects import DIALECTS, in_dialect, libraries_of, muons

QUINTIC = ((3.4445, -4.7750, 2.0315),) * 5
YOU = (
    (4.0848, -6.8946, 2.9270), (3.9505, -6.3029, 2.6377), (3.7418, -5.5913, 2.3037), (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)  # fmt: skip


def muon(steps=QUINTIC, nesterov=True, scale=lambda r, c: max(1, r / c) ** 0.5, shrink=lambda lr, wd: lr * wd):
    def step(x, m, grad, lr, momentum, weight_decay):
        m = momentum * m + grad  # a sum of the gradients: Newton-Schulz does not feel its size
        y = grad + momentum * m if nesterov else m
        y, tall = (y.T, True) if len(y) > len(y.T) else (y, False)
        y = y / (np.linalg.norm(y) or 1.0)
        for a, b, c in steps:
            s = y @ y.T
            y = a * y + (b * s + c * s @ s) @ y
        return x * (1 - shrink(lr, weight_decay)) - lr * scale(*x.shape) * (y.T if tall else y), m

    return step


def ratio(r, c):
    return (r / c) ** 0.5


def rms(r, c):
    return 0.2 * max(r, c) ** 0.5


@pytest.mark.parametrize(
    ("port", "declared", "dialect", "words"),
    [
        (muon(scale=rms), "muon", "muon-muon+rms", "this is Muon as torch.optim.Muon, "),
        (
            muon(nesterov=False, scale=ratio),
            "muon",
            "muon-muon+ratio+plain",
            "this is Muon as timm.muon, dion.Muon and ",
        ),
        (muon(nesterov=False), "muon-muon", "muon-muon+plain", "no Nesterov"),
        (muon(YOU), "muon-muon", "muon-quintic", "by the published set quintic"),
        (muon(YOU, scale=lambda *_: 1), "muon-muon", "muon-quintic+unscaled", "this is Muon as dion.Muon spells it"),
        (
            muon(scale=lambda r, c: max(r, c) ** 0.5, shrink=lambda lr, wd: lr**2 * wd),
            "muon",
            "muon-muon+longer+palm",
            "this is Muon as emerging_optimizers.Muon spells it",
        ),
    ],
)
def test_another_spelling_is_named_and_passes(port, declared, dialect, words):
    claims = {"dtypes": ("float64",)}
    report = check(port, dialect=declared, claims=claims, level=0)
    assert not report.passed
    assert words in report.hint
    assert f"--dialect {dialect} judges it so" in report.hint
    assert report.dialect["says"].startswith(f"it looks like {dialect}: ")
    right = check(port, dialect=dialect, claims=claims, level=1)
    assert right.passed, [r.id for r in right.failures]
    assert right.dialect["name"] == dialect


@pytest.mark.parametrize("port", [muon(QUINTIC[:2]), muon(shrink=lambda lr, wd: -lr * wd)])
def test_what_is_wrong_in_every_dialect_is_given_none(port):
    report = check(port, dialect="muon", claims={"dtypes": ("float64",)}, level=0)
    assert not report.passed
    assert not report.spelled
    assert "--dialect" not in report.hint


def test_a_muon_that_declares_nothing_is_told():
    def step(x, m, grad, lr, momentum, weight_decay, nesterov=True):
        if x.ndim == 2:
            return muon(YOU)(x, m, grad, lr, momentum, weight_decay)
        m = momentum * m + grad
        return x * (1 - lr * weight_decay) - lr * np.sign(grad + momentum * m), m

    hint = check(step, claims={"dtypes": ("float64",)}, level=1).hint
    assert "not the sign of each entry that is taken, but the polar factor" in hint
    assert "--dialect muon-quintic judges it so" in hint


def test_every_spelling_has_claims_of_its_own():
    found = dict(muons(in_dialect(Capabilities(), "muon")))
    assert {n for n in DIALECTS if n.startswith("muon")} - {"muon-fused"} <= set(found)
    assert len({repr(c) for c in found.values()}) > 0.8 * len(found)  # the scale of Muon is also called original
    for name, claims in found.items():
        assert in_dialect(Capabilities(), name) == claims


@pytest.mark.parametrize(
    ("name", "words"),
    [("muon+x", "the words are original"), ("lion+plain", "only those of Muon"), ("muon-heads+rms", "whole matrices")],
)
def test_words_that_are_none(name, words):
    with pytest.raises(ValueError, match=words):
        in_dialect(Capabilities(), name)


def test_a_decay_that_takes_the_scale_with_it():
    """The rate is adjusted to the shape before the decay reads it."""

    def step(x, m, grad, lr, momentum, weight_decay):
        after, m = muon(shrink=lambda *_: 0)(x, m, grad, lr, momentum, weight_decay)
        return after - lr * weight_decay * max(1, x.shape[0] / x.shape[1]) ** 0.5 * x, m

    hint = check(step, dialect="muon", claims={"dtypes": ("float64",)}, level=0).hint
    assert hint.startswith("the decay is the declared one times sqrt(max(1, rows/cols)): 1.15 at (4, 3), 2 at (12, 3)")


def test_every_spelling_has_a_sentence_also_one_that_no_library_has():
    said = {name: libraries_of(name) for name, _ in muons(Capabilities(K="l1"))}
    assert said["muon-muon+unscaled+fixed"].startswith("none of the known libraries spells it (")
    assert all(" spell" in words for words in said.values())


def test_a_port_that_no_library_spells_so_is_judged():
    port = muon(scale=lambda r, c: 1.0, shrink=lambda lr, wd: wd)
    report = check(port, K="muon", dialect="muon", dtypes=("float64",), level=1)
    assert not report.passed
    assert "none of the known libraries" in report.hint, report.hint
