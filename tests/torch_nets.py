"""Parameters, gradients and a small network, and states through a file: for the tests of lionk_torch.LionK."""

from __future__ import annotations

import io

import numpy as np
import torch


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


def round_trip(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
