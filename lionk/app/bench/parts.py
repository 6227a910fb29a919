"""All counts, in parts that are each made by a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from . import counting, on_jax, on_numpy, on_people, on_torch, timing
from .scenes import EVALUATED, Scene, evaluations, quiet, scenes
from .steps import Count, worked

STARTS = {
    "import lionk": "import lionk",
    "K('l1')": "import lionk; lionk.K('l1')",
    "a step": "import lionk; lionk.LionK('l1', 0.1)",
    "backends": "import lionk; lionk.backends()",
    "minimize": """
import lionk, numpy
lionk.minimize(lambda x: (x @ x, 2 * x), numpy.ones(2), K="l1", weight_decay=1.0, jac=True)
""",
    "lionk --version": "import sys; sys.argv = ['lionk', '--version']; from lionk.app import main; main()",
}
MODULES = """
import atexit, json, sys
before = set(sys.modules)
atexit.register(lambda: print("\\n" + json.dumps(sorted(set(sys.modules) - before))))
"""


def _some(of_functions: bool) -> Iterator[Scene]:
    return (s for s in scenes() if (s.subject in EVALUATED) == of_functions)


def _work(of_functions: bool) -> Iterator[Count]:
    """Calls and lines, on NumPy's arrays."""
    for s in _some(of_functions):
        if s.rate is None:
            yield from worked(s.subject, s.case, partial(s.make, np.asarray))
        else:
            for unit in ("calls", "lines"):
                yield Count(s.subject, s.case, unit, partial(_each, s, unit), "python")


@cache
def _both(s: Scene) -> tuple[counting.Work, counting.Work]:
    assert s.rate is not None
    thunk = s.make(np.asarray)
    few, more = s.rate
    quiet(partial(thunk, few))
    return counting.work(partial(thunk, few)), counting.work(partial(thunk, more))


def _each(s: Scene, unit: str) -> float:
    """The calls or lines of one iterate."""
    assert s.rate is not None
    few, more = (getattr(w, unit) for w in _both(s))
    if more == few:
        raise ValueError(f"the run is over before {s.rate[1]} iterates: nothing would be counted")
    return round((more - few) / (s.rate[1] - s.rate[0]), 1)


def _arrays() -> Iterator[Count]:
    """Operations on arrays, and the entries that they make."""
    import array_api_strict

    def once(s: Scene) -> Callable[[str], float]:
        @cache
        def found() -> counting.Arrays:
            thunk = s.make(array_api_strict.asarray)
            quiet(thunk)
            return quiet(lambda: counting.arrays(thunk))

        return lambda unit: getattr(found(), unit)

    for s in scenes():
        if s.generic:
            of = once(s)
            for unit in ("operations", "entries"):
                yield Count(s.subject, s.case, unit, partial(of, unit))


def _evaluations() -> Iterator[Count]:
    for case, run in evaluations():
        yield Count("minimize", case, "evaluations", run)


def _imports() -> Iterator[Count]:
    """Modules: of lionk, of the standard library, and the packages of others."""

    @cache
    def loaded(case: str) -> list[str]:
        run = subprocess.run([sys.executable, "-c", MODULES + STARTS[case]], capture_output=True, text=True, check=True)
        found: list[str] = json.loads(run.stdout.splitlines()[-1])
        return found

    def number(case: str, unit: str) -> int:
        tops = [name.partition(".")[0] for name in loaded(case)]
        own = [t for t in tops if t.startswith("lionk")]
        standard = [t for t in tops if t in sys.stdlib_module_names]
        others = {t for t in tops if t not in own and t not in standard and find_spec_safe(t)}
        return {"modules of lionk": len(own), "modules of Python": len(standard), "other packages": len(others)}[unit]

    for case, code in STARTS.items():
        yield Count("imported by", case, "modules of lionk", partial(number, case, "modules of lionk"))
        yield Count("imported by", case, "other packages", partial(number, case, "other packages"))
        needs = "numpy" if "numpy" in code else "python"
        yield Count("imported by", case, "modules of Python", partial(number, case, "modules of Python"), needs)


def find_spec_safe(name: str) -> bool:
    """Is this a package or a module of its own, and no alias that somebody put among the modules?"""
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _instructions() -> Iterator[Count]:
    """Instructions of the processor, where it may be asked for them."""
    for case in ("import lionk", "K('l1')"):
        yield Count("instructions", case, "millions", partial(counting.instructions, STARTS[case]), "python")


def _conform() -> Iterator[Count]:
    """How many steps a port is asked for by the kit."""
    yield Count("conform", "level 1, numpy", "steps", partial(_kit, 1))


def _kit(level: int) -> float:
    from lionk.conformance import Loopback, check

    steps = 0

    class Watched(Loopback):
        def create(self, x0: Any, **hyper: Any) -> Any:
            handle = super().create(x0, **hyper)
            step = handle.step

            def counted(grad: Any) -> None:
                nonlocal steps
                steps += 1
                step(grad)

            handle.step = counted  # type: ignore[method-assign]
            return handle

    quiet(lambda: check(Watched("numpy"), level=level, dtypes=("float32",)))
    return steps


PARTS: dict[str, Callable[[], Iterator[Any]]] = {
    "functions": partial(_work, True),
    "arrays": _arrays,
    "steps": partial(_work, False),
    "evaluations": _evaluations,
    "imports": _imports,
    "instructions": _instructions,
    "numpy": on_numpy.numpy,
    "torch": on_torch.torch,
    "jax": on_jax.jax,
    "dask": on_jax.dask,
    "people": on_people.people,
    "conform": _conform,
    "ratios": timing.ratios,
}
