"""lionk on NumPy: the backend, and ``scipy_method``, which is loaded with SciPy at first use."""

from typing import TYPE_CHECKING, Any

from ._backend import NumPyBackend

if TYPE_CHECKING:
    from .scipy_solver import scipy_method

backend = NumPyBackend()
__all__ = ["NumPyBackend", "backend", "scipy_method"]


def __getattr__(name: str) -> Any:
    if name != "scipy_method":
        raise AttributeError(f"module 'lionk_numpy' has no attribute {name!r}")
    from .scipy_solver import scipy_method

    return scipy_method
