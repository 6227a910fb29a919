"""Accelerate with LionK: `prepare`, accumulated gradients, clipping, and a state that is saved and loaded.

Needs accelerate. Run it with `python`, or on several processes with `accelerate launch`.
"""

import tempfile

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

import lionk_torch

accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)


def made():
    set_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    optimizer = lionk_torch.LionK(lionk_torch.groups(model, report=None), lr=1e-2, weight_decay=0.1)
    return accelerator.prepare(model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 4, 0.5))


def train(model, optimizer, schedule, steps):
    for step in steps:
        torch.manual_seed(step)
        x = torch.randn(32, 8)
        with accelerator.accumulate(model):
            accelerator.backward((model(x) - x.sum(1, keepdim=True)).square().mean())
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


unbroken = made()
train(*unbroken, range(20))
with tempfile.TemporaryDirectory() as folder:
    accelerator.free_memory()
    first = made()
    train(*first, range(10))
    accelerator.save_state(folder)
    accelerator.free_memory()
    second = made()
    accelerator.load_state(folder)
    train(*second, range(10, 20))
for p, q in zip(unbroken[0].parameters(), second[0].parameters(), strict=True):
    assert torch.equal(p, q)
print("the resumed run equals the unbroken one")
