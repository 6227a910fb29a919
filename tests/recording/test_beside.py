"""Steps with arrays beside x and m, remainders, last gradients and random numbers: every runner makes the reference's.

Compared bit for bit where a runner rounds every operation: tiles of NumPy, and loops of numba on both libraries.
"""

from __future__ import annotations

import numpy as np
import pytest

import lionk
import lionk_numpy
import lionk_torch
import lionk_torch.runner.plan
import lionk_torch.runner.small
from lionk.backend.protocol import reference_runner
from lionk.optimizer.rounding import keys
from lionk.optimizer.variants import Variant
from lionk_numpy.runner import plan as _plan
from turns import on_ways

LIBRARIES = {"numpy": lionk_numpy.backend, "torch": lionk_torch.backend}
KINDS = [  # dtypes of x and the gradient, and of m, and what is added to the step
    ("float16", "float16", {"rounding": "kahan"}),
    ("bfloat16", "float32", {"rounding": "kahan"}),
    ("bfloat16", "bfloat16", {"rounding": "stochastic"}),
    ("float16", "float32", {"rounding": "stochastic", "cautious": "mask"}),
    ("bfloat16", "bfloat16", {}),
    ("float16", "float16", {"maximize": True}),
    ("float32", "float32", {"mars": 0.5}),
    ("bfloat16", "float32", {"mars": 0.5, "rounding": "kahan", "coupled": True}),
]


@pytest.fixture(autouse=True)
def short(small_tiles, monkeypatch):
    """Everything has boundaries in arrays as short as those here."""
    monkeypatch.setattr(lionk_torch.runner.small, "TINY", 16)


def draw(library, opt, shape, dtypes, seed=0):
    """x, m, grad and what is beside them; readouts that are 0, NaN, infinite and subnormal are among them."""
    rng = np.random.default_rng(seed)
    x, m, grad = (rng.normal(size=shape) for _ in range(3))
    if x.size > 7:
        m.reshape(-1)[:6] = 0.0
        grad.reshape(-1)[:6] = [0.0, -0.0, np.nan, np.inf, -np.inf, 6e-8]
        x.reshape(-1)[6] = 1e-7
    kinds = dtypes[0], dtypes[1], dtypes[0]
    arrays = [library.asarray(a, dtype=d) for a, d in zip((x, m, grad), kinds, strict=True)]
    beside = {
        "low": library.asarray(1e-4 * rng.normal(size=shape), dtype=dtypes[0]),
        "last": library.asarray(rng.normal(size=shape), dtype=dtypes[0]),
        "index": (1 << 31) - 50 + 1000 * seed,
    }
    return arrays, {name: beside[name] for name in opt.beside}


def same(library, a, b, exact, dtype):
    margin = 0 if exact else {"float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}[dtype]
    np.testing.assert_allclose(library.to_host(a), library.to_host(b), rtol=margin, atol=margin)


@on_ways(KINDS, ["l1", "softsign", "l2"], "kind, K")
def test_every_runner_makes_the_reference_step(way, kind, K):
    """Large arrays, small ones that are gathered, matrices, arrays in other layouts, and single numbers."""
    library, *dtypes, options = LIBRARIES[way[0]], *kind
    opt = Variant(K, 0.01, weight_decay=0.1, **options)
    numbers = dict(zip(("key0", "key1"), keys(7, 3), strict=True)) if "index" in opt.beside else {}
    shapes = [(300,), (5,), (20, 30), (12,), (1,), (7, 3)]

    def columns():
        drawn = [draw(library, opt, s, dtypes, k) for k, s in enumerate(shapes)]
        for arrays, beside in drawn[2:3]:  # a matrix that is stored by columns
            arrays[:] = [library.asarray(a.T).T if k != 1 else a.T.T for k, a in enumerate(arrays)]
            beside |= {n: library.asarray(a.T).T for n, a in beside.items() if n != "index"}
        lists = [list(c) for c in zip(*(arrays for arrays, _ in drawn), strict=True)]
        return lists, {n: [beside[n] for _, beside in drawn] for n in opt.beside} | numbers

    got, got_beside = columns()
    want, want_beside = columns()
    with np.errstate(all="ignore"):
        new = reference_runner(opt)(*want, lr=0.01, weight_decay=0.1, beside=want_beside)
        run = library.runner(opt, way[1])
        done = run(*got, lr=0.01, weight_decay=0.1, beside=got_beside)
    exact = way[1] == "numba" or way[0] == "numpy"
    exact = exact and (K != "l2" and "mars" not in options)  # sums by tiles
    for a, b in zip((*done[0], *done[1]), (*new[0], *new[1]), strict=True):
        same(library, a, b, exact, dtypes[0])
    for name in set(opt.beside) - {"index"}:
        for a, b in zip(got_beside[name], want_beside[name], strict=True):
            same(library, a, b, exact or name == "last", dtypes[0])


def test_an_array_in_pieces_is_rounded_like_the_whole(way):
    library, dtypes = LIBRARIES[way[0]], ("float16", "float32")
    opt = Variant("l1", 0.01, weight_decay=0.1, rounding="stochastic")
    numbers = dict(zip(("key0", "key1"), keys(1, 0), strict=True))
    (x, m, g), beside = draw(library, opt, (500,), dtypes)
    parts = [[library.asarray(a[i:j]) for a in (x, m, g)] for i, j in ((0, 10), (10, 400), (400, 500))]
    starts = [beside["index"] + i for i in (0, 10, 400)]
    with np.errstate(all="ignore"):
        library.runner(opt, way[1])(x, m, g, beside=beside | numbers)
        lists = [list(c) for c in zip(*parts, strict=True)]
        library.runner(opt, way[1])(*lists, beside={"index": starts} | numbers)
    for k, whole in enumerate((x, m)):
        same(library, whole[:10], parts[0][k], True, "float16")
        same(library, whole[10:400], parts[1][k], True, "float16")
        same(library, whole[400:], parts[2][k], True, "float16")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_each_entry_is_rounded_as_in_a_tensor_of_its_own(way, dtype):
    """The last entries of a tile are those that a vector instruction does not take."""
    library = LIBRARIES[way[0]]
    if way[0] == "numpy" and dtype == "bfloat16":
        pytest.skip("NumPy has no bfloat16")
    rng = np.random.default_rng(5)
    x, m, g = (library.asarray(rng.normal(size=101), dtype=dtype) for _ in range(3))
    parts = [[library.asarray(a[i : i + 1]) for a in (x, m, g)] for i in range(101)]
    run = library.runner(lionk.LionK("l1", 0.01, weight_decay=0.1), way[1])
    run(x, m, g)
    for i, part in enumerate(parts):
        run(*part)
        for whole, one in zip((x, m), part, strict=False):
            same(library, whole[i : i + 1], one, True, dtype)


def test_random_numbers_of_neighbours_steps_and_seeds_are_not_alike():
    """Each of 16 bits is 1 half the time, with no correlation to those of the next entry, step or seed."""
    from lionk.optimizer.rounding import index, noise

    x = np.zeros(1 << 16)
    places = index(np, 0, x)

    def bits(seed, step):
        drawn = noise(np, places, *map(np.int32, keys(seed, step)))
        assert drawn.min() >= 0 and drawn.max() < 1 << 16
        return np.unpackbits(drawn.astype(">u2").view(np.uint8)).reshape(-1, 16) - 0.5

    first = bits(0, 0)
    for other in (bits(0, 1), bits(1, 0), np.roll(first, 1, axis=0), np.roll(first, 1, axis=1)):
        assert abs((first * other).mean(axis=0) * 4).max() < 5 / 256
    assert abs(first.mean(axis=0) * 2).max() < 5 / 256


def test_what_is_lacking_is_named():
    opt = Variant("l1", rounding="kahan")
    x, m, g = (np.zeros(3, dtype=np.float16) for _ in range(3))
    with pytest.raises(TypeError, match="takes low"):
        lionk.backends()["numpy"].runner(opt)(x, m, g)
    with pytest.raises(lionk.NotAvailable, match="jax makes no steps with low"):
        lionk.backends()["jax"].runner(opt)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 511, 513, 40_000])
def test_reductions_in_a_loop_are_as_accurate_as_sums_in_double_precision(n, dtype, monkeypatch):
    """Against math.fsum, at a length that is no multiple of anything, and with NaN and infinite entries."""
    import math

    monkeypatch.setattr(_plan, "COMPILE", 1)
    monkeypatch.setattr(_plan, "TILE", 1 << 16)
    rng = np.random.default_rng(n)
    m = rng.normal(size=n).astype(dtype)
    eps = np.finfo(dtype).eps

    def moved(K, entry=None):
        x, state = np.zeros(n, dtype=dtype), m + m  # the readout is half of it
        if entry is not None:
            state[-1] = entry
        with np.errstate(all="ignore"):
            lionk.backends()["numpy"].runner(lionk.LionK(K, 1.0, (0.5, 0.5), 0.5), "numba")(x, state, np.zeros_like(x))
        return x

    norm = math.sqrt(math.fsum(float(v) ** 2 for v in m))
    np.testing.assert_allclose(moved("l2"), m.astype(float) / norm, rtol=12 * eps, atol=0)
    shifted = np.exp(m.astype(float) - m.max())
    soft = shifted / math.fsum(shifted)
    np.testing.assert_allclose(moved("log_sum_exp"), soft, rtol=40 * eps, atol=0)
    assert np.isnan(moved("l2", np.nan)).all()
    assert np.isnan(moved("log_sum_exp", np.nan)).all()


@pytest.mark.parametrize("name", ["tiles", "numba"])
@pytest.mark.parametrize("scale", [1e-42, 1e-20, 1.0, 1e25])
def test_sums_of_tiles_on_scales_of_their_own_are_those_of_the_whole(name, scale):
    """Tiles of zeros, of one sign, and of entries whose squares are beyond the range, against math.fsum."""
    import math

    n = 64 * 40
    m = scale * np.random.default_rng(0).normal(size=n)
    m[:64], m[64:128] = 0.0, -np.abs(m[64:128])
    m[128:192] *= 1e-6
    m = m.astype("float32")

    def moved(K):
        x = np.zeros(n, dtype="float32")
        lionk.backends()["numpy"].runner(lionk.LionK(K, 1.0, (0.5, 0.5), 0.5), name)(x, m + m, np.zeros_like(x))
        return x

    exact = m.astype(float)
    norm = math.sqrt(math.fsum(exact**2))
    fine = np.finfo("float32").smallest_subnormal
    np.testing.assert_allclose(moved("l2"), exact / norm, rtol=12 * 1.2e-7, atol=2 * fine / min(scale, 1.0))
    soft = np.exp(exact - exact.max())
    np.testing.assert_allclose(moved("log_sum_exp"), soft / math.fsum(soft), rtol=1e-5, atol=2 * fine)


def test_a_loop_takes_over_few_small_tensors_after_many_steps(monkeypatch):
    """With the same bits; what was looked up of the tensors stays."""
    import torch

    small, calls, ends = lionk_torch.runner.small, [], []
    many = lionk_torch.runner.plan.Host.many
    monkeypatch.setattr(small, "MANY", 100)
    monkeypatch.setattr(small, "SMALL", 1 << 14)
    monkeypatch.setattr(lionk_torch.runner.plan.Host, "many", lambda *a: calls.append(1) or many(*a))
    for patience in (1 << 30, 3):
        monkeypatch.setattr(small, "PATIENCE", patience)
        calls.clear()
        torch.manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(50)) for _ in range(2)]
        opt = lionk_torch.LionK(params, lr=0.01, weight_decay=0.1)
        for _ in range(6):
            for p in params:
                p.grad = torch.randn(50)
            opt.step()
        ends.append((params, len(calls)))
    (before, none), (after, some) = ends
    assert (none, some) == (0, 3)
    assert all(torch.equal(p, q) for p, q in zip(before, after, strict=True))
