"""lionk on NumPy: the backend, ``scipy_method``, and ``borrowed``, the plan of another library's record.

The last two are loaded at first use.
"""

from typing import TYPE_CHECKING

from lionk.arrays.later import names_of

from ._backend import NumPyBackend

if TYPE_CHECKING:
    from .runner.plan import borrowed
    from .scipy_solver import scipy_method

backend = NumPyBackend()
__all__ = ["NumPyBackend", "backend", "borrowed", "scipy_method"]

__getattr__ = names_of(__name__, {"runner.plan": ("borrowed",), "scipy_solver": ("scipy_method",)})
