"""lionk_torch.LionK: that it is a torch.optim.Optimizer in every habit, and lionk's step in every number."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import lionk
import lionk_torch
from lionk_torch import LionK
from torch_nets import drive, gradients, loss_of, net, parameter

KS = ["l1", "half_square", "nuclear", "l2", {"name": "huber", "delta": 0.5}, "row_l1_l2", "softplus"]

KERNELS = {"name": "kernel_lift", "k": "nuclear"}


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
    code = "import lionk_torch, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="nothing"):
        _ = lionk_torch.nothing


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

    made = opt._known.made[id(opt.param_groups[0])]
    opt._known.made[id(opt.param_groups[0])] = made._replace(run=run)
    monkeypatch.setattr(torch.Tensor, "copy_", None)
    before = p.detach().clone()
    p.grad = torch.ones_like(p)
    opt.step()
    assert torch.equal(p.detach(), before - 1.0)
