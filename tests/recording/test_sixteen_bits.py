"""Loops that leave out what need not be rounded, on every number of bfloat16 and on NaN of every kind."""

from __future__ import annotations

import numpy as np
import pytest

import lionk_torch
from lionk.backend.protocol import reference_runner
from lionk.optimizer.rounding import keys
from lionk.optimizer.variants import Variant
from lionk_numpy.runner import plan
from lionk_numpy.runner.bits import bits

# 0, the smallest numbers, 1, the largest, infinity, and NaN whose last bits carry into the sign, or are all there is
ODD = [0, 1, 0x80, 0x3F80, 0x7F7F, 0x7F80, 0x7F81, 0x7FC0, 0x7FFF]
ODD_WIDE = [0, 1, 0x7FFF, 0x8000, 0x3F808000, 0x3F818000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FFF8000, 0x7FFFFFFF]


@pytest.fixture(autouse=True)
def loops(monkeypatch):
    """The numbers of the calls that loops have made."""
    made, by_loops = [], plan.Plan._by_loops
    monkeypatch.setattr(plan, "COMPILE", 1)
    monkeypatch.setattr(plan.Plan, "_by_loops", lambda *a: made.append(1) or by_loops(*a))
    return made


@pytest.mark.parametrize("state", ["bfloat16", "float32"])
@pytest.mark.parametrize(
    "options", [{}, {"rounding": "kahan"}, {"rounding": "stochastic"}, {"cautious": "mask"}], ids=str
)
@pytest.mark.parametrize("K", ["l1", "huber", "softsign"])
def test_every_number_of_bfloat16_is_stepped_as_by_the_reference(loops, K, options, state):
    import torch

    rng = np.random.default_rng(0)

    def drawn(odd, bits_):
        """Some that are odd, of both signs, and any others."""
        some = rng.choice(np.array(odd, "int64"), 1 << 16) + (rng.integers(0, 2, 1 << 16) << (bits_ - 1))
        others = rng.integers(0, 1 << bits_, 1 << 16)
        return np.where(rng.random(1 << 16) < 0.7, some, others).astype(f"uint{bits_}").view(f"int{bits_}")

    opt = Variant(K, 0.01, weight_decay=0.1, **options)
    x, low = (torch.from_numpy(drawn(ODD, 16)).view(torch.bfloat16) for _ in range(2))
    grad = torch.from_numpy(np.arange(1 << 16).astype("uint16").view("int16")).view(torch.bfloat16)
    m = torch.from_numpy(drawn(ODD_WIDE, 32)).view(torch.float32)
    m = m if state == "float32" else torch.from_numpy(drawn(ODD, 16)).view(torch.bfloat16)
    numbers = dict(zip(("key0", "key1"), keys(7, 3), strict=True)) if "index" in opt.beside else {}

    def stepped(runner):
        beside = {"low": low.clone(), "index": 5}
        beside = {name: beside[name] for name in opt.beside}
        new = runner(x.clone(), m.clone(), grad, lr=0.01, weight_decay=0.1, beside=beside | numbers)
        return [*new, *(a for a in beside.values() if hasattr(a, "shape"))]

    for a, b in zip(stepped(lionk_torch.backend.runner(opt, "numba")), stepped(reference_runner(opt)), strict=True):
        assert torch.equal(a.isnan(), b.isnan())
        whole = {2: torch.int16, 4: torch.int32}[a.itemsize]
        there = ~a.isnan()
        assert torch.equal(a.view(whole)[there], b.view(whole)[there])
    assert loops


def test_rounding_is_that_of_pytorch():
    import torch

    rng = np.random.default_rng(1)
    given = np.concatenate([rng.integers(0, 1 << 32, 3000), ODD_WIDE]).astype("uint32").view("float32")
    want = torch.from_numpy(given).to(torch.bfloat16).float().numpy()
    calls = bits()
    got = np.array([calls["to_bfloat16"](v) for v in given])
    np.testing.assert_array_equal(got, want)
    finite = np.isfinite(given)
    near = np.array([calls["near_bfloat16"](v) for v in given[finite]])
    np.testing.assert_array_equal(near, want[finite])
