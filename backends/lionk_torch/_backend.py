"""The PyTorch backend. PyTorch is imported at first use: importing this package is free and works without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import array_api_compat

from lionk.arrays.containers import leaves, tree_map
from lionk.backend.protocol import (
    Backend,
    Runner,
    check_differentiable,
    missing,
    resolve_dtype,
    scalar_problem,
    seed_of,
)
from lionk.optimizer.lion_k import LionK


@final
class TorchBackend(Backend):
    """``torch.Tensor`` on any device."""

    name = "torch"
    steps_beside = True

    def why_unavailable(self) -> str:
        return missing("torch", "torch")

    def devices(self) -> list[Any]:
        import torch

        found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        return [*found, "mps"] if torch.backends.mps.is_available() else found

    def describe(self, device: Any) -> str:
        import torch

        if not str(device).startswith("cuda"):
            return str(device)
        return f"{device} ({torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda})"

    def owns(self, x: Any) -> bool:
        return array_api_compat.is_torch_array(x)

    def namespace(self) -> Any:
        import array_api_compat.torch as xp

        return xp

    def asarray(self, a: Any, *, dtype: Any = None, device: Any = None) -> Any:
        import torch

        dtype = resolve_dtype(torch, dtype)
        if isinstance(a, torch.Tensor):
            return a.detach().to(dtype=dtype, device=device, copy=True)
        if hasattr(a, "__array__"):  # NumPy: by its bits, so in any layout, byte order and dtype that PyTorch has
            from lionk_numpy import backend as host

            a = host.asarray(a)
            return self.from_bits(host.to_bits(a), a.dtype.name, a.shape).to(dtype=dtype, device=device)
        return torch.tensor(a, dtype=dtype, device=device)

    def to_host(self, x: Any) -> Any:
        import torch

        values = x.detach().to(device="cpu", dtype=torch.float32 if x.dtype == torch.bfloat16 else None, copy=True)
        return values.resolve_conj().resolve_neg().numpy()

    def to_bits(self, x: Any) -> Any:
        import torch

        plain = x.detach().resolve_conj().resolve_neg().cpu()
        return plain.contiguous().reshape(-1).view(torch.uint8).numpy()

    def from_bits(self, bits: Any, dtype: str, shape: tuple[int, ...], *, device: Any = None) -> Any:
        import torch

        kind = resolve_dtype(torch, dtype)
        if 0 in shape:  # nothing to view as another dtype
            return torch.empty(shape, dtype=kind, device=device)
        return torch.tensor(bits, dtype=torch.uint8, device=device).view(kind).reshape(shape)

    def synchronize(self, x: Any) -> Any:
        """Outside of every autograd graph: a run must not keep the graphs of its own past."""
        import torch

        if any(a.is_cuda for a in leaves(x)):
            torch.cuda.synchronize()
        return tree_map(lambda a: a.detach(), x)

    @property
    def value_and_grad(self) -> Callable[[Callable[..., Any]], Callable[..., tuple[Any, Any]]]:
        return value_and_grad

    def adapt(self, obj: Any, request: Any = None) -> Any:
        from ._port import adapt

        return adapt(obj, request)

    def runners(self) -> dict[str, Callable[[LionK], Runner]]:
        """ "numba", where it is installed: its loops on a CPU. "tiles": eager. "compiled": torch.compile, which takes
        seconds at the first step.
        """
        from .runner.run import compiled, numba, tiles

        loops = {} if missing("numba", "numba") else {"numba": numba}
        return {**loops, "tiles": tiles, "compiled": compiled, **super().runners()}

    def random(self, seed: int, count: int, *, device: Any = None) -> Any:
        """A ``torch.Generator``, on the device that it will draw for."""
        import torch

        return torch.Generator("cpu" if device is None else device).manual_seed(seed_of(seed, count))


def value_and_grad(fun: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    """``(f, grad)`` at x by reverse differentiation; the caller's tensors, and their ``.grad``, stay as they are.

    PyTorch's complex gradient is the direction of steepest ascent already. Leaves of x that fun does not use have
    gradient 0. Raises TypeError or ValueError if fun returns no real scalar, or one that does not depend on x.
    """

    def evaluate(x: Any, *args: Any) -> tuple[Any, Any]:
        import torch

        check_differentiable(x)
        # Not in inference mode, whose tensors cannot be differentiated; and at work under a caller's no_grad.
        with torch.inference_mode(False), torch.enable_grad():
            point = tree_map(lambda a: _fresh(a).requires_grad_(True), x)
            f = fun(point, *args)
            if problem := scalar_problem(f):
                raise TypeError(problem)
            unused = "fun's value does not depend on x: compute it from x with PyTorch operations, without detach()"
            if not f.requires_grad:
                raise ValueError(unused)
            grads = torch.autograd.grad(f, leaves(point), allow_unused=True)
        if all(g is None for g in grads):
            raise ValueError(unused)
        each = iter(grads)
        return f.detach(), tree_map(lambda a: _or_zeros(next(each), a), point)

    return evaluate


def _fresh(a: Any) -> Any:
    """The same values as a leaf of a new graph, without a copy where one can be spared."""
    return a.detach().clone() if a.is_inference() else a.detach()


def _or_zeros(g: Any, a: Any) -> Any:
    import torch

    return torch.zeros_like(a, requires_grad=False) if g is None else g.detach()
