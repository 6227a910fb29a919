"""The table of mutants, and how one gets into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from .step import Running, Variant

Table = dict[str, Variant]
MUTANTS: Table = {}


def mutant(
    says: str, *rules: str, raw: bool = False, constants: tuple[Any, ...] = (), into: Table = MUTANTS, **claims: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a wrong step: what it looks like in words, the rules that notice it, and claims other than usual.

    ``constants``: values of its last argument, which the words show as {}. The first is the mutant, the others are its
    kin: the diagnosis knows them, too.
    """

    def register(move: Callable[..., Any]) -> Callable[..., Any]:
        name = move.__name__.strip("_")
        made = [Variant(name, move, raw=raw, says=says, rules=rules)] if not constants else []
        for value in constants:
            words = says.format(value if isinstance(value, str) else f"{value:g}")
            made.append(Variant(name, partial(move, value=value), raw=raw, says=words, rules=rules))
        if claims:
            made = [v.claiming(**claims) for v in made]
        into[name] = replace(made[0], kin=tuple(made[1:]))
        return move

    return register


def mutant_handle(
    says: str, *rules: str, into: Table = MUTANTS, **claims: Any
) -> Callable[[type[Running]], type[Running]]:
    def register(handle: type[Running]) -> type[Running]:
        name = "".join("_" + c.lower() if c.isupper() else c for c in handle.__name__).strip("_")
        port = Variant(name, handle=handle, says=says, rules=rules)
        into[name] = port.claiming(**claims) if claims else port
        return handle

    return register
