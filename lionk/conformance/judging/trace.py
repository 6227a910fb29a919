"""Running a port on a case, and what comes back: x after each step as float64, and what a step did beside."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from array_api_compat import is_array_api_obj

from ...backend.discovery import backend_of
from ...backend.protocol import dtype_name
from ..specification.cases import Case, floats, host
from ..specification.port import Port


class Raised(Exception):
    """A sentence: what a port raised in another process, or how it ended that. ``error``: what it raised, or ""."""

    def __init__(self, sentence: str, error: str = "") -> None:
        super().__init__(sentence)
        self.error = error


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """``sys.exit`` in a port is something that it raised, and not the judge's end."""
    try:
        yield
    except SystemExit as error:
        text = f"SystemExit: {error.code}"
        raise Raised(f"the port raised {text}", text) from None


@runtime_checkable
class Elsewhere(Protocol):
    """A port that runs a whole case in another process. ``live``: it has handles, too."""

    live: bool

    def run(self, case: Case) -> Trace: ...


@dataclass
class Trace:
    """``xs[t]``: x after step t, a float64 NumPy array. ``refused``: the error with which the port declined, or ""."""

    xs: list[Any]
    refused: str = ""
    dtype: str = ""
    impure: list[int] = field(default_factory=list)  # steps that changed their gradient


def read(x: Any) -> Any:
    """An array of any library, or a number, as a float64 NumPy array."""
    own = type(x).__module__ == "numpy"  # as most are
    value = x if own or not is_array_api_obj(x) else backend_of(x).to_host(x)
    return host().asarray(value, dtype="float64")


def run(port: Port, case: Case) -> Trace:
    """The run of one case. An exception of ``create`` is a refusal; one of ``step`` is passed on."""
    options = dict(port.capabilities.decays.get(case.decay, {}))
    with warnings.catch_warnings(), contained():
        warnings.simplefilter("ignore")  # what a library says at NaN, or of its own deprecations, is not judged
        if isinstance(port, Elsewhere):
            return port.run(case)
        try:
            handle = port.create(case.array(case.x0), **case.hyper(), **options)
        except (ValueError, AssertionError, TypeError) as error:
            return Trace([], f"{type(error).__name__}: {error}".removesuffix(": "))
        trace = Trace([])
        for t, entries in case.gradients():
            grad = case.gradient(entries)
            handle.step(grad)
            if case.repeat == 1 and changed(handle, grad, case.array(entries)):
                trace.impure.append(t)
            trace.xs.append(read(handle.x))
        x = handle.x
        trace.dtype = dtype_name(x) if is_array_api_obj(x) else type(x).__name__
        return trace


def walk(port: Port, case: Case) -> Iterator[Any]:
    """x after each step, as ``run`` gives it, of a port that is here and known: what it does beside is not watched."""
    handle = port.create(case.array(case.x0), **case.hyper(), **port.capabilities.decays.get(case.decay, {}))
    for _, entries in case.gradients():
        handle.step(case.gradient(entries))
        yield read(handle.x)


def changed(handle: Any, grad: Any, was: Any) -> bool:
    """Has the last step changed its gradient (or one of a list), in the caller's memory or in the port's own?"""
    left = getattr(handle, "received", None)
    if isinstance(grad, list):
        rows = list(zip(grad, was, left or grad, strict=True))
        return any(w is not None and (g is None or not same(read(g), read(w))) for a, w, b in rows for g in (a, b))
    return not all(same(read(g), read(was)) for g in (grad, left) if g is not None)


def same(a: Any, b: Any) -> bool:
    """Equal shapes and entries, NaN equal to NaN."""
    return bool(a.shape == b.shape and ((a == b) | ((a != a) & (b != b))).all())


def from_numbers(case: Case, xs: Any) -> Trace:
    """A trace from lists of numbers or hexadecimal strings, as other programs write them.

    Raises ValueError if their number is not that of the case.
    """
    arrays = []
    for x in xs:
        entries = floats(x)
        if len(entries) != len(case.x0):
            raise ValueError(f"{case.id}: x has {len(entries)} entries, {len(case.x0)} are needed")
        arrays.append(host().asarray(list(entries), dtype="float64").reshape(case.shape))
    if len(arrays) != case.steps:
        raise ValueError(f"{case.id}: {len(arrays)} steps were written, {case.steps} are needed")
    return Trace(arrays, dtype=case.dtype)
