"""Groups of lionk_torch.LionK: which K, which rates, what a decay means, and what a group can be asked."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
import torch

import lionk
import lionk_torch
import lionk_torch.distributed.exchange
import lionk_torch.optimizer.lion_k
import lionk_torch.optimizer.rules
from lionk_torch import LionK
from torch_nets import drive, gradients, loss_of, net, parameter, round_trip

KERNELS = {"name": "kernel_lift", "k": "nuclear"}


# -- groups, K and rules ------------------------------------------------------------------------------------------


def test_groups_have_their_own_options():
    p, q = parameter(3, 2), parameter(3)
    twin_p, twin_q, gp, gq = parameter(3, 2), parameter(3), gradients(4, 3, 2), gradients(4, 3)
    opt = LionK([{"params": [p], "K": "nuclear", "lr": 0.2}, {"params": [q], "betas": (0.5, 0.6)}], 0.1)
    for a, b in zip(gp, gq, strict=True):
        p.grad, q.grad = a, b
        opt.step()
    assert torch.equal(p.detach(), drive(LionK([twin_p], 0.2, K="nuclear"), twin_p, gp))
    assert torch.equal(q.detach(), drive(LionK([twin_q], 0.1, (0.5, 0.6)), twin_q, gq))


def test_an_option_may_change_between_steps():
    p, q, grads = parameter(3, 2), parameter(3, 2), gradients(2, 3, 2)
    opt = LionK([p], 0.1)
    drive(opt, p, grads[:1])
    opt.param_groups[0].update(K="nuclear", betas=(0.5, 0.7), weight_decay=0.5)
    got = drive(opt, p, grads[1:])
    method = lionk.LionK("l1", 0.1)
    x, state = method.step(q.detach(), grads[0], method.init(q.detach()))
    assert torch.equal(got, lionk.LionK("nuclear", 0.1, (0.5, 0.7), 0.5).step(x, grads[1], state)[0])


def test_arrays_in_K_come_along():
    p = parameter(3, dtype=torch.float32)
    opt = LionK([p], 0.1, K=lionk.K("weighted_l1", weights=np.array([1.0, 2.0, 0.0])))
    before = p.detach().clone()
    after = drive(opt, p, [torch.ones(3)])
    torch.testing.assert_close(after, before - 0.1 * torch.tensor([1.0, 2.0, 0.0]))
    state = round_trip(opt.state_dict())
    twin = LionK([parameter(3, dtype=torch.float32)])
    twin.load_state_dict(state)
    assert torch.equal(twin.param_groups[0]["K"]["weights"], torch.tensor([1.0, 2.0, 0.0]))


def test_rules_by_name_shape_and_module(capsys):
    model = net()
    rules = [
        ("4.*", "l1"),
        (torch.nn.LayerNorm, {"K": "l2", "weight_decay": 0.0}),
        ((5, None), "row_l1_l2"),
        (4, KERNELS),
        (lambda name, p, module: name == "0.bias", {"name": "huber", "delta": 0.1}),
    ]
    groups = lionk_torch.groups(model, rules)
    chosen = {id(p): g["K"] for g in groups for p in g["params"]}
    names = {n: chosen[id(p)] for n, p in model.named_parameters()}
    assert names == {
        "0.weight": KERNELS, "0.bias": {"name": "huber", "delta": 0.1}, "2.weight": "row_l1_l2", "2.bias": "l1",
        "3.weight": "l2", "3.bias": "l2", "4.weight": "l1", "4.bias": "l1",
    }  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0.weight (3, 1, 3, 3): kernel_lift(nuclear), s_1(X) <= 1/lam, X the matrix (out, in k...)"
    assert lines[1].startswith("0.bias (3,): huber(delta=0.1), |x_i| <= 1/lam")
    assert len(lines) == 8
    opt = LionK(groups, 1e-3)
    loss_of(model).backward()
    opt.step()


def test_the_habit_of_muon_with_rates_from_adamw():
    lines = []
    model = torch.nn.Sequential(torch.nn.Embedding(7, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 16))
    groups = lionk_torch.groups(model, adamw=(1e-3, 0.1), report=lines.append)
    by_shape = {tuple(p.shape): g for g in groups for p in g["params"]}
    assert by_shape[7, 4]["K"] == by_shape[16,]["K"] == "l1"
    assert by_shape[7, 4]["lr"] == pytest.approx(2e-4)
    assert by_shape[16, 4]["K"] == by_shape[4, 4]["K"] == "nuclear"
    assert by_shape[16, 4]["lr"] == pytest.approx(0.2e-3 * 4)
    assert by_shape[4, 4]["lr"] == pytest.approx(0.2e-3 * 2)
    assert all(g["lr"] * g["weight_decay"] == pytest.approx(1e-4) for g in groups)
    assert "lr 0.0008, lam 0.125" in next(line for line in lines if "(16, 4)" in line)


def test_rates_of_a_rule_come_before_those_from_adamw():
    rules = [
        (torch.nn.LayerNorm, {"K": "l1", "weight_decay": 0.0}),
        ("0.*", {"K": "huber", "lr": 1.0, "weight_decay": 0.5}),
    ]
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))
    first, second = lionk_torch.groups(model, rules, adamw=(1e-3, 0.1), report=None)
    assert (first["lr"], first["weight_decay"]) == (1.0, 0.5), "of huber nothing is known from AdamW's"
    assert (second["lr"], second["weight_decay"]) == (pytest.approx(2e-4), 0.0)


def test_groups_are_apart_where_their_functions_are():
    model = torch.nn.Sequential(*(torch.nn.Linear(2000, 1, bias=False) for _ in range(3)))
    weights = [torch.ones(1, 2000) for _ in range(3)]
    weights[1][0, 1000] = 2.0  # which no print of it shows
    rules = [(f"{k}.*", lionk.K("weighted_l1", weights=w)) for k, w in enumerate(weights)]
    groups = lionk_torch.groups(model, rules, report=None)
    assert [len(g["params"]) for g in groups] == [2, 1]
    rates = [(f"{k}.*", {"lr": torch.tensor(0.1)}) for k in range(3)]
    assert len(lionk_torch.groups(model, rates, report=None)) == 3, "each may be changed by itself"


def test_a_group_may_be_empty():
    p = parameter(2)
    opt = LionK([{"params": []}, {"params": [p]}], 1.0)
    drive(opt, p, [torch.ones(2)])
    assert opt.certificate()[0].phase and len(opt.bounds()) == 2


def test_rules_refuse_what_they_cannot_read():
    with pytest.raises(TypeError, match="condition"):
        lionk_torch.groups(net(), [(True, "l1")], report=None)
    with pytest.raises(ValueError, match="no parameter"):
        lionk_torch.groups(torch.nn.ReLU(), report=None)


@pytest.mark.parametrize(
    "module", [lionk_torch.distributed.exchange, lionk_torch.optimizer.lion_k, lionk_torch.optimizer.rules]
)
def test_examples_of_the_docstrings(module):
    outcome = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert outcome.attempted
    assert not outcome.failed


# -- decay --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("convention", "shrink", "bound"),
    [
        ("decoupled", lambda lr: lr * 0.5, "1/lam = 2: 1/wd"),
        ("relative", lambda lr: lr / 0.2 * 0.5, "1/lam = 0.4: lr_0/wd"),
        ("corrected", lambda lr: lr**2 / 0.2 * 0.5, "1/lam = 4: lr_max/(lr wd)"),
        ("fixed", lambda lr: 0.5, "1/lam = 0.2: lr/wd"),
        ("coupled", lambda lr: 0.0, "no bound: g + wd x"),
    ],
)
def test_decay_conventions(convention, shrink, bound):
    p = parameter(4)
    before = p.detach().clone()
    opt = LionK([p], 0.2, weight_decay=0.5, convention=convention)
    opt.param_groups[0]["lr"] = 0.1
    g = 1e-3 * torch.ones(4, dtype=torch.float64)
    after = drive(opt, p, [g])
    coupled = g + 0.5 * before if convention == "coupled" else g
    torch.testing.assert_close(after, (1 - shrink(0.1)) * before - 0.1 * coupled.sign(), rtol=1e-13, atol=1e-13)
    (line,) = opt.bounds()
    assert bound in line
    assert ("|x_i| <= 1/lam" in line) == (convention != "coupled")


def test_every_convention_stops_where_it_says():
    """Driven outwards for long, entries stand at the radius that ``bounds`` prints."""
    for convention in ("decoupled", "relative", "corrected", "fixed"):
        p = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
        opt = LionK([p], 0.2, weight_decay=0.5, convention=convention)
        opt.param_groups[0]["lr"] = 0.1
        drive(opt, p, [-torch.ones(3, dtype=torch.float64)] * 2000)
        radius = float(opt.bounds()[0].split("1/lam = ")[1].split(":")[0])
        torch.testing.assert_close(p.detach(), torch.full((3,), radius, dtype=torch.float64), rtol=1e-9, atol=0)


@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
@pytest.mark.parametrize("convention", ["decoupled", "relative", "corrected", "fixed", "coupled"])
def test_a_step_without_lr_leaves_x_and_says_what_holds(convention, tensor):
    """As warm-ups begin, and as torch.distributed.checkpoint makes a step to fill the state."""

    def number(v):
        return torch.tensor(v, dtype=torch.float64) if tensor else v

    p = parameter(3)
    before = p.detach().clone()
    opt = LionK([p], number(0.1), weight_decay=0.5, convention=convention)
    opt.param_groups[0]["lr"] = number(0.0)
    drive(opt, p, [torch.ones(3, dtype=torch.float64)])
    assert torch.equal(p.detach(), before)
    assert not math.isnan(opt.certificate()[0].gap)
    opt.param_groups[0]["lr"] = number(0.01)
    drive(opt, p, [torch.ones(3, dtype=torch.float64)])
    assert torch.isfinite(p).all() and not torch.equal(p.detach(), before)
    if convention in ("relative", "corrected", "fixed"):
        with pytest.raises(ValueError, match="reference_lr"):
            LionK([parameter(3)], number(0.0), weight_decay=0.5, convention=convention)
        LionK([{"params": [parameter(3)], "reference_lr": 0.1}], number(0.0), weight_decay=0.5, convention=convention)


def test_what_is_checked_is_the_decay_of_the_step():
    for convention in ("relative", "coupled"):
        LionK([parameter(3)], 10.0, weight_decay=0.5, convention=convention)
    p = parameter(3)
    opt = LionK([p], 1.0, weight_decay=0.5)
    opt.param_groups[0].update(lr=0.1, weight_decay=2.0)
    drive(opt, p, [torch.ones(3)])
    assert opt.certificate()[0].phase


def test_a_pause_of_the_schedule_leaves_everything():
    for convention in lionk.decay.DECAYS:
        p = parameter(3)
        before = p.detach().clone()
        opt = LionK([p], 0.2, weight_decay=0.5, convention=convention)
        opt.param_groups[0]["lr"] = 0.0
        assert torch.equal(drive(opt, p, gradients(2, 3)), before)


# -- the certificate of a batch -----------------------------------------------------------------------------------


def test_certificate_of_a_batch():
    p = torch.nn.Parameter(torch.tensor([0.5, -2.0], dtype=torch.float64))
    opt = LionK([p], 0.1, weight_decay=1.0)
    p.grad = torch.tensor([-1.0, 20.0], dtype=torch.float64)
    opt.state[p]["m"] = torch.tensor([1.0, 1.0], dtype=torch.float64)
    (seen,) = opt.certificate()
    assert seen == lionk.theory.Watch(math.inf, 1.0, 0.5, "I")
    p.data = torch.tensor([0.5, -1.0], dtype=torch.float64)
    (seen,) = opt.certificate()
    assert seen.phase == "II" and seen.violation == 0.0
    assert seen.gap == pytest.approx(float(lionk.kkt_gap("l1", p.detach(), p.grad, 1.0))) == pytest.approx(0.5)
    assert torch.equal(p.detach(), torch.tensor([0.5, -1.0], dtype=torch.float64)), "looking changes nothing"


def test_certificate_of_groups_with_kernels():
    model = net()
    opt = LionK(lionk_torch.groups(model, report=None), 0.05, weight_decay=1.0)
    loss_of(model).backward()
    first = opt.certificate()
    for _ in range(60):
        opt.zero_grad()
        loss_of(model).backward()
        opt.step()
    last = opt.certificate()
    assert [w.phase for w in last] == ["II"] * len(last)
    assert len(first) == len(last) == 3
    assert all(math.isfinite(w.gap) for w in last)
