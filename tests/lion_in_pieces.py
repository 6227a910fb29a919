"""A right Lion for PyTorch, in pieces of which tests make wrong ones."""

from __future__ import annotations

import torch


class Lion(torch.optim.Optimizer):
    """``walk`` goes through parameters, ``one`` steps one, and ``move`` changes its x."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False, foreach=None):
        kept = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize, "foreach": foreach}
        super().__init__(params, kept)
        self.steps = 0

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.steps += 1
        for group in self.param_groups:
            self.walk(group, [p for p in group["params"] if p.grad is not None])
        return loss

    def walk(self, group, params):
        for p in params:
            state = self.state[p]
            if not state:
                state["m"] = torch.zeros_like(p)
            self.one(p, -p.grad if group["maximize"] else p.grad, state, group)

    def one(self, p, g, state, group):
        (b1, b2), lr = group["betas"], group["lr"]
        self.move(p, torch.sign(b1 * state["m"] + (1 - b1) * g), lr, group["weight_decay"])
        state["m"] = b2 * state["m"] + (1 - b2) * g

    def move(self, p, u, lr, wd):
        p.mul_(1 - lr * wd).add_(u, alpha=-lr)
