"""lionk on JAX. Importing this after JAX makes convex functions, sets and optimizers pytrees."""

import sys

from ._backend import JaxBackend
from ._pytrees import register_pytrees

backend = JaxBackend()
if "jax" in sys.modules:
    register_pytrees()
__all__ = ["JaxBackend", "backend", "register_pytrees"]
