"""Records of the array libraries under test: how an array gets in and out, on which device, with which dtypes."""

from __future__ import annotations

import contextlib
import importlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace

REAL = ("float64", "float32")


@dataclass(frozen=True)
class Backend:
    """``name``: ``library[:tag]``; ``module``: its array-api-compat namespace or the library itself."""

    name: str
    module: str
    device: str | None = None
    readonly: bool = False
    dtypes: tuple[str, ...] = REAL
    low: tuple[str, ...] = ()  # 16-bit dtypes
    complex: bool = True
    light: bool = False  # iterative operations (prox, projections) only with LIONK_FULL=1

    @cached_property
    def xp(self) -> Any:
        """Imported on first use, so that a missing library is an error of the tests that need it."""
        if self.name == "jax":
            import jax

            jax.config.update("jax_enable_x64", True)
            jax.config.update("jax_default_matmul_precision", "float32")
        if self.name == "torch":
            import torch

            torch.set_num_threads(1)
        return array_namespace(importlib.import_module(self.module).asarray([0.0]))

    def version(self) -> str:
        library = self.module.removeprefix("array_api_compat.").split(".")[0]
        try:
            return importlib.import_module(library).__version__
        except ImportError:
            return "MISSING"

    def dtype(self, name: str) -> Any:
        return getattr(self.xp, name)

    def put(self, a: Any, dtype: str, matrix: bool = False) -> Any:
        """A NumPy array as an array of this library; a fresh one, of this dtype, on this device."""
        xp = self.xp
        a = np.asarray(a)
        if self.module.endswith("torch"):
            return xp.asarray(a.astype("complex128" if "complex" in dtype else "float64")).to(self.dtype(dtype))
        a = np.array(a, dtype=dtype)
        if self.readonly:
            a.setflags(write=False)
        if self.module == "numpy":
            return a
        if self.module.endswith("dask.array"):
            whole = matrix or a.size == 0
            return xp.asarray(a, chunks=a.shape if whole else tuple(-(-n // 2) for n in a.shape))
        device = {d.__repr__(): d for d in self._devices()}.get(f"array_api_strict.Device('{self.device}')")
        return xp.asarray(a, device=device) if device else xp.asarray(a)

    def _devices(self) -> Any:
        return self.xp.__array_namespace_info__().devices() if self.device else ()

    def get(self, x: Any) -> np.ndarray:
        """An array of this library as a NumPy array, float64 or complex128 (or bool)."""
        if self.module.endswith("torch"):
            x = x.to(
                self.xp.complex128 if x.dtype.is_complex else self.xp.float64 if x.is_floating_point() else x.dtype
            )
            return x.numpy()
        if self.device:
            x = x.to_device(self.xp.Device("CPU_DEVICE"))
        if self.module.endswith("dask.array"):
            x = x.compute(scheduler="synchronous")
        a = np.asarray(x)
        return a if a.dtype.kind == "b" else a.astype("complex128" if a.dtype.kind == "c" else "float64")

    def active(self, needs: tuple[str, ...] = ()) -> Any:
        """The strictest flags of array-api-strict; an extension is on where the function says that it needs it."""
        if not self.name.startswith("strict"):
            return contextlib.nullcontext()
        return self.xp.ArrayAPIStrictFlags(
            boolean_indexing=False, data_dependent_shapes=False, enabled_extensions=tuple(needs)
        )


BACKENDS: dict[str, Backend] = {
    b.name: b
    for b in (
        Backend("numpy", "numpy", low=("float16",)),
        Backend("numpy:readonly", "numpy", readonly=True, light=True),
        Backend("strict", "array_api_strict"),
        Backend("strict:device1", "array_api_strict", device="device1", dtypes=("float32", "float64"), light=True),
        Backend(
            "strict:no_float64", "array_api_strict", device="no_float64", dtypes=("float32",), complex=False, light=True
        ),
        Backend("torch", "array_api_compat.torch", low=("float16", "bfloat16")),
        Backend("jax", "jax.numpy", low=("float16", "bfloat16"), light=True),
        Backend("dask", "array_api_compat.dask.array", complex=False, light=True),
    )
}

#: The ways to make a step on a CPU: a library, and the name of its runner.
WAYS = (("numpy", "tiles"), ("numpy", "numba"), ("torch", "tiles"), ("torch", "numba"))
