"""A port that breaks, hangs, or attacks is judged; the judge lives on, and exit codes 0 and 1 come with a verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from command_line import lk
from lionk.conformance import check
from lionk.conformance.ports.apart import ApartPort
from lionk.conformance.ports.exchange import Program
from lionk.conformance.ports.process import Limits
from lionk.conformance.report.escape import clean, markdown
from lionk.conformance.report.results import FAIL, Report, Result

PORTS = """
import atexit, builtins, ctypes, gc, json, os, resource, signal, sys, threading, time, warnings
import numpy as np

def good(x, m, grad, lr=1e-4, b1=0.9, b2=0.99, wd=0.0):
    u = np.sign(b1 * m + (1 - b1) * grad)
    return x - lr * (u + wd * x), b2 * m + (1 - b2) * grad

CALLS = 0

def at(call, action):
    def port(x, m, grad, lr=1e-4, b1=0.9, b2=0.99, wd=0.0):
        global CALLS
        CALLS += 1
        if CALLS >= call:
            action(x, m, grad)
        return good(x, m, grad, lr, b1, b2, wd)
    return port

def stop(error):
    def action(*_):
        raise error
    return action

exit_0 = at(1, lambda *_: sys.exit(0))
exit_late = at(10, lambda *_: sys.exit(0))
exit_1 = at(3, lambda *_: sys.exit(1))
quits = at(2, lambda *_: builtins.quit())
os_exit_0 = at(5, lambda *_: os._exit(0))
os_exit_3 = at(5, lambda *_: os._exit(3))
kills = at(5, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
aborts = at(5, lambda *_: os.abort())
crashes = at(5, lambda *_: ctypes.string_at(0))
interrupts = at(5, stop(KeyboardInterrupt()))
base = at(5, stop(BaseException("no")))
generator = at(5, stop(GeneratorExit()))
memory = at(5, stop(MemoryError()))
recursion = at(5, lambda *_: (lambda f: f(f))(lambda f: f(f)))
closes_stdout = at(1, lambda *_: (sys.stdout.close(), sys.stderr.close(), good(*[1.0] * 3)[2]))
closes_all = at(5, lambda *_: os.closerange(3, 4096))
prints = at(1, lambda *_: (print('{"ok": {"passed": true}}'), sys.stdout.flush(), 1 / 0))
floods = at(1, lambda *_: (os.write(1, b"x" * 100000), os.write(2, b"y" * 100000), 1 / 0))
exits_later = at(1, lambda *_: (atexit.register(os._exit, 0), sys.exit(0)))
strict = at(1, lambda *_: (np.seterr(all="raise"), 1 / 0))
patched = at(1, lambda *_: (setattr(np, "sign", lambda a: a), good(*[0.0] * 3)))
shrugs = at(1, lambda *_: (signal.signal(signal.SIGTERM, signal.SIG_IGN), os._exit(0)))
raises_odd = at(5, stop(type("\\x1b[31mOdd\\u202e", (Exception,), {})("]]> <b> | ` \\x00 \\ud800")))
hangs = at(5, lambda *_: time.sleep(600))
spins = at(5, lambda *_: [None for _ in iter(int, 1)])
eats = at(5, lambda *_: [np.ones(2**24) for _ in range(10**6)])

def forks(x, m, grad, lr=1e-4, b1=0.9, b2=0.99, wd=0.0):
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)

def tampers(x, m, grad, lr=1e-4, b1=0.9, b2=0.99, wd=0.0):
    import lionk.conformance.judging.comparator as comparator
    import lionk.conformance.judging.judge as judge
    from lionk.conformance import Report
    comparator.judge_step = judge.judge_step = lambda *a, **k: None
    Report.passed = True
    return x, m

def nothing(x, m, grad, lr=1e-4, b1=0.9, b2=0.99, wd=0.0):
    return x, m

def shapeless(x, m, grad, lr=1e-4, b1=0.9, b2=0.99, wd=0.0):
    return np.zeros(3), m

def words(x, m, grad, lr=1e-4, b1=0.9, b2=0.99, wd=0.0):
    return "x", m
"""
ENDED = {
    "exit_0": "SystemExit: 0",
    "exit_late": "SystemExit: 0",
    "exit_1": "SystemExit: 1",
    "quits": "SystemExit",
    "os_exit_0": "ended the process with exit code 0",
    "os_exit_3": "ended the process with exit code 3",
    "kills": "ended the process by SIGKILL",
    "aborts": "ended the process by SIGABRT",
    "crashes": "ended the process by SIGSEGV",
    "interrupts": "KeyboardInterrupt",
    "base": "BaseException: no",
    "generator": "GeneratorExit",
    "memory": "MemoryError",
    "recursion": "RecursionError",
    "closes_stdout": "the port raised",
    "closes_all": "ended the process",
    "prints": "ZeroDivisionError",
    "floods": "ZeroDivisionError",
    "exits_later": "SystemExit",
    "strict": "ZeroDivisionError",
    "patched": "step 0",
    "shrugs": "ended the process with exit code 0",
    "raises_odd": "the port raised",
    "hangs": "did not answer within 1 s",
    "spins": "did not answer within 1 s",
    "eats": "took more than 0.5 GiB of memory",
    "forks": "ended the process with exit code 0",
    "tampers": "step 0",
    "nothing": "step 0",
    "shapeless": "x has shape (3,)",
    "words": "the port raised",
}


@pytest.fixture(scope="module")
def ports(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "hostile.py"
    path.write_text(PORTS)
    return path


#: One of each kind in the quick suite.
QUICK = {"exit_late", "crashes", "closes_all", "hangs", "eats", "forks", "tampers"}


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ENDED])
def test_a_hostile_port_gets_a_verdict(ports, name):
    limits = Limits(seconds=1.0 if name in ("hangs", "spins") else 30.0, memory=0.5)
    with ApartPort(f"{ports}:{name}", {}, limits) as port:
        report = check(port, dtypes=("float64",), only="S1.first", level=0, diagnose=False)
    assert not report.passed
    assert any(ENDED[name] in r.text for r in report.failures), [r.text for r in report.failures][:5]
    assert len(report.results) == 3  # all tests have a verdict
    ElementTree.fromstring(report.to_junit())
    json.dumps(report.to_json())


def test_a_right_port_is_judged_right_in_another_process(ports):
    with ApartPort(f"{ports}:good", {}) as port:
        report = check(port, level=3, dtypes=("float64",), only="S7", diagnose=False)
    assert report.passed, [r.text for r in report.failures]
    assert {r.id.split("/")[0] for r in report.results if r.verdict == "pass"} >= {"S7.checkpoint", "S7.edited"}


@pytest.mark.parametrize("body", ["import sys; sys.exit(0)", "import os; os._exit(0)", "raise BaseException('no')"])
def test_what_ends_at_import_is_no_port(tmp_path, body, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ends.py").write_text(body)
    done = lk("conform", "ends.py:f")
    assert done.exit_code == 2, done.output


def test_exit_code_1_has_a_verdict(ports):
    done = lk("conform", f"{ports}:exit_late", "--level", "L0", "--dtype", "float64")
    assert done.exit_code == 1
    assert "FAIL: holds" in done.output
    assert "SystemExit: 0" in done.output


@pytest.mark.parametrize("target", [".hostile:good", "..:good", ":good", "hostile:"])
def test_names_that_are_none(target):
    assert lk("conform", target).exit_code == 2


def test_sys_exit_in_the_judges_own_process_is_a_verdict():
    def leaves(x, m, grad, lr, b1, b2, wd):
        sys.exit(0)

    report = check(leaves, dtypes=("float64",), level=0)
    assert not report.passed
    assert "SystemExit: 0" in report.hint


def _alive(marker):
    """The processes with this in their command line, once those that were killed have gone."""
    until = time.monotonic() + 5
    while (found := _running(marker)) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def _running(marker):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def test_a_program_is_ended_with_its_children():
    marker = f"7{os.getpid()}"
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"did not answer within 0\.5 s"):
        Program(["sh", "-c", f"sleep {marker}; true"], limits=Limits(seconds=0.5)).check(level=0)
    assert time.monotonic() - start < 20
    assert _alive(f"sleep\0{marker}") == []


def test_a_program_that_leaves_a_child_with_its_output_is_not_waited_for():
    marker = f"8{os.getpid()}"
    report = Program(["sh", "-c", f"sleep {marker} & echo"], limits=Limits(seconds=20)).check(level=0)
    assert {r.text for r in report.failures} == {"no result was written for this case"}
    assert _alive(f"sleep\0{marker}") == []


def test_a_program_that_writes_without_end_is_ended():
    with pytest.raises(RuntimeError, match="wrote more than 1 MiB"):
        Program(["sh", "-c", "yes"], limits=Limits(seconds=20, output=2**20)).check(level=0)


def test_text_is_made_fit_to_be_shown():
    odd = "\x1b[31m[bold]a|b`*\x00\ud800\u202e\n]]>"
    assert not {"\x1b", "\x00", "\ud800", "\u202e", "\n"} & set(clean(odd))
    assert "\\|" in markdown(odd)
    assert "\\[bold\\]" in markdown(odd)
    assert len(clean("x" * 10**6)) == 2000
    report = Report(odd, "l1", 0, [Result("S1.first/one/float64", FAIL, odd)], versions={odd: odd})
    suite = ElementTree.fromstring(report.to_junit())
    assert len(suite.findall("*/failure")) == 1
    assert "\x1b" not in report.to_markdown() + report.summary()


def test_the_child_executes_nothing_that_it_is_sent_by_the_port(ports):
    """Its own lines are JSON; a pickle would be code."""
    from lionk.conformance.ports import apart, child, message

    for module in (apart, child, message):
        assert "pickle" not in Path(module.__file__).read_text()


def test_the_port_module_runs_by_itself(ports):
    asked = json.dumps({"do": "open", "target": f"{ports}:good", "wishes": {}}) + "\n"
    command = [sys.executable, "-P", "-m", "lionk.conformance.ports.child"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["ok"]["name"] == "hostile.good"
