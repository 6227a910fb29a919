"""FSDP2 and torch.distributed.checkpoint with LionK. Run it with one process, or with

torchrun --standalone --nproc-per-node=2 fsdp2.py
"""

import os
import tempfile

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as checkpoint
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import lionk_torch

if "RANK" in os.environ:
    dist.init_process_group("gloo")
else:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
mesh = init_device_mesh("cpu", (dist.get_world_size(),))


def made():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 4))
    fully_shard(model, mesh=mesh)  # before groups and the optimizer
    return model, lionk_torch.LionK(lionk_torch.groups(model, report=None), lr=1e-2, weight_decay=0.1, mars=0.025)


def train(model, optimizer, steps):
    for step in steps:
        torch.manual_seed(step)
        x = torch.randn(32, 8)
        (model(x) - x[:, :4]).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


unbroken = made()
train(*unbroken, range(20))

folder = [tempfile.mkdtemp() if dist.get_rank() == 0 else None]
dist.broadcast_object_list(folder)
first = made()
train(*first, range(10))
model_state, optimizer_state = get_state_dict(*first)
checkpoint.save({"model": model_state, "optimizer": optimizer_state}, checkpoint_id=folder[0])

second = made()
model_state, optimizer_state = get_state_dict(*second)
state = {"model": model_state, "optimizer": optimizer_state}
checkpoint.load(state, checkpoint_id=folder[0])
set_state_dict(*second, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
train(*second, range(10, 20))
for p, q in zip(unbroken[0].parameters(), second[0].parameters(), strict=True):
    assert torch.equal(p.full_tensor(), q.full_tensor())
if dist.get_rank() == 0:
    print("the resumed run equals the unbroken one")
dist.destroy_process_group()
