"""Checkpoints: exact, whole or not at all, and clear about what is wrong."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from typing import Any, NamedTuple

import array_api_strict as strict
import dask.array as da
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import lionk
from lionk.arrays.containers import named_leaves
from lionk.backend.discovery import backend_of
from lionk.backend.protocol import dtype_name
from lionk.checkpoint.file import check, load, save


class Pair(NamedTuple):
    first: Any
    second: Any


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.lionk"


def _same(a: Any, b: Any) -> None:
    """Equal containers; arrays of one library, dtype and shape, equal to the bit."""
    assert [p for p, _ in named_leaves(a)] == [p for p, _ in named_leaves(b)]
    for (where, u), (_, v) in zip(named_leaves(a), named_leaves(b), strict=True):
        if not hasattr(u, "shape"):
            assert repr(u) == repr(v), where
            continue
        one, two = backend_of(u), backend_of(v)
        assert (one.name, dtype_name(u), tuple(u.shape)) == (two.name, dtype_name(v), tuple(v.shape)), where
        np.testing.assert_array_equal(one.to_bits(u), two.to_bits(v), err_msg=where)


def _numpy() -> dict[str, Any]:
    import ml_dtypes

    a = np.random.default_rng(0).normal(size=(3, 4))
    return {
        **{d: a.astype(d) for d in ("float16", "float32", "float64", "complex64", "complex128", "int8", "bool")},
        "bfloat16": a.astype(ml_dtypes.bfloat16),
        "float8": a.astype(ml_dtypes.float8_e4m3fn),
        "longdouble": a.astype(np.longdouble),
        "0-d": np.asarray(1.5),
        "0-d complex": np.asarray(1 + 2j),
        "scalar": np.float32(3.0),
        "empty": np.zeros((0, 3)),
        "empty complex": np.zeros((2, 0), np.complex64),
        "transposed": a.T,
        "strided": a[::-1, ::2],
        "special": np.asarray([math.nan, -math.nan, math.inf, -0.0, 5e-324]),
    }


def _torch() -> dict[str, Any]:
    a = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    return {
        **{n: a.to(getattr(torch, n)) for n in ("float16", "bfloat16", "float32", "float64", "complex64", "bool")},
        "0-d": torch.tensor(1.5, dtype=torch.bfloat16),
        "empty": torch.zeros(0, 3),
        "transposed": a.T,
        "strided": a[:, ::2],
        "conjugated": torch.tensor([1 + 2j]).conj(),
        "parameter": torch.nn.Parameter(a),
    }


def _jax() -> dict[str, Any]:
    a = jnp.arange(12.0).reshape(3, 4)
    names = ("float16", "bfloat16", "float32", "complex64", "bool", "uint8")
    return {**{n: a.astype(n) for n in names}, "0-d": jnp.asarray(1.5), "empty": jnp.zeros((0, 3)), "T": a.T}


def _strict() -> dict[str, Any]:
    return {"a": strict.asarray([[1.0, 2.0]]), "0-d": strict.asarray(1.5), "c": strict.asarray([1 + 2j])}


LIBRARIES = {"numpy": _numpy, "torch": _torch, "jax": _jax, "strict": _strict, "dask": lambda: {"a": da.ones((4, 4))}}


@pytest.mark.parametrize("name", list(LIBRARIES))
def test_every_array_survives(name, path):
    tree = LIBRARIES[name]()
    save(path, tree)
    _same(load(path, like=tree)[0], tree)
    if name != "strict":  # has no backend of its own
        _same(load(path)[0], tree)


def test_strict_needs_a_counterpart(path):
    save(path, _strict())
    with pytest.raises(ValueError, match=r"array_api_strict.*pass like="):
        load(path)
    tree, _ = load(path, like=lionk.backends()["torch"])
    assert tree["a"].tolist() == [[1.0, 2.0]]


def test_devices_are_kept(path):
    x = strict.asarray([1.0], device=strict.Device("device1"))
    save(path, x)
    assert load(path, like=x)[0].device == strict.Device("device1")


def test_containers_survive(path):
    tree = {
        "p": Pair(np.ones(2), [1, (2.5, None, "text", True)]),
        3: {},
        "l": [],
        "a": {"b": np.zeros(1)},
        "a.b": np.ones(1),
    }
    save(path, tree)
    back, meta = load(path, like=tree)
    _same(back, tree)
    assert (type(back["p"]), meta) == (Pair, {})
    loose, _ = load(path)  # without like: a NamedTuple of that name
    assert (type(loose["p"]).__name__, loose["p"]._fields) == ("Pair", ("first", "second"))
    assert (loose["a"]["b"].tolist(), loose["a.b"].tolist()) == ([0], [1])


def test_a_lone_array_and_no_array(path):
    for tree in (np.ones(2), {"count": 3}, None):
        save(path, tree, {"k": 1})
        back, meta = load(path)
        _same(back, tree)
        assert meta == {"k": 1}


def test_metadata_is_exact(path):
    rng = random.Random(0)
    floats = [
        0.1 + 0.2,
        5e-324,
        -0.0,
        1.7976931348623157e308,
        *(rng.gauss(0, 1) * 10 ** rng.randint(-300, 300) for _ in range(99)),
    ]
    meta = {
        "floats": floats,
        "nan": math.nan,
        "inf": (math.inf, -math.inf),
        "int": 2**80,
        "K": {"name": "box", "w": np.ones(2)},
    }
    save(path, {}, meta)
    _, back = load(path)
    assert [f.hex() for f in back["floats"]] == [f.hex() for f in floats]
    assert math.isnan(back["nan"])
    _same({**back, "floats": 0}, {**meta, "floats": 0})


def test_metadata_larger_than_a_header(path):
    """The header of the format ends at 100 MB; a long history must not make a file that cannot be read."""
    text = "x" * 101_000_000
    save(path, {}, {"text": text})
    assert load(path)[1]["text"] == text


def test_other_readers_see_the_arrays(path):
    from safetensors.numpy import load_file

    save(path, {"w": {"a": np.float32([1, 2])}, "z": np.asarray([1 + 2j])}, {"lr": 0.1})
    seen = load_file(str(path))
    assert seen["w.a"].tolist() == [1, 2]
    assert seen["z"].tolist() == [[1, 2]]
    assert json.loads(seen["lionk.json"].tobytes())["meta"] == {"dict": [["lr"], [0.1]]}


def test_like_a_backend(path):
    save(path, {"a": np.float32([1, 2])}, {"w": np.float32([3])})
    tree, meta = load(path, like=lionk.backends()["torch"], device="cpu")
    assert isinstance(tree["a"], torch.Tensor)
    assert isinstance(meta["w"], torch.Tensor)
    save(path, np.ones(1))
    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        load(path, like=lionk.backends()["jax"])


@pytest.mark.parametrize(
    ("like", "what"),
    [
        ({"a": np.ones(2)}, r"dict with \['a', 'b'\] at the top, where like has a dict with \['a'\]"),
        ({"a": np.ones(3), "b": [1]}, r"shape \(2,\) at a, where like has a float64 array of shape \(3,\)"),
        ({"a": np.ones(2, np.float32), "b": [1]}, "float64 array .* where like has a float32"),
        ({"a": 1, "b": [1]}, "where like has a int"),
        ({"a": np.ones(2), "b": (1,)}, r"list with \[0\] at b, where like has a tuple"),
        ({"a": np.ones(2), "b": [np.ones(1)]}, r"a int at b.0, where like has a float64 array"),
        (np.ones(2), "where like has a float64 array"),
    ],
)
def test_like_must_match(path, like, what):
    save(path, {"a": np.ones(2), "b": [1]})
    with pytest.raises(ValueError, match=what) as error:
        load(path, like=like)
    assert str(path) in str(error.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("kind", ["directory", "pipe", "link"])
def test_only_a_file_is_replaced(kind, path, tmp_path):
    other = {"directory": tmp_path, "pipe": path, "link": tmp_path / "latest"}[kind]
    os.mkfifo(path)
    (tmp_path / "latest").symlink_to(path)
    before, mode = os.listdir(tmp_path), os.stat(other).st_mode
    for call in (lambda: save(other, {}), lambda: check(other)):
        with pytest.raises(OSError, match=rf"^{other} is a directory, a device or a pipe, where"):
            call()
    assert (os.listdir(tmp_path), os.stat(other).st_mode) == (before, mode)


def test_a_folder_that_takes_no_file(path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none for the checkpoint run\.lionk"):
        check(path.parent / "none" / path.name)
    link = path.parent / "latest"
    link.symlink_to(path.parent / "none" / path.name)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none for"):
        check(link)
    monkeypatch.setattr(os, "access", lambda *_: False)  # whoever runs this may write everywhere
    with pytest.raises(PermissionError, match=r"of the checkpoint run\.lionk is read-only"):
        check(path)


def test_a_check_writes_nothing(path):
    check(path)
    assert os.listdir(path.parent) == []
    save(path, {"a": 1})
    check(path)
    assert load(path)[0] == {"a": 1}


@pytest.mark.parametrize("bad", [{"a": object()}, {"a": {1, 2}}, {"a": [lambda: 0]}])
def test_what_cannot_be_saved(path, bad):
    save(path, {"a": 1})
    with pytest.raises(TypeError, match=r"^a.* is a (object|set|function)"):
        save(path, bad)
    assert load(path)[0] == {"a": 1}


def test_missing_file(path):
    with pytest.raises(FileNotFoundError, match=r"run\.lionk"):
        load(path)


def test_damaged_files(path):
    """Every cut, and every changed byte tried, is one clear error; never a wrong array."""
    save(path, {"a": np.arange(50.0)}, {"lr": 0.1})
    good = path.read_bytes()
    rng = random.Random(0)
    damaged = [good[:n] for n in (0, 1, 7, 8, 20, len(good) // 2, len(good) - 1)]
    damaged += [good + b"x", b"PK\x03\x04" * 99, b"\xff" * 99]
    for _ in range(150):
        i = rng.randrange(len(good))
        damaged.append(good[:i] + bytes([good[i] ^ 1 << rng.randrange(8)]) + good[i + 1 :])
    accepted = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            tree, meta = load(path)
        except ValueError as error:
            assert str(path) in str(error), error  # noqa: PT017
        else:  # the header may say the same in other bytes, such as other white space
            accepted += 1
            assert (tree["a"].tolist(), meta) == (list(range(50)), {"lr": 0.1})
    assert accepted < 5


def test_foreign_safetensors(path):
    from safetensors.numpy import save_file

    save_file({"a": np.ones(2)}, str(path))
    with pytest.raises(ValueError, match="no lionk checkpoint"):
        load(path)


def test_without_safetensors(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (lambda: save(path, {}), lambda: load(path)):
        with pytest.raises(ImportError, match=r"pip install 'lionk\[cli\]'"):
            call()


# -- whole or not at all -------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    save(path, {"a": 1})
    monkeypatch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        save(path, {"a": 2})
    monkeypatch.undo()
    assert load(path)[0] == {"a": 1}
    assert os.listdir(path.parent) == [path.name]


def test_the_disk_is_asked_before_the_name_changes(path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, real=real: (calls.append(name), real(*a))[1])
    save(path, {})
    assert calls == ["fsync", "replace", "fsync"]


def test_a_link_stays_a_link(path, tmp_path):
    link = tmp_path / "latest"
    save(path, {"a": 1})
    link.symlink_to(path)
    save(link, {"a": 2})
    assert link.is_symlink()
    assert load(path)[0] == {"a": 2}


def test_permissions_are_those_of_any_new_file(path, tmp_path):
    save(path, {})
    other = tmp_path / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


WRITER = """
import sys, numpy as np
from lionk.checkpoint.file import save
n = int(sys.argv[2])
while True:
    n += 1
    save(sys.argv[1], {"x": np.full(500_000, float(n))}, {"n": n})
    print(n, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a signal of POSIX systems")
def test_a_killed_writer_leaves_a_whole_file(path):
    """What was reported written, or newer, is there after every kill; leftovers go at the next save."""
    rng, n, killed_inside = random.Random(0), 0, 0
    for attempt in range(40):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(n)], stdout=subprocess.PIPE, text=True
        ) as p:
            n = int(p.stdout.readline())
            while attempt % 4 and len(os.listdir(path.parent)) == 1:  # three times of four: until a write has begun
                pass
            time.sleep(rng.uniform(0, 0.003))
            p.send_signal(signal.SIGKILL)
            n = max([n, *(int(line) for line in p.stdout if line.endswith("\n"))])
        tree, meta = load(path)
        assert meta["n"] >= n
        n = meta["n"]
        assert tree["x"].tolist()[::99_999] == [float(n)] * 6
        left = [f for f in os.listdir(path.parent) if f != path.name]
        assert len(left) <= 1  # the ones before were removed
        killed_inside += len(left)
        if killed_inside == 4:
            break
    assert killed_inside == 4, "too few kills came while a file was being written: the test shows nothing"
    save(path, {"x": np.ones(1)})
    assert os.listdir(path.parent) == [path.name]


def test_a_living_writers_file_is_left_alone(path, tmp_path):
    import socket

    mine = tmp_path / f".{path.name}.{socket.gethostname()}.{os.getpid()}.0.tmp"
    elsewhere = tmp_path / f".{path.name}.other-host.1.0.tmp"
    for f in (mine, elsewhere):
        f.touch()
    save(path, {})
    assert mine.exists()
    assert elsewhere.exists()
