"""LionK: the step against the formula, its dtypes and containers, its purity, and the decision table of arguments."""

from __future__ import annotations

import itertools
import warnings
from typing import NamedTuple

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import lionk
from lionk.arrays.containers import leaves
from lionk.optimizer.jobs import explicit_lr, implicit_lr


def lion(x, m, g, lr, b1, b2, lam):
    """Lion as its authors write it: m averages plus the gradients."""
    c = b1 * m + (1 - b1) * g
    return x - lr * (np.sign(c) + lam * x), b2 * m + (1 - b2) * g


def test_l1_is_lion():
    rng = np.random.default_rng(0)
    x = rng.normal(size=7)
    y, m = x, np.zeros(7)
    opt = lionk.LionK("l1", lr=0.01, betas=(0.9, 0.99), weight_decay=0.3)
    state = opt.init(x)
    for _ in range(50):
        g = rng.normal(size=7)
        x, state = opt.step(x, g, state)
        y, m = lion(y, m, g, 0.01, 0.9, 0.99, 0.3)
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-15)
        np.testing.assert_allclose(state.m, -m, rtol=0, atol=1e-15)
    assert state.count == 50


@pytest.mark.parametrize("name", ["l1", "huber", "l2", "box", "softplus", "log_sum_exp", "nuclear"])
@pytest.mark.parametrize("decay", ["explicit", "implicit"])
def test_step_is_the_formula_at_the_negative_average(name, decay):
    rng = np.random.default_rng(1)
    x, m, g = rng.normal(size=(3, 4, 5))
    K = lionk.K(name)
    opt = lionk.LionK(K, lr=0.1, betas=(0.8, 0.95), weight_decay=0.5, decay=decay)
    new, state = opt.step(x, g, lionk.State(m, 3))
    u = K.subgradient(0.8 * m - 0.2 * g)
    expected = x + 0.1 * (u - 0.5 * x) if decay == "explicit" else (x + 0.1 * u) / 1.05
    np.testing.assert_allclose(new, expected, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(state.m, 0.95 * m - 0.05 * g, rtol=1e-14, atol=1e-15)
    assert state.count == 4


@pytest.mark.parametrize("decay", ["explicit", "implicit"])
@pytest.mark.parametrize("dtypes", [*itertools.product(["float32", "float64"], repeat=3)], ids="-".join)
def test_the_bound_step_is_the_step(dtypes, decay):
    """Bit for bit, of containers too, and where x, m and grad have dtypes of their own."""
    x, m, g = (a.astype(d) for a, d in zip(np.random.default_rng(2).normal(size=(3, 4, 5)), dtypes, strict=True))
    for K in ("l1", "nuclear", lionk.K("huber") + lionk.K("l2")):
        opt = lionk.LionK(K, lr=0.1, weight_decay=0.5, decay=decay)
        for a, b, c in ((x, m, g), ({"u": x, "v": [2 * x]}, {"u": m, "v": [m]}, {"u": g, "v": [-g]})):
            want, state = opt.step(a, c, lionk.State(b, 0), lr=0.2)
            made = opt.bind(a, b)(a, b, c, 0.2)
            for one, other in zip(map(leaves, made), (leaves(want), leaves(state.m)), strict=True):
                for s, t in zip(one, other, strict=True):
                    np.testing.assert_array_equal(s, t)
                    assert s.dtype == t.dtype


@pytest.mark.parametrize("name", ["l1", "half_square", "linf", "spectral", "exp"])
def test_explicit_and_implicit_decay_are_one_iteration(name):
    """Theory 1.3: lr and lr/(1 - lr lam), exactly, with a schedule too."""
    rng = np.random.default_rng(2)
    start = 0.1 * rng.normal(size=(4, 4))
    explicit = lionk.LionK(name, lr=lambda t: 0.2 / (1 + t), weight_decay=0.7)
    implicit = explicit.with_decay("implicit")
    x, y, s, t = start, start, explicit.init(start), implicit.init(start)
    for _ in range(20):
        g = rng.normal(size=(4, 4))
        (x, s), (y, t) = explicit.step(x, g, s), implicit.step(y, g, t)
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-13)
    assert implicit.with_decay("explicit").lr(3) == pytest.approx(explicit.lr(3), rel=1e-14)
    assert explicit_lr(implicit_lr(0.3, 2.0), 2.0) == pytest.approx(0.3, rel=1e-15)


def test_decay_after_the_step_is_another_radius():
    """``(1 - lr lam)(x + lr u)`` is the explicit step of ``(1 - lr lam) K``: radius ``(1 - lr lam)/lam``."""
    x, m, g = np.random.default_rng(3).normal(size=(3, 5))
    opt = lionk.LionK(lionk.K("l1").scale(0.9), lr=0.1, weight_decay=1.0)
    expected = 0.9 * (x + 0.1 * np.sign(0.9 * m - 0.1 * g))
    np.testing.assert_allclose(opt.step(x, g, lionk.State(m, 0))[0], expected, rtol=1e-14, atol=1e-15)


def test_lr_zero_leaves_x_and_lr_times_decay_one_jumps():
    x, g = np.array([1.0, -3.0]), np.array([1.0, 1.0])
    opt = lionk.LionK("l1", lr=0.0, weight_decay=2.0)
    new, state = opt.step(x, g, opt.init(x))
    assert np.array_equal(new, x) and not np.array_equal(state.m, 0 * x)
    jump = lionk.LionK("l1", lr=0.5, weight_decay=2.0)
    np.testing.assert_array_equal(jump.step(x, g, jump.init(x))[0], [-0.5, -0.5])


BAD = [
    ({"betas": (1.1, 0.9)}, ValueError, "betas\\[0\\]"),
    ({"betas": (-0.1, 0.9)}, ValueError, "betas\\[0\\]"),
    ({"betas": (0.9, 1.0)}, ValueError, "betas\\[1\\]"),
    ({"betas": (float("nan"), 0.9)}, ValueError, "betas\\[0\\]"),
    ({"betas": 0.9}, TypeError, "two numbers"),
    ({"weight_decay": -1.0}, ValueError, "weight_decay"),
    ({"weight_decay": float("nan")}, ValueError, "weight_decay"),
    ({"lr": -1e-3}, ValueError, "lr"),
    ({"lr": float("inf")}, ValueError, "lr"),
    ({"lr": "fast"}, TypeError, "lr must be a number"),
    ({"lr": True}, TypeError, "lr must be a number"),
    ({"lr": 0.2, "weight_decay": 6.0}, ValueError, 'decay="implicit"'),
    ({"decay": "coupled"}, ValueError, "decay must be"),
    ({"K": "l11"}, KeyError, "did you mean"),
    ({"K": 3}, TypeError, "K must be"),
    ({"K": {"a": "l1"}}, TypeError, "lionk.blocks"),
    ({"K": {"name": "huber", "width": 1.0}}, TypeError, "no parameter 'width'.*delta"),
    ({"K": {"name": "huber", "delta": 0.0}}, ValueError, "delta"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments_name_themselves(arguments, error, message):
    with pytest.raises(error, match=message):
        lionk.LionK(**{"K": "l1", "lr": 1e-3, **arguments})


def test_what_warns():
    with pytest.warns(lionk.LionKWarning, match="b1 > b2"):
        lionk.LionK("l1", betas=(0.99, 0.9))
    for name in ("max", "log_sum_exp", "softplus", "exp"):
        with pytest.warns(lionk.LionKWarning, match="drifts"):
            lionk.LionK(name, weight_decay=0.0)
    with pytest.warns(lionk.LionKWarning, match="drifts"):
        lionk.LionK(lionk.K("box", lower=0.5, upper=1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lionk.LionK("relu", weight_decay=0.0)
        lionk.LionK("max", weight_decay=1.0)
        lionk.LionK("l1", lr=5.0, weight_decay=1.0, decay="implicit")


def test_a_schedule_is_checked_at_the_step():
    x = np.ones(2)
    opt = lionk.LionK("l1", lr=lambda t: 0.1 if t == 0 else 3.0, weight_decay=1.0)
    x, state = opt.step(x, x, opt.init(x))
    with pytest.raises(ValueError, match="lr \\* weight_decay <= 1"):
        opt.step(x, x, state)
    with pytest.raises(ValueError, match="lr must be finite"):
        opt.step(x, x, state, lr=-0.1)


def test_numpy_scalars_become_floats_and_keep_float32():
    opt = lionk.LionK("l1", lr=np.float64(0.1), weight_decay=np.float32(0.5))
    assert type(opt.lr) is float and type(opt.weight_decay) is float
    x = np.ones(3, dtype=np.float32)
    assert opt.step(x, x, opt.init(x))[0].dtype == np.float32


@pytest.mark.parametrize("xp", [np, torch, jnp, array_api_strict], ids=["numpy", "torch", "jax", "strict"])
def test_zero_dimensional_lr_of_the_library(xp):
    x = xp.asarray([1.0, -2.0], dtype=xp.float32)
    opt = lionk.LionK("l1", lr=0.25, weight_decay=0.5)
    expected, _ = opt.step(x, x, opt.init(x))
    got, state = opt.step(x, x, opt.init(x), lr=xp.asarray(0.25, dtype=xp.float64))
    assert got.dtype == xp.float32 == state.m.dtype
    assert bool(xp.all(got == expected))


def test_arrays_of_another_library_are_refused():
    x = np.ones(3)
    opt = lionk.LionK("l1")
    with pytest.raises(TypeError, match="lr is an array of another library"):
        opt.step(x, x, opt.init(x), lr=torch.tensor(0.1))
    with pytest.raises(TypeError):
        opt.step(x, torch.ones(3), opt.init(x))


@pytest.mark.parametrize(
    ("parameter", "state", "work"),
    [("bfloat16", "float32", "float32"), ("float16", "float32", "float32"), ("bfloat16", None, "bfloat16"),
     ("float32", "bfloat16", "float32"), ("float32", "float64", "float64")],
)  # fmt: skip
def test_state_dtype_is_separate(parameter, state, work):
    x = torch.tensor([1.0, -0.5, 0.25], dtype=getattr(torch, parameter))
    g = torch.tensor([0.01, 0.02, -0.03], dtype=getattr(torch, parameter))
    opt = lionk.LionK("log_cosh", lr=0.125, weight_decay=0.5, state_dtype=state)
    s = opt.init(x)
    assert s.m.dtype == getattr(torch, state or parameter)
    new, t = opt.step(x, g, s)
    assert new.dtype == x.dtype and t.m.dtype == s.m.dtype
    d = getattr(torch, work)
    readout = 0.9 * s.m.to(d) - (1 - 0.9) * g.to(d)
    expected = x.to(d) + 0.125 * (opt.K.subgradient(readout) - 0.5 * x.to(d))
    assert torch.equal(new, expected.to(x.dtype))


def test_small_gradients_survive_in_a_wide_state():
    x = np.ones(2, dtype=np.float16)
    g = np.full(2, 1e-6, dtype=np.float16)
    narrow, wide = lionk.LionK("l1"), lionk.LionK("l1", state_dtype="float32")
    assert not np.any(narrow.step(x, g, narrow.init(x))[1].m)
    assert np.all(wide.step(x, g, wide.init(x))[1].m < 0)


def test_complex_parameters():
    rng = np.random.default_rng(4)
    x, g = rng.normal(size=(2, 3, 3)) + 1j * rng.normal(size=(2, 3, 3))
    for name in ("l1", "l2", "huber", "nuclear", "half_square", "top_k", "row_l1_l2"):
        opt = lionk.LionK(name, lr=0.1, weight_decay=0.5)
        new, state = opt.step(x, g, opt.init(x))
        u = opt.K.subgradient(-(1 - 0.9) * g)
        np.testing.assert_allclose(new, x + 0.1 * (u - 0.5 * x), rtol=1e-13)
        assert new.dtype == state.m.dtype == np.complex128
    with pytest.raises(TypeError, match="complex"):
        lionk.LionK("softplus", weight_decay=1.0).K.subgradient(x)
    with pytest.raises(TypeError, match="grad is complex"):
        opt.step(x.real, g, opt.init(x.real))


class Net(NamedTuple):
    weight: object
    parts: list
    bias: tuple


def test_containers_of_every_kind_equal_their_arrays_one_by_one():
    rng = np.random.default_rng(5)
    x = {"net": Net(rng.normal(size=(3, 2)), [rng.normal(size=4)], (rng.normal(size=()),)), "other": rng.normal(size=0)}
    g = {"net": Net(rng.normal(size=(3, 2)), [rng.normal(size=4)], (rng.normal(size=()),)), "other": rng.normal(size=0)}
    K = lionk.blocks({"net": Net("nuclear", "l2", "l1"), "other": "l1"})
    opt = lionk.LionK(K, lr=0.1, weight_decay=0.5)
    new, state = opt.step(x, g, opt.init(x))
    assert type(new["net"]) is Net and type(new["net"].parts) is list and type(new["net"].bias) is tuple
    for name, old, grad, now, m in (
        ("nuclear", x["net"].weight, g["net"].weight, new["net"].weight, state.m["net"].weight),
        ("l2", x["net"].parts[0], g["net"].parts[0], new["net"].parts[0], state.m["net"].parts[0]),
        ("l1", x["net"].bias[0], g["net"].bias[0], new["net"].bias[0], state.m["net"].bias[0]),
    ):
        alone = lionk.LionK(name, lr=0.1, weight_decay=0.5)
        y, s = alone.step(old, grad, alone.init(old))
        np.testing.assert_array_equal(now, y)
        np.testing.assert_array_equal(m, s.m)
    assert new["other"].shape == (0,)
    plain = lionk.LionK("l1", lr=0.1)  # one K serves every array
    assert plain.step(x, g, plain.init(x))[0]["net"].weight.shape == (3, 2)


def test_containers_that_differ_are_refused():
    x = {"a": np.ones(2), "b": np.ones(3)}
    opt = lionk.LionK("l1")
    state = opt.init(x)
    for bad in ({"a": np.ones(2)}, np.ones(2), {"a": np.ones(2), "b": np.ones(2)}, [np.ones(2), np.ones(3)]):
        with pytest.raises(ValueError, match="grad"):
            opt.step(x, bad, state)
    with pytest.raises(ValueError, match="shape"):
        opt.step(np.ones(3), np.ones(1), opt.init(np.ones(3)))


def test_nothing_is_modified():
    x, g = np.ones((2, 2)), np.full((2, 2), 0.5)
    opt = lionk.LionK("nuclear", lr=0.1, weight_decay=1.0)
    state = opt.init(x)
    kept = [a.copy() for a in (x, g, state.m)]
    for a in (x, g, state.m):
        a.flags.writeable = False
    opt.step(x, g, state)
    for a, b in zip((x, g, state.m), kept, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("x", [np.array([1, 2]), np.array([True]), torch.ones(2, dtype=torch.int32)])
def test_integers_are_refused_with_advice(x):
    with pytest.raises(TypeError, match="astype"):
        lionk.LionK("l1").init(x)


def test_frozen_comparable_and_hashable():
    a, b = lionk.LionK("huber", lr=0.1), lionk.LionK(lionk.K("huber", delta=1.0), lr=0.1)
    assert a == b and hash(a) == hash(b) and a != lionk.LionK("huber", lr=0.2)
    with pytest.raises(AttributeError):
        a.lr = 1.0


def test_under_jit_lr_and_count_are_data():
    """One trace serves every lr, as an argument; a schedule of the count traces once too."""
    traces = []
    opt = lionk.LionK("l1", weight_decay=0.5)

    @jax.jit
    def step(x, g, m, count, lr):
        traces.append(1)
        return opt.step(x, g, lionk.State(m, count), lr=lr)

    x = jnp.asarray([1.0, -2.0, 3.0])
    state = opt.init(x)
    y, s = x, state
    for lr in (0.1, 0.05, 0.025):
        x, state = step(x, 0.5 * x, state.m, state.count, jnp.asarray(lr))
        y, s = opt.step(y, 0.5 * y, s, lr=lr)
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-6)
    assert len(traces) == 1


def test_trajectories_agree_between_libraries():
    """Same numbers everywhere, for every order of operations being the same: to a few ulp after 100 steps."""
    rng = np.random.default_rng(6)
    A, x0 = rng.normal(size=(6, 6)), rng.normal(size=6)
    ends = {}
    for xp in (np, torch, jnp, array_api_strict):
        a, x = (xp.asarray(v, dtype=xp.float64) for v in (A, x0))
        opt = lionk.LionK("pseudo_huber", lr=0.05, weight_decay=0.5)
        state = opt.init(x)
        for _ in range(100):
            x, state = opt.step(x, a.T @ (a @ x), state)
        ends[xp.__name__] = np.asarray(x)
    for a, b in itertools.pairwise(ends.values()):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


PRODUCTS = {"name": "muon", "polar": {"tol": 1e-3, "resolve": 1e-2}}
ENVELOPE = lionk.K("l1").tilt(0.3).moreau(0.5).spec


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a .functools.lru_cache.:UserWarning")
@pytest.mark.parametrize(
    "name",
    ["l1", "softplus", "l2", "lp", "top_k", "nuclear", "scion_row", PRODUCTS, ENVELOPE]
    + [pytest.param(n, marks=pytest.mark.slow) for n in ("huber", "log_cosh", "max", "row_l1_l2")],
    ids=str,
)
def test_torch_compiles_the_step_in_one_graph(name):
    torch._dynamo.reset()
    opt = lionk.LionK(name, lr=0.1, weight_decay=0.5)
    x, m, g = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(lambda *a: opt.update(*a, 0.1, 0.5), fullgraph=True, backend="eager")
    for a, b in zip(compiled(x, m, g), opt.update(x, m, g, 0.1, 0.5), strict=True):
        assert torch.equal(a, b)


def test_numpy_scalars_are_parameters():
    assert lionk.K("top_k", k=np.int64(2)) == lionk.K("top_k", k=2)
    assert lionk.K("huber", delta=np.float32(0.5)) == lionk.K("huber", delta=0.5)


def test_the_order_of_the_keys_is_free():
    x, g = {"b": np.ones(2), "a": np.ones(3)}, {"a": np.full(3, 2.0), "b": np.full(2, -3.0)}
    opt = lionk.LionK("half_square", 1.0, (0.0, 0.0))
    got, _ = opt.step(x, g, opt.init(x))
    np.testing.assert_array_equal(got["b"], [4.0, 4.0])
    np.testing.assert_array_equal(got["a"], [-1.0, -1.0, -1.0])
    with pytest.raises(ValueError, match="different shape"):
        opt.step(x, {"a": g["a"]}, opt.init(x))
