"""`lionk bench --counts`: that each instrument sees what it is for, and that a count that grew is red, by its name."""

from __future__ import annotations

import gc
import json
import sys

import array_api_strict as strict
import numpy as np
import pytest

import lionk
from command_line import lk
from lionk.app.bench import counting, counts, on_torch, parts, scenes, steps


@pytest.fixture(autouse=True)
def loaded():
    """Before each count garbage is collected, which would look through all that other tests have loaded: it stays."""
    gc.freeze()


def subgradient(put):
    thunk = scenes._evaluation("subgradient", "l1", put)
    thunk()
    return thunk


def slower(monkeypatch, text):
    """The subgradient does something more: ``text``, compiled as if it stood in lionk."""
    kind = type(lionk.K("l1"))
    space = {"first": kind.subgradient}
    source = f"def subgradient(self, x):\n    {text}\n    return first(self, x)"
    exec(compile(source, lionk.__file__, "exec"), space)
    monkeypatch.setattr(kind, "subgradient", space["subgradient"])


@pytest.mark.parametrize("text", ["isinstance(x, str)", "sorted([2, 1])", "getattr(x, 'dtype')"])
def test_a_look_up_at_the_door_is_a_call(monkeypatch, text):
    before = counting.work(subgradient(np.asarray))
    slower(monkeypatch, text)
    after = counting.work(subgradient(np.asarray))
    assert after.calls > before.calls
    assert after.lines > before.lines


def test_a_loop_that_calls_nothing_is_lines(monkeypatch):
    before = counting.work(subgradient(np.asarray))
    slower(monkeypatch, "n = 0\n    for i in range(100):\n        n += i")
    assert counting.work(subgradient(np.asarray)).lines > before.lines + 200


@pytest.mark.parametrize("text", ["x = x + 0", "x = x.__array_namespace__().asarray(x, copy=True)", "x > 0"])
def test_a_copy_or_a_pass_is_an_operation_and_its_entries(monkeypatch, text):
    before = counting.arrays(subgradient(strict.asarray))
    slower(monkeypatch, text)
    after = counting.arrays(subgradient(strict.asarray))
    assert after == (before.operations + 1, before.entries + 6)


def test_what_the_libraries_do_by_themselves_is_not_counted():
    assert counting.work(lambda: np.linalg.svd(np.eye(3))) == (0, 0)
    assert counting.arrays(lambda: strict.asarray([1.0]) + 1) == (0, 0)


def test_temporaries_are_seen():
    x = np.zeros(1 << 16)
    assert counting.peak(lambda: x + 1) > x.nbytes > 10 * counting.peak(lambda: np.add(x, 1, out=x))


def test_bytes_that_pytorch_moves_are_seen():
    import torch

    x, y = torch.zeros(10), torch.zeros(10)
    count = {
        u: on_torch._moved(lambda: lambda: x.view(5, 2).add_(y.view(5, 2)), u, 10)
        for u in ("operations", "bytes per entry")
    }
    assert count == {"operations": 1, "bytes per entry": 8.0}


def test_a_loop_over_the_matrices_of_a_stack_is_seen():
    """As many calls for a hundred matrices as for five; a loop of Python over them would make more."""
    few, many = (counting.work(scenes._step("nuclear", np.asarray, shape=(n, 6, 3))) for n in (5, 100))
    assert few == many
    assert {s.case for s in scenes.scenes()} >= set(scenes.STACKS)


def test_what_is_compiled_again_for_another_optimizer_is_seen():
    made = []

    def make():
        made.append([])
        return lambda: made[-1].append(1)

    for when, expected in zip(steps.WHEN, ([[1]], [[1, 1, 1, 1]], [[1], [1]]), strict=True):
        made.clear()
        run = steps.ready(make, when)
        before = sum(map(len, made))
        run()
        assert made == expected and sum(map(len, made)) - before == (3 if when == "3 later steps" else 1)


def test_two_counts_of_one_thing_are_equal():
    for subject in scenes.EVALUATED:
        thunk = scenes._evaluation(subject, "top_k", np.asarray)
        thunk()
        assert counting.work(thunk) == counting.work(thunk)


@pytest.mark.parametrize("subject", ["K made", "step", "kkt_gap", "value", "subgradient", "certificate"])
def test_what_libraries_do_by_themselves_is_in_proportion(subject):
    """Counts leave it out, so one call of the standard library that makes a class, say, would not show in them."""
    calls = 0

    def profile(frame, event, _):
        nonlocal calls
        calls += event in ("call", "c_call")

    for scene in (s for s in scenes.scenes() if s.subject == subject):
        thunk = scene.make(np.asarray)
        thunk(), thunk()
        calls, own = 0, counting.work(thunk).calls
        sys.setprofile(profile)
        try:
            thunk()
        finally:
            sys.setprofile(None)
        assert own < calls < (2 if subject == "K made" else 6) * own, scene


def test_a_rate_is_of_one_iterate():
    scene = next(s for s in scenes.scenes() if s.rate)
    thunk = scene.make(np.asarray)
    thunk(2)
    assert counting.work(lambda: thunk(12)).calls > counting.work(lambda: thunk(2)).calls + 5 * parts._each(
        scene, "calls"
    )


def test_names_are_unique_and_every_part_is_listed():
    assert {*counts.PARTS, "ratios"} == set(parts.PARTS)
    names = [(c.subject, c.case, c.unit) for make in parts.PARTS.values() for c in make()]
    assert len(names) == len(set(names)) > 1800
    assert {c.needs for make in parts.PARTS.values() for c in make()} <= {"", "python", *counts.LIBRARIES}


KEYS = [("steps", "step", "l1", "calls"), ("jax", "moved by jax", "l1", "fusions"), ("steps", "step", "l2", "calls")]


def made(*values, **versions):
    every = {"python": "3.11", "jax": "0.10"} | versions
    needs = dict(zip(KEYS, ("python", "jax", "python"), strict=True))
    return counts.Counts(every, dict(zip(KEYS, values, strict=False)), needs)


def test_growth_new_and_lost_counts_are_red_and_smaller_ones_are_not():
    found = counts.compare(made(10, 2, 5), made(11, 1, 5), counts.PARTS)
    assert found.grew == [("step, l1: calls", "10", "11")]
    assert found.fell == [("moved by jax, l1: fusions", "2", "1")]
    assert found.same == 1
    assert counts.compare(made(10, 2), made(10, 2, 5), counts.PARTS).grew == [("step, l2: calls", "not recorded", "5")]
    lost = made(10, 2)
    lost.errors[KEYS[2]] = "TypeError: no"
    assert counts.compare(made(10, 2, 5), lost, counts.PARTS).grew == [("step, l2: calls", "5", "TypeError: no")]


def test_counts_of_other_versions_and_of_what_is_not_here_are_not_compared():
    found = counts.compare(made(10, 2, 5), made(10, 3, 5, jax="0.11"), counts.PARTS)
    assert (found.grew, found.left) == ([], {"recorded on jax 0.10, here is 0.11": 1})
    without = counts.Counts({"python": "3.11"}, {KEYS[0]: 10}, {KEYS[0]: "python"}, absent={"jax": "no jax"})
    assert counts.compare(made(10, 2), without, counts.PARTS).left == {"no jax": 1}
    assert counts.compare(made(10, 2), made(10), ["steps"]).grew == []


def test_a_record_is_read_as_it_was_written_and_other_parts_stay(tmp_path):
    path = tmp_path / "counts.json"
    counts.write(path, made(10, 2.5, 5))
    assert counts.read(path).values == made(10, 2.5, 5).values
    counts.write(path, made(7))
    assert counts.read(path).values == {KEYS[0]: 7, KEYS[1]: 2.5}


def test_the_command_prints_records_and_checks(tmp_path):
    path = tmp_path / "counts.json"
    done = lk("bench", "--record", "--only", "conform", "--file", str(path))
    assert done.exit_code == 0, done.output
    record = json.loads(path.read_text())
    assert record["conform"]["conform: level 1, numpy"]["steps"] > 50
    done = lk("bench", "--counts", "--check", "--only", "conform", "--file", str(path))
    assert (done.exit_code, "no count grew; 1 are the same" in done.output) == (0, True), done.output
    record["conform"]["conform: level 1, numpy"]["steps"] -= 1
    path.write_text(json.dumps(record))
    done = lk("bench", "--counts", "--check", "--only", "conform", "--file", str(path))
    assert done.exit_code == 1
    assert "conform, level 1, numpy: steps" in done.stdout
    assert "1 counts grew" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--only", "step"), "choose one of arrays"),
        (("--check", "--record"), "give one of them"),
        (("--check", "--file", "no.json"), "no.json cannot be read"),
    ],
)
def test_bad_input(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = lk("bench", "--counts", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr


def test_damaged_records_are_named(tmp_path):
    path = tmp_path / "counts.json"
    for text in ("{", "[]", "{}", '{"versions": {}, "steps": 3}'):
        path.write_text(text)
        done = lk("bench", "--counts", "--check", "--file", str(path))
        assert done.exit_code == 2
        assert "is no record of counts" in done.stderr


def test_a_part_that_breaks_says_so(monkeypatch, tmp_path):
    broken = tmp_path / "worker.py"
    broken.write_text("raise SystemExit('no such thing')")
    monkeypatch.setattr(counts, "WORKER", broken)
    done = lk("bench", "--counts", "--only", "steps")
    assert done.exit_code == 1
    assert "the part steps could not be counted: no such thing" in done.stderr


def test_a_step_has_another_rate_each_time():
    step = steps.Stepped("numpy", "tiles", [5])
    before = step.x[0].copy()
    step()
    first = np.max(np.abs(step.x[0] - before))
    before = step.x[0].copy()
    step()
    assert np.max(np.abs(step.x[0] - before)) < first


def test_a_run_that_is_over_before_its_iterates_are_counted_is_refused():
    """Its count would be 0, now and after every slow-down."""
    rates = {s.case: s for s in scenes.scenes() if s.subject == "iterate of minimize"}
    assert all(parts._each(rates[K], "calls") > 100 for K in ("l2", "nuclear"))
    done = rates["l2"]._replace(make=lambda put: scenes._iterates("l2", {}, put))
    with pytest.raises(ValueError, match="over before 30"):
        parts._each(done, "calls")
