"""Every runner makes the step of the reference, for all K, dtypes, sizes and layouts, and refuses what it must."""

from __future__ import annotations

import gc
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lionk
import lionk.recording.passes
import lionk_numpy
import lionk_torch
import lionk_torch.runner.plan
import lionk_torch.runner.run
import lionk_torch.runner.small
from lionk.backend.protocol import Backend, reference_runner
from lionk.optimizer.variants import Variant
from lionk.recording.selection import Ranking, tally
from lionk_numpy.runner import plan as _plan
from turns import on_ways

LIBRARIES: dict[str, Backend] = {"numpy": lionk_numpy.backend, "torch": lionk_torch.backend}
FAST = ["l1", "huber", "dead_zone", "relu", "pseudo_huber", "softsign", "power", "log_cosh", "l2", "log_sum_exp"]
# Those that need more of the order than one entry, norms of groups under one number, or neighbours of an entry.
UNRECORDED = (
    "top_k_l2", "k_support", "owl", "permutahedron", "group_linf_l2", "sparsemax", "moreau_top_k", "moreau_linf",
    "half_group_squared", "k_norm", "dual_owl", "total_variation", "monotone", "box_simplex",
)  # fmt: skip
RECORDED = [
    n for n in lionk.names()
    if lionk.K(n).traits.structure in ("elementwise", "reduce", "order") and n not in UNRECORDED
]  # fmt: skip
ROWWISE = [n for n in lionk.names() if lionk.K(n).traits.structure == "rowwise"]
# Sums of tiles are rounded in another order, and compilers have their own elementary functions.
MARGIN = {"float64": 1e-12, "float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}


@pytest.fixture(autouse=True)
def short(small_tiles, monkeypatch):
    """Everything has boundaries in arrays as short as those here."""
    monkeypatch.setattr(lionk.recording.passes, "SAMPLE", 32)


def draw(library: Backend, shape, dtype="float32", seed=0, special=False):
    """x, m and grad of one shape; ``special``: readouts that are 0, -0, NaN, infinite and subnormal among them."""
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=shape) for _ in range(3)]
    if special:
        arrays[1].reshape(-1)[:7] = 0.0
        arrays[2].reshape(-1)[:7] = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-39, -1e-45]
    return [library.asarray(a, dtype=dtype) for a in arrays]


def assert_equal(library, got, want, dtype="float32", exact=False):
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype and tuple(a.shape) == tuple(b.shape)
        margin = 0 if exact else MARGIN[dtype]
        np.testing.assert_allclose(library.to_host(a), library.to_host(b), rtol=margin, atol=margin)


def step(way, opt, arrays, dtype="float32", exact=False, **options):
    """One step by this runner, compared with the reference; x and m are stepped in place."""
    library = LIBRARIES[way[0]]
    x, m, grad = arrays
    copies = [library.asarray(a) for a in (x, m)]
    with np.errstate(all="ignore"):  # warnings of the reference's own arithmetic; threads inherit this
        want = reference_runner(opt)(*copies, grad, **options)
        got = library.runner(opt, way[1])(x, m, grad, **options)
    assert_equal(library, got, want, dtype, exact)
    assert got[0] is x and got[1] is m, "not in place"
    return got


def is_exact(way, K) -> bool:
    return way[0] == "numpy" and K.traits.structure == "elementwise"


# -- equal to the reference ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in RECORDED])
def test_functions(way, name):
    opt = lionk.LionK(name, lr=0.1, weight_decay=0.5)
    for n in (300, 1):
        arrays = draw(LIBRARIES[way[0]], (n,), special=n > 7 and opt.K.traits.structure == "elementwise")
        step(way, opt, arrays, exact=is_exact(way, opt.K))


@on_ways(["l1", "softsign", "softplus", "l2"], ["float64", "float16", "bfloat16"], "name, dtype")
def test_dtypes(way, name, dtype):
    library, opt = LIBRARIES[way[0]], lionk.LionK(name, lr=0.1, weight_decay=0.5)
    step(way, opt, draw(library, (300,), dtype), dtype, exact=is_exact(way, opt.K))
    x, m, grad = draw(library, (300,), dtype)
    step(way, opt, [x, library.asarray(m, dtype="float32"), grad], dtype)  # state_dtype


@pytest.mark.parametrize("name", ["l1", "huber"])
def test_complex(way, name):
    library, opt = LIBRARIES[way[0]], lionk.LionK(name, lr=0.1, weight_decay=0.5)
    rng = np.random.default_rng(0)
    arrays = [library.asarray(rng.normal(size=300) + 1j * rng.normal(size=300), dtype="complex64") for _ in range(3)]
    step(way, opt, arrays)
    real_grad = [*draw(library, (300,))[:2], library.asarray(rng.normal(size=300), dtype="float64")]
    step(way, opt, real_grad)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 127, 128, 129, 128 * 3 + 65])
@pytest.mark.parametrize("name", ["l1", "l2"])
def test_sizes_around_tiles(way, name, n):
    opt = lionk.LionK(name, lr=0.1, weight_decay=0.5)
    library = LIBRARIES[way[0]]
    got = library.runner(opt, way[1])(*draw(library, (n,)))
    want = reference_runner(opt)(*draw(library, (n,)))
    assert_equal(library, got, want, exact=is_exact(way, opt.K))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1), (7, 5, 9), (300, 1), (1, 300)])
@pytest.mark.parametrize("decay", ["explicit", "implicit"])
def test_shapes(way, shape, decay):
    step(way, lionk.LionK("huber", lr=0.1, weight_decay=0.5, decay=decay), draw(LIBRARIES[way[0]], shape),
         exact=way[0] == "numpy")  # fmt: skip


LAYOUTS = {
    "transposed": lambda a: a.T,
    "every other": lambda a: a[::2, ::3],
    "one column": lambda a: a[:, 3],
    "one long row with gaps": lambda a: a.reshape(1, -1)[:, ::2],
    "one transposed, as in a view of three axes": lambda a: a.reshape(4, 10, 30).swapaxes(0, 1),
}


@on_ways(LAYOUTS, ["l1", "l2", "max"], "layout, name")
def test_layouts(way, layout, name):
    opt = lionk.LionK(name, lr=0.1, weight_decay=0.5)
    step(way, opt, [LAYOUTS[layout](a) for a in draw(LIBRARIES[way[0]], (40, 30))], exact=is_exact(way, opt.K))


def test_one_layout_for_each_array(way):
    x, m, grad = (draw(LIBRARIES[way[0]], (40, 40), seed=k)[k] for k in range(3))
    step(way, lionk.LionK("l1", lr=0.1, weight_decay=0.5), [x.T, m, grad[::-1] if way[0] == "numpy" else grad],
         exact=way[0] == "numpy")  # fmt: skip


# -- learning rate and decay at run time -----------------------------------------------------------------------------


def test_coefficients_at_run_time(way):
    library = LIBRARIES[way[0]]
    opt = lionk.LionK("l1", lr=lambda count: 0.1, decay="implicit")
    for lr, decay in ((0.3, 0.2), (0.0, 0.0), (library.asarray(0.3, dtype="float64"), library.asarray(0.5))):
        step(way, opt, draw(library, (300,)), exact=way[0] == "numpy", lr=lr, weight_decay=decay)
    with pytest.raises(ValueError, match=r"opt.lr\(count\)"):
        library.runner(opt, way[1])(*draw(library, (300,)))


# -- many arrays -----------------------------------------------------------------------------------------------------


def test_lists(way):
    library = LIBRARIES[way[0]]
    shapes = [(), (3,), (0,), (5, 7), (300,), (1, 1), (40, 10), *([(2, 3)] * 50)]
    opt = lionk.LionK("l1", lr=0.1, weight_decay=0.5)

    def lists():
        each = [draw(library, s, "float32" if k % 2 else "float64", k) for k, s in enumerate(shapes)]
        return [list(column) for column in zip(*each, strict=True)]

    columns, copies = lists(), lists()
    got = library.runner(opt, way[1])(*columns)
    want = reference_runner(opt)(*copies)
    for a, b in zip(got, want, strict=True):
        assert_equal(library, a, b, exact=way[0] == "numpy")
    assert library.runner(opt, way[1])([], [], []) == ([], [])


def test_the_same_small_arrays_again(way):
    """What is remembered of a call must not outlive the arrays it is about, nor their rates and gradients."""
    library, opt = LIBRARIES[way[0]], lionk.LionK("l1", lr=0.1, weight_decay=0.5)
    run, reference = library.runner(opt, way[1]), reference_runner(opt)
    columns, copies = ([list(c) for c in zip(*(draw(library, (3,), seed=k) for k in range(9)), strict=True)]
                       for _ in range(2))  # fmt: skip
    for lr, scale in ((0.1, 1.0), (0.2, 1.0), (0.2, -3.0)):
        gradients = columns[2] if scale == 1 else [scale * g for g in columns[2]]
        got = run(columns[0], columns[1], gradients, lr=lr)
        copies[0], copies[1] = reference(copies[0], copies[1], [scale * g for g in copies[2]], lr=lr)
        for a, b in zip(got, copies[:2], strict=True):
            assert_equal(library, a, b, exact=way[0] == "numpy")
    with pytest.raises(ValueError, match="memory"):
        run(columns[0], columns[0], columns[2])


def test_blocks_have_their_own_functions(way):
    library = LIBRARIES[way[0]]
    opt = lionk.LionK(lionk.blocks(["l1", "nuclear", "l2", "half_square"]), lr=0.1)
    columns, copies = (list(zip(*(draw(library, (9, 8), seed=k) for k in range(4)), strict=True)) for _ in range(2))
    got = library.runner(opt, way[1])(*map(list, columns))
    want = reference_runner(opt)(*map(list, copies))
    for a, b in zip(got, want, strict=True):
        assert_equal(library, a, b)


# -- functions that the record does not hold -------------------------------------------------------------------------


def entries(kind, n):
    """m of n entries, of which some are equal, huge, or no numbers."""
    m = np.random.default_rng(0).normal(size=n)
    if kind == "few values":
        m = np.round(2 * m)
    elif kind == "mostly zero":
        m[np.random.default_rng(1).random(n) < 0.9] = 0
    elif kind == "equal":
        m[:] = -3.0
    elif kind == "special":
        m[:7] = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-39, np.nan]
    elif kind == "every other huge":
        m[::2] *= 1e30
    return m


@on_ways(
    ["no ties", "few values", "mostly zero", "equal", "special", "every other huge"],
    ["top_k", "capped_simplex"],
    "kind, name",
)
def test_order_statistics_are_found_by_counting(way, name, kind):
    library, n = LIBRARIES[way[0]], 500
    for k in (1, 2, 30, 250, n - 1, n):
        opt = lionk.LionK({"name": name, "k": k}, lr=0.1, weight_decay=0.5)
        x, _, grad = draw(library, (n,))
        got = step(way, opt, [x, library.asarray(entries(kind, n), dtype="float32"), 0 * grad], exact=way[0] == "numpy")
        assert got[0] is x


@given(
    values=st.lists(st.one_of(st.integers(-3, 3).map(float), st.sampled_from([math.inf, -math.inf, math.nan]))),
    ends=st.tuples(*[st.one_of(st.integers(-4, 4).map(float), st.just(math.inf), st.just(-math.inf))] * 2).map(sorted),
    data=st.data(),
)
def test_a_ranking_knows_or_says_that_it_does_not(values, ends, data):
    r = np.asarray([*values, 0.0])
    k = data.draw(st.integers(1, r.size))
    cut = np.sort(r)[r.size - k]
    parts = np.split(r, [r.size // 2])
    for low, high in (ends, (-math.inf, math.inf)):
        found = Ranking(low, high, [tally(part, low, high) for part in parts]).largest(k)
        if found is None:
            assert not low <= cut <= high
        else:
            np.testing.assert_array_equal(found, (cut, np.sum(r > cut), np.sum(r == cut)))
    assert found is not None


def test_a_misleading_sample_is_noticed():
    """All entries of the sample are large, the others small: the bracket is widened until it holds the answer."""
    n, runs = 4000, []
    every = n // lionk.recording.passes.SAMPLE | 1
    m = np.random.default_rng(0).normal(size=n)
    m[::every] += 100
    opt = lionk.LionK({"name": "top_k", "k": n // 2}, lr=0.1)
    x, grad = np.zeros(n), np.zeros(n)
    want = reference_runner(opt)(x, m, grad)
    seen = lionk.recording.passes.Ranking
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lionk.recording.passes, "Ranking", lambda *a: runs.append(a[:2]) or seen(*a))
        got = lionk_numpy.backend.runner(opt, "tiles")(x.copy(), m.copy(), grad)
    assert_equal(lionk_numpy.backend, got, want, exact=True)
    assert len(runs) > 2, "one sample and one bracket sufficed"


@on_ways(ROWWISE, [(40, 30), (3, 200), (200, 3), (4, 5, 60), (1, 300), (300, 1)], "name, shape")
def test_rows_are_stepped_some_at_a_time(way, name, shape):
    opt = lionk.LionK(name, lr=0.1, weight_decay=0.5)
    library = LIBRARIES[way[0]]
    step(way, opt, draw(library, shape))
    step(way, opt, [a.swapaxes(0, 1) for a in draw(library, shape)])


def test_numba_makes_all_passes_of_a_row_in_one_loop(monkeypatch):
    """What follows on a reduction is then still in a cache; rows that overflow unscaled take their pass, alone."""
    if "numba" not in lionk_numpy.backend.runners():
        pytest.skip("numba is not installed; pip install 'lionk[numba]'")
    calls, by_loops = [], _plan.Plan._by_loops
    monkeypatch.setattr(_plan.Plan, "_by_loops", lambda self, k, *a: calls.append(k) or by_loops(self, k, *a))
    x, m, grad = draw(lionk_numpy.backend, (9, 700))
    m[3], m[4], m[5], m[6, 2] = 1e30, 1e-30, 0.0, np.nan
    grad[3:6] = 0
    step(("numpy", "numba"), lionk.LionK("row_l1_l2", lr=0.1, weight_decay=0.5), [x, m, grad])
    assert calls
    assert set(calls) == {0}


@pytest.mark.parametrize(
    "K", ["l1", *(pytest.param(k, marks=pytest.mark.slow) for k in ("row_l1_l2", "l2", "nuclear"))]
)
@pytest.mark.parametrize(
    "options",
    [{"cautious": "mask"}, {"cautious": "rescale"}, {"cautious_decay": True}, {"maximize": True}, {"coupled": True},
     {"cautious": "mask", "cautious_decay": True, "maximize": True, "coupled": True}], ids=" ".join,
)  # fmt: skip
def test_variants(way, K, options):
    """They are recorded like the plain step, where K is; the share of a rescaled mask is not that of a slice."""
    library, opt = LIBRARIES[way[0]], Variant(K, lr=0.1, weight_decay=0.5, **options)
    arrays = draw(library, (12, 25), special=K == "l1")
    if K == "nuclear" or (K == "row_l1_l2" and opt.whole):
        got = library.runner(opt, way[1])(*map(library.asarray, arrays[:2]), arrays[2])
        assert_equal(library, got, reference_runner(opt)(*arrays))
    else:
        step(way, opt, arrays, exact=is_exact(way, opt.K) and not opt.whole)
    many = [draw(library, (n,), seed=n) for n in (5, 7, 300, 5)]  # of which runners gather small ones
    if opt.K.traits.structure == "elementwise":
        x, m, grad = (list(column) for column in zip(*many, strict=True))
        copies = [[library.asarray(a) for a in column] for column in (x, m)]
        want = reference_runner(opt)(*copies, grad)
        for got, wanted in zip(library.runner(opt, way[1])(x, m, grad), want, strict=True):
            assert_equal(library, got, wanted)


@pytest.mark.parametrize("shape", [(20, 3, 2, 5), (3, 50, 2, 2), (1, 4, 5, 15), (4, 75)], ids=str)
def test_kernels_and_slices_of_many_axes_are_stepped_as_matrices(way, shape):
    """Contiguous ones; others by the reference."""
    library, lift = LIBRARIES[way[0]], lionk.functions.kernel_lift
    over_first = lionk.functions.group_lift("l1", "l2", 0)
    for K in (*(lift(lionk.K(k)) for k in ("row_l1_l2", "col_l1_l2", "l2", "huber", "nuclear")), over_first):
        opt, recorded = lionk.LionK(K, lr=0.1, weight_decay=0.5), K.traits.structure != "matrix"
        arrays = draw(library, shape)
        if recorded:
            step(way, opt, arrays)
        swapped = [a.swapaxes(0, 1) for a in arrays]
        got = library.runner(opt, way[1])(*map(library.asarray, swapped[:2]), swapped[2])
        assert_equal(library, got, reference_runner(opt)(*swapped))


@on_ways(["row_l1_l2", "col_l1_linf", "group_pseudo_huber"], [(40, 30), (6, 100), (100, 6)], "name, shape")
def test_rows_of_every_kind(way, name, shape):
    """Zero, NaN, infinite, huge and tiny slices stand beside others, and tied entries among them."""
    library, opt = LIBRARIES[way[0]], lionk.LionK(name, lr=0.1, weight_decay=0.5, decay="implicit")
    x, m, grad = (np.random.default_rng(k).normal(size=shape) for k in range(3))
    m[:] = 0
    slices = grad.T if name.startswith("col") else grad
    slices[:6] *= np.asarray([0.0, 1e30, 1e-30, 1e-42, 1.0, 1.0])[:, None]
    slices[4, ::2] = [np.nan, *slices[4, 2::2]]
    slices[5, 1:3] = np.inf
    slices[3, :4] = [1e-42, -1e-42, 1e-42, 0.0]
    step(way, opt, [library.asarray(a, dtype="float32") for a in (x, m, grad)])


@pytest.mark.parametrize("name", ["softsign", "log_cosh"])
def test_functions_of_norms(way, name):
    """What is computed of the norms, and of constants beside them, is computed of numbers."""
    library, inner = LIBRARIES[way[0]], lionk.K(name)
    envelope = lionk.functions.moreau_envelope
    for K in (
        lionk.functions.radial_lift(envelope(inner, 0.5)),
        lionk.functions.group_lift(envelope(inner, 0.5), "l2", 0),
        envelope(lionk.functions.group_lift(inner, "l2", -1), 0.5),
    ):
        step(way, lionk.LionK(K, lr=0.1, weight_decay=0.5), draw(library, (12, 20)))


@pytest.mark.parametrize("dtype", ["float64", "float16", "complex64"])
def test_rows_in_every_dtype(way, dtype):
    library, opt = LIBRARIES[way[0]], lionk.LionK("row_l1_l2", lr=0.1, weight_decay=0.5)
    arrays = draw(library, (40, 30), dtype if dtype != "complex64" else "float32")
    if dtype == "complex64":
        arrays = [library.asarray(library.to_host(a) * (1 + 2j), dtype=dtype) for a in arrays]
    step(way, opt, arrays, "float32" if dtype == "complex64" else dtype)


def test_rows_of_sums_keep_to_one_axis(way):
    library = LIBRARIES[way[0]]
    arrays = draw(library, (40, 30))
    step(way, lionk.LionK(lionk.K("row_l1_l2") + 0.5 * lionk.K("l1"), lr=0.1), arrays)
    for other in ("col_l1_l2", "l2"):
        both = lionk.K("group_l1_l2") + lionk.K(other)
        assert both.traits.structure == "reduce"
        got = library.runner(lionk.LionK(both, lr=0.1), way[1])(*map(library.asarray, arrays))
        assert_equal(library, got, reference_runner(lionk.LionK(both, lr=0.1))(*arrays))


def test_rows_are_refused_before_one_is_written(way):
    library = LIBRARIES[way[0]]
    x, m, grad = draw(library, (40, 30))
    before = library.asarray(x)
    with pytest.raises(TypeError, match="real part"):
        library.runner(lionk.LionK("row_l1_l2", lr=0.1), way[1])(x, m, library.asarray(grad, dtype="complex64"))
    assert_equal(library, [x], [before], exact=True)


@pytest.mark.parametrize("name", [*UNRECORDED, "nuclear"])
def test_other_functions_are_those_of_the_reference(way, name):
    library, opt = LIBRARIES[way[0]], lionk.LionK(name, lr=0.1, weight_decay=0.5)
    got = library.runner(opt, way[1])(*draw(library, (6, 5)))
    assert_equal(library, got, reference_runner(opt)(*draw(library, (6, 5))))


def test_parameters_that_are_arrays(way):
    library = LIBRARIES[way[0]]
    x, m, grad = draw(library, (4, 5))
    opt = lionk.LionK(lionk.K("l1").tilt(library.asarray([1.0, 2.0, 0.0, 0.0, 1.0], dtype="float32")), lr=0.1)
    got = library.runner(opt, way[1])(library.asarray(x), library.asarray(m), grad)
    assert_equal(library, got, reference_runner(opt)(x, m, grad))


# -- what is refused -------------------------------------------------------------------------------------------------


def test_shared_memory_is_refused(way):
    library = LIBRARIES[way[0]]
    run = library.runner(lionk.LionK("l1", lr=0.1), way[1])
    x, m, grad = draw(library, (300,))
    for bad in ((x, x, grad), (x, m, x), (x, m, m), (x[:200], x[100:], grad[:200])):
        with pytest.raises(ValueError, match="memory"):
            run(*bad)
    with pytest.raises(ValueError, match="memory"):
        run([x, x], [m, m + 1], [grad, grad])
    run([x, x + 0], [m, m + 0], [grad, grad])  # one gradient for two is fine
    run(x[:100], x[100:200], x[200:])


def test_entries_that_interleave_share_no_memory(way):
    both, _, grad = draw(LIBRARIES[way[0]], (600,))
    step(way, lionk.LionK("l1", lr=0.1), [both[::2], both[1::2], grad[::2]])


def test_shapes_must_agree(way):
    library = LIBRARIES[way[0]]
    x, m, grad = draw(library, (6, 5))
    with pytest.raises(ValueError, match="one shape"):
        library.runner(lionk.LionK("l1", lr=0.1), way[1])(x, m, grad[:1])


def test_integers_are_refused(way):
    library = LIBRARIES[way[0]]
    x = library.asarray([1, 2, 3])
    with pytest.raises(TypeError, match="floating-point"):
        library.runner(lionk.LionK("l1", lr=0.1), way[1])(x, library.asarray(x), library.asarray(x))


# -- PyTorch's own ---------------------------------------------------------------------------------------------------

COMPILED = ["l1", "softsign"]


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in COMPILED else pytest.mark.slow) for n in RECORDED])
def test_torch_compiles_once_for_all_sizes_rates_and_layouts(monkeypatch, name):
    import torch

    monkeypatch.setattr(lionk_torch.runner.plan, "ALONE", 64)  # so that these are not left to the tiles

    library, opt = lionk_torch.backend, lionk.LionK(name, lr=0.1, weight_decay=0.5)
    run = library.runner(opt, "compiled")
    special = opt.K.traits.structure == "elementwise"
    with torch._dynamo.config.patch(error_on_recompile=special):  # sums are recorded for one size
        for n, lr, decay in ((300, 0.1, 0.5), (1, 0.1, 0.5), (77, 0.2, 0.0), (1000, torch.tensor(0.3), 0.25)):
            x, m, grad = draw(library, (n,), special=special and n > 7)
            want = reference_runner(opt)(x.clone(), m.clone(), grad, lr=lr, weight_decay=decay)
            got = run(x, m, grad, lr=lr, weight_decay=decay)
            assert got[0] is x and got[1] is m and x._version > 0
            assert_equal(library, got, want, exact=n > 64 and name in ("l1", "softsign"))
        x, m, grad = (a.T for a in draw(library, (20, 30)))
        assert_equal(library, run(x, m, grad), reference_runner(opt)(*(a.T for a in draw(library, (20, 30)))))
        many = [list(column) for column in zip(*(draw(library, (3, 4), seed=k) for k in range(9)), strict=True)]
        same = [[a.clone() for a in column] for column in many]
        for a, b in zip(run(*many), reference_runner(opt)(*same), strict=True):
            assert_equal(library, a, b)


def test_torch_contracts_sums_within_their_rounding():
    """Near ties, where a product and a sum in one call may differ: beyond the margin the sign is right."""
    import torch

    rng = np.random.default_rng(0)
    m = rng.normal(size=4000).astype("float32")
    grad = (9 * m * (1 + rng.integers(-3, 4, 4000) * 2.0**-24)).astype("float32")
    readout = 0.9 * m.astype("float64") - (1 - 0.9) * grad.astype("float64")
    margin = 2.0**-23 * np.abs(m)
    sure = np.abs(readout) > margin
    assert 0.2 < sure.mean() < 0.9, "ties are rare"
    x, _ = lionk_torch.backend.runner(lionk.LionK("l1", lr=1.0), "tiles")(
        torch.zeros(4000), torch.from_numpy(m), torch.from_numpy(grad)
    )
    np.testing.assert_array_equal(x.numpy()[sure], np.sign(readout[sure]))
    assert np.max(np.abs(x.numpy())) <= 1


def test_torch_is_exact_where_no_product_is_rounded():
    opt = lionk.LionK("l1", lr=0.25, betas=(0.5, 0.75), weight_decay=0.5)
    whole = np.round(4 * np.random.default_rng(0).normal(size=(3, 300)))
    x, m, grad = (lionk_torch.backend.asarray(a, dtype="float32") for a in whole)
    assert (m == grad).any(), "no readout is zero"
    want = reference_runner(opt)(x.clone(), m.clone(), grad)
    assert_equal(lionk_torch.backend, lionk_torch.backend.runner(opt, "tiles")(x, m, grad), want, exact=True)


def test_torch_steps_neighbours_where_they_are():
    """Small tensors that lie one after the other are one tensor; the rest is gathered."""
    import torch

    opt = lionk.LionK("huber", lr=0.1, weight_decay=0.5)
    flat = draw(lionk_torch.backend, (40,))
    shapes = [(3,), (2, 4), (), (5,)]
    sizes = [3, 8, 1, 5]

    def cut(a, gap):
        starts = np.cumsum([0, *(n + gap for n in sizes)])
        return [a[i : i + n].view(s) for i, n, s in zip(starts, sizes, shapes, strict=False)]

    for gaps in ((0, 0, 0), (2, 0, 0), (0, 2, 1), (1, 1, 1)):
        columns = [cut(a.clone(), gap) for a, gap in zip(flat, gaps, strict=True)]
        columns[0] = [torch.nn.Parameter(a) for a in columns[0]]
        copies = [[a.detach().clone() for a in column] for column in columns]
        versions = [a._version for a in columns[0]]
        got = lionk_torch.backend.runner(opt, "tiles")(*columns)
        want = reference_runner(opt)(*copies)
        for a, b in zip(got, want, strict=True):
            assert_equal(lionk_torch.backend, [v.detach() for v in a], b)
        assert all(a._version > v for a, v in zip(columns[0], versions, strict=True))


def test_torch_notices_exchanged_data():
    import torch

    run = lionk_torch.backend.runner(lionk.LionK("l1", lr=0.5))
    x, m, grad = ([torch.full((3,), v) for _ in range(4)] for v in (1.0, 0.0, 1.0))
    run(x, m, grad)
    x[0].data = torch.full((3,), 7.0)
    run(x, m, grad)
    assert [float(a[0]) for a in x] == [6.5, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", ["l1", "log_cosh"])
def test_torch_steps_many_small_tensors_in_one_loop(monkeypatch, name):
    """Bit for bit the reference, where the record is one loop; new gradients and exchanged memory are noticed."""
    if "numba" not in lionk_torch.backend.runners():
        pytest.skip("numba is not installed; pip install 'lionk[numba]'")
    opt, calls = lionk.LionK(name, lr=0.1, weight_decay=0.5), []
    step = lionk_torch.runner.small.Group.as_one
    monkeypatch.setattr(lionk_torch.runner.small.Group, "as_one", lambda *a: calls.append(1) or step(*a))
    run = lionk_torch.backend.runner(opt, "numba")
    shapes = [(3,), (2, 4), (), (1,), (5,)]
    x, m, grad = ([draw(lionk_torch.backend, s, seed=k)[j] for k, s in enumerate(shapes)] for j in range(3))
    mine = x[1].detach().clone().requires_grad_()
    x[1] = mine
    saved = (mine * mine).sum()
    for turn in range(4):
        if turn == 2:
            grad = [2 * g for g in grad]
        if turn == 3:
            x[0].data = x[0].data.clone()
        want = reference_runner(opt)([a.detach().clone() for a in x], [a.clone() for a in m], grad)
        got = run(x, m, grad)
        for mine_, theirs in zip(got, want, strict=True):
            assert_equal(lionk_torch.backend, mine_, theirs, exact=name == "l1")
    assert bool(calls) == (name == "log_cosh")
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        saved.backward()


def test_torch_takes_new_gradients_for_the_same_small_tensors():
    """As after ``zero_grad``: other objects, which must fit, and share no memory with what is written."""
    import torch

    opt = lionk.LionK("l1", lr=0.1, weight_decay=0.5)
    run = lionk_torch.backend.runner(opt)
    x, m, grad = (list(c) for c in zip(*(draw(lionk_torch.backend, (2, 3), seed=k) for k in range(9)), strict=True))
    copies = [[a.clone() for a in column] for column in (x, m)]
    for k in range(3):
        fresh = [(k - 1.5) * g for g in grad]
        if k == 2:
            fresh = [g.T.contiguous().T for g in fresh]
        got = run(list(x), list(m), fresh)
        copies = list(reference_runner(opt)(*copies, [g.clone() for g in fresh]))
        for a, b in zip(got, copies, strict=True):
            assert_equal(lionk_torch.backend, a, b)
    run(x, m, grad)
    with pytest.raises(ValueError, match="memory"):
        run(x, m, [*grad[:8], x[0]])
    run(x, m, grad)
    with pytest.raises(ValueError, match="one shape"):
        run(x, m, [*grad[:8], torch.zeros(6)])
    run(x, m, grad)
    got = run(x, m, grad, lr=torch.tensor(0.0), weight_decay=0.0)
    assert_equal(lionk_torch.backend, got[0], [a.clone() for a in x], exact=True)


def test_torch_remembers_large_tensors_and_notices_what_is_new():
    import torch

    opt = lionk.LionK("huber", lr=0.1, weight_decay=0.5)
    shapes = [(30, 20), (5,), (7, 8, 9), (100,)]
    made = [draw(lionk_torch.backend, s, seed=k) for k, s in enumerate(shapes)]
    x, m, grad = (list(column) for column in zip(*made, strict=True))
    x[2], m[2], grad[2] = (
        torch.empty(9, 8, 7).copy_(a.permute(2, 1, 0)).permute(2, 1, 0) for a in (x[2], m[2], grad[2])
    )
    copies = [[a.clone() for a in column] for column in (x, m)]
    run, looked = lionk_torch.backend.runner(opt, "tiles"), []
    with pytest.MonkeyPatch.context() as patch:
        check = lionk_torch.runner.run.check_memory
        patch.setattr(lionk_torch.runner.run, "check_memory", lambda *a: looked.append(1) or check(*a))
        for k in range(5):
            if k == 3:
                x[0].data = torch.ones(30, 20)
                copies[0][0] = torch.ones(30, 20)
            fresh = [(k - 1.5) * g for g in grad] if k else grad
            got = run(list(x), list(m), fresh)
            copies = list(reference_runner(opt)(*copies, [g.clone() for g in fresh]))
            for a, b in zip(got, copies, strict=True):
                assert_equal(lionk_torch.backend, a, b)
    assert len(looked) == 2, "looked at tensors that were known"
    with pytest.raises(ValueError, match="memory"):
        run(x, m, [x[0], *grad[1:]])


def test_torch_steps_parameters_that_require_gradients():
    import torch

    x = torch.nn.Parameter(torch.ones(300))
    version = x._version
    got, _ = lionk_torch.backend.runner(lionk.LionK("l1", lr=0.5))(x, torch.zeros(300), torch.ones(300))
    assert got is x and x.grad_fn is None and x._version > version
    np.testing.assert_array_equal(x.detach().numpy(), 0.5)


@pytest.mark.parametrize("name", ["l1", "softsign", "relu", "l2", "group_l1_l2"])
def test_torch_allocates_no_more_than_tiles(monkeypatch, name):
    import torch
    from torch.profiler import ProfilerActivity, profile

    monkeypatch.setattr(lionk_torch.runner.plan, "TILE", 1 << 12)
    run = lionk_torch.backend.runner(lionk.LionK(name, lr=0.1, weight_decay=0.5), "tiles")
    x, m, grad = draw(lionk_torch.backend, (1 << 18,))
    run(x, m, grad)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run(x, m, grad)
    largest = max((e.self_cpu_memory_usage for e in seen.events()), default=0)
    assert 0 <= largest <= 4 * (1 << 12), "a buffer larger than a tile"
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        torch.empty(1 << 18)
    assert max(e.self_cpu_memory_usage for e in seen.events()) == 4 * (1 << 18), "the measure sees large buffers"


# -- NumPy's own -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tiles", "numba"])
def test_numpy_leaves_read_only_arrays(kind):
    x, m, grad = draw(lionk_numpy.backend, (300,))
    opt = lionk.LionK("l1", lr=0.1)
    x.setflags(write=False)
    new, _ = lionk_numpy.backend.runner(opt, kind)(x, m, grad)
    np.testing.assert_array_equal(new, reference_runner(opt)(x, draw(lionk_numpy.backend, (300,))[1], grad)[0])
    wide = np.lib.stride_tricks.as_strided(np.ones(1, "float32"), (300,), (0,))
    new, _ = lionk_numpy.backend.runner(opt, kind)(wide, m, grad)
    assert new is not wide and wide[0] == 1


def test_numpy_steps_other_byte_orders():
    native = draw(lionk_numpy.backend, (300,))
    x, m, grad = (a.astype(a.dtype.newbyteorder()) for a in native)
    got = lionk_numpy.backend.runner(lionk.LionK("l1", lr=0.1))(x, m, grad)
    assert got[0] is x
    for a, b in zip(got, reference_runner(lionk.LionK("l1", lr=0.1))(*native), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_step_leaves_nothing_for_the_garbage_collector(monkeypatch):
    """Objects that hold each other keep their tiles until it comes."""
    gc.freeze()  # it looks through what is made from here on, and not through all that was imported
    monkeypatch.setattr(_plan, "TILE", 1 << 8)
    monkeypatch.setattr(_plan, "GATHERED", 1 << 8)
    arrays = [a[:, ::2] for a in draw(lionk_numpy.backend, (1 << 6, 1 << 6))]
    for name in ("l1", "l2", "group_l1_l2"):
        run = lionk_numpy.backend.runner(lionk.LionK(name, lr=0.1, weight_decay=0.5), "tiles")
        run(*arrays)
        gc.collect()
        run(*arrays)
        assert gc.collect() == 0, name


@pytest.mark.parametrize(
    ("name", "shape"),
    [(n, s) for n in ("l1", "softsign", "relu", "power", "l2") for s in ((1 << 20,), (1 << 10, 1 << 10))]
    + [("group_l1_l2", (1 << 20,)), ("group_l1_l2", (1 << 12, 1 << 10))],
)
def test_numpy_allocates_no_more_than_tiles(monkeypatch, name, shape):
    monkeypatch.undo()
    monkeypatch.setattr(_plan, "TILE", 1 << 12)
    monkeypatch.setattr(_plan, "GATHERED", 1 << 12)
    x, m, grad = draw(lionk_numpy.backend, shape)
    run = lionk_numpy.backend.runner(lionk.LionK(name, lr=0.1, weight_decay=0.5), "tiles")
    if len(shape) == 2:
        x, m, grad = x[:, ::2], m[:, ::2], grad[:, ::2]
    run(x, m, grad)
    tracemalloc.start()
    run(x, m, grad)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 8


def test_numpy_raises_what_a_thread_raises():
    x, m, grad = draw(lionk_numpy.backend, (3000,))
    m[2900] = grad[2900] = np.inf
    run = lionk_numpy.backend.runner(lionk.LionK("half_square", lr=0.1), "tiles")
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        run(x, m, grad)


def test_threads_follow_the_environment(monkeypatch):
    from lionk.recording.threads import threads

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads() >= 1


# -- minimize --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=list(LIBRARIES))
def test_minimize_takes_the_runner_for_large_arrays(monkeypatch, library):
    asked = []
    runner = type(library).runner
    monkeypatch.setattr(type(library), "runner", lambda self, *a: asked.append(1) or runner(self, *a))
    target = library.asarray(np.linspace(-2, 2, 300))
    results = []
    for large in (100, 1000):
        monkeypatch.setattr(type(library), "small", large)
        x0 = library.asarray(np.zeros(300))
        results.append(
            lionk.minimize(
                lambda x: ((x - target) ** 2).sum() / 2, x0, K="huber", weight_decay=1.0, maxiter=30, rule="plateau",
                jac=lambda x: x - target,
            )
        )  # fmt: skip
        np.testing.assert_array_equal(library.to_host(x0), 0.0)
    assert asked
    margin = 0 if library is lionk_numpy.backend else 1e-12
    for a, b in ((results[0].x, results[1].x), (results[0].history.gap, results[1].history.gap)):
        np.testing.assert_allclose(library.to_host(a), library.to_host(b), rtol=margin, atol=margin)
