"""``lionk doctor``: which array libraries and devices are here, and whether lionk gives the right numbers on each."""

from __future__ import annotations

import functools
import importlib
import os
import platform
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.text import Text

import lionk

from ..console import BadInput, Failed, command, console, one_of, right, table, unbroken
from ..files import apart, check_folder, json_path, make_folder, output_path, to_file, write_json, write_text

FOLDER = Path("lionk-doctor")  # for the report, where --report names no file
SIZE = 1_000_000  # entries of the timed step
FUNCTIONS = ("l1", "log_sum_exp", "nuclear")  # of the Fenchel-Young equality: kinks, reductions, singular values
BOUND = 1e-4  # of errors in float32, relative


@dataclass(frozen=True)
class Finding:
    """One device of one backend, or a backend that is not available. ``step_ms``: one l1 step on a million float32."""

    backend: str
    version: str
    device: str
    verdict: str  # PASS, FAIL or "not available"
    text: str
    step_ms: float | None = None


@command
def doctor(
    json: Annotated[str | None, to_file(help="Write the results as JSON too; '-' is the terminal.")] = None,
    backend: Annotated[str | None, typer.Option(help="Examine only this library, at length, on one device.")] = None,
    device: Annotated[
        str | None,
        typer.Option(help="The device, or a part of its name. The first device that fits is taken."),
    ] = None,
    report: Annotated[
        str | None,
        to_file(help="Write the report of --backend here. By default it goes to lionk-doctor/."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="With --backend: how long the steps on each model are timed.")
    ] = 5.0,
) -> None:
    """Say which array libraries and devices work here, after a short test of each.

    The test makes one step of l1 and compares it with its formula, checks the Fenchel-Young equality of three K, and
    times a step. With --backend it judges the conformance and the speed of one library, and writes a report. The exit
    code is 1 if a library that is available fails.

    Examples: lionk doctor; lionk doctor --backend torch --device cuda
    """
    path = json_path(json)
    out = console(to_stderr=json == "-")
    if backend is not None:
        chosen, place = _chosen(backend, device)
        to = output_path(report, "--report", (".md",)) if report else FOLDER / f"{backend}.md"
        apart({"--json": path, "--report": to})
        if report is None:
            check_folder(FOLDER)
        _at_length(chosen, place, to, path, seconds, out)
        return
    if device is not None or report is not None:
        raise BadInput("--device and --report go with --backend")
    machine = {
        "lionk": lionk.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }
    out.print(", ".join(f"{k} {v}" for k, v in machine.items()), style="dim", soft_wrap=True)
    findings = [f for name in sorted(lionk.backends()) for f in examine(lionk.backends()[name])]
    names, test = map(unbroken, ("backend", "version")), unbroken("self-test")
    out.print(table(*names, "device", test, right("ms/step"), "details", rows=map(_row, findings)))
    out.print(f"self-test in float32; ms/step: one Lion step on {SIZE:,} entries.", style="dim")
    if path is not None:
        write_json(path, {"machine": machine, "backends": [asdict(f) for f in findings]})
    broken = [f"{f.backend} on {f.device}" for f in findings if f.verdict == "FAIL"]
    if broken:
        raise Failed(f"the self-test fails for {', '.join(broken)}")


def _row(f: Finding) -> tuple[Any, ...]:
    style = {"PASS": "green", "FAIL": "bold red"}.get(f.verdict, "dim")
    ms = "" if f.step_ms is None else f"{f.step_ms:.1f}"
    return f.backend, f.version, f.device, Text(f.verdict, style=style), ms, escape(f.text)


def _chosen(name: str, device: str | None) -> tuple[Any, Any]:
    """The backend of this name, and its device."""
    known = lionk.backends()
    one_of(sorted(known), name, "--backend")
    if missing := known[name].why_unavailable():
        raise Failed(f"{name} is not available: {missing}")
    devices = known[name].devices()
    fitting = [d for d in devices if device is None or device in str(d)]
    if not fitting:
        raise BadInput(f"--device {device}: {name} has {', '.join(map(str, devices))}")
    return known[name], fitting[0]


def _at_length(backend: Any, device: Any, report: Path | None, json: Path | None, seconds: float, out: Any) -> None:
    from ..bench.machine import machine
    from .examination import examine as at_length

    version = _version(backend)
    found = at_length(backend, version, device, machine(), seconds, lambda text: out.print(text, style="dim"))
    columns = (*map(unbroken, ("step on", "runner", "K")), right("ms"), right("GB/s"))
    rows = ((t.shapes, t.runner, t.K, f"{t.ms:.3f}", f"{t.rate:.1f}") for t in found.timings)
    out.print(table(*columns, rows=rows))
    for r in found.reports:
        out.print(escape(r.summary()), style="green" if r.passed else "bold red", soft_wrap=True)
    if report is not None:
        if report.parent == FOLDER:
            make_folder(FOLDER)
        write_text(report, found.to_markdown())
        out.print(f"wrote {report}", soft_wrap=True)
    if json is not None:
        write_json(json, found.to_json())
    if not found.passed:
        raise Failed(f"{backend.name} on {found.device} does not pass the conformance kit")


def _version(backend: Any) -> str:
    return str(getattr(importlib.import_module(backend.name), "__version__", ""))


def examine(backend: Any) -> list[Finding]:
    """A finding for each device; one if the library is not available or breaks before it has a device."""
    missing = backend.why_unavailable()
    if missing:
        return [Finding(backend.name, "", "", "not available", missing)]
    try:
        version, devices = _version(backend), backend.devices()
    except Exception as error:  # a broken installation raises what it likes; the doctor reports it and goes on
        return [Finding(backend.name, "", "", "FAIL", f"{type(error).__name__}: {error}")]
    return [_on_device(backend, version, device) for device in devices]


def _on_device(backend: Any, version: str, device: Any) -> Finding:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problems = [*_step_problems(backend, device), *_equality_problems(backend, device)]
            ms = _milliseconds(backend, device)
    except Exception as error:  # whatever a device raises is its finding
        return Finding(backend.name, version, str(device), "FAIL", f"{type(error).__name__}: {error}")
    text = "; ".join(problems) or f"step and Fenchel-Young of {', '.join(FUNCTIONS)} agree"
    return Finding(backend.name, version, str(device), "FAIL" if problems else "PASS", text, ms)


def _step_problems(backend: Any, device: Any) -> list[str]:
    """One step of l1, through the backend's runner, against the formula in float64."""
    import numpy as np

    rng = np.random.default_rng(0)
    x, m, g = rng.standard_normal((3, 1000)).astype("float32")
    lr, lam, b1, b2 = 0.125, 0.5, 0.9, 0.99
    run = backend.runner(lionk.LionK("l1", lr, (b1, b2), lam))
    put = functools.partial(backend.asarray, dtype="float32", device=device)
    got = [backend.to_host(a) for a in run(put(x), put(m), put(g))]
    x, m, g = (a.astype("float64") for a in (x, m, g))
    expected = (x + lr * (np.sign(b1 * m - (1 - b1) * g) - lam * x), b2 * m - (1 - b2) * g)
    errors = [float(np.max(np.abs(a - b))) for a, b in zip(got, expected, strict=True)]
    named = zip(("x", "m"), errors, strict=True)
    return [f"the step of l1 is wrong in {n} by {e:.2g}" for n, e in named if not e < BOUND]


def _equality_problems(backend: Any, device: Any) -> list[str]:
    """``K(x) + K*(dK(x)) = <x, dK(x)>`` on a matrix."""
    import numpy as np

    x = backend.asarray(np.random.default_rng(1).standard_normal((6, 9)), dtype="float32", device=device)
    found = []
    for name in FUNCTIONS:
        K = lionk.K(name)
        gap = float(K.fenchel_young(x, K.subgradient(x))) / (1 + abs(float(K.value(x))))
        if not abs(gap) < BOUND:
            found.append(f"Fenchel-Young of {name} is off by {gap:.2g}")
    return found


def _milliseconds(backend: Any, device: Any) -> float:
    import numpy as np

    run = backend.runner(lionk.LionK("l1", 1e-3, weight_decay=0.1))
    x, m, g = (backend.asarray(np.ones(SIZE), dtype="float32", device=device) for _ in range(3))
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        x, m = backend.synchronize(run(x, m, g))
        best = min(best, time.perf_counter() - start)
    return 1e3 * best
