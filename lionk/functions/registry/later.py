"""Callables whose module is imported when they are first called, so that one name costs one name at import."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


class Later:
    """``Later(module, name)(...)`` is ``module.name(...)``; its signature is that of the function."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __call__(self, *args: Any, **parameters: Any) -> Any:
        return self.__wrapped__(*args, **parameters)

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        return getattr(import_module(self._module), self._name)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self.__wrapped__.__doc__
