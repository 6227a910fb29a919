"""One page of the reference for each public module, written from its ``__all__`` when the site is built."""

from __future__ import annotations

import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx

import lionk

FOLDER = Path(__file__).parents[1] / "api"


def modules() -> list[str]:
    """The public modules: lionk and those below it that say what they export, and the packages of the backends."""
    below = [m.name for m in pkgutil.iter_modules(lionk.__path__) if m.name[0] != "_" and m.name != "app"]
    rooms = [f"lionk.{name}" for name in below if hasattr(import_module(f"lionk.{name}"), "__all__")]
    return ["lionk", *rooms, *(f"lionk_{name}" for name in lionk.backends())]


def page(name: str) -> str:
    """The page of a module: what it is, and each of its public names with its docstring."""
    module = import_module(name)
    parts = [name, "=" * len(name), "", f".. py:module:: {name}", "", *_module_text(module), ""]
    for public in module.__all__:
        thing = getattr(module, public)
        if inspect.ismodule(thing):
            parts += [f"* :doc:`{thing.__name__}`", ""]
            continue
        kind = "autoclass" if inspect.isclass(thing) else "autofunction" if callable(thing) else "autodata"
        parts += [f".. {kind}:: {name}.{public}"]
        if kind == "autoclass":
            parts += ["   :members:"]
        parts += ["   :no-index:" if _home(thing, public, name) else "", ""]
    return "\n".join(parts) + "\n"


def _home(thing: Any, public: str, name: str) -> bool:
    """Is it in the index already, by another module? ``lionk`` itself comes first."""
    return name != "lionk" and public in lionk.__all__ and getattr(lionk, public) is thing


def _module_text(module: ModuleType) -> list[str]:
    return _escaped(inspect.cleandoc(module.__doc__ or "").splitlines())


def _escaped(lines: list[str]) -> list[str]:
    """Docstrings are plain text with ``literals``: other markup is none, and indented lines are formulas."""
    out: list[str] = []
    for line in lines:
        indented = line.startswith("    ")
        if indented and out and not out[-1].strip() and (len(out) < 2 or not out[-2].startswith("    ")):
            out += ["::", ""]
        pieces = re.split(r"(``.*?``|:\w+:`[^`]*`)", line)
        keep = indented or line.startswith((">>>", "..."))
        out.append(
            line if keep else "".join(p if i % 2 else re.sub(r"([*|])", r"\\\1", p) for i, p in enumerate(pieces))
        )
    return out


def _write(app: Sphinx) -> None:  # noqa: ARG001
    FOLDER.mkdir(exist_ok=True)
    wanted = {f"{name}.rst": page(name) for name in modules()}
    listed = "\n".join(f"   {name}" for name in modules())
    wanted["index.rst"] = f"API\n===\n\nEvery public name, by module.\n\n.. toctree::\n   :maxdepth: 1\n\n{listed}\n"
    for old in FOLDER.glob("*.rst"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Before numpydoc: everything above the first section, and the text of sections, is plain."""
    lines[:] = _escaped(lines)


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:  # noqa: ARG001
    """The fields of a named tuple are in its signature."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app: Sphinx) -> None:
    _write(app)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _docstring, priority=100)
