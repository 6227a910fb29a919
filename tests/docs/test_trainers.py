"""The examples of docs/examples/trainers: each trains, stops, goes on, and compares with an unbroken run by itself."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "trainers"
NEEDS = {
    "accelerated": ["accelerate"],
    "flax_nnx": ["flax", "orbax"],
    "fsdp2": [],
    "hugging_face": ["transformers", "accelerate"],
    "keras_torch": ["keras"],
    "lightning_module": ["lightning"],
}


def test_every_example_has_a_row():
    assert {p.stem for p in FOLDER.glob("*.py")} == set(NEEDS)


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDS)
def test_a_run_that_goes_on_equals_an_unbroken_one(name):
    if missing := [m for m in NEEDS[name] if not find_spec(m)]:
        pytest.skip(f"needs {', '.join(missing)}: pip install 'lionk[trainers]'")
    command = [sys.executable, str(FOLDER / f"{name}.py")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "the resumed run equals the unbroken one" in said.stdout
