"""The code blocks of the documentation run, from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lionk.functions import registry

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))


@pytest.mark.parametrize("page", ["own-k.md"])
def test_code_blocks_run(page):
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert blocks
    names = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
