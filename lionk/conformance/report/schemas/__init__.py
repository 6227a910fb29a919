"""The published JSON Schemas of what the kit writes and reads: report, result, case, manifest and handshake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
NAMES = ("report", "case", "result", "expected", "manifest", "handshake")


def schema(name: str) -> dict[str, Any]:
    """The schema of this name, among ``NAMES``. Raises KeyError for others."""
    if name not in NAMES:
        raise KeyError(f"no schema {name!r}; there are {', '.join(NAMES)}")
    found: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found
