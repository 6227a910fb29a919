"""The same random numbers as an array of each library."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

LIBRARIES = ["numpy", "torch", "jax", "dask"]


def array(library: str, shape: tuple[int, ...], seed: int) -> Any:
    """Standard normal float32 numbers. Raises NotImplementedError, which asv takes as a skip, without the library."""
    if find_spec(library) is None:
        raise NotImplementedError(f"{library} is not installed")
    x = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    if library == "torch":
        import torch

        return torch.from_numpy(x)
    if library == "jax":
        import jax.numpy as jnp

        return jnp.asarray(x)
    if library == "dask":
        import dask.array as da

        return da.from_array(x, chunks=x.shape)
    return x


def finish(x: Any) -> Any:
    """The array with its values computed: JAX returns before they are, Dask only on request."""
    if hasattr(x, "block_until_ready"):
        return x.block_until_ready()
    return x.persist() if hasattr(x, "persist") else x
