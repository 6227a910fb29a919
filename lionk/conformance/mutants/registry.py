"""The table of mutants, and how one gets into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..variants import Move, Running, Variant

MUTANTS: dict[str, Variant] = {}


def mutant(says: str, *rules: str, raw: bool = False, **claims: Any) -> Callable[[Move], Move]:
    """Register a wrong step: what it looks like in words, the rules that notice it, and claims other than usual."""

    def register(move: Move) -> Move:
        name = move.__name__.strip("_")
        port = Variant(name, move, raw=raw, says=says, rules=rules)
        MUTANTS[name] = port.claiming(**claims) if claims else port
        return move

    return register


def mutant_handle(says: str, *rules: str, **claims: Any) -> Callable[[type[Running]], type[Running]]:
    def register(handle: type[Running]) -> type[Running]:
        name = "".join("_" + c.lower() if c.isupper() else c for c in handle.__name__).strip("_")
        port = Variant(name, handle=handle, says=says, rules=rules)
        MUTANTS[name] = port.claiming(**claims) if claims else port
        return handle

    return register
