"""``lionk reproduce training``: its claims on short runs, its files, its manners."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import rc_context

from command_line import lk
from lionk.app import reproduce, style
from lionk.app.networks import figure as training_figure
from lionk.app.networks import recipes, training, two_layers


def curves(recipe, seeds=1, steps=70):
    data = training.digits()
    return training.stack(recipe, [training._torch_run(recipe, data, seed, steps) for seed in range(seeds)])


@pytest.mark.parametrize("name", ["l1 (Lion)", pytest.param("log_cosh", marks=pytest.mark.slow)])
def test_weights_enter_the_bound_no_later_than_predicted(name):
    """Weights begin outside of 1/lam; the distance keeps below (1 - lr lam)^t times the first."""
    recipe = next(r for r in training.CONVOLUTIONAL if r.name == name)
    c = curves(recipe, steps=160)
    assert c.distance[0, 0] > 0.5
    assert np.abs(c.start).max() > 1.2
    assert (c.distance[0] <= c.predicted() * (1 + 1e-5) + 1e-5).all()
    assert 0 < c.inside() <= c.predicted_inside() < 160
    assert np.abs(c.end).max() < 1 + 1e-2
    assert c.what == "coefficients"
    assert c.loss[0, -10:].mean() < 0.3 < 2 < c.loss[0, 0]


@pytest.mark.parametrize("name", ["nuclear (Muon)", "row_l1_l2", pytest.param("lp, p = 1.5", marks=pytest.mark.slow)])
def test_weights_that_begin_inside_stay_inside_and_reach_the_bound(name):
    recipe = next(r for r in training.CONVOLUTIONAL if r.name == name)
    c = curves(recipe._replace(lr=2 * recipe.lr))
    assert (c.distance == 0).all() or c.distance.max() < 1e-4
    assert c.inside() == c.predicted_inside() == 0
    assert np.abs(c.start).max() < 0.6 < 0.8 < np.abs(c.end).max() < 1 + 1e-4
    assert c.loss[0, -10:].mean() < 0.5


def test_a_seed_is_a_run_and_batches_are_those_of_every_optimizer():
    adamw = training.CONVOLUTIONAL[0]
    first, again = curves(adamw, steps=3), curves(adamw, seeds=2, steps=3)
    np.testing.assert_array_equal(first.loss[0], again.loss[0])
    assert first.loss[0, 0] == curves(training.CONVOLUTIONAL[1], steps=1).loss[0, 0]
    assert not np.array_equal(again.loss[0], again.loss[1])
    assert first.distance is None and first.end is None


def test_l1_is_the_lion_of_lion_pytorch():
    ours, theirs = curves(training.LION, steps=40), curves(training.LION.repeated("lion-pytorch"), steps=40)
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-4)
    np.testing.assert_allclose(ours.distance, theirs.distance, rtol=1e-4)
    assert theirs.what == "coefficients" and np.abs(ours.end - theirs.end).mean() < 1e-4


@pytest.mark.slow  # on two steps, test_optax.py has it
def test_l1_is_the_lion_of_optax(monkeypatch):
    monkeypatch.setattr(two_layers, "TWO_LAYERS", (training.LION, training.LION.repeated("optax.lion")))
    ours, theirs = two_layers.jax_curves(training.digits(), 2, 40)
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-4)


def test_a_peer_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(recipes, "missing", lambda module: module == "lion_pytorch")
    assert recipes.installed(training.CONVOLUTIONAL) == training.CONVOLUTIONAL[:-1]
    assert recipes.installed(two_layers.TWO_LAYERS) == two_layers.TWO_LAYERS


def test_the_network_on_jax_learns(monkeypatch):
    nuclear = next(r for r in two_layers.TWO_LAYERS if r.name == "nuclear (Muon)")
    monkeypatch.setattr(two_layers, "TWO_LAYERS", (nuclear,))
    (c,) = two_layers.jax_curves(training.digits(), 2, 60)
    assert c.loss.shape == (2, 60)
    assert (c.train_loss < 0.3).all()
    assert (c.accuracy > 0.85).all()


def test_the_target_has_a_claim_for_each_optimizer_and_its_numbers_are_drawn(monkeypatch):
    few, peer = (training.ADAMW, training.LION), training.LION.repeated("lion-pytorch")
    monkeypatch.setattr(training, "CONVOLUTIONAL", (*few, peer))
    monkeypatch.setattr(two_layers, "TWO_LAYERS", few)
    outcome = reproduce.load("training").run(0, True)
    assert [c.claim for c in outcome.checks] == [
        "PyTorch, convolutional, AdamW: least test accuracy of a seed",
        "PyTorch, convolutional, l1 (Lion): least test accuracy of a seed",
        "PyTorch, convolutional, lion-pytorch: least test accuracy of a seed",
        "JAX, two layers, AdamW: least test accuracy of a seed",
        "JAX, two layers, l1 (Lion): least test accuracy of a seed",
        "l1 (Lion) and lion-pytorch: difference of a loss in the first 10 steps",
        "l1 (Lion): distance to dom K* over its bound",
        "lion-pytorch: distance to dom K* over its bound",
    ]
    assert all(c.holds for c in outcome.checks[-3:])
    lion = outcome.numbers["PyTorch, convolutional"][1]
    assert np.shape(lion["loss"]) == (1, 20) and np.shape(lion["distance"]) == (1, 21)
    with rc_context(style.STYLE):
        axes = reproduce.load("training").draw(outcome.numbers).axes
    titles = [a.get_title(loc="left") for a in axes]
    assert titles[3:] == ["Phase I: distance of lam x to dom K*", "l1 (Lion): coefficients"]
    own, dots = axes[0].lines[1:]
    np.testing.assert_allclose(own.get_ydata(), dots.get_ydata(), rtol=1e-4)
    assert own.get_linestyle() != dots.get_linestyle()
    assert [t.get_text() for t in axes[2].get_yticklabels()] == ["AdamW", "l1 (Lion)", "lion-pytorch"]
    assert [t.get_text() for t in axes[4].get_legend().get_texts()] == ["start", "end", "end, lion-pytorch"]


@pytest.mark.parametrize("target", ["training", "lam"])
def test_without_pytorch_the_command_says_what_is_missing(monkeypatch, target):
    import lionk_torch

    monkeypatch.setattr(type(lionk_torch.backend), "why_unavailable", lambda _: "torch is not installed")
    done = lk("reproduce", target, "--plot", "none", "--json", "none")
    assert done.exit_code == 2
    assert "torch is not installed" in done.output
    assert reproduce.TARGETS


def test_the_picture_of_many_runs_can_be_drawn():
    c = training.Curves(training.CONVOLUTIONAL[1], np.ones((1, 2)), np.ones(1), np.ones(1), np.ones((1, 3)))
    c.start = c.end = np.linspace(-1, 1, 50)[None]
    with rc_context(style.STYLE):
        figure = training_figure.draw(training_figure.stored({"a": [c], "b": [c]}), "Digits", "Accuracy")
        figure.canvas.draw()
    assert len(figure.axes) == 5


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_of_it():
    """What the docs say of the numbers: every K of this list trains, and enters its bound in time."""
    data = training.digits()
    for run in (training.torch_curves, two_layers.jax_curves):
        for c in run(data, 2, 200):
            assert (c.train_loss < 0.12).all(), c.recipe.name
            assert (c.accuracy > 0.95).all(), c.recipe.name
            if c.distance is not None:
                assert c.inside() <= c.predicted_inside()
                assert (c.distance <= c.predicted() * (1 + 1e-5) + 1e-5).all()
