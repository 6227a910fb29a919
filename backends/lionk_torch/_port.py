"""torch.optim optimizers as conformance ports: any class made from parameters and hyper-parameters."""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping
from typing import Any

from lionk.conformance.ports.names import Names, Request, chosen, title, unwrap, versions_of
from lionk.conformance.specification.port import DECAYS, EVERYTHING, each_parameter

#: Parameters by which known optimizers choose a convention of decay, and the value that chooses it.
_CONVENTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "decoupled_weight_decay": {"lr_wd": {}, "lr_ratio": {"decoupled_weight_decay": True}},  # lion-pytorch
    "fixed_decay": {"lr_wd": {}, "fixed": {"fixed_decay": True}, "coupled": {"weight_decouple": False}},
    "convention": {
        kit: {} if kit == "lr_wd" else {"convention": ours} for kit, ours in DECAYS.items() if ours
    },  # LionK here
    "corrected_weight_decay": {"lr_wd": {}, "lr2_max": {"corrected_weight_decay": True}},  # timm
}


def adapt(obj: Any, request: Request | None) -> TorchPort | None:
    """A port, if obj is a subclass of torch.optim.Optimizer, or a partial of one."""
    torch = sys.modules.get("torch")
    inner = unwrap(obj)
    if torch is None or not (isinstance(inner, type) and issubclass(inner, torch.optim.Optimizer)):
        return None
    return TorchPort(obj, request or Request())


def _options(known: Container[str]) -> dict[str, dict[str, Any]]:
    """The options that say how a step is computed; and ``maximize``, alone and with each of them."""
    ways: dict[str, dict[str, Any]] = {
        f"{name}={value}": {name: value}
        for name in ("foreach", "capturable", "differentiable", "fused")
        if name in known
        for value in ((True, False) if name == "foreach" else (True,))
    }
    if "maximize" not in known:
        return ways
    up = {f"maximize and {name}": {"maximize": True, **way} for name, way in ways.items()}
    return {**ways, "maximize": {"maximize": True}, **up}


class TorchPort:
    """An optimizer class of PyTorch. A scheduled rate is written into its parameter groups, as schedulers do."""

    def __init__(self, kind: Any, request: Request) -> None:
        self.kind, self.request, self.name = kind, request, title(kind)
        self.names = Names.of(kind, request.names, need_betas=False)
        self.defaults: Mapping[str, Any] = self.names.defaults
        self.versions = versions_of(unwrap(kind).__module__, "torch")
        self.takes_K = "K" in self.names.parameters
        newton = "ns_steps" in self.names.parameters
        known = [c for n, c in _CONVENTIONS.items() if n in self.names.parameters]
        decays: dict[str, dict[str, Any]] = known[0] if known else {"lr_wd": {}}
        own: dict[str, Any] = {"decays": chosen(decays, request.decays)} if self.names.decays else {}
        self.capabilities = self.names.capabilities(
            request,
            **{"K": "muon" if newton else "l1", **self.names.function(request.K)},
            **own,
            dtypes=("float64", "float32", "float16", "bfloat16"),
            accuracy=0.35 if newton else 0.0,  # the quintic leaves singular values in [0.68, 1.20]
            **EVERYTHING,
            tried=True,
            options=_options(self.names.parameters),
        )

    def create(self, x0: Any, **hyper: Any) -> TorchHandle:
        return TorchHandle(self, x0, **hyper)


def _as_in(group: Mapping[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Hyper-parameters under the names of a parameter group, where it has beta1 and beta2 in place of betas."""
    if "betas" in given and "betas" not in group and {"beta1", "beta2"} <= set(group):
        given = dict(given)
        given["beta1"], given["beta2"] = given.pop("betas")
    return given


class TorchHandle:
    """Parameters, their optimizer, and the number of steps."""

    def __init__(self, port: TorchPort, x0: Any, *, groups: list[dict[str, Any]] | None = None, **hyper: Any) -> None:
        import torch

        self.port, self.count, self.several = port, 0, isinstance(x0, list)
        self.kept: list[Any] = []
        arrays = x0 if self.several else [x0]
        self.parameters = [torch.nn.Parameter(self._tensor(a)) for a in arrays]
        if hyper.get("differentiable"):  # which changes parameters in place within the graph
            self.parameters = [p.clone() for p in self.parameters]
            for p in self.parameters:
                p.retain_grad()
        self.memory = [p.detach() for p in self.parameters]
        self.rate = hyper["lr"] if callable(hyper["lr"]) else None
        if self.rate is not None:
            hyper["lr"] = self.rate(0)
        if port.takes_K:
            hyper["K"] = port.capabilities.K
        given: Any = self.parameters
        if groups is not None:
            plain, _ = port.names.split({k: v for k, v in hyper.items() if k in ("lr", "betas", "weight_decay")})
            one = torch.nn.Parameter(self.parameters[0].detach().clone())
            known = port.kind([one], **plain, **port.request.options).param_groups[0]
            own = [_as_in(known, port.names.arguments(**g)) for g in groups]
            given = [{"params": [p], **g} for p, g in zip(self.parameters, own, strict=True)]
        named, extra = port.names.split(hyper)
        self.optimizer = port.kind(given, **named, **{**port.request.options, **extra})
        if self.rate is not None:  # which a scheduler writes there
            for group in self.optimizer.param_groups:
                group.setdefault("initial_lr", self.rate(0))

    def _tensor(self, a: Any) -> Any:
        """In the layout of the NumPy array: transposed or strided where it is."""
        from lionk_torch import backend

        device = self.port.request.device
        if a.ndim > 1 and not a.flags.c_contiguous and a.flags.f_contiguous:
            return backend.asarray(a.T, device=device).permute(*range(a.ndim)[::-1])
        if a.ndim and a.shape[0] > 1 and a.strides[0] == 0:
            return backend.asarray(a[:1], device=device).expand(a.shape)
        t = backend.asarray(a, device=device)
        if a.flags.c_contiguous or a.size == 0:
            return t
        import torch

        return torch.stack([t, t + 1], dim=-1)[..., 0]

    @property
    def x(self) -> Any:
        return list(self.parameters) if self.several else self.parameters[0]

    def step(self, grad: Any) -> None:
        self._step(each_parameter(grad, self._tensor))

    def _step(self, received: Any, closure: Any = None) -> Any:
        import torch

        self.received = received
        for p, g in zip(self.parameters, self.received if self.several else [self.received], strict=True):
            p.grad = g
        if self.rate is not None:
            for group in self.optimizer.param_groups:
                group[self.port.names.found["lr"]] = self.rate(self.count)
        value = self.optimizer.step() if closure is None else self.optimizer.step(closure)
        left = [
            None if g is None else torch.zeros(0) if p.grad is None else p.grad  # cleared is changed
            for p, g in zip(self.parameters, received if self.several else [received], strict=True)
        ]
        self.received = left if self.several else left[0]
        self.count += 1
        return value

    def write(self, x: Any) -> None:
        """Into the memory that the parameters were made in, as through a view of it or a flat buffer."""
        for p, a in zip(self.memory, x if self.several else [x], strict=True):
            p.copy_(self._tensor(a))

    def edit(self, **hyper: Any) -> None:
        for group in self.optimizer.param_groups:
            group.update(_as_in(group, self.port.names.arguments(**hyper)))

    def add(self, x0: Any, **hyper: Any) -> None:
        import torch

        self.parameters.append(torch.nn.Parameter(self._tensor(x0)))
        self.memory.append(self.parameters[-1].detach())
        named, _ = self.port.names.split(hyper)
        known = self.optimizer.param_groups[0]
        self.optimizer.add_param_group({"params": [self.parameters[-1]], **_as_in(known, named)})

    def closure(self, grad: Any) -> tuple[int, bool, bool]:
        import torch

        given, calls, loss = each_parameter(grad, self._tensor), [], torch.tensor(0.5)

        def closure() -> Any:
            calls.append(torch.is_grad_enabled())
            for p, g in zip(self.parameters, given if self.several else [given], strict=True):
                p.grad = g
            return loss

        # Until then there is that of another step, or none, as after zero_grad.
        before = each_parameter(given, lambda g: None if self.count % 2 else -g)
        value = self._step(before, closure)
        return len(calls), all(calls), value is not None and float(value) == float(loss)

    def reuse(self, grad: Any) -> None:
        """Each gradient is written into the memory of the last one, as after ``zero_grad(set_to_none=False)``."""
        grads = grad if self.several else [grad]
        if not self.kept:
            made: dict[int, Any] = {}
            self.kept = [made.setdefault(id(g), self._tensor(g)) for g in grads]
        for k, g in zip(self.kept, grads, strict=True):
            k.zero_()
            k.copy_(self._tensor(g))
        self._step(self.kept if self.several else self.kept[0])

    def state(self) -> Any:
        return {"optimizer": self.optimizer.state_dict(), "count": self.count}

    def load(self, state: Any) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.count = state["count"]
