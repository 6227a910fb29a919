"""Small networks on real digits, trained by Lion-K with several K and by others, for ``lionk reproduce training``.

1,797 handwritten digits of 8 x 8 pixels (scikit-learn), 3/4 of them for training. A convolutional network on PyTorch
with ``lionk_torch.LionK`` and a network of two layers on JAX with ``lionk_jax.lion_k``, all seeds of it at once. Equal
steps, batches and schedule for all. Learning rates were chosen among three or four, factors of 2 apart, for AdamW as
for the others; lam so that its bound is felt, which AdamW has not, and pays with no training loss. Where l1 is made by
lion-pytorch, or by optax, all is as in lionk's. The paper has a ResNet-18 on CIFAR-10 in place of the
convolutional network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import lionk
from lionk.theory import distance_to_domain, phase_one_factor

from ..solve.constraint import view
from .recipes import Recipe, adamw, installed, one_thread, torch_optimizer

Array = Any
BATCH, TRAIN, TOLERANCE = 128, 1347, 1e-2
VECTORS = ("l1", 1.2e-2, 2.0)  # K, lr, lam of the biases, where a matrix function has the rest


ADAMW = adamw(2.4e-2, 0.01)
LION = Recipe("l1 (Lion)", {"name": "l1"}, 1.2e-2, 4.0)
OTHERS = (
    Recipe("log_cosh", {"name": "log_cosh", "delta": 1e-3}, 1.6e-2, 4.0),
    Recipe("nuclear (Muon)", {"name": "nuclear"}, 8e-2, 0.5),
    Recipe("row_l1_l2", {"name": "row_l1_l2"}, 6e-2, 0.7),
    Recipe("lp, p = 1.5", {"name": "lp", "p": 1.5}, 0.15, 0.5),
)
CONVOLUTIONAL = (ADAMW, LION, *OTHERS, LION.repeated("lion-pytorch"))


@dataclass
class Curves:
    """What one optimizer did with one network: rows are seeds."""

    recipe: Recipe
    loss: Array  # (seeds, steps): of each batch, before the step
    train_loss: Array  # (seeds,): over all training data, at the end
    accuracy: Array  # (seeds,): on the test data, at the end
    distance: Array | None = None  # (seeds, steps + 1): from lam x to dom K*, of the weights
    start: Array | None = None  # what K bounds, relative to its bound, at the start: one number an entry (row, ...)
    end: Array | None = None
    what: str = ""  # what these numbers are

    def inside(self) -> int | None:
        """After so many steps, on every seed, the distance stays below the tolerance; None: not within the run."""
        assert self.distance is not None
        out = np.flatnonzero((self.distance > TOLERANCE).any(0))
        after = int(out[-1]) + 1 if out.size else 0
        return after if after < self.distance.shape[1] else None

    def predicted(self) -> Array:
        """What the distance cannot exceed after each step (2310.05898, Theorem B.9): (steps + 1,), the worst seed."""
        assert self.distance is not None
        steps = self.distance.shape[1] - 1
        factors = [phase_one_factor(self.recipe.lr * shape(i, steps), self.recipe.lam) for i in range(steps)]
        return self.distance[:, 0].max() * np.cumprod([1.0, *factors])

    def predicted_inside(self) -> int | None:
        below = np.flatnonzero(self.predicted() <= TOLERANCE)
        return int(below[0]) if below.size else None


def shape(step: int, steps: int) -> float:
    """The schedule, as a factor of lr: constant for two thirds, then linearly to 0."""
    return min(1.0, 3 * (1 - step / steps))


class Digits(NamedTuple):
    """Images as (n, 8, 8) in [0, 1] and labels; the first ``TRAIN`` are for training."""

    images: Array
    labels: Array


def digits() -> Digits:
    from sklearn.datasets import load_digits

    d = load_digits()
    order = np.random.default_rng(0).permutation(len(d.target))
    return Digits((d.images[order] / 16).astype("float32"), d.target[order])


def batches(seed: int, steps: int) -> Array:
    """(steps, BATCH) indices of training images, the same for every optimizer."""
    return np.random.default_rng(seed).integers(0, TRAIN, (steps, BATCH))


def torch_curves(
    data: Digits,
    seeds: int,
    steps: int,
    recipes: Iterable[Recipe] | None = None,
    normalised: bool = False,
    watch: Callable[[Any], None] | None = None,
    first: int = 0,
) -> Iterator[Curves]:
    """The convolutional network, one run at a time, on so many seeds from the ``first``.

    ``watch`` sees the weights at the start and after each step.
    """
    with one_thread():
        for recipe in installed(CONVOLUTIONAL if recipes is None else recipes):
            runs = [_torch_run(recipe, data, s, steps, normalised, watch) for s in range(first, first + seeds)]
            yield stack(recipe, runs)


class Run(NamedTuple):
    """One run of one optimizer; ``Curves`` holds several."""

    loss: list[float]
    train_loss: float
    accuracy: float
    distance: list[float] | None
    start: Array | None
    end: Array | None
    what: str


def each_step(opt: Any, steps: int, loss_at: Callable[[int], Any]) -> Iterator[Any]:
    """Make so many steps on the losses of batches, with the schedule of all; each gives the loss before it."""
    import torch

    schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda i: shape(i, steps))
    for i in range(steps):
        opt.zero_grad()
        value = loss_at(i)
        value.backward()
        opt.step()
        schedule.step()
        yield value


def descend(
    recipe: Recipe,
    opt: Any,
    weights: list[Any],
    steps: int,
    loss_at: Callable[[int], Any],
    watch: Callable[[Any], None] | None = None,
) -> Run:
    """Steps on the losses of batches, with the weights watched; what is found at the end (NaN here) is the caller's."""
    loss, distance = [], [_distance(recipe, weights)]
    what, start = _bounded(recipe, weights)
    if watch:
        watch(weights)
    for value in each_step(opt, steps, loss_at):
        loss.append(value.item())
        distance.append(_distance(recipe, weights))
        if watch:
            watch(weights)
    end, watched = _bounded(recipe, weights)[1], None if recipe.K is None else distance
    return Run(loss, math.nan, math.nan, watched, start, end, what)


def convolutional(seed: int, normalised: bool = False) -> Any:
    """Two convolutions and a linear layer; ``normalised``: each convolution is followed by a batch normalisation."""
    from torch import nn, random

    def block(inputs: int, outputs: int, stride: int) -> list[Any]:
        norm = [nn.BatchNorm2d(outputs)] if normalised else []
        return [nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), *norm, nn.ReLU()]

    with random.fork_rng(devices=[]):
        random.manual_seed(seed)
        return nn.Sequential(*block(1, 8, 1), *block(8, 16, 2), nn.Flatten(), nn.Linear(256, 10))


def _torch_run(
    recipe: Recipe,
    data: Digits,
    seed: int,
    steps: int,
    normalised: bool = False,
    watch: Callable[[Any], None] | None = None,
) -> Run:
    import torch
    from torch.nn.functional import cross_entropy

    images, labels = torch.tensor(data.images[:, None]), torch.tensor(data.labels)
    net, index = convolutional(seed, normalised), batches(seed, steps)
    weights = [p for p in net.parameters() if p.ndim > 1]
    opt = _torch_optimizer(recipe, net)
    run = descend(recipe, opt, weights, steps, lambda i: cross_entropy(net(images[index[i]]), labels[index[i]]), watch)
    net.eval()
    with torch.no_grad():
        train = cross_entropy(net(images[:TRAIN]), labels[:TRAIN]).item()
        right = net(images[TRAIN:]).argmax(1) == labels[TRAIN:]
    return run._replace(train_loss=train, accuracy=right.float().mean().item())


def _torch_optimizer(recipe: Recipe, net: Any) -> Any:
    K, lr, lam = VECTORS
    matrices = {"params": [p for p in net.parameters() if p.ndim > 1], "K": {"name": "kernel_lift", "k": recipe.K}}
    vectors = {"params": [p for p in net.parameters() if p.ndim == 1], "K": K, "lr": lr, "weight_decay": lam}
    return torch_optimizer(recipe, [matrices, vectors])


def _matrices(weights: list[Any]) -> list[Any]:
    return [w.detach().flatten(1) for w in weights]


def _distance(recipe: Recipe, weights: list[Any]) -> float:
    if recipe.K is None:
        return 0.0
    domain, matrices = lionk.K(recipe.K).conjugate.domain, _matrices(weights)
    if all(domain.contains(recipe.lam * w, 0.0) for w in matrices):  # cheaper than a projection
        return 0.0
    return float(distance_to_domain(recipe.K, matrices, recipe.lam))


def _bounded(recipe: Recipe, weights: list[Any]) -> tuple[str, Array | None]:
    """What K bounds in each weight matrix, relative to the bound, all in one."""
    if recipe.K is None:
        return "", None
    domain = lionk.K(recipe.K).conjugate.domain
    views = [view(domain, w.double().numpy(), recipe.lam, (), ()) for w in _matrices(weights)]
    if views[0].total is not None:  # one number for a matrix
        return views[0].total[0], np.array([v.total[1] / v.total[2] for v in views if v.total])
    return views[0].what, np.concatenate([v.values / v.upper for v in views])


def stack(recipe: Recipe, runs: list[Run]) -> Curves:
    def together(name: str) -> Any:
        first = getattr(runs[0], name)
        return None if first is None else np.array([getattr(r, name) for r in runs])

    loss, train, accuracy, distance, start, end = map(together, Run._fields[:-1])
    return Curves(recipe, loss, train, accuracy, distance, start, end, runs[0].what)
