"""The machine that numbers are measured on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lionk


def machine() -> dict[str, Any]:
    """The processor, the threads and the versions that the numbers depend on."""
    from ...recording.threads import threads

    found = {"lionk": lionk.__version__, "processor": _processor(), "threads": threads()}
    found["python"] = platform.python_version()
    for name in ("numpy", "numba", "torch", "jax", "lion-pytorch", "timm", "pytorch_optimizer", "optax"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
