"""lionk on NumPy."""

from ._backend import NumPyBackend

backend = NumPyBackend()
__all__ = ["NumPyBackend", "backend"]
