"""The contest of ``lionk reproduce contest``: the same budget for all, and what docs/training.md says of its result."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from lionk.app.networks import contest
from lionk.app.reproduce import contest as target
from lionk.app.reproduce import targets

DOCS = Path(__file__).parents[2] / "docs"
TASKS = {t.name: t for t in contest.tasks()}


def entrant(task, name):
    return next(e for e in TASKS[task].entrants if e.name == name)


@pytest.mark.parametrize("task", TASKS)
def test_all_begin_with_the_same_net_and_batches(task):
    losses = []
    for _ in range(2):
        _, loss_at, judge = TASKS[task].start(3, 4)
        losses.append([float(loss_at(i).detach()) for i in range(4)])
        with torch.no_grad():
            (tuning, _), (test, right) = judge.tuning(), judge.test()
        assert tuning != test and 0 <= right <= 1
    assert losses[0] == losses[1]
    assert float(TASKS[task].start(4, 4)[1](0).detach()) != losses[0][0]


def test_rates_are_those_of_adamw_for_each_optimizer():
    """Lion's is a fifth, that of a matrix 0.2 sqrt(max(rows, cols)); rate times decay is the same for all."""
    name = "transformer on characters"
    net = TASKS[name].start(0, 1)[0]
    rows = {}
    for e in TASKS[name].entrants:
        opt = contest.optimizer(e, net, 1e-2, 0.1)
        groups = {p: g for g in opt.param_groups for p in g["params"]}
        assert len(groups) == len(list(net.parameters()))
        for p, g in groups.items():
            product = float(g["lr"]) * float(g["weight_decay"])
            assert product == pytest.approx(1e-3 if p.ndim > 1 else 0.0)
        up, letter = net.blocks[0].up.weight, net.letter.weight
        rows[e.name] = groups[up]["lr"], groups[letter]["lr"], type(opt).__module__.partition(".")[0]
    assert rows["AdamW"] == (1e-2, 1e-2, "torch")
    assert rows["l1 (Lion)"] == (pytest.approx(2e-3), pytest.approx(2e-3), "lionk_torch")
    assert rows["lion-pytorch"] == (pytest.approx(2e-3), pytest.approx(2e-3), "lion_pytorch")
    matrix = pytest.approx(1e-2 * 0.2 * 192**0.5)
    assert rows["nuclear (Muon)"] == rows["Muon, per head"] == (matrix, pytest.approx(2e-3), "lionk_torch")


def test_muon_per_head_takes_each_head_apart():
    """A step of q, k and v: each of 3 x 4 blocks of 12 rows has singular values of one size.

    What LayerNorm hands on has mean 0, so the gradient of the whole has rank 47.
    """
    name = "transformer on characters"
    for e, shape, rank in (("Muon, per head", (12, 12, 48), 12), ("nuclear (Muon)", (1, 144, 48), 47)):
        net, loss_at, _ = TASKS[name].start(0, 1)
        weight = net.blocks[0].qkv.weight
        first = weight.detach().clone()
        opt = contest.optimizer(entrant(name, e), net, 1e-2, 0.0)
        loss_at(0).backward()
        opt.step()
        s = torch.linalg.svdvals((weight.detach() - first).reshape(shape))[:, :rank]
        torch.testing.assert_close(s, s.max().expand_as(s), rtol=1e-3, atol=0)


def test_the_best_pair_of_the_trials_is_taken():
    trials = np.array([[3.0, 2.0], [np.nan, 1.0], [1.5, 4.0]])
    e = contest.Entry("", "", np.ones(3), np.ones(2), trials, np.ones(1), trials, trials)
    assert e.best == (1, 1)


def test_trials_and_runs_have_seeds_of_their_own():
    seeds = []

    def start(seed, steps):
        seeds.append(seed)
        return TASKS["convolutions on digits"].start(seed, steps)

    task = TASKS["convolutions on digits"]._replace(
        steps=3, rates=(1e-3, 1e-2), start=start, entrants=(contest.Entrant("l1 (Lion)"),)
    )
    (e,) = contest.entries(task, 7, 2, (0.1,))
    assert seeds == [7, 7, 8, 9]
    assert e.trials.shape == (2, 1) and e.loss.shape == (2, 3) and e.right.shape == (2,)


def test_the_page_says_what_the_stored_result_says():
    stored = json.loads((DOCS / "_static" / "contest.json").read_text(encoding="utf-8"))
    assert stored["target"] == "contest" and not stored["quick"]
    outcome = targets.restored(stored)
    assert all(c.holds for c in outcome.checks)
    for task in contest.tasks():
        entries = {e["name"]: e for e in stored["numbers"][task.name]}
        assert list(entries) == [e.name for e in task.entrants]
        assert all(e["rates"] == pytest.approx(task.rates) for e in entries.values())
    said = (DOCS / "training.md").read_text(encoding="utf-8").partition("## Tuned alike")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| ([^|]+?) \| (.+) \|$", said, flags=re.MULTILINE))
    names = {}
    for entries in stored["numbers"].values():
        for e in entries:
            loss, right = np.array(e["loss"])[:, -1], 100 * np.array(e["right"])
            cells = names.setdefault(e["name"], [])
            cells += [f"{loss.mean():.3f} ({loss.min():.3f} to {loss.max():.3f})", f"{right.mean():.1f} %"]
    for name, cells in names.items():
        assert rows[name].split(" | ")[: len(cells)] == cells, name


def test_the_stored_result_draws_the_picture():
    stored = json.loads((DOCS / "_static" / "contest.json").read_text(encoding="utf-8"))
    figure = target.draw(stored["numbers"])
    assert len(figure.axes) == 6
    assert (DOCS / "_static" / "contest.png").read_bytes()[:4] == b"\x89PNG"
