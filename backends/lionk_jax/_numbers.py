"""What is called eagerly, under ``jax.jit`` nevertheless: one call in place of a hundred small ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax

LONG = 4000  # equations: an expression with more takes longer to compile than a run of it


def compiled(function: Callable[..., Any], fixed: dict[str, Any], args: tuple[Any, ...]) -> Callable[..., Any]:
    """``partial(function, **fixed)``, jitted if it can be traced on such arguments and is not too long."""
    leaves, tree = jax.tree.flatten(args)
    plain, jitted = _jitted(function, tuple(fixed.items()))
    key = (function, tuple(fixed.items()), tree, tuple(map(_kind, leaves)))
    if key not in _worthwhile:
        _worthwhile[key] = _is_short(jitted, args)
        while len(_worthwhile) > 256:
            del _worthwhile[next(iter(_worthwhile))]
    return jitted if _worthwhile[key] else plain


_worthwhile: dict[Any, bool] = {}


class Compiled:
    """A function that is jitted at its first call, if it can be traced on such arguments and is not too long."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._run: Callable[..., Any] | None = None

    def __call__(self, *args: Any) -> Any:
        if self._run is None:
            jitted = jax.jit(self._function)
            self._run = jitted if _is_short(jitted, args) else self._function
        return self._run(*args)


def _is_short(jitted: Any, args: tuple[Any, ...]) -> bool:
    try:
        return len(jitted.trace(*args).jaxpr.eqns) <= LONG
    except jax.errors.JAXTypeError:  # a K that asks the host, or branches on values
        return False


@lru_cache(maxsize=64)
def _jitted(function: Callable[..., Any], fixed: tuple[tuple[str, Any], ...]) -> tuple[Any, Any]:
    plain = partial(function, **dict(fixed))
    return plain, jax.jit(plain)


def _kind(leaf: Any) -> Any:
    return (leaf.shape, leaf.dtype) if isinstance(leaf, jax.Array) else type(leaf)
