"""``lionk convert`` prints the settings of the target, and says what it cannot."""

from __future__ import annotations

import json

import pytest

from command_line import lk


def run(*words):
    return lk("convert", *words)


def test_settings_are_printed():
    done = run("lr=0.02", "nesterov=False", "--from", "torch.optim.Muon", "--to", "lionk")
    assert done.exit_code == 0
    assert "lr=0.02, betas=(0.95, 0.95), weight_decay=0.1" in " ".join(done.output.split())


def test_as_json(tmp_path):
    path = tmp_path / "found.json"
    assert run("--from", "dion.Muon", "--to", "torch.optim.Muon", "--shape", "8,2", "--json", str(path)).exit_code == 0
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["settings"]["momentum"] == 0.95
    assert found["settings"]["lr"] == pytest.approx(0.01)  # sqrt(8/2) in both
    assert "8 x 2" in found["notes"][-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lr",), "name=value"),
        (("--to", "keras"), "the libraries are"),
        (("--to", "optax.lion"), "steps of Muon"),
        (("--shape", "8"), "OUT,IN"),
        (("lr=0.1", "lr=0.2"), "given twice"),
        (("lr=fast",), "lr must be a finite number > 0 (of a schedule, the largest), got 'fast'"),
    ],
)
def test_bad_input_is_explained(words, message):
    done = run(*words)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
