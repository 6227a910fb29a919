"""The arrows of the house, its lightness, and its lists: what docs/architecture.md promises."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import lionk

ROOT = Path(lionk.__file__).parent
SOURCES = {"lionk": ROOT, **{p.parent.name: p.parent for p in (ROOT.parent / "backends").glob("*/__init__.py")}}
FRAMEWORKS = {"numpy", "torch", "jax", "cupy", "dask", "numba", "scipy", "sklearn", "cvxpy", "tensorflow", "mlx"}
# The rooms of the core from the ground up: a file imports from its own room and from those before it.
FLOORS = [
    "lionk.errors",
    "lionk.arrays",
    "lionk.backend",
    "lionk.sets",
    "lionk.functions.enclosure",
    "lionk.functions.bound",
    "lionk.functions.base",
    "lionk.functions.array_function",
    "lionk.functions.registry",
    "lionk.functions.definitions",
    "lionk.functions.calculus",
    "lionk.functions.own",
    "lionk.functions.named",
    "lionk.functions",
    "lionk.optimizer",
    "lionk.conventions",
    "lionk.theory",
    "lionk.recording",
    "lionk.checking",
    "lionk.checkpoint",
    "lionk.solver",
    "lionk.conformance",
    "lionk.app",
]


def _files() -> Iterator[tuple[str, Path]]:
    """Every module, by its dotted name."""
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts))), path


FILES = dict(_files())


@cache
def imports(module: str) -> tuple[str, ...]:
    """What a module imports, in full names: inside functions too, but not for type checkers only."""
    path = FILES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found: list[str] = []
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            found += [name if (name := f"{base}.{alias.name}") in FILES else base for alias in node.names]
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
        else:
            todo += ast.iter_child_nodes(node)
    return tuple(found)


CORE = [m for m in FILES if m.startswith("lionk.") and m.split(".")[1] not in ("app", "__main__")]


def test_the_core_names_no_framework_no_backend_and_no_app():
    for module, name in ((m, name) for m in CORE for name in imports(m)):
        first = name.split(".")[0]
        assert first not in FRAMEWORKS or module == "lionk.checkpoint.file", f"{module} imports {name}"
        assert not first.startswith("lionk_"), f"{module} imports a backend"
        assert not name.startswith("lionk.app"), f"{module} imports the command line"


def _floor(module: str) -> int:
    """The highest floor whose name begins the module's: lionk.functions.base is below lionk.functions."""
    rooms = [room for room in FLOORS if module == room or module.startswith(f"{room}.")]
    return FLOORS.index(max(rooms, key=len))


def test_arrows_point_down():
    for module in (m for m in FILES if m.startswith("lionk.") and m != "lionk.__main__"):
        wrong = [n for n in imports(module) if n.startswith("lionk.") and _floor(n) > _floor(module)]
        assert not wrong, f"{module} imports {wrong}, which are above it"


def _circle(arrows: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_import_each_other_in_a_circle():
    faces = {m for m, path in FILES.items() if path.name == "__init__.py"}
    arrows = {m: {n for n in imports(m) if n in FILES and n != m} - faces for m in FILES if m not in faces}
    assert not _circle(arrows)


@pytest.mark.parametrize("package", SOURCES)
def test_no_rooms_import_each_other_in_a_circle(package):
    """A room is a folder or a file beside it; the face of the package opens all of them."""

    def room(module: str) -> str:
        depth = 3 if module.startswith(("lionk.functions.", "lionk.conformance.")) else 2
        return ".".join(module.split(".")[:depth])

    arrows: dict[str, set[str]] = {}
    for module, path in FILES.items():
        if module.startswith(f"{package}.") and not (room(module) == module and path.name == "__init__.py"):
            inside = {room(n) for n in imports(module) if n.startswith(f"{package}.") and n not in ROOMS_OF_ROOMS}
            arrows.setdefault(room(module), set()).update(inside - {room(module)})
    assert not _circle(arrows)


ROOMS_OF_ROOMS = ("lionk.functions", "lionk.conformance")  # their faces name what is below them, to be loaded later


def test_the_root_is_read_at_one_glance():
    entries = sorted(p.name for p in ROOT.iterdir() if p.name not in ("__pycache__", "py.typed"))
    assert len(entries) <= 16, entries


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_lionk_imports_no_framework():
    loaded = _python("import lionk, sys; lionk.K('l1'); lionk.names(); print(sorted(sys.modules))")
    assert not FRAMEWORKS & set(ast.literal_eval(loaded)), FRAMEWORKS & set(ast.literal_eval(loaded))


def test_the_command_is_there_before_what_it_needs():
    """What is imported ahead of ``main`` cannot answer Ctrl-C without a traceback; what ``main`` imports can."""
    loaded = _python("import lionk.app, sys; print([m for m in sys.modules if m.startswith('lionk')])")
    assert set(ast.literal_eval(loaded)) == {"lionk", "lionk.app", "lionk.arrays", "lionk.arrays.later", "lionk.errors"}


def test_importing_a_backend_imports_no_framework():
    code = "import lionk_numpy, lionk_torch, lionk_jax, lionk_dask, lionk_cupy, sys; print(sorted(sys.modules))"
    loaded = set(ast.literal_eval(_python(code)))
    assert not FRAMEWORKS & loaded


def test_backends_are_found():
    assert set(lionk.backends()) == {"numpy", "torch", "jax", "dask", "cupy"}
    for name in ("numpy", "torch", "jax", "dask"):
        assert lionk.backends()[name].available(), lionk.backends()[name].why_unavailable()


def test_public_names_exist_and_are_documented():
    for module in (lionk, lionk.checking, lionk.functions, lionk.theory, lionk.sets, lionk.conventions):
        for name in module.__all__:
            assert getattr(module, name).__doc__, f"{module.__name__}.{name} has no docstring"
        assert list(module.__all__) == sorted(module.__all__), module.__name__


def test_the_registry_is_documented_and_has_the_table_of_the_paper():
    assert len(lionk.names()) == 102
    assert len(lionk.algorithms()) == 25
    for name in lionk.names():
        e = lionk.functions.entry(name)
        for field in ("formula", "subgradient", "conjugate", "constraint", "source"):
            assert getattr(e, field), f"{name} has no {field}"
    assert {"half_square", "l1", "lp", "dead_zone", "top_k", "huber"} <= set(lionk.names())


def test_files_stay_small():
    for module in CORE:
        path = FILES[module]
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 460, f"{path.relative_to(ROOT)} has {lines} lines: probably two rooms"
