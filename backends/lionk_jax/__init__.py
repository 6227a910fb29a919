"""lionk on JAX. Importing this after JAX makes convex functions, sets and optimizers pytrees.

``lion_k``, an optax transformation, is loaded with optax at first use.
"""

import sys
from typing import TYPE_CHECKING, Any

from ._backend import JaxBackend
from ._pytrees import register_pytrees

if TYPE_CHECKING:
    from .monitor import watch
    from .transformation import LionKState, lion_k, mars, momentum_of

backend = JaxBackend()
if "jax" in sys.modules:
    register_pytrees()
__all__ = ["JaxBackend", "LionKState", "backend", "lion_k", "mars", "momentum_of", "register_pytrees", "watch"]


def __getattr__(name: str) -> Any:
    if name not in ("LionKState", "lion_k", "mars", "momentum_of", "watch"):
        raise AttributeError(f"module 'lionk_jax' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(".monitor" if name == "watch" else ".transformation", __name__), name)
