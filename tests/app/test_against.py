"""Two commits side by side: ratios of pairs, and that a slow-down is told by its name, and nothing else is."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import contextmanager
from itertools import count

import numpy as np
import pytest
from scipy import stats

from command_line import lk
from lionk.app.bench import against, compared, counts, timing
from lionk.app.console import BadInput


def test_the_ratio_is_that_of_neighbours_with_bounds_that_assume_nothing():
    rng = np.random.default_rng(0)
    machine = 1 + 9 * (np.arange(200) // 20 % 2)  # ten times as slow every other moment
    pairs = [(s * a, 1.2 * s * b) for s, a, b in zip(machine, *rng.uniform(0.95, 1.05, (2, 200)), strict=True)]
    found = timing.ratio(pairs)
    assert 1.17 < found.low < found.value < found.high < 1.23
    assert found.pairs == 200


def test_bounds_hold_the_median_as_often_as_they_say():
    rng = np.random.default_rng(1)
    held = [timing.ratio([(1.0, r) for r in rng.lognormal(0, 1, 25)]) for _ in range(2000)]
    assert 0.985 < np.mean([f.low <= 1 <= f.high for f in held]) < 1


def test_few_pairs_have_no_bounds():
    assert timing.ratio([(1.0, 2.0)] * 7)[:3] == (2.0, 0.0, np.inf)
    assert timing.ratio([(1.0, 2.0)] * 8)[:3] == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("n", [9, 100, 1023, 5000])
def test_bounds_of_any_number_of_pairs_are_those_of_the_binomial_distribution(n):
    found = timing.ratio([(1.0, float(k)) for k in range(1, n + 1)])
    low = int(stats.binom.ppf(0.005, n, 0.5))
    assert found[1:] == (low, n + 1 - low, n)


def test_pairs_take_turns_at_going_first():
    order, tick = [], count()

    def clock(name):
        return lambda: order.append(name) or next(tick)

    assert len(timing.turns(clock("a"), clock("b"), 0.0, least=4)) == 4
    assert "".join(order) == "abbaabba"


def test_a_turn_is_long_enough_and_its_calls_are_divided_by():
    calls = []
    turn = timing.clock(lambda: calls.append(0))
    before = len(calls)
    assert 1e-9 <= turn() < 1e-5
    assert len(calls) - before > 20


def test_every_scene_that_is_timed_is_playable():
    small = [s for s in timing.timeable() if s.subject in ("K made", "step", "kkt_gap", "variant", "checkpoint")]
    assert len(small) > 25
    for s in small:
        timing.playable(s)()


@contextmanager
def sides(tree):
    made = [against.Side(t, sys.executable, counts.WORKER, counts.environment(t)) for t in (counts.TREE, tree)]
    try:
        yield tuple(made)
    finally:
        for side in made:
            side.close()


SLOW = """
def slow(self, x, first=ArrayFunction.subgradient):
    sum(range(3000))
    return first(self, x)
ArrayFunction.subgradient = slow
"""


def test_a_slow_down_is_told_by_its_name_and_its_neighbours_are_not(tmp_path):
    """Fifty microseconds before every subgradient; K are made as fast as before."""
    for folder in ("lionk", "backends"):
        shutil.copytree(counts.TREE / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    door = tmp_path / "lionk" / "functions" / "array_function.py"
    door.write_text(door.read_text() + SLOW)
    wanted = ("subgradient, l1", "K made, l1")
    told = []
    found = {v.name: v for v in against.compare(lambda: sides(tmp_path), wanted.__contains__, 0.4, told.append)}
    assert [v.name for v in told] == sorted(wanted)
    assert found["subgradient, l1"].slower, found
    assert found["subgradient, l1"].ratio.value > 1.5
    assert not found["K made, l1"].slower, found


@pytest.mark.skipif(not (counts.TREE / ".git").exists(), reason="asv asks git for the commit, and this is no clone")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, where a test before has loaded it: asv forks
def test_an_environment_of_asv_is_asked_for_its_python():
    pytest.importorskip("asv", reason="asv is of the bench extra")
    assert compared.interpreter("existing:same") == sys.executable
    with pytest.raises(BadInput, match=r"no:3\.11 cannot be made"):
        compared.interpreter("no:3.11")


def verdict(name, value, low, high, **more):
    return against.Verdict(name, timing.Ratio(value, low, high, 30), **more)


def test_only_what_is_large_and_certain_and_confirmed_counts():
    assert verdict("a", 1.2, 1.1, 1.3).slower
    assert not verdict("a", 1.2, 0.9, 1.3).slower
    assert not verdict("a", 1.02, 1.01, 1.03).slower
    assert not verdict("a", 1.2, 1.1, 1.3, confirmed=False).slower
    assert verdict("a", 0.8, 0.7, 0.9).faster
    assert not verdict("a", 0.8, 0.7, 1.1).faster
    assert not against.Verdict("a", None, "before: TypeError").slower


def test_a_difference_that_does_not_repeat_is_dropped(monkeypatch):
    values = iter([1.3, 0.97, 1.3, 1.4])
    monkeypatch.setattr(against, "play", lambda a, b, name, s: verdict(name, v := next(values), v - 0.02, v + 0.02))

    class Scenes:
        def ask(self):
            return {"scenes": ["a", "b", "c"]}

    @contextmanager
    def both():
        yield Scenes(), Scenes()

    values = iter([1.3, 1.0, 1.3, 0.97, 1.4])  # a, b, c; again a, c
    found = against.compare(both, lambda name: True, 0.1, lambda v: None)
    assert [v.slower for v in found] == [False, False, True]


def test_a_commit_that_breaks_a_scene_is_named(tmp_path):
    for folder in ("lionk", "backends"):
        shutil.copytree(counts.TREE / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "lionk" / "optimizer" / "lion_k.py"
    file.write_text(file.read_text() + "\nLionK.step = None\n")
    with sides(tmp_path) as (before, now):
        assert "now: TypeError" in against.play(before, now, "step, l1", 0.1).error


def test_the_command_says_what_is_slower(monkeypatch, tmp_path):
    @contextmanager
    def worktree(root, commit):
        if commit == "no":
            raise ValueError("no is no commit")
        yield tmp_path

    found = [
        verdict("step, l1", 1.5, 1.4, 1.6),
        verdict("step, l2", 1.0, 0.9, 1.1),
        against.Verdict("x", None, "before: no"),
    ]
    monkeypatch.setattr(against, "worktree", worktree)
    monkeypatch.setattr(compared, "_played", lambda *_: found)
    done = lk("bench", "--against", "HEAD", "--json", str(tmp_path / "a.json"))
    assert done.exit_code == 1
    assert "step, l1" in done.stdout
    assert "1.40 to 1.60" in done.stdout
    assert "not compared: x (before: no)" in done.stdout
    assert "1 slower, 0 faster, 1 within" in done.stderr
    assert [r["slower"] for r in json.loads((tmp_path / "a.json").read_text())["scenes"]] == [True, False, False]
    found[0] = verdict("step, l1", 0.5, 0.4, 0.6)
    assert lk("bench", "--against", "HEAD").exit_code == 0
    done = lk("bench", "--against", "no")
    assert (done.exit_code, "no is no commit" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--environment", "virtualenv:3.11"), "--against COMMIT"),
        (("--against", "HEAD", "--check"), "--against goes with"),
        (("--against", "no-such-commit"), "no-such-commit is no commit"),
    ],
)
def test_bad_input(arguments, says):
    done = lk("bench", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr
