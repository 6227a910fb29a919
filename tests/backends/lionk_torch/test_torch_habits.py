"""What people do around an optimizer of PyTorch, done around LionK. docs/training.md has a row for each."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
import torch.distributed as dist
from torch.nn.utils import parametrizations
from torch.optim import lr_scheduler

import lionk_torch
from lionk_torch import LionK

X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))


def backward(model):
    model.zero_grad()
    model(X).square().sum().backward()


def train(model, opt, steps=3):
    for _ in range(steps):
        backward(model)
        opt.step()


def trained(steps=3, **options):
    model = net()
    train(model, LionK(model.parameters(), lr=0.1, weight_decay=0.1, **options), steps)
    return list(model.parameters())


def same(a, b):
    a, b = list(a), list(b)
    assert len(a) == len(b)
    for p, q in zip(a, b, strict=True):
        assert torch.equal(p, q)


SCHEDULES = {
    "StepLR": {"step_size": 2},
    "MultiStepLR": {"milestones": [1, 3]},
    "LambdaLR": {"lr_lambda": lambda i: 0.9**i},
    "MultiplicativeLR": {"lr_lambda": lambda i: 0.9},
    "ExponentialLR": {"gamma": 0.9},
    "CosineAnnealingLR": {"T_max": 4},
    "CosineAnnealingWarmRestarts": {"T_0": 2},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 2, "cycle_momentum": False},
    "OneCycleLR": {"max_lr": 0.2, "total_steps": 8, "cycle_momentum": False},
    "PolynomialLR": {"total_iters": 4},
    "SequentialLR": None,
    "ChainedScheduler": None,
}


def schedule(kind, opt):
    def parts():
        return [lr_scheduler.ConstantLR(opt), lr_scheduler.ExponentialLR(opt, 0.9)]

    if kind == "SequentialLR":
        return lr_scheduler.SequentialLR(opt, parts(), milestones=[2])
    if kind == "ChainedScheduler":
        return lr_scheduler.ChainedScheduler(parts(), optimizer=opt)
    return getattr(lr_scheduler, kind)(opt, **(SCHEDULES.get(kind) or {}))


SHIPPED = sorted(
    name
    for name, kind in vars(lr_scheduler).items()
    if isinstance(kind, type)
    and issubclass(kind, lr_scheduler.LRScheduler)
    and name not in {"LRScheduler", "_LRScheduler"}
)


@pytest.mark.filterwarnings("ignore:The epoch parameter")  # SequentialLR of PyTorch 2.6 uses it
@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
@pytest.mark.parametrize("kind", SHIPPED)
def test_every_scheduler_that_pytorch_ships_sets_the_rates_that_it_sets_elsewhere(kind, tensor):
    seen = []
    for make in (LionK, torch.optim.SGD):
        model = net()
        opt = make(model.parameters(), lr=torch.tensor(0.1) if tensor else 0.1)
        scheduler, rates = schedule(kind, opt), []
        for step in range(6):
            rates.append(float(opt.param_groups[0]["lr"]))
            train(model, opt, 1)
            scheduler.step(*([1.0 + step % 2] if kind == "ReduceLROnPlateau" else []))
        seen.append(rates)
    assert seen[0] == seen[1]
    moved = model_after(seen[0])  # the rates are those of the steps, too
    model = net()
    opt = LionK(model.parameters(), lr=torch.tensor(0.1) if tensor else 0.1)
    scheduler = schedule(kind, opt)
    for step in range(6):
        train(model, opt, 1)
        scheduler.step(*([1.0 + step % 2] if kind == "ReduceLROnPlateau" else []))
    for p, q in zip(model.parameters(), moved.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


def model_after(rates):
    """Lion written out, at these rates."""
    model, m = net(), None
    for lr in rates:
        backward(model)
        with torch.no_grad():
            m = [torch.zeros_like(p) for p in model.parameters()] if m is None else m
            for p, average in zip(model.parameters(), m, strict=True):
                p.sub_(lr * (0.9 * average + 0.1 * p.grad).sign())
                average.mul_(0.99).add_(0.01 * p.grad)
    return model


@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1)], ids=["float", "tensor"])
def test_a_compiler_around_the_step_finds_nothing_to_compile(lr):
    """The step of ``torch.compile(opt.step)`` is the step: no graph holds a part of it, whatever lr a schedule sets."""
    torch.compiler.reset()
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    ends = []
    for compiled in (False, True):
        model = net()
        opt = LionK(model.parameters(), lr=copy.deepcopy(lr), weight_decay=0.1)
        scheduler = lr_scheduler.ExponentialLR(opt, 0.9)
        step = torch.compile(opt.step, backend=backend) if compiled else opt.step
        for _ in range(4):
            backward(model)
            step()
            scheduler.step()
        ends.append(model.parameters())
    same(*ends)
    assert not graphs


def test_parameters_that_are_not_there_yet():
    lazy = torch.nn.Sequential(torch.nn.LazyLinear(3), torch.nn.Tanh(), torch.nn.LazyLinear(2))
    opt = LionK(lazy.parameters(), lr=0.1, weight_decay=0.1)
    lazy(X)
    lazy.load_state_dict(net().state_dict())
    train(lazy, opt)
    same(lazy.parameters(), trained())


def test_an_optimizer_for_each_parameter_in_the_backward_pass():
    model = net()
    opts = {p: LionK([p], lr=0.1, weight_decay=0.1) for p in model.parameters()}

    def step(p):
        opts[p].step()
        opts[p].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(step)
    for _ in range(3):
        model(X).square().sum().backward()
    assert all(p.grad is None for p in model.parameters())
    same(model.parameters(), trained())


def test_gradients_of_functional_calls():
    model = net()
    opt = LionK(model.parameters(), lr=0.1, weight_decay=0.1)

    def loss(values):
        return torch.func.functional_call(model, values, X).square().sum()

    for _ in range(3):
        values = {name: p.detach() for name, p in model.named_parameters()}
        for name, g in torch.func.grad(loss)(values).items():
            model.get_parameter(name).grad = g
        opt.step()
    for p, q in zip(model.parameters(), trained(), strict=True):
        torch.testing.assert_close(p, q)


def test_an_ensemble_in_one_stack_is_stepped_model_by_model():
    """Parameters of several models, stacked for torch.vmap: a function of matrices takes each of them apart."""
    models = [net() for _ in range(3)]
    with torch.no_grad():
        for i, model in enumerate(models):
            model[0].weight += i
    stacked, _ = torch.func.stack_module_state(models)
    stacked = {name: p.detach().requires_grad_() for name, p in stacked.items()}
    base = copy.deepcopy(models[0]).to("meta")
    weights = [name for name, p in stacked.items() if p.ndim == 3]
    opt = LionK([stacked[name] for name in weights], lr=0.1, weight_decay=0.1, K="nuclear")
    apart = [LionK([m.get_parameter(name) for name in weights], lr=0.1, weight_decay=0.1, K="nuclear") for m in models]
    for _ in range(3):
        opt.zero_grad()
        torch.vmap(lambda p: torch.func.functional_call(base, p, (X,)).square().sum())(stacked).sum().backward()
        opt.step()
        for model, one in zip(models, apart, strict=True):
            train(model, one, 1)
    for name in weights:
        each = torch.stack([m.get_parameter(name).detach() for m in models])
        torch.testing.assert_close(stacked[name].detach(), each, rtol=1e-4, atol=1e-5)


def test_parametrized_weights_and_their_gains():
    """What is stepped is what a parametrization keeps; a gain of weight normalisation is a vector in two axes."""
    model = torch.nn.Sequential(
        parametrizations.weight_norm(torch.nn.Linear(4, 3)),
        parametrizations.orthogonal(torch.nn.Linear(3, 3)),
        parametrizations.spectral_norm(torch.nn.Linear(3, 2)),
    )
    lines = []
    opt = LionK(lionk_torch.groups(model, report=lines.append), lr=0.01, weight_decay=0.1)
    chosen = {line.split(" (")[0]: line.split("): ")[1].split(",")[0] for line in lines}
    assert chosen["0.parametrizations.weight.original0"] == "l1"
    assert {name for name, K in chosen.items() if K == "nuclear"} == {
        "0.parametrizations.weight.original1",
        "1.parametrizations.weight.original",
        "2.parametrizations.weight.original",
    }

    def loss():
        return model(X).square().sum().item()

    first = loss()
    train(model, opt, 10)
    assert loss() < first
    torch.testing.assert_close(model[1].weight @ model[1].weight.T, torch.eye(3), atol=1e-5, rtol=0)


def test_the_profiler_names_the_step():
    model = net()
    opt = LionK(model.parameters(), lr=0.1)
    with torch.autograd.profiler.profile() as profile:
        train(model, opt, 2)
    counts = {event.key: event.count for event in profile.key_averages()}
    assert counts["Optimizer.step#LionK.step"] == 2


def test_a_hook_may_replace_the_closure():
    opt = LionK(net().parameters(), lr=0.1)
    handle = opt.register_step_pre_hook(lambda opt, args, kwargs: ((args[0], lambda: 3.0), {}))
    assert opt.step() == 3.0
    handle.remove()
    assert opt.step() is None


@pytest.mark.parametrize("habit", ["moved", "cleared", "replaced"])
def test_the_state_may_be_written_by_hand(habit):
    """Trainers move the tensors of a state, or drop it to begin anew."""
    model, reference = net(), net()
    opt = LionK(model.parameters(), lr=0.1, weight_decay=0.1)
    train(model, opt)
    reference.load_state_dict(model.state_dict())
    if habit == "moved":
        for state in opt.state.values():
            for key, value in state.items():
                if torch.is_tensor(value):
                    state[key] = value.to("cpu", copy=True)
        again = LionK(reference.parameters(), lr=0.1, weight_decay=0.1)
        again.load_state_dict(opt.state_dict())
    else:
        if habit == "cleared":
            opt.state.clear()
        else:
            opt.state = type(opt.state)(dict)
        again = LionK(reference.parameters(), lr=0.1, weight_decay=0.1)
    train(model, opt)
    train(reference, again)
    same(model.parameters(), reference.parameters())


def test_the_optimizer_is_one_of_a_process_group():
    """ZeroRedundancyOptimizer makes it of a class and options, and keeps a part of the state in each process."""
    from torch.distributed.optim import ZeroRedundancyOptimizer

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        model = net()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, of its way to log
            opt = ZeroRedundancyOptimizer(model.parameters(), LionK, lr=0.1, weight_decay=0.1)
        train(model, opt)
        opt.consolidate_state_dict()
        assert len(opt.state_dict()["state"]) == 4
        same(model.parameters(), trained())
    finally:
        dist.destroy_process_group()
