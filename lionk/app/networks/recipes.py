"""An optimizer of a network as a value: Lion-K of lionk, the same method of another library, or AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from lionk.backend.protocol import missing

PEERS = {"lion-pytorch": "lion_pytorch", "optax.lion": "optax"}  # other people's Lion, K = l1, and its module
BETAS = (0.9, 0.99)


class Recipe(NamedTuple):
    """One optimizer: ``by`` is lionk, one of ``PEERS``, or AdamW, whose K is None, since it bounds nothing."""

    name: str
    K: Any
    lr: float
    lam: float
    by: str = "lionk"

    @property
    def peer(self) -> bool:
        return self.by in PEERS

    def repeated(self, by: str) -> Recipe:
        """The same by a peer, whose name it gets."""
        return self._replace(name=by, by=by)


def adamw(lr: float, decay: float) -> Recipe:
    return Recipe("AdamW", None, lr, decay, "AdamW")


def installed(recipes: Iterable[Recipe]) -> tuple[Recipe, ...]:
    """The recipes without the peers that are not installed."""
    return tuple(r for r in recipes if not (r.peer and missing(PEERS[r.by])))


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: nets so small are slower on more."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def torch_optimizer(recipe: Recipe, groups: list[dict[str, Any]]) -> Any:
    """An optimizer of PyTorch for groups of ``LionK``, each with its K. AdamW has one lr and one decay."""
    options: Any = {"lr": recipe.lr, "weight_decay": recipe.lam}
    if recipe.by == "lionk":
        import lionk_torch

        return lionk_torch.LionK(groups, betas=BETAS, **options)
    if recipe.by == "lion-pytorch":
        from lion_pytorch import Lion

        return Lion([{k: v for k, v in g.items() if k != "K"} for g in groups], betas=BETAS, **options)
    from torch.optim import AdamW

    decays = [recipe.lam if g.get("weight_decay", recipe.lam) else 0.0 for g in groups]
    return AdamW([{"params": g["params"], "weight_decay": d} for g, d in zip(groups, decays, strict=True)], **options)


def optax_solver(recipe: Recipe, rate: Any, parts: dict[str, tuple[Any, float, float]], labels: Any) -> Any:
    """A solver of optax for labelled parts, each with its K, lr and lam. AdamW has one lr and one decay."""
    import optax

    if recipe.by == "AdamW":
        return optax.adamw(rate(recipe.lr), weight_decay=recipe.lam)
    import lionk_jax

    def solver(K: Any, lr: float, lam: float) -> Any:
        if recipe.by == "optax.lion":
            return optax.lion(rate(lr), *BETAS, weight_decay=lam)
        return lionk_jax.lion_k(rate(lr), *BETAS, K=K, weight_decay=lam)

    return optax.multi_transform({label: solver(*part) for label, part in parts.items()}, labels)
