"""Ports for the tests of the kit alone: correct ones, and mistakes that the run of one case does not show.

They prove that a rule notices its kind. The diagnosis does not compare a port with them: it measures what they do.
"""

from __future__ import annotations

from lionk.conformance.mutants import MUTANTS

from . import changes, counts, handling, matrices, options, parameters, rates
from .correct import CORRECT
from .registry import BEYOND

__all__ = ["BEYOND", "CORRECT", "EVERY", "changes", "counts", "handling", "matrices", "options", "parameters", "rates"]

EVERY = {**MUTANTS, **BEYOND}
