"""The steps of .github/workflows call scripts, options, extras and lines of the README that there are."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
STEPS = [(file.name, step.strip()) for file in FILES for step in re.findall(r"- run: (.+)", file.read_text("utf-8"))]


def test_every_workflow_runs_something():
    assert {name for name, _ in STEPS} == {file.name for file in FILES} and len(FILES) >= 4


@pytest.mark.parametrize(("file", "step"), STEPS)
def test_a_step_calls_what_there_is(file, step):
    command = step.partition("  #")[0]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    if found := re.fullmatch(r"pip install -e '\.\[(.+)\]'", command):
        assert set(found[1].split(",")) <= set(extras)
    elif found := re.fullmatch(r"bash \.ci/readme (.+)", command):
        block = (ROOT / "README.md").read_text("utf-8").split("<!-- BEGIN commands")[1].split("<!-- END commands")[0]
        assert all(word in block for word in found[1].split())
    elif found := re.fullmatch(r'bash (\.ci/\w+)( "\$\{GITHUB_REF_NAME#v\}")?', command):
        assert subprocess.run(["bash", "-n", ROOT / found[1]], check=False).returncode == 0
    elif found := re.fullmatch(r"python (docs/\S+\.py) (\w+)", command):
        said = subprocess.run([sys.executable, ROOT / found[1], "--help"], capture_output=True, text=True, check=True)
        assert re.search(rf"[{{,]{found[2]}[,}}]", said.stdout)
        wrong = subprocess.run([sys.executable, ROOT / found[1], "no-such-word"], capture_output=True, check=False)
        assert wrong.returncode == 2
    else:
        assert command in (
            "sphinx-build -W -b html docs docs/_build/html",
            'cat coverage.md >> "$GITHUB_STEP_SUMMARY"',
        ), f"{file}: say here how {command!r} is checked"
