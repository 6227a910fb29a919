"""lionk on PyTorch: the backend, and the optimizer ``LionK``, which is loaded with PyTorch at first use."""

from typing import TYPE_CHECKING

from lionk.arrays.later import names_of

from ._backend import TorchBackend

if TYPE_CHECKING:
    from .optimizer.lion_k import LionK
    from .optimizer.monitor import watch
    from .optimizer.rules import MUON, groups

backend = TorchBackend()
__all__ = ["MUON", "LionK", "TorchBackend", "backend", "groups", "watch"]

__getattr__ = names_of(
    __name__,
    {
        "optimizer.lion_k": ("LionK",),
        "optimizer.monitor": ("watch",),
        "optimizer.rules": ("MUON", "groups"),
    },
)
