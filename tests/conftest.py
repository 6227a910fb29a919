"""The array libraries that the tests run on, and the options that choose among them.

``--xp numpy,strict,torch`` takes a part of them; ``LIONK_FULL=1`` raises counts and adds dtype x backend products.
A library of the test extra that is missing makes its tests fail: a skip would hide it.
"""

from __future__ import annotations

import gc
import os
import pathlib
import sys
from importlib import metadata

import hypothesis
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # the helpers beside this file, in every import mode

from backends_under_test import BACKENDS

collect_ignore = ["cells.py"]  # thousands of rows, which LIONK_FULL=1 imports: they have no examples to run

gc.disable()  # while the libraries are imported and the tests collected: a quarter of that time would go to it

os.environ.setdefault("JAX_ENABLE_X64", "1")  # before JAX is imported, by whichever test comes first

FULL = os.environ.get("LIONK_FULL") == "1"

# XLA compiles thousands of small programs here, and numba a hundred loops, most of which run once. Unoptimized (XLA: by
# its older emitters, too) they take a third and four fifths of the time; LIONK_FULL=1 compiles them as users do. XLA
# ends a process that gives it a flag which it does not have: other versions are given none. PyTorch would compile a
# program to find out which vectors the compiler knows; it takes those of the processor.
if not FULL:
    os.environ.setdefault("NUMBA_OPT", "0")
    os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")
    if any(d.version.startswith("0.10.") for d in metadata.distributions(name="jaxlib")):
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false")

# The quick run names a failing case as it was drawn; to make it smaller can take minutes, and is for LIONK_FULL=1.
DRAW = [p for p in hypothesis.Phase if p not in (hypothesis.Phase.shrink, hypothesis.Phase.explain)]
hypothesis.settings.register_profile(
    "quick", max_examples=6, derandomize=True, deadline=None, database=None, phases=DRAW
)
hypothesis.settings.register_profile("full", max_examples=100, derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("full" if FULL else "quick")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--xp", default="", help=f"array libraries, comma-separated, of: {', '.join(BACKENDS)}")


def _chosen(config: pytest.Config) -> list[str]:
    wanted = [n for n in config.getoption("--xp").split(",") if n]
    unknown = [n for n in wanted if not any(b == n or b.startswith(n + ":") for b in BACKENDS)]
    if unknown:
        raise pytest.UsageError(f"--xp: {unknown[0]!r} is not one of {', '.join(BACKENDS)}")
    return [b for b in BACKENDS if not wanted or any(b == n or b.startswith(n + ":") for n in wanted)]


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Each process of ``-n`` takes tests that are neighbours, which use what the first of them compiled or made."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "worksteal"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: left out unless LIONK_FULL=1")
    _chosen(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow tests are left out here, and not skipped, which takes as long as a small test."""
    if FULL:
        for item in items:
            item.add_marker(pytest.mark.timeout(1200))
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    items[:] = [item for item in items if not item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the garbage collector need not look through it again and again, nor so often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)
    gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    own = any("backend" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "backend" in metafunc.fixturenames and not own:
        metafunc.parametrize("backend", _chosen(metafunc.config), indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest):
    """A backend under test; a test that can do without NumPy's defaults takes this."""
    if request.param not in _chosen(request.config):
        pytest.skip("left out by --xp")
    return BACKENDS[request.param]


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    chosen = _chosen(config)
    terminalreporter.section("array libraries")
    for name, b in BACKENDS.items():
        state = "ran" if name in chosen else "LEFT OUT by --xp"
        terminalreporter.line(f"{name:22} {b.version():12} {state}")
    missing = [n for n in BACKENDS if n not in chosen]
    if missing:
        terminalreporter.line(f"NOT THE WHOLE SUITE: {', '.join(missing)} left out", red=True)
    terminalreporter.line(f"LIONK_FULL={'1: all examples and products' if FULL else '0: few examples, no slow tests'}")
