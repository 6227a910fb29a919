"""Backends: one contract, each library; then what is special to one of them."""

from __future__ import annotations

import importlib
import subprocess
import sys

import array_api_strict
import numpy as np
import pytest
from array_api_compat import array_namespace

import lionk
import lionk_cupy
import lionk_dask
import lionk_jax
import lionk_numpy
import lionk_torch
from lionk.backend.discovery import GROUP, GenericBackend, backend_of
from lionk.backend.protocol import Backend, dtype_name, reference_runner

LIBRARIES = {
    "numpy": lionk_numpy.backend,
    "torch": lionk_torch.backend,
    "jax": lionk_jax.backend,
    "dask": lionk_dask.backend,
    "cupy": lionk_cupy.backend,
    "strict": GenericBackend(array_api_strict),
}
DTYPES = ("bool", "int32", "uint8", "float16", "bfloat16", "float32", "complex64")


def _library(name: str) -> Backend:
    """Only CuPy may be missing: its device cannot be installed."""
    b = LIBRARIES[name]
    if name == "cupy" and not b.available():
        pytest.skip(b.why_unavailable())
    assert b.available(), b.why_unavailable()
    return b


@pytest.fixture(params=[pytest.param(n, marks=[pytest.mark.gpu] if n == "cupy" else []) for n in LIBRARIES])
def lib(request):
    return _library(request.param)


# -- discovery -----------------------------------------------------------------------------------------------------


def test_entry_points_are_the_five_packages():
    found = lionk.backends()
    assert {n: found[n] for n in sorted(found)} == {n: LIBRARIES[n] for n in ("cupy", "dask", "jax", "numpy", "torch")}
    assert all(b.name == n for n, b in found.items())
    found.clear()
    assert lionk.backends(), "the caller got the registry itself"


def test_without_entry_points_the_error_says_what_to_do(monkeypatch):
    from lionk.backend import discovery as module

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [] if group == GROUP else None)
    module._discovered.cache_clear()
    try:
        with pytest.raises(RuntimeError, match="pip install -e"):
            lionk.backends()
    finally:
        module._discovered.cache_clear()


def test_importing_lionk_and_its_backends_imports_no_framework():
    code = (
        "import sys, lionk, lionk_numpy, lionk_torch, lionk_jax, lionk_dask, lionk_cupy\n"
        "found = lionk.backends()\n"
        "assert not any(b.owns(object()) for b in found.values())\n"
        "print([m for m in ('numpy', 'torch', 'jax', 'dask', 'cupy', 'array_api_strict') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["numpy", "torch", "jax", "dask", "cupy"])
def test_missing_library(name, monkeypatch):
    """As without it: the package imports, and the backend says what to install."""
    monkeypatch.setitem(sys.modules, name, None)
    assert importlib.import_module(f"lionk_{name}").backend is LIBRARIES[name]
    b = LIBRARIES[name]
    assert b.available() is False
    assert f"{name} is not installed" in b.why_unavailable()


@pytest.mark.parametrize("driver", [lambda: False, lambda: 1 / 0])
def test_cupy_without_a_device_is_unavailable(driver, monkeypatch):
    from importlib.machinery import ModuleSpec
    from types import ModuleType, SimpleNamespace

    fake = ModuleType("cupy")
    fake.__spec__ = ModuleSpec("cupy", None)
    fake.cuda = SimpleNamespace(is_available=driver)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    assert lionk_cupy.backend.available() is False
    assert "cupy" in lionk_cupy.backend.why_unavailable()
    assert lionk_cupy.backend.devices() == []


# -- the contract --------------------------------------------------------------------------------------------------


def test_owns_its_arrays_and_no_others(lib):
    x = lib.asarray([1.0, 2.0], dtype="float32")
    assert lib.owns(x)
    assert [b.name for b in LIBRARIES.values() if b.owns(x)] == [lib.name]
    found = backend_of({"a": [x]})
    assert found is lib or (isinstance(found, GenericBackend) and found.name == lib.name)
    assert not lib.owns([1.0])
    assert array_namespace(x) is lib.namespace()


@pytest.mark.parametrize("bad", [[], 3.0, ["text"]])
def test_backend_of_what_is_no_array(bad):
    with pytest.raises(TypeError, match="array"):
        backend_of(bad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (3, 4)])
def test_bits_go_there_and_back(lib, dtype, shape):
    if lib.name == "array_api_strict" and dtype in ("float16", "bfloat16"):
        with pytest.raises(ValueError, match="no dtype"):
            lib.from_bits(np.zeros(2, np.uint8), dtype, ())
        return
    if lib.name == "cupy" and dtype == "bfloat16":
        pytest.skip("CuPy 14 has no bfloat16 arrays")
    raw = np.random.default_rng(0).normal(size=(*shape, 2)).astype("float32")
    values = (raw[..., 0] + 1j * raw[..., 1]) if dtype == "complex64" else np.abs(raw[..., 0] * 9)
    x = lib.asarray(values, dtype=dtype)
    assert (dtype_name(x), tuple(x.shape)) == (dtype, shape)
    bits = lib.to_bits(x)
    assert (bits.dtype, bits.ndim) == (np.uint8, 1)
    back = lib.from_bits(bits, dtype, shape)
    assert (dtype_name(back), tuple(back.shape)) == (dtype, shape)
    np.testing.assert_array_equal(lib.to_bits(back), bits)
    host = lib.to_host(x)
    assert host.dtype == np.dtype("float32" if dtype == "bfloat16" else dtype)
    np.testing.assert_array_equal(lib.to_host(lib.asarray(host, dtype=dtype)), host)


def test_nothing_shares_memory(lib):
    a = np.ones(4, np.float32)
    x = lib.asarray(a)
    a[:] = 2
    host = lib.to_host(x)
    np.testing.assert_array_equal(host, np.ones(4))
    host[:] = 3
    np.testing.assert_array_equal(lib.to_host(x), np.ones(4))


@pytest.mark.parametrize("make", [lambda a: a[::-1], lambda a: a.T, lambda a: a.astype(">f4")])
def test_asarray_takes_any_layout(lib, make):
    a = make(np.arange(6, dtype=np.float32).reshape(2, 3))
    a.flags.writeable = False
    np.testing.assert_array_equal(lib.to_host(lib.asarray(a)), a)


def test_asarray_on_every_device(lib):
    assert lib.devices()
    for device in lib.devices():
        np.testing.assert_array_equal(lib.to_host(lib.asarray([1.5], dtype="float32", device=device)), [1.5])


def test_unknown_dtype(lib):
    with pytest.raises((ValueError, TypeError), match=r"float31"):
        lib.asarray([1.0], dtype="float31")


def test_synchronize_returns_the_same_values(lib):
    x = lib.asarray([1.0, 2.0], dtype="float32")
    done = lib.synchronize({"a": x + x, "b": (x,)})
    np.testing.assert_array_equal(lib.to_host(done["a"]), [2, 4])
    np.testing.assert_array_equal(lib.to_host(done["b"][0]), [1, 2])


def _draw(lib, seed, count):
    g = lib.random(seed, count)
    if lib.name == "torch":
        import torch

        return torch.randn(8, generator=g).numpy()
    if lib.name == "jax":
        import jax

        return np.asarray(jax.random.normal(g, (8,)))
    drawn = g.standard_normal(8)
    return np.asarray(drawn.get() if lib.name == "cupy" else drawn)


def test_random_is_a_function_of_seed_and_count(lib):
    first = _draw(lib, 3, 5)
    np.testing.assert_array_equal(first, _draw(lib, 3, 5))
    for other in ((3, 6), (4, 5), (5, 3), (3 + 2**40, 5)):
        assert not np.array_equal(first, _draw(lib, *other)), other


# -- the reference runner --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", ["explicit", "implicit"])
def test_runner_is_the_step(lib, decay):
    opt = lionk.LionK("huber", lr=0.1, weight_decay=0.5, decay=decay)
    rng = np.random.default_rng(1)
    x, m, g = (lib.asarray(rng.normal(size=(4, 3)), dtype="float32") for _ in range(3))

    def assert_equal(got, want):  # compilers may contract a product and a sum
        np.testing.assert_allclose(lib.to_host(got), lib.to_host(want), rtol=3e-7, atol=3e-7)

    def copy(*arrays):  # a runner consumes its arguments
        return [lib.asarray(a) for a in arrays]

    want_x, want = opt.step(x, g, lionk.State(m, 0))
    got_x, got_m = lib.runner(opt)(*copy(x, m), g)
    assert_equal(got_x, want_x), assert_equal(got_m, want.m)
    xs, ms = lib.runner(opt)(copy(x, x), copy(m, m), [g, 2 * g], lr=0.2, weight_decay=0.0)
    for factor, a, b in zip((1, 2), xs, ms, strict=True):
        other = lionk.LionK("huber", lr=0.2, decay=decay)
        want_x, want = other.step(x, factor * g, lionk.State(m, 0))
        assert_equal(a, want_x), assert_equal(b, want.m)


def test_runners_have_names_and_a_reference(lib):
    opt = lionk.LionK("l1", lr=0.1)
    assert "reference" in lib.runners()
    for name in lib.runners():
        x, m, g = (lib.asarray(v) for v in ([1.0, -2.0], [0.0, 0.0], [3.0, -3.0]))
        np.testing.assert_allclose(lib.to_host(lib.runner(opt, name)(x, m, g)[0]), [0.9, -1.9], rtol=1e-6)
    with pytest.raises(ValueError, match="'reference'"):
        lib.runner(opt, "fastest")


def test_runner_gives_blocks_their_own_function():
    opt = lionk.LionK(lionk.blocks(["l1", "half_square"]), lr=0.1)
    x = [np.asarray([2.0]), np.asarray([2.0])]
    zero = [np.zeros(1), np.zeros(1)]
    got, _ = reference_runner(opt)(x, zero, [np.asarray([3.0]), np.asarray([3.0])])
    assert [float(a[0]) for a in got] == pytest.approx([2 - 0.1, 2 - 0.1 * 0.3])


def test_runner_refuses():
    run = reference_runner(lionk.LionK("l1", lr=lambda count: 0.1))
    x = np.ones(2)
    with pytest.raises(ValueError, match=r"opt.lr\(count\)"):
        run(x, x, x)
    run(x, x, x, lr=0.1)
    with pytest.raises(ValueError, match="one length"):
        run([x], [x], [x, x], lr=0.1)
    with pytest.raises(ValueError, match="lr must be"):
        run(x, x, x, lr=-1.0)


def test_adapt_knows_no_optimizer_yet(lib):
    assert lib.adapt(object()) is None


# -- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["numpy", "dask", "cupy", "strict"])
def test_no_autodiff(name):
    assert LIBRARIES[name].value_and_grad is None


@pytest.fixture(params=["torch", "jax"])
def diff(request):
    return _library(request.param)


def test_gradient_is_the_steepest_ascent(diff):
    """f(x + d) ~ f + Re<grad, d>, for complex x too, where the libraries differ by a conjugate."""
    c = diff.asarray([1 + 2j, -3j], dtype="complex64")
    x = diff.asarray([0.5 - 1j, 2 + 1j], dtype="complex64")
    xp = diff.namespace()
    f, grad = diff.value_and_grad(lambda z: xp.sum(xp.real(xp.conj(c) * z) + xp.abs(z) ** 2 / 2))(x)
    np.testing.assert_allclose(diff.to_host(grad), diff.to_host(c + x), rtol=1e-6)
    assert tuple(f.shape) == ()


def test_gradient_of_a_container(diff):
    x = {"w": diff.asarray([1.0, 2.0], dtype="float32"), "b": [diff.asarray(3.0, dtype="float32")]}
    unused = diff.asarray([[1.0]], dtype="float32")
    fun = diff.value_and_grad(lambda p, scale: scale * ((p["w"] * p["w"]).sum() + p["b"][0]))
    f, grad = fun({**x, "unused": unused}, 2.0)
    assert float(f) == 16
    assert list(grad) == ["w", "b", "unused"]
    assert isinstance(grad["b"], list)
    np.testing.assert_array_equal(diff.to_host(grad["w"]), [4, 8])
    np.testing.assert_array_equal(diff.to_host(grad["b"][0]), 2)
    np.testing.assert_array_equal(diff.to_host(grad["unused"]), [[0]])


@pytest.mark.parametrize(
    ("fun", "what"),
    [
        (lambda x: x, r"scalar \(a 0-d array\), got shape \(2,\)"),
        (lambda x: 3.0, "got float"),
        (lambda x: (x.sum(), x), "got tuple"),
        (lambda x: (x * 1j).sum(), "real floating-point scalar"),
        (lambda x: (x > 0).any(), "real floating-point scalar"),
    ],
)
def test_gradient_of_no_scalar(diff, fun, what):
    with pytest.raises(TypeError, match=what):
        diff.value_and_grad(fun)(diff.asarray([1.0, 2.0], dtype="float32"))


def test_gradient_at_integers(diff):
    with pytest.raises(TypeError, match="floating-point dtype is needed"):
        diff.value_and_grad(lambda x: x.sum())(diff.asarray([1, 2], dtype="int32"))


def test_torch_leaves_the_callers_tensors_alone():
    import torch

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    x.grad = torch.tensor([7.0, 7.0])
    plain = torch.tensor([3.0, 4.0])
    weight = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
    fun = lionk_torch.backend.value_and_grad(lambda p: (p["x"] * p["plain"] * weight).sum())
    with torch.no_grad():
        f, grad = fun({"x": x, "plain": plain})
    assert not f.requires_grad
    assert f.grad_fn is None
    assert not any(g.requires_grad for g in grad.values())
    np.testing.assert_array_equal(grad["x"], plain)
    assert x.grad.tolist() == [7, 7]
    assert x.requires_grad
    assert not plain.requires_grad
    assert weight.grad is None


def test_torch_in_inference_mode():
    import torch

    with torch.inference_mode():
        _, grad = lionk_torch.backend.value_and_grad(lambda p: (p * p).sum())(torch.tensor([1.0, 2.0]))
    assert grad.tolist() == [2, 4]


@pytest.mark.parametrize("cut", [lambda x: x.detach().sum(), lambda x: x.new_ones(()).requires_grad_(True) * 2])
def test_torch_not_connected(cut):
    import torch

    with pytest.raises(ValueError, match="does not depend on x"):
        lionk_torch.backend.value_and_grad(cut)(torch.ones(2))


# -- JAX: pytrees ------------------------------------------------------------------------------------------------------


PARAMETRIC = {
    "weighted_l1": lambda w, p: lionk.K("weighted_l1", weights=w),
    "box": lambda w, p: lionk.K("box", lower=-w, upper=2 * w),
    "conjugate": lambda w, p: lionk.K("box", lower=-w).conjugate,
    "tilt": lambda w, p: lionk.K("l1").tilt(w),
    "shift": lambda w, p: lionk.K("huber").shift(w),
    "moreau": lambda w, p: lionk.K("weighted_l1", weights=w).moreau(0.5),
    "scaled": lambda w, p: 2.0 * lionk.K("weighted_l1", weights=w),
    "sum": lambda w, p: lionk.K("l2") + lionk.K("weighted_l1", weights=w),
    "quadratic": lambda w, p: lionk.K("quadratic", matrix=p),
    "ellipsoid": lambda w, p: lionk.K("ellipsoid", matrix=p),
    "quadratic conjugate": lambda w, p: lionk.K("quadratic", matrix=p).conjugate,
    "no arrays": lambda w, p: lionk.K("group_l1_l2", axis=0),
}


def _parametric(name, xp):
    """With parameters that are arrays of this namespace."""
    p = xp.asarray([[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 3.0]])
    return PARAMETRIC[name](xp.asarray([1.0, 2.0, 3.0]), p)


@pytest.fixture
def registered():
    lionk_jax.register_pytrees()


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", PARAMETRIC)
def test_jit_takes_a_function_as_an_argument(name):
    import jax
    import jax.numpy as jnp

    def calls(k, x, y):
        return {
            "subgradient": k.subgradient(x),
            "value": k.value(x),
            "conjugate": k.conjugate.value(y),
            "inside": k.conjugate.domain.contains(y),
            "there and back": k.conjugate.conjugate.subgradient(x),
        }

    x, y = np.asarray([1.0, -2.0, 0.0]), np.asarray([0.1, -0.2, 0.3])
    got = jax.jit(calls)(_parametric(name, jnp), jnp.asarray(x), jnp.asarray(y))
    for what, want in calls(_parametric(name, np), x, y).items():
        np.testing.assert_allclose(got[what], want, rtol=1e-5, atol=1e-6, err_msg=what)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", PARAMETRIC)
def test_function_comes_out_of_jit(name):
    import jax
    import jax.numpy as jnp

    K = _parametric(name, jnp)
    out = jax.jit(lambda k: k)(K)
    assert type(out) is type(K)
    assert out.conjugate.conjugate is out
    assert out.traits == K.traits
    assert type(out.domain) is type(K.domain)
    assert jax.tree.structure(out) == jax.tree.structure(K)
    if name == "ellipsoid" or name.startswith("quadratic"):  # kept by a root, or eigenvalues, of the matrix
        assert lionk.K(out.spec).traits == K.traits
    else:
        assert str(out.spec) == str(K.spec)
    marked = jax.tree.map(lambda _: 0, K)  # as for in_axes
    assert jax.tree.structure(marked) == jax.tree.structure(K)


@pytest.mark.usefixtures("registered")
def test_jit_compiles_once_for_all_values():
    import jax
    import jax.numpy as jnp

    traced = []
    f = jax.jit(lambda k, x: traced.append(1) or k.subgradient(x))
    x = jnp.asarray([1.0, -1.0])
    for scale in (1.0, 2.0):
        got = f(lionk.K("weighted_l1", weights=scale * jnp.asarray([1.0, 2.0])), x)
        np.testing.assert_array_equal(got, [scale, -2 * scale])
    assert len(traced) == 1


@pytest.mark.usefixtures("registered")
def test_conjugate_follows_the_leaves():
    """What is derived is derived again: doubled weights double the box of the conjugate."""
    import jax
    import jax.numpy as jnp

    K = jax.tree.map(lambda w: 2 * w, lionk.K("weighted_l1", weights=jnp.asarray([1.0, 2.0])))
    np.testing.assert_array_equal(K.conjugate.domain.project(jnp.asarray([9.0, 9.0])), [2, 4])
    assert K.spec["weights"].tolist() == [2, 4]
    assert K.conjugate.spec["K"]["weights"].tolist() == [2, 4]


@pytest.mark.usefixtures("registered")
def test_grad_and_vmap_with_respect_to_a_function():
    import jax
    import jax.numpy as jnp

    w = jnp.asarray([1.0, 2.0])
    K, x = lionk.K("weighted_l1", weights=w), jnp.asarray([3.0, -4.0])
    assert jax.grad(lambda k: k.value(x))(K).set.upper.tolist() == [3, 4]
    each = jax.vmap(lambda k, a: k.value(a), in_axes=(jax.tree.map(lambda _: 0, K), 0))(K, x)
    assert each.tolist() == [3, 8]


@pytest.mark.usefixtures("registered")
def test_jit_takes_blocks_and_optimizers():
    import jax
    import jax.numpy as jnp

    K = lionk.blocks({"w": lionk.K("weighted_l1", weights=jnp.asarray([1.0, 2.0])), "b": "l1"})
    x = {"w": jnp.asarray([1.0, -1.0]), "b": jnp.asarray([-3.0])}
    got = jax.jit(lambda k, a: k.subgradient(a))(K, x)
    assert {n: v.tolist() for n, v in got.items()} == {"w": [1, -2], "b": [-1]}
    opt = lionk.LionK(K, lr=0.5, weight_decay=0.1)
    state = opt.init(x)
    got, after = jax.jit(lambda o, a, s: o.step(a, a, s))(opt, x, state)
    want, _ = opt.step(x, x, state)
    np.testing.assert_allclose(got["w"], want["w"], rtol=1e-6)
    assert int(after.count) == 1


def test_a_users_class_is_registered_on_call():
    from dataclasses import dataclass

    import jax

    from lionk.sets.box import Box

    @dataclass(eq=False, repr=False)
    class Mine(Box):
        pass

    lionk_jax.register_pytrees()
    assert jax.tree.leaves(Mine(upper=np.ones(2)))[0].tolist() == [1, 1]


def test_importing_after_jax_registers():
    code = (
        "import jax, jax.numpy as jnp, lionk, lionk_jax\n"
        "K = lionk.K('weighted_l1', weights=jnp.ones(2))\n"
        "print(jax.jit(lambda k, x: k.value(x))(K, jnp.ones(2)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2.0"


def test_jax_refuses_to_cut_bits():
    import jax

    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        lionk_jax.backend.from_bits(np.zeros(8, np.uint8), "float64", ())


# -- Dask: lazy --------------------------------------------------------------------------------------------------------


@pytest.fixture
def lazy():
    """A scheduler that refuses to work."""
    import dask

    def refuse(*args, **kwargs):
        raise AssertionError("something was computed")

    with dask.config.set(scheduler=refuse):
        yield


BLOCKWISE = ["l1", "huber", "log_cosh", "weighted_l1", "l2", "lp", "huber_l2", "linf", "top_k", "max", "row_l1_l2"]


@pytest.mark.parametrize("name", BLOCKWISE)
def test_dask_in_chunks(name):
    import dask
    import dask.array as da

    a = np.random.default_rng(2).normal(size=(6, 4))
    x, K = da.from_array(a, chunks=(3, 2)), lionk.K(name)
    with dask.config.set(scheduler="sync"):
        s = K.subgradient(x)
        assert s.chunks == x.chunks
        np.testing.assert_allclose(s.compute(), K.subgradient(a), rtol=1e-12)
        np.testing.assert_allclose(K.value(x).compute(), K.value(a), rtol=1e-12)


@pytest.mark.parametrize("name", [*BLOCKWISE, "log_sum_exp", "nuclear"])
def test_dask_computes_nothing_by_itself(name, lazy):
    import dask.array as da

    x = da.ones((6, 4), chunks=(3, 4))
    K = lionk.K(name)
    K.value(x), K.conjugate.value(K.subgradient(x)), K.conjugate.domain.contains(x)
    lionk_dask.backend.runner(lionk.LionK(K, lr=0.1, weight_decay=0.1))(x, x, x)
    lionk_dask.backend.asarray(np.ones(3))
    lionk_dask.backend.asarray(x, dtype="float32")


@pytest.mark.parametrize("chunks", [(6, 4), (3, 4), (6, 2)])
@pytest.mark.parametrize("name", ["nuclear", "ky_fan", "half_nuclear_squared"])
def test_dask_matrix_functions(name, chunks):
    import dask.array as da

    a = np.random.default_rng(3).normal(size=(6, 4))
    x, K = da.from_array(a, chunks=chunks), lionk.K(name)
    np.testing.assert_allclose(K.subgradient(x).compute(), K.subgradient(a), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(K.value(x).compute(), K.value(a), rtol=1e-12)


@pytest.mark.parametrize("call", ["subgradient", "value", "prox"])
def test_dask_matrix_functions_refuse_chunks_along_both_axes(call, lazy):
    import dask.array as da

    x, K = da.ones((6, 4), chunks=(3, 2)), lionk.K("nuclear")
    with pytest.raises(lionk.NotAvailable, match=r"x\.rechunk\(-1\)"):
        getattr(K, call)(x)
    getattr(K, call)(x.rechunk(-1))
    with pytest.raises(lionk.NotAvailable, match="stack of matrices"):
        getattr(K, call)(da.ones((2, 3, 4)))


def test_dask_synchronize_keeps_the_blocks_and_cuts_the_graph():
    import dask.array as da

    x = da.ones((4, 4), chunks=2) + 1
    (y,) = lionk_dask.backend.synchronize((x,))
    assert y.chunks == x.chunks
    assert len(y.__dask_graph__()) == 4
