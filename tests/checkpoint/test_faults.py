"""Checkpoints stay as private as they were, long names work, and crafted files are refused by name."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import lionk
from lionk.checkpoint import file as checkpoint
from lionk.solver.progress import check

TREE = {"x": np.arange(3.0), "z": [np.ones(2, dtype=np.complex64), None, 1.5]}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "run.st"


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX systems")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_checkpoint_keeps_the_mode_of_the_file_that_it_replaces(path, mode) -> None:
    checkpoint.save(path, TREE)
    path.chmod(mode)
    checkpoint.save(path, TREE)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert checkpoint.load(path)[0]["x"].tolist() == [0, 1, 2]


def test_every_name_that_the_file_system_takes_can_be_saved(tmp_path) -> None:
    for name in ("x" * 240, "x" * 255, "ä" * 120):
        checkpoint.check(tmp_path / name, TREE)
        checkpoint.save(tmp_path / name, TREE)
        checkpoint.save(tmp_path / name, TREE)
        assert sorted(os.listdir(tmp_path)) == [name]
        (tmp_path / name).unlink()
    with pytest.raises(OSError, match="too long"):
        checkpoint.check(tmp_path / ("x" * 256))


def _crafted(path: Path, change) -> None:
    """The file with another content and a checksum that is right for it."""
    arrays = safetensors.numpy.load_file(path)
    content = json.loads(arrays[checkpoint.CONTENT].tobytes())
    content = change(content, arrays) or content
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    arrays[checkpoint.CONTENT] = np.frombuffer(text, dtype="uint8")
    header = {"format": checkpoint.FORMAT, "crc32": str(checkpoint._checksum(arrays))}
    path.write_bytes(safetensors.numpy.save(arrays, metadata=header))


def _deep(content, _):
    node = 0
    for _ in range(400):
        node = [node]
    content["tree"] = node
    return json.dumps(content).replace("[" * 400, "[" * 40_000).encode()


CHANGES = {
    "no JSON": lambda c, a: b"{",
    "no UTF-8": lambda c, a: b"\xff\xfe\xfa",
    "a list": lambda c, a: [1],
    "no tree": lambda c, a: {"meta": {}},
    "another array's name": lambda c, a: {**c, "tree": {"array": ["y", "numpy", "float64", [3]]}},
    "two keys": lambda c, a: {**c, "tree": {"array": 1, "dict": 2}},
    "no keys": lambda c, a: {**c, "tree": {}},
    "an unknown kind": lambda c, a: {**c, "tree": {"set": [1]}},
    "an array of a number": lambda c, a: {**c, "tree": {"array": 5}},
    "another shape": lambda c, a: {**c, "tree": {"array": ["x", "numpy", "float64", [2]]}},
    "a negative shape": lambda c, a: {**c, "tree": {"array": ["x", "numpy", "float64", [-1]]}},
    "another dtype": lambda c, a: {**c, "tree": {"array": ["x", "numpy", "int64", [3]]}},
    "no dtype": lambda c, a: {**c, "tree": {"array": ["x", "numpy", "nothing", [3]]}},
    "another library": lambda c, a: {**c, "tree": {"array": ["x", "nothing", "float64", [3]]}},
    "a float of no hex": lambda c, a: {**c, "tree": {"float": "zz"}},
    "a tuple of a number": lambda c, a: {**c, "tree": {"tuple": 3}},
    "a dict of too few": lambda c, a: {**c, "tree": {"dict": [["a", "b"], [1]]}},
    "an unhashable key": lambda c, a: {**c, "tree": {"dict": [[[1]], [1]]}},
    "a namedtuple of no name": lambda c, a: {**c, "tree": {"namedtuple": ["1x", ["a b"], [1]]}},
    "too deep": _deep,
}


@pytest.mark.parametrize("name", CHANGES)
def test_crafted_files_are_refused_by_name(path, name) -> None:
    checkpoint.save(path, TREE, {"n": 1})
    _crafted(path, CHANGES[name])
    with pytest.raises(ValueError, match=r"run\.st"):
        checkpoint.load(path)


def test_metadata_that_are_no_dict(path) -> None:
    checkpoint.save(path, TREE)
    _crafted(path, lambda c, a: {**c, "meta": 3})
    with pytest.raises(ValueError, match="metadata are a int"):
        checkpoint.metadata(path)


def _run(path, **given):
    return lionk.minimize(
        lambda x: (float(x @ x), 2 * x),
        np.ones(2),
        K="l1",
        weight_decay=1.0,
        jac=True,
        tol=0.0,
        checkpoint=path,
        **given,
    )


def test_runs_are_not_resumed_from_crafted_metadata(path) -> None:
    _run(path, maxiter=3)
    original = path.read_bytes()
    meta = checkpoint.metadata(path)
    check(path, meta)
    for name in meta:
        for wrong in ("abc", [1], {"a": 1}, None, [["x"]]):
            if (name, wrong) == ("rule", None) or name == "settings":
                continue
            path.write_bytes(original)

            def change(content, _, name=name, wrong=wrong):
                keys, values = content["meta"]["dict"]
                values[keys.index(name)] = wrong if not isinstance(wrong, dict) else {"dict": [["a"], [1]]}

            _crafted(path, change)
            with pytest.raises(ValueError, match=r"run\.st"):
                _run(path, maxiter=5, resume=True)
    path.write_bytes(original)
    assert _run(path, maxiter=5, resume=True).nit >= 3
