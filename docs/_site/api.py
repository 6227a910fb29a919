"""One page of the reference for each public module, written from what it exports when the site is built."""

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
from lionk.functions.formula import is_formula, tex

FOLDER = Path(__file__).parents[1] / "api"


def modules() -> list[str]:
    """The public modules: lionk and those below it that say what they export, and the packages of the backends."""
    below = [m.name for m in pkgutil.iter_modules(lionk.__path__) if m.name[0] != "_" and m.name != "app"]
    rooms = [f"lionk.{n}" for n in below if n in lionk.__all__ or hasattr(import_module(f"lionk.{n}"), "__all__")]
    rooms = [name for name in rooms if inspect.ismodule(getattr(lionk, name.rpartition(".")[2], import_module(name)))]
    return ["lionk", *rooms, *(f"lionk_{name}" for name in lionk.backends())]


def names(module: ModuleType) -> list[str]:
    """What a module exports: its ``__all__``, or else the functions and classes that it defines."""
    own = (n for n, v in vars(module).items() if n[0] != "_" and getattr(v, "__module__", "") == module.__name__)
    return list(getattr(module, "__all__", None) or own)


def page(name: str) -> str:
    """The page of a module: what it is, and each of its public names with its docstring."""
    module = import_module(name)
    parts = [name, "=" * len(name), "", f".. py:module:: {name}", "", *_module_text(module), ""]
    for public in names(module):
        thing = getattr(module, public)
        if inspect.ismodule(thing):
            parts += [f"* :doc:`{thing.__name__}`", ""]
            continue
        kind = "autoclass" if inspect.isclass(thing) else "autofunction" if callable(thing) else "autodata"
        parts += [f".. {kind}:: {name}.{public}"]
        if kind == "autoclass":
            parts += ["   :members:"]
        if kind == "autodata":
            parts += ["   :no-value:"]
        parts += ["   :no-index:" if _home(thing, public, name) else "", ""]
    return "\n".join(parts) + "\n"


def _home(thing: Any, public: str, name: str) -> bool:
    """Is it in the index already, by another module? ``lionk`` itself comes first."""
    return name != "lionk" and public in lionk.__all__ and getattr(lionk, public) is thing


def _module_text(module: ModuleType) -> list[str]:
    return _escaped(inspect.cleandoc(module.__doc__ or "").splitlines())


def _escaped(lines: list[str]) -> list[str]:
    """Docstrings are plain text with ``literals``: other markup is none, and indented paragraphs are formulas."""
    out: list[str] = []
    formula = sections = False
    for i, line in enumerate(lines):
        indented, before = line.startswith("    "), out[-1].strip() if out else ""
        sections = sections or (i + 1 < len(lines) and lines[i + 1].startswith("---"))  # numpydoc reads these
        if indented and not before and out and not sections:
            if not formula:
                out += ["::", ""]
            formula = True
        elif line.strip() and not indented:
            formula = False
            term = i + 1 < len(lines) and lines[i + 1].startswith("    ")
            if before and not sections and (out[-1].startswith("    ") or term):
                out.append("")  # the text of a term begins, or ends, here
        pieces = re.split(r"(``.*?``|:\w+:`[^`]*`)", line)
        plain = "".join(_literal(p) if k % 2 else re.sub(r"([*|])", r"\\\1", p) for k, p in enumerate(pieces))
        out.append(line if formula or line.startswith((">>>", "...")) else plain)
    return out


def _literal(text: str) -> str:
    """A literal that is mathematics is shown as such."""
    inside = text.strip("`")
    return f":math:`{tex(inside)}`" if text.startswith("``") and is_formula(inside) else text


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
    inherited = what == "data" and obj.__doc__ == type(obj).__doc__  # that of dict, tuple, ...
    lines[:] = [] if inherited else _escaped(lines)


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:  # noqa: ARG001
    """The fields of a named tuple are in its signature."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app: Sphinx) -> None:
    _write(app)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _docstring, priority=100)
