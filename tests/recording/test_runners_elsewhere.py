"""The runners of JAX, Dask and CuPy: equal to the reference, and what each of them promises."""

from __future__ import annotations

import ctypes
import pickle
import shutil
import subprocess
import sys

import array_api_compat.numpy as xp
import numpy as np
import pytest

import lionk
import lionk_dask
import lionk_jax
from lionk.backend.protocol import reference_runner
from lionk.recording.program import NotTraceableError
from lionk.recording.record import step_program
from lionk_cupy._kernel import NAME, PHRASES, kernel
from lionk_cupy._runner import _meaning

ELEMENTWISE = [n for n in lionk.names() if lionk.K(n).traits.structure == "elementwise"]
FAST = {"l1", "huber", "softsign", "relu", "log_cosh", "l2", "nuclear"}


def some(names):
    return [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in names]


def draw(shape=(6, 50), dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for _ in range(3)]


def optimizer(name, **options):
    return lionk.LionK(name, **({"lr": 0.1, "weight_decay": 0.5} | options))


# -- JAX -------------------------------------------------------------------------------------------------------------


def on_jax(arrays):
    return [lionk_jax.backend.asarray(a) for a in arrays]


@pytest.mark.parametrize("name", some([*ELEMENTWISE, "l2", "nuclear"]))
def test_jax_is_the_reference_and_donates(name):
    opt = optimizer(name)
    x, m, grad = on_jax(draw())
    got = lionk_jax.backend.runner(opt)(x, m, grad)
    want = reference_runner(opt)(*draw())
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
    assert x.is_deleted() and m.is_deleted() and not grad.is_deleted()


def test_jax_traces_once_for_all_rates(monkeypatch):
    calls = []
    update = lionk.LionK.update
    monkeypatch.setattr(lionk.LionK, "update", lambda *a, **k: calls.append(1) or update(*a, **k))
    opt = optimizer("l1", lr=lambda count: 0.1 / (1 + count))
    run = lionk_jax.backend.runner(opt)
    x, m, grad = on_jax(draw())
    for count in range(4):
        x, m = run(x, m, grad, lr=opt.lr(count), weight_decay=0.1 * count)
    assert len(calls) == 1, "a value was compiled"


def test_jax_lists_blocks_and_array_parameters():
    tilted = lionk.K("l1").tilt(on_jax([np.linspace(-1, 1, 50, dtype="float32")])[0])
    opt = optimizer(lionk.blocks(["l1", "nuclear", tilted]))
    columns = [list(c) for c in zip(*(on_jax(draw(seed=k)) for k in range(3)), strict=True)]
    copies = [list(c) for c in zip(*(on_jax(draw(seed=k)) for k in range(3)), strict=True)]
    got, want = lionk_jax.backend.runner(opt)(*columns), reference_runner(opt)(*copies)
    for a, b in zip((*got[0], *got[1]), (*want[0], *want[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_jax_refuses_to_donate_twice():
    x, m, grad = on_jax(draw())
    run = lionk_jax.backend.runner(optimizer("l1"))
    for bad in ((x, x, grad), (x, m, x), ([x, x], [m, m + 1], [grad, grad])):
        with pytest.raises(ValueError, match="memory"):
            run(*bad)


def test_jax_runs_inside_a_jit():
    import jax

    run = lionk_jax.backend.runner(optimizer("l1"))
    got = jax.jit(run)(*on_jax(draw()))
    np.testing.assert_allclose(got[0], reference_runner(optimizer("l1"))(*draw())[0], rtol=2e-5)


# -- Dask ------------------------------------------------------------------------------------------------------------


def on_dask(arrays, chunks=(3, 20)):
    import dask.array as da

    return [da.from_array(a, chunks=chunks) for a in arrays]


@pytest.fixture
def synchronous():
    import dask

    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.mark.parametrize("name", some([*ELEMENTWISE, "l2"]))
def test_dask_is_the_reference_and_leaves_its_sources(name, synchronous):
    opt, arrays = optimizer(name), draw()
    got = lionk_dask.backend.runner(opt)(*on_dask(arrays))
    want = reference_runner(opt)(*draw())
    for a, b in zip(got, want, strict=True):
        assert a.chunks == ((3, 3), (20, 20, 10)) and a.dtype == b.dtype
        np.testing.assert_allclose(a.compute(), b, rtol=0 if name != "l2" else 1e-5)
    for a, b in zip(arrays, draw(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_dask_graph_does_not_grow(synchronous):
    run = lionk_dask.backend.runner(optimizer("l1"))
    x, m, grad = on_dask(draw())
    grad = grad.persist()
    sizes = []
    for lr in (0.1, 0.2, 0.3):
        x, m = run(x, m, grad, lr=lr)
        sizes.append(len({**x.__dask_graph__(), **m.__dask_graph__()}))
        x, m = lionk_dask.backend.synchronize([x, m])
    assert sizes[1] == sizes[2], sizes
    assert sizes[2] <= 6 * 6, "inputs, one step and two results for each of six blocks"


def test_dask_computes_a_block_once(synchronous, monkeypatch):
    from lionk_dask import _runner

    calls = []
    block = _runner._block
    monkeypatch.setattr(_runner, "_block", lambda *a, **k: calls.append(1) or block(*a, **k))
    lionk_dask.backend.synchronize(list(lionk_dask.backend.runner(optimizer("l1"))(*on_dask(draw()))))
    assert len(calls) == 6


def test_dask_other_chunks_lists_and_array_rates(synchronous):
    import dask.array as da

    opt, run = optimizer("huber"), lionk_dask.backend.runner(optimizer("huber"))
    (x,), (m,), (grad,) = on_dask(draw()[:1]), on_dask(draw()[1:2], (6, 7)), on_dask(draw()[2:], (1, 50))
    want = reference_runner(opt)(*draw())
    for lr in (0.1, da.from_array(np.float32(0.1))):
        got = run([x], [m], [grad], lr=lr)
        np.testing.assert_allclose(got[0][0].compute(), want[0], rtol=1e-6)
        np.testing.assert_allclose(got[1][0].compute(), want[1], rtol=1e-6)
    with pytest.raises(TypeError, match="floating-point"):
        run(x.astype("int32"), m, grad)


def test_dask_steps_travel_to_other_processes():
    x, _ = lionk_dask.backend.runner(optimizer("l1"))(*on_dask(draw()))
    assert pickle.loads(pickle.dumps(dict(x.__dask_graph__())))


# -- CuPy: the text of the kernel, on the CPU, and through NVRTC -------------------------------------------------------

ARITHMETIC = {"add", "subtract", "multiply", "divide", "maximum", "minimum", "sign", "abs", "where", "sqrt"}


def program(name, dtype="float32", **options):
    opt = optimizer(name, **options)
    return step_program(opt, opt.K, xp, (np.dtype(dtype),) * 3, (10,))


def host_text(source: str) -> str:
    """The kernel for a C++ compiler: one thread that walks over all entries."""
    return (
        "#include <cmath>\nusing namespace std;\n#define __global__\nstruct dim { int x; };\n"
        "static dim blockIdx{0}, threadIdx{0}, blockDim{1}, gridDim{1};\n" + source
    )


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """Every elementwise kernel, compiled in one go."""
    if shutil.which("g++") is None:
        pytest.skip("a C++ compiler is needed: g++")
    folder = tmp_path_factory.mktemp("kernels")
    cases = [(n, d) for n in ELEMENTWISE for d in ("float32", "float64")]
    texts = [kernel(program(n, d)).source.replace(NAME, f"{NAME}_{n}_{d}") for n, d in cases]
    (folder / "all.cpp").write_text(host_text("\n".join(texts)))
    command = ["g++", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-o", folder / "all.so", folder / "all.cpp"]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    return ctypes.CDLL(str(folder / "all.so"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_kernel_text_on_the_cpu_is_the_reference(kernels, name, dtype):
    arrays = draw((301,), dtype)
    arrays[1][:7] = 0
    arrays[2][:7] = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-39, -1e-45]
    opt = optimizer(name)
    with np.errstate(all="ignore"):
        want = reference_runner(opt)(*(a.copy() for a in arrays))
    real = ctypes.c_float if dtype == "float32" else ctypes.c_double
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in arrays]
    p = program(name, dtype)
    known = p.given(xp, 0.1, 0.5, opt.betas)
    numbers = map(real, p.numbers(kernel(p).numbers, known, _meaning()))
    getattr(kernels, f"{NAME}_{name}_{dtype}")(*pointers, ctypes.c_longlong(301), *numbers)
    exact = p.operations() <= ARITHMETIC | {"less_equal", "greater", "less", "equal"}
    margin = 0 if exact else {"float32": 2e-6, "float64": 1e-14}[dtype]
    for a, b in zip(arrays[:2], want, strict=True):
        np.testing.assert_allclose(a, b, rtol=margin, atol=margin)


def test_kernel_reads_numbers_on_the_device_by_pointer():
    p = program("l1")
    lr, *_ = kernel(p).numbers
    text = kernel(p, frozenset({lr})).source
    assert text.count("const float32* s") == 1 and "float32 s0 = *s0_;" in text


def test_kernels_are_for_one_pass_over_two_dtypes():
    for name, dtype in (("l2", "float32"), ("l1", "float16"), ("l1", "complex64")):
        with pytest.raises(NotTraceableError):
            kernel(program(name, dtype))


def test_kernels_have_phrases_for_all_elementwise_functions():
    for name in ELEMENTWISE:
        assert program(name).operations() <= set(PHRASES), name


def nvrtc():
    """NVRTC through CuPy's public interface; needs no device and no driver."""
    try:
        from cupy.cuda import nvrtc as module

        module.getVersion()
    except Exception as error:  # not installed, or without its library: whatever it raises
        pytest.skip(f"NVRTC is not here: {type(error).__name__}; pip install cupy-cuda12x nvidia-cuda-nvrtc-cu12")
    return module


@pytest.mark.parametrize("architecture", ["80", "90", "100"])
def test_kernels_compile_with_nvrtc(architecture):
    module = nvrtc()
    for name in ELEMENTWISE if architecture == "80" else ["l1", "softplus"]:
        for kind, get in (("sm", "getCUBIN"), ("compute", "getPTX")):
            built = module.createProgram(kernel(program(name)).source, f"{name}.cu", (), ())
            try:
                module.compileProgram(built, (f"-arch={kind}_{architecture}", "--fmad=false"))
                code = getattr(module, get)(built)
            except module.NVRTCError:
                raise AssertionError(module.getProgramLog(built)) from None
            finally:
                module.destroyProgram(built)
            assert len(code) > 500
            assert kind == "sm" or (NAME in str(code) and "fma.rn.f32" not in str(code)) or name != "l1"


@pytest.mark.gpu
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_cupy_is_the_reference(name):
    import lionk_cupy

    backend = lionk_cupy.backend
    if not backend.available():
        pytest.skip(backend.why_unavailable())
    import cupy

    opt = optimizer(name)
    for lr in (0.1, cupy.asarray(0.1, dtype="float32")):
        x, m, grad = (cupy.asarray(a) for a in draw((1000, 33)))
        got = backend.runner(opt)(x, m, grad, lr=lr)
        assert got[0] is x and got[1] is m
        for a, b in zip(got, reference_runner(opt)(*draw((1000, 33)), lr=0.1), strict=True):
            np.testing.assert_allclose(a.get(), b, rtol=2e-5, atol=2e-6)
    run = backend.runner(opt)
    with pytest.raises(ValueError, match="memory"):
        run(x, x, grad)


def test_the_kernel_module_needs_no_cupy():
    code = "import sys, lionk_cupy._kernel, lionk_cupy._runner; assert 'cupy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
