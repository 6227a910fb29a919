"""Sums of scaled entries, made beside their scale: right where they are, made again where they are not."""

from __future__ import annotations

import warnings

import array_api_compat.numpy as xp
import numpy as np
import pytest

import lionk
from lionk.backend.protocol import reference_runner
from lionk.recording.passes import Replay
from lionk.recording.record import step_program

NAMES = ["l2", "lp", "log_sum_exp", "row_l1_l2", "col_l1_l2"]
SHAPE = (20, 30)


@pytest.fixture(autouse=True)
def short(small_tiles):
    """Arrays of several tiles."""


def readout(kind: str) -> np.ndarray:
    r = np.random.default_rng(0).normal(size=SHAPE)
    if kind in ("tiny", "small", "large", "huge"):
        return r * {"tiny": 1e-38, "small": 1e-20, "large": 1e18, "huge": 3e37}[kind]
    r *= kind != "zero"
    if kind in ("one large", "inf", "nan"):
        r[3, 4] = {"one large": 1e30, "inf": np.inf, "nan": np.nan}[kind]
    return r


@pytest.mark.parametrize("kind", ["plain", "tiny", "small", "large", "huge", "zero", "one large", "inf", "nan"])
@pytest.mark.parametrize("name", NAMES)
def test_steps_are_those_of_the_reference(way, name, kind):
    """Whatever the scale of the readout, and without a warning where the reference gives none."""
    library = lionk.backends()[way[0]]
    opt = lionk.LionK(name, lr=1.0, weight_decay=0.5, betas=(0.5, 0.5))
    m = readout(kind)
    given = [library.asarray(a, dtype="float32") for a in (np.zeros(SHAPE), m, np.zeros(SHAPE))]
    copies = [library.asarray(a) for a in given]
    with warnings.catch_warnings():
        warnings.simplefilter("error" if kind not in ("inf", "nan", "huge") else "ignore")
        want = reference_runner(opt)(*copies)
        got = library.runner(opt, way[1])(*given)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(library.to_host(a), library.to_host(b), rtol=3e-6, atol=1e-7)


@pytest.mark.parametrize("runner", ["tiles", "numba"])
@pytest.mark.parametrize(("scale", "passes"), [(1.0, 2), (1e30, 3), (1e-30, 3)])
def test_the_second_pass_is_made_where_the_sum_is_not_sure(monkeypatch, runner, scale, passes):
    library = lionk.backends()["numpy"]
    if runner not in library.runners():
        pytest.skip("numba is not installed; pip install 'lionk[numba]'")
    made, tasks = [], Replay._tasks
    monkeypatch.setattr(Replay, "_tasks", lambda self, k, *a: made.append(k) or tasks(self, k, *a))
    m = (scale * np.random.default_rng(0).normal(size=300)).astype("float32")
    library.runner(lionk.LionK("l2", lr=1.0), runner)(0 * m, m, 0 * m)
    assert len(made) == passes


def test_only_sums_of_scaled_entries_are_made_beside_their_scale():
    def passes(name, guesses):
        opt, f4 = lionk.LionK(name, lr=1.0, weight_decay=0.5), np.dtype("float32")
        program = step_program(opt, opt.K, xp, (f4,) * 3, (300,), guesses)
        return [len(p.targets) for p in program.passes()]

    assert passes("l2", False) == [1, 1, 2]
    assert passes("l2", True) == passes("lp", True) == passes("log_sum_exp", True) == [2, 1, 2]
    assert passes("linf", True) == passes("linf", False)
