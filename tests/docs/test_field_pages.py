"""The counter-examples of docs/not-lion-k.md hold, and docs/which-optimizer.md names functions that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lionk
from lionk.functions import entry

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize(("page", "count"), [("not-lion-k.md", 9), ("which-optimizer.md", 1)])
def test_the_examples_hold(page, count, capsys):
    found = blocks(page)
    assert len(found) == count
    names = {}
    for block in found:
        exec(compile(block, page, "exec"), names)
    assert page != "which-optimizer.md" or "'betas': (0.9025, 0.95)" in capsys.readouterr().out


def test_every_algorithm_has_a_row_and_every_row_a_function():
    rows = [line.split("|") for line in (DOCS / "which-optimizer.md").read_text(encoding="utf-8").splitlines()[6:]]
    named = {n for row in rows if len(row) > 4 for n in re.findall(r"`([a-z0-9_]+)`", row[3])} - {"polar"}
    for name in named:
        assert entry(name)
    spoken = named | {"lion_lp", "scion_spectral_conv"}  # of every K, and of Scion's layers
    assert set(lionk.algorithms()) <= spoken
