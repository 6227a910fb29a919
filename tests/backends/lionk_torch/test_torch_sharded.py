"""lionk_torch.LionK on several processes with gloo: pieces, votes, checkpoints that others go on from, lost ranks."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

import torch_lost_rank
import torch_ranks
import torch_votes
from lionk_torch import LionK, groups
from turns import FULL

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "torchrun" / "train.py"
EVERYWHERE = [*torch_ranks.CLAIMS, *torch_votes.CLAIMS, "each_its_own_momentum", "fully_sharded"]
# Two processes go on from the checkpoint of four. Four show again what two show with LIONK_FULL=1.
ON_FOUR = EVERYWHERE if FULL else ["uneven_pieces", "fully_sharded"]  # some have no piece at all
CLAIMS = {4: [*ON_FOUR, "grids", "votes_of_pieces"], 2: [*EVERYWHERE, "numbers_only", "resumed", "the_example_learns"]}

pytestmark = pytest.mark.timeout(300)  # processes that wait for each other wait long where others take the processors


def run(commands):
    """The processes of these commands, at once: their exit codes, and what each said. None leaves a child behind."""
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    ranks = [subprocess.Popen(c, **piped) for c in commands]
    try:
        said = [rank.communicate(timeout=250)[0] for rank in ranks]
    finally:
        for rank in ranks:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(rank.pid, signal.SIGKILL)
            rank.communicate()
    return [rank.returncode for rank in ranks], said


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")  # in this process, which is the point
def test_claims_on_four_processes_and_on_two_and_a_run_that_goes_on_in_one(tmp_path):
    """One test, because the two processes go on from the checkpoint of the four."""
    worlds = [" ".join([str(world), *claims]) for world, claims in CLAIMS.items()]
    ended = run([[sys.executable, torch_ranks.__file__, str(tmp_path), *worlds]])[1][0]
    for world, claims in CLAIMS.items():
        said = [(tmp_path / f"said{world}-{r}").read_text() for r in range(world)]
        for claim in claims:
            assert all(f"held: {claim}\n" in text for text in said), f"{claim}, {world}:\n" + "\n".join(said)
        codes = [0] * 4 if world == 4 else [0, -int(signal.SIGKILL)]
        assert f"ended of {world}: {codes}\n" in ended, "\n".join([ended, *said])
        goes_on_in_one(tmp_path, world)
    assert "held: the_other_is_killed\n" in said[0], said[0]


def goes_on_in_one(folder, world):
    model = torch_ranks.net()
    opt = LionK(groups(model, torch_ranks.RULES, report=None), 0.5)
    state = {"model": model.state_dict(), "optimizer": get_optimizer_state_dict(model, opt)}
    checkpoint.load(state, checkpoint_id=folder / f"checkpoint{world}")
    model.load_state_dict(state["model"])
    set_optimizer_state_dict(model, opt, state["optimizer"])
    assert opt.param_groups[0]["lr"] == 1e-2
    for p, (x, m) in zip(model.parameters(), torch.load(folder / f"saved{world}.pt"), strict=True):
        assert torch.equal(p.detach(), x)
        assert torch.equal(opt.state[p]["m"], m)
    torch_ranks.train(model, opt, 3, 6)
    for p, expected in zip(model.parameters(), torch.load(folder / "expected.pt"), strict=True):
        torch.testing.assert_close(p.detach(), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "asleep"])
@pytest.mark.parametrize("what", ["exchange", "pieces"])
def test_a_lost_rank_is_an_error(tmp_path, how, what):
    """At once if it was killed, after the timeout of the process group if it hangs."""
    command = [sys.executable, torch_lost_rank.__file__]
    first = [*command, "0", str(tmp_path), how, what]
    second = subprocess.Popen([*command, "1", *first[3:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        codes, said = run([first])
    finally:
        second.kill()
        second.wait()
    assert codes != [0]
    assert re.search(r"RuntimeError: .*(closed|reset|[Tt]imed? ?out)", said[0]), said[0]
    waited = float(re.search(r"waited (\S+) s", said[0])[1])
    assert waited < torch_lost_rank.TIMEOUT + 10


@pytest.mark.slow  # the two processes above run it without torchrun
@pytest.mark.parametrize("exchange", ["none", "majority"])
def test_the_example_of_torchrun(exchange):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(EXAMPLE)]
    codes, said = run([[*command, "--steps", "40", "--exchange", exchange]])
    assert codes == [0], said[0]
    first, last = (float(v) for v in re.search(r"loss (\S+) -> (\S+)", said[0]).groups())
    assert last < first
