"""Mistakes that people make, as ports: what the kit must notice, and what its diagnosis compares a failing port with.

A mutant names the rules that notice it; the tests fail if one of them does not. Each is the reference step with one
thing wrong. What the run of one case does not show is measured, and its mutants are among the tests.
"""

from __future__ import annotations

from dataclasses import replace

from ..specification.port import Capabilities
from . import (
    arrays,
    average,
    counting,
    decay,
    direction,
    gradient,
    matrices,
    rate,
    rounding,
)
from .registry import MUTANTS
from .step import Variant

__all__ = [
    "MUTANTS",
    "arrays",
    "average",
    "counting",
    "decay",
    "direction",
    "gradient",
    "matrices",
    "rate",
    "rounding",
    "with_claims",
]


def with_claims(port: Variant, claims: Capabilities) -> Variant:
    """The mutant in another port's dialect, to be compared with it."""
    spelled = {name: {"decay": name} for name in claims.decays}
    return replace(port, capabilities=replace(claims, decays=spelled), dialect=claims)
