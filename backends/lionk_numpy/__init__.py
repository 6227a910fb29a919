"""lionk on NumPy: the backend, ``scipy_method``, and ``plan``, the step of arrays in the memory of this machine.

The last two are loaded at first use.
"""

from typing import TYPE_CHECKING, Any

from ._backend import NumPyBackend

if TYPE_CHECKING:
    from .runner.plan import plan
    from .scipy_solver import scipy_method

backend = NumPyBackend()
__all__ = ["NumPyBackend", "backend", "plan", "scipy_method"]

_LATER = {"plan": "runner.plan", "scipy_method": "scipy_solver"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'lionk_numpy' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LATER[name]}", __name__), name)
