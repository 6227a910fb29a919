"""Which backends are installed, and which one answers for an array.

A backend answers for one library. ``lionk`` itself never imports one: it asks the installed packages for the entry
points of the group ``lionk.backends``, and a backend imports its library when it is first used.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from array_api_compat import is_array_api_obj

from ..arrays import namespace as _xp
from ..arrays.containers import leaves
from ..arrays.namespace import Array, Namespace
from .protocol import Backend, resolve_dtype

GROUP = "lionk.backends"


def backends() -> dict[str, Backend]:
    """The installed backends by name, available or not.

    Raises RuntimeError if there are none, which means that lionk was put on the path but not installed.

    >>> import lionk.backend
    >>> "numpy" in lionk.backend.backends()
    True
    """
    return dict(_discovered())


@cache
def _discovered() -> dict[str, Backend]:
    from importlib.metadata import entry_points  # imported here: it costs more than the rest of lionk

    found: dict[str, Backend] = {e.name: e.load() for e in entry_points(group=GROUP)}
    if not found:
        raise RuntimeError(
            f"no entry point of the group {GROUP!r} is installed, so there is no backend; install lionk with pip "
            "(a checkout: pip install -e .)"
        )
    return found


def backend_of(x: Any, name: str = "x") -> Backend:
    """The backend of an array, or of the first array of a container; a ``GenericBackend`` for other libraries.

    Raises TypeError, with the name of the argument, if x is, or holds, no array.
    """
    arrays = leaves(x)
    if not arrays:
        raise TypeError(f"{name} must hold an array, from which the library is known; got an empty {type(x).__name__}")
    xp = _xp.namespace(arrays[0], name=name)
    return next((b for b in _discovered().values() if b.owns(arrays[0])), None) or GenericBackend(xp)


def assignment(scores: Array) -> Array:
    """The permutation matrices P with the largest ``sum P * scores``, by SciPy on the host; any leading axes.

    Raises NotAvailable where SciPy is not installed.
    """
    here = backend_of(scores)
    picked = _host().assignment(here.to_host(scores))
    return here.asarray(picked, dtype=scores.dtype, device=_xp.device(scores))


class GenericBackend(Backend):
    """A library that only speaks the Array API (array-api-strict, ...): the reference runner, values through NumPy."""

    def __init__(self, xp: Namespace) -> None:
        self._namespace = xp
        self.name = xp.__name__

    def why_unavailable(self) -> str:
        return ""

    def devices(self) -> list[Any]:
        return list(self._namespace.__array_namespace_info__().devices())

    def owns(self, x: Any) -> bool:
        return is_array_api_obj(x) and _xp.array_namespace(x) is self._namespace

    def namespace(self) -> Namespace:
        return self._namespace

    def asarray(self, a: Any, *, dtype: Any = None, device: Any = None) -> Array:
        xp = self._namespace
        if _host().owns(a):
            a = _host().asarray(a)  # in the layout and byte order that every library takes
        return xp.asarray(a, dtype=resolve_dtype(xp, dtype), device=device, copy=True)

    def to_host(self, x: Array) -> Any:
        return _host().asarray(x)

    def to_bits(self, x: Array) -> Any:
        return _host().to_bits(_host().asarray(x))

    def from_bits(self, bits: Any, dtype: str, shape: tuple[int, ...], *, device: Any = None) -> Array:
        return self.asarray(_host().from_bits(bits, dtype, shape), dtype=dtype, device=device)

    def synchronize(self, x: Any) -> Any:
        return x

    def random(self, seed: int, count: int, *, device: Any = None) -> Any:  # noqa: ARG002  (drawn on the host)
        """NumPy's generator: the standard has none."""
        return _host().random(seed, count)


def _host() -> Backend:
    return _discovered()["numpy"]
