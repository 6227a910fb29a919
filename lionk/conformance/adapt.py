"""From what an author has to a port: a Port as it is, or an optimizer that a backend knows."""

from __future__ import annotations

from typing import Any

from ..backend import backends
from .port import Port


def adapt(obj: Any) -> Port:
    """A port made from ``obj``. Raises TypeError if nothing here knows how."""
    if isinstance(obj, Port) and not isinstance(obj, type):
        return obj
    for backend in backends().values():
        if (port := backend.adapt(obj)) is not None:
            return port
    raise TypeError(f"{obj!r} cannot be adapted")
