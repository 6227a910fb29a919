"""The decisions of the anchored rule: of one problem as of many, and by hand where they are easily said."""

from __future__ import annotations

import math
from types import SimpleNamespace

import array_api_compat.torch
import array_api_strict
import numpy as np
import pytest
import torch

from lionk.arrays import plain
from lionk.solver import rule
from lionk.solver.many import Mean

COUNT = 300
FLOATS = ("L", "t", "mass", "f", "F", "start", "least", "jump", "known", "lowest")


def drawn(seed=0):
    """States, pairs and numbers: positive or of both signs, of many sizes, with 0, ties and infinity among them."""
    rng = np.random.default_rng(seed)

    def positive(special=(0.0,)):
        return np.where(rng.random(COUNT) < 0.15, rng.choice(special, COUNT), 10 ** rng.uniform(-6, 6, COUNT))

    state = {name: 1 + positive() for name in FLOATS} | {"least": positive((math.inf,)), "known": positive((math.inf,))}
    state |= {"pairs": rng.integers(0, 4, COUNT), "stale": rng.integers(0, 12, COUNT)}
    pair = rule.Pair(*(rng.choice([-1, 1], COUNT) * positive() for _ in range(3)), *(positive() for _ in range(3)))
    return state, pair, [positive() for _ in range(3)], rng.integers(0, 6, COUNT)


def decided(xp, state, pair, numbers, count):
    """Every decision, of floats or arrays."""
    s, (a, b, c) = SimpleNamespace(**state), numbers
    average = Mean(1.0, a, b, c)
    seen = (a, pair.gx, b, c, b + c, a + b, pair.gx, pair.jump, pair.gx, pair.apart)
    found = rule.measured(xp, s, c, seen, average, rule.share(s), 2.0, 1e-14)
    return {
        "measured": (*found[:4], *found[4], found[4].bends(a, b, 1e-14), *found[5]),
        "learned": rule.learned(xp, s, pair, a, 1e-14),
        "first": (rule.first(xp, a, b, c),),
        "shorter": (rule.shorter(xp, s.L, pair.local(xp)),),
        "nearer": (rule.nearer(xp, s.L, count),),
        "ends": (rule.reached(a, b, 0.1, 0.01), rule.is_zero(xp, a, b, s.stale, 1e-14, c)),
        "moves": (pair.bends(a), rule.improves(s, a, b), rule.fell(s, a, b), rule.returns(s, a, b, count)),
        "grown": rule.grown(xp, s.t),
    }


@pytest.mark.parametrize("library", ["numpy", "torch", "strict"])
def test_many_decide_as_one_does(library):
    make = {"numpy": np.asarray, "torch": torch.asarray, "strict": array_api_strict.asarray}[library]
    xp = {"numpy": np, "torch": array_api_compat.torch, "strict": array_api_strict}[library]
    state, pair, numbers, count = drawn()
    arrays = {name: make(v) for name, v in state.items()}
    many = decided(xp, arrays, rule.Pair(*map(make, pair)), [make(v) for v in numbers], make(count))
    for i in range(COUNT):
        one = {name: v[i].item() for name, v in state.items()}
        alone = decided(
            plain, one, rule.Pair(*(v[i].item() for v in pair)), [v[i].item() for v in numbers], int(count[i])
        )
        for name, expected in alone.items():
            found = [float(v if isinstance(v, float) else v[i]) for v in many[name]]
            np.testing.assert_allclose(found, [float(v) for v in expected], rtol=1e-14, err_msg=f"{name} of {i}")


def test_decisions_by_hand():
    s = SimpleNamespace(L=10.0, pairs=5, least=2.0, jump=1.0, f=1.0, known=1.0, lowest=-1.0, t=3.0, start=1.0)
    steep, hidden = rule.Pair(0.0, 0.0, 0.5, 1.0, 100.0, 1.0), rule.Pair(0.0, 0.0, 1e-17, 1.0, 100.0, 1.0)
    assert rule.learned(plain, s, steep, 1.0, 2e-16) == (20.0, 6, 2.0, 100.0, False)  # 100 is seen: twice 10
    assert rule.learned(plain, s, hidden, 1.0, 2e-16)[:2] == (10.0, 5)
    assert rule.learned(plain, s, steep._replace(bregman=5.0), 1.0, 2e-16)[0] == 8.0  # 10 is seen
    assert rule.first(plain, 9.0, 4.0, 0.0) == 3.0 / (2.0 / 3) and rule.first(plain, 0.0, 4.0, 0.0) == 1.0
    assert rule.first(plain, 9.0, math.inf, 16.0) == 3.0 / (4.0 / 3)
    assert rule.improves(s, 0.9, -1.0) and rule.improves(s, 1.0, -1.1) and not rule.improves(s, 1.0, -1.0)
    assert not rule.reached(math.inf, math.inf, 1.0, 0.0) and rule.reached(0.2, -2.0, 0.1, 0.0)
    assert rule.returns(s, 1.1, 0.0, 0) and rule.returns(s, 0.9, 0.0, 31) and not rule.returns(s, 0.9, 0.0, 30)
    t, ahead = rule.grown(plain, 1.0)
    assert t == pytest.approx((1 + math.sqrt(5)) / 2) and ahead == 0.0
