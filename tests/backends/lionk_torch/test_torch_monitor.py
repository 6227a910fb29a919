"""``lionk_torch.watch`` and ``lionk_jax.watch``: what they read along a run, and where they are silent."""

from __future__ import annotations

import doctest

import pytest
import torch

import lionk_jax
import lionk_torch
import lionk_torch.optimizer.monitor
from lionk_torch import LionK


def test_a_run_is_watched(tmp_path):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))
    opt = LionK(lionk_torch.groups(net, report=None), lr=0.05, weight_decay=2.0)
    monitor, x = lionk_torch.watch(opt, net), torch.randn(20, 4)
    reads = []
    for _ in range(40):
        opt.zero_grad()
        net(x).square().sum().backward()
        opt.step()
        reads.append(monitor.read())
    first, last = reads[0], reads[-1]
    weight = net[0].weight.detach()
    assert last["0.weight/gauge"] == pytest.approx(2 * torch.linalg.matrix_norm(weight, 2).item(), rel=1e-5)
    assert last["2.bias/gauge"] == pytest.approx(2 * net[2].bias.detach().abs().max().item(), rel=1e-5)
    assert all(v <= 1 + 1e-6 for k, v in last.items() if k.endswith("gauge") and first[k] <= 1), "what is in stays in"
    assert "0.weight/moved" not in first and 0 < last["0.weight/moved"] < 0.3
    assert str(monitor).splitlines()[0].split() == ["parameter", "gauge", "at", "bound", "moved"]
    assert len(str(monitor).splitlines()) == 5
    assert monitor.plot(tmp_path / "gauges.png").stat().st_size > 1000


def test_frozen_integers_among_the_parameters_are_left_alone():
    """Quantised weights are parameters without a gradient: every optimizer of PyTorch takes them."""
    net = torch.nn.Linear(2, 1)
    net.codes = torch.nn.Parameter(torch.ones(3, dtype=torch.int8), requires_grad=False)
    opt = LionK([net.codes, net.weight, net.bias], lr=0.1, weight_decay=1.0)
    net(torch.ones(4, 2)).sum().backward()
    before = net.weight.detach().clone()
    opt.step()
    assert net.codes.tolist() == [1, 1, 1] and not torch.equal(net.weight, before)
    assert {k.split("/")[0] for k in lionk_torch.watch(opt, net).read()} == {"weight", "bias"}
    LionK([{"params": [net.codes], "K": "nuclear"}]).step()


def test_what_has_no_bound_is_left_out():
    p, q = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    free, soft = {"params": [p], "weight_decay": 0.0}, {"params": [q], "K": "half_square"}
    assert lionk_torch.watch(LionK([free, soft], weight_decay=1.0)).read() == {}


def test_the_same_for_optax():
    import jax.numpy as jnp

    params = {"w": jnp.asarray([[3.0, 0.0], [0.0, 1.0]]), "b": [jnp.asarray([0.5, -0.1])]}
    tree = lionk_jax.watch({"w": params["w"]}, K="nuclear", weight_decay=0.5)
    assert tree["w/gauge"] == pytest.approx(1.5) and tree["w/at_bound"] == pytest.approx(0.5)
    assert lionk_jax.watch(params, K="l1", weight_decay=2.0)["b/0/gauge"] == pytest.approx(1.0)
    assert lionk_jax.watch(params, K="l1", weight_decay=0.0) == {}


def test_examples():
    outcome = doctest.testmod(lionk_torch.optimizer.monitor)
    assert outcome.attempted and not outcome.failed


def test_the_last_read_stays_in_its_place_in_a_terminal(monkeypatch):
    """One table, drawn anew at each read; what is beyond the bound is red."""
    import io

    import rich
    from rich.console import Console

    screen = Console(file=io.StringIO(), force_terminal=True, width=60, color_system="standard")
    monkeypatch.setattr(rich, "_console", screen)
    p = torch.nn.Parameter(torch.tensor([2.0, -0.5]))
    opt = LionK([p], 0.5, weight_decay=1.0)
    monitor = lionk_torch.watch(opt, torch.nn.ParameterDict({"gain [x]": p}))
    with monitor.live():
        for k in range(2):
            p.grad = torch.ones(2)
            opt.step()
            monitor.read()
            assert f"read {k + 1}" in screen.file.getvalue()
        with pytest.raises(RuntimeError, match="shown already"), monitor.live():
            pass
    shown = screen.file.getvalue()
    assert "gain [x]" in shown and "\x1b[1A" in shown, "the cursor goes back up to the first line"
    p.data.fill_(3.0)
    with monitor.live():
        monitor.read()
    assert "\x1b[1;31m3.000" in screen.file.getvalue().replace(" ", "").split("read3")[-1]
