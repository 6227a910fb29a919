"""A small transformer on characters, trained by Lion-K with several K, by AdamW and by another Lion.

The text is the manual of the Python language that the standard library carries (``pydoc_data.topics``, about 460,000
characters); the last tenth is held out. Two blocks of attention and two layers, 64,000 weights. K acts on the matrices
of the blocks; embeddings and the output have l1, gains of the normalisation l1 without decay (AdamW: all, and gains
without decay). Equal steps, batches and schedule for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .recipes import Recipe, adamw, installed, one_thread, torch_optimizer
from .training import Curves, Run, descend, stack

Array = Any
WIDTH, HEADS, LAYERS, CONTEXT, BATCH = 48, 4, 2, 32, 16
REST = (4e-3, 10.0)  # lr and lam of l1 where another K has the blocks
LION = Recipe("l1 (Lion)", {"name": "l1"}, *REST)

RECIPES = (
    adamw(8e-3, 0.01),
    LION,
    Recipe("huber", {"name": "huber", "delta": 1e-4}, *REST),
    Recipe("nuclear (Muon)", {"name": "nuclear"}, 3e-2, 1.0),
    Recipe("row_l1_l2", {"name": "row_l1_l2"}, 2e-2, 2.0),
    LION.repeated("lion-pytorch"),
)


class Text(NamedTuple):
    """Characters as numbers below ``letters``; the last tenth is held out."""

    train: Array
    held_out: Array
    letters: int


@cache
def text() -> Text:
    from pydoc_data.topics import topics

    characters = "\n".join(topics[name] for name in sorted(topics))
    letters, coded = np.unique(list(characters), return_inverse=True)
    cut = len(coded) * 9 // 10
    return Text(coded[:cut], coded[cut:], len(letters))


def windows(a: Array, starts: Array) -> Array:
    """(starts, CONTEXT + 1): what is read, and one character more to predict."""
    return a[np.asarray(starts)[:, None] + np.arange(CONTEXT + 1)]


def transformer(letters: int) -> Any:
    """Pre-norm blocks of causal attention and two layers, PyTorch's first weights. (n, t) -> (n, t, letters)."""
    import torch
    from torch import nn

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.num_heads = HEADS  # by this name ``lionk_torch.groups`` tells heads
            self.first, self.second = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
            self.out = nn.Linear(WIDTH, WIDTH, bias=False)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

        def forward(self, h: torch.Tensor) -> torch.Tensor:
            n, t, _ = h.shape
            q, k, v = (
                self.qkv(self.first(h)).view(n, t, 3, self.num_heads, WIDTH // self.num_heads).permute(2, 0, 3, 1, 4)
            )
            seen = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            h = h + self.out(seen.transpose(1, 2).reshape(n, t, WIDTH))
            return h + self.down(nn.functional.gelu(self.up(self.second(h))))

    class Net(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.letter, self.place = nn.Embedding(letters, WIDTH), nn.Parameter(0.1 * torch.randn(CONTEXT, WIDTH))
            nn.init.normal_(self.letter.weight, std=0.1)
            self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
            self.norm, self.head = nn.LayerNorm(WIDTH, bias=False), nn.Linear(WIDTH, letters, bias=False)

        def forward(self, index: torch.Tensor) -> torch.Tensor:
            return self.head(self.norm(self.blocks(self.letter(index) + self.place[: index.shape[1]])))

    return Net()


def optimizer(recipe: Recipe, net: Any) -> Any:
    lr, lam = REST
    groups = [
        {"params": [p for p in net.blocks.parameters() if p.ndim == 2], "K": recipe.K},
        {"params": [net.letter.weight, net.place, net.head.weight], "K": "l1", "lr": lr, "weight_decay": lam},
        {"params": [p for p in net.parameters() if p.ndim == 1], "K": "l1", "lr": lr, "weight_decay": 0.0},
    ]
    return torch_optimizer(recipe, groups)


def curves(recipes: tuple[Recipe, ...], seeds: int, steps: int) -> Iterator[Curves]:
    """One recipe after the other, each with all seeds."""
    with one_thread():
        for recipe in installed(recipes):
            yield stack(recipe, [run(recipe, seed, steps) for seed in range(seeds)])


def begun(train: Array, letters: int, seed: int, steps: int) -> tuple[Any, Any, list[Any]]:
    """A new net, its loss on windows of text, and the windows of each step."""
    import torch
    from torch.nn.functional import cross_entropy

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = transformer(letters)

    def loss(w: Any) -> Any:
        return cross_entropy(net(w[:, :-1]).flatten(0, 1), w[:, 1:].flatten())

    starts = np.random.default_rng(seed).integers(0, len(train) - CONTEXT - 1, (steps, BATCH))
    return net, loss, [torch.tensor(windows(train, s)) for s in starts]


def spread(text: Array, apart: int) -> Any:
    """Windows of all of a text, so many contexts apart."""
    import torch

    return torch.tensor(windows(text, np.arange(0, len(text) - CONTEXT - 1, apart * CONTEXT)))


def run(recipe: Recipe, seed: int, steps: int) -> Run:
    """``train_loss`` and ``accuracy`` are those of the held-out text, in nats and shares of characters."""
    import torch

    data = text()
    net, loss, batch = begun(data.train, data.letters, seed, steps)
    weights = [p for p in net.blocks.parameters() if p.ndim == 2]
    found = descend(recipe, optimizer(recipe, net), weights, steps, lambda i: loss(batch[i]))
    held_out = spread(data.held_out, 3)
    with torch.no_grad():
        right = net(held_out[:, :-1]).argmax(-1) == held_out[:, 1:]
        return found._replace(train_loss=loss(held_out).item(), accuracy=right.float().mean().item())
