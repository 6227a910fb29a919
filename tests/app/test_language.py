"""The transformer of ``lionk reproduce language``, on short runs."""

from __future__ import annotations

import numpy as np
import torch

from lionk.app.networks import language


def recipe(name):
    return next(r for r in language.RECIPES if r.name == name)


def test_the_text_is_long_and_its_end_is_held_out():
    data = language.text()
    assert data.train.size > 8 * data.held_out.size > 100_000
    assert max(data.train.max(), data.held_out.max()) < data.letters < 256
    np.testing.assert_array_equal(language.windows(np.arange(99), [0, 7])[1], 7 + np.arange(language.CONTEXT + 1))


def test_a_character_depends_on_those_before_it_only():
    net = language.transformer(50)
    read = torch.arange(2 * language.CONTEXT).reshape(2, -1) % 50
    other = read.clone()
    other[:, 9] += 1
    with torch.no_grad():
        a, b = net(read), net(other)
    assert a.shape == (2, language.CONTEXT, 50)
    torch.testing.assert_close(a[:, :9], b[:, :9])
    assert (a[:, 9:] != b[:, 9:]).any(-1).all()


def test_weights_enter_the_bound_as_predicted_and_it_learns():
    lion = recipe("l1 (Lion)")._replace(lr=1e-2)
    c = language.stack(lion, [language.run(lion, 0, 100)])
    assert np.abs(c.start).max() > 1.4 and np.abs(c.end).max() < 1 + 1e-3
    assert (c.distance <= c.predicted() * (1 + 1e-5) + 1e-5).all()
    assert 0 < c.inside() <= c.predicted_inside() < 100
    assert c.loss[0, 0] > 4 and c.loss[0, -10:].mean() < 3.2


def test_l1_is_the_other_lion():
    ours, theirs = (language.run(recipe(name), 1, 12) for name in ("l1 (Lion)", "lion-pytorch"))
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-4)


def test_seeds_differ_and_batches_are_those_of_every_optimizer():
    adamw, lion = recipe("AdamW"), recipe("l1 (Lion)")
    a, b, c = language.run(adamw, 0, 2), language.run(lion, 0, 1), language.run(adamw, 1, 2)
    assert a.loss[0] == b.loss[0] != c.loss[0]
    assert a.distance is None and a.end is None
