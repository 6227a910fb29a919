"""Conformance: judge any implementation of a Lion-K optimizer. Nothing is loaded before it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapters import adapt
    from .judge import check
    from .loopback import Loopback
    from .port import Capabilities, Handle, Port
    from .report import Report, Result
    from .specification import LEVELS, RULES, VERSION

__all__ = [
    "LEVELS",
    "RULES",
    "VERSION",
    "Capabilities",
    "Handle",
    "Loopback",
    "Port",
    "Report",
    "Result",
    "adapt",
    "check",
]

_LATER = {
    "adapt": "adapters",
    "check": "judge",
    "Loopback": "loopback",
    "Capabilities": "port",
    "Handle": "port",
    "Port": "port",
    "Report": "report",
    "Result": "report",
    "LEVELS": "specification",
    "RULES": "specification",
    "VERSION": "specification",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)
