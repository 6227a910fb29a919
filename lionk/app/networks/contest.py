"""Lion-K, lion-pytorch and AdamW on two tasks, with equal steps, batches, seeds and trials.

Tuning is one grid for all, in the rates of AdamW: ``lionk_torch.groups(adamw=...)`` turns a learning rate and a decay
of AdamW into those of each K with an update of the same size, and of lion-pytorch. Each pair is tried once, on a seed
of its own, and judged by the loss on data held out for tuning. The best pair then runs on the other seeds, and its
curve is the loss on data that neither training nor tuning has seen. Vectors (biases, gains) have no decay anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from lionk.backend.protocol import missing

from . import language, training
from .recipes import PEERS, Recipe, one_thread, torch_optimizer

Array = Any
DECAYS = (0.03, 0.3)
JUDGED = 15  # so often a curve is measured
EDGES = (("head*", "l1"), ("place", "l1"), (1, {"K": "l1", "weight_decay": 0.0}))  # not hidden: as is usual with Muon


class Entrant(NamedTuple):
    """An optimizer: the rules and parts of ``lionk_torch.groups``, and whose code makes the steps."""

    name: str
    rules: tuple[Any, ...] = (*EDGES, ("*", "l1"))
    parts: str | None = None
    by: str = "lionk"


class Judge(NamedTuple):
    """Loss and share of right answers on data for tuning, and on data for the curve."""

    tuning: Callable[[], tuple[float, float]]
    test: Callable[[], tuple[float, float]]


class Task(NamedTuple):
    """``start(seed, steps)`` gives a net, the loss of each batch, and its judge."""

    name: str
    steps: int
    rates: tuple[float, ...]  # tried by all
    start: Callable[[int, int], tuple[Any, Callable[[int], Any], Judge]]
    entrants: tuple[Entrant, ...]


@dataclass
class Entry:
    """What one optimizer did on one task; rows of the curves are seeds."""

    name: str
    by: str
    rates: Array  # the grid, as rates and decays of AdamW
    decays: Array
    trials: Array  # (rates, decays): loss on the data for tuning at the end
    at: Array  # steps at which the curve was measured
    loss: Array  # (seeds, at.size)
    right: Array  # (seeds,): share of right answers at the end

    @property
    def best(self) -> tuple[int, int]:
        """Which pair of the grid was taken."""
        import numpy as np

        i, j = np.unravel_index(np.nanargmin(self.trials), np.shape(self.trials))
        return int(i), int(j)


def optimizer(entrant: Entrant, net: Any, rate: float, decay: float) -> Any:
    import lionk_torch

    if entrant.by == "AdamW":
        decays = {True: decay, False: 0.0}  # of matrices, and of vectors
        groups = [
            {"params": [p for p in net.parameters() if (p.ndim > 1) is many], "weight_decay": d}
            for many, d in decays.items()
        ]
    else:
        groups = lionk_torch.groups(net, entrant.rules, adamw=(rate, decay), parts=entrant.parts, report=None)
    return torch_optimizer(Recipe(entrant.name, None, rate, decay, entrant.by), groups)


def trained(
    task: Task, entrant: Entrant, rate: float, decay: float, seed: int, at: Array
) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """One run: what the test says after each of the steps in ``at``, and what the data for tuning say at the end."""
    net, loss_at, judge = task.start(seed, task.steps)
    made = training.each_step(optimizer(entrant, net, rate, decay), task.steps, loss_at)
    wanted = set(at)
    seen = [judge.test() for count, _ in enumerate(made, 1) if count in wanted]
    return seen, judge.tuning()


def entries(task: Task, first: int, seeds: int, decays: tuple[float, ...]) -> Iterator[Entry]:
    """One optimizer after the other: its trials, on the ``first`` seed, then its runs, on those after it."""
    import numpy as np

    at = np.unique(np.linspace(0, task.steps, JUDGED + 1).astype(int))[1:]
    seeded = range(first + 1, first + 1 + seeds)
    with one_thread():
        for e in task.entrants:
            if e.by in PEERS and missing(PEERS[e.by]):
                continue
            trials = np.array([[trained(task, e, r, d, first, at[:0])[1][0] for d in decays] for r in task.rates])
            entry = Entry(e.name, e.by, np.array(task.rates), np.array(decays), trials, at, trials, trials)
            i, j = entry.best
            runs = np.array([trained(task, e, task.rates[i], decays[j], seed, at)[0] for seed in seeded])
            yield replace(entry, loss=runs[..., 0], right=runs[:, -1, 1])


def _measure(net: Any, x: Any, y: Any) -> Callable[[], tuple[float, float]]:
    import torch
    from torch.nn.functional import cross_entropy

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def found() -> tuple[float, float]:
        out = net(x).flatten(0, -2)
        return cross_entropy(out, y.flatten()).item(), (out.argmax(-1) == y.flatten()).float().mean().item()

    return found


def digits(seed: int, steps: int) -> tuple[Any, Callable[[int], Any], Judge]:
    """The convolutional network of ``training``: 1,077 digits to train on, 270 to tune by, 450 for the curve."""
    import numpy as np
    import torch
    from torch.nn.functional import cross_entropy

    data = training.digits()
    images, labels = torch.tensor(data.images[:, None]), torch.tensor(data.labels)
    net, cut = training.convolutional(seed), training.TRAIN * 4 // 5
    index = torch.tensor(np.random.default_rng(seed).integers(0, cut, (steps, training.BATCH)))
    tune, test = slice(cut, training.TRAIN), slice(training.TRAIN, None)
    judge = Judge(_measure(net, images[tune], labels[tune]), _measure(net, images[test], labels[test]))
    return net, lambda i: cross_entropy(net(images[index[i]]), labels[index[i]]), judge


def characters(seed: int, steps: int) -> tuple[Any, Callable[[int], Any], Judge]:
    """The transformer of ``language``: the last ninth of its text for training is for tuning."""
    data = language.text()
    cut = len(data.train) * 8 // 9
    net, loss, batch = language.begun(data.train[:cut], data.letters, seed, steps)

    def measure(text: Array) -> Callable[[], tuple[float, float]]:
        w = language.spread(text, 8)
        return _measure(net, w[:, :-1], w[:, 1:])

    return net, lambda i: loss(batch[i]), Judge(measure(data.train[cut:]), measure(data.held_out))


def tasks() -> tuple[Task, ...]:
    import lionk_torch

    spectral = (*EDGES, *lionk_torch.MUON)
    both = (
        Entrant("AdamW", by="AdamW"),
        Entrant("l1 (Lion)"),
        Entrant("lion-pytorch", by="lion-pytorch"),
        Entrant("nuclear (Muon)", spectral),
    )
    text = (*both, Entrant("Muon, per head", spectral, "heads"))
    return (
        Task("transformer on characters", 200, _doubled(2e-3), characters, text),
        Task("convolutions on digits", 200, _doubled(1.6e-2), digits, both),
    )


def _doubled(first: float) -> tuple[float, ...]:
    return tuple(first * 2**k for k in range(6))
