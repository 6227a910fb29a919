"""The command line: the main job against SciPy, the other problems, bad input, interruption, the files it writes."""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rc_context
from rich.console import Console
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

import lionk
import turns
from command_line import lk
from lionk.app import figures, main, style
from lionk.app.functions import parse_k
from lionk.app.solve import report
from lionk.app.solve.constraint import view
from lionk.app.solve.live import Live
from lionk.app.solve.model import build, guess_loss
from lionk.app.solve.problems import bundled
from lionk.app.tables.file import read as read_sheet
from lionk.app.tables.table import Table
from lionk.checkpoint import file as checkpoint
from lionk.solver.losses import loss_of

QUIET = ("--plot", "none", "--json", "none")
# A process of its own loads scikit-learn for a bundled problem, and makes its table: twice the time of this one.
SMALL = ("--data", "small.csv", "--target", "y")


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def small():
    rows = np.random.default_rng(0).normal(size=(30, 3))
    Path("small.csv").write_text("a,b,y\n" + "".join(f"{a},{b},{a + c}\n" for a, b, c in rows))


def solve(*arguments):
    """Run, expect success, and return the trace."""
    done = lk("solve", *arguments, "--plot", "none", "--json", "trace.json")
    assert done.exit_code == 0, done.output
    return read("trace.json")


def read(path):
    return json.loads(Path(path).read_text())


def run(*arguments, code="from lionk.__main__ import main; main()", **environment):
    """A process of its own: ``lionk`` with these arguments."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], check=False, capture_output=True, text=True, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture
def main_on(monkeypatch):
    """``main_on(stdout, stderr, *arguments)``: the exit code of ``main`` in this process, where these are its streams.

    They are closed in the end, as Python closes them: what is left in them must have somewhere to go.
    """

    def run(out, err, *arguments):
        monkeypatch.setattr(Console, "on_broken_pipe", Console.on_broken_pipe)
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        with monkeypatch.context() as streams:
            for name, value in {"stdout": out, "stderr": err, "argv": ["lionk", *arguments]}.items():
                streams.setattr(sys, name, value)
            with pytest.raises(SystemExit) as end:
                main()
        out.close()
        return end.value.code

    return run


# -- the main job ------------------------------------------------------------------------------------------------


def exact_bounded_logistic():
    """min of the same problem, written again from scratch: scikit-learn's scaler, L-BFGS-B with bounds."""
    from scipy.special import expit
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    d = load_breast_cancer()
    A = np.c_[StandardScaler().fit_transform(d.data), np.ones(len(d.data))]
    s = np.where(d.target == 0, 1.0, -1.0)  # malignant

    def fun(w):
        z = s * (A @ w)
        return np.logaddexp(0, -z).mean(), -A.T @ (s * expit(-z)) / len(s)

    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-16, "gtol": 1e-10, "maxcor": 30}
    found = minimize(fun, np.zeros(31), jac=True, method="L-BFGS-B", bounds=[(-1, 1)] * 31, options=options)
    return found.fun, fun


def check_certified(trace, f_exact, eps):
    """Certified, and truly so: against the optimum found by someone else."""
    r = trace["result"]
    assert r["success"]
    assert r["relative_gap"] <= trace["settings"]["tol"]
    rounding = r["gap_rounding"] + 100 * eps * abs(f_exact)
    assert r["objective"] - f_exact <= r["gap"] + rounding
    assert r["objective"] - f_exact >= -rounding
    assert all(s["verdict"] != "failed" for s in trace["certificate"])


def test_main_job_without_arguments(tmp_path):
    done = lk("solve")
    assert done.exit_code == 0, done.stderr
    assert done.stderr == ""
    for text in ("objective F", "certified gap", "distance", "active", "exact step",
                 "features standardised", "intercept", "5 of 5 statements hold",
                 "wrote lionk-solve/picture.png"):  # fmt: skip
        assert text in done.stdout
    assert (tmp_path / "lionk-solve" / "picture.png").read_bytes().startswith(b"\x89PNG")
    trace = json.loads((tmp_path / "lionk-solve" / "trace.json").read_text())
    f_exact, fun = exact_bounded_logistic()
    check_certified(trace, f_exact, np.finfo(float).eps)
    x = np.asarray(trace["result"]["x"])
    assert np.abs(x).max() <= 1 + 8 * np.finfo(float).eps * np.sqrt(31)
    assert fun(x)[0] == pytest.approx(trace["result"]["f"], rel=1e-12)
    assert sum(trace["constraint"]["active"]) >= 10


@pytest.mark.parametrize(("library", "dtype"), [("numpy", "float32"), ("torch", "float64"), ("torch", "float32")])
def test_main_job_elsewhere(library, dtype):
    trace = solve("--backend", library, "--dtype", dtype)
    eps = float(np.finfo(dtype).eps)
    check_certified(trace, exact_bounded_logistic()[0], eps)
    assert np.abs(trace["result"]["x"]).max() <= 1 + 8 * eps * np.sqrt(31)
    assert (trace["settings"]["backend"], trace["settings"]["dtype"]) == (library, dtype)


def test_schema_of_the_trace():
    trace = solve("--problem", "stacking", "--seed", 1)
    assert trace["format"] == "lionk solve 1"
    assert set(trace) == {
        "format", "versions", "problem", "settings", "result", "path", "constraint", "certificate", "history"
    }  # fmt: skip
    assert trace["settings"]["K"] == {"name": "max"}
    assert {len(v) for v in trace["history"].values()} == {trace["result"]["steps"] + 1}
    assert set(trace["history"]) == {"f", "conjugate", "objective", "gap", "lyapunov", "distance", "lr", "momentum_gap"}
    assert set(trace["history"]["distance"]) == {0}, "the rule begins at the nearest feasible point"
    # with a given rate it begins at the random start, outside the simplex, where F is infinite: null in JSON
    lk("solve", "--problem", "stacking", "--seed", 1, "--lr", 0.1, "--maxiter", 3, "--plot", "none", "--json", "b.json")
    outside = read("b.json")["history"]
    assert outside["objective"][0] is None and outside["distance"][0] > 0
    assert {s["verdict"] for s in trace["certificate"]} <= {"holds", "failed", "does not apply"}


# -- the other problems ------------------------------------------------------------------------------------------


def accelerated(fun, project, x, step, count=4000):
    """Accelerated projected gradient, restarted where the objective rises."""
    y, t, last = x, 1.0, np.inf
    for _ in range(count):
        z = project(y - step * fun(y)[1])
        f = fun(z)[0]
        if f > last:
            y, t, last = x, 1.0, np.inf
            continue
        t_next = (1 + np.sqrt(1 + 4 * t * t)) / 2
        y, x, t, last = z + (t - 1) / t_next * (z - x), z, t_next, f
    return last


def clip_singular_values(W, radius):
    u, s, vh = np.linalg.svd(W, full_matrices=False)
    return (u * np.minimum(s, radius)) @ vh


def clip_rows(W, radius):
    return W * np.minimum(1, radius / np.maximum(np.linalg.norm(W, axis=1, keepdims=True), 1e-300))


@pytest.mark.parametrize(("k", "project"), [("nuclear", clip_singular_values), ("row_l1_l2", clip_rows)])
def test_digits(k, project):
    trace = solve("--problem", "digits", "--k", k)
    p = bundled("digits", None)
    fun = loss_of("softmax")(np, p.design, p.targets)
    step = 2 / (np.linalg.norm(p.design, 2) ** 2 / len(p.design))  # 1/L: the Hessian of log-sum-exp is at most 1/2
    with threadpool_limits(1):
        exact = accelerated(fun, lambda W: project(W, 1 / 0.3), np.zeros((10, 65)), step, 1000)
    check_certified(trace, exact, 1e-8)  # what the other solver leaves
    assert trace["result"]["accuracy"] > 0.95
    assert max(trace["constraint"]["values"]) <= (1 + 1e-12) / 0.3


def test_digits_of_low_rank():
    trace = solve("--problem", "digits", "--k", "spectral", "--tol", "0.01")
    what, value, limit = trace["constraint"]["total"]
    assert what == "sum of singular values"
    assert 0.99 * limit < value <= limit * (1 + 1e-12)
    assert np.sum(np.asarray(trace["constraint"]["values"]) > 1e-3 * limit) < 9


@pytest.mark.parametrize(("library", "dtype"), [("numpy", "float64"), ("jax", "float32")])
def test_stacking(library, dtype):
    trace = solve("--problem", "stacking", "--backend", library, "--dtype", dtype)
    p = bundled("stacking", None)
    n = len(p.targets)
    found = minimize(
        lambda w: (np.sum((p.design @ w - p.targets) ** 2) / (2 * n), p.design.T @ (p.design @ w - p.targets) / n),
        np.full(13, 1 / 13), jac=True, method="SLSQP", bounds=[(0, None)] * 13,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(13)}, options={"ftol": 1e-14},
    )  # fmt: skip
    eps = float(np.finfo(dtype).eps)
    check_certified(trace, found.fun, max(eps, 1e-10))
    x = np.asarray(trace["result"]["x"])
    assert x.min() >= 0
    assert x.sum() == pytest.approx(1, abs=100 * eps)


def test_list_of_problems():
    done = lk("solve", "--problem", "list")
    assert done.exit_code == 0
    assert all(name in done.output for name in ("breast-cancer", "digits", "stacking"))


# -- the user's data ---------------------------------------------------------------------------------------------

CSV = "\ufeffheight;weight;kind\n1.0;2.0;a\n2;3.5;b\n3;1;a\n\n4.5;4;b\n"  # as a spreadsheet may write it


def test_csv_and_npy(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    trace = solve("--data", "a.csv", "--target", "kind")
    assert (trace["problem"]["loss"], trace["problem"]["columns"]) == ("logistic", ["height", "weight", "intercept"])
    (tmp_path / "a.csv").write_text("height,weight\n1,2\n2,3\n3,5\n4,4\n")
    trace = solve("--data", "a.csv", "--target", "height", "--loss", "squared", "--k", "relu", "--weight-decay", "2")
    assert trace["problem"]["loss"] == "squared"
    assert min(trace["result"]["x"]) >= 0
    rng = np.random.default_rng(0)
    features = rng.standard_normal((60, 3))
    np.save("a.npy", np.c_[features, (features[:, 0] > 0.5).astype(int) + (features[:, 1] > 0)])
    trace = solve("--data", "a.npy", "--target", "-1", "--k", "frobenius")
    assert (trace["problem"]["loss"], trace["problem"]["classes"]) == ("softmax", ["0", "1", "2"])
    assert trace["constraint"]["total"][0] == "2-norm"


def test_an_exact_fit_has_a_relative_gap_of_zero(tmp_path):
    (tmp_path / "line.csv").write_text("a,b,y\n" + "".join(f"1,{i},{2 * i}\n" for i in range(10)))
    result = solve("--data", "line.csv", "--target", "y")["result"]
    assert (result["objective"], result["gap"], result["relative_gap"]) == (0, 0, 0)


def test_csv_without_a_header(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n2,3\n3,5\n")
    assert solve("--data", "a.csv", "--target", "1", "--loss", "squared")["problem"]["samples"] == 3


def test_loss_is_guessed_from_the_target():
    guess = lambda values: guess_loss(Table(np.zeros((len(values), 1)), ("x",), np.asarray(values), "y"))  # noqa: E731
    assert guess([0.0, 1.0, 1.0]) == "logistic"
    assert guess(["a", "b", "c"]) == "softmax"
    assert guess([1.0, 2.0, 3.0] * 2) == "softmax"
    assert guess([1.0, 2.5, 3.0] * 2) == "squared"
    assert guess(np.arange(100.0)) == "squared"
    assert guess(np.arange(20.0)) == "squared"  # whole numbers, and none of them twice
    assert guess(1e300 * np.linspace(-1, 1, 20)) == "squared"


@pytest.mark.parametrize(("offset", "size"), [(0, 1), (0, 1e307), (0, 1e-300), (0, 1e-315), (1e9, 1e-4)])
def test_columns_of_any_size_are_standardised(offset, size):
    """Features and target have the information that they had; columns are constant only to rounding."""
    z = np.asarray([-1.5, 0.5, 1.0, 2.0, -7.0, 5.0])
    z = (z - z.mean()) / z.std()
    same = np.asarray([0.1 + 0.2, 0.3] * 3)
    table = Table(np.stack([offset + size * z, same, 1e-300 * same], axis=1), ("a", "b", "c"), offset + size * z, "y")
    p = build(table, "squared", name="mine")
    np.testing.assert_allclose(p.design[:, 0], z, atol=5e-3)
    np.testing.assert_allclose(p.targets, z, atol=5e-3)
    assert not p.design[:, 1:3].any()
    assert "2 constant column(s) set to 0" in p.notes


def test_classes_are_shown_in_full():
    table = Table(np.eye(3), ("a", "b", "c"), np.asarray([1e6, 1e6 + 1, 0.5]), "y")
    assert build(table, "softmax", name="mine").classes == ("0.5", "1000000", "1000001")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ('"a;1;2;3;4","b",y\n1,2,3\n2,3,5\n4,1,7\n', ["a;1;2;3;4", "b"]),  # the other delimiter within quotes
        ("a\u2028b;c;y\n1;2;3\n2;3;5\n4;1;7\n", ["a\u2028b", "c"]),  # no end of a line in a file
        ('"a\nb"\tc\ty\n1\t2\t3\n2\t3\t5\n4\t1\t7\n', ["a\nb", "c"]),
    ],
)
def test_cells_with_what_separates_others(text, columns, tmp_path):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert list(read_sheet(tmp_path / "a.csv").frame) == [*columns, "y"]


DATA = ("--data", "bad.csv", "--target", "y")
BAD = {
    # name: (text of bad.csv, arguments, what the line says)
    "no such file": (None, ("--data", "none.csv", "--target", "y"), "no such file"),
    "no target": ("x,y\n1,2\n2,3\n", ("--data", "bad.csv"), "--target COLUMN"),
    "target without data": (None, ("--target", "y"), "--data FILE"),
    "directory": (None, ("--data", ".", "--target", "y"), "is a directory"),
    "open quote": ('x,y\n1,2\n"3,4\n' + "5,6\n" * 50_000, DATA, "the row from line 3"),
    "open quote in the header": ('"x,y\n1,2\n3,4\n', DATA, "is there a quote that is not closed?"),
    "missing column": ("x,z\n1,2\n2,3\n", DATA, "has no column 'y'; --target is one of: x, z"),
    "text in numbers": ("x,y\n1,0\nabc,1\n3,1\n", DATA, "line 3, column 'x': 'abc' is not a number"),
    "infinity": ("x,y\n1,0\ninf,1\n", DATA, "line 3, column 'x': 'inf' is not a finite number"),
    "empty cell": ("x,y\n1,0\n,1\n", (*DATA, "--missing", "error"), "line 3, column 'x': the cell is empty"),
    "empty target": ("x,y\n1,a\n2,\n", (*DATA, "--missing", "error"), "line 3, column 'y': the cell is empty"),
    "no row is complete": ("x,z,y\n1,,0\n,1,0\n2,,1\n,3,1\n", DATA, "--missing mean"),
    "missing": ("x,y\n1,2\n", (*DATA, "--missing", "fill"), "choose one of drop, mean, error"),
    "empty file": ("", DATA, "is empty"),
    "header only": ("x,y\n", DATA, "0 row(s)"),
    "one column": ("y\n1\n2\n", DATA, "one column only"),
    "ragged": ("x,y\n1,2\n1,2,3\n", DATA, "line 3: 3 cells, but most lines have 2"),
    "same name twice": ("y,y\n1,2\n2,3\n", DATA, "two columns are named 'y'; --target takes a number"),
    "separator": ("x,y\n1,2\n", (*DATA, "--separator", "ab"), "must be one character"),
    "decimal": ("x,y\n1,2\n", (*DATA, "--decimal", ";"), "choose '.' or ','"),
    "dates": ("x,y\n1,2\n", (*DATA, "--dates", "us"), "choose day-first or month-first"),
    "encoding": ("x,y\n1,2\n", (*DATA, "--encoding", "klingon"), "Python knows no such encoding"),
    "wrong encoding": (b"x,y\n1,2\n\xff,2\n", (*DATA, "--encoding", "utf-8"), "line 3: not text in utf-8"),
    "no text": (b"x,y\n\0\0", DATA, "is no text"),
    "columns": ("abc,y\n1,2\n2,3\n", (*DATA, "--columns", "abcd"), "no column 'abcd' (did you mean 'abc'?)"),
    "drop the target": ("x,y\n1,2\n2,3\n", (*DATA, "--drop", "y"), "is the target"),
    "nothing left": ("x,y\n1,2\n2,3\n", (*DATA, "--drop", "x"), "no column is left beside the target"),
    "day or month": ("x,y\n01/02/2024,1\n03/04/2024,2\n", DATA, "--dates day-first"),
    "thousands or decimals": ("x;y\n1,234;1\n2,345;2\n", DATA, "line 2, column 'x': '1,234' may be a number with"),
    "years or values": ("2001,2002\n2005,2003\n2001,2004\n", ("--data", "bad.csv", "--target", "0"), "give --header"),
    "hold out": ("x,y\n1,2\n2,3\n", (*DATA, "--hold-out", "1.5"), "between 0 and 1"),
    "folds": ("x,y\n1,2\n2,3\n", (*DATA, "--cv", "5"), "at most the 2 rows"),
    "lams": ("x,y\n1,2\n2,3\n", (*DATA, "--cv", "2", "--lams", "1"), "give two or more numbers > 0"),
    "lams alone": (None, ("--lams", "1,2"), "give --cv FOLDS too"),
    "cv and lam": (None, ("--cv", "2", "--weight-decay", "1"), "--cv chooses the weight decay"),
    "out is a file": ("text", ("--out", "bad.csv"), "is a file; name a folder"),
    "save suffix": (None, ("--save", "model.txt"), "must end in one of .json"),
    "one class": ("x,y\n1,a\n2,a\n", (*DATA, "--loss", "logistic"), "one class only ('a')"),
    "one number": ("x,y\n1,5\n2,5\n", (*DATA, "--loss", "squared"), "nothing to fit"),
    "three classes": ("x,y\n1,a\n2,b\n3,c\n", (*DATA, "--loss", "logistic"), "has 3 values"),
    "text for squared": ("x,y\n1,a\n2,b\n", (*DATA, "--loss", "squared"), "is text"),
    "data and problem": ("x,y\n1,2\n2,3\n", (*DATA, "--problem", "digits"), "not both"),
    "problem": (None, ("--problem", "digit"), "choose one of breast-cancer"),
    "loss": (None, ("--loss", "hing"), "choose one of logistic"),
    "k": (None, ("--k", "l7"), "no convex function is named 'l7'"),
    "k in the list": (None, ("--k", "foo"), "'lionk functions' lists all"),
    "empty k": (None, ("--k", ""), "no convex function is named ''"),
    "empty problem": (None, ("--problem", ""), "choose one of breast-cancer"),
    "k without a conjugate": (None, ("--k", "smoothed:K=l2"), "--k smoothed:K=l2: the conjugate"),
    "k shape": (None, ("--k", "weighted_l1:weights=[1,2]"), "--k weighted_l1:weights=[1,2]: operands"),
    "parameter shape": (None, ("--k", "weighted_l1:weights=[1,2]"), "the parameter here has shape (31,)"),
    "k parameter": (None, ("--k", "huber:width=1"), "no parameter 'width'"),
    "k range": (None, ("--k", "huber:delta=-1"), "delta must be a finite number > 0"),
    "k grammar": (None, ("--k", "huber:1"), "param=value"),
    "k for matrices": (None, ("--k", "nuclear"), "shape (31,), a matrix with --loss softmax"),
    "weight decay": (None, ("--weight-decay", "-1"), "--weight-decay must be"),
    "lr": (None, ("--lr", "-1"), "--lr must be"),
    "lr too large": (None, ("--lr", "3"), "lr * weight_decay <= 1"),
    "schedule": (None, ("--lr", "0.1", "--schedule", "step"), "choose one of constant"),
    "schedule alone": (None, ("--schedule", "cosine"), "--lr, which is missing"),
    "betas": (None, ("--betas", "0.9"), "two numbers"),
    "betas range": (None, ("--betas", "0.9,1.5"), "betas[1]"),
    "decay": (None, ("--decay", "none"), "explicit"),
    "backend": (None, ("--backend", "matlab"), "choose one of"),
    "device": (None, ("--device", "tpu:7"), "numpy has cpu"),
    "dtype": (None, ("--dtype", "int8"), "choose float64 or float32"),
    "maxiter": (None, ("--maxiter", "-3"), "maxiter must be"),
    "tol": (None, ("--tol", "-1"), "tol must be"),
    "seed": (None, ("--seed", "-1"), "--seed must be a whole number >= 0, got -1"),
    "atol": (None, ("--atol", "-1"), "atol must be"),
    "plot suffix": (None, ("--plot", "a.txt"), "must end in one of .png"),
    "plot folder": (None, ("--plot", "none/a.png"), "there is no directory none"),
    "plot and json": (None, ("--plot", "a.svg", "--json", "./a.svg"), "--plot and --json are the same file"),
    "checkpoint and json": (None, ("--checkpoint", "x", "--json", "x"), "--json and --checkpoint are the same file"),
    "json over data": ("x,y\n1,2\n", (*DATA, "--json", "bad.csv"), "--data and --json are the same file"),
    "checkpoint over data": ("x,y\n1,2\n", (*DATA, "--checkpoint", "bad.csv"), "--data and --checkpoint are the same"),
    "checkpoint over a file": ("text", ("--checkpoint", "bad.csv"), "bad.csv is damaged, or no checkpoint"),
    "json is a folder": (None, ("--json", "."), "is a directory"),
    "resume alone": (None, ("--resume",), "--resume needs --checkpoint"),
    "resume nothing": (None, ("--resume", "--checkpoint", "none.st"), "--resume needs --checkpoint"),
    "no checkpoint": ("text", ("--resume", "--checkpoint", "bad.csv"), "bad.csv"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(name, tmp_path):
    content, arguments, says = BAD[name]
    if content is not None:
        (tmp_path / "bad.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    done = lk("solve", *arguments, "--quiet")
    assert done.exit_code == 2, done.output
    assert says in done.stderr
    assert done.stderr.startswith("lionk: error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not list(tmp_path.glob("lionk-solve/*.*"))


@pytest.mark.parametrize("content", [np.zeros(3), np.zeros((3, 2), complex), np.full((3, 2), np.nan)])
def test_bad_npy_is_one_line(content):
    np.save("bad.npy", content)
    done = lk("solve", "--data", "bad.npy", "--target", "0", *QUIET)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


def _npy(header):
    """A file of format 1.0 with this header and 100 bytes."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(100)


SHAPE = "{'descr': '<f8', 'fortran_order': False, 'shape': "


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"PK\x03\x04" + b"garbage" * 20, _npy(SHAPE + "(10**12,"), _npy(SHAPE + f"({10**15}, 9)}}"),
     _npy(SHAPE + f"({10**22}, 9)}}"), _npy("[1,2"), _npy("(((((((")],
)  # fmt: skip
def test_damaged_npy_is_one_line(content, tmp_path):
    (tmp_path / "bad.npy").write_bytes(content)
    done = lk("solve", "--data", "bad.npy", "--target", "0", *QUIET)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "bad.npy" in done.stderr


@pytest.mark.parametrize("name", ["bad.csv", "bad.npy"])
def test_unreadable_file_is_one_line(name, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    done = lk("solve", "--data", name, "--target", "0", *QUIET)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert f"{name} cannot be read: Permission denied" in done.stderr


def test_object_arrays_are_not_unpickled():
    np.save("bad.npy", np.asarray([[object()]], dtype=object), allow_pickle=True)
    done = lk("solve", "--data", "bad.npy", "--target", "0", *QUIET)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "allow_pickle" not in done.stderr


# -- runs that do not end well -----------------------------------------------------------------------------------


def test_without_convergence_exit_1_and_the_files():
    done = lk("solve", "--maxiter", 5, "--plot", "a.svg", "--json", "a.json")
    assert done.exit_code == 1
    assert done.stderr == f"lionk: failed: not certified to 0.001: {read('a.json')['result']['message']}\n"
    assert "NOT certified" in done.stdout
    assert "<svg" in Path("a.svg").read_text()


def test_divergence_exit_1_with_the_last_good_point(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n2,3\n3,5\n4,4\n")
    done = lk("solve", "--data", "a.csv", "--target", "y", "--loss", "squared", "--k", "half_square", "--weight-decay",
              "1e-3", "--lr", "900", "--json", "a.json", "--plot", "none", "--quiet")  # fmt: skip
    assert done.exit_code == 1
    assert "smaller lr" in done.stderr
    assert done.stderr.count("\n") == 1
    assert read("a.json")["result"]["success"] is False


def test_warnings_are_one_line():
    done = lk("solve", "--betas", "0.99,0.9", "--maxiter", "3", *QUIET, "-q")
    assert done.exit_code == 1
    assert done.stderr.startswith("lionk: warning: betas = (0.99, 0.9)")
    assert done.stderr.count("\n") == 2


def test_checkpoint_and_resume_give_the_same_run():
    base = ("--problem", "stacking", "--checkpoint", "run.st")
    assert lk("solve", *base, "--maxiter", "4", *QUIET).exit_code == 1
    resumed, whole = solve(*base, "--resume"), solve("--problem", "stacking")
    assert resumed["result"]["x"] == whole["result"]["x"]
    assert resumed["history"] == whole["history"]


@pytest.mark.parametrize(
    ("first", "then", "says"),
    [
        ((), ("--weight-decay", "2"), "resume with the same settings"),
        ((), ("--betas", "0.9,0.98"), "resume with the same settings"),
        ((), ("--seed", "3"), "by --seed, K, weight decay and data"),
        ((), ("--lr", "0.1"), "the saved run had other rates"),
        (("--lr", "0.1"), (), "the saved run had other rates"),
        (("--lr", "0.1"), ("--lr", "0.2"), "the saved run had other rates"),
        (("--lr", "0.1"), ("--lr", "0.1", "--schedule", "cosine"), "the saved run had other rates"),
        ((), ("--maxiter", "4"), "--maxiter 4: the saved run has made 5 steps"),
    ],
)
def test_resume_with_other_settings_is_refused(first, then, says):
    base = ("--problem", "stacking", "--checkpoint", "run.st", *QUIET, "-q", "--maxiter", "5")
    assert lk("solve", *base, *first).exit_code == 1
    done = lk("solve", *base, "--resume", *then)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert says in done.stderr


def test_resume_with_the_same_schedule():
    base = ("--problem", "stacking", "--checkpoint", "run.st", "--lr", "0.1", "--schedule", "cosine", "--maxiter", "5")
    lk("solve", *base, *QUIET)
    lk("solve", *base, "--resume", "--plot", "none", "--json", "a.json")
    assert len(read("a.json")["history"]["lr"]) == 6


def test_checkpoint_of_something_else_is_kept():
    checkpoint.save("other.st", {"x": np.zeros(3)})
    done = lk("solve", "--checkpoint", "other.st")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "is no run that minimize has saved" in done.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_checkpoint_is_a_plain_file():
    os.mkfifo("pipe")
    done = lk("solve", "--checkpoint", "pipe")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "--checkpoint: pipe is a directory, a device or a pipe" in done.stderr


def test_checkpoints_need_safetensors(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    done = lk("solve", "--checkpoint", "run.st")
    assert (done.exit_code, done.stderr.count("\n"), done.stdout) == (1, 1, "")
    assert "pip install 'lionk[cli]'" in done.stderr


def test_absolute_tolerance_where_min_f_is_0(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{i},{i}\n" for i in range(30)))
    base = ("--data", "a.csv", "--target", "y", "--loss", "squared", "--maxiter", "400", "--plot", "a.svg", "-q")
    done = lk("solve", *base, "--tol", "1e-9", "--lr", "0.1")
    assert done.exit_code == 1
    assert "F is near 0, so give an absolute tolerance, such as --atol 5e-10" in done.stderr
    done = lk("solve", *base, "--atol", "1e-3", "--json", "a.json")
    assert done.exit_code == 0, done.output
    assert read("a.json")["settings"]["atol"] == 1e-3
    assert read("a.json")["result"]["gap"] <= 1.1e-3
    assert "tolerance, 0.001 |F| + 0.001" in Path("a.svg").read_text()


@pytest.mark.parametrize("loss", ["absolute", "quantile:0.8", "huber", "poisson", "hinge"])
def test_each_loss_is_certified(tmp_path, loss):
    rng = np.random.default_rng(1)
    a = rng.normal(size=(60, 3))
    y = rng.poisson(np.exp(a @ [0.5, -0.2, 0.1])) if loss == "poisson" else a @ [1.0, -2.0, 0.5] + rng.normal(size=60)
    y = np.where(y > 0, "yes", "no") if loss == "hinge" else y
    rows = [",".join([*map(str, r), str(t)]) for r, t in zip(a, y, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(["p,q,r,y", *rows]))
    trace = solve("--data", "a.csv", "--target", "y", "--loss", loss, "--tol", "1e-2")
    assert trace["result"]["momentum_gap"] <= 1e-2 * trace["result"]["objective"]
    assert {s["verdict"] for s in trace["certificate"]} == {"holds"}


@pytest.mark.parametrize(
    ("k", "imposed"),
    [
        ("scale:K=l1,a=3", "lam x in Affine(inner=Box"),
        ("moreau_envelope:K=linf,mu=0.1", "lam x in TopK(k=1"),
        ("ridge:K=l1", "none, a penalty"),
    ],
)
def test_what_a_composed_k_imposes(k, imposed):
    done = lk("solve", "--problem", "stacking", "--k", k, "--maxiter", "1", *QUIET)
    assert f"constraint {imposed}" in " ".join(done.stdout.split())


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for subprocesses on Windows")
@pytest.mark.usefixtures("small")
def test_interrupt_saves_the_checkpoint(tmp_path):
    # a process that a shell started in the background ignores the signal, and so do those that it starts
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [
        sys.executable,
        "-c",
        f"{heard}; from lionk.app import main; main()",
        "solve",
        *SMALL,
        "--tol",
        "0",
        "--lr",
        "1e-4",  # small steps: the run is not over before it is stopped
        "--maxiter",
        "1000000",
        "--checkpoint",
        "run.st",
        *QUIET,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "PYTHONUNBUFFERED": "1"}) as p:  # fmt: skip
        for line in p.stdout:
            if line.startswith("runs on"):
                break
        until = time.monotonic() + 60
        while not (tmp_path / "run.st").exists() and time.monotonic() < until:
            time.sleep(0.05)
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=60)
    assert p.returncode == 130
    assert err.startswith("lionk: interrupted: stopped at step ")
    assert "run.st holds the run" in err
    assert err.count("\n") == 1


def test_interrupt_while_the_command_is_loaded():
    code = """
import sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "lionk.app.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from lionk.app import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


# -- output that cannot be written -------------------------------------------------------------------------------

FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")


@FULL
@pytest.mark.parametrize(
    "arguments", [("functions",), ("functions", "l1"), ("solve", "--maxiter", "1", "--plot", "none")]
)
def test_a_full_disk_is_one_line(arguments):
    done = lk(*arguments, "--json", "/dev/full")
    assert done.exit_code == 1
    assert done.stderr == "lionk: failed: /dev/full cannot be written: No space left on device\n"


@FULL
@pytest.mark.parametrize(
    "arguments", [("functions", "--json", "-"), ("solve", *SMALL, "--json", "-", "--plot", "a.svg")]
)
@pytest.mark.usefixtures("small")
def test_a_full_stdout_is_one_line_and_keeps_back_no_file(arguments, main_on):
    with open("/dev/full", "w") as full, open("stderr", "w") as err:
        assert main_on(full, err, *arguments) == 1
    said = Path("stderr").read_text()
    assert said.endswith("No space left on device\n")
    assert said.count("lionk: failed: ") == 1
    assert ("stdout cannot be written" in said) == ("solve" in arguments)
    assert os.path.exists("a.svg") == ("wrote a.svg" in said) == ("solve" in arguments)


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX systems")
@pytest.mark.parametrize(
    ("arguments", "both", "code"),
    [
        (("functions", "--json", "-"), False, 0),
        (("solve", "--problem", "no"), True, 2),
        (("solve", "--help"), False, 0),
        (("solve", *SMALL), True, 0),
        (("solve", *SMALL, "--maxiter", "1", "--json", "-"), False, 1),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else str(v),
)
@pytest.mark.usefixtures("small")
def test_a_reader_that_has_gone_changes_nothing(arguments, both, code, main_on):
    """Of stdout, or of both streams: the files and the exit code are as they would be, and stderr has no more."""
    gone = _without_reader()
    with _without_reader() if both else open("stderr", "w") as err:
        assert main_on(gone, err, *arguments) == code
    said = "" if both else Path("stderr").read_text()
    if code == 0:
        assert said == ""
    if code == 1:
        assert "NOT certified" in said
        assert "lionk: failed: not certified to 0.001" in said
        assert "Broken pipe" not in said
    assert os.path.exists("lionk-solve/picture.png") == ("small.csv" in arguments)


def _without_reader():
    read, write = os.pipe()
    os.close(read)
    return open(write, "w")


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX systems")
def test_a_process_whose_reader_has_gone_ends_as_it_would():
    with _without_reader() as gone:
        command = [sys.executable, "-m", "lionk", "functions", "--json", "-"]
        done = subprocess.run(command, check=False, text=True, stdout=gone, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="a shell that closes a stream")
@pytest.mark.usefixtures("small")
def test_without_a_stdout():
    lionk_solve = f"{sys.executable} -m lionk solve {' '.join(SMALL)} --plot none >&-"
    done = subprocess.run(["sh", "-c", lionk_solve], check=False, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert read("lionk-solve/trace.json")["result"]["success"]


def test_a_full_disk_at_a_checkpoint_is_one_line(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_replace", full)
    done = lk("solve", "--problem", "stacking", "--checkpoint", "run.st", "--plot", "none")
    assert done.exit_code == 1
    assert done.stderr == "lionk: failed: checkpoint run.st was not written: No space left on device\n"
    assert "certified gap" in done.stdout
    assert "wrote lionk-solve/trace.json" in done.stdout
    assert "wrote run.st" not in done.stdout
    assert read("lionk-solve/trace.json")["result"]["success"]


@pytest.mark.skipif(os.name != "posix", reason="no limits on files")
@pytest.mark.usefixtures("small")
def test_a_run_whose_files_find_no_room_is_printed():
    """A real limit: no file of that process has more than 999 bytes. All are named, and the checkpoint stays."""
    files = (*SMALL, "--checkpoint", "run.st", "--json", "a.json", "--plot", "a.svg")
    assert lk("solve", *files, "--maxiter", "4").exit_code == 1
    before = Path("run.st").read_bytes()
    limited = "import resource as r; size, kept = r.RLIMIT_FSIZE, r.getrlimit(r.RLIMIT_FSIZE); "
    limited += "r.setrlimit(size, (999, kept[1]))\ntry: main()\nfinally: r.setrlimit(size, kept)"
    code = f"from lionk.__main__ import main; {limited}"
    done = run("solve", *files, code=code, PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 1
    assert "certified gap" in done.stdout
    assert "5 of 5 statements hold" in done.stdout
    assert "wrote" not in done.stdout
    full = os.strerror(errno.EFBIG)
    others = "".join(f"; {name} cannot be written: {full}" for name in ("a.json", "a.svg"))
    assert done.stderr == f"lionk: failed: checkpoint run.st was not written: {full}{others}\n"
    assert Path("run.st").read_bytes() == before


def test_a_stdout_that_fills_at_the_end_keeps_back_no_file(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "closing", full)
    done = lk("solve", "--problem", "stacking")
    assert done.exit_code == 1
    assert done.stderr == "lionk: failed: the output cannot be written: No space left on device\n"
    assert read("lionk-solve/trace.json")["result"]["success"]
    assert os.path.exists("lionk-solve/picture.png")


@pytest.mark.parametrize("room", [True, False])
def test_an_interrupted_run_is_said_to_be_saved_only_where_it_is(room, monkeypatch):
    base = ("solve", "--problem", "stacking", "--checkpoint", "run.st", *QUIET, "-q")
    lk(*base, "--maxiter", "2")  # an older file

    def stop(live, info):
        live.step = info.nit
        if info.nit == 3:
            raise KeyboardInterrupt

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Live, "__call__", stop)
    if not room:
        monkeypatch.setattr(checkpoint, "_replace", full)
    done = lk(*base)
    assert done.exit_code == 130
    warned = "" if room else "lionk: warning: checkpoint run.st was not written: No space left on device\n"
    kept = "; run.st holds the run, --resume continues it" if room else ""
    assert done.stderr == f"{warned}lionk: interrupted: stopped at step 3{kept}\n"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("a letter")])
def test_a_picture_that_fails_loses_nothing_else(error, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(figures, "draw", fail)
    done = lk("solve", "--problem", "stacking")
    assert done.exit_code == 1
    assert "certified gap" in done.stdout
    assert "wrote lionk-solve/trace.json" in done.stdout
    assert read("lionk-solve/trace.json")["result"]["success"]
    if isinstance(error, OSError):
        assert done.stderr == "lionk: failed: lionk-solve/picture.png cannot be written: No space left on device\n"


# -- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["constant", "inverse-sqrt", "linear", "cosine"])
def test_schedules(schedule):
    lk(
        "solve",
        "--lr",
        "0.1",
        "--schedule",
        schedule,
        "--maxiter",
        "20",
        "--tol",
        "0",
        "--json",
        "a.json",
        "--plot",
        "none",
    )
    lr = np.asarray(read("a.json")["history"]["lr"])
    last = {"constant": 0.1, "inverse-sqrt": 0.1 / np.sqrt(21), "linear": 0.1 / 21}.get(schedule, lr[-1])
    assert lr[0] == pytest.approx(0.1)
    assert lr[-1] == pytest.approx(last)
    assert np.all(np.diff(lr) <= 0)
    assert np.all(lr > 0)


def test_json_on_stdout():
    done = lk("solve", "--problem", "stacking", "--json", "-", "--plot", "none")
    assert json.loads(done.stdout)["result"]["success"]
    assert "certified gap" in done.stderr


def test_quiet_prints_nothing():
    done = lk("solve", "--problem", "stacking", "--quiet")
    assert (done.exit_code, done.output) == (0, "")
    assert os.path.exists("lionk-solve/picture.png")
    assert os.path.exists("lionk-solve/trace.json")


def test_weight_decay_zero_is_said_to_have_no_bound():
    done = lk(
        "solve",
        "--problem",
        "stacking",
        "--k",
        "half_square",
        "--weight-decay",
        "0",
        "--tol",
        "0.01",
        "--maxiter",
        "3000",
    )
    assert "no constraint" in done.stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("l1", ("l1", {})),
        ("lp:p=inf", ("lp", {"p": np.inf})),
        ("box:lower=-1,upper=2.5", ("box", {"lower": -1, "upper": 2.5})),
        ("box:upper=[1,2],lower=0", ("box", {"upper": [1, 2], "lower": 0})),
        ("group_huber: delta = .5, axis=none", ("group_huber", {"delta": 0.5, "axis": None})),
        ("scale:K=l1,a=2", ("scale", {"K": "l1", "a": 2})),
    ],
)
def test_k_grammar(text, expected):
    assert parse_k(text) == expected


# -- seen against the constraint ---------------------------------------------------------------------------------


def test_views():
    x = np.asarray([1.0, -0.5, 0.0])
    names = ("a", "b", "c")
    see = lambda K, x, lam=1.0, **k: view(K.conjugate.domain, np.asarray(x), lam, names, ("r", "s"))  # noqa: E731
    v = see(lionk.K("l1"), x)
    assert (v.active.tolist(), v.upper.tolist()) == ([True, False, False], [1, 1, 1])
    assert see(lionk.K("relu"), [0.5, 0.0, 0.5], 2.0).active.all()
    assert see(2 * lionk.K("l1"), x).upper[0] == 2
    assert see(lionk.K("box", lower=-0.5, upper=3.0), x).active.tolist() == [False, True, False]
    assert see(lionk.K("linf"), x).total == ("sum of magnitudes", 1.5, 1.0)
    assert see(lionk.K("l2"), x).total[1] == pytest.approx(np.sqrt(1.25))
    assert see(lionk.K("half_square"), x).text.startswith("none")
    assert see(lionk.K("l1_plus_l2"), x).text.startswith("the set bounds no coefficient alone")
    X = np.asarray([[3.0, 0.0, 4.0], [0.0, 0.5, 0.0]])
    v = see(lionk.K("row_l1_l2"), X, 0.2)
    assert (v.what, v.labels, v.values.tolist(), v.active.tolist()) == (
        "row norms", ("r", "s"), [5.0, 0.5], [True, False]
    )  # fmt: skip
    assert see(lionk.K("col_l1_l2"), X).labels == names
    assert see(lionk.K("nuclear"), X, 0.2).active.tolist() == [True, False]
    assert see(lionk.K("spectral"), X).total == pytest.approx(("sum of singular values", 5.5, 1.0))


@pytest.mark.parametrize("k", [*lionk.names(), *(n for n in lionk.algorithms() if n != "scion_spectral_conv")])
def test_every_k_has_a_view(k):
    x = np.ones((2, 3)) / 6
    v = view(lionk.K(k).conjugate.domain, x, 1.0, ("a", "b", "c"), ("r", "s"))
    assert v.values.shape == v.lower.shape == v.upper.shape == (len(v.labels),)
    assert v.text


# -- the picture -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--k", "l2", "--weight-decay", "0"),
        ("--problem", "digits", "--k", "nuclear"),
        pytest.param(("--seed", "3", "--k", "max"), marks=pytest.mark.slow),
        pytest.param(("--k", "linf", "--dtype", "float32"), marks=pytest.mark.slow),
        pytest.param(("--problem", "digits", "--k", "l1", "--weight-decay", "1"), marks=pytest.mark.slow),
    ],
)
def test_panels_keep_their_place(arguments, monkeypatch):
    """No text may leave the picture, or reach into another panel."""
    seen = []

    def look(outcome, path):
        with rc_context(style.STYLE):
            figure = figures.draw(outcome)
            figure.draw_without_rendering()
            whole = figure.bbox
            for panel in figure.axes[:3] + figure.axes[-1:]:
                box = panel.get_tightbbox()
                assert whole.x0 <= box.x0 < box.x1 <= whole.x1, panel.get_title(loc="left")
                assert whole.y0 <= box.y0 < box.y1 <= whole.y1, panel.get_title(loc="left")
                assert not any(box.overlaps(other) for other in seen)
                seen.append(box)

    monkeypatch.setattr(figures, "save", look)
    done = lk("solve", *arguments, "--maxiter", "40")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert len(seen) == 4


def test_names_in_the_picture_are_as_they_are(tmp_path):
    names = ["a$b", r"c$\frac{", "\u4ef7\U0001f642", '"of two\nlines"']
    (tmp_path / "$x$.csv").write_text(",".join(names) + ",y\n1,2,3,4,0\n2,3,1,1,1\n5,4,2,0,0\n", encoding="utf-8")
    for picture in ("a.svg", "A.PNG"):
        done = lk("solve", "--data", "$x$.csv", "--target", "y", "--maxiter", "3", "--plot", picture, "--json", "none")
        assert done.exit_code == 1 and "NOT certified" in done.stdout, done.output
    drawn = Path("a.svg").read_text(encoding="utf-8")
    assert all(text in drawn for text in ("$x$.csv", "a$b", r"c$\frac{", "of two lines"))
    assert Path("A.PNG").read_bytes().startswith(b"\x89PNG")


def test_picture_of_a_constant_objective(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,0\n2,1\n3,0\n")
    done = lk("solve", "--data", "a.csv", "--target", "y", "-k", "dead_zone", "--maxiter", "3", "--json", "none")
    assert done.exit_code == 0, done.output


# -- functions, doctor, and the rest -----------------------------------------------------------------------------


def test_functions():
    done = lk("functions")
    assert done.exit_code == 0
    assert all(name in done.stdout for name in lionk.names())
    matrices = lk("functions", "--kind", "matrix", "--json", "-")
    assert {e["kind"] for e in json.loads(matrices.stdout)["functions"]} == {"matrix"}
    assert "simplex" in lk("functions", "--search", "simplex").stdout
    assert "spectral_lift" in lk("functions", "--kind", "rule").stdout
    algorithms = json.loads(lk("functions", "--kind", "algorithm", "--json", "-").stdout)["functions"]
    assert [e["name"] for e in algorithms] == lionk.algorithms()
    assert all(e["algorithm"] for e in algorithms)
    assert "scion_row" not in done.stdout
    assert "--kind algorithm" in done.stdout
    assert "scion_row" in lk("functions", "--search", "scion").stdout


EVERY = [*lionk.names(), *lionk.algorithms(), "spectral_lift", "tilt", "kernel_lift"]


@pytest.mark.parametrize("name", EVERY if turns.FULL else EVERY[::3])
def test_one_function_in_full(name):
    done = lk("functions", name)
    assert done.exit_code == 0, done.output
    assert lionk.functions.entry(name).conjugate in " ".join(done.stdout.split())
    json.loads(lk("functions", name, "--json", "-").stdout)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("hubert",), "did you mean 'huber'"),
        (("huber:delta=0",), "delta must be"),
        (("scale:K=l1,zzz=4",), "no parameter 'zzz'"),
        (("scale:K=nope,a=2",), "named 'nope'"),
        (("add:K1=add,K2=l1",), "add needs 'K1'"),
        (("--kind", "tensor"), "choose one of scalar"),
        (("--search", "zzz"), "no function has 'zzz'"),
        (("l1", "--kind", "scalar"), "leave NAME out"),
        (("muon:scaling=all",), "scaling must be one of"),
    ],
)
def test_functions_bad_input(arguments, says):
    done = lk("functions", *arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert says in done.stderr


def test_newton_schulz_sets_show_the_bound_that_they_promise():
    """Of the quintic set: the largest value of its five steps on [0, 1], composed here."""
    shown = json.loads(lk("functions", "muon", "--json", "-").stdout)["polar"]
    for name, found in shown.items():
        if name == "aol":  # its scaling depends on the matrix
            continue
        s = np.linspace(0, 1, 200_001)
        for a, b, c in lionk.conventions.newton_schulz(name).steps:
            s = a * s + b * s**3 + c * s**5
        assert found["reach"] == pytest.approx(s.max(), abs=2e-5)
    assert "1.145 times as large" in " ".join(lk("functions", "muon").stdout.split())
    assert "polar" not in json.loads(lk("functions", "l1", "--json", "-").stdout)


def test_a_rule_with_its_functions_in_full():
    done = lk("functions", "scale:K=l1,a=3")
    assert "Affine(inner=Box" in done.stdout
    assert "lionk solve --k scale:K=l1,a=3" in done.stdout


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("muon:scaling=none", {"scaling": "none", "polar": "svd"}),
        (
            "muon:polar={'tol':0.01,'resolve':0.1},scaling='none'",
            {"scaling": "none", "polar": {"tol": 0.01, "resolve": 0.1}},
        ),
        ("clipped_scion:norm=l1,bound=2", {"norm": "l1", "bound": 2}),
    ],
)
def test_texts_among_parameters(text, spec):
    shown = json.loads(lk("functions", text, "--json", "-").stdout)["spec"]
    assert shown == {"name": text.split(":")[0], **spec}


def test_doctor():
    done = lk("doctor", "--json", "doctor.json")
    assert done.exit_code == 0, done.output
    found = read("doctor.json")["backends"]
    verdict = {f["backend"]: f["verdict"] for f in found}
    for name, backend in lionk.backends().items():
        assert verdict[name] == ("PASS" if backend.available() else "not available")
    assert all(f["text"] for f in found)


def test_doctor_finds_a_wrong_step(monkeypatch):
    real = lionk.backends()["numpy"]

    class Wrong(type(real)):
        def runner(self, opt):
            right = super().runner(opt)

            def run(x, m, grad, **options):
                x, m = right(x, m, grad, **options)
                return x + 0.01, m

            return run

    class Broken(type(real)):
        def devices(self):
            raise RuntimeError("no driver")

    monkeypatch.setattr(lionk, "backends", lambda: {"numpy": Wrong(), "other": Broken()})
    done = lk("doctor", "--json", "-")
    assert done.exit_code == 1
    assert "the self-test fails for numpy on cpu" in done.stderr
    found = json.loads(done.stdout)["backends"]
    assert "the step of l1 is wrong in x" in found[0]["text"]
    assert found[1]["verdict"] == "FAIL"


@pytest.mark.parametrize(
    ("library", "device"), [("numpy", "cpu"), ("torch", "cpu"), pytest.param("jax", None, marks=pytest.mark.slow)]
)
def test_doctor_examines_a_backend_at_length(monkeypatch, library, device):
    from lionk.app.bench import speed
    from lionk.app.doctor import examination

    monkeypatch.setattr(speed, "SHAPES", {"2^24": [(300,)], "GPT-2": [(20,), (3, 4)], "2,000 x 100": [(5,)] * 9})
    monkeypatch.setattr(examination, "JUDGED", {"l1": 0, "l2": 0})
    here = lionk.backends()[library]
    ways = {k: v for k, v in here.runners().items() if k not in ("compiled", "numba")}  # compilers take seconds
    monkeypatch.setattr(type(here), "runners", lambda self: ways)
    on = [] if device is None else ["--device", device]
    done = lk("doctor", "--backend", library, *on, "--seconds", "0.1", "--json", "d.json", "--report", "d.md")
    assert done.exit_code == 0, done.output
    found = read("d.json")
    assert found["passed"] and [r["K"] for r in found["conformance"]] == ["l1", "l2"]
    assert {t["runner"] for t in found["timings"]} == set(ways)
    for t in found["timings"]:
        entries = {"2^24": 300, "GPT-2": 32, "2,000 x 100": 45}[t["shapes"]]
        assert t["rate"] == pytest.approx(20 * entries / (t["ms"] / 1e3) / 1e9)
    with open("d.md", encoding="utf-8") as file:
        page = file.read()
    assert f"# lionk: {library}" in page and page.count("### lionk on") == 2


def test_doctor_at_length_finds_a_wrong_step(monkeypatch):
    from lionk.app.doctor import examination

    real = lionk.backends()["numpy"]

    class Wrong(type(real)):
        def runner(self, opt, runner=None):
            right = super().runner(opt, runner)

            def run(x, m, grad, **options):
                x, m = right(x, m, grad, **options)
                return x + 0.01, m

            return run

    monkeypatch.setattr(examination, "JUDGED", {"l1": 0})
    monkeypatch.setattr(examination, "SHAPES", ())
    monkeypatch.setattr(lionk, "backends", lambda: {"numpy": Wrong()})
    done = lk("doctor", "--backend", "numpy")
    assert done.exit_code == 1
    assert "does not pass" in done.stderr
    with open("lionk-doctor/numpy.md", encoding="utf-8") as file:
        assert "FAILS" in file.read()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--backend", "fortran"), "choose one of"),
        (("--backend", "numpy", "--device", "moon"), "numpy has cpu"),
        (("--device", "cpu"), "go with --backend"),
        (("--backend", "numpy", "--report", "d.md", "--json", "d.md"), "are the same file"),
        (("--backend", "numpy", "--report", "no/d.md"), "no/d.md"),
    ],
)
def test_doctor_bad_input(arguments, says):
    done = lk("doctor", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr


def test_help_version_and_no_arguments():
    assert lk("--version").stdout == f"lionk {lionk.__version__}\n"
    for arguments in (("--help",), ("solve", "-h"), ("functions", "--help"), ("doctor", "--help"), ("bench", "--help")):
        done = lk(*arguments)
        assert done.exit_code == 0
        assert "--help" in done.stdout and "<bool>" not in done.stdout and "BOOLEAN" not in done.stdout
    assert "solve" in lk().output
    assert lk("solve", "--nonsense").exit_code == 2


def test_shell_completion():
    done = run(_LIONK_COMPLETE="complete_bash", COMP_WORDS="lionk solve --k nuc", COMP_CWORD="3")
    assert done.stdout.split() == ["nuclear", "nuclear_frobenius", "nuclear_l1"]


@pytest.mark.usefixtures("small")
def test_a_missing_library_is_one_line():
    code = f"""
import sys
from lionk.app import main
own = ["", "solve", *{SMALL}]
for missing, sys.argv in (("typer", ["", "--version"]), ("sklearn", ["", "solve"]), ("matplotlib", own)):
    sys.modules[missing] = None
    try:
        main()
    except SystemExit as end:
        print(end, file=sys.stderr)
    del sys.modules[missing]
"""
    done = run(code=code)
    assert done.returncode == 0
    for line, library in zip(done.stderr.splitlines(), ("typer", "sklearn", "matplotlib"), strict=True):
        assert f"needs {library}" in line
        assert "pip install 'lionk[cli]'" in line


def test_python_m_lionk():
    done = subprocess.run([sys.executable, "-m", "lionk", "--version"], check=True, capture_output=True, text=True)
    assert done.stdout == f"lionk {lionk.__version__}\n"


def test_nothing_of_the_picture_is_global():
    """No pyplot: figures of the caller, and the backend that the caller chose, stay as they are."""
    done = run(code="import sys, lionk.app.figures; assert 'matplotlib.pyplot' not in sys.modules")
    assert done.returncode == 0, done.stderr
