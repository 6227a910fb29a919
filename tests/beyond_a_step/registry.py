"""The table of these mistakes."""

from __future__ import annotations

from functools import partial

from lionk.conformance.mutants import registry
from lionk.conformance.mutants.step import Variant

BEYOND: dict[str, Variant] = {}
mutant = partial(registry.mutant, into=BEYOND)
mutant_handle = partial(registry.mutant_handle, into=BEYOND)
