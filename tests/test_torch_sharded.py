"""lionk_torch.LionK on DTensor and FSDP2: two processes with gloo, and a checkpoint that one process goes on from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

import torch_ranks
from lionk_torch import LionK, groups


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the two processes left their checkpoint; an assert of theirs that fails is shown, and fails the tests."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, torch_ranks.__file__]
    ranks = [
        subprocess.Popen([*command, str(r), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for r in range(2)
    ]
    try:
        said = [rank.communicate(timeout=100)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(said)
    return Path(folder)


def test_pieces_make_the_step_of_the_whole(folder):
    assert (folder / "expected.pt").exists()


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")  # which is the point
def test_a_run_of_two_processes_goes_on_in_one(folder):
    model = torch_ranks.net()
    opt = LionK(groups(model, torch_ranks.RULES, report=None), 0.5)
    state = {"model": model.state_dict(), "optimizer": get_optimizer_state_dict(model, opt)}
    checkpoint.load(state, checkpoint_id=folder / "checkpoint")
    model.load_state_dict(state["model"])
    set_optimizer_state_dict(model, opt, state["optimizer"])
    assert opt.param_groups[0]["lr"] == 1e-2
    torch_ranks.train(model, opt, 3, 6)
    for p, expected in zip(model.parameters(), torch.load(folder / "expected.pt"), strict=True):
        torch.testing.assert_close(p.detach(), expected, rtol=1e-11, atol=1e-12)
