"""Counts of the steps of PyTorch: operations, bytes moved, kernels compiled, and what is sent to other processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from .steps import LARGE, MODELS, WHEN, Count, Stepped, ready, runners, worked


def torch() -> Iterator[Count]:
    """Steps of the runners and of the optimizer; operations of PyTorch; what is compiled; what is sent."""
    yield from runners("torch", "tiles", "numba", "compiled", models=("one of 100", "50 of 100"))
    for model, sizes in MODELS.items():
        yield from worked("torch optimizer", model, partial(optimizer, sizes))
        tiles = partial(Stepped, "torch", "tiles", sizes)
        for unit in ("operations", "bytes per entry"):
            case = f"torch:tiles, {model}"
            yield Count("moved by torch", case, unit, partial(_moved, tiles, unit, sum(sizes)), "torch")
    options: dict[str, dict[str, Any]] = {
        "MARS": {"mars": 0.025},
        "bfloat16": {"dtype": "bfloat16"},
        "bfloat16, Kahan": {"dtype": "bfloat16", "rounding": "kahan"},
        "bfloat16, stochastic": {"dtype": "bfloat16", "rounding": "stochastic"},
        "cautious": {"cautious": "mask"},
        "top_k": {"K": {"name": "top_k", "k": 100}},
        "l2": {"K": "l2"},
    }
    for case, given in options.items():
        yield from worked("torch optimizer", case, partial(optimizer, [100] * 5, **given))
        if "MARS" in case or "16" in case:  # the others are stepped by NumPy
            for unit in ("operations", "bytes per entry"):
                step = partial(optimizer, [LARGE], **given)
                yield Count("moved by torch", case, unit, partial(_moved, step, unit, LARGE), "torch")
    for case, make in {
        "load_state_dict": _loaded,
        "state_dict": _saved,
        "certificate": _certified,
        "watch": _watched,
    }.items():
        yield from worked("torch optimizer", case, make)
    for case, shape in {"nuclear, 5 of 6 x 4": (6, 4), "nuclear, 5 stacks of 3": (3, 6, 4)}.items():
        yield from worked("torch optimizer", case, partial(optimizer, [shape] * 5, K="nuclear"))
        step = partial(optimizer, [shape] * 5, K="nuclear")
        yield Count("moved by torch", case, "operations", partial(_moved, step, "operations", 1), "torch")
    yield from worked("torch optimizer", "10 groups of 5 of 100", partial(optimizer, [100] * 50, groups=10))
    for when in WHEN:
        yield Count("compiled by torch", when, "kernels", partial(_kernels, when), "torch")
    for case in ("l1", "l2"):
        yield Count("sent by a sharded step", case, "collectives", partial(_collectives, case), "torch")


def optimizer(sizes: list[Any], dtype: str = "float32", groups: int = 1, **options: Any) -> Callable[[], Any]:
    """The step of one for parameters of these sizes, or shapes, in so many groups."""
    import torch

    import lionk_torch

    generator = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(n, generator=generator).to(getattr(torch, dtype))) for n in sizes]
    for p in parameters:
        p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)
    some = [{"params": parameters[k::groups]} for k in range(groups)]
    step: Callable[[], Any] = lionk_torch.LionK(some, 1e-3, weight_decay=0.1, **options).step
    return step


def _stepped() -> Any:
    step = optimizer([100] * 5)
    step()
    return step.__self__  # type: ignore[attr-defined]


def _loaded() -> Callable[[], Any]:
    opt = _stepped()
    return partial(opt.load_state_dict, opt.state_dict())


def _saved() -> Callable[[], Any]:
    return _stepped().state_dict


def _certified() -> Callable[[], Any]:
    return _stepped().certificate


def _watched() -> Callable[[], Any]:
    import lionk_torch

    return lionk_torch.watch(_stepped()).read


def _moved(make: Callable[[], Callable[[], Any]], unit: str, size: int) -> float:
    """Operations that PyTorch carries out, or the bytes of their arguments and results; views move nothing."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    moved = [0, 0]

    class Counted(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            if not func.is_view and "detach" not in str(func):
                moved[0] += 1
                # a result that is written where the caller said is among the arguments
                given = {id(t): t for t in tree_leaves((args, kwargs, out)) if isinstance(t, torch.Tensor)}
                moved[1] += sum(t.numel() * t.element_size() for t in given.values())
            return out

    step = make()
    for _ in range(2):
        step()
    with Counted():
        step()
    return moved[0] if unit == "operations" else round(moved[1] / size, 1)


def _kernels(when: str) -> float:
    """The loops that torch.compile makes of these steps of l1."""
    from torch._inductor import metrics

    run = ready(partial(Stepped, "torch", "compiled", [1 << 16]), when)
    before = metrics.generated_kernel_count
    run()
    return metrics.generated_kernel_count - before


def _collectives(K: str) -> float:
    """What a step on sharded parameters sends, as one of four processes of which the others only seem to be there."""
    import torch
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor
    from torch.distributed.tensor.debug import CommDebugMode
    from torch.testing._internal.distributed.fake_pg import FakeStore

    import lionk_torch

    if not distributed.is_initialized():
        distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=4)
    mesh = init_device_mesh("cpu", (4,))
    some = [distribute_tensor(torch.ones(8, 4), mesh, [Shard(0)]) for _ in range(3)]
    parameters = [torch.nn.Parameter(p) for p in some]
    for p in parameters:
        p.grad = distribute_tensor(torch.ones(8, 4), mesh, [Shard(0)])
    opt = lionk_torch.LionK(parameters, 1e-3, K=K)
    opt.step()
    with CommDebugMode() as sent:
        opt.step()
    return float(sent.get_total_counts())
