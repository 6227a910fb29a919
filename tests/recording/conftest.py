"""What the tests of runners share: tiles so small that short arrays have boundaries, and the ways to make a step."""

from __future__ import annotations

import pytest

import lionk
import lionk_torch
import lionk_torch.runner.plan
import lionk_torch.runner.small
from backends_under_test import WAYS
from lionk_numpy.runner import plan


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of 64 entries; compiled loops from 128 entries on."""
    monkeypatch.setattr(plan, "TILE", 64)
    monkeypatch.setattr(plan, "GATHERED", 64)
    monkeypatch.setattr(plan, "COMPILE", 128)
    monkeypatch.setattr(lionk_torch.runner.plan, "TILE", 64)
    monkeypatch.setattr(lionk_torch.runner.small, "SMALL", 16)
    monkeypatch.setattr(lionk_torch.runner.small, "MANY", 3)


@pytest.fixture(params=WAYS, ids=":".join)
def way(request):
    library, name = request.param
    if name == "numba" and name not in lionk.backends()[library].runners():
        pytest.skip("numba is not installed; pip install 'lionk[numba]'")
    return request.param
