"""Lion-K on several processes: FSDP2, or Distributed Lion.

    torchrun --standalone --nproc-per-node=2 train.py                       # parameters in pieces, gradients averaged
    torchrun --standalone --nproc-per-node=2 train.py --exchange majority   # parameters everywhere, votes exchanged

On several machines: the same with ``--nnodes``, ``--rdzv-backend=c10d`` and ``--rdzv-endpoint=HOST:PORT``.
"""

from __future__ import annotations

import argparse
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard

import lionk_torch


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--exchange", choices=["none", "majority", "average"], default="none")
    options = parser.parse_args()
    exchange = None if options.exchange == "none" else options.exchange

    # A rank that is killed is noticed at once; one that hangs, after this time.
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=60))
    device = "cpu"
    if backend == "nccl":
        device = f"cuda:{dist.get_node_local_rank()}"
        torch.cuda.set_device(device)
    torch.set_num_threads(1)

    torch.manual_seed(0)  # the same parameters at every rank
    layers = torch.nn.Linear(16, 64), torch.nn.Tanh(), torch.nn.Linear(64, 4)
    model = torch.nn.Sequential(*layers).to(device)
    teacher = torch.randn(16, 4, device=device)
    rules = [(2, "l1" if exchange == "majority" else "nuclear")]  # for matrices; the rest takes l1
    if exchange is None:
        fully_shard(model)  # before the optimizer
    groups = lionk_torch.groups(model, rules, report=print if dist.get_rank() == 0 else None)
    opt = lionk_torch.LionK(groups, lr=1e-2, weight_decay=0.1, exchange=exchange)

    torch.manual_seed(dist.get_rank() + 1)  # other data at every rank
    losses = []
    for _ in range(options.steps):
        inputs = torch.randn(256, 16, device=device)
        loss = (model(inputs) - inputs @ teacher).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        dist.all_reduce(mean := loss.detach() / dist.get_world_size())
        losses.append(float(mean))
    if dist.get_rank() == 0:
        print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
