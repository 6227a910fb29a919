"""Benchmarks for asv. What they measure with is that of this checkout; the lionk that they measure may be any commit's.

A benchmark is skipped in ``setup``, by NotImplementedError, where a library or a part of lionk is missing.
"""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# asv imports this once, and forks for each value: so each need not import for seconds. JAX would warn of the forks.
for library in ("torch", "torch._dynamo", "numba"):
    with contextlib.suppress(ImportError):
        import_module(library)


def tools(name: str) -> Any:
    """A module of lionk/app/bench of this checkout. Raises NotImplementedError where this lionk lacks what it needs."""
    folder = str(ROOT / "lionk" / "app" / "bench")
    sys.path.insert(0, folder)
    try:
        worker = import_module("worker")
    finally:
        sys.path.remove(folder)
    try:
        return worker.neighbour(name)
    except ImportError as error:
        raise NotImplementedError(str(error)) from None
