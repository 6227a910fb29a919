"""The polar factor: what the matmul-only solver promises, on bad matrices and every library; what the quintic is."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lionk
from backends_under_test import BACKENDS, Backend
from lionk.arrays.polar import NewtonSchulz, _closest_quintic, _in_two, _quintics
from lionk.conventions import muon_ns5
from turns import FULL

SHAPES = ((6, 6), (5, 40), (50, 7), (1, 4), (4, 1))
EPS = {"float64": 2.0**-52, "float32": 2.0**-23}


def matrix(shape, s, seed=0):
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.normal(size=(n, len(s))))[0] for n in shape)
    return (u * np.asarray(s)) @ v.T


def bad_matrices(shape):
    """Name, float64 matrix."""
    k = min(shape)
    half = np.concatenate([np.geomspace(1, 0.1, (k + 1) // 2), np.zeros(k // 2)])
    yield "random", np.random.default_rng(1).normal(size=shape)
    yield "orthogonal", matrix(shape, np.ones(k))
    yield "low rank", matrix(shape, half)
    yield "rank one of ones", np.ones(shape)
    yield "zero", np.zeros(shape)
    yield "repeated", matrix(shape, np.resize([3.0, 3.0, 1.0], k))
    yield "one zero column", np.random.default_rng(2).normal(size=shape) * (np.arange(shape[1]) > 0)
    for cond in (1e3, 1e6, 1e10, 1e14):
        yield f"condition {cond:g}", matrix(shape, np.geomspace(1, 1 / cond, k))
    for scale in (1e-30, 1e30):
        yield f"times {scale:g}", scale * matrix(shape, np.geomspace(1, 0.01, k))


def hold(x, d, tol, resolve, eps, what):
    """The promise of ``lionk.polar``: singular values d of its result for x, both float64."""
    s = np.linalg.svd(x, compute_uv=False)
    s = s / s[..., :1] if s.max() > 0 else s
    n, k = max(x.shape[-2:]), min(x.shape[-2:])
    ramp = 20 * k**0.125 * (s + n * eps) / resolve
    assert np.all(d <= np.minimum(1, ramp) + n * eps), f"{what}: too large, {d} from {s}"
    resolved = (s >= resolve * (1 + 4 * eps)) & (s > 0)
    assert np.all(d[resolved] >= 1 - tol - n * eps), f"{what}: not within tol, {d} from {s}"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", EPS)
def test_newton_schulz_keeps_its_promise(dtype, shape):
    eps = EPS[dtype]
    for what, exact in bad_matrices(shape):
        x = exact.astype(dtype)
        for tol, resolve in ((None, None), (1e-2, 1e-3), (1e-6, 0.3), (None, 2 * max(shape) * eps)):
            q = lionk.polar(x, "newton_schulz", tol=tol, resolve=resolve).astype("float64")
            limits = NewtonSchulz(tol, resolve).limits(eps, shape)
            hold(x.astype("float64"), np.linalg.svd(q, compute_uv=False), *limits, eps, f"{what}, {limits}")


def test_newton_schulz_finds_the_directions():
    """To the accuracy that the conditioning allows: eps s_1/s_k."""
    for shape in SHAPES:
        for cond in (2.0, 1e4, 1e10):
            x = matrix(shape, np.geomspace(1, 1 / cond, min(shape)))
            q = lionk.polar(x, "newton_schulz", resolve=0.9 / cond)
            assert np.max(np.abs(q - lionk.polar(x))) <= 100 * cond * EPS["float64"]


def test_newton_schulz_on_every_library(backend: Backend):
    x = np.stack([matrix((5, 3), [1.0, 0.1, 0.01]), 1e20 * np.ones((5, 3)), np.zeros((5, 3))])
    for dtype in (*backend.dtypes, *backend.low) if FULL or backend.name != "jax" else ("float32",):
        wide = "float64" if dtype == "float64" else "float32"
        for a in (x, x.swapaxes(-1, -2)) if dtype not in backend.low else (x / [[[1.0]], [[1e20]], [[1.0]]],):
            put = backend.put(a, dtype, matrix=True)
            with backend.active():  # matrix products only: no extension
                q = lionk.polar(put, "newton_schulz", tol=1e-3)
            assert q.dtype == put.dtype and q.shape == put.shape
            want = lionk.polar(backend.get(put).astype(wide), "newton_schulz", tol=1e-3)
            rounding = 2.0**-8 if dtype in backend.low else 1e4 * EPS[wide]
            assert np.max(np.abs(backend.get(q) - want)) <= rounding


def test_newton_schulz_under_jit():
    import jax

    x = np.random.default_rng(3).normal(size=(6, 4))
    q = jax.jit(lambda a: lionk.polar(a, "newton_schulz"))(BACKENDS["jax"].put(x, "float64"))
    np.testing.assert_allclose(np.asarray(q), lionk.polar(x), atol=1e-13)


def test_complex():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(4, 6)) + 1j * rng.normal(size=(4, 6))
    for q in (lionk.polar(x), lionk.polar(x, "newton_schulz")):
        np.testing.assert_allclose(q @ q.conj().T, np.eye(4), atol=1e-13)
        np.testing.assert_allclose(np.trace(q.conj().T @ x), np.linalg.svd(x, compute_uv=False).sum(), atol=1e-12)


@pytest.mark.parametrize("method", ["svd", "newton_schulz"])
def test_corners(method):
    x = np.stack([np.eye(3), np.eye(3), 2 * np.eye(3)])
    x[0, 0, 1], x[1, 2, 2] = np.nan, np.inf
    q = lionk.polar(x, method)
    assert np.all(np.isnan(q[:2]))
    np.testing.assert_allclose(q[2], np.eye(3), atol=1e-15)
    assert lionk.polar(np.zeros((0, 3)), method).shape == (0, 3)
    assert not np.any(lionk.polar(np.zeros((3, 2)), method))
    tiny = np.full((2, 2), 5e-324)
    np.testing.assert_allclose(lionk.polar(tiny, method), 0.5, atol=1e-7)
    for bad, message in ((np.zeros(3), "last two axes"), (np.eye(2, dtype=int), "floating-point")):
        with pytest.raises((ValueError, TypeError), match=message):
            lionk.polar(bad, method)


def test_refused():
    x = np.eye(3, dtype="float32")
    for options, message in (
        ({"method": "qr"}, "method must be"),
        ({"tol": 0.1}, "the SVD is exact"),
        ({"method": "newton_schulz", "tol": 0}, "tol must be a number between 0 and 1"),
        ({"method": "newton_schulz", "resolve": 2}, "resolve must be"),
        ({"method": "newton_schulz", "resolve": 1e-10}, "rounding noise"),
    ):
        with pytest.raises(ValueError, match=message):
            lionk.polar(x, **options)
    for name, polar in (("muon", {"steps": 5}), ("scion_spectral", "ns5"), ("scion_spectral_conv", 3)):
        with pytest.raises((TypeError, ValueError), match="polar"):
            lionk.K(name, polar=polar)
    with pytest.raises(ValueError, match="nuclear norm"):
        lionk.functions.spectral_lift(lionk.K("linf"), "newton_schulz")


def test_the_number_of_steps_is_fixed_ahead():
    """By tol and the least singular value: a ratio of 3.9 a step, then with the third power."""
    assert [len(_quintics(1e-3, low)) for low in (1e-1, 1e-3, 1e-6)] == [3, 7, 12]
    assert len(_quintics(EPS["float64"], 1e-10)) == 20


@pytest.mark.parametrize("shape", [(20, 80), (2, 60, 15), (33, 70)])
def test_the_last_steps_of_a_long_matrix_are_made_on_its_gram_matrix(shape):
    """Where that is cheaper; the polar factor is as exact, and small singular values have grown before."""
    ratio = max(shape[-2:]) / min(shape[-2:])
    first, rest = _in_two(_quintics(1e-7, 1e-4), ratio)
    assert rest and len(first) + len(rest) == len(_quintics(1e-7, 1e-4))
    assert _quintics(1e-7, 1e-4)[len(first)][3] >= 0.1
    assert not _in_two(_quintics(1e-7, 1e-4), 1.0)[1], "of a square matrix the steps themselves are cheaper"
    rng = np.random.default_rng(0)
    u, _, v = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    s = np.geomspace(1, 1e-4, min(shape[-2:]))
    got = lionk.polar(u * s @ v, "newton_schulz", tol=1e-7, resolve=1e-4)
    assert np.abs(got - u @ v).max() < 2e-7


@pytest.mark.parametrize("low", [1e-6, 0.1, 0.5, 0.989, 0.999])
def test_the_quintic_is_the_closest_to_one(low):
    """It equioscillates in four points (Chebyshev), lies below its tangent at 0, and is positive."""
    a, b, c, top = _closest_quintic(low)
    s = np.linspace(0, 1 + 0.01 * (1 - low), 100_001)
    p = s * (a + s**2 * (b + s**2 * c))
    assert np.all(p <= a * s + 1e-15)
    assert np.all(p[1:] > 0)
    inside = p[s >= low] - 1
    assert max(abs(inside)) <= (top - 1) + 1e-9 * (low < 0.9) + 3e-9 * (low > 0.99)
    if low < 0.9:
        extremes = [v for u, v, w in zip(inside, inside[1:], inside[2:], strict=False) if (v - u) * (w - v) <= 0]
        np.testing.assert_allclose([inside[0], *extremes, inside[-1]], (top - 1) * np.array([-1, 1, -1, 1]), rtol=1e-3)


def test_the_ramp_below_the_resolved_ratios():
    """What the steps multiply a tiny singular value by is at most ten times what the least resolved one needs."""
    slopes = [low * math.prod(a for a, *_ in _quintics(tol, low)) for low in np.geomspace(1e-12, 0.999, 300)
              for tol in (0.5, 1e-2, 1e-7, 1e-15)]  # fmt: skip
    assert 9 < max(slopes) < 10


NAMES = ["muon", "scion_spectral", "scion_spectral_conv"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("polar", ["newton_schulz", {"tol": 1e-2, "resolve": 1e-2}])
def test_an_approximate_selection_says_so(name, polar):
    """All but dK is that of the exact function; dK lies in dom K*, and misses Fenchel-Young by the stated share."""
    k, exact = lionk.K(name, polar=polar), lionk.K(name)
    assert k.traits.selection == "approximate"
    assert k.conjugate.traits == exact.conjugate.traits
    assert k != exact
    assert lionk.K(k.spec) == k
    assert k.conjugate.domain == exact.conjugate.domain
    for rule in (k.tilt(1.0), 2 * k, k + lionk.K("half_square"), k.ridge(), lionk.blocks([k])):
        assert rule.traits.selection == "approximate"
    assert k.moreau().traits.selection == "min_norm"  # by the projection, which is exact
    tol, resolve = (1e-2, 1e-2) if isinstance(polar, dict) else (0, EPS["float64"] ** 0.5)
    for seed in range(5):
        x = np.random.default_rng(seed).normal(size=(6, 4, 2, 2) if name.endswith("conv") else (6, 4))
        x[1] = 0.3 * x[0] + (1e-4 if seed else 0) * x[1]
        s = k.subgradient(x)
        value = float(exact.value(x))
        assert float(k.value(x)) == value
        assert float(k.prox(x).sum()) == float(exact.prox(x).sum())
        assert bool(k.conjugate.domain.contains(s))
        gap = float(k.fenchel_young(x, s))
        assert -1e-13 * value <= gap <= (tol + 6 * resolve + 1e-13) * value
        assert abs(float(exact.fenchel_young(x, exact.subgradient(x)))) <= 1e-13 * value


# -- Muon's quintic ----------------------------------------------------------------------------------------------


def _quintic(s):
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return s


def test_the_range_of_the_quintic():
    """Measured on a fine grid: [0.68, 1.2024] from 0.002 on, and 1.2024 is attained."""
    s = np.linspace(0, 1, 2_000_001)
    d = _quintic(s)
    assert 1.2023 < d.max() <= 1.2024
    assert d.min() == 0
    assert 0.68 < d[s >= 0.002].min() < 0.69
    assert _quintic(1e-4) < 0.06
    top = s[np.argmax(d)]
    other = np.sqrt(1 - top**2)
    y = muon_ns5(7.0 * np.diag([top, other]))
    assert np.max(y) == pytest.approx(d.max(), abs=1e-9)
    k = lionk.K("nuclear").conjugate.domain
    assert not bool(k.contains(y))  # so it is no subgradient of the nuclear norm
    assert bool(lionk.functions.scale(lionk.K("nuclear"), 1.2024).conjugate.domain.contains(y))


def _act(backend: Backend):
    """The iteration; on JAX as one program, since each operation would be compiled by itself."""
    if backend.name != "jax":
        return muon_ns5
    import jax

    return jax.jit(muon_ns5)


def test_the_quintic_acts_on_singular_values(backend: Backend):
    act = _act(backend)
    for shape in ((5, 3), (3, 5), (2, 4, 4)) if FULL or backend.name != "jax" else ((3, 5),):
        x = np.random.default_rng(0).normal(size=shape)
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        want = (u * _quintic(s / np.sqrt(np.sum(s * s, axis=-1, keepdims=True)))[..., None, :]) @ vt
        with backend.active():
            got = act(backend.put(x, backend.dtypes[0], matrix=True))
        np.testing.assert_allclose(backend.get(got), want, atol=1e4 * EPS[backend.dtypes[0]])
    assert not np.any(backend.get(act(backend.put(np.zeros((3, 5)), backend.dtypes[0], matrix=True))))


def test_no_polynomial_iteration_is_monotone():
    """A subgradient is monotone. Pairs where these maps are not: the quintic often, five plain cubic steps rarely."""

    def cubic(x):
        x = x / np.sqrt(np.sum(x * x))
        for _ in range(5):
            x = 1.5 * x - 0.5 * x @ x.T @ x
        return x

    def slack(f, x, y):
        return np.sum((x - y) * (f(x) - f(y))) / np.sum((x - y) ** 2)

    steps = np.random.default_rng(0).normal(size=(400, 2, 3, 3))
    pairs = [(x, x + 0.1 * z) for x, z in steps]
    assert sum(slack(muon_ns5, *p) < -1e-3 for p in pairs) >= 50
    assert min(slack(lionk.polar, *p) for p in pairs) >= -1e-12
    assert slack(cubic, np.diag([1, 0.2255]), np.diag([7.392, 0.8654])) == pytest.approx(-0.0036, abs=1e-4)


def test_a_loose_newton_schulz_is_not_monotone_either():
    """Why ``traits.selection`` is "approximate" and not a choice among subgradients."""
    k = lionk.K("muon", scaling="none", polar={"tol": 0.5, "resolve": 0.9})
    x, y = np.diag([1, 0.2255]), np.diag([7.392, 0.8654])
    worst = min(
        float(np.sum((a - b) * (k.subgradient(a) - k.subgradient(b)))) / float(np.sum((a - b) ** 2))
        for a in (t * x for t in (0.5, 1.0, 2.0, 4.0))
        for b in (t * y for t in (0.25, 0.5, 1.0))
    )
    assert worst < -1e-3


LARGE = ((150, 400), (400, 150), (2, 130, 270))  # whose float32 goes by squares in double precision


@pytest.mark.parametrize("shape", LARGE, ids=str)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_exact_factor_of_a_large_matrix(library, shape):
    """Against the SVD in double precision of the same numbers: values that count as 0 in float32 are 0."""
    there = lionk.backends()[library]
    if not there.available():
        pytest.skip(there.why_unavailable())
    for what, exact in bad_matrices(shape[-2:]):
        x = (np.stack([exact, exact[::-1]]) if len(shape) == 3 else exact).astype("float32")
        got = there.to_host(lionk.polar(there.asarray(x))).astype(float)
        assert got.shape == x.shape
        u, s, vh = np.linalg.svd(x.astype(float), full_matrices=False)
        edge = max(shape) * EPS["float32"] * s[..., :1]
        sure = (s > 1.5 * edge).astype(float)
        if not np.any((s > edge / 1.5) & (sure == 0)):  # no value lies about where it begins to count
            np.testing.assert_allclose(got, (u * sure[..., None, :]) @ vh, atol=3e-6, err_msg=what)
        d = np.linalg.svd(got, compute_uv=False)
        assert np.all(np.abs(d - np.round(d)) < 1e-5), f"{what}: not an isometry of its support, {d}"
        assert np.all(np.sum(d > 0.5, axis=-1) >= np.sum(sure, axis=-1)), what
    bad = np.ones(shape, dtype="float32")
    bad[..., 3, 4] = np.nan
    assert np.all(np.isnan(there.to_host(lionk.polar(there.asarray(bad)))))


def test_large_matrices_step_alike_in_both_precisions():
    x = matrix((200, 300), np.geomspace(1, 1e-2, 200))
    for K in ("nuclear", "spectral_huber"):
        want = lionk.K(K).subgradient(x)
        np.testing.assert_allclose(lionk.K(K).subgradient(x.astype("float32")), want, atol=2e-5, err_msg=K)
