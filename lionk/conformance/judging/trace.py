"""Running a port on a case, and what comes back: x after each step as float64, and what a step did beside."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

from array_api_compat import is_array_api_obj

from ...backend.discovery import backend_of
from ...backend.protocol import dtype_name
from ..specification.cases import Case, floats, host
from ..specification.port import Port


@dataclass
class Trace:
    """``xs[t]``: x after step t, a float64 NumPy array. ``refused``: the error with which the port declined, or ""."""

    xs: list[Any]
    refused: str = ""
    dtype: str = ""
    impure: list[int] = field(default_factory=list)  # steps that changed their gradient


def read(x: Any) -> Any:
    """An array of any library, or a number, as a float64 NumPy array."""
    value = backend_of(x).to_host(x) if is_array_api_obj(x) else x
    return host().asarray(value, dtype="float64")


def run(port: Port, case: Case) -> Trace:
    """The run of one case. An exception of ``create`` is a refusal; one of ``step`` is passed on."""
    options = dict(port.capabilities.decays.get(case.decay, {}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a library says at NaN, or of its own deprecations, is not judged
        if hasattr(port, "trace"):
            return port.trace(case)
        try:
            handle = port.create(case.array(case.x0), **case.hyper(), **options)
        except (ValueError, AssertionError, TypeError) as error:
            return Trace([], f"{type(error).__name__}: {error}".removesuffix(": "))
        trace = Trace([])
        for t, entries in enumerate(case.grads):
            grad = case.array(entries)
            handle.step(grad)
            left = getattr(handle, "received", None)
            if not same(read(grad if left is None else left), read(case.array(entries))):
                trace.impure.append(t)
            trace.xs.append(read(handle.x))
        x = handle.x
        trace.dtype = dtype_name(x) if is_array_api_obj(x) else type(x).__name__
        return trace


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
    if len(arrays) != len(case.grads):
        raise ValueError(f"{case.id}: {len(arrays)} steps were written, {len(case.grads)} are needed")
    return Trace(arrays, dtype=case.dtype)
