"""Copies of a convex function in which one hook, one set's hook, or one claim is another: how broken ones are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Hook = Callable[..., Any]


def _copy(value: Any) -> Any:
    twin = object.__new__(type(value))
    vars(twin).update(vars(value))
    return twin


def _replace(owner: Any, name: str, f: Hook) -> None:
    original = getattr(owner, name)
    vars(owner)[name] = lambda *a, **options: f(original, *a, **options)


def altered(k: Any, **hooks: Hook) -> Any:
    """k with some hooks replaced by ``f(original, *arguments)``; ``dual_value`` and the like are those of K*."""
    twin, dual = _copy(k), _copy(k.conjugate)
    vars(twin)["conjugate"], vars(dual)["conjugate"] = dual, twin
    for name, f in hooks.items():
        owner, hook = (dual, name.removeprefix("dual")) if name.startswith("dual") else (twin, name)
        _replace(owner, hook, f)
    return twin


def with_domain(k: Any, domain: Any = None, **hooks: Hook) -> Any:
    """k with another dom K*, or with some of that set's hooks replaced."""
    wrong = _copy(k.conjugate.domain) if domain is None else domain
    for name, f in hooks.items():
        _replace(wrong, name, f)
    twin = altered(k)
    vars(twin.conjugate)["domain"] = wrong
    for side in (twin, twin.conjugate):
        if "set" in vars(side):
            vars(side)["set"] = wrong
    return twin


def with_traits(k: Any, **claims: Any) -> Any:
    """k with other claims."""
    twin, changed = altered(k), _copy(k.traits)
    vars(changed).update(claims)
    vars(twin)["traits"] = changed
    return twin
