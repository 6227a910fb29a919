"""What nobody could look up is not cited: the rows, figures and later sections of the paper."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [p for d in ("lionk", "backends", "docs") for p in sorted((ROOT / d).rglob("*")) if p.suffix in (".py", ".md")]


@pytest.mark.parametrize(
    "cited", [r"2310\.05898,? (Table|Figure)", r"paper's (Table|Figure)", r"2310\.05898, section [^2]"]
)
def test_rows_and_figures_of_the_paper_are_not_cited(cited: str) -> None:
    assert [p.name for p in FILES if re.search(cited, p.read_text(encoding="utf-8").replace("\n", " "))] == []
