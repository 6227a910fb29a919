"""The golden vectors that come with lionk: for one K of each structure what ``export`` writes, as an archive.

They are the data of the specification's version: the generator must still make them, and what it makes on another
machine may differ in the last bits of tanh or of a singular value.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from .exchange import claims_of_program
from .export import export

#: elementwise with kinks, elementwise and smooth, of all entries, of their order, of singular values
SHIPPED = ("l1", "log_cosh", "l2", "owl", "nuclear")
_FOLDER = Path(__file__).parent / "golden_vectors"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def archive(K: str) -> Path:
    return _FOLDER / f"{K}.zip"


def unpack(K: str, folder: Path) -> int:
    """Write the files of a shipped archive; returns the number of cases."""
    with zipfile.ZipFile(archive(K)) as packed:
        packed.extractall(folder)
        return packed.read("cases.jsonl").count(b"\n")


def pack(K: str) -> Path:
    """Make the archive anew: the same bytes for the same files, with names in order and no date."""
    with tempfile.TemporaryDirectory() as made:
        export(Path(made), claims_of_program(K))
        _FOLDER.mkdir(exist_ok=True)
        with zipfile.ZipFile(archive(K), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
            for path in sorted(p for p in Path(made).rglob("*") if p.is_file()):
                name = zipfile.ZipInfo(path.relative_to(made).as_posix(), _EPOCH)
                packed.writestr(name, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    return archive(K)
