"""Named algorithms: their updates against formulas written out here with NumPy, their specs, and what they refuse."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import lionk
from backends_under_test import BACKENDS, Backend
from lionk.functions import ShapeFactor, entry
from turns import FULL

K = lionk.K
RNG = np.random.default_rng(0)
SHAPES = ((5, 3), (3, 5), (4, 4), (2, 5, 3))


def svd(x):
    return np.linalg.svd(x, full_matrices=False)


def msign(x):
    u, _, vt = svd(x)
    return u @ vt


def spectral(x, f):
    u, s, vt = svd(x)
    return (u * f(s)[..., None, :]) @ vt


def rms(x, axis):
    return np.sqrt(np.mean(x * x, axis=axis, keepdims=True))


def norm(x, axis=None):
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=axis is not None))


def first(n):
    return lambda s: (np.arange(s.shape[-1]) < n) + 0 * s


def per_block(f):
    """A formula of one matrix, on each matrix of a stack."""
    return lambda x, **p: np.stack([f(a, **p) for a in x]) if x.ndim > 2 else f(x, **p)


# name, parameters, update of x by the published formula
UPDATES = [
    ("lion", {}, np.sign),
    ("lion_lp", {"p": 3}, lambda x: np.sign(x) * (np.abs(x) / np.sum(np.abs(x) ** 3) ** (1 / 3)) ** 2),
    ("normalized_sgd", {}, lambda x: x / norm(x)),
    ("global_norm_clip", {"bound": 0.7}, lambda x: x * min(1, 0.7 / norm(x))),
    ("global_norm_clip", {"bound": 50.0}, lambda x: x),
    ("soft_signum", {"tau": 3.0}, lambda x: np.tanh(3.0 * x)),
    ("rlion", {"tau": 0.5}, lambda x: 2 / np.pi * np.arctan(x / 2)),
    ("sto_sign", {"delta": 0.5}, lambda x: np.clip(x / 0.5, -1, 1)),
    ("muon", {}, lambda x: np.sqrt(max(1, x.shape[-2] / x.shape[-1])) * msign(x)),
    ("muon", {"scaling": "match_rms_adamw"}, lambda x: 0.2 * np.sqrt(max(x.shape[-2:])) * msign(x)),
    ("muon", {"scaling": "none"}, msign),
    ("neon", {}, lambda x: spectral(x, first(1))),
    ("fanion", {"k": 2}, lambda x: spectral(x, first(2))),
    ("s_muon", {"alpha": 0.3}, lambda x: 0.3 * msign(x) + 0.7 * np.sign(x)),
    ("ht_muon", {"power": 0.25}, lambda x: spectral(x, lambda s: s**0.25)),
    ("soft_muon", {"delta": 0.5}, lambda x: spectral(x, lambda s: s / np.sqrt(s * s + 0.25))),
    ("mu_con", {"bound": 0.8}, lambda x: spectral(x, lambda s: np.minimum(s, 0.8))),
    ("rmnp", {}, lambda x: x / norm(x, -1)),
    ("scion_spectral", {"scale": 3.0}, lambda x: 3 * np.sqrt(x.shape[-2] / x.shape[-1]) * msign(x)),
    ("scion_spectral", {"max": True}, lambda x: max(1, np.sqrt(x.shape[-2] / x.shape[-1])) * msign(x)),
    ("scion_spectral", {"normalized": False}, lambda x: np.sqrt(x.shape[-2]) * msign(x)),
    ("scion_sign", {"scale": 2.0}, lambda x: 2 * np.sign(x) / x.shape[-1]),
    ("scion_sign", {"scale": 2.0, "normalized": False}, lambda x: 2 * np.sign(x)),
    ("scion_row", {"scale": 2.0}, lambda x: 2 * x / (norm(x, -1) * np.sqrt(x.shape[-1]))),
    ("scion_row", {"normalized": False}, lambda x: x / norm(x, -1)),
    ("scion_row", {"transpose": True}, lambda x: x / (norm(x, -2) * np.sqrt(x.shape[-2]))),
    ("scion_col", {"scale": 2.0}, lambda x: 2 * x / rms(x, -2)),
    ("scion_col", {"normalized": True}, lambda x: x / rms(x, -2) / x.shape[-1]),
    ("scion_col", {"transpose": True, "normalized": True}, lambda x: x / rms(x, -1) / x.shape[-2]),
    ("scion_bias", {"scale": 0.5}, lambda x: 0.5 * x / np.sqrt(np.mean(x * x))),
]  # fmt: skip
# of one matrix: norms over all of a stack are another function
ONE = [
    ("f_muon", {"alpha": 0.3}, lambda x: 0.3 * msign(x) + 0.7 * x / norm(x)),
    ("freon", {"q": 1.5}, lambda x: spectral(x, lambda s: (s / np.sum(s**1.5) ** (1 / 1.5)) ** 0.5)),
    ("freon", {"q": 1}, msign),
    ("polar_grad", {}, lambda x: np.sum(svd(x)[1]) * msign(x)),
    ("clipped_scion", {"bound": 2.0}, lambda x: min(2.0, np.sum(svd(x)[1])) * msign(x)),
    ("clipped_scion", {"bound": 99.0}, lambda x: np.sum(svd(x)[1]) * msign(x)),
    ("clipped_scion", {"bound": 0.5, "norm": "l1"}, lambda x: min(0.5, np.sum(np.abs(x))) * np.sign(x)),
    (
        "clipped_scion",
        {"bound": 99.0, "norm": "scion_spectral"},
        lambda x: x.shape[0] / x.shape[1] * np.sum(svd(x)[1]) * msign(x),
    ),
]
ids = [f"{n}({','.join(f'{k}={v}' for k, v in p.items())})" for n, p, _ in UPDATES + ONE]


@pytest.mark.parametrize(("name", "parameters", "update"), UPDATES + ONE, ids=ids)
def test_update(name, parameters, update):
    for shape in SHAPES:
        x = RNG.normal(size=shape)
        if len(shape) > 2 and name in {n for n, _, _ in ONE}:
            continue
        np.testing.assert_allclose(K(name, **parameters).subgradient(x), update(x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("shape", "scale"), [((6, 3, 5), (2**0.5) / 5), ((4, 8, 3, 3), 0.5**0.5 / 9)])
def test_convolution_kernels(shape, scale):
    x = RNG.normal(size=shape)
    k = K("scion_spectral_conv", scale=2.0)
    s = k.subgradient(x)
    matrix = x.reshape(shape[0], -1)
    np.testing.assert_allclose(s.reshape(matrix.shape), 2 * scale * msign(matrix), rtol=1e-10, atol=1e-12)
    assert float(k.value(x)) == pytest.approx(2 * scale * np.sum(svd(matrix)[1]))
    assert bool(k.conjugate.domain.contains(s))
    assert not bool(k.conjugate.domain.contains(1.01 * s))
    with pytest.raises(ValueError, match="convolution kernel"):
        k.value(matrix)


def test_a_stochastic_sign_is_huber_in_expectation():
    x = np.asarray([-2.0, -0.3, 0.0, 0.1, 0.7])
    noise = np.random.default_rng(1).uniform(-1, 1, (200_000, 1))
    mean = np.mean(np.sign(x + 0.5 * noise), axis=0)
    np.testing.assert_allclose(K("sto_sign", delta=0.5).subgradient(x), mean, atol=0.01)


def test_every_name_is_tested_here():
    tested = {n for n, _, _ in UPDATES + ONE} | {"scion_spectral_conv"}
    assert tested == set(lionk.algorithms())
    assert not tested & set(lionk.names())


@pytest.mark.parametrize("name", lionk.algorithms())
def test_entry(name):
    """Listed apart, documented with its source, and the same value from its spec, a pickle, or a copy."""
    e = entry(name)
    assert e.algorithm
    assert all((e.formula, e.subgradient, e.conjugate, e.constraint, e.source))
    cited = [w.strip("(),;.:") for w in e.source.split() if w[:4].isdigit() and "." in w[:6]]
    assert all(c in (e.build.__doc__ or "") for c in cited[:1]), f"{name}: its docstring does not cite {cited}"
    k = K(name)
    assert k.spec["name"] == name
    for twin in (K(k.spec), pickle.loads(pickle.dumps(k)), copy.deepcopy(k)):
        assert twin == k
        assert hash(twin) == hash(k)
        assert twin.spec == k.spec
        assert twin.conjugate == k.conjugate
    assert K(k.conjugate.spec) == k.conjugate
    x = np.ones((2, 2, 2) if e.kind == "kernel" else (2, 2))
    assert lionk.LionK(name, 0.1).step(x, x, lionk.LionK(name, 0.1).init(x))[0].shape == x.shape


def test_specs_hold_plain_data():
    assert K("clipped_scion", norm=K("lp", p=3)).spec == {
        "name": "clipped_scion",
        "bound": 1.0,
        "norm": {"name": "lp", "p": 3},
    }
    bare = K("scion_spectral", scale=2.0, max=True).inner.scale(ShapeFactor(2.0, rows=0.5, at_least=1))
    assert bare.spec["a"] == {"times": 2.0, "rows": 0.5, "at_least": 1.0}
    assert K(bare.spec) == bare
    assert K((3 * bare.conjugate.dilate(2.0)).spec) == 3 * bare.conjugate.dilate(2.0)


def test_other_factors_are_other_functions():
    assert K("muon") != K("muon", scaling="none")
    assert K("muon", scaling="none") == K("nuclear")
    assert K("scion_row") != K("scion_row", transpose=True)
    assert ShapeFactor(rows=0.5) != ShapeFactor(cols=0.5)
    assert (1 / (2 * ShapeFactor(rows=1.0, at_least=2.0))).of((1, 5)) == 0.25
    assert abs(-2 * ShapeFactor(size=1.0)).of((3, 2)) == 12


def test_a_factor_of_the_shape_is_no_function_of_single_entries():
    assert K("l1").traits.structure == "elementwise"
    assert K("scion_sign").traits.structure == "reduce"
    assert K("scion_sign").conjugate.traits.structure == "reduce"
    assert lionk.functions.support(K("scion_sign").conjugate.domain).traits.structure == "reduce"
    assert (K("scion_sign") + K("huber")).traits.structure == "reduce"
    with pytest.raises(ValueError, match=r"shape of a matrix.*\(6,\)"):
        K("scion_sign").value(np.ones(6))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("name", ["muon", "scion_spectral", "scion_sign", "scion_row", "scion_col", "scion_bias"])
def test_empty(name, shape):
    x = np.zeros(shape)
    assert float(K(name).value(x)) == 0
    assert K(name).subgradient(x).shape == shape
    assert float(K(name).conjugate.value(x)) == 0
    assert K(name).conjugate.domain.diameter(shape) == 0


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("muon", {"scaling": "adam"}, "scaling must be one of 'original'"),
        ("muon", {"polar": "qr"}, "svd and newton_schulz"),
        ("ht_muon", {"power": 1.5}, r"power must be in \(0, 1\)"),
        ("freon", {"q": 0.5}, "q must be >= 1"),
        ("soft_signum", {"tau": 0}, "tau must be"),
        ("rlion", {"tau": -1.0}, "tau must be"),
        ("global_norm_clip", {"bound": -1}, "bound must be"),
        ("scion_sign", {"scale": 0}, "scale must be"),
        ("scion_bias", {"scale": "big"}, "scale must be"),
        ("clipped_scion", {"norm": "huber"}, "needs a norm"),
        ("scale", {"K": "l1", "a": {"row": 1}}, "not the spec of a ShapeFactor"),
        ("scale", {"K": "l1", "a": {"rows": np.inf}}, "rows must be a finite number"),
        ("scale", {"K": "l1", "a": {"times": -1.0}}, "scale needs a > 0"),
    ],
)
def test_refused(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        K(name, **parameters)


def test_an_unknown_name_suggests_an_algorithm():
    with pytest.raises(KeyError, match="muon"):
        K("muoon")


def test_jit_and_pytrees():
    import jax

    import lionk_jax

    lionk_jax.register_pytrees()
    x = RNG.normal(size=(4, 3)).astype("float32")
    on = BACKENDS["jax"]
    for name in ("muon", "scion_row", "scion_bias", "scion_sign", "clipped_scion"):
        k = K(name)
        got = jax.jit(lambda k, a: k.subgradient(a))(k, on.put(x, "float32"))
        np.testing.assert_allclose(np.asarray(got), k.subgradient(x), rtol=2e-5, atol=2e-6)


def test_sixteen_bits(backend: Backend):
    """A factor of the shape is applied in float32 and rounded once."""
    for dtype in backend.low if FULL else backend.low[-1:]:
        x = np.asarray([[1.0, -2.0], [0.5, 0.25], [0.0, 3.0]])
        for name in ("muon", "scion_row", "scion_bias"):
            got = backend.get(K(name).subgradient(backend.put(x, dtype)))
            want = K(name).subgradient(x.astype("float32")).astype("float64")
            assert np.max(np.abs(got - want)) <= 2.0**-8 * np.max(np.abs(want))
