"""The notebooks for the three kinds of user: every cell runs, and none holds the output of some earlier run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"


@pytest.mark.parametrize("name", ["research", "ports", "training"])
def test_a_notebook_runs(name):
    cells = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    assert cells[0]["cell_type"] == "markdown"
    space = {"__name__": "__main__"}
    for i, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            exec(compile("".join(cell["source"]), f"{name}.ipynb, cell {i}", "exec"), space)


def test_there_are_no_others():
    assert sorted(p.stem for p in FOLDER.iterdir()) == ["ports", "research", "training"]
