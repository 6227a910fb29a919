"""Wrong formulas on purpose: ``check_K`` notices each of them."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import lionk
from lionk import checking
from lionk.checking import BROKEN
from lionk.checking.altered import altered, with_domain, with_traits
from turns import FULL

K = lionk.K


SLOW = {"own oracle: wrong claim", "own oracle: diameter too small"}  # their properties catch others as well
CAUGHT = BROKEN if FULL else [name for name in BROKEN if name not in SLOW]


@functools.cache
def judged(name: str) -> Any:
    return lionk.check_K(BROKEN[name].build(), shape=BROKEN[name].shape)


@pytest.mark.parametrize("name", CAUGHT)
def test_a_property_catches(name: str) -> None:
    report = judged(name)
    assert not report.ok, f"no property notices: {name}"
    assert all(v.reason for v in report.failures)


@pytest.mark.parametrize("k", [K("l1"), K("huber"), K("top_k", k=2), K("lp", p=3), K("l2"), K("linf")])
def test_the_originals_pass(k: Any) -> None:
    """So that a broken function is caught for what was changed in it, and not by its being a copy."""
    for same in (altered(k), with_domain(k), with_traits(k)):
        assert lionk.check_K(same).ok


def test_every_property_catches_something() -> None:
    """No property is idle."""
    by = {v.property for name in CAUGHT for v in judged(name).failures}
    assert by == set(checking.ALL)


def test_there_are_many() -> None:
    assert len(BROKEN) >= 40
