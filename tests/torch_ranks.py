"""One of two processes of tests/test_torch_sharded.py: ``python torch_ranks.py RANK FOLDER``. Claims are asserts."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor, init_device_mesh

import lionk
from lionk_torch import LionK, groups
from lionk_torch.sharded import whole

RULES = [(2, {"K": "nuclear"}), (4, {"name": "kernel_lift", "k": "row_l1_l2"})]


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def net():
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(1, 3, 2), torch.nn.Flatten(), torch.nn.Linear(27, 5), torch.nn.Linear(5, 2)
    return torch.nn.Sequential(*layers).double()


def loss(model, step):
    return (model(random(4, 1, 4, 4, seed=step)) ** 2).sum()


def train(model, opt, first, last):
    for step in range(first, last):
        opt.zero_grad()
        loss(model, step).backward()
        opt.step()


def pieces(mesh):
    """Layouts against the unsharded step: even and uneven, either axis, replicated, plain, and a partial gradient."""
    layouts = {"rows": [Shard(0)], "columns": [Shard(1)], "replicated": [Replicate()], "plain": None}
    for K in (
        "l1",
        {"name": "huber", "delta": 0.5},
        "l2",
        "nuclear",
        lionk.K("weighted_l1", weights=random(3, seed=9).abs()),
    ):
        one = torch.nn.Parameter(random(5, 3, seed=0))
        many = {}
        for name, layout in layouts.items():
            x = one.detach().clone()
            many[name] = torch.nn.Parameter(x if layout is None else distribute_tensor(x, mesh, layout))
        opt, reference = (
            LionK(list(many.values()), 0.1, weight_decay=0.5, K=K),
            LionK([one], 0.1, weight_decay=0.5, K=K),
        )
        for step in range(4):
            g = random(5, 3, seed=step + 1)
            one.grad = g.clone()
            for name, p in many.items():
                layout = layouts[name]
                p.grad = g.clone() if layout is None else distribute_tensor(g, mesh, layout)
            many["rows"].grad = distribute_tensor(g, mesh, [Replicate()])  # another layout than the parameter
            opt.step()
            reference.step()
        for name, p in many.items():
            assert type(p.data) is (torch.Tensor if name == "plain" else DTensor)
            assert torch.equal(whole(p.detach()), one.detach()), (K, name)
            assert torch.equal(whole(opt.state[p]["m"]), reference.state[one]["m"]), (K, name)
        assert opt.certificate()[0].phase == reference.certificate()[0].phase


def refusals(mesh):
    for options in ({"rounding": "kahan"}, {"cautious": "rescale"}, {"mars": 0.1}):
        p = torch.nn.Parameter(distribute_tensor(random(4, seed=0), mesh, [Shard(0)]))
        p.grad = p.detach().clone()
        try:
            LionK([p], **options).step()
        except lionk.NotAvailable as error:
            assert next(iter(options)) in str(error)  # noqa: PT017
        else:
            raise AssertionError(options)


def fully_sharded(mesh, folder):
    """FSDP2 against one process, then a checkpoint: the rest of the run is made elsewhere, from the files."""
    plain, model = net(), net()
    for layer in model:
        if list(layer.parameters()):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    for rules in ([], RULES):
        a = LionK(groups(plain, rules, report=None), 1e-2, weight_decay=0.1)
        b = LionK(groups(model, rules, report=None), 1e-2, weight_decay=0.1)
        train(plain, a, 0, 3)
        train(model, b, 0, 3)
        for p, q in zip(plain.parameters(), model.parameters(), strict=True):
            assert isinstance(q, DTensor)
            if rules:
                torch.testing.assert_close(whole(q.detach()), p.detach(), rtol=1e-12, atol=1e-13)
            else:
                assert torch.equal(whole(q.detach()), p.detach())
    state = {"model": model.state_dict(), "optimizer": get_optimizer_state_dict(model, b)}
    checkpoint.save(state, checkpoint_id=folder / "checkpoint")
    train(plain, a, 3, 6)
    if dist.get_rank() == 0:
        torch.save([p.detach() for p in plain.parameters()], folder / "expected.pt")


def main(rank, folder):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    torch.set_num_threads(1)
    mesh = init_device_mesh("cpu", (2,))
    pieces(mesh)
    refusals(mesh)
    fully_sharded(mesh, folder)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
