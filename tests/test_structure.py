"""The arrows of the house, its lightness, and its lists: what docs/architecture.md promises."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lionk

ROOT = Path(lionk.__file__).parent
FRAMEWORKS = {"numpy", "torch", "jax", "cupy", "dask", "numba", "scipy", "sklearn", "cvxpy", "tensorflow", "mlx"}
ORDER = [
    "errors",
    "tree",
    "_html",
    "_value",
    "_xp",
    "_shape",
    "_spectral",
    "_polar",
    "_operator",
    "sets",
    "functions",
    "step",
    "optimizer",
    "conventions",
    "decay",
    "variants",
    "theory",
    "step_rule",
    "program",
    "trace",
    "threads",
    "replay",
    "backend",
    "checking",
    "_content",
    "checkpoint",
    "evaluation",
    "run",
    "minimization",
    "conformance",
]


def imports(path: Path):
    """(module, is it at the top level of the file) of every absolute or relative import, relative ones with dots."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(n) for n in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base, id(node) in top
            if not node.module:
                for alias in node.names:
                    yield base + alias.name, id(node) in top


CORE = sorted(p for p in ROOT.rglob("*.py") if "app" not in p.relative_to(ROOT).parts and p.name != "__main__.py")


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_core_names_no_framework_no_backend_and_no_app(path):
    for module, _ in imports(path):
        first = module.lstrip(".").split(".")[0]
        assert first not in FRAMEWORKS or path.name == "checkpoint.py", f"{path} imports {module}"
        assert not first.startswith("lionk_"), f"{path} imports a backend"
        assert "app" not in module.split("."), f"{path} imports the command line"


def _room(path: Path, module: str) -> str | None:
    """The room of the core that a relative import at the top level of a file goes to."""
    level = len(module) - len(module.lstrip("."))
    parts = list(path.relative_to(ROOT).parts[:-1])
    parts = parts[: len(parts) - (level - 1)] + module.lstrip(".").split(".")
    return parts[0] if level and parts and parts[0] else None


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_one_way(path):
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if here not in ORDER:
        return
    for module, top in imports(path):
        room = _room(path, module)
        if top and room in ORDER:
            assert ORDER.index(room) <= ORDER.index(here), f"{path}: {here} imports {room}"


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_lionk_imports_no_framework():
    loaded = _python("import lionk, sys; lionk.K('l1'); lionk.names(); print(sorted(sys.modules))")
    assert not FRAMEWORKS & set(ast.literal_eval(loaded)), FRAMEWORKS & set(ast.literal_eval(loaded))


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
    assert len(lionk.names()) == 86
    assert len(lionk.algorithms()) == 25
    for name in lionk.names():
        e = lionk.functions.entry(name)
        for field in ("formula", "subgradient", "conjugate", "constraint", "source"):
            assert getattr(e, field), f"{name} has no {field}"
    assert {"half_square", "l1", "lp", "dead_zone", "top_k", "huber"} <= set(lionk.names())


def test_files_stay_small():
    for path in CORE:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 460, f"{path.relative_to(ROOT)} has {lines} lines: probably two rooms"
