"""docs/catalogue.md is what the registry says, name by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import lionk

DOCS = Path(__file__).parents[2] / "docs"


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: other tests add names to the registry of this one."""
    return subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)


def test_the_page_is_up_to_date():
    done = run(DOCS / "make_catalogue.py", "--check")
    assert done.returncode == 0, done.stderr


def test_the_page_is_written_and_checked(tmp_path):
    script = tmp_path / "make_catalogue.py"
    script.write_text((DOCS / "make_catalogue.py").read_text(encoding="utf-8"), encoding="utf-8")
    assert run(script, "--check").returncode == 1
    assert run(script).returncode == 0
    assert run(script, "--check").returncode == 0
    page = tmp_path / "catalogue.md"
    page.write_text(page.read_text(encoding="utf-8").replace("`l1`", "`l3`", 1), encoding="utf-8")
    stale = run(script, "--check")
    assert (stale.returncode, "out of date" in stale.stderr) == (1, True)


@pytest.mark.parametrize("name", [*lionk.algorithms(), "nuclear", "spectral_lift", "kernel_lift"])
def test_every_name_has_one_row(name):
    rows = [line for line in (DOCS / "catalogue.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    mine = [line for line in rows if line.startswith(f"| `{name}` |")]
    assert len(mine) == 1
    assert len(mine[0].replace(r"\|", "").split("|")) in (6, 10)
