"""Wrong formulas on purpose: the properties notice each of them.

A mutant is a function whose one hook is off: by a constant, a tie, a missing +inf, a k that is one too large.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest

import lionk
from backends_under_test import BACKENDS
from helpers import On
from lionk.sets import Ball, TopK
from properties import ALL

K = lionk.K


def _mutant(k: Any, **hooks: Any) -> Any:
    """k with some hooks replaced by ``f(original, *arguments)``; its conjugate is k's, and knows the mutant."""
    twin, dual = object.__new__(type(k)), object.__new__(type(k.conjugate))
    vars(twin).update(vars(k))
    vars(dual).update(vars(k.conjugate))
    vars(twin)["conjugate"], vars(dual)["conjugate"] = dual, twin
    for name, f in hooks.items():
        owner, attribute = (dual, name.removeprefix("dual")) if name.startswith("dual") else (twin, name)
        original = getattr(owner, attribute)
        vars(owner)[attribute] = lambda *a, f=f, original=original: f(original, *a)
    return twin


def _domain(k: Any, **hooks: Any) -> Any:
    """k whose dom K* has some hooks replaced."""
    c = k.conjugate.domain
    wrong = object.__new__(type(c))
    vars(wrong).update(vars(c))
    for name, f in hooks.items():
        original = getattr(c, name)
        vars(wrong)[name] = lambda *a, f=f, original=original: f(original, *a)
    twin = _mutant(k)
    vars(twin.conjugate)["domain"] = wrong
    for side in (twin, twin.conjugate):
        if "set" in vars(side):
            vars(side)["set"] = wrong
    return twin


def _traits(k: Any, **claims: Any) -> Any:
    twin = _mutant(k)
    changed = object.__new__(type(k.traits))
    vars(changed).update({**{f.name: getattr(k.traits, f.name) for f in dataclasses.fields(k.traits)}, **claims})
    vars(twin)["traits"] = changed
    return twin


V = (6,)
MUTANTS = {
    "value: constant added": (lambda: _mutant(K("l1"), _value=lambda f, *a: f(*a) + 0.01), V),
    "value: wrong factor": (lambda: _mutant(K("huber"), _value=lambda f, *a: 1.001 * f(*a)), V),
    "gradient: wrong factor": (lambda: _mutant(K("log_cosh"), _subgradient=lambda f, *a: 0.999 * f(*a)), V),
    "gradient: wrong sign": (lambda: _mutant(K("l2"), _subgradient=lambda f, *a: -f(*a)), V),
    "gradient: sign(0) = 1": (
        lambda: _mutant(K("l1"), _subgradient=lambda f, xp, x, b: xp.where(x == 0, 1.0 + 0 * x, f(xp, x, b))),
        V,
    ),
    "gradient: first of the ties": (
        lambda: _mutant(
            K("linf"),
            _subgradient=lambda f, xp, x, b: f(xp, x * (1 + 1e-9 * np.arange(x.size)[::-1].reshape(x.shape)), b),
        ),
        V,
    ),
    "gradient: NaN at zero": (
        lambda: _mutant(K("l2"), _subgradient=lambda f, xp, x, b: xp.where(x == 0, np.nan, f(xp, x, b))),
        V,
    ),
    "gradient: NaN hidden": (
        lambda: _mutant(K("l1"), _subgradient=lambda f, xp, x, b: xp.where(xp.isnan(x), 0.0, f(xp, x, b))),
        V,
    ),
    "k one too large": (lambda: _mutant(K("top_k", k=2), _subgradient=lambda f, *a: TopK(3)._lmo(*a)), V),
    "k one too small": (lambda: _mutant(K("top_k", k=3), _value=lambda f, xp, x, b, t: TopK(2)._support(xp, x, b)), V),
    "wrong exponent": (lambda: _mutant(K("lp", p=3), _subgradient=lambda f, *a: Ball(3.0)._lmo(*a)), V),
    "conjugate: +inf missing": (
        lambda: _mutant(K("l1"), dual_value=lambda f, xp, y, b, t: 0 * xp.sum(y)),
        V,
    ),
    "conjugate: +inf missing, value right": (
        lambda: _mutant(K("log_cosh"), dual_value=lambda f, xp, y, b, t: f(xp, xp.clip(y, -1.0, 1.0), b, t)),
        V,
    ),
    "conjugate: +inf inside": (lambda: _mutant(K("l1"), dual_value=lambda f, xp, y, b, t: f(xp, 1.01 * y, b, t)), V),
    "conjugate: wrong constant": (lambda: _mutant(K("huber"), dual_value=lambda f, *a: 2 * f(*a)), V),
    "conjugate: tolerance ignored": (lambda: _mutant(K("l1"), dual_value=lambda f, xp, y, b, t: f(xp, y, b, 0.0)), V),
    "conjugate: NaN is inside": (
        lambda: _mutant(K("l1"), dual_value=lambda f, xp, y, b, t: f(xp, xp.where(xp.isnan(y), 0.0, y), b, t)),
        V,
    ),
    "prox: step forgotten": (lambda: _mutant(K("l1"), _prox=lambda f, xp, x, t, b: f(xp, x, 1.0, b)), V),
    "prox: wrong threshold": (lambda: _mutant(K("l2"), _prox=lambda f, xp, x, t, b: f(xp, x, 1.05 * t, b)), V),
    "projection: not the nearest": (
        lambda: _domain(K("l2"), _project=lambda f, xp, y, b: xp.clip(y, -0.4, 0.4)),
        V,
    ),
    "projection: not idempotent": (lambda: _domain(K("l2"), _project=lambda f, *a: 0.99 * f(*a)), V),
    "projection: wrong radius": (lambda: _domain(K("linf"), _project=lambda f, xp, y, b: 2 * f(xp, y / 2, b)), V),
    "distance: squared": (lambda: _domain(K("linf"), _distance=lambda f, *a: f(*a) ** 2), V),
    "membership: too generous": (lambda: _domain(K("l1"), _violation=lambda f, *a: np.maximum(f(*a) - 0.5, 0)), V),
    "membership: too strict": (lambda: _domain(K("l1"), _violation=lambda f, *a: f(*a) + 0.5), V),
    "oracle: not a vertex": (lambda: _domain(K("l1"), _lmo=lambda f, *a: 0.5 * f(*a)), V),
    "diameter: radius": (lambda: _domain(K("l2"), diameter=lambda f, shape: f(shape) / 2), V),
    "traits: even": (lambda: _traits(K("max"), even=True), V),
    "traits: homogeneous": (lambda: _traits(K("huber"), homogeneous=True), V),
    "traits: smooth": (lambda: _traits(K("linf"), smooth=True), V),
    "traits: symmetric": (lambda: _traits(K("box", lower=-1.0, upper=(1.0,) * 5 + (2.0,)), symmetric=True), V),
    "traits: absolute": (lambda: _traits(K("relu"), absolute=True), V),
    "traits: minimum": (lambda: _traits(K("l1"), minimum_at_zero=False), V),
    "traits: least norm": (lambda: _traits(K("l1").tilt(0.5), selection="min_norm"), V),
    "traits: prox": (lambda: _traits(K("l1"), prox=False), V),
    "traits: bounded": (lambda: _traits(K("l1"), bounded_domain=False), V),
    "nuclear: U V' without the rank": (
        lambda: _mutant(K("nuclear"), _subgradient=lambda f, xp, x, b: f(xp, x + 1e-9 * np.eye(4, 3), b)),
        (4, 3),
    ),
    "nuclear: wrong factor": (lambda: _mutant(K("nuclear"), _subgradient=lambda f, *a: 1.2 * f(*a)), (4, 3)),
    "rows for columns": (
        lambda: _mutant(K("row_l1_l2"), _subgradient=lambda f, *a: K("col_l1_l2")._subgradient(*a)),
        (4, 3),
    ),
    "face: wrong distance": (lambda: _mutant(K("l1"), _subdifferential_distance=lambda f, *a: 0.5 * f(*a)), V),
    "half precision": (
        lambda: _mutant(K("log_cosh"), _value=lambda f, xp, x, b, t: f(xp, x.astype("float16").astype(x.dtype), b, t)),
        V,
    ),
    "wrong dtype": (lambda: _mutant(K("l1"), value=lambda f, x, *a: np.float16(f(x, *a))), V),
    "wrong shape": (lambda: _mutant(K("l1"), subgradient=lambda f, x: f(x)[None]), V),
    "input overwritten": (lambda: _mutant(K("l1"), subgradient=lambda f, x: np.sign(x, out=x)), V),
    "raises on NaN": (lambda: _mutant(K("l1"), value=lambda f, x, *a: f(np.asarray_chkfinite(x), *a)), V),
}  # fmt: skip


def _caught(k: Any, shape: tuple[int, ...]) -> list[str]:
    on = On(k, BACKENDS["numpy"], "float64", shape, needs=k.traits.needs)
    by = []
    for name, holds in ALL.items():
        for side in (on, on.dual()):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    holds(side, np.random.default_rng(0))
            except Exception:
                by.append(name)
    return by


@pytest.mark.parametrize("name", MUTANTS)
def test_a_property_catches(name: str) -> None:
    make, shape = MUTANTS[name]
    assert _caught(make(), shape), f"no property notices: {name}"


@pytest.mark.parametrize("k", [K("l1"), K("huber"), K("top_k", k=2), K("lp", p=3), K("l2"), K("linf")])
def test_the_originals_pass(k: Any) -> None:
    """So that a mutant is caught for what was changed in it, and not by its being a mutant."""
    assert _caught(_mutant(k), V) == []
    assert _caught(_domain(k), V) == []


def test_every_property_catches_something() -> None:
    """No property is idle."""
    by: set[str] = set()
    for make, shape in MUTANTS.values():
        by.update(_caught(make(), shape))
    assert set(ALL) - by <= {"spellings"}
