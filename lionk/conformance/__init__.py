"""Conformance: judge any implementation of a Lion-K optimizer. Nothing is loaded before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..arrays.later import names_of

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

__getattr__ = names_of(
    __name__,
    {
        "ports.adapters": ("adapt", "check"),
        "ports.loopback": ("Loopback",),
        "report.results": ("Report", "Result"),
        "specification.port": ("Capabilities", "Handle", "Port"),
        "specification.rules": ("LEVELS", "RULES", "VERSION", "VERSIONS"),
    },
)
