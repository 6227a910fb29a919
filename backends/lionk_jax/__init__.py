"""lionk on JAX. Importing this after JAX makes convex functions, sets and optimizers pytrees.

``lion_k``, an optax transformation, is loaded with optax at first use.
"""

import sys
from typing import TYPE_CHECKING

from lionk.arrays.later import names_of

from ._backend import JaxBackend
from ._pytrees import register_pytrees

if TYPE_CHECKING:
    from .monitor import watch
    from .transformation import LionKState, lion_k, mars, momentum_of

backend = JaxBackend()
if "jax" in sys.modules:
    register_pytrees()
__all__ = ["JaxBackend", "LionKState", "backend", "lion_k", "mars", "momentum_of", "register_pytrees", "watch"]

__getattr__ = names_of(
    __name__, {"monitor": ("watch",), "transformation": ("LionKState", "lion_k", "mars", "momentum_of")}
)
