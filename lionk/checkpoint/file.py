"""Checkpoints: a tree of arrays and its metadata in one safetensors file, exact to the bit and replaced at once.

The arrays are the tensors of the file, readable by any safetensors reader: complex ones as pairs of floats along a last
axis, bfloat16 as uint16, dtypes that safetensors lacks as bytes. Containers, dtypes and metadata are JSON text in one
more tensor (the header of the format is limited in size). There is no pickle: loading runs no code.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..backend.discovery import backends
from ..backend.protocol import Backend
from .content import ANY, Reader, Unreadable, as_bits, encode

FORMAT = "lionk checkpoint 1"
CONTENT = "lionk.json"
LONG = 100  # bytes of a file's name; most file systems take 255


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
        raise FileNotFoundError(
            f"there is no folder {target.parent} for the checkpoint {target.name}; make it first, or name another"
        )
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"the folder {target.parent} of the checkpoint {target.name} is read-only; name another")
    encode(tree, "", {})


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
    content = {"tree": encode(tree, "", arrays), "meta": encode(meta or {}, "meta", arrays)}
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
    read = Reader(path, arrays, backend, device).read
    with crafted(path):
        return read(content["tree"], ANY if like is backend else like, ""), read(content["meta"], ANY, "meta")


def metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What ``save`` wrote beside the tree. Raises as ``load`` does."""
    content, arrays = _read(Path(path))
    with crafted(Path(path)):
        found = Reader(Path(path), arrays, None, None).read(content["meta"], ANY, "meta")
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no lionk checkpoint: its metadata are a {type(found).__name__}")
    return found


@contextlib.contextmanager
def crafted(path: Path) -> Iterator[None]:
    """A right checksum and a wrong content: whatever the code that reads it raises is a ValueError that says so."""
    try:
        yield
    except (Unreadable, ImportError):
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise Unreadable(f"{path} is no lionk checkpoint: its content is not what save writes ({what})") from error


def _target(path: str | os.PathLike[str]) -> Path:
    """Where a link points to, so that it stays a link; any other path as it is."""
    return Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("checkpoints need safetensors: pip install 'lionk[cli]'") from error
    return safetensors.numpy


def _checksum(arrays: dict[str, Any]) -> int:
    """Of the tensors and of what the header says of them."""
    crc = 0
    for name in sorted(arrays):
        a = arrays[name]
        crc = zlib.crc32(f"{name} {a.dtype.name} {a.shape}".encode(), crc)
        crc = zlib.crc32(as_bits(a), crc)
    return crc


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    _safetensors()
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}; a run with checkpoint=PATH writes one")
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
    with crafted(path):
        content = json.loads(arrays[CONTENT].tobytes())
        content["tree"], content["meta"]
    return content, arrays


def _replace(path: Path, data: bytes) -> None:
    """Put data at path as one change, and on the disk before it returns."""
    _remove_leftovers(path)
    temporary = path.with_name(f"{_prefix(path)}{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            if path.exists():  # it stays as private as it was
                os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
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
    """Of the names of temporary files; a long name of the checkpoint is a number there, so that none is too long."""
    name = path.name if len(os.fsencode(path.name)) <= LONG else f"{zlib.crc32(os.fsencode(path.name)):08x}"
    return f".{name}.{socket.gethostname()}."


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
