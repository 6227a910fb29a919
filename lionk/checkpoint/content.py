"""What a checkpoint holds beside its arrays: a tree as JSON, each array by name, and the way back.

None, bool, int, finite float, str and list are themselves in JSON; everything else is an object with one key.
"""

from __future__ import annotations

import math
import struct
from collections import namedtuple
from pathlib import Path
from typing import Any

from array_api_compat import device as device_of
from array_api_compat import is_array_api_obj as is_array

from ..arrays.containers import is_container
from ..backend.discovery import backend_of, backends
from ..backend.protocol import Backend, dtype_name

STORED = {  # how entries look to another reader of the file; others are bytes
    **{n: n for n in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{n: n for n in ("float16", "float32", "float64")},
    "bfloat16": "uint16",
}
PAIRS = {"complex64": "float32", "complex128": "float64"}
ANY: Any = object()  # in place of a counterpart in ``like``


def encode(v: Any, where: str, arrays: dict[str, Any]) -> Any:
    """A tree as JSON; its arrays, as they are stored, go to ``arrays`` under their places."""
    if v is None or isinstance(v, (bool, str)):
        return v
    if isinstance(v, int):
        return int(v)
    if isinstance(v, float):
        return float(v) if math.isfinite(v) else {"float": struct.pack(">d", v).hex()}
    if is_container(v):
        return _encode_container(v, where, arrays)
    if not is_array(v):
        raise TypeError(
            f"{where or 'the tree'} is a {type(v).__name__}; a checkpoint holds arrays, numbers, texts and None, and "
            "dict, list, tuple and NamedTuple of them"
        )
    backend, dtype = backend_of(v), dtype_name(v)
    name = where or "array"
    while name in arrays:  # {"a": {"b": x}, "a.b": y}
        name += "'"
    arrays[name] = _as_stored(backend.to_bits(v), dtype, tuple(v.shape))
    return {"array": [name, backend.name, dtype, list(v.shape)]}


def _encode_container(v: Any, where: str, arrays: dict[str, Any]) -> Any:
    def parts(items: Any) -> Any:
        return [encode(p, f"{where}.{k}".lstrip("."), arrays) for k, p in items]

    kind = _kind(v)
    if kind == "dict":
        return {"dict": [[encode(k, f"a key of {where or 'the tree'}", arrays) for k in v], parts(v.items())]}
    if kind == "namedtuple":
        return {"namedtuple": [type(v).__name__, list(v._fields), parts(v._asdict().items())]}
    return parts(enumerate(v)) if kind == "list" else {"tuple": parts(enumerate(v))}


class Unreadable(ValueError):
    """A file that cannot be read as it was asked for; the message names it."""


class Reader:
    """Builds the tree again, in step with ``like`` where there is one."""

    def __init__(self, path: Path, arrays: dict[str, Any], backend: Backend | None, device: Any) -> None:
        self.path, self.arrays, self.backend, self.device = path, arrays, backend, device

    def read(self, node: Any, like: Any, where: str) -> Any:
        if isinstance(node, list):
            return self.items("list", range(len(node)), node, like, where)
        if not isinstance(node, dict):
            return self.scalar(node, like, where)
        ((kind, value),) = node.items()
        if kind == "array":
            return self.array(value, like, where)
        if kind == "float":
            return self.scalar(struct.unpack(">d", bytes.fromhex(value))[0], like, where)
        if kind == "tuple":
            return tuple(self.items("tuple", range(len(value)), value, like, where))
        if kind == "dict":
            keys = [self.read(k, ANY, where) for k in value[0]]
            return dict(zip(keys, self.items("dict", keys, value[1], like, where), strict=True))
        name, names, nodes = value
        parts = self.items("namedtuple", names, nodes, like, where)
        return namedtuple(name, names)(*parts) if like is ANY else type(like)(*parts)

    def items(self, kind: str, keys: Any, nodes: list[Any], like: Any, where: str) -> list[Any]:
        """The parts of a container; ``like`` must be one of its kind with these keys."""
        if like is not ANY and (_kind(like) != kind or set(_keys(like)) != set(keys)):
            raise self.differs(where, f"a {kind} with {list(keys)}", like)

        def counterpart(k: Any) -> Any:
            return ANY if like is ANY else getattr(like, k) if kind == "namedtuple" else like[k]

        return [self.read(n, counterpart(k), f"{where}.{k}".lstrip(".")) for k, n in zip(keys, nodes, strict=True)]

    def scalar(self, value: Any, like: Any, where: str) -> Any:
        if like is not ANY and (is_container(like) or is_array(like)):
            raise self.differs(where, f"a {type(value).__name__}", like)
        return value

    def array(self, value: list[Any], like: Any, where: str) -> Any:
        name, library, dtype, shape = value
        backend, device = self.backend or self.installed(library) if like is ANY else None, self.device
        if backend is None:
            if not is_array(like) or (dtype_name(like), list(like.shape)) != (dtype, shape):
                raise self.differs(where, f"a {dtype} array of shape {tuple(shape)}", like)
            backend, device = backend_of(like), device_of(like)  # JAX: the sharding, of an array on several
        stored = self.arrays[name]
        told = PAIRS.get(dtype, STORED.get(dtype)), (*shape, 2) if dtype in PAIRS else tuple(shape)
        if told[0] is not None and (stored.dtype.name, tuple(stored.shape)) != told:
            raise Unreadable(
                f"{self.path} is no lionk checkpoint: at {where or 'the top'} it names a {dtype} array of shape "
                f"{tuple(shape)}, but holds {stored.dtype.name} of shape {tuple(stored.shape)}"
            )
        return backend.from_bits(as_bits(stored), dtype, tuple(shape), device=device)

    def installed(self, library: str) -> Backend:
        found = backends().get(library)
        if found is None:
            raise Unreadable(
                f"{self.path} holds arrays of {library}, for which there is no backend; pass like=, a tree or a backend"
            )
        if not found.available():
            raise ImportError(
                f"{self.path} holds arrays of {library}: {found.why_unavailable()}; or pass another like="
            )
        return found

    def differs(self, where: str, found: str, like: Any) -> ValueError:
        if is_array(like):
            wanted = f"{dtype_name(like)} array of shape {tuple(like.shape)}"
        else:
            wanted = f"{_kind(like)} with {list(_keys(like))}" if is_container(like) else type(like).__name__
        return Unreadable(f"{self.path} has {found} at {where or 'the top'}, where like has a {wanted}")


def _kind(v: Any) -> str:
    if hasattr(v, "_fields"):
        return "namedtuple"
    return next((t.__name__ for t in (dict, list, tuple) if isinstance(v, t)), type(v).__name__)


def _keys(v: Any) -> Any:
    return v if isinstance(v, dict) else getattr(v, "_fields", range(len(v)))


def _as_stored(bits: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    if dtype in PAIRS:
        return bits.view(PAIRS[dtype]).reshape((*shape, 2))
    return bits.view(STORED[dtype]).reshape(shape) if dtype in STORED else bits


def as_bits(stored: Any) -> Any:
    return stored.reshape(-1).view("uint8")
