"""Dialects: a right port in each passes when it is declared, a wrong one fails, and one that declares none is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from beyond_a_step import EVERY
from lionk.conformance import Capabilities, Loopback, check
from lionk.conformance.mutants import MUTANTS
from lionk.conformance.mutants.step import Running, Variant
from lionk.conformance.ports.exchange import agreed, claims_of_program
from lionk.conformance.specification.dialects import DIALECTS, OTHERS, in_dialect, spoken


def cautious(share):
    def move(s, x, m, g):
        c = s.b1 * -m + (1 - s.b1) * g
        u = np.where(np.sign(c) * g > 0, np.sign(c), 0.0)
        kept = np.mean(u != 0) if u.size else 1.0
        return x - s.lr * (u / (share(kept) or 1.0) + s.wd * x), s.b2 * m - (1 - s.b2) * g

    return move


def decays_downhill(s, x, m, g):
    u = -np.sign(s.b1 * -m + (1 - s.b1) * g)
    return x + s.lr * (u - s.wd * x * (u * x <= 0)), s.b2 * m - (1 - s.b2) * g


def uphill(s, x, m, g):
    return s.formula(x, m, -g)


def palm(s, x, m, g):
    return x - s.lr * np.sign(s.b1 * -m + (1 - s.b1) * g) - s.lr**2 * s.wd * x, s.b2 * m - (1 - s.b2) * g


def in_bits(bits):
    def move(s, x, m, g):
        x, m = s.formula(x, m, g)
        unit = np.max(np.abs(m), initial=0.0) / (2 ** (bits - 1) - 1)
        return x, np.round(m / unit) * unit if 0 < unit < np.inf else m

    return move


def quintic(r, times=5, size=np.linalg.norm, b=-4.775):
    """Muon's iteration, of one matrix."""
    y = r / (size(r) or 1.0)
    for _ in range(times):
        a = y @ y.T
        y = 3.4445 * y + (b * a + 2.0315 * a @ a) @ y
    return y


def by_quintic(times=5, size=np.linalg.norm, factor=1.0, order=lambda r: slice(None)):
    """Two heads of rows, each by Newton-Schulz."""

    def polar(r):
        return factor * max(1, len(r) / r.shape[1]) ** 0.5 * quintic(r, times, size)

    def move(s, x, m, g):
        r = s.b1 * m - (1 - s.b1) * g
        rows = np.arange(len(r))[order(r)]
        u = np.concatenate([polar(half) for half in np.split(r[rows], 2)])[np.argsort(rows)]
        return x + s.lr * (u - s.wd * x), s.b2 * m - (1 - s.b2) * g

    return move


@pytest.mark.parametrize(
    ("move", "words"),
    [
        (by_quintic(), ""),
        (by_quintic(factor=0.2), "the direction is the right one times a number for each shape, 0.1"),
        (by_quintic(order=lambda r: np.argsort(np.arange(len(r)) % 2, kind="stable")), "blocks whose rows take turns"),
        (by_quintic(times=2), "an iteration that ends too early"),
        (by_quintic(size=lambda _: 1.0), "is not brought to size 1"),
    ],
)
def test_what_an_approximation_does_is_measured(move, words):
    claims = replace(in_dialect(ported(move).capabilities, "muon-heads"), dtypes=("float64",))
    report = check(Variant("heads", move, claims), level=0)
    assert report.passed == (not words), report.hint
    assert words in report.hint


def nesterov(b, m, g):
    m = b * m + (1 - b) * g
    return b * m + (1 - b) * g, m


def muon(readout=nesterov, scale=None, way=quintic):
    def move(s, x, m, g):
        rows, cols = x.shape
        r, m = readout(s.b2, m, g)
        factor = max(1, rows / cols) ** 0.5 if scale is None else scale(rows, cols)
        return x * (1 - s.lr * s.wd) - s.lr * factor * way(r), m

    return move


@pytest.mark.parametrize(
    ("move", "words"),
    [
        (muon(), ""),
        (muon(scale=lambda r, c: max(1, c / r) ** 0.5), "its scale is sqrt(max(1, cols/rows)), where sqrt(max(1, rows"),
        (muon(scale=lambda *_: 1), "its scale is 1, where sqrt(max(1, rows/cols)) is right"),
        (muon(scale=lambda r, c: 0.2 * max(r, c) ** 0.5), "its scale is 0.2 sqrt(max(rows, cols))"),
        (muon(scale=lambda r, c: max(1, r / c)), "its scale is max(1, rows/cols), where sqrt(max"),
        (
            muon(way=lambda r: quintic(r.T).reshape(r.shape) if len(r) > len(r.T) else quintic(r)),
            "turned back by a reshape",
        ),
        (muon(lambda b, m, g: (b * m + (1 - b) * g,) * 2), "of the momentum after the step (no Nesterov)"),
        (muon(lambda b, m, g: (g + b * (b * m + (1 - b) * g), b * m + (1 - b) * g)), "whose momentum is an average"),
        (muon(way=lambda r: quintic(r, 3)), "an iteration that ends too early"),
        (muon(way=lambda r: quintic(r, b=-4.575)), "an iteration that diverges"),
    ],
)
def test_of_muon_it_is_measured_what_is_otherwise(move, words):
    claims = replace(in_dialect(ported(move).capabilities, "muon"), dtypes=("float64",))
    report = check(Variant("muon", move, claims), level=1)
    assert report.passed == (not words), report.hint
    assert words in report.hint


def uncut(s, x, m, g):
    r = s.b1 * m - (1 - s.b1) * g
    u, _, v = np.linalg.svd(r, full_matrices=False)
    return x + s.lr * (u @ v - s.wd * x), s.b2 * m - (1 - s.b2) * g


def over_the_largest(s, x, m, g):
    r = s.b1 * m - (1 - s.b1) * g
    size = np.linalg.svdvals(r).max()
    return x + s.lr * (r / (size or 1.0) - s.wd * x), s.b2 * m - (1 - s.b2) * g


@pytest.mark.parametrize(
    ("move", "words"),
    [
        (uncut, "the readout has rank 0, and the direction rank 3"),
        (over_the_largest, "the direction is the readout divided by its largest singular value"),
    ],
)
def test_of_an_exact_function_of_matrices_it_is_measured_what_is_otherwise(move, words):
    claims = replace(ported(move).capabilities, K="nuclear", dtypes=("float64",))
    report = check(Variant("svd", move, claims), level=0)
    assert not report.passed
    assert words in report.hint


def test_mistakes_are_named_in_the_dialect_that_is_declared():
    def masked_otherwise(s, x, m, g):
        c = s.b1 * -m + (1 - s.b1) * g
        return x - s.lr * (np.sign(c) * (c * g < 0) + s.wd * x), s.b2 * m - (1 - s.b2) * g

    def swapped(s, x, m, g):
        h = g + s.wd * x
        return x - s.lr * np.sign(s.b2 * -m + (1 - s.b2) * h), s.b1 * m - (1 - s.b1) * h

    def decoupled(s, x, m, g):
        return x - s.lr * (np.sign(s.b1 * -m + (1 - s.b1) * g) + s.wd * x), s.b2 * m - (1 - s.b2) * g

    for dialect, move, words in (
        ("lion-cautious", masked_otherwise, "a cautious mask that is turned"),
        ("lion-coupled", swapped, "swapped betas"),
        ("lion-fixed", decoupled, "decay by lr wd, where another convention is declared"),
    ):
        report = check(ported(move), dialect=dialect, level=0)
        assert words in report.looks_like, (dialect, report.hint)


RIGHT = {
    "lion-cautious": cautious(lambda _: 1.0),
    "lion-cautious-rescaled": cautious(lambda kept: kept),
    "lion-cautious-decay": decays_downhill,
    "lion-maximize": uphill,
    "lion-palm": palm,
    "lion-8bit": in_bits(8),
}


def ported(move, **claims):
    return Variant("port", move).claiming(options={}, complex=False, dtypes=("float64",), **claims)


def failures(report):
    return [f"{r.id}: {r.text}" for r in report.failures]


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_port_passes_in_its_dialect_and_in_no_other(name):
    report = check(ported(RIGHT[name]), dialect=name, diagnose=False)
    assert report.passed, failures(report)
    assert report.dialect["name"] == name
    other = check(ported(RIGHT[name]), level=0)
    assert not other.passed
    if DIALECTS[name].mistakes:
        assert f"--dialect {name} judges it so" in other.dialect["says"], (other.dialect, other.diagnosis)


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("mistake", ["swapped", "no_state", "decay_twice", "plus_at_zero"])
def test_a_wrong_port_fails_in_its_dialect(name, mistake):
    right = RIGHT[name]

    def wrong(s, x, m, g):
        if mistake == "swapped":
            s.hyper["betas"] = s.hyper["betas"][::-1]
            made = right(s, x, m, g)
            s.hyper["betas"] = s.hyper["betas"][::-1]
            return made
        if mistake == "no_state":
            return right(s, x, 0 * m, g)
        new, after = right(s, x, m, g)
        if mistake == "decay_twice":
            return new - s.lr * s.wd * x, after
        return np.where(g == 0, new + s.lr, new), after

    assert not check(ported(wrong), dialect=name, level=0, diagnose=False).passed


def test_a_state_of_four_bits_is_not_right_to_eight():
    assert not check(ported(in_bits(4)), dialect="lion-8bit", level=0, diagnose=False).passed


@pytest.mark.parametrize("cut", ["heads", "fused"])
def test_muon_in_heads_and_in_fused_projections(cut):
    name = f"muon-{cut}"
    K = DIALECTS[name].claims["K"]
    report = check(Loopback("numpy", K), dialect=name, dtypes=("float64",), diagnose=False)
    assert report.passed, failures(report)
    whole = check(Variant("whole").claiming(K=K, dtypes=("float64",)), dialect=name, level=0, diagnose=False)
    assert whole.passed, failures(whole)
    other = Variant("other", EVERY["scale_transposed"].move).claiming(K=K, dtypes=("float64",))
    assert not check(other, dialect=name, level=1, diagnose=False).passed


def test_a_named_set_of_newton_schulz_is_told_from_another():
    import torch

    muon = {"dialect": "muon-muon", "dtypes": ("float32",), "diagnose": False}
    report = check(torch.optim.Muon, **muon)
    assert report.passed, failures(report)
    assert not check(torch.optim.Muon, **{**muon, "dialect": "muon-quintic"}).passed
    assert not check(torch.optim.Muon, **muon, options={"ns_coefficients": (2.0, -1.5, 0.5)}).passed


class InPieces(Running):
    """One array in pieces along its first axis."""

    def __init__(self, port, x0, *, pieces=False, **hyper):
        self.cuts = np.cumsum([len(a) for a in x0])[:-1] if pieces else None
        super().__init__(port, np.concatenate(x0) if pieces else x0, **hyper)

    @property
    def x(self):
        return super().x if self.cuts is None else np.split(super().x, self.cuts)

    def step(self, grad):
        super().step(grad if self.cuts is None else self.joined(grad))

    def joined(self, grad):
        return np.concatenate(grad)


class EachAlone(InPieces):
    def joined(self, grad):
        return np.concatenate([g / np.linalg.norm(g) for g in grad])


@pytest.mark.parametrize("K", ["l1", "l2", "nuclear"])
def test_pieces_step_as_the_whole(K):
    claims = {"K": K, "pieces": True, "options": {}, "complex": False, "dtypes": ("float64",)}
    right = Variant("pieces", handle=InPieces).claiming(**claims)
    report = check(right, only="S7.shards/pieces", diagnose=False)
    assert [r.verdict for r in report.results if r.id.startswith("S7")] == ["pass"], failures(report)
    assert not check(replace(right, handle=EachAlone), only="S7.shards/pieces", diagnose=False).passed


def test_a_program_declares_its_dialect_in_its_handshake():
    claims = agreed(claims_of_program(), {"dialects": ["lion-palm"]})
    assert set(claims.decays) == {"palm"}
    assert agreed(claims_of_program(), {"dialects": ["lion"]}) == claims_of_program()


def test_dialects_are_named_and_known():
    named = {m for d in DIALECTS.values() for m in d.mistakes} | {m for names in OTHERS.values() for m in names}
    assert named <= set(MUTANTS)
    for name in DIALECTS:
        claims = in_dialect(Capabilities(), name)
        assert spoken(claims, [])["name"] == (name if name != "lion-k" else "lion"), name
    assert "another algorithm" in spoken(Capabilities(), ["cautious_rescaled"])["says"]
    with pytest.raises(ValueError, match="no dialect 'x'"):
        in_dialect(Capabilities(), "x")
    with pytest.raises(ValueError, match="cautious steps are judged for an elementwise K"):
        check(Loopback("numpy", "nuclear"), dialect="lion-cautious")
