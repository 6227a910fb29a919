"""lionk on NumPy: the backend, ``scipy_method``, and ``borrowed``, the plan of another library's record.

The last two are loaded at first use.
"""

from typing import TYPE_CHECKING, Any

from ._backend import NumPyBackend

if TYPE_CHECKING:
    from .runner.plan import borrowed
    from .scipy_solver import scipy_method

backend = NumPyBackend()
__all__ = ["NumPyBackend", "backend", "borrowed", "scipy_method"]

_LATER = {"borrowed": "runner.plan", "scipy_method": "scipy_solver"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'lionk_numpy' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LATER[name]}", __name__), name)
