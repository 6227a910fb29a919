"""One page of the reference for each public module, written from what it exports when the site is built."""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

import lionk
from lionk.functions.registry.formula import is_formula, tex

FOLDER = Path(__file__).parents[1] / "api"


@cache
def modules() -> list[str]:
    """The public modules: lionk and those below it that say what they export, and the packages of the backends."""
    below = [m.name for m in pkgutil.iter_modules(lionk.__path__) if m.name[0] != "_" and m.name != "app"]
    rooms = [f"lionk.{n}" for n in below if n in lionk.__all__ or hasattr(import_module(f"lionk.{n}"), "__all__")]
    rooms = [name for name in rooms if inspect.ismodule(getattr(lionk, name.rpartition(".")[2], import_module(name)))]
    public = [thing.__name__ for n in lionk.__all__ if inspect.ismodule(thing := getattr(lionk, n))]
    rooms += sorted({*public} - {*rooms})
    return ["lionk", *rooms, *(f"lionk_{name}" for name in lionk.backends()), "lionk_sklearn"]


def names(module: ModuleType) -> list[str]:
    """What a module exports: its ``__all__``, or else the functions and classes that it defines."""
    own = (n for n, v in vars(module).items() if n[0] != "_" and getattr(v, "__module__", "") == module.__name__)
    return list(getattr(module, "__all__", None) or own)


def documentation(name: str, thing: Any) -> str:
    """The docstring; of a dict or another plain value, what is written beside it where it is defined."""
    if type(thing).__module__ != "builtins" or callable(thing) or inspect.ismodule(thing):
        return inspect.getdoc(thing) or ""
    package, _, public = name.rpartition(".")
    homes = [n for n, m in list(sys.modules.items()) if n.startswith(package) and vars(m).get(public) is thing]
    beside = (ModuleAnalyzer.for_module(n).find_attr_docs().get(("", public)) for n in homes)
    return "\n".join(next(filter(None, beside), []))


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


def _back_links(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:  # noqa: ARG001
    """Mend the links of the pages of sources: viewcode takes all names of a file for exports of one module."""
    if page.startswith("_modules/"):
        context["body"] = re.sub(r'/api/([\w.]+)\.html#([\w.]+)"', _back_link, context["body"])


def _back_link(m: re.Match[str]) -> str:
    page, anchor = m.groups()
    taken = max((n for n in modules() if anchor.startswith(f"{n}.")), key=len)
    name = anchor.removeprefix(f"{taken}.")
    public = name.partition(".")[0]
    home = "lionk" if _home(getattr(import_module(page), public, None), public, page) else page
    return f'/api/{home}.html#{home}.{name}"'


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
    lines[:] = _escaped(documentation(name, obj).splitlines() if what == "data" else lines)


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:  # noqa: ARG001
    """The fields of a named tuple are in its signature; scikit-learn adds methods with texts of its own."""
    alias = str(getattr(obj, "__doc__", "")).startswith("Alias for field number")
    return True if alias or re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Sphinx) -> None:
    _write(app)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _docstring, priority=100)
    app.connect("html-page-context", _back_links)
