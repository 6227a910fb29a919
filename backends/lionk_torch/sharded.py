"""Parameters in pieces: DTensor, as ``fully_shard`` and tensor parallelism make them.

The step is made on the local pieces. For elementwise K that is all, and the result is that of the whole, bit for bit.
For the others the readout, and nothing else, is gathered, one parameter at a time; every rank computes dK of the whole
and takes its piece. Parameters that are replicated, or plain, need neither.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

import lionk
from lionk._value import has_arrays


def some(params: list[Any]) -> bool:
    """Is one of them a DTensor? There is none before its module is loaded, and this does not load it."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and any(isinstance(p, module.DTensor) for p in params)


def is_sharded(p: Any) -> bool:
    return some([p])


def local(a: Any, p: Any) -> torch.Tensor:
    """The piece of a that is here, placed like p. It shares memory with a if a is placed like p already."""
    if not is_sharded(p):
        return a
    return (a if a.placements == p.placements else a.redistribute(p.device_mesh, p.placements)).to_local()


def whole(a: Any) -> torch.Tensor:
    return a.full_tensor() if is_sharded(a) else a


def placed(a: torch.Tensor, p: Any) -> Any:
    """A tensor that every rank has, as p is placed; nothing is sent."""
    if not is_sharded(p):
        return a
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(a.to(p.device), p.device_mesh, p.placements, src_data_rank=None)


def needs_whole(K: lionk.ConvexFunction, p: Any) -> bool:
    """Must dK see the whole of p? Arrays in K are as large as the whole."""
    if not is_sharded(p) or all(placement.is_replicate() for placement in p.placements):
        return False
    return K.traits.structure != "elementwise" or has_arrays(K)


class Gathered:
    """Stands for K in ``LionK.update`` on a piece of p."""

    def __init__(self, K: lionk.ConvexFunction, p: Any) -> None:
        self.K, self.p = K, p

    def subgradient(self, r: torch.Tensor) -> torch.Tensor:
        from torch.distributed.tensor import DTensor

        p = self.p
        readout: Any = DTensor.from_local(
            r, p.device_mesh, p.placements, run_check=False, shape=p.shape, stride=p.stride()
        )
        return local(placed(self.K.subgradient(readout.full_tensor()), p), p)
