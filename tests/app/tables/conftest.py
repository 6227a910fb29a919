"""A table as a file, for the tests of this folder."""

from __future__ import annotations

import pytest

from lionk.app.tables.file import read
from lionk.app.tables.sheet import Reading


@pytest.fixture
def sheet(tmp_path):
    """A function: the text, or bytes, of a file as a sheet."""

    def make(content, name="a.csv", **how):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read(path, Reading(**how))

    return make
