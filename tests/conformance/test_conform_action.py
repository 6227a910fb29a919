"""action.yml: its steps are run here as the runner would, and what it names exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import lionk
from lionk.conformance import VERSION

ROOT = Path(lionk.__file__).parent.parent
TEXT = (ROOT / "action.yml").read_text(encoding="utf-8")
PORT = """
import numpy as np
def good(x, m, grad, lr=1e-4, b1=0.9, b2=0.99, wd=0.0):
    return x - lr * (np.sign(b1 * m + (1 - b1) * grad) + wd * x), b2 * m + (1 - b2) * grad
def bad(x, m, grad, lr=1e-4, b1=0.9, b2=0.99, wd=0.0):
    return good(x, m, grad + wd * x, lr, b1, b2)
"""


def judge_step() -> str:
    return textwrap.dedent(TEXT.partition("- name: Judge")[2].partition("run: |\n")[2])


@pytest.mark.parametrize(("port", "code"), [("good", 0), ("bad", 1)])
def test_the_step_judges(tmp_path, port, code):
    (tmp_path / "mine.py").write_text(PORT)
    (tmp_path / "lionk").write_text(f'#!/bin/sh\nexec {sys.executable} -m lionk "$@"\n')
    (tmp_path / "lionk").chmod(0o755)
    given = {"PORT": f"mine.py:{port}", "PROGRAM": "", "LEVEL": "L0", "SPECIFICATION": VERSION, "KNOWN": ""}
    env = {**os.environ, **given, "REPORT": "r.json", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-e", "-c", judge_step()], cwd=tmp_path, env=env, capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["passed"] is (code == 0)


BLOCKED = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in {absent!r}
        return None if absent else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = [Without(f) for f in sys.meta_path]
"""


@pytest.mark.parametrize(("port", "code"), [pytest.param("good", 0, marks=pytest.mark.slow), ("bad", 1)])
def test_numpy_rich_and_typer_are_enough(tmp_path, port, code):
    """What ``lionk[conform]`` installs, in the judge and in the process of the port."""
    absent = {"dask", "jax", "jinja2", "matplotlib", "numba", "pandas", "PIL", "scipy", "sklearn", "torch", "tqdm"}
    (tmp_path / "sitecustomize.py").write_text(BLOCKED.format(absent=absent))
    (tmp_path / "mine.py").write_text(PORT)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    words = ["conform", f"mine.py:{port}", "--level", "L0", "--json", "r.json", "--md", "r.md", "--junit", "r.xml"]
    done = subprocess.run(
        [sys.executable, "-m", "lionk", *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["passed"] is (code == 0)


def test_its_inputs_and_its_package_exist():
    used = set(re.findall(r"\$\{\{ inputs\.(\w+) \}\}", TEXT))
    declared = set(re.findall(r"^  (\w+):$", TEXT.partition("inputs:")[2].partition("runs:")[0], re.MULTILINE))
    assert used == declared
    assert f'default: "{VERSION}"' in TEXT
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "conform" in extras
    light = {re.split(r"[>=<\[]", d)[0] for d in extras["conform"]}
    assert not light & {"matplotlib", "scikit-learn", "torch", "jax", "scipy"}
