"""Conformance: judge any implementation of a Lion-K optimizer. Nothing is loaded before it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ports.adapters import adapt, check
    from .ports.loopback import Loopback
    from .report.results import Report, Result
    from .specification.port import Capabilities, Handle, Port
    from .specification.rules import LEVELS, RULES, VERSION, VERSIONS

__all__ = [
    "LEVELS",
    "RULES",
    "VERSION",
    "VERSIONS",
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
    "adapt": "ports.adapters",
    "check": "ports.adapters",
    "Loopback": "ports.loopback",
    "Capabilities": "specification.port",
    "Handle": "specification.port",
    "Port": "specification.port",
    "Report": "report.results",
    "Result": "report.results",
    "LEVELS": "specification.rules",
    "RULES": "specification.rules",
    "VERSION": "specification.rules",
    "VERSIONS": "specification.rules",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)
