"""lionk_torch.LionK: that it is a torch.optim.Optimizer in every habit, and lionk's step in every number."""

from __future__ import annotations

import copy
import doctest
import gc
import io
import math
import pickle
import subprocess
import sys
import weakref

import lion_pytorch
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import lionk
import lionk_torch
import lionk_torch.exchange
import lionk_torch.optimizer
import lionk_torch.rules
from lionk_torch import LionK

KS = ["l1", "half_square", "nuclear", "l2", {"name": "huber", "delta": 0.5}, "row_l1_l2", "softplus"]

KERNELS = {"name": "kernel_lift", "k": "nuclear"}


def parameter(*shape, seed=0, dtype=torch.float64):
    return torch.nn.Parameter(torch.tensor(np.random.default_rng(seed).normal(size=shape), dtype=dtype))


def gradients(count, *shape, seed=1, dtype=torch.float64):
    return [torch.tensor(g, dtype=dtype) for g in np.random.default_rng(seed).normal(size=(count, *shape))]


def drive(opt, p, grads):
    for g in grads:
        p.grad = g.to(p.dtype)
        opt.step()
    return p.detach().clone()


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3),
        torch.nn.Flatten(),
        torch.nn.Linear(12, 5),
        torch.nn.LayerNorm(5),
        torch.nn.Linear(5, 2),
    )


def loss_of(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(8, 1, 4, 4, generator=generator)
    return torch.nn.functional.cross_entropy(model(x), torch.arange(8) % 2)


# -- the step -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("K", KS, ids=str)
@pytest.mark.parametrize("decay", ["explicit", "implicit"])
def test_the_step_is_that_of_lionk(K, decay):
    p, grads = parameter(4, 3), gradients(6, 4, 3)
    method = lionk.LionK(K, 0.1, (0.8, 0.95), 0.3, decay)
    x, state = p.detach().clone(), method.init(p.detach())
    for g in grads:
        x, state = method.step(x, g, state)
    opt = LionK([p], 0.1, (0.8, 0.95), 0.3, K=K, decay=decay)
    torch.testing.assert_close(drive(opt, p, grads), x, rtol=1e-14, atol=1e-15)  # products and sums are contracted
    torch.testing.assert_close(opt.state[p]["m"], state.m, rtol=1e-14, atol=1e-15)


def test_small_moments_lie_side_by_side_and_large_ones_alone(tmp_path):
    params = [parameter(4, 3), parameter(5), parameter(), parameter(1 << 14), parameter(0)]
    opt = LionK(params, 0.1)
    for p in params:
        p.grad = torch.ones_like(p)
    opt.step()
    m = [opt.state[p]["m"] for p in params]
    assert [a.shape for a in m] == [p.shape for p in params]
    assert m[1].data_ptr() == m[0].data_ptr() + 12 * 8 and m[2].data_ptr() == m[1].data_ptr() + 5 * 8
    assert m[3].untyped_storage().nbytes() == 8 << 14
    torch.save(opt.state_dict(), tmp_path / "state.pt")
    twin = LionK([p.detach().clone().requires_grad_() for p in params], 0.1)
    twin.load_state_dict(torch.load(tmp_path / "state.pt"))
    for a, b in zip(m, twin.state.values(), strict=True):
        assert torch.equal(a, b["m"])


def test_the_step_is_lion_written_out():
    p, grads = parameter(5), gradients(8, 5)
    x, average = p.detach().numpy().copy(), np.zeros(5)
    for g in map(np.asarray, grads):
        x = (1 - 0.1 * 0.2) * x - 0.1 * np.sign(0.9 * average + 0.1 * g)
        average = 0.99 * average + 0.01 * g
    np.testing.assert_allclose(drive(LionK([p], 0.1, weight_decay=0.2), p, grads), x, rtol=1e-13)


def stepped_in_pieces(x, grads, sizes, **options):
    """Parameters and moments after these steps, where every piece has an optimizer of its own."""
    params = [torch.nn.Parameter(a.clone()) for a in x.split(sizes)]
    opts = [LionK([p], 0.1, weight_decay=0.5, **options) for p in params]
    for g in grads:
        for p, opt, part in zip(params, opts, g.split(sizes), strict=True):
            drive(opt, p, [part])
    return torch.cat([torch.stack([p.detach(), opt.state[p]["m"]]) for p, opt in zip(params, opts, strict=True)], dim=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("K", ["l1", "huber", "softplus"])
def test_an_entry_has_the_same_bits_wherever_it_lies(K, dtype):
    """So pieces make the step of the whole: in some calls PyTorch rounds the last entries of a tensor otherwise."""
    x, grads = parameter(61, dtype=dtype).detach(), gradients(4, 61, dtype=dtype)
    whole = stepped_in_pieces(x, grads, [61], K=K)
    assert torch.equal(stepped_in_pieces(x, grads, [7, 54], K=K), whole)
    assert torch.equal(stepped_in_pieces(x, grads, [1, 1, 59], K=K), whole)


ARITHMETIC = ["l1", {"name": "huber", "delta": 0.5}]


@pytest.mark.parametrize(
    ("K", "how"),
    [(K, how) for K in (*ARITHMETIC, "log_cosh") for how in (None, False)]
    # not log_cosh: tanh compiled by PyTorch is not the one of its tiles
    + [pytest.param(K, True, marks=pytest.mark.slow) for K in ARITHMETIC],
    ids=str,
)
def test_large_and_small_tensors_round_alike(K, how):
    """The whole takes a compiled loop where there is one, the pieces do not."""
    n = 300_007
    x, grads = parameter(n, dtype=torch.float32).detach(), gradients(2, n, dtype=torch.float32)
    whole = stepped_in_pieces(x, grads, [n], K=K, compile=how)
    assert torch.equal(stepped_in_pieces(x, grads, [150_001, 150_000, 6], K=K, compile=how), whole)


def test_many_small_tensors_round_like_one():
    """A loop over the addresses of many tensors, one over a group of some, and one over the whole."""
    sizes = [3, 50, 7] * 40
    x, grads = parameter(sum(sizes), dtype=torch.float32).detach(), gradients(3, sum(sizes), dtype=torch.float32)

    def together(sizes):
        params = [torch.nn.Parameter(a.clone()) for a in x.split(sizes)]
        opt = LionK(params, 0.1, weight_decay=0.5)
        for g in grads:
            for p, part in zip(params, g.split(sizes), strict=True):
                p.grad = part.clone()
            opt.step()
        return torch.cat([p.detach() for p in params])

    assert torch.equal(together(sizes), together([sum(sizes)]))
    assert torch.equal(together([sum(sizes[:60]), sum(sizes[60:])]), together([sum(sizes)]))


def test_maximize_goes_up():
    p, q, grads = parameter(5), parameter(5), gradients(5, 5)
    down = drive(LionK([p], 0.1), p, [-g for g in grads])
    assert torch.equal(drive(LionK([q], 0.1, maximize=True), q, grads), down)
    assert torch.equal(q.grad, grads[-1])


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0)])
def test_empty_and_scalar_parameters(shape):
    p = parameter(*shape)
    drive(LionK([p], 0.1), p, gradients(2, *shape))
    assert p.shape == shape


def test_parameters_in_other_layouts_are_written_in_place():
    base = torch.zeros(4, 3, dtype=torch.float64)
    p = torch.nn.Parameter(base.T)
    kernel = torch.nn.Parameter(torch.ones(2, 3, 2, 2).to(memory_format=torch.channels_last))
    p.grad, kernel.grad = torch.ones(3, 4, dtype=torch.float64), torch.ones(2, 3, 2, 2)
    where = kernel.data_ptr()
    LionK([{"params": [p]}, {"params": [kernel], "K": KERNELS}], 0.5).step()
    assert torch.equal(base, torch.full((4, 3), -0.5, dtype=torch.float64))
    assert kernel.data_ptr() == where
    u = lionk.K("nuclear").subgradient(torch.ones(2, 12))
    torch.testing.assert_close(kernel.detach().flatten(1), 1 - 0.5 * u)


def test_complex_parameters():
    p = torch.nn.Parameter(torch.tensor([1 + 1j, 2.0, 0j]))
    z = p.detach().clone()
    (p - torch.tensor([0j, 0j, 3j])).abs().square().sum().backward()
    LionK([p], 0.1, weight_decay=0.5).step()
    g = 2 * (z - torch.tensor([0j, 0j, 3j]))
    torch.testing.assert_close(p.detach(), z - 0.1 * (g / g.abs() + 0.5 * z))


def test_a_parameter_without_gradient_is_left_alone():
    p, q = parameter(3), parameter(3)
    before = q.detach().clone()
    opt = LionK([p, q], 0.1, weight_decay=1.0)
    drive(opt, p, gradients(1, 3))
    assert torch.equal(q.detach(), before)
    assert q not in opt.state


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


@pytest.mark.parametrize("module", [lionk_torch.exchange, lionk_torch.optimizer, lionk_torch.rules])
def test_examples_of_the_docstrings(module):
    outcome = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert outcome.attempted
    assert not outcome.failed


# -- habits of PyTorch --------------------------------------------------------------------------------------------


def test_closures_hooks_and_zero_grad():
    p = parameter(3)
    opt = LionK([p], 0.1)
    calls = []
    opt.register_step_pre_hook(lambda *_: calls.append("before"))
    opt.register_step_post_hook(lambda *_: calls.append("after"))

    def closure():
        opt.zero_grad()
        assert torch.is_grad_enabled()
        loss = p.square().sum()
        loss.backward()
        calls.append("closure")
        return loss

    before = float(p.detach().square().sum())
    assert opt.step(closure).item() == before
    assert calls == ["before", "closure", "after"]
    opt.zero_grad()
    assert p.grad is None


@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
def test_schedulers(tensor):
    p, q, grads = parameter(4), parameter(4), gradients(6, 4)
    rate = torch.tensor(0.1, dtype=torch.float64) if tensor else 0.1
    opt = LionK([p], rate, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=6)
    method, x = lionk.LionK("l1", 0.1, weight_decay=0.5), q.detach()
    state = method.init(x)
    for g in grads:
        x, state = method.step(x, g, state, lr=float(opt.param_groups[0]["lr"]))
        drive(opt, p, [g])
        schedule.step()
    torch.testing.assert_close(p.detach(), x, rtol=1e-14, atol=1e-15)
    assert opt.param_groups[0]["reference_lr"] == 0.1
    if tensor:
        assert opt.param_groups[0]["lr"] is rate, "a tensor stays the same tensor"


def test_one_cycle_moves_the_betas():
    p, grads = parameter(4), gradients(4, 4)
    x, m = p.detach().clone(), torch.zeros(4, dtype=torch.float64)
    opt = LionK([p], 0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.1, total_steps=5)
    betas = set()
    for g in grads:
        now = opt.param_groups[0]
        x, m = lionk.LionK("l1", now["lr"], now["betas"]).update(x, m, g, now["lr"], 0.0)
        betas.add(now["betas"])
        drive(opt, p, [g])
        schedule.step()
    assert len(betas) == 4
    torch.testing.assert_close(p.detach(), x, rtol=1e-13, atol=0)


def test_betas_change_without_compiling_again(monkeypatch):
    compiled = []
    from numba.core.dispatcher import Dispatcher

    compile_ = Dispatcher.compile
    monkeypatch.setattr(Dispatcher, "compile", lambda self, sig: compiled.append(sig) or compile_(self, sig))
    p = parameter(1 << 18, dtype=torch.float32)
    opt = LionK([p], 0.1, K={"name": "huber", "delta": 0.1875})  # of which no other test has a loop
    seen = []
    for k in range(3):
        opt.param_groups[0]["betas"] = 0.9 - 0.1 * k, 0.99
        drive(opt, p, [torch.ones_like(p)])
        seen.append(len(compiled))
    assert seen[0] > 0 and seen[0] == seen[-1]


def test_averages_of_weights():
    model = net()
    averaged = torch.optim.swa_utils.AveragedModel(model)
    opt = LionK(model.parameters(), 1e-2)
    for _ in range(2):
        opt.zero_grad()
        loss_of(model).backward()
        opt.step()
        averaged.update_parameters(model)
    assert torch.isfinite(averaged(torch.zeros(1, 1, 4, 4))).all()


def test_loss_scaling_skips_steps_that_overflow():
    p = parameter(3, dtype=torch.float32)
    opt, scaler = LionK([p], 0.1), torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = p.detach().clone()
    for factor in (float("inf"), 1.0):
        opt.zero_grad()
        scaler.scale((factor * p).sum()).backward()
        scaler.step(opt)
        scaler.update()
    torch.testing.assert_close(p.detach(), before - 0.1)
    assert scaler.get_scale() == 512.0


def test_autocast():
    model = net()
    opt = LionK(model.parameters(), 1e-3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(model)
    loss.backward()
    opt.step()
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_sparse_gradients_are_refused():
    layer = torch.nn.Embedding(4, 2, sparse=True)
    layer(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match=r"sparse gradients .*\(4, 2\).*sparse=False"):
        LionK(layer.parameters()).step()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lr": -1.0}, ValueError, "lr must be"),
        ({"lr": "fast"}, TypeError, "lr must be"),
        ({"betas": (0.9, 1.0)}, ValueError, "betas"),
        ({"betas": 0.9}, TypeError, "betas"),
        ({"weight_decay": -1}, ValueError, "weight_decay"),
        ({"lr": 2.0, "weight_decay": 1.0}, ValueError, "explicit decay needs"),
        ({"K": "nucler"}, KeyError, "did you mean"),
        ({"K": lionk.blocks(["l1", "l2"])}, TypeError, "group its own K"),
        ({"decay": "none"}, ValueError, "decay must be"),
        ({"convention": "l2"}, ValueError, "decoupled, relative"),
        ({"rounding": "up"}, ValueError, "nearest, stochastic"),
        ({"state_dtype": "int32"}, ValueError, "state_dtype"),
    ],
)
def test_options_are_checked(options, error, message):
    with pytest.raises(error, match=message):
        LionK([parameter(2)], **options)
    if "K" not in options or options["K"] == "nucler":
        opt = LionK([parameter(2)])
        with pytest.raises(error, match=message):
            opt.add_param_group({"params": [parameter(3)], **options})
        assert len(opt.param_groups) == 1


def test_a_step_outside_the_convex_hull_is_refused_when_a_schedule_leads_there():
    p = parameter(2)
    opt = LionK([p], 0.1, weight_decay=1.0)
    opt.param_groups[0]["lr"] = 1.5
    with pytest.raises(ValueError, match="explicit decay needs"):
        drive(opt, p, gradients(1, 2))


def test_importing_the_package_does_not_import_torch():
    code = (
        "import lionk_torch, sys; assert 'torch' not in sys.modules; lionk_torch.LionK; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="nothing"):
        _ = lionk_torch.nothing


# -- checkpoints --------------------------------------------------------------------------------------------------


def round_trip(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic", "kahan"])
@pytest.mark.parametrize(
    "dtypes", [("float32", None), ("bfloat16", "float32"), ("float32", "bfloat16"), ("float16", None)]
)
def test_a_resumed_run_has_the_same_bits(dtypes, rounding):
    dtype, grads = getattr(torch, dtypes[0]), gradients(8, 4, 3)
    options = {"K": lionk.K("nuclear") + 0.1 * lionk.K("l1"), "state_dtype": dtypes[1], "rounding": rounding, "seed": 3}
    p = parameter(4, 3, dtype=dtype)
    opt = LionK([p], 0.01, weight_decay=0.1, **options)
    middle = drive(opt, p, grads[:4])
    saved = round_trip(opt.state_dict())
    end = drive(opt, p, grads[4:])
    q = torch.nn.Parameter(middle)
    other = LionK([q], 0.5)
    other.load_state_dict(saved)
    assert other.state[q]["m"].dtype == (getattr(torch, dtypes[1]) if dtypes[1] else dtype)
    assert torch.equal(drive(other, q, grads[4:]), end)
    for key, value in opt.state[p].items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(other.state[q][key])), key


def test_state_dicts_hold_specs_and_survive_hooks_copies_and_pickle():
    p = parameter(3)
    opt = LionK([p], 0.1, K=lionk.K("huber", delta=0.25))
    drive(opt, p, gradients(1, 3))
    state = opt.state_dict()
    assert state["param_groups"][0]["K"] == {"name": "huber", "delta": 0.25}
    opt.register_load_state_dict_pre_hook(lambda _, given: {**given, "state": {}})
    opt.load_state_dict(state)
    assert not opt.state
    twin = copy.deepcopy((p, opt))
    p.grad = twin[0].grad = gradients(1, 3, seed=5)[0]
    opt.step()
    twin[1].step()
    assert torch.equal(p, twin[0])
    assert "huber" in repr(opt)


def test_an_optimizer_may_be_pickled_with_its_parameters():
    p = parameter(3)
    opt = LionK([p], 0.1, K={"name": "huber", "delta": np.float64(0.25)})
    drive(opt, p, gradients(1, 3))
    q, twin = pickle.loads(pickle.dumps((p, opt)))
    p.grad = gradients(1, 3, seed=5)[0]
    q.grad = p.grad.clone()
    opt.step()
    twin.step()
    assert torch.equal(p, q)
    assert round_trip(opt.state_dict())["param_groups"][0]["K"] == {"name": "huber", "delta": 0.25}


def test_copies_keep_their_processes():
    """A copy that exchanged with all processes instead of some would be another method."""
    opt = LionK([parameter(3)])
    opt.process_group = object()
    assert copy.deepcopy(opt).process_group is opt.process_group
    with pytest.raises(TypeError, match="state_dict"):
        pickle.dumps(opt)


def test_a_group_may_come_later():
    p, q, r = parameter(3), parameter(3, seed=1), parameter(3, seed=1)
    opt = LionK([p], 0.1)
    drive(opt, p, gradients(2, 3))
    opt.add_param_group({"params": [q], "K": "huber", "lr": 0.2})
    other = LionK([r], 0.2, K="huber")
    for g in gradients(2, 3, seed=7):
        p.grad, q.grad, r.grad = g, g.clone(), g.clone()
        opt.step()
        other.step()
    assert torch.equal(q, r)


def test_a_function_without_a_spec_is_refused_with_the_way_out():
    """What a checkpoint could not hold, the optimizer does not take."""
    K = lionk.functions.from_scalar(lambda x: x * x / 2, lambda x: x, slope_range=(-math.inf, math.inf), even=True)
    with pytest.raises(lionk.NotAvailable, match=r"register it \(lionk.register\)"):
        LionK([parameter(2)], K=K)


def test_checkpoints_of_versions_with_fewer_options_load():
    p, q, grads = parameter(3), parameter(3), gradients(4, 3)
    opt = LionK([p], 0.1)
    drive(opt, p, grads[:2])
    state = opt.state_dict()
    for key in ("compile", "exchange", "mars"):
        del state["param_groups"][0][key]
    q.data = p.detach().clone()
    other = LionK([q], 0.5)
    other.load_state_dict(state)
    assert torch.equal(drive(other, q, grads[2:]), drive(opt, p, grads[2:]))


# -- what is remembered between steps -----------------------------------------------------------------------------


def test_what_is_remembered_of_a_step_is_looked_at_again_when_it_changes():
    """State taken away, exchanged or cleared; parameters exchanged; gradients that come and go."""
    p, q = parameter(3), parameter(3, seed=5)
    opt, zero = LionK([p, q], 1.0, (0.0, 0.5), K="half_square"), torch.zeros(3, dtype=torch.float64)

    def step(*grads):
        before = [a.detach().clone() for a in (p, q)]
        p.grad, q.grad = grads
        opt.step()
        return [b - a.detach() for a, b in zip((p, q), before, strict=True)]

    one = zero + 1
    assert torch.equal(step(one, None)[0], one) and q not in opt.state
    for change in (
        opt.state.clear,
        lambda: opt.state.pop(p),
        lambda: opt.state[p].pop("m"),
        lambda: opt.state.__setitem__(p, {}),
        lambda: opt.state[p].__setitem__("m", zero.clone()),
    ):
        step(one, one)
        change()
        step(2 * one, one)
        torch.testing.assert_close(opt.state[p]["m"], -one)  # from 0
    moved = step(None, one)
    torch.testing.assert_close(moved[0], zero)
    p.data = zero.clone()
    step(one, one)
    torch.testing.assert_close(p.detach(), -one)


def test_gradients_are_not_kept_alive():
    p = parameter(70_000)
    opt = LionK([p], 0.1)
    for g in gradients(2, 70_000):
        p.grad = g
        opt.step()
        seen = weakref.ref(g)
        opt.zero_grad()
        del g
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize("K", ["l1", "huber", "l2", {"name": "top_k", "k": 2}, "row_l1_l2", "nuclear"], ids=str)
def test_a_step_reads_no_number_back(K):
    """With lr and weight decay tensors nothing waits for the device, and they may change between steps."""
    p, decay = parameter(4, 3, dtype=torch.float32), torch.tensor(0.1)
    grads = gradients(3, 4, 3, dtype=torch.float32)
    opt = LionK([p], torch.tensor(0.1), weight_decay=decay, K=K)
    drive(opt, p, grads[:1])
    with NothingLeavesTheDevice() as seen:
        drive(opt, p, grads[1:2])
    assert seen.calls > 4
    decay.fill_(0.5)
    twin = parameter(4, 3, dtype=torch.float32)
    other = LionK([twin], 0.1, weight_decay=0.1, K=K)
    drive(other, twin, grads[:2])
    other.param_groups[0]["weight_decay"] = 0.5
    torch.testing.assert_close(drive(opt, p, grads[2:]), drive(other, twin, grads[2:]))


class NothingLeavesTheDevice(TorchDispatchMode):
    """Refuses to read a number."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        assert func is not torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("size", [10, pytest.param(70_000, marks=pytest.mark.slow)])
def test_the_compiled_step(size, monkeypatch):
    """Small tensors take the tiles, which need no compiler. lr is a tensor that a schedule changes."""
    chosen, plain = [], lionk_torch.TorchBackend.runner
    monkeypatch.setattr(
        lionk_torch.TorchBackend,
        "runner",
        lambda self, opt, runner=None: chosen.append(runner) or plain(self, opt, runner),
    )
    p, q = (parameter(size, dtype=torch.float32) for _ in range(2))
    rates = torch.tensor(0.1), 0.1
    opts = [LionK([a], lr, weight_decay=0.5, compile=c) for a, lr, c in zip((p, q), rates, (True, False), strict=True)]
    assert chosen == ["compiled", "tiles"]
    for g in gradients(3, size, dtype=torch.float32):
        for a, opt in zip((p, q), opts, strict=True):
            drive(opt, a, [g])
            opt.param_groups[0]["lr"] *= 0.5
    torch.testing.assert_close(p.detach(), q.detach())


def test_votes_need_signs_and_one_gradient():
    with pytest.raises(lionk.NotAvailable, match="depends on signs only"):
        LionK([parameter(2)], K="huber", exchange="majority")
    with pytest.raises(lionk.NotAvailable, match="with exchange there are several"):
        LionK([parameter(2)], cautious="mask", exchange="average")
    with pytest.raises(ValueError, match='None, "majority" or "average"'):
        LionK([parameter(2)], exchange="mean")


# -- 16 bits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_small_steps_do_not_vanish(dtype):
    """200 steps of 1e-4 from 1: rounded to nearest nothing moves."""
    ends = {}
    for rounding in ("nearest", "stochastic", "kahan"):
        p = torch.nn.Parameter(torch.ones(1000, dtype=dtype))
        opt = LionK([p], 1e-4, rounding=rounding, state_dtype="float32")
        drive(opt, p, [torch.ones(1000)] * 200)
        ends[rounding] = p.detach().double()
        assert p.dtype == dtype
        assert opt.state[p]["m"].dtype == torch.float32
    assert float(ends["nearest"].min()) == 1.0
    unit = torch.finfo(dtype).eps
    assert abs(float(ends["stochastic"].mean()) - 0.98) < unit / 8
    torch.testing.assert_close(ends["kahan"], torch.full((1000,), 0.98, dtype=torch.float64), atol=unit / 2, rtol=0)


def test_kahan_keeps_twice_the_bits():
    p, q, grads = parameter(50, dtype=torch.bfloat16), parameter(50), gradients(100, 50)
    q.data = p.detach().double()
    opt = LionK([p], 1e-3, weight_decay=0.1, rounding="kahan", state_dtype="float32")
    drive(opt, p, grads)
    exact = drive(LionK([q], 1e-3, weight_decay=0.1), q, [g.bfloat16().double() for g in grads])
    whole = p.detach().double() + opt.state[p]["low"].double()
    torch.testing.assert_close(whole, exact, rtol=0, atol=100 * 2**-16)


def test_stochastic_rounding_is_unbiased_seeded_and_takes_special_values():
    from lionk_torch.rounding import narrow

    values = torch.tensor([1.0 + 2**-9, -3.0 - 2**-8, 1e-40, -1e-40, 0.0, 2.0, math.inf, -math.inf, math.nan, 3.4e38])

    def draws(seed):
        p = torch.empty(20_000, len(values), dtype=torch.bfloat16)
        narrow(p, p, values.expand_as(p).contiguous(), {}, "stochastic", seed, 0)
        return p

    p = draws(0)
    low, high = p[:, :4].amin(0).double(), p[:, :4].amax(0).double()
    mean, spread = p[:, :4].double().mean(0), high - low
    assert (abs(mean - values[:4].double()) < 0.02 * spread).all()
    assert (low < values[:4]).all() and (high > values[:4]).all()
    assert torch.equal(p[0, 4:8], values[4:8].bfloat16()) and (p[:, 4:8] == p[0, 4:8]).all()
    assert p[:, 8].isnan().all()
    assert torch.equal(draws(0).view(torch.int16), p.view(torch.int16))
    assert not torch.equal(draws(1)[:, :4], p[:, :4])


def test_stochastic_rounding_differs_between_parameters_and_steps():
    p, q = (torch.nn.Parameter(torch.ones(500, dtype=torch.bfloat16)) for _ in range(2))
    opt = LionK([{"params": [p]}, {"params": [q]}], 1e-3, rounding="stochastic")
    p.grad = q.grad = torch.ones(500, dtype=torch.bfloat16)
    opt.step()
    first = p.detach().clone()
    assert not torch.equal(p, q)
    p.data.fill_(1.0)
    opt.step()
    assert not torch.equal(p, first)


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


# -- from other optimizers ----------------------------------------------------------------------------------------


def test_a_run_of_another_lion_goes_on():
    p, q, grads = parameter(4), parameter(4), gradients(20, 4)
    lion = lion_pytorch.Lion([p], 0.01, (0.9, 0.99), 0.1)
    drive(lion, p, grads[:10])
    q.data = p.detach().clone()
    opt = LionK([q], 0.01, weight_decay=0.1)
    opt.load_momentum(lion.state_dict())
    torch.testing.assert_close(drive(opt, q, grads[10:]), drive(lion, p, grads[10:]), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_run_of_sgd_goes_on_as_half_square(nesterov):
    p, q, grads, mu = parameter(4), parameter(4), gradients(10, 4), 0.8
    sgd = torch.optim.SGD([p], 0.01, momentum=mu, nesterov=nesterov)
    drive(sgd, p, grads[:5])
    q.data = p.detach().clone()
    opt = LionK([q], 0.01 / (1 - mu), (mu**2 if nesterov else mu, mu), K="half_square")
    opt.load_momentum(sgd.state_dict())
    torch.testing.assert_close(drive(opt, q, grads[5:]), drive(sgd, p, grads[5:]), rtol=1e-12, atol=1e-13)


def test_momentum_of_muon_adamw_and_optax():
    p, grads = parameter(4, 3, dtype=torch.float32), gradients(3, 4, 3, dtype=torch.float32)
    muon = torch.optim.Muon([p], momentum=0.95)
    drive(muon, p, grads)
    opt = LionK([p], K="nuclear", state_dtype="float64")
    opt.load_momentum(muon.state_dict())
    expected = sum(-0.05 * 0.95 ** (2 - i) * g for i, g in enumerate(grads))
    torch.testing.assert_close(opt.state[p]["m"], expected.double(), rtol=1e-5, atol=1e-6)
    adam = torch.optim.AdamW([p], betas=(0.9, 0.999))
    drive(adam, p, grads)
    opt.load_momentum(adam.state_dict())
    assert torch.equal(opt.state[p]["m"].float(), -adam.state[p]["exp_avg"])
    opt.load_momentum([np.ones((4, 3), dtype=np.float32)])
    assert torch.equal(opt.state[p]["m"], -torch.ones(4, 3, dtype=torch.float64))


def test_momentum_finds_its_parameters_in_groups_of_another_order():
    model = torch.nn.Sequential(*(torch.nn.Linear(2, 2, bias=False) for _ in range(3)))
    source = [torch.full((2, 2), float(k)) for k in range(3)]
    opt = LionK(lionk_torch.groups(model, [("1.*", "l1")], default="nuclear", report=None))
    with pytest.raises(ValueError, match=r"params=model.parameters\(\)"):
        opt.load_momentum(source)
    opt.load_momentum(source, model.parameters())
    for k, p in enumerate(model.parameters()):
        assert torch.equal(opt.state[p]["m"], -source[k])
    with pytest.raises(ValueError, match="no parameter of this optimizer"):
        opt.load_momentum(source, [torch.zeros(2, 2), *source[1:]])


def test_momentum_that_does_not_fit_is_refused():
    opt = LionK([parameter(4)])
    for source, error, message in [
        ([torch.zeros(3)], ValueError, r"shape \(3,\)"),
        ([], ValueError, "0 parameters"),
        (3, TypeError, "state_dict"),
        ({"state": {0: {"z": 1}}, "param_groups": [{"params": [0]}]}, ValueError, "neither exp_avg"),
    ]:
        with pytest.raises(error, match=message):
            opt.load_momentum(source)
    opt.load_momentum([None])
    assert not opt.state


# -- speed of the wrapper is measured by asv_bench; here, that it adds no copy --------------------------------------


def test_results_written_in_place_are_not_copied(monkeypatch):
    """A runner that writes into x and m gets the parameters themselves."""
    p = parameter(4)
    opt = LionK([p], 0.1)

    def run(x, m, grad, *, lr=None, weight_decay=None):
        x[0].sub_(1.0)
        m[0].add_(1.0)
        assert x[0].data_ptr() == p.data_ptr() and m[0].data_ptr() == opt.state[p]["m"].data_ptr()
        return x, m

    made = opt._made[id(opt.param_groups[0])]
    opt._made[id(opt.param_groups[0])] = made._replace(run=run)
    monkeypatch.setattr(torch.Tensor, "copy_", None)
    before = p.detach().clone()
    p.grad = torch.ones_like(p)
    opt.step()
    assert torch.equal(p.detach(), before - 1.0)
