"""The converter, proved by running the libraries that are installed; the others by their formulas, written out here."""

from __future__ import annotations

import inspect
from importlib.util import find_spec

import numpy as np
import pytest
import torch

import lionk
from lionk.conventions import translate, translate_momentum
from lionk.conventions.libraries import LIBRARIES

RNG = np.random.default_rng(5)
SHAPE = (6, 4)
X0 = RNG.standard_normal(SHAPE)
GRADS = [RNG.standard_normal(SHAPE) for _ in range(6)]


def msign(x):
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    return u @ vt


def ns5(x):
    return np.asarray(lionk.conventions.muon_ns5(x))


def by_lionk(settings, polar=None):
    K = settings["K"]
    if polar is not None:
        K = {**K, "polar": polar}
    opt = lionk.LionK(K, settings["lr"], settings["betas"], settings["weight_decay"])
    x, state = X0, opt.init(X0)
    for g in GRADS:
        x, state = opt.step(x, g, state)
    return x, state.m


def by_torch(make, dtype=torch.float64):
    p = torch.nn.Parameter(torch.tensor(X0, dtype=dtype))
    opt = make([p])
    for g in GRADS:
        p.grad = torch.tensor(g, dtype=dtype)
        opt.step()
    state = opt.state[p]
    return p.detach().numpy(), next(v for k, v in state.items() if "mom" in k or "avg" in k).numpy()


def by_optax(transformation, transpose=False):
    import jax.numpy as jnp
    import optax

    turn = (lambda a: a.T) if transpose else (lambda a: a)
    x = {"w": jnp.asarray(turn(X0))}
    state = transformation.init(x)
    for g in GRADS:
        updates, state = transformation.update({"w": jnp.asarray(turn(g))}, state, x)
        x = optax.apply_updates(x, updates)
    return turn(np.asarray(x["w"]))


@pytest.mark.parametrize("adjust", ["original", "match_rms_adamw"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_torch_muon(adjust, nesterov):
    """Its products are of bfloat16, so the trajectory agrees to that; the momentum to rounding."""
    given = {"lr": 0.02, "weight_decay": 0.3, "momentum": 0.8, "nesterov": nesterov, "adjust_lr_fn": adjust}
    theirs, buffer = by_torch(lambda ps: torch.optim.Muon(ps, **given))
    mine, m = by_lionk(translate(given, source="torch.optim.Muon", target="lionk").settings, "muon")
    moved = np.abs(X0 - mine).max()
    np.testing.assert_allclose(theirs, mine, atol=0.03 * moved)
    np.testing.assert_allclose(translate_momentum(m, source="lionk", target="torch.optim.Muon"), buffer, atol=1e-12)
    wrong, _ = by_lionk(
        {**translate(given, source="torch.optim.Muon", target="lionk").settings, "weight_decay": 0.0}, "muon"
    )
    assert np.abs(theirs - wrong).max() > 0.03 * moved, "the decay is seen"


@pytest.mark.slow  # with another scale, which is translated as well, below
def test_optax_muon():
    import optax

    given = {"lr": 0.02, "weight_decay": 0.3, "momentum": 0.8, "nesterov": False}
    found = translate(given, source="torch.optim.Muon", target="optax.contrib.muon")
    assert "exchanged" in found.notes[1]
    theirs = by_optax(optax.contrib.muon(**found.settings), transpose=True)
    mine, _ = by_lionk(translate(given, source="torch.optim.Muon", target="lionk").settings, "muon")
    np.testing.assert_allclose(theirs, mine, atol=2e-5)


def test_optax_muon_scaled_like_adamw():
    """Its consistent_rms is the number 0.2 of the others, or any other number, at every shape."""
    import optax

    given = {"lr": 0.02, "weight_decay": 0.3, "momentum": 0.8, "nesterov": False, "adjust_lr_fn": "match_rms_adamw"}
    found = translate(given, source="torch.optim.Muon", target="optax.contrib.muon").settings
    assert found["consistent_rms"] == 0.2
    theirs = by_optax(optax.contrib.muon(**found), transpose=True)
    mine, _ = by_lionk(translate(given, source="torch.optim.Muon", target="lionk").settings, "muon")
    np.testing.assert_allclose(theirs, mine, atol=2e-5)
    found["consistent_rms"] = 0.35
    theirs = by_optax(optax.contrib.muon(**found), transpose=True)
    mine, _ = by_lionk(translate(found, source="optax.contrib.muon", target="lionk").settings, "muon")
    np.testing.assert_allclose(theirs, mine, atol=2e-5)


def test_lion_ports():
    import optax
    from lion_pytorch import Lion

    given = {"lr": 0.02, "betas": (0.7, 0.9), "weight_decay": 0.3, "K": "l1"}
    mine, m = by_lionk(given)
    theirs, buffer = by_torch(lambda ps: Lion(ps, **translate(given, source="lionk", target="lion_pytorch").settings))
    np.testing.assert_allclose(theirs, mine, atol=1e-12)
    np.testing.assert_allclose(translate_momentum(buffer, source="lion_pytorch", target="lionk"), m, atol=1e-12)
    theirs = by_optax(optax.lion(**translate(given, source="lionk", target="optax.lion").settings))
    np.testing.assert_allclose(theirs, mine, atol=1e-6)


@pytest.mark.parametrize("adjust", ["original", "match_rms_adamw", "rms_to_rms"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_timm(adjust, nesterov):
    """Its Newton-Schulz steps are the quintic set, in bfloat16; its Lion agrees to rounding."""
    timm = pytest.importorskip("timm.optim", reason="timm is not installed", exc_type=ImportError)
    given = {"lr": 0.02, "weight_decay": 0.3, "momentum": 0.8, "nesterov": nesterov, "adjust_lr_fn": adjust}
    theirs, buffer = by_torch(lambda ps: timm.Muon(ps, **given))
    there = translate(given, source="timm.muon", target="torch.optim.Muon", shape=SHAPE).settings
    settings = translate(there, source="torch.optim.Muon", target="lionk").settings
    mine, m = by_lionk(settings, "quintic")
    np.testing.assert_allclose(theirs, mine, atol=0.03 * np.abs(X0 - mine).max())
    np.testing.assert_allclose(translate_momentum(m, source="lionk", target="timm.muon"), buffer, atol=1e-12)
    signature = inspect.signature(timm.Muon).parameters
    assert {k: signature[k].default for k in LIBRARIES["timm.muon"].defaults} == LIBRARIES["timm.muon"].defaults
    given = {"lr": 0.02, "betas": (0.7, 0.9), "weight_decay": 0.3, "K": "l1"}
    theirs, buffer = by_torch(lambda ps: timm.Lion(ps, **translate(given, source="lionk", target="timm.lion").settings))
    mine, m = by_lionk(given)
    np.testing.assert_allclose(theirs, mine, atol=1e-12)
    np.testing.assert_allclose(translate_momentum(buffer, source="timm.lion", target="lionk"), m, atol=1e-12)


@pytest.mark.parametrize("decay", ["decoupled", "independent", "palm"])
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("mode", ["spectral", "unit_rms_norm", "shape_scaling"])
def test_emerging_optimizers(mode, nesterov, decay):
    """Its quintic set, which takes float32 alone; it needs Python 3.12."""
    theirs = pytest.importorskip("emerging_optimizers.orthogonalized_optimizers", reason="it is not installed")
    given = {"lr": 0.02, "weight_decay": 0.3, "momentum": 0.8, "nesterov": nesterov, "scale_mode": mode,
             "extra_scale_factor": 0.7, "weight_decay_method": decay}  # fmt: skip
    found, buffer = by_torch(lambda ps: theirs.Muon(ps, **given), torch.float32)
    mine, m = by_lionk(translate(given, source="emerging_optimizers.Muon", target="lionk").settings, "quintic")
    np.testing.assert_allclose(found, mine, atol=0.03 * np.abs(X0 - mine).max())
    np.testing.assert_allclose(
        translate_momentum(m, source="lionk", target="emerging_optimizers.Muon"), buffer, atol=1e-6
    )


@pytest.mark.parametrize("decay", ["decoupled", "independent", "palm"])
def test_emerging_optimizers_lion(decay):
    theirs = pytest.importorskip("emerging_optimizers.scalar_optimizers", reason="it is not installed")
    given = {"lr": 0.02, "betas": (0.7, 0.9), "weight_decay": 0.3, "weight_decay_method": decay}
    found, buffer = by_torch(lambda ps: theirs.Lion(ps, **given))
    mine, m = by_lionk(translate(given, source="emerging_optimizers.Lion", target="lionk").settings)
    np.testing.assert_allclose(found, mine, atol=1e-12)
    np.testing.assert_allclose(
        translate_momentum(m, source="lionk", target="emerging_optimizers.Lion"), buffer, atol=1e-12
    )


def test_defaults_are_those_of_the_libraries_that_are_installed():
    import lion_pytorch
    import optax

    makers = {"torch.optim.Muon": torch.optim.Muon, "lion_pytorch": lion_pytorch.Lion, "optax.lion": optax.lion,
              "optax.contrib.muon": optax.contrib.muon, "lionk": lionk.LionK}  # fmt: skip
    if find_spec("emerging_optimizers"):
        from emerging_optimizers import orthogonalized_optimizers, scalar_optimizers

        makers["emerging_optimizers.Muon"] = orthogonalized_optimizers.Muon
        makers["emerging_optimizers.Lion"] = scalar_optimizers.Lion
    for name, make in makers.items():
        theirs = inspect.signature(make).parameters
        for setting, value in LIBRARIES[name].defaults.items():
            given = theirs[setting].default
            if given is inspect.Parameter.empty or (name == "torch.optim.Muon" and given is None):
                continue  # required there; torch's None is "original"
            assert given == value, f"{name}: {setting} is {given!r}"


def by_formula(settings, library):
    """dion's and Emerging-Optimizers' Muon, as their documentation has them, with the exact polar factor."""
    x, b = X0, np.zeros(SHAPE)
    out, into = SHAPE
    for g in GRADS:
        if library == "dion.Muon":
            mu, b = settings["mu"], settings["mu"] * b + g
            u = mu * b + g if settings["nesterov"] else b
            scale = {"spectral_norm": (out / into) ** 0.5, "rms_norm": 0.2 * max(SHAPE) ** 0.5, None: 1}[
                settings["adjust_lr"]
            ]
            x = x * (1 - settings["lr"] * settings["weight_decay"])
        else:
            mu = settings["momentum"]
            b = mu * b + (1 - mu) * g
            u = (1 - mu) * g + mu * b if settings["nesterov"] else b
            scale = {"spectral": max(SHAPE) ** 0.5, "unit_rms_norm": (out / into) ** 0.5,
                     "shape_scaling": max(1, out / into) ** 0.5}[settings["scale_mode"]]  # fmt: skip
            scale *= settings["extra_scale_factor"]
            power = {"decoupled": 1, "independent": 0, "palm": 2}[settings["weight_decay_method"]]
            x = x * (1 - settings["weight_decay"] * settings["lr"] ** power)
        x = x - settings["lr"] * scale * msign(u)
    return x, b


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dion.Muon", {"mu": 0.8, "adjust_lr": "spectral_norm"}),
        ("dion.Muon", {"mu": 0.8, "adjust_lr": "rms_norm"}),
        ("dion.Muon", {"mu": 0.8, "adjust_lr": None}),
        ("emerging_optimizers.Muon", {"momentum": 0.8, "scale_mode": "spectral"}),
        (
            "emerging_optimizers.Muon",
            {"momentum": 0.8, "scale_mode": "shape_scaling", "weight_decay_method": "independent"},
        ),
        ("emerging_optimizers.Muon", {"momentum": 0.8, "scale_mode": "unit_rms_norm"}),
        (
            "emerging_optimizers.Muon",
            {"momentum": 0.8, "scale_mode": "spectral", "extra_scale_factor": 0.2, "weight_decay_method": "palm"},
        ),
    ],
)
def test_published_formulas_and_back(name, options, nesterov):
    given = {**LIBRARIES[name].defaults, "lr": 0.05, "weight_decay": 0.2, "nesterov": nesterov, **options}
    theirs, buffer = by_formula(given, name)
    there = translate(given, source=name, target="lionk", shape=SHAPE).settings
    mine, m = by_lionk(there)
    np.testing.assert_allclose(mine, theirs, atol=1e-12)
    np.testing.assert_allclose(translate_momentum(m, source="lionk", target=name, momentum=0.8), buffer, atol=1e-12)
    back = translate(there, source="lionk", target=name, shape=SHAPE).settings
    if name != "dion.Muon":
        back = {"weight_decay_method": "decoupled", "extra_scale_factor": 1.0, **back}
    np.testing.assert_allclose(by_formula({**given, **back}, name)[0], theirs, atol=1e-12)


@pytest.mark.parametrize(
    ("source", "settings", "target", "found"),
    [
        ("torch.optim.Muon", {"adjust_lr_fn": "match_rms_adamw"}, "emerging_optimizers.Muon",
         {"lr": 1e-3, "scale_mode": "spectral", "extra_scale_factor": 0.2}),
        ("emerging_optimizers.Muon", {"lr": 1e-3}, "timm.muon",
         {"lr": 5e-3, "weight_decay": 0.002, "adjust_lr_fn": "match_rms_adamw"}),
        ("emerging_optimizers.Muon", {"lr": 1e-3, "extra_scale_factor": 0.2}, "dion.Muon",
         {"lr": 1e-3, "weight_decay": 0.01, "adjust_lr": "rms_norm"}),
        ("optax.contrib.muon", {"consistent_rms": 0.1}, "torch.optim.Muon",
         {"lr": 5e-4, "adjust_lr_fn": "match_rms_adamw"}),
        ("dion.Muon", {}, "lionk", {"lr": 0.01, "K": {"name": "scion_spectral"}}),
    ],
)  # fmt: skip
def test_factors_that_differ_by_a_number_need_no_shape(source, settings, target, found):
    given = translate(settings, source=source, target=target).settings
    assert {k: given[k] for k in found} == {k: v if not isinstance(v, float) else pytest.approx(v)
                                            for k, v in found.items()}  # fmt: skip


def test_a_decay_that_follows_no_schedule_in_the_same_way_is_noted():
    for method, word in (("palm", "its square"), ("independent", "the same number")):
        given = {"lr": 0.1, "weight_decay": 0.5, "weight_decay_method": method}
        found = translate(given, source="emerging_optimizers.Lion", target="optax.lion")
        assert word in found.notes[0]
        assert found.settings["weight_decay"] == pytest.approx(0.05 if method == "palm" else 5.0)
        kept = translate(given, source="emerging_optimizers.Lion", target="emerging_optimizers.Lion")
        assert kept.settings == {**given, "betas": (0.9, 0.99)} and kept.notes == ()


def test_every_pair_of_one_kind_translates_and_returns():
    for one, a in LIBRARIES.items():
        for two, b in LIBRARIES.items():
            if a.kind == b.kind and one != two:
                found = translate(source=one, target=two, shape=(8, 2)).settings
                again = translate(found, source=two, target=one, shape=(8, 2)).settings
                first, last = (LIBRARIES[one].read({**a.defaults, **s}) for s in (a.defaults, again))
                assert last.betas == pytest.approx(first.betas)
                assert last.shrink == pytest.approx(first.shrink)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "torch.optim.Muon", "target": "optax.lion"}, "steps of Muon"),
        ({"source": "torch.optim.Muon", "target": "dion.Muon"}, "give the shape"),
        ({"source": "keras.Muon", "target": "lionk"}, "the libraries are"),
        ({"settings": {"eps": 1}, "source": "torch.optim.Muon", "target": "lionk"}, "no setting 'eps'"),
        ({"settings": {"adjust_lr_fn": "x"}, "source": "torch.optim.Muon", "target": "lionk"}, "no option 'x'"),
        ({"settings": {"K": "huber"}, "source": "lionk", "target": "optax.lion"}, "K must be"),
        ({"settings": {"K": "muon"}, "source": "lionk", "target": "torch.optim.Muon"}, "neither"),
        (
            {"settings": {"K": {"name": "muon", "scaling": "x"}}, "source": "lionk", "target": "torch.optim.Muon"},
            "the scaling of muon must be one of original",
        ),
    ],
)
def test_what_cannot_be_said_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        translate(**arguments)


@pytest.mark.parametrize(
    ("source", "setting", "value", "says"),
    [
        ("torch.optim.Muon", "lr", "fast", "lr must be a finite number > 0"),
        ("torch.optim.Muon", "lr", -0.1, "lr must be a finite number > 0"),
        ("torch.optim.Muon", "lr", 0, "of a schedule, the largest"),
        ("optax.lion", "learning_rate", float("nan"), "learning_rate must be a finite number > 0"),
        ("timm.muon", "momentum", 1.5, r"momentum must be a number in \[0, 1\)"),
        ("torch.optim.Muon", "nesterov", "maybe", "nesterov must be True or False"),
        ("timm.lion", "betas", 0.9, "betas must be two numbers"),
        ("timm.lion", "betas", (0.9, 1.0), "betas must be two numbers"),
        ("lion_pytorch", "weight_decay", float("inf"), "weight_decay must be a finite number >= 0"),
        ("emerging_optimizers.Muon", "extra_scale_factor", 0, "extra_scale_factor must be a finite number > 0"),
        ("optax.contrib.muon", "consistent_rms", -1, "consistent_rms must be None or a finite number > 0"),
        ("emerging_optimizers.Muon", "weight_decay_method", "l2", "must be one of decoupled, independent, palm"),
    ],
)
def test_values_that_no_optimizer_takes_are_refused(source, setting, value, says):
    with pytest.raises(ValueError, match=says):
        translate({setting: value}, source=source, target=source)


def test_what_is_written_in_other_types_is_the_same():
    given = {"lr": np.float32(0.5), "nesterov": 1, "momentum": np.float64(0.5), "weight_decay": 1, "adjust_lr_fn": None}
    found = translate(given, source="torch.optim.Muon", target="torch.optim.Muon").settings
    assert found == {"lr": 0.5, "nesterov": True, "momentum": 0.5, "weight_decay": 1.0, "adjust_lr_fn": "original"}
