"""lionk on CuPy."""

from ._backend import CuPyBackend

backend = CuPyBackend()
__all__ = ["CuPyBackend", "backend"]
