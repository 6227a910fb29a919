"""lionk on PyTorch: the backend, and the optimizer ``LionK``, which is loaded with PyTorch at first use."""

from typing import TYPE_CHECKING, Any

from ._backend import TorchBackend

if TYPE_CHECKING:
    from .optimizer.lion_k import LionK
    from .optimizer.monitor import watch
    from .optimizer.rules import MUON, groups

backend = TorchBackend()
__all__ = ["MUON", "LionK", "TorchBackend", "backend", "groups", "watch"]

_LATER = {
    "LionK": "optimizer.lion_k",
    "MUON": "optimizer.rules",
    "groups": "optimizer.rules",
    "watch": "optimizer.monitor",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'lionk_torch' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LATER[name]}", __name__), name)
