"""What PyTorch's own generic tests ask of every optimizer, asked of LionK for each of its options.

Written from what those tests are about (test/test_optim.py, TestOptimRenewed, and the tests of schedulers and of
averaged weights), with the helpers that PyTorch ships. docs/training.md lists what is not promised.
"""

from __future__ import annotations

import copy
import gc
import io
import warnings
import weakref

import pytest
import torch
from torch.optim import lr_scheduler, swa_utils
from torch.optim.optimizer import register_optimizer_step_pre_hook

from lionk_torch import LionK
from torch_info import OPTIONS, wrong_inputs
from torch_nets import round_trip
from turns import every

QUICK = {"default", "tensor lr", "relative", "state", "mars", "complex parts"}
EVERY = [pytest.param(v, id=k, marks=[] if k in QUICK else [pytest.mark.slow]) for k, v in OPTIONS.items()]
every_option = pytest.mark.parametrize("options", EVERY)


def problem(dtype=torch.float32, contiguous=True, options=None):
    """Weight, bias, and a closure of a least-squares loss with its gradients."""
    torch.manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(10, 5, dtype=dtype) if contiguous else torch.randn(10, 5, 2)[..., 0])
    bias = torch.nn.Parameter(torch.randn(10, dtype=dtype) if contiguous else torch.randn(10, 2)[..., 0])
    x = torch.randn(5, dtype=dtype)
    sign = -1 if (options or {}).get("maximize") else 1

    def closure():
        weight.grad = bias.grad = None
        loss = sign * (weight.mv(x) + bias).abs().pow(2).sum()
        loss.backward()
        return loss

    return weight, bias, closure


def run(opt, closure, steps):
    return [float(opt.step(closure).detach()) for _ in range(steps)]


# -- construction -------------------------------------------------------------------------------------------------


def test_errors_of_construction():
    rows = wrong_inputs("cpu", torch.float32)
    assert len(rows) > 6
    every(lambda what, wrong: refuses(wrong), [(w.optimizer_error_input.desc, w) for w in rows])


def refuses(wrong):
    given = wrong.optimizer_error_input
    params = [torch.nn.Parameter(torch.ones(1))] if given.params is None else given.params
    if wrong.error_type is UserWarning:
        with pytest.warns(UserWarning, match=wrong.error_regex):
            LionK(params, **given.kwargs)
    else:
        with pytest.raises(wrong.error_type, match=wrong.error_regex):
            LionK(params, **given.kwargs)


def test_a_parameter_that_is_there_twice_is_stepped_once():
    p, q, r = (torch.nn.Parameter(torch.ones(3)) for _ in range(3))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        twice = LionK([p, q, p], lr=0.1)
    once = LionK([r], lr=0.1)
    for _ in range(3):
        p.grad, r.grad = torch.ones(3), torch.ones(3)
        twice.step()
        once.step()
    assert torch.equal(p, r)
    assert torch.equal(q, torch.ones(3))
    saved = twice.state_dict()
    twice.load_state_dict(saved)
    twice.step()
    once.step()
    assert torch.equal(p, r)


@every_option
def test_it_can_be_printed_and_has_one_kind_of_options(options):
    opt = LionK([torch.nn.Parameter(torch.ones(2))], **options)
    for text in ("LionK", "lr", "weight_decay", "maximize"):
        assert text in repr(opt)
    assert not {"foreach", "fused", "differentiable", "capturable"} & opt.defaults.keys()


# -- steps --------------------------------------------------------------------------------------------------------


@every_option
@pytest.mark.parametrize("contiguous", [True, False])
def test_steps_go_the_right_way(options, contiguous):
    weight, bias, closure = problem(contiguous=contiguous, options=options)
    losses = run(LionK([weight, bias], **options), closure, 20)
    rises = -1 if options.get("maximize") else 1
    assert rises * losses[-1] < rises * losses[0]


@every_option
@pytest.mark.parametrize("kind", ["StepLR", "ReduceLROnPlateau", "CosineAnnealingLR", "LinearLR"])
def test_steps_go_the_right_way_with_schedulers(options, kind):
    arguments = {"StepLR": {"gamma": 0.9, "step_size": 5}, "CosineAnnealingLR": {"T_max": 20}}.get(kind, {})
    weight, bias, closure = problem(options=options)
    opt = LionK([{"params": [weight]}, {"params": [bias], "lr": 1e-2}], **copy.deepcopy(options))
    scheduler = getattr(lr_scheduler, kind)(opt, **arguments)
    first = float(closure().detach())
    for _ in range(20):
        loss = opt.step(closure)
        scheduler.step(*([float(loss.detach())] if kind == "ReduceLROnPlateau" else []))
    rises = -1 if options.get("maximize") else 1
    assert rises * float(closure().detach()) < rises * first


@pytest.mark.parametrize("axes", [0, 1, 2])
@pytest.mark.parametrize(
    "options", [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "convention": "relative"}], ids=str
)
def test_lr_and_decay_may_be_tensors_of_one_entry(axes, options):
    if axes and not hasattr(lr_scheduler, "_to_scalar"):
        pytest.skip("the schedulers of this PyTorch fill tensors without axes alone")
    ends = []
    for tensors in (False, True):
        weight, bias, closure = problem()
        lr = torch.full((1,) * axes, 0.01, dtype=torch.float64) if tensors else 0.01
        given = {k: torch.tensor(v) if tensors and isinstance(v, float) else v for k, v in options.items()}
        opt = LionK([weight, bias], lr=lr, **given)
        assert not tensors or opt.param_groups[0]["lr"] is lr  # so that a scheduler may fill it
        scheduler = lr_scheduler.StepLR(opt, 2, 0.5)
        for _ in range(6):
            opt.step(closure)
            scheduler.step()
        ends.append((weight.detach().clone(), bias.detach().clone()))
    torch.testing.assert_close(*ends)


@every_option
def test_decay_and_lr_belong_to_groups(options):
    options = {k: v for k, v in options.items() if k not in ("lr", "weight_decay")}
    weight, bias, closure = problem(options=options)
    opt = LionK(
        [{"params": [weight], "weight_decay": 0.0}, {"params": [bias], "lr": 0.0, "reference_lr": 1.0}],
        lr=1e-3,
        **options,
    )
    start = bias.detach().clone()
    run(opt, closure, 3)
    assert torch.equal(bias, start)
    assert [g["weight_decay"] for g in opt.param_groups] == [0.0, 0.0]


@every_option
def test_nothing_moves_without_gradients_or_for_gradients_of_0(options):
    p = torch.nn.Parameter(torch.randn(2, 3))
    opt, start = LionK([p], **{**options, "weight_decay": 0.0}), p.detach().clone()
    opt.step()
    assert torch.equal(p, start)
    assert not opt.state
    p.grad = torch.zeros(2, 3)
    opt.step()
    assert torch.equal(p, start)
    assert set(opt.state[p]) >= {"m"}


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}, {"mars": 0.025}, {"cautious": "mask"}], ids=str)
@pytest.mark.parametrize("shape", [(3,), (2, 2)])
def test_complex_parameters_as_their_parts(options, shape):
    torch.manual_seed(0)
    z = torch.nn.Parameter(torch.randn(shape, dtype=torch.complex128))
    parts = torch.nn.Parameter(torch.view_as_real(z.detach()).clone())
    a, b = LionK([z], 0.1, complex_as_real=True, **options), LionK([parts], 0.1, **options)
    for _ in range(4):
        z.grad = torch.randn(shape, dtype=torch.complex128)
        parts.grad = torch.view_as_real(z.grad).clone()
        a.step()
        b.step()
    torch.testing.assert_close(torch.view_as_real(z.detach()), parts.detach(), rtol=0, atol=0)
    assert a.state[z]["m"].is_complex()


def test_complex_parameters_turn_with_their_gradient():
    """The default: the step of z turned by a phase is the step of z, turned."""
    phase = torch.polar(torch.tensor(1.0), torch.tensor(0.7))
    z, w = (torch.nn.Parameter(c * torch.tensor([1 + 2j, -3j])) for c in (1, phase))
    for p, c in ((z, 1), (w, phase)):
        p.grad = c * torch.tensor([0.5 - 1j, 2.0])
        LionK([p], 0.1).step()
    torch.testing.assert_close(phase * z.detach(), w.detach())


def test_parts_of_complex_numbers_are_no_rows():
    with pytest.raises(NotImplementedError, match="one more axis"):
        LionK([torch.nn.Parameter(torch.zeros(2, 2, dtype=torch.complex64))], K="nuclear", complex_as_real=True)


# -- hooks --------------------------------------------------------------------------------------------------------


def test_hooks_of_steps_in_their_order():
    weight, bias, closure = problem()
    opt, calls = LionK([weight, bias]), []
    handles = [
        opt.register_step_pre_hook(lambda *_: calls.append("before")),
        opt.register_step_post_hook(lambda *_: calls.append("after")),
        register_optimizer_step_pre_hook(lambda *_: calls.append("any before")),
    ]
    opt.step(closure)
    for handle in handles:
        handle.remove()
    opt.step(closure)
    assert calls == ["any before", "before", "after"]


def test_hooks_of_states_see_and_change_what_is_saved_and_loaded():
    weight, bias, closure = problem()
    opt = LionK([weight, bias], state_dtype=torch.float64)
    run(opt, closure, 2)
    calls = []
    opt.register_state_dict_pre_hook(lambda o: calls.append("save"))
    opt.register_state_dict_post_hook(lambda o, s: {**s, "note": "kept"})
    opt.register_load_state_dict_pre_hook(lambda o, s: s["param_groups"][0].update(lr=0.5))
    saved = opt.state_dict()
    assert saved["note"] == "kept" and calls == ["save"]

    def zero(o):
        calls.append("loaded")
        for state in o.state.values():
            state["m"].zero_()

    opt.register_load_state_dict_post_hook(zero)
    opt.load_state_dict(saved)
    assert calls == ["save", "loaded"]
    assert opt.param_groups[0]["lr"] == 0.5
    assert (
        opt.state[weight]["m"].dtype == torch.float64 and not opt.state[weight]["m"].any()
    )  # the hook has the last word


# -- state --------------------------------------------------------------------------------------------------------


@every_option
def test_saved_and_loaded_runs_go_on_alike(options):
    weight, bias, closure = problem(options=options)
    opt = LionK([weight, bias], **options)
    run(opt, closure, 5)
    again, also, close_ = problem(options=options)
    with torch.no_grad():
        again.copy_(weight)
        also.copy_(bias)
    other = LionK([again, also], lr=0.5)
    other.load_state_dict(round_trip(opt.state_dict()))
    run(opt, closure, 5)
    run(other, close_, 5)
    assert torch.equal(weight, again) and torch.equal(bias, also)
    assert opt.state_dict()["param_groups"][0].keys() == other.state_dict()["param_groups"][0].keys()
    for key, value in opt.state[weight].items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(other.state[again][key])), key


@every_option
def test_a_run_can_be_rolled_back_again_and_again(options):
    weight, bias, closure = problem(options=options)
    opt = LionK([weight, bias], **options)
    run(opt, closure, 3)
    start, saved = weight.detach().clone(), opt.state_dict()
    ends = []
    for _ in range(3):
        with torch.no_grad():
            weight.copy_(start)
        weight.grad = None
        opt.load_state_dict(saved)
        torch.manual_seed(5)
        for _ in range(3):
            weight.grad = torch.randn_like(weight)
            bias.grad = None
            opt.step()
        ends.append(weight.detach().clone())
    assert torch.equal(ends[0], ends[1]) and torch.equal(ends[0], ends[2])


def test_two_optimizers_never_own_one_tensor():
    (p, first), (q, second) = ((p, LionK([p], lr=0.1)) for p in (torch.nn.Parameter(torch.zeros(3)) for _ in range(2)))
    p.grad, q.grad = torch.ones(3), -5 * torch.ones(3)
    first.step()
    before, saved = first.state[p]["m"].clone(), first.state_dict()
    second.load_state_dict(saved)
    second.step()
    assert torch.equal(first.state[p]["m"], before)
    assert torch.equal(saved["state"][0]["m"], before)
    first.step()
    assert torch.equal(saved["state"][0]["m"], before)


def test_what_one_parameter_saves_is_its_own_bytes():
    params = [torch.nn.Parameter(torch.zeros(100)) for _ in range(500)]
    opt = LionK(params)
    for p in params:
        p.grad = torch.ones(100)
    opt.step()
    loaded = LionK(params)
    loaded.load_state_dict(opt.state_dict())
    for m in (opt.state[params[7]]["m"], opt.state_dict()["state"][7]["m"], loaded.state[params[7]]["m"]):
        file = io.BytesIO()
        torch.save(m, file)
        assert len(file.getvalue()) < 3000
    # they lie in one block nevertheless, for a step of all as one
    places = [loaded.state[p]["m"].data_ptr() for p in params]
    assert places == list(range(places[0], places[0] + 400 * 500, 400))


def test_options_of_later_versions_are_as_they_were_given():
    weight, bias, closure = problem()
    opt = LionK([weight, bias], lr=1e-3)
    run(opt, closure, 2)
    saved = opt.state_dict()
    for key in ("maximize", "state_dtype", "compile", "complex_as_real"):
        del saved["param_groups"][0][key]
    other = LionK([weight, bias], lr=0.5, maximize=True, state_dtype=torch.float64)
    other.load_state_dict(saved)
    group = other.param_groups[0]
    assert (group["lr"], group["maximize"], group["state_dtype"]) == (1e-3, True, "float64")
    run(other, closure, 1)


FOREIGN = {
    "AdamW": torch.optim.AdamW,
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "plain SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "Muon": lambda p: torch.optim.Muon([a for a in p if a.ndim == 2]),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_states_of_other_optimizers_are_refused_with_the_way_out(name):
    if not hasattr(torch.optim, name.split()[-1]):
        pytest.skip(f"this PyTorch has no torch.optim.{name}")
    weight, bias, closure = problem()
    theirs = FOREIGN[name]([weight, bias])
    closure()
    theirs.step()
    params = theirs.param_groups[0]["params"]
    mine = LionK(params)
    before = mine.state_dict()
    with pytest.raises(ValueError, match=r"none of LionK.*load_momentum\(state_dict\)"):
        mine.load_state_dict(theirs.state_dict())
    assert mine.state_dict() == before
    mine.step()
    if name != "plain SGD":
        mine.load_momentum(theirs.state_dict())
        assert mine.state[weight]["m"].any()


def test_states_that_do_not_fit_are_refused_before_anything_changes():
    weight, bias, closure = problem()
    opt = LionK([weight, bias])
    run(opt, closure, 2)
    good, before = opt.state_dict(), opt.state[weight]["m"].clone()

    def broken(change):
        state = copy.deepcopy(good)
        change(state)
        return state

    wrong = {
        "another model": lambda s: s["state"][0].update(m=torch.zeros(5, 10)),
        "lacks reference_lr": lambda s: s["param_groups"][0].pop("reference_lr"),
        "none of LionK": lambda s: s["state"].update({0: {"exp_avg": torch.zeros(10, 5)}}),
        "finite and >= 0": lambda s: s["param_groups"][0].update(lr=-1.0),
        "must be one of": lambda s: s["param_groups"][0].update(rounding="up"),
        "different number of parameter groups": lambda s: s["param_groups"].append(s["param_groups"][0]),
        "'state' and 'param_groups'": lambda s: s.pop("state"),
    }
    for message, change in wrong.items():
        with pytest.raises(ValueError, match=message):
            opt.load_state_dict(broken(change))
        assert torch.equal(opt.state[weight]["m"], before)
    with pytest.raises(KeyError, match="nucler"):
        opt.load_state_dict(broken(lambda s: s["param_groups"][0].update(K={"name": "nucler"})))
    older = broken(wrong["lacks reference_lr"])
    fresh = LionK([weight, bias])
    fresh.load_momentum(older)  # the way out
    assert torch.equal(fresh.state[weight]["m"], before)


@pytest.mark.parametrize("way", ["deepcopy", "load"])
def test_groups_keep_their_keys_and_copies_their_attributes(way):
    weight, bias, closure = problem()
    opt = LionK([weight, bias])
    run(opt, closure, 1)
    keys, defaults = opt.param_groups[0].keys(), dict(opt.defaults)
    if way == "load":
        opt.load_state_dict(opt.state_dict())
        twin = opt
    else:
        twin = copy.deepcopy(opt)
    assert twin.param_groups[0].keys() == keys and twin.defaults == defaults
    assert {k for k in vars(twin) if not k.startswith("_")} == {k for k in vars(opt) if not k.startswith("_")}


def test_names_of_parameters_are_kept():
    model = torch.nn.Linear(3, 2)
    opt = LionK(model.named_parameters())
    assert opt.param_groups[0]["param_names"] == ["weight", "bias"]
    model(torch.ones(3)).sum().backward()
    opt.step()
    other = LionK(model.named_parameters())
    other.load_state_dict(opt.state_dict())
    assert other.param_groups[0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match="without names"):
        opt.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})


def test_memory_is_freed_without_the_cycle_collector():
    K = {"name": "weighted_l1", "weights": torch.ones(3)}
    for options in ({}, {"K": K}, {"mars": 0.025}):
        params = [torch.nn.Parameter(torch.ones(3)) for _ in range(3)]
        opt = LionK(params, **options)
        gc.collect()
        gc.disable()
        try:
            for p in params:
                p.grad = torch.ones(3)
            opt.step()
            opt.load_state_dict(opt.state_dict())
            opt.step()
            seen = [weakref.ref(a) for a in (opt, *params, *(s["m"] for s in opt.state.values()))]
            del opt, params, p
            assert not [r() for r in seen if r() is not None]
        finally:
            gc.enable()


@pytest.mark.parametrize(
    "options",
    [{}, {"mars": 0.025}, {"rounding": "stochastic"}, {"rounding": "kahan"}, {"convention": "coupled"}],
    ids=str,
)
@pytest.mark.parametrize("tensor", [False, True])
def test_the_step_that_sets_up_a_state_changes_nothing(options, tensor):
    """torch.distributed.checkpoint steps once, with lr 0 and gradients of 0, to have tensors to load into."""
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

    def made():
        torch.manual_seed(0)
        model = torch.nn.Linear(40, 30, dtype=torch.bfloat16)
        lr = torch.tensor(1e-3) if tensor else 1e-3
        return model, LionK(model.parameters(), lr=lr, weight_decay=0.1, **options)

    def go(model, opt, seed):
        torch.manual_seed(seed)
        for _ in range(4):
            for p in model.parameters():
                p.grad = torch.randn_like(p)
            opt.step()

    (model, opt), (same, saved) = made(), made()
    state = get_optimizer_state_dict(same, saved)
    assert set(state["state"]) == {"weight", "bias"}
    go(model, opt, 1)
    go(same, saved, 1)
    assert torch.equal(model.weight, same.weight)
    for key, value in opt.state[model.weight].items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(saved.state[same.weight][key])), key
    state = copy.deepcopy(get_optimizer_state_dict(model, opt))
    third, later = made()
    third.load_state_dict(model.state_dict())
    set_optimizer_state_dict(third, later, state)
    go(model, opt, 2)
    go(third, later, 2)
    assert torch.equal(model.weight, third.weight)


def test_a_first_step_with_lr_0_and_a_gradient_is_a_step():
    """Of a schedule that begins at 0: x stays, the momentum does not."""
    p = torch.nn.Parameter(torch.ones(3))
    opt = LionK([p], lr=0.0)
    p.grad = torch.ones(3)
    opt.step()
    assert torch.equal(p, torch.ones(3))
    assert opt.state[p]["m"].all()


# -- beside the optimizer -----------------------------------------------------------------------------------------


def test_averaged_weights():
    weight, bias, closure = problem()
    model = torch.nn.ParameterList([weight, bias])
    averaged = swa_utils.AveragedModel(model)
    opt = LionK(model.parameters(), lr=1e-2)
    scheduler = swa_utils.SWALR(opt, swa_lr=1e-3, anneal_epochs=2)
    seen = []
    for _ in range(4):
        opt.step(closure)
        averaged.update_parameters(model)
        scheduler.step()
        seen.append(weight.detach().clone())
    torch.testing.assert_close(averaged.module[0].detach(), torch.stack(seen).mean(0))
    assert opt.param_groups[0]["lr"] == pytest.approx(1e-3)


def test_schedulers_go_on_from_a_checkpoint():
    rates = []
    for broken in (False, True):
        weight, bias, closure = problem()
        opt = LionK([weight, bias], lr=1e-2, betas=(0.9, 0.99))
        scheduler = lr_scheduler.OneCycleLR(opt, 1e-2, total_steps=10, cycle_momentum=True)
        seen = []
        for step in range(9):
            if broken and step == 4:
                states = round_trip((opt.state_dict(), scheduler.state_dict()))
                opt = LionK([weight, bias], lr=1e-2)
                scheduler = lr_scheduler.OneCycleLR(opt, 1e-2, total_steps=10, cycle_momentum=True)
                opt.load_state_dict(states[0])
                scheduler.load_state_dict(states[1])
            opt.step(closure)
            scheduler.step()
            seen.append((opt.param_groups[0]["lr"], tuple(opt.param_groups[0]["betas"]), weight.detach().clone()))
        rates.append(seen)
    for a, b in zip(*rates, strict=True):
        assert a[:2] == b[:2] and torch.equal(a[2], b[2])


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for options in OPTIONS.values():
            weight, bias, closure = problem(options=options)
            opt = LionK([weight, bias], **copy.deepcopy(options))
            opt.step(closure)
            opt.load_state_dict(copy.deepcopy(opt.state_dict()))
            opt.step(closure)
