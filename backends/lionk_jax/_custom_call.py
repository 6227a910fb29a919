"""A function of NumPy arrays as a custom call of a program that XLA compiles for a CPU, on the memory of that program.

XLA's foreign function interface hands a C function one address, that of a call frame, whose layout is that of
``xla/ffi/api/c_api.h`` (it comes with jaxlib); the structures below are those parts of it that are read here. Nothing
is copied: ``jax.pure_callback`` copies what comes and what goes, which takes longer than a step.
"""

from __future__ import annotations

import atexit
import ctypes
import math
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ctypes import POINTER, c_int, c_int64, c_size_t, c_uint32, c_void_p
from functools import cache
from typing import Any

TARGET = "lionk_step"
METADATA = 1  # the type of an extension
EXECUTE = 3  # the stage in which a program runs
INTERNAL = 13  # the code of an error inside a call
HEAD: list[Any] = [("size", c_size_t), ("extension", c_void_p)]  # of every structure
VERSION: list[Any] = [*((f"version_{name}", kind) for name, kind in HEAD), ("major", c_int), ("minor", c_int)]


class _Api(ctypes.Structure):
    _fields_ = [*HEAD, *VERSION, ("internal", c_void_p), ("error", c_void_p)]


class _Error(ctypes.Structure):
    _fields_ = [*HEAD, ("message", ctypes.c_char_p), ("code", c_int)]


class _Metadata(ctypes.Structure):
    _fields_ = [("size", c_size_t), *VERSION, ("traits", c_uint32)]


class _MetadataExtension(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("type", c_int), ("next", c_void_p), ("metadata", POINTER(_Metadata))]


class _Buffer(ctypes.Structure):
    _fields_ = [*HEAD, ("dtype", c_int), ("data", c_void_p)]


class _Scalar(ctypes.Structure):
    _fields_ = [("dtype", c_int), ("value", POINTER(c_int64))]


class _Arguments(ctypes.Structure):
    _fields_ = [*HEAD, ("count", c_int64), ("types", c_void_p), ("buffers", POINTER(POINTER(_Buffer)))]


class _Attributes(ctypes.Structure):
    _fields_ = [
        *HEAD, ("count", c_int64), ("types", c_void_p), ("names", c_void_p), ("values", POINTER(POINTER(_Scalar))),
    ]  # fmt: skip


class _Frame(ctypes.Structure):
    _fields_ = [
        *HEAD, ("api", POINTER(_Api)), ("context", c_void_p), ("stage", c_int), ("arguments", _Arguments),
        ("results", _Arguments), ("attributes", _Attributes),
    ]  # fmt: skip


# By a number drawn at random: a program that was saved by another process finds none here, and never a wrong one.
_functions: dict[int, tuple[Callable[..., None], list[tuple[Any, tuple[int, ...]]]]] = {}


def custom_call(
    function: Callable[..., None], arguments: Sequence[Any], written: Sequence[int]
) -> Callable[..., tuple[Any, ...]]:
    """``call(*arrays)``: the arrays in the places ``written``, after ``function(*arrays)`` has written over them.

    XLA copies an array before that if it is needed again. ``arguments``: arrays of these shapes and dtypes will come.
    The function is kept for ever, as a program that calls it may be.
    """
    import jax
    import numpy as np

    _thread().submit(int).result()  # it starts now, from a thread that is none of XLA's
    number = secrets.randbits(63)
    _functions[number] = function, [(np.dtype(a.dtype), tuple(a.shape)) for a in arguments]
    results = tuple(jax.ShapeDtypeStruct(arguments[k].shape, arguments[k].dtype) for k in written)
    aliases = {k: place for place, k in enumerate(written)}
    call = jax.ffi.ffi_call(TARGET, results, input_output_aliases=aliases, vmap_method="sequential")

    def named(*arrays: Any) -> tuple[Any, ...]:
        made: tuple[Any, ...] = tuple(call(*arrays, number=np.int64(number)))
        return made

    return named


@cache
def available() -> bool:
    """Does this JAX call functions by the interface that is known here? Its name for them is made known to it."""
    try:
        return bool(_register())
    except Exception:
        return False  # another version, which says so in an error of its own


@cache
def _register() -> Any:
    """The C function that XLA calls, which must stay."""
    import jax

    kept = ctypes.CFUNCTYPE(c_void_p, POINTER(_Frame))(_called)
    jax.ffi.register_ffi_target(TARGET, jax.ffi.pycapsule(ctypes.cast(kept, c_void_p)), platform="cpu")
    # Before the pools of threads close, which is before all that atexit does.
    getattr(threading, "_register_atexit", atexit.register)(_finish)
    return kept


def _finish() -> None:
    """Wait for steps that are yet to be made: where Python has ended, what XLA calls waits for it without end."""
    import jax

    with suppress(Exception):  # an error of a step, which nobody asks for any more
        jax.block_until_ready(jax.live_arrays())


@cache
def _thread() -> ThreadPoolExecutor:
    """The thread that runs the functions. Those of XLA take subnormal numbers for 0, as do threads that they start."""
    return ThreadPoolExecutor(1, thread_name_prefix="lionk-jax")


def _called(address: Any) -> Any:
    """What XLA calls: at first to ask for which version of the interface this is, then to run a function."""
    frame = address.contents
    asking = frame.extension and _MetadataExtension.from_address(frame.extension)
    if asking and asking.type == METADATA:
        asked = asking.metadata.contents
        api = frame.api.contents if frame.api else None  # JAX 0.5 has version 0.1, and gives none
        # What is read here lies alike in every version 0.x, as its rules for changes demand.
        asked.major, asked.minor, asked.traits = 0, api.minor if api else 1, 0
        return None
    if frame.stage != EXECUTE:
        return None
    try:
        number = frame.attributes.values[0].contents.value[0]
        if number not in _functions:
            raise LookupError("this program was compiled by another process; compile it again in this one")
        function, kinds = _functions[number]
        arrays = [_array(frame.arguments.buffers[k].contents.data, *kind) for k, kind in enumerate(kinds)]
        _thread().submit(function, *arrays).result()
    except BaseException as error:  # nothing may be raised into XLA, which raises it for the user
        text = f"{type(error).__name__}: {error}".encode()
        make = ctypes.CFUNCTYPE(c_void_p, POINTER(_Error))(frame.api.contents.error)
        return make(ctypes.byref(_Error(ctypes.sizeof(_Error), None, text, INTERNAL)))
    return None


def _array(address: int, dtype: Any, shape: tuple[int, ...]) -> Any:
    import numpy as np

    size = math.prod(shape) * dtype.itemsize
    return np.frombuffer((ctypes.c_byte * size).from_address(address), dtype).reshape(shape)
