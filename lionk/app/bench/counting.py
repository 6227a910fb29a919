"""Instruments that give the same number on every machine: what one call of a function asks of Python and of arrays.

A count is of lionk's own code: of files in its folders and of functions that it writes as text. Libraries and the
benchmarks themselves are left out, so that another version of NumPy changes nothing.
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

Thunk = Callable[[], Any]
HERE = str(Path(__file__).parent)
PACKAGES = ("lionk", "lionk_numpy", "lionk_torch", "lionk_jax", "lionk_dask", "lionk_cupy", "lionk_sklearn")


@cache
def _folders() -> tuple[str, ...]:
    found = (find_spec(name) for name in PACKAGES)
    return tuple(folder + os.sep for spec in found if spec for folder in spec.submodule_search_locations or ())


@cache
def _inside(file: str) -> bool:
    return file.startswith(_folders()) and not file.startswith(HERE)


def _own(frame: Any) -> bool:
    """Is this code in a file of lionk, or a text that lionk has compiled, and none of these instruments?"""
    if frame.f_code.co_filename == "<string>":
        return str(frame.f_globals.get("__name__", "lionk")).startswith("lionk")
    return _inside(frame.f_code.co_filename)


class Work(NamedTuple):
    """What lionk's own code did: calls of functions of Python and C, and lines that were run."""

    calls: int
    lines: int


def work(thunk: Thunk) -> Work:
    """The calls that lionk's code makes while ``thunk`` runs, and the lines of it that are run, loops included."""
    calls = lines = 0

    def profile(frame: Any, event: str, _: Any) -> None:
        nonlocal calls
        caller = frame.f_back if event == "call" else frame if event == "c_call" else None
        calls += caller is not None and _own(caller)

    def local(_: Any, event: str, __: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return local

    def trace(frame: Any, _: str, __: Any) -> Any:
        return local if _own(frame) else None

    with _alone():
        sys.settrace(trace)
        sys.setprofile(profile)
        try:
            thunk()
        finally:
            sys.setprofile(None)
            sys.settrace(None)
    return Work(calls, lines)


class Arrays(NamedTuple):
    """Operations on whole arrays, and the entries of their results: passes over memory, and temporaries."""

    operations: int
    entries: int


def arrays(thunk: Thunk) -> Arrays:
    """Count what ``thunk`` asks of array-api-strict, where every operation and operator is a function of Python."""
    folder = (find_spec("array_api_strict").submodule_search_locations or [""])[0]  # type: ignore[union-attr]
    operations = entries = 0

    def profile(frame: Any, event: str, result: Any) -> None:
        nonlocal operations, entries
        inside = event == "return" and frame.f_code.co_filename.startswith(folder)
        if inside and frame.f_back is not None and _own(frame.f_back):
            found = [a for a in (result if isinstance(result, tuple) else (result,)) if hasattr(a, "size")]
            operations += len(found)
            entries += sum(a.size for a in found)

    with _alone():
        sys.setprofile(profile)
        try:
            thunk()
        finally:
            sys.setprofile(None)
    return Arrays(operations, entries)


def peak(thunk: Thunk) -> int:
    """The bytes that NumPy and Python hold at most, beyond those that were held before."""
    import tracemalloc

    with _alone():
        tracemalloc.start()
        try:
            thunk()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """No garbage collection, which comes when it likes."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def instructions(code: str) -> float:
    """Millions of instructions that a new interpreter takes for this code beyond an empty one, to a hundredth of them.

    Raises NotImplementedError where the processor counts none, as in many virtual machines.
    """

    def counted(text: str) -> float:
        command = ["perf", "stat", "-x", ",", "-e", "instructions:u", sys.executable, "-c", text]
        try:
            said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotImplementedError(f"there is no perf here: {error}") from None
        number = next((line.split(",")[0] for line in said.splitlines() if "instructions" in line), "")
        if not number.isdigit():
            raise NotImplementedError("this machine counts no instructions")
        return int(number) / 1e6

    return float(f"{counted(code) - counted('pass'):.2g}")
