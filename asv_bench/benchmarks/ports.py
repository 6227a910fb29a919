"""Seconds of a step of the PyTorch optimizer, and of the runner under it: what the wrapper adds."""

from __future__ import annotations

from importlib.util import find_spec

MODELS = {"one of 1,000,000": (1, 1_000_000), "200 of 10,000": (200, 10_000), "2,000 of 100": (2000, 100)}


class TorchOptimizer:
    """Lion on float32 parameters of equal size."""

    params = (list(MODELS),)
    param_names = ("model",)
    version = "1"

    def setup(self, model: str) -> None:
        if find_spec("torch") is None:
            raise NotImplementedError("torch is not installed")
        import torch

        import lionk
        import lionk_torch

        count, size = MODELS[model]
        parameters = [torch.nn.Parameter(torch.randn(size)) for _ in range(count)]
        self.grads = [torch.randn(size) for _ in range(count)]
        for p, g in zip(parameters, self.grads, strict=True):
            p.grad = g
        self.opt = lionk_torch.LionK(parameters, 1e-4, weight_decay=0.1)
        self.opt.step()
        self.x = [torch.randn(size) for _ in range(count)]
        self.m = [torch.zeros(size) for _ in range(count)]
        self.run = lionk.backends()["torch"].runner(lionk.LionK("l1", 1e-4, weight_decay=0.1))
        self.time_runner(model)

    def time_step(self, model: str) -> None:
        self.opt.step()

    def time_runner(self, model: str) -> None:
        self.x, self.m = self.run(list(self.x), list(self.m), self.grads)
