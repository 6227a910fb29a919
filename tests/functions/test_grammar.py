"""Drawn functions, two or three rules deep, against oracles that share no code with the library: see ``grammar``."""

from __future__ import annotations

import functools
import math
import os
import sys
import zlib
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grammar
import hunt
import lionk
from backends_under_test import BACKENDS
from helpers import On, available, norm

TIMES = 100 if os.environ.get("LIONK_FULL") == "1" else 1
LONG = 5  # seconds, of one drawn case
SHAPES = [(1,), (3,), (4,), (2, 2), (2, 3), (3, 2)]
DRAWN: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def counts(request: pytest.FixtureRequest) -> Any:
    yield
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        sys.stdout.write(f"\n[grammar of K] {', '.join(f'{n} {what}' for what, n in sorted(DRAWN.items()))}\n")


class Case:
    """A drawn function on a library, and a generator of its points."""

    def __init__(self, made: grammar.Made, on: On, rng: np.random.Generator) -> None:
        self.made, self.on, self.rng = made, on, rng

    def __repr__(self) -> str:
        return f"{self.made.text} of {self.on.shape}, {self.on.dtype}, {self.on.backend.name}"


def built(one: grammar.Draw, depths: tuple[int, ...], libraries: tuple[str, ...], seed: int) -> Case:
    shape = one(SHAPES)
    made = grammar.function(one, shape, one(list(depths)))
    dtype = one(["float64", "float64", "float32"])
    on = On.moved(made.K, BACKENDS[one(list(libraries))], dtype, shape)
    return Case(made, on, np.random.default_rng(seed))


@st.composite
def drawn(draw: Any, depths: tuple[int, ...], libraries: tuple[str, ...]) -> Case:
    def one(choices: list[Any]) -> Any:
        return draw(st.sampled_from(choices))

    return built(one, depths, libraries, draw(st.integers(0, 2**32 - 1)))


def timed(test: Any) -> Any:
    """Splits inside of splits may take minutes on a strict namespace: what takes too long is counted, and left.

    NumPy may warn where there is no subgradient, as of the entropy of a singular matrix: numbers count here.
    """

    @functools.wraps(test)
    def run(*args: Any, **parameters: Any) -> None:
        try:
            with hunt.limited(LONG), np.errstate(all="ignore"):
                test(*args, **parameters)
        except TimeoutError:
            DRAWN[f"more than {LONG} s"] += 1

    return run


def many(examples: int, depths: tuple[int, ...] = (0, 1, 2, 3), libraries: tuple[str, ...] = ("numpy",)) -> Any:
    """So many cases by seed, the same in each run; in the full run a hundred times as many, by hypothesis."""

    def made(test: Any) -> Any:
        check = timed(test)
        if TIMES > 1:
            drawing = settings(max_examples=examples * TIMES, deadline=None, derandomize=True, database=None)
            return drawing(given(drawn(depths, libraries))(check))

        def quick(index: int) -> None:
            rng = np.random.default_rng([zlib.crc32(test.__name__.encode()), index])
            check(built(grammar.by(rng), depths, libraries, int(rng.integers(2**32))))

        quick.__name__, quick.__doc__ = test.__name__, test.__doc__
        return pytest.mark.parametrize("index", range(examples))(quick)

    return made


def _size(on: On, *terms: float) -> float:
    return on.tol(1 + sum(map(abs, terms)), 512)


@many(10)
def test_enclosures_hold_the_truth(case: Case) -> None:
    made, on, rng = case.made, case.on, case.rng
    s, r = (on.round(size * rng.standard_normal(on.shape)) for size in (rng.choice([0.1, 1.0, 30.0]), 1.0))
    lower, upper = on.K.bounds(on.put(s))
    truth = made.at(s)
    assert lower <= on.K.value(on.put(s)) <= upper
    assert lower <= truth + 4 * on.eps * abs(truth)
    assert not made.exact or truth <= upper + 4 * on.eps * abs(truth)
    dual = on.K.conjugate
    for part in (1.0, 0.5, 0.95):
        y = on.round(part * on.gradient(s) + (1 - part) * on.gradient(r))
        try:
            lower, upper = (float(e) for e in dual.bounds(on.put(y)))
        except lionk.NotAvailable:
            DRAWN["without a known conjugate"] += 1
            return
        value = float(dual.value(on.put(y)))
        assert lower <= value <= upper or math.isinf(value)
        slope = dual.subgradient(on.put(y))
        below = grammar.from_below(made, y, [s, r], 60)
        scale = abs(below) + float((abs(y) * (abs(s) + abs(r))).sum()) + abs(truth)
        assert below <= upper + 8 * on.eps * scale
        DRAWN["enclosures"] += 1
        wide = upper - lower > dual.traits.accuracy * (scale + norm(y) * norm(slope)) + _size(on, scale)
        DRAWN["wide enclosures"] += bool(wide)


@many(12, libraries=("numpy", "numpy", "strict", "torch"))
def test_fenchel_young_at_the_selection(case: Case) -> None:
    made, on, rng = case.made, case.on, case.rng
    x = on.round(rng.choice([0.0, 0.1, 1.0, 30.0]) * rng.standard_normal(on.shape))
    s = on.gradient(x)
    gap = available(on.gap, x, s)
    if gap is not None and np.all(np.isfinite(s)):
        assert abs(gap) <= _size(on, on.value(x), norm(x) * norm(s)), made.text
        DRAWN["selections"] += 1


@many(12, depths=(0, 1, 2))
def test_projections_and_proximal_operators(case: Case) -> None:
    """Members stay, projections are idempotent and satisfy the variational inequality; a prox is optimal."""
    made, on, rng = case.made, case.on, case.rng
    x, z = (on.round(size * rng.standard_normal(on.shape)) for size in (3.0, 1.0))
    domain = on.K.conjugate.domain
    near = available(on.call, domain.project, x)
    if near is not None:
        bound = _size(on, norm(x) * norm(near), norm(x) ** 2) * 4
        for member in (on.gradient(z), on.gradient(x)):
            assert float(np.sum((x - near) * (member - near))) <= bound, made.text
        again = on.call(domain.project, near)
        assert norm(again - near) <= _size(on, norm(near))
        DRAWN["projections"] += 1
    t = float(rng.choice([0.3, 4.0]))
    p = available(on.prox, x, t)
    if p is not None:
        r = on.round((x - p) / t)
        loose = 1e-6 if on.eps < 1e-10 else 1e-2
        gap = available(lambda: on.gap(p, r, tol=loose))
        scale = (1 + 1 / t) * (1 + norm(x)) * (1 + norm(r) + norm(p))
        assert gap is None or abs(gap) <= _size(on, on.value(p), scale) * 16, made.text
        DRAWN["proximal operators"] += 1


@many(8, depths=(0, 1, 2))
def test_blocks_conjugates_and_specs(case: Case) -> None:
    on, rng = case.on, case.rng
    x, z = (on.put(on.round(rng.standard_normal(on.shape))) for _ in range(2))
    k = on.K
    assert k.conjugate.conjugate is k
    both = lionk.blocks({"a": k, "b": k})
    total = float(k.value(x)) + float(k.value(z))
    assert float(both.value({"a": x, "b": z})) == pytest.approx(total, rel=8 * on.eps, abs=1e-300)
    again = lionk.K(k.spec)
    assert float(again.value(x)) == float(k.value(x))
    assert np.array_equal(again.subgradient(z), k.subgradient(z))
    DRAWN["blocks and specs"] += 1


@many(12, depths=(0, 1, 2))
def test_scales(case: Case) -> None:
    """K(x/a) a for a from 1e-30 to 1e30: the same numbers, a times as large."""
    made, on, rng = case.made, case.on, case.rng
    exponent = int(rng.integers(-30, 31))
    if on.dtype == "float32":
        exponent //= 3  # squares of 1e30 are no float32 numbers, and a prox of squares divides by them
    a = 10.0**exponent
    k = on.K.dilate(1 / a).scale(a)
    x = on.round(rng.standard_normal(on.shape))
    y = 0.5 * on.gradient(x)
    there = on.put(on.round(a * x))
    scale = abs(on.value(x)) + norm(x) * norm(on.gradient(x))
    assert float(k.value(there)) == pytest.approx(a * on.value(x), rel=1e-5, abs=a * _size(on, scale) * 8), made.text
    assert norm(k.subgradient(there) - on.gradient(x)) <= _size(on, norm(on.gradient(x))) * 64 or not on.K.traits.smooth
    try:
        here = float(on.K.conjugate.value(on.put(on.round(y))))
    except lionk.NotAvailable:
        return
    far = float(k.conjugate.value(on.put(on.round(y))))
    assert far == pytest.approx(a * here, rel=1e-4, abs=a * _size(on, scale, here) * 8), made.text
    DRAWN["scales"] += 1


def test_no_statement_is_false() -> None:
    """The hunt that ``python tests/hunt.py`` is, on fewer draws; LIONK_FULL=1 gives it ten minutes."""
    depths = (0, 1, 1, 2, 2, 3) if TIMES > 1 else (0, 1)
    counts, false, _ = hunt.hunt(100_000 if TIMES > 1 else 10, seconds=600 if TIMES > 1 else 20, depths=depths)
    DRAWN.update({f"{kind} (hunt)": n for kind, n in counts.items()})
    assert not false, hunt.told(counts, false, [])


@pytest.mark.slow
def test_all_libraries_say_the_same() -> None:
    """And of no entry, too. JAX compiles for each function."""
    counts, false, _ = hunt.hunt(200, seconds=300, only="libraries", depths=(0, 0, 1), limit=60)
    DRAWN.update({f"{kind} (libraries)": n for kind, n in counts.items()})
    assert not false, hunt.told(counts, false, [])
