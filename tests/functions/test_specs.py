"""Parameters of the wrong kind, numbers out of range and specs nested without end: errors that say what is wanted."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lionk
from lionk.functions import entry
from lionk.functions.registry.entries import DEPTH, rules

K = lionk.K
BASE = {"K": "huber", "K1": "huber", "K2": "l2", "k": "huber", "phi": "huber", "norm": "l2"}
WRONG = [
    [1, 2], "x", None, 10**400, -(10**400), {}, math.nan, math.inf, -1, 0, True, b"a", [10**400], [["a"]], object(), 1j,
    np.ones((2, 2)), np.array([np.nan]), (1, "a"), [[1, 2], [3, 4]], {"a": 1}, {"name": ["l1"]},
    {"name": "nothing"}, set(),
]  # fmt: skip
UNSAID = (  # words of Python and NumPy
    "unhashable", "not supported between", "() argument", "has no attribute", "must be real number", "truth value",
    "unsupported operand", "string index", "not iterable", "base 10", "too large to convert",
)  # fmt: skip


def _said(name: str, given: dict) -> str:
    try:
        K(name, **given)
    except (TypeError, ValueError, KeyError, lionk.NotAvailable) as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", [*lionk.names(), *lionk.algorithms(), *rules()])
def test_whatever_a_parameter_is(name) -> None:
    """A function, or an error of a documented kind whose words are of this library."""
    given = entry(name).parameters
    base = {p: v for p, v in BASE.items() if p in given and entry(name).kind == "rule"}
    for p in given:
        for wrong in WRONG:
            said = _said(name, {**base, p: wrong})
            assert not any(text in said for text in UNSAID), f"{p}={wrong!r}: {said}"


def test_numbers_beyond_floating_point_are_refused_by_methods_too() -> None:
    k = K("l1")
    for make in (k.scale, k.dilate, k.moreau, k.ridge, lambda v: K("huber", delta=v), lambda v: v * k):
        with pytest.raises(ValueError, match=r"finite|beyond"):
            make(10**400)
    with pytest.raises(TypeError, match="a text such as 'original'"):
        K("muon", scaling=[1, 2])
    with pytest.raises(TypeError, match="a convex function, its name or its spec for K1"):
        K("add", K1=[1], K2="l1")


def test_specs_nested_deep_work_and_those_nested_without_end_are_refused() -> None:
    spec = {"name": "l1"}
    for _ in range(DEPTH):
        spec = {"name": "ridge", "K": spec, "mu": 0.5}
    k = K(spec)
    assert float(k.value(np.ones(2))) == pytest.approx(2 + DEPTH * 0.5)
    assert np.isfinite(k.conjugate.value(np.ones(2)))
    mixed = K("huber")
    for i in range(DEPTH):  # each envelope evaluates the one inside of it once: 2^25 evaluations would not end
        mixed = mixed.moreau(0.1) if i % 2 else mixed.ridge(0.1)
    x = np.asarray([0.3, -2.0])
    s = mixed.subgradient(x)
    assert float(mixed.value(x)) + float(mixed.conjugate.value(s)) == pytest.approx(float(x @ s), rel=1e-12)
    for _ in range(500):
        spec = {"name": "ridge", "K": spec, "mu": 0.5}
    with pytest.raises(ValueError, match="nested deeper than 50"):
        K(spec)
