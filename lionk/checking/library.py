"""The array library that a function is checked on: how test points get in, and results out."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from typing import Any, Protocol

from ..arrays import namespace as _xp
from ..arrays.namespace import Array, Namespace
from ..backend.discovery import GenericBackend, backends
from ..backend.protocol import Backend


class Library(Protocol):
    """What a check needs of an array library. The host arrays are NumPy's, in double precision."""

    @property
    def device(self) -> Any:
        """Not None where results must be on the device of the arguments, another than the default."""

    @property
    def xp(self) -> Namespace: ...

    def put(self, a: Any, dtype: str, matrix: bool = False) -> Array:
        """A host array as a new array of this library, of this dtype; ``matrix``: in one piece."""

    def get(self, x: Array) -> Any:
        """An array of this library as a host array of float64, complex128 or bool."""

    def active(self, needs: tuple[str, ...] = ()) -> Any:
        """A context for calls of a function that needs these extensions."""


@dataclass(frozen=True)
class Installed:
    """The library of a backend, as it is installed."""

    backend: Backend
    device: Any = None

    @property
    def xp(self) -> Namespace:
        return self.backend.namespace()

    def put(self, a: Any, dtype: str, matrix: bool = False) -> Array:
        x = self.backend.asarray(host().asarray(a), dtype=dtype)
        if x.dtype != getattr(self.xp, dtype):
            raise ValueError(
                f"{self.backend.name} makes {x.dtype} of {dtype}; check in another dtype, or allow this one "
                "(JAX: jax.config.update('jax_enable_x64', True))"
            )
        return x

    def get(self, x: Array) -> Any:
        a = self.backend.to_host(x)
        return a if a.dtype.kind == "b" else a.astype("complex128" if a.dtype.kind == "c" else "float64")

    def active(self, needs: tuple[str, ...] = ()) -> Any:
        return contextlib.nullcontext()


@functools.cache
def host() -> Backend:
    """NumPy, in which points are drawn and residuals are summed."""
    return backends()["numpy"]


def library(xp: Any = None) -> Installed:
    """The library meant by a backend's name, a namespace, or a module such as ``torch``; None: NumPy.

    Raises ValueError if it is unknown or not available, and RuntimeError if NumPy is not installed.
    """
    if why := host().why_unavailable():
        raise RuntimeError(f"checks draw their points and sum their residuals with NumPy on the host: {why}")
    if xp is None:
        return Installed(host())
    known = backends()
    if isinstance(xp, str):
        if xp not in known:
            raise ValueError(f"xp={xp!r}: the backends are {', '.join(sorted(known))}; or give a namespace")
        found: Backend | None = known[xp]
    else:
        root = xp.__name__.removeprefix("array_api_compat.").split(".")[0]
        found = known.get(root)
    if found is None:
        return Installed(GenericBackend(_xp.namespace(xp.asarray([0.0]), name="xp.asarray([0.0])")))
    if why := found.why_unavailable():
        raise ValueError(f"xp={found.name!r}: {why}")
    return Installed(found)
