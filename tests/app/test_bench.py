"""`lionk bench` and what it measures: no test of a time, only of what is compared with what."""

from __future__ import annotations

import json
import math
import time
from functools import partial

import numpy as np
import pytest

import lionk
from command_line import lk
from lionk.app.bench import command as bench
from lionk.app.bench import overhead, speed

EAGER = ("numpy", "numpy with numba", "torch", "torch optimizer", "numpy reference")


@pytest.fixture(autouse=True)
def _small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(speed, "MATRIX", (24, 96))
    monkeypatch.setattr(
        speed, "SHAPES", {"2^24": [(64, 5)], "GPT-2": [(7,), (3, 4)], "ResNet-50": [(5,)], "2,000 x 100": [(10,)] * 20}
    )


@pytest.fixture
def eager(monkeypatch):
    """No compilers, which take seconds, and nobody else's library."""
    cases = bench.cases
    monkeypatch.setattr(bench, "cases", lambda group: {k: v for k, v in cases(group).items() if k in EAGER})
    monkeypatch.setattr(bench.options, "WAYS", {"eager": False})


def test_one_run_writes_ratios_to_the_limit(eager):
    done = lk("bench", "--json", "b.json", "--plot", "b.png", "--seconds", "0.1")
    assert done.exit_code == 0, done.output
    with open("b.json", encoding="utf-8") as file:
        found = json.load(file)
    assert {"processor", "threads", "numpy", "torch"} <= set(found["machine"])
    groups = {r["group"] for r in found["rows"]}
    assert groups == set(bench.GROUPS)
    options = {r["name"]: r for r in found["rows"] if r["group"] == bench.OPTIONS}
    assert options["bfloat16, Kahan: eager"]["aim"] == 2.5 and options[bench.LIMIT]["ratio"] == 1
    for group in groups - {speed.POLAR, bench.OPTIONS}:
        rows = {r["name"]: r for r in found["rows"] if r["group"] == group}
        assert {bench.LIMIT, "numpy", "torch"} <= set(rows)
        for r in rows.values():
            assert r["ms"] > 0 < r["ratio"]
        assert rows[bench.LIMIT]["ratio"] == 1
    polar = {r["name"].partition(" (")[0]: r for r in found["rows"] if r["group"] == speed.POLAR}
    assert polar["torch.optim.Muon"]["ratio"] == 1
    errors = {name: float(r["name"].partition("(error ")[2].strip(")")) for name, r in polar.items()}
    assert errors["newton_schulz"] <= errors["torch.optim.Muon"], "a comparison at a larger error"
    assert max(errors["svd"], errors["newton_schulz, to rounding"]) < 1e-4
    with open("b.png", "rb") as file:
        assert file.read(4) == b"\x89PNG"


@pytest.mark.parametrize("group", [bench.OPTIONS, speed.POLAR])
def test_a_table_that_needs_pytorch_says_so(eager, monkeypatch, group):
    def missing(*_):
        raise NotImplementedError("torch is not installed")

    monkeypatch.setattr(bench.options, "steps", missing)
    monkeypatch.setattr(speed, "polar_factors", dict)
    done = lk("bench", "--only", group, "--seconds", "0.1")
    assert done.exit_code == 0 and "left out. It needs PyTorch: pip install 'lionk[torch]'" in done.output


def test_busy_processes_end_with_the_times(eager, monkeypatch):
    from lionk.app.bench import busy

    started, popen = [], busy.subprocess.Popen
    monkeypatch.setattr(busy.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    done = lk("bench", "--only", "GPT-2", "--busy", "2", "--json", "-", "--seconds", "0.1")
    assert json.loads(done.stdout)["machine"]["busy processes"] == 2
    assert len(started) == 2 and all(one.returncode for one in started)


def test_one_table_alone(eager):
    done = lk("bench", "--only", "GPT-2", "--json", "-", "--seconds", "0.1")
    assert {r["group"] for r in json.loads(done.stdout)["rows"]} == {"GPT-2"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--only", "GPT-3"), "choose one of 2^24"),
        (("--plot", "b.txt"), ".png"),
        (("--json", "no/b.json"), "no/b.json"),
    ],
)
def test_bad_input(arguments, says):
    done = lk("bench", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr


def test_every_step_moves_the_same_numbers():
    """NumPy and PyTorch work on one memory, and a step of each is a step of Lion."""
    for library, name in (("numpy", "tiles"), ("torch", "tiles"), ("jax", "jit")):
        arrays = speed.Arrays([(8, 5), (3,)])
        before = [[a.copy() for a in column] for column in arrays.lists]
        kept = arrays.on(library)
        step = speed.runner(arrays, library, name)
        step()
        want = lionk.backends()["numpy"].runner(lionk.LionK("l1", speed.LR, weight_decay=speed.DECAY), "reference")
        x, _ = want(*before)
        if library != "jax":
            for a, b in zip(arrays.lists[0], x, strict=True):
                np.testing.assert_array_equal(a, b)
            assert np.shares_memory(np.asarray(kept[0][0]), arrays.flat[0])


@pytest.mark.parametrize("numba", [True, False])
def test_the_limit_reads_three_arrays_and_writes_two(monkeypatch, numba):
    if not numba:
        monkeypatch.setattr(speed, "find_spec", lambda name: None)
    arrays = speed.Arrays([(100,)])
    x, m, grad = (a.copy() for a in arrays.flat)
    speed.limit(arrays)()
    for got, want in zip(arrays.flat, (x + grad, m + grad, grad), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("model", "tensors", "entries"), [("GPT-2", 148, 124439808), ("ResNet-50", 161, 25557032)])
def test_a_model_has_its_tensors(monkeypatch, model, tensors, entries):
    monkeypatch.undo()
    shapes = speed.SHAPES[model]
    assert (len(shapes), sum(map(math.prod, shapes))) == (tensors, entries)


def test_arrays_lie_apart_in_memory():
    x = speed.Arrays([(100,), (3,), (5, 5)]).lists[0]
    starts = [a.__array_interface__["data"][0] for a in x]
    assert all(b - a > v.nbytes and (b - a) % 64 == 0 for a, b, v in zip(starts, starts[1:], x, strict=False))


@pytest.mark.parametrize("name", speed.PEERS)
def test_a_peer_steps_or_is_skipped(name):
    arrays = speed.Arrays([(8, 5), (3,)])
    before = arrays.flat[0].copy()
    try:
        step = speed.peer(arrays, name)
    except NotImplementedError as error:
        pytest.skip(str(error))
    step()
    if name != "optax":  # JAX has arrays of its own
        assert np.max(np.abs(arrays.flat[0] - before)) >= speed.LR / 2


def test_a_missing_library_is_a_skip(monkeypatch):
    arrays = speed.Arrays([(8,)])
    with pytest.raises(NotImplementedError):
        speed.runner(arrays, "cupy", "no such runner")
    monkeypatch.setattr(speed, "find_spec", lambda name: None)
    for name in speed.PEERS:
        with pytest.raises(NotImplementedError, match="peers"):
            speed.peer(arrays, name)


def test_neighbours_are_compared(monkeypatch):
    """The machine is fast and slow in turns: times are of both, ratios of what was measured side by side."""
    now, calls = [0.0], []
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(speed, "_idle", lambda seconds: None)

    def step(name, cost):
        def run():
            calls.append(name)
            now[0] += cost * (2 if len(calls) % 3 == 0 else 1)

        return run

    found = speed.timings({"limit": step("limit", 1.0), "other": step("other", 3.0)}, 0.0, least=9)
    assert calls == ["limit", "other"] * 10, "one to compile, then pairs"
    assert found["limit"] == (1.0, 1.0)
    assert found["other"] == (3.0, 3.0)


def test_short_steps_are_made_more_often():
    calls = []
    steps = {name: partial(calls.append, name) for name in ("limit", "short")}
    speed.timings(steps | {"long": lambda: (time.sleep(speed.TURN), calls.append("long"))}, 0.0, least=2)
    assert calls.count("long") == 1 + 2 * 1
    assert calls.count("short") == 1 + 1 + 8


def test_overheads_are_ratios_to_the_same_arithmetic(monkeypatch):
    """Of a call that does the same ten times, in turns of many calls, and of one that is a run of many steps."""

    def once():
        return sum(range(300))

    def ten_times():
        for _ in range(10):
            once()

    monkeypatch.setattr(overhead, "run", lambda: (ten_times, once))
    rows = [("a call", "itself", "3 times", lambda: (ten_times, once)), ("a run", "itself", "2 us", overhead.run)]
    monkeypatch.setattr(overhead, "ROWS", rows)
    done = lk("bench", "--overhead", "--seconds", "0.1", "--json", "-")
    assert done.exit_code == 0, done.output
    call, run = json.loads(done.stdout)["overhead"]
    assert 5 < call["ratio"] < 20 and 5 < run["ratio"] < 20
    assert call["microseconds"] > 100 * run["microseconds"], "a run is counted by its steps"


def test_the_tables_of_the_solver():
    done = lk("bench", "--solver", "--quick", "--json", "-")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert all(r["certified"] == r["problems"] for r in found["rows"]) and found["times_lbfgsb"] > 0
    main = next(r for r in found["rows"] if "lam = 1," in r["name"])
    assert main["median"] <= 80
    assert lk("bench", "--solver", "--only", "2^24").exit_code == 2
