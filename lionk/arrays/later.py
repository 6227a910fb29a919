"""What is imported when it is first used, so that a program loads what it needs: names of packages, and callables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def names_of(package: str, inside: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package: its names, by the module below it that has them."""

    def found(name: str) -> Any:
        for module, names in inside.items():
            if name in names:
                value = getattr(import_module(f"{package}.{module}"), name)
                setattr(sys.modules[package], name, value)  # Python asks no more
                return value
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return found


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
