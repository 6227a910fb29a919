"""``check_K`` and its report. That all names pass on NumPy is tests/functions/test_functions.py::test_properties."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

import lionk
from command_line import lk
from lionk.checking import BROKEN, DoesNotApply
from lionk.checking.altered import altered
from turns import FULL

if FULL:
    from cells import CELLS
else:
    CELLS = []  # they are thousands

HANDFUL = ["l1", "huber", "log_cosh", "exp", "top_k", "log_sum_exp", "l2", "nuclear", "row_l1_l2", "lambda_max"]
LIBRARIES = ["array_api_strict", "torch", "jax"]
BY_TURNS = LIBRARIES[:2]  # all names on both of them, and on JAX, which compiles every operation, with LIONK_FULL=1
ON_JAX = ["huber"]


def _library(name):
    return name if name in lionk.backends() else __import__(name)


@pytest.mark.parametrize(
    ("name", "xp"),
    [
        pytest.param(
            name, xp, marks=[] if xp == BY_TURNS[i % 2] or (xp == "jax" and name in ON_JAX) else pytest.mark.slow
        )
        for i, name in enumerate(HANDFUL)
        for xp in LIBRARIES
    ],
)
def test_a_handful_of_names(name, xp):
    report = lionk.check_K(name, _library(xp), dtype="float32" if xp == "jax" else "float64")
    assert report.ok, str(report)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("case", "xp", "dtype"), CELLS, ids=lambda v: getattr(v, "id", v))
def test_every_cell(case, xp, dtype):
    """Names, algorithms, rules, shapes and drawn compositions."""
    report = lionk.check_K(case.K, _library(xp), shape=case.shape, dtype=dtype)
    assert report.ok, str(report)


def test_how_a_library_is_named():
    import array_api_compat.torch
    import array_api_strict
    import torch

    for xp, name in [
        (None, "numpy"),
        (np, "numpy"),
        ("torch", "torch"),
        (torch, "torch"),
        (array_api_compat.torch, "torch"),
        (array_api_strict, "array_api_strict"),
    ]:
        report = lionk.check_K("relu", xp)
        assert report.library == name
        assert report.ok
    with pytest.raises(ValueError, match="the backends are"):
        lionk.check_K("l1", "nampy")


def test_a_library_without_double_precision_says_so():
    import jax

    with jax.enable_x64(False), pytest.raises(ValueError, match="makes float32 of float64"):
        lionk.check_K("l1", "jax")


def test_a_library_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(type(lionk.backends()["torch"]), "why_unavailable", lambda self: "torch is not installed")
    with pytest.raises(ValueError, match="torch is not installed"):
        lionk.check_K("l1", "torch")
    monkeypatch.setattr(type(lionk.backends()["numpy"]), "why_unavailable", lambda self: "numpy is not installed")
    with pytest.raises(RuntimeError, match="with NumPy on the host: numpy is not installed"):
        lionk.check_K("l1")


def test_the_report():
    broken = BROKEN["value: wrong factor"].build()
    report = lionk.check_K(broken, seed=3)
    assert not report.ok
    first = report.failures[0]
    assert (first.side, first.property, first.outcome) == ("K", "fenchel_young_equality", "fails")
    x, s = first.points["x"], first.points["s"]
    assert first.residual == pytest.approx(abs(float(broken.fenchel_young(x, s))))
    text = str(report)
    assert "huber on numpy in float64 at shape (6,)" in text
    assert all(f"{v.side} {v.outcome}: {v.property}: {v.reason}" in text for v in report.failures)
    again = lionk.check_K(broken, seed=3)
    assert [v.reason for v in again.failures] == [v.reason for v in report.failures], "the seed decides"
    assert [v.reason for v in lionk.check_K(broken, seed=4).failures] != [v.reason for v in report.failures]


def test_what_does_not_apply_says_why():
    report = lionk.check_K(lionk.K("l1").tilt(0.5))
    why = {(v.side, v.property): v.reason for v in report.verdicts if v.outcome == "not applicable"}
    assert report.ok
    assert why["K", "least_norm_by_search"] == "the selection is not claimed to be of least norm"
    assert issubclass(DoesNotApply, Exception)


def test_what_has_no_known_form_is_not_called_wrong():
    """A map of a set that only an oracle tells is projected on by nobody, so its sums have no known conjugate."""
    unknown = lionk.functions.linear_map(lionk.functions.from_lmo(np.sign, diameter=6.0), np.asarray([[1.3]]))
    report = lionk.check_K(unknown + lionk.K("huber"), shape=(1,))
    why = {(v.side, v.property): v.reason for v in report.verdicts if v.outcome == "not applicable"}
    assert report.ok, str(report)
    assert "projection" in why["K", "fenchel_young_equality"]


def test_a_report_in_which_nothing_applies_is_not_ok():
    report = lionk.check_K("huber")
    unknown = dataclasses.replace(
        report, verdicts=tuple(dataclasses.replace(v, outcome="not applicable") for v in report.verdicts)
    )
    assert report.ok and not unknown.ok and "0 of 0 properties hold" in unknown.summary


def test_edges_that_a_split_does_not_reach():
    """The sum of a ball and a square: K* has a value at its edge, found to an accuracy."""
    report = lionk.check_K(lionk.K("frobenius") + lionk.K("softplus"), shape=(1, 4))
    assert report.ok, str(report)


def test_warnings_of_a_formula_fail():
    """NumPy warns where a formula leaves the range of its dtype."""
    noisy = altered(lionk.K("half_square"), _value=lambda f, xp, x, b, t: f(xp, x, b, t) + 0 * xp.sum(xp.log(0 * x)))
    assert any("RuntimeWarning" in v.reason for v in lionk.check_K(noisy).failures)


def test_shapes():
    weights = np.asarray([1.0, 2.0, 0.5, 3.0])
    for k, shape in [
        (lionk.K("l1"), (6,)),
        (lionk.K("group_l1_l2"), (3, 4)),
        (lionk.K("nuclear"), (4, 3)),
        (lionk.K("lambda_max"), (3, 3)),
        (lionk.K("weighted_l1", weights=weights), (4,)),
        (lionk.K("weighted_l1", weights=tuple(weights.tolist()[:2])), (2,)),
        (lionk.K("quadratic", matrix=np.eye(5)), (5,)),
        (lionk.K("top_k", k=9), (4, 3)),
    ]:
        report = lionk.check_K(k)
        assert report.shape == shape
        assert report.ok, str(report)
    assert lionk.check_K("l1", shape=(2, 1, 2)).shape == (2, 1, 2)
    for name, shape in (("box_simplex", (1,)), ("lambda_max", (4, 3)), ("nuclear", (5,)), ("top_k:k=3", (2,))):
        with pytest.raises(
            ValueError, match=rf"takes no argument of shape {re.escape(str(shape))}.*nothing to check: "
        ):
            lionk.check_K(lionk.K(name.split(":")[0], **({"k": 3} if ":" in name else {})), shape=shape)
    with pytest.raises(ValueError, match=r"give the shape of its argument, shape=\(...\)"):
        lionk.check_K(lionk.K("l1").tilt(np.ones((2, 5, 7))).tilt(np.ones((9, 1, 1))))


@pytest.mark.parametrize("wrong", [{"dtype": "float16"}, {"dtype": np.float64}, {"shape": 6}, {"shape": (0,)}])
def test_what_cannot_be_checked_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        lionk.check_K("l1", **wrong)


def test_functions_of_containers_are_refused():
    with pytest.raises(TypeError, match="check its blocks one by one"):
        lionk.check_K(lionk.blocks({"a": lionk.K("l1")}))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["l1", "l2", "huber", "softsign"])
@pytest.mark.parametrize("size", [1e-4, 1e4])
def test_points_are_in_the_units_of_the_function(name, size, dtype):
    """A multiple of K, and K with its kinks elsewhere, are as right as K."""
    K = lionk.K(name)
    for same in (size * K, K.dilate(1 / size).scale(size)):
        report = lionk.check_K(same, dtype=dtype)
        assert report.ok, str(report)


@pytest.mark.parametrize("seed", range(3))
def test_a_cone_is_projected_onto_as_exactly_as_its_points_are_long(seed):
    """Of positive semidefinite matrices 0 is a member, and is 20 away from a projection: it rounds with that length."""
    report = lionk.check_K("trace_exp", shape=(3, 3), dtype="float32", seed=seed)
    assert report.ok, str(report)


@pytest.mark.parametrize("size", [1e-4, 1e4])
def test_faults_are_seen_in_these_units_too(size):
    wrong = altered(size * lionk.K("huber"), _subgradient=lambda f, *a: 1.001 * f(*a))
    assert not lionk.check_K(wrong).ok


def test_complex():
    assert lionk.check_K("nuclear", dtype="complex128").ok


# -- lionk check -------------------------------------------------------------------------------------------------

OWN = """
import lionk
from lionk.checking.altered import altered

k = lionk.K("huber", delta=0.5)
wrong = altered(k, _value=lambda f, *a: f(*a) + 0.01)
number = 3


def build():
    return k
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_functions.py").write_text(OWN)
    return "own_functions"


def _check(*arguments):
    return lk("check", *arguments)


@pytest.mark.parametrize("what", ["k", "build"])
def test_command_on_a_module(own, what):
    done = _check(f"{own}:{what}", "--shape", "2,2")
    assert done.exit_code == 0, done.output
    assert "at shape (2, 2): 25 of 25 properties hold" in done.stdout


def test_command_that_fails(own):
    done = _check(f"{own}:wrong", "--json", "found.json")
    assert done.exit_code == 1
    assert "properties do not hold" in done.stderr
    with open("found.json") as file:
        found = json.load(file)
    assert not found["ok"]
    assert {v["outcome"] for v in found["verdicts"]} == {"holds", "fails", "not applicable"}
    assert "K fails: fenchel young equality:" in _check(f"{own}:wrong").stdout


def test_command_on_a_name():
    done = _check("huber:delta=0.5", "--xp", "torch", "--dtype", "float32")
    assert done.exit_code == 0, done.output
    assert "huber on torch in float32 at shape (6,)" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nope",), "no convex function is named 'nope'"),
        (("own_functions:number",), "own_functions:number is int"),
        (("own_functions:absent",), "no attribute 'absent'"),
        (("no_such_module:k",), "No module named 'no_such_module'"),
        (("l1", "--shape", "a"), "--shape a: give sizes"),
        (("l1", "--xp", "no_such_library"), "No module named 'no_such_library'"),
        (("l1", "--dtype", "float99"), "float99"),
    ],
)
def test_command_with_bad_input(own, arguments, says):
    done = _check(*arguments)
    assert done.exit_code == 2, done.output
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
