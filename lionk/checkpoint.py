"""Checkpoints: a tree of arrays and its metadata in one safetensors file, exact to the bit and replaced at once.

The arrays are the tensors of the file, readable by any safetensors reader: complex ones as pairs of floats along a last
axis, bfloat16 as uint16, dtypes that safetensors lacks as bytes. Containers, dtypes and metadata are JSON text in one
more tensor (the header of the format is limited in size). There is no pickle: loading runs no code.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import socket
import struct
import zlib
from collections import namedtuple
from pathlib import Path
from typing import Any

from array_api_compat import device as device_of
from array_api_compat import is_array_api_obj as is_array

from .backend import Backend, backend_of, backends, dtype_name
from .tree import is_container

FORMAT = "lionk checkpoint 1"
CONTENT = "lionk.json"
STORED = {  # how entries look to another reader of the file; others are bytes
    **{n: n for n in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{n: n for n in ("float16", "float32", "float64")},
    "bfloat16": "uint16",
}
PAIRS = {"complex64": "float32", "complex128": "float64"}
ANY: Any = object()  # in place of a counterpart in ``like``


def check(path: str | os.PathLike[str], tree: Any = None) -> None:
    """Raise what ``save`` would raise of this path and tree, before the work that is to be saved. Writes nothing.

    Raises
    ------
    TypeError
        There is something else in the tree than ``save`` takes.
    ImportError
        safetensors is not installed.
    OSError
        The path is a directory, a device or a pipe, in whose place a file would be put; or its directory is missing or
        read-only.
    """
    _safetensors()
    path, target = Path(path), _target(path)
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is a directory, a device or a pipe, where a checkpoint is a file; name another")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent} for the checkpoint {target.name}")
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"the folder {target.parent} of the checkpoint {target.name} is read-only")
    _encode(tree, "", {})


def save(path: str | os.PathLike[str], tree: Any, meta: dict[str, Any] | None = None) -> None:
    """Write a tree of arrays, and metadata, to one file; a reader sees the old file or the new one, never a part.

    The bytes go to a temporary file beside it, to the disk, and only then to the name; temporary files that a killed
    process of this machine left there are removed.

    Parameters
    ----------
    path : path
        The file, or a link to one; its directory exists.
    tree : array or container
        Of arrays of any backend, of any dtype and shape, and of numbers, texts and None.
    meta : dict, optional
        The same; meant for settings and progress. Floats survive bit for bit, NaN and infinities included.

    Raises
    ------
    TypeError
        There is something else in the tree; the message says where.
    ImportError
        safetensors is not installed.
    OSError
        The file cannot be written, or the path is no file, as ``check`` says.
    """
    check(path)
    arrays: dict[str, Any] = {CONTENT: None}  # the name is taken
    content = {"tree": _encode(tree, "", arrays), "meta": _encode(meta or {}, "meta", arrays)}
    text = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
    arrays[CONTENT] = backends()["numpy"].namespace().frombuffer(text, dtype="uint8")
    header = {"format": FORMAT, "crc32": str(_checksum(arrays))}
    _replace(_target(path), _safetensors().save(arrays, metadata=header))


def load(path: str | os.PathLike[str], like: Any = None, *, device: Any = None) -> tuple[Any, dict[str, Any]]:
    """Read what ``save`` wrote.

    Parameters
    ----------
    path : path
    like : tree, Backend or None
        A tree as the one saved: each array comes in the library, and on the device, of its counterpart, which must have
        its shape and dtype; NamedTuples get their types back. A backend: all arrays come in its library, on ``device``.
        None: each array comes in the library that it was saved from, on ``device``.
    device
        See ``like``; None: the library's default.

    Returns
    -------
    (tree, meta)

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged or no checkpoint, or the tree differs from ``like``; the message names path and place.
    ImportError
        safetensors, or a library that the arrays were saved from, is not installed.
    """
    path = Path(path)
    content, arrays = _read(path)
    backend = like if isinstance(like, Backend) else None
    read = _Reader(path, arrays, backend, device).read
    return read(content["tree"], ANY if like is backend else like, ""), read(content["meta"], ANY, "meta")


# -- the content -------------------------------------------------------------------------------------------------
#
# None, bool, int, finite float, str and list are themselves in JSON; everything else is an object with one key.


def _encode(v: Any, where: str, arrays: dict[str, Any]) -> Any:
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
        return [_encode(p, f"{where}.{k}".lstrip("."), arrays) for k, p in items]

    kind = _kind(v)
    if kind == "dict":
        return {"dict": [[_encode(k, f"a key of {where or 'the tree'}", arrays) for k in v], parts(v.items())]}
    if kind == "namedtuple":
        return {"namedtuple": [type(v).__name__, list(v._fields), parts(v._asdict().items())]}
    return parts(enumerate(v)) if kind == "list" else {"tuple": parts(enumerate(v))}


class _Reader:
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
        return backend.from_bits(_as_bits(self.arrays[name]), dtype, tuple(shape), device=device)

    def installed(self, library: str) -> Backend:
        found = backends().get(library)
        if found is None:
            raise ValueError(
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
        return ValueError(f"{self.path} has {found} at {where or 'the top'}, where like has a {wanted}")


def _kind(v: Any) -> str:
    if hasattr(v, "_fields"):
        return "namedtuple"
    return next((t.__name__ for t in (dict, list, tuple) if isinstance(v, t)), type(v).__name__)


def _keys(v: Any) -> Any:
    return v if isinstance(v, dict) else getattr(v, "_fields", range(len(v)))


# -- the file ----------------------------------------------------------------------------------------------------


def _target(path: str | os.PathLike[str]) -> Path:
    """Where a link points to, so that it stays a link; any other path as it is."""
    return Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("checkpoints need safetensors: pip install 'lionk[cli]'") from error
    return safetensors.numpy


def _as_stored(bits: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    if dtype in PAIRS:
        return bits.view(PAIRS[dtype]).reshape((*shape, 2))
    return bits.view(STORED[dtype]).reshape(shape) if dtype in STORED else bits


def _as_bits(stored: Any) -> Any:
    return stored.reshape(-1).view("uint8")


def _checksum(arrays: dict[str, Any]) -> int:
    """Of the tensors and of what the header says of them."""
    crc = 0
    for name in sorted(arrays):
        a = arrays[name]
        crc = zlib.crc32(f"{name} {a.dtype.name} {a.shape}".encode(), crc)
        crc = zlib.crc32(_as_bits(a), crc)
    return crc


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    _safetensors()
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    try:
        with safe_open(str(path), framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise ValueError(f"{path} is no lionk checkpoint: its format is {header.get('format', 'not given')!r}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, or no checkpoint: {error}") from error
    if header.get("crc32") != str(_checksum(arrays)):
        raise ValueError(f"{path} is damaged: its checksum differs from the one that was written")
    return json.loads(arrays[CONTENT].tobytes()), arrays


def _replace(path: Path, data: bytes) -> None:
    """Put data at path as one change, and on the disk before it returns."""
    _remove_leftovers(path)
    temporary = path.with_name(f"{_prefix(path)}{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # a directory can be flushed there only
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _prefix(path: Path) -> str:
    return f".{path.name}.{socket.gethostname()}."


def _remove_leftovers(path: Path) -> None:
    """Temporary files of this checkpoint whose writer, on this machine, is no more."""
    if os.name != "posix":  # elsewhere, asking whether a process lives can end it
        return
    prefix = _prefix(path)
    for entry in os.scandir(path.parent):
        if entry.name.startswith(prefix) and entry.name.endswith(".tmp"):
            pid = entry.name.removeprefix(prefix).split(".")[0]
            if pid.isdigit() and not _lives(int(pid)):
                Path(entry.path).unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
