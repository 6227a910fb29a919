"""lionk on PyTorch."""

from ._backend import TorchBackend

backend = TorchBackend()
__all__ = ["TorchBackend", "backend"]
