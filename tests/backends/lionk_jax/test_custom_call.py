"""The runner "numba" of JAX: large arrays on a CPU are NumPy's steps bit for bit, in place; all others are plain."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lionk
import lionk_jax
from lionk.backend.protocol import reference_runner
from lionk_jax import _backend, _custom_call, _pytrees, _runner

LARGE = (1290, 1230)  # worth a call

if "numba" not in lionk_jax.backend.runners():
    pytest.skip("numba is not installed; pip install 'lionk[numba]'", allow_module_level=True)


def draw(shape=LARGE, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for _ in range(3)]


def on_jax(arrays):
    return [jnp.array(a) for a in arrays]


def optimizer(K="l1", **options):
    return lionk.LionK(K, **({"lr": 0.1, "weight_decay": 0.5} | options))


def numpy_steps(opt, arrays, steps=1, **given):
    """By NumPy's loops, which are compared with its reference elsewhere."""
    x, m, grad = (a.copy() for a in arrays)
    run = lionk.backends()["numpy"].runner(opt, "numba")
    for _ in range(steps):
        x, m = run(x, m, grad, **given)
    return x, m


def calls(run, *arrays):
    """How many calls of NumPy the compiled step makes."""
    return str(jax.make_jaxpr(run)(*arrays)).count("ffi_call[")


def assert_equal(got, want):
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "K", ["l1", "l2", *(pytest.param(k, marks=pytest.mark.slow) for k in ("log_cosh", "row_l1_l2", "col_l1_l2"))]
)
def test_a_large_array_is_stepped_as_by_numpy_and_in_place(K):
    opt, run = optimizer(K), lionk_jax.backend.runner(optimizer(K))
    x, m, grad = on_jax(draw())
    places = x.unsafe_buffer_pointer(), m.unsafe_buffer_pointer()
    for _ in range(3):
        x, m = run(x, m, grad)
    assert_equal((x, m), numpy_steps(opt, draw(), 3))
    assert (x.unsafe_buffer_pointer(), m.unsafe_buffer_pointer()) == places
    np.testing.assert_array_equal(grad, draw()[2])


def test_it_is_the_reference_of_jax_where_numbers_are_subnormal():
    """XLA's own threads take them for 0."""
    opt, arrays = optimizer("huber"), [1e-39 * a for a in draw()]
    got = lionk_jax.backend.runner(opt)(*on_jax(arrays))
    assert 0 < np.abs(got[1]).max() < np.finfo(np.float32).smallest_normal
    assert_equal(got, reference_runner(opt)(*arrays))


def test_double_precision():
    with jax.enable_x64(True):
        arrays = [np.float64(a) for a in draw()]
        got = lionk_jax.backend.runner(optimizer())(*on_jax(arrays))
        assert got[0].dtype == np.float64
        assert_equal(got, numpy_steps(optimizer(), arrays))


def test_numbers_keep_their_64_bits_and_arrays_their_dtype():
    opt, run = optimizer(), lionk_jax.backend.runner(optimizer())
    for lr in (0.1, 1 / 3, 0):
        assert_equal(run(*on_jax(draw()), lr=lr, weight_decay=lr), numpy_steps(opt, draw(), lr=lr, weight_decay=lr))
    third = np.float32(1 / 3)
    assert_equal(run(*on_jax(draw()), lr=jnp.asarray(third)), numpy_steps(opt, draw(), lr=third))


def test_inside_a_jit_a_scan_and_vmap():
    opt, run = optimizer("l2"), lionk_jax.backend.runner(optimizer("l2"))
    x, m, grad = on_jax(draw())

    def steps(x, m, grad):
        return jax.lax.scan(lambda kept, _: (run(*kept, grad), None), (x, m), length=3)[0]

    assert calls(steps, x, m, grad) == 1
    assert_equal(jax.jit(steps)(x, m, grad), numpy_steps(opt, draw(), 3))
    assert_equal((x, m), draw()[:2])  # not donated: they are as they were
    both = jax.vmap(run)(*(jnp.stack([a, 2 * a]) for a in (x, m, grad)))
    assert_equal([a[1] for a in both], numpy_steps(opt, [2 * a for a in draw()]))


def test_a_schedule_inside_a_jit():
    run = lionk_jax.backend.runner(optimizer())
    got = jax.jit(lambda count, *arrays: run(*arrays, lr=0.1 / (1 + count)))(3, *on_jax(draw()))
    assert_equal(got, numpy_steps(optimizer(), draw(), lr=np.float32(0.1) / np.float32(4)))


def test_lists_make_one_call_for_the_large_ones():
    opt, shapes = optimizer(), [(1000, 900), (3, 4), (900, 1000), (5,)]
    drawn = [draw(shape, k) for k, shape in enumerate(shapes)]
    columns = [[jnp.array(arrays[k]) for arrays in drawn] for k in range(3)]
    run = lionk_jax.backend.runner(opt)
    assert calls(run, *columns) == 1
    got = run(*columns)
    for k, arrays in enumerate(drawn):
        want = numpy_steps(opt, arrays)
        margin = 0 if arrays[0].size > 1000 else 1e-6  # XLA's own product and sum are one operation
        np.testing.assert_allclose(got[0][k], want[0], rtol=margin, atol=margin)
        np.testing.assert_allclose(got[1][k], want[1], rtol=margin, atol=margin)


def test_what_is_stepped_plainly():
    x, m, grad = on_jax(draw())
    run = lionk_jax.backend.runner(optimizer())
    assert calls(run, x, m, grad) == 1
    assert calls(lionk_jax.backend.runner(optimizer(), "jit"), x, m, grad) == 0
    assert calls(run, *(a[:500] for a in (x, m, grad))) == 0, "a call takes longer than such a step"
    assert calls(run, *(a.astype("bfloat16") for a in (x, m, grad))) == 0
    assert calls(run, *(a + 1j for a in (x, m, grad))) == 0
    for K in ("nuclear", lionk.K("l1").tilt(grad)):
        assert calls(lionk_jax.backend.runner(optimizer(K)), x, m, grad) == 0, "no record"


DEVICES = """
import numpy as np, jax, lionk, lionk_jax
from jax.sharding import NamedSharding, PartitionSpec as P
assert jax.device_count() == 2
rng = np.random.default_rng(0)
arrays = [rng.normal(size=(1100, 1000)).astype("float32") for _ in range(3)]
opt = lionk.LionK("l1", lr=0.1, weight_decay=0.5)
run, plain = lionk_jax.backend.runner(opt, "numba"), lionk_jax.backend.runner(opt, "jit")
split = NamedSharding(jax.make_mesh((2,), ("a",)), P("a"))
for where in (split, jax.devices()[1]):
    got, want = (f(*(jax.device_put(a, where) for a in arrays)) for f in (run, plain))
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
        assert a.sharding == b.sharding, (a.sharding, b.sharding)
traced = str(jax.make_jaxpr(run)(*arrays))
assert "ffi_call" not in traced, "what is traced may be sharded"
x, m, grad = (jax.device_put(a, jax.devices()[1]) for a in arrays)
for _ in range(9):
    x, m = run(x, m, grad)  # and the process ends with steps that are yet to be made
"""


def test_devices_and_sharded_arrays():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    subprocess.run([sys.executable, "-c", DEVICES], env=environment, check=True, timeout=100)


def test_threads_at_once():
    found = {}

    def steps(seed):
        run = lionk_jax.backend.runner(optimizer())
        x, m, grad = on_jax(draw(seed=seed))
        for _ in range(5):
            x, m = run(x, m, grad)
        found[seed] = x, m

    threads = [threading.Thread(target=steps, args=(seed,)) for seed in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for seed in range(3):
        assert_equal(found[seed], numpy_steps(optimizer(), draw(seed=seed), 5))


def test_an_error_inside_a_call_is_raised(monkeypatch):
    def fails(_):
        raise ZeroDivisionError("by the test")

    x = jnp.ones(3)
    call = jax.jit(_custom_call.custom_call(fails, [x], [0]))
    with pytest.raises(Exception, match="ZeroDivisionError: by the test"):
        jax.block_until_ready(call(x))
    monkeypatch.setattr(_custom_call, "_functions", {})
    with pytest.raises(Exception, match="compile it again"):
        jax.block_until_ready(call(x))


def test_without_numba_or_the_interface_there_is_jit(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(_backend, "missing", lambda *_: "not here")
        assert list(lionk_jax.backend.runners()) == ["jit", "reference"]
    monkeypatch.setattr(_custom_call, "available", lambda: False)
    assert list(lionk_jax.backend.runners()) == ["jit", "reference"]


@pytest.mark.parametrize("way", ["jit", "numba"])
def test_a_step_of_small_arrays_looks_at_no_function_and_no_device(monkeypatch, way):
    """What costs as much for each array as its step: only large ones are asked where they lie."""
    looked, where, static = [], _runner._on_one_cpu, _pytrees.Static
    monkeypatch.setattr(_runner, "_on_one_cpu", lambda some: looked.append("devices") or where(some))
    monkeypatch.setattr(_pytrees, "Static", lambda *a: looked.append("function") or static(*a))
    run = lionk_jax.backend.runner(lionk.LionK("l1", 0.5), way)
    x, m, grad = ([jnp.full(3, v) for _ in range(2)] for v in (1.0, 0.0, 1.0))
    for _ in range(2):
        x, m = run(x, m, grad)
    assert not looked
    np.testing.assert_array_equal(x[1], 0.0)
