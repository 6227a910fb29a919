"""The tensors of a step that is more than a call of the runner, and their cut into tiles.

Rounding and MARS make temporaries. Where they are as large as a tensor, memory that is new at each step costs more than
the step; those of a tile are used again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import array_api_compat.torch as xp
import torch

from lionk.arrays.containers import tree_norm
from lionk.optimizer import rounding as roundings
from lionk.optimizer import variants
from lionk.recording.emit import pieces

from ..distributed import sharded
from ..runner.plan import limit


class Row(NamedTuple):
    """The tensors of one parameter, or of some entries of it. A sharded parameter has its pieces that are here."""

    number: int  # of the parameter, among those that are stepped
    x: torch.Tensor
    m: torch.Tensor
    grad: torch.Tensor
    last: Any = None  # the gradient of the step before, if it is kept
    low: Any = None  # the remainders of a 16-bit parameter
    index: Any = None  # the places of its entries, and the keys of the random numbers of this step
    keys: Any = None

    def widened(self) -> torch.Tensor:
        """The parameter with the precision in which it is stepped."""
        return self.x if self.low is None and self.index is None else roundings.widened(xp, self.x, self.low)

    def narrowed(self, value: torch.Tensor) -> None:
        """Keep the result of a step, and what is left over."""
        if self.low is not None:
            near, left = roundings.with_rest(xp, value, self.x.dtype)
            self.low.copy_(left)
        else:
            near = roundings.by_chance(xp, value, self.x.dtype, roundings.noise(xp, self.index, *self.keys))
        self.x.copy_(near)

    def tiles(self) -> Iterator[Row]:
        """Some entries at a time of a large one; else all."""
        names = [n for n, a in self._asdict().items() if isinstance(a, torch.Tensor)]
        for part in pieces(tuple(getattr(self, n) for n in names), limit(self.x.device)):
            yield self._replace(**dict(zip(names, part, strict=True)))


def tiles(rows: list[Row]) -> Iterator[list[Row]]:
    """Rows to be stepped together: small ones, and one tile after the other of large ones."""
    cut = [list(row.tiles()) for row in rows]
    if whole := [row for row, *rest in cut if not rest]:
        yield whole
    yield from ([tile] for parts in cut if len(parts) > 1 for tile in parts)


def last_gradient(p: Any, grad: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
    """The gradient of the step before, for MARS; the first step has its own."""
    if "last_grad" not in state:
        state["last_grad"] = sharded.in_place_of(grad.clone(), p)
    last = sharded.local(state["last_grad"], p)
    if not state.get("has_last", True):
        last.copy_(grad)
    state["has_last"] = True
    return last


def mars(rows: list[Row], params: list[Any], beta1: float, gamma: float) -> Callable[[Row], Row]:
    """What gives a row, or a tile of it, the gradient of MARS, and keeps its own one for the next step.

    The norms of the whole gradients are taken here, in the order of the parameters, so that all ranks take part alike.
    """
    if not gamma:
        return lambda row: row
    found = ([tree_norm(variants.corrected(t.grad, t.last, beta1, gamma)) for t in row.tiles()] for row in rows)
    norms = [sharded.norm(parts, p) for parts, p in zip(found, params, strict=True)]

    def estimate(row: Row) -> Row:
        grad = variants.mars(row.grad, row.last, beta1, gamma, lambda _: norms[row.number])
        row.last.copy_(row.grad)
        return row._replace(grad=grad)

    return estimate
