"""Every row of the table, and its conjugate, has every property: all of them on NumPy, the same numbers elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lionk
import statements
from backends_under_test import BACKENDS, Backend
from helpers import On, available, kinks, norm
from lionk.arrays import roots as _roots
from lionk.checking import DoesNotApply
from lionk.checking.properties import ALL, FEW
from lionk.functions import entry
from table import ALGORITHMS, DEFAULTS, RULES, TABLE, Case
from turns import FULL, on_libraries

cases = pytest.mark.parametrize("case", TABLE, ids=lambda c: c.id)
sides = pytest.mark.parametrize("dual", [False, True], ids=["K", "K*"])


def _hold(on: On, properties: dict, seed: int) -> None:
    """All properties, with the names of all that fail."""
    failures = []
    for name, holds in properties.items():
        try:
            holds(on, np.random.default_rng(seed))
        except DoesNotApply:
            continue
        except Exception as error:
            failures.append(f"{name}: {type(error).__name__}: {str(error)[:400]}")
    assert not failures, "\n".join(failures)


# Single precision is for every ninth row; that it is double precision up to rounding is tested for all names below.
# Algorithms are functions of other rows, by formulas that test_algorithms.py holds: every fourth is checked here, too.
PRECISIONS = [
    pytest.param(c, dtype, id=f"{c.id}-{dtype}")
    for place, c in enumerate(TABLE)
    for dtype, every in (("float64", 4 if c in ALGORITHMS else 1), ("float32", 9))
    if FULL or place % every == 0
]


@pytest.mark.parametrize(("case", "dtype"), PRECISIONS)
def test_properties(case: Case, dtype: str) -> None:
    """``lionk.check_K`` passes."""
    if not case.heavy or FULL:
        report = lionk.check_K(case.K, shape=case.shape, dtype=dtype, seed=len(case.id))
        assert report.ok, str(report)
    elif dtype == "float64":
        for dual in (False, True):
            _hold(On.case(case, dual=dual), FEW, seed=len(case.id))


@pytest.mark.parametrize("name", [n for n in lionk.names() if entry(n).kind == "scalar"])
def test_infinite_entries_of_scalar_functions(name: str) -> None:
    """Their subgradients are the limits, and no library is asked for what it warns of."""
    for k in (lionk.K(name), lionk.K(name).conjugate):
        on = On(k)
        for x in (np.inf, -np.inf):
            if on.everywhere:
                on.gradient(np.asarray([x, 1.0]))


@pytest.mark.slow
@cases
@sides
def test_properties_of_random_instances(case: Case, dual: bool) -> None:
    on = On.case(case, dual=dual)

    @settings(max_examples=2 if case.heavy else 8)
    @given(seed=st.integers(0, 2**32 - 1))
    def run(seed: int) -> None:
        _hold(on, FEW if case.heavy else ALL, seed)

    run()


@on_libraries(
    [c for c in TABLE if FULL or not c.heavy],
    "case",
    [b for b in BACKENDS if FULL or b != "numpy"],
    defaults=len([c for c in DEFAULTS if not c.heavy]),
)
def test_every_library(case: Case, backend: Backend) -> None:
    """The numbers of NumPy, of the array's own namespace, dtype, device and shape; inputs kept; K moved by K.to.

    The properties themselves are checked on other libraries by ``check_K``, see test_check.py.
    """
    graphs = ("from_lmo", "polytope(v", "capped_simplex.moreau")  # of ten thousand tasks
    if backend.name == "dask" and case.id.startswith(graphs):
        return
    if backend.name == "dask" and case.stack:
        with pytest.raises(lionk.NotAvailable, match="stack of matrices"):  # Dask has no SVD of them
            case.K.value(backend.put(np.ones(case.shape), "float64", matrix=True))
        return
    for dtype in backend.dtypes if FULL else backend.dtypes[:1]:
        for dual in (False, True):
            here, there = (On.case(case, b, dtype, dual) for b in (backend, BACKENDS["numpy"]))
            iterative = not backend.light or FULL
            if backend.name == "dask":  # each bisection is a graph of thousands of tasks
                if _bisections(there, _evaluate):
                    continue
                if there.accuracy > 0:  # so is an iteration, or one of as many singular value decompositions
                    if there.K.traits.accuracy == 0:
                        _same_values(here, there, there.points(np.random.default_rng(len(case.id)), 1))
                    continue
                small = not case.heavy and there.K.traits.structure != "matrix"  # it has no full SVD
                iterative = FULL and small and not _bisections(there, _project)
            _agree(here, there, np.random.default_rng(len(case.id)), iterative=iterative)


def _bisections(on: On, what: Callable[[On, np.ndarray], None]) -> int:
    """How many it takes, those inside of others counted each time."""
    count = 0
    bracket = _roots.bracket

    def counted(*args, **options):
        nonlocal count
        count += 1
        return bracket(*args, **options)

    x = on.points(np.random.default_rng(0), 1)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_roots, "bracket", counted)
        what(on, x)
    return count


def _evaluate(on: On, x: np.ndarray) -> None:
    on.value(x)
    s = on.gradient(x)
    if np.all(np.isfinite(s)):
        on.gap(x, s)


def _project(on: On, x: np.ndarray) -> None:
    available(on.prox, x)
    if not on.everywhere:
        available(on.call, on.K.domain.project, x)


def _same(a: np.ndarray | None, b: np.ndarray | None, tol: float, what: str) -> None:
    if a is None or b is None:
        assert a is None and b is None, what
    elif not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b), err_msg=what)
    else:
        assert norm(np.asarray(a) - np.asarray(b)) <= tol, f"{what}: {a} against {b}"


def _same_values(here: On, there: On, points: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """The first point, the subgradient there, and how near to it the other one must be."""
    for x in points + ([there.round(kinks(there.shape)[4])] if there.everywhere else []):
        _same(here.value(x), there.value(x), here.tol(1 + abs(there.value(x)), 1024), "value")
    x = points[0]
    s = there.gradient(x)
    near = here.tol(1 + norm(x) + norm(s), 1024)
    _same(here.gradient(x), s, near, "subgradient")
    return x, s, near


def _agree(here: On, there: On, rng: np.random.Generator, iterative: bool) -> None:
    x, s, near = _same_values(here, there, there.points(rng, 2 if iterative else 1))
    if iterative:
        _same(available(here.prox, x), available(there.prox, x), near, "prox")
    if np.all(np.isfinite(s)):
        _same(here.gap(x, s), there.gap(x, s), here.tol(1 + norm(x) * norm(s), 1024), "fenchel_young")
        if iterative:
            _same(available(here.off, x, s), available(there.off, x, s), near, "subdifferential_distance")
    if there.everywhere:
        return
    y = there.random(rng, 3.0)
    near = here.tol(1 + norm(y), 1024)
    assert np.isnan(here.value(np.full(here.shape, np.nan)))
    _same(here.value(y), there.value(y), near, "value outside")
    c, d = here.K.domain, there.K.domain
    assert here.call(c.contains, y, kind="bool") == there.call(d.contains, y, kind="bool")
    if iterative:
        _same(available(here.call, c.project, y), available(there.call, d.project, y), near, "project")
        distances = (available(lambda o=o, c=c: o.call(c.distance, y, kind="real")) for o, c in ((here, c), (there, d)))
        _same(*distances, near, "distance")
    if np.isfinite(d.diameter(here.shape)):
        _same(available(here.call, c.lmo, y), available(there.call, d.lmo, y), near, "lmo")
        supports = (available(lambda o=o, c=c: o.call(c.support, y, kind="real")) for o, c in ((here, c), (there, d)))
        _same(*supports, near, "support")
        assert abs(c.diameter(here.shape) - d.diameter(here.shape)) <= here.tol(1 + d.diameter(here.shape))


@on_libraries(lionk.names(), libraries=[b.name for b in BACKENDS.values() if b.low])
def test_low_precision(name: str, backend: Backend) -> None:
    """16-bit arrays are computed with in float32 and rounded once."""
    case = next(c for c in TABLE if c.id == f"{name}()")
    for dtype in backend.low if FULL else backend.low[-1:]:
        here = On.case(case, backend, dtype)
        wide = On.case(case, BACKENDS["numpy"], "float32")
        x = here.points(np.random.default_rng(3), 2)[1]
        assert abs(here.value(x) - wide.value(x)) <= here.eps * abs(wide.value(x))
        assert norm(here.gradient(x) - wide.gradient(x)) <= here.eps * (1 + norm(x)) * 4
        y = here.gradient(x)
        assert np.isfinite(here.dual().value(y))


_COMPLEX = [  # with other parameters, and where they are compositions: LIONK_FULL=1
    c for c in (TABLE if FULL else DEFAULTS)
    if c.K.traits.absolute or c.id.startswith(("nuclear(", "ky_fan(", "schatten(", "spectral"))
]  # fmt: skip


@pytest.mark.parametrize("case", _COMPLEX, ids=lambda c: c.id)
def test_complex(case: Case) -> None:
    """Where K depends on absolute values only, complex entries have a meaning, and all properties hold."""
    if case.heavy and not FULL:
        return
    names = ("fenchel_young_equality", "fenchel_young_inequality", "subgradient_inequality", "monotonicity", "proximal")
    for dual in (False, True):
        _hold(On.case(case, BACKENDS["numpy"], "complex128", dual), {n: ALL[n] for n in names}, 1)


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[pytest.mark.slow] * c.heavy) for c in [*DEFAULTS, *RULES]], ids=lambda c: c.id
)
def test_complex_entries_of_one_phase(case: Case) -> None:
    """They are treated as real ones, and no library is asked for what it warns of."""
    drawn = statements.Case.of(case, 11)
    statements.complexes(drawn)
    assert not drawn.false, drawn.false[0]


@on_libraries(["nuclear", "huber", "top_k", "lp", "group_l1_l2", "l1", "half_linf_squared"])
def test_complex_on_every_library(name: str, backend: Backend) -> None:
    if not backend.complex:
        return
    case = next(c for c in TABLE if c.id == f"{name}()")
    here, there = (On.case(case, b, "complex128") for b in (backend, BACKENDS["numpy"]))
    x = there.random(np.random.default_rng(0))
    assert abs(here.value(x) - there.value(x)) <= here.tol(1 + norm(x))
    s = there.gradient(x)
    assert norm(here.gradient(x) - s) <= here.tol(1 + norm(s))
    assert abs(here.gap(x, s)) <= here.tol(1 + norm(x) * norm(s))


@pytest.mark.parametrize(("place", "name"), list(enumerate(lionk.names())))
def test_jit(place: int, name: str) -> None:
    """Under jax.jit nothing branches on data: value, subgradient and conjugate value trace, and agree with NumPy.

    Every sixth name is compiled as well, with LIONK_FULL=1 every name.
    """
    import jax

    case = next(c for c in TABLE if c.id == f"{name}()")
    on = On.case(case, BACKENDS["jax"], "float32")
    there = On.case(case, BACKENDS["numpy"], "float32")
    x = on.random(np.random.default_rng(2))
    y = there.gradient(x)
    if on.K.traits.host:
        with pytest.raises(jax.errors.TracerArrayConversionError):
            jax.jit(on.K.value)(on.put(x))
        return

    def values(x):
        return on.K.value(x), on.K.subgradient(x)

    def duals(y):
        return on.K.conjugate.value(y), on.K.conjugate.value(3 * y + 3)

    # The conjugate of an iteration, hundreds of singular value decompositions in a row, compiles for minutes.
    of_dual = (lambda _: ()) if on.accuracy else duals
    if not (FULL or place % 6 == 1):
        made = (*jax.eval_shape(values, on.put(x)), *jax.eval_shape(of_dual, on.put(y)))
        assert [a.shape for a in made] == [(), on.shape, (), ()][: len(made)]
        assert {a.dtype for a in made} == {on.put(x).dtype}
        return
    both = jax.jit(lambda x, y: (*values(x), *of_dual(y)))(on.put(x), on.put(y))
    value, s, *rest = (on.backend.get(a) for a in both)
    assert abs(value - there.value(x)) <= on.tol(1 + norm(x) + abs(value))
    assert norm(s - y) <= on.tol(1 + norm(y))
    if rest:
        dual, outside = rest
        assert abs(dual - there.dual().value(y)) <= on.tol(1 + abs(dual), 4096)
        far = there.dual().value(3 * y + 3)
        assert outside == far or abs(outside - far) <= on.tol(1 + abs(far))


@pytest.mark.parametrize("name", lionk.names())
def test_float32_is_float64_up_to_rounding(name: str) -> None:
    """Away from kinks: within 64 ulp of max(1, |K(x)|) for the value, of max(1, |dK(x)|) for the subgradient."""
    case = next(c for c in TABLE if c.id == f"{name}()")
    here, there = (On.case(case, dtype=dtype) for dtype in ("float32", "float64"))
    for x in here.points(np.random.default_rng(11)):
        v, s = there.value(x), there.gradient(x)
        assert abs(here.value(x) - v) <= 64 * here.eps * max(1, abs(v))
        assert norm(here.gradient(x) - s) <= 64 * here.eps * max(1, norm(s))
