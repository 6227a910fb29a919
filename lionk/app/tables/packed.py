"""Files that are packed: what is in them, and under which name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from ..console import BadInput, first_of

_UNPACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}
PACKED = (*_UNPACK, ".zip")


def unpacked(path: Path) -> tuple[str, bytes]:
    """Name and content: of the file itself, or of the one that is packed in it. Raises BadInput."""
    data, kind = path.read_bytes(), path.suffix.lower()
    try:
        if kind == ".zip":
            return _only(path, data)
        return (path.stem, _UNPACK[kind](data)) if kind in _UNPACK else (path.name, data)
    except (OSError, EOFError, RuntimeError, ValueError, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is no {kind} file, or is damaged: {error}") from None


def _only(path: Path, data: bytes) -> tuple[str, bytes]:
    """The one file of an archive; folders, and what macOS adds, do not count."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
        if len(names) != 1:
            raise BadInput(f"{path} holds {len(names)} files ({first_of(names)}); unpack it, and give one of them")
        return PurePosixPath(names[0]).name, archive.read(names[0])
