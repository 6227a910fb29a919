"""What lionk_torch.LionK keeps: checkpoints, 16-bit parameters, and the momentum of other optimizers."""

from __future__ import annotations

import copy
import math
import pickle

import lion_pytorch
import numpy as np
import pytest
import torch

import lionk
import lionk_torch
import lionk_torch.optimizer.rows
from lionk_torch import LionK
from torch_nets import drive, gradients, parameter, round_trip

# -- checkpoints --------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("options", [{"rounding": "kahan"}, {"rounding": "stochastic"}, {"mars": 0.5}], ids=str)
def test_large_tensors_are_stepped_in_tiles(options, monkeypatch):
    """Of any size, and of any layout."""
    dtype = torch.bfloat16 if "rounding" in options else torch.float64
    grads, found = gradients(4, 30, 20), []
    for size in (600, 64):
        monkeypatch.setattr(lionk_torch.optimizer.rows, "limit", lambda _, size=size: size)
        p, q, small = (parameter(30, 20, dtype=dtype) for _ in range(3))
        q.data = q.data.T.contiguous().T
        small = parameter(3, dtype=dtype)
        opt = LionK([p, q, small], 1e-3, weight_decay=0.1, K="huber", **options)
        for g in grads:
            p.grad, q.grad, small.grad = g.to(dtype), g.to(dtype), g[0, :3].to(dtype)
            opt.step()
        if options != {"rounding": "stochastic"}:  # with numbers of its own for each
            torch.testing.assert_close(p, q, rtol=1e-13, atol=1e-13)
        found.append([p, small, opt.state[p].get("low", p), opt.state[p].get("last_grad", p), opt.state[p]["m"]])
    for one, many in zip(*found, strict=True):
        torch.testing.assert_close(one, many, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_stochastic_rounding_is_unbiased_seeded_and_takes_special_values(dtype):
    import array_api_compat.torch as xp

    from lionk.optimizer import rounding

    between = {torch.bfloat16: [1e-40, -1e-40], torch.float16: [1.1e-5, -3e-8]}[dtype]
    values = torch.tensor([1.0 + 2**-9, -3.0 - 2**-8, *between, 0.0, 2.0, math.inf, -math.inf, math.nan, 3.4e38])
    values[:2] += values[:2] * torch.finfo(dtype).eps / 3

    def draws(seed):
        whole = values.repeat(20_000, 1)
        index = rounding.index(xp, 2**32 - 500, whole)  # counters wrap
        return rounding.by_chance(xp, whole, dtype, rounding.noise(xp, index, *rounding.keys(seed, 0)))

    p = draws(0)
    low, high = p[:, :4].amin(0).double(), p[:, :4].amax(0).double()
    mean, spread = p[:, :4].double().mean(0), high - low
    assert (abs(mean - values[:4].double()) < 0.02 * spread).all()
    assert (low < values[:4]).all() and (high > values[:4]).all()
    assert torch.equal(torch.nextafter(low.to(dtype), high.to(dtype)), high.to(dtype)), "neighbours"
    assert torch.equal(p[0, 4:8], values[4:8].to(dtype)) and (p[:, 4:8] == p[0, 4:8]).all()
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


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon")
def test_momentum_of_muon():
    p, grads = parameter(4, 3, dtype=torch.float32), gradients(3, 4, 3, dtype=torch.float32)
    muon = torch.optim.Muon([p], momentum=0.95)
    drive(muon, p, grads)
    opt = LionK([p], K="nuclear", state_dtype="float64")
    opt.load_momentum(muon.state_dict())
    expected = sum(-0.05 * 0.95 ** (2 - i) * g for i, g in enumerate(grads))
    torch.testing.assert_close(opt.state[p]["m"], expected.double(), rtol=1e-5, atol=1e-6)


def test_momentum_of_adamw_and_optax():
    p, grads = parameter(4, 3, dtype=torch.float32), gradients(3, 4, 3, dtype=torch.float32)
    opt = LionK([p], K="nuclear", state_dtype="float64")
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
