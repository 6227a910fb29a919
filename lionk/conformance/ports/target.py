"""Ports by name, ``module:attribute``, and wishes as words: what the command line and the pytest plugin share."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from ...errors import reason
from ...functions import K
from ...functions.registry.text import parse, value
from ..specification.port import Port
from .adapters import adapt


def load(target: str, wishes: dict[str, Any]) -> Port:
    """The port that ``module:attribute`` or ``file.py:attribute`` names. Raises ValueError that says what is wrong."""
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # before the port imports JAX: level 0 is in float64
    if installed := [n for n in ("tensorflow", "torch", "jax") if importlib.util.find_spec(n)]:
        os.environ.setdefault("KERAS_BACKEND", installed[0])  # it takes tensorflow, installed or not
    found = named(target)
    try:
        return adapt(found, **wishes)
    except (KeyError, TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(f"{target}: {reason(error)}") from None


def named(target: str) -> Any:
    """What ``module:attribute`` or ``file.py:attribute`` names. Raises ValueError that says what is wrong."""
    module, _, attribute = target.rpartition(":")
    if not (module and attribute) or module.startswith("."):
        raise ValueError(f"{target!r}: name the port as module:attribute, such as lion_pytorch:Lion")
    try:
        found: Any = _module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        return found
    except ImportError as error:
        raise ValueError(f"{module} cannot be imported: {error}") from None
    except AttributeError as error:
        raise ValueError(f"{target}: {error}") from None


def _module(name: str) -> Any:
    if not name.endswith(".py"):
        if "" not in sys.path:
            sys.path.insert(0, "")  # as python -m does: a port in the current directory
        return importlib.import_module(name)
    path = Path(name)
    made = importlib.util.spec_from_file_location(path.stem, path)
    if made is None or made.loader is None or not path.is_file():
        raise ImportError(f"there is no file {name}")
    module = importlib.util.module_from_spec(made)
    sys.modules[path.stem] = module
    made.loader.exec_module(module)
    return module


def wishes_of(
    *,
    k: str | None = None,
    names: list[str] | None = None,
    options: list[str] | None = None,
    decays: list[str] | None = None,
    library: str = "numpy",
    device: str | None = None,
) -> dict[str, Any]:
    """The words of a command line as the fields of a ``Request``. Raises ValueError."""
    return {
        "K": spec(k),
        "names": pairs(names),
        "options": {n: value(v) for n, v in pairs(options).items()},
        "decays": tuple(decays or ()),
        "library": library,
        "device": device,
    }


def spec(text: str | None) -> Any:
    """The spec of ``NAME[:param=value,...]``; None stays None. Raises ValueError."""
    if text is None:
        return None
    name, parameters = parse(text)
    try:
        made = K(name, **parameters)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"K = {text}: {reason(error)}") from None
    return made.spec if parameters else name


def pairs(items: list[str] | None) -> dict[str, str]:
    """``NAME=VALUE`` items as a dict. Raises ValueError."""
    found = {}
    for item in items or []:
        name, equals, text = item.partition("=")
        if not (equals and name and text):
            raise ValueError(f"{item!r} is not of the form NAME=VALUE")
        found[name] = text
    return found


def known_failures(path: str | None) -> list[str]:
    """The ids in a file of known failures, one a line; # begins a comment. None: no file."""
    return list(skips(path))


def skips(path: str | None) -> dict[str, str]:
    """The beginnings of ids in a file of tests to skip, each with the reason that follows its #. None: no file."""
    if path is None:
        return {}
    rows = [row.partition("#") for row in Path(path).read_text(encoding="utf-8").splitlines()]
    return {begin.strip(): why.strip() or "listed to be skipped" for begin, _, why in rows if begin.strip()}
