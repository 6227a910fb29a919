"""Distributed Lion: workers exchange directions, not gradients (Liu et al. 2024, arXiv 2404.00438).

Each worker has its own gradient and momentum; x is the same at all of them, and so is the step:

- majority: the sign of each readout is a vote, and the step is dK of the sum of the votes. A readout of 0, or NaN, does
  not vote; a tie is 0. For ``l1`` that is ``sign(sum_i sign(r_i))``. It needs a K whose dK looks at signs only:
  elementwise and homogeneous (``l1``, ``weighted_l1``, ``box``), else NotAvailable.
- average: the mean of the workers' dK. Any K.

With three values a vote is log2(3) = 1.58 bits. Five are packed in a byte: 1.6. One bit would leave no room for 0, and
would move what nobody has a gradient for. Each worker counts a share of the entries, and sends the outcome to all.

What holds: the step is in dom K* (a mean of points of it, or dK of something), so phase I and the constraint are those
of Lion-K. Where the workers' dK agree it is Lion-K's step, and with one worker it is LionK bit for bit. But it is no
subgradient at a common readout: the identity, the Lyapunov inequality and the gap rates do not apply, and at a fixed
point ``lam x`` is the vote, or mean, of ``dK(-grad f_i)``, not dK of the mean gradient. Derived here.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any
from zlib import crc32

import torch
import torch.distributed as dist

import lionk
from lionk.optimizer.lion_k import LionK as Method
from lionk.recording.emit import chunks, pieces

EXCHANGES = (None, "majority", "average")
MESSAGE = 1 << 22  # entries, at most, that are exchanged at once


def check(name: str | None, K: lionk.ConvexFunction) -> None:
    if name not in EXCHANGES:
        raise ValueError(f'exchange must be None, "majority" or "average", got {name!r}')
    if name is not None and K.traits.structure == "coupled":
        raise lionk.NotAvailable(f"exchange={name!r} sends the direction of one array, and this K couples them all")
    if name == "majority" and not _signs_suffice(K):
        raise lionk.NotAvailable(
            'exchange="majority" needs a K whose subgradient depends on signs only, such as l1; use "average" for '
            f"{K!r}"
        )


def _signs_suffice(K: lionk.ConvexFunction) -> bool:
    return K.traits.structure == "elementwise" and K.traits.homogeneous


class Exchanged:
    """Stands for K in ``LionK.update``: takes this worker's readout, gives the step of all workers."""

    def __init__(self, K: Any, function: lionk.ConvexFunction, how: str, group: Any) -> None:
        self.K, self.how, self.group = K, how, group
        self.votes = _signs_suffice(function) and (how == "majority" or function.traits.even)

    def subgradient(self, r: torch.Tensor) -> torch.Tensor:
        if self.votes and not r.is_complex():
            count = tally(r, self.how == "majority", self.group)
            u = self.K.subgradient(count)
            return u if self.how == "majority" else u * (count.abs() / dist.get_world_size(self.group))
        if self.how == "majority":
            raise lionk.NotAvailable('exchange="majority" is for real parameters; use "average"')
        u = self.K.subgradient(r).contiguous()
        dist.all_reduce(torch.view_as_real(u) if u.is_complex() else u, group=self.group)
        return u / dist.get_world_size(self.group)


def tally(r: torch.Tensor, only_sign: bool, group: Any = None) -> torch.Tensor:
    """The sum over the workers of the sign of r, or its sign only, which takes less to send."""
    n, size = dist.get_world_size(group), r.numel()
    share = 5 * math.ceil(size / (5 * n))  # the entries that each worker counts
    votes = torch.zeros(n * share, dtype=torch.int8, device=r.device)
    votes[:size] = r.reshape(-1).sign().nan_to_num_()
    sent = pack(votes.view(n, 5, -1))
    received = torch.empty_like(sent)
    dist.all_to_all_single(received, sent, group=group)
    count = unpack(received).sum(0, dtype=torch.int16)
    part = pack(count.sign().to(torch.int8)) if only_sign else count.to(torch.int8 if n < 128 else torch.int16)
    parts = torch.empty(n, *part.shape, dtype=part.dtype, device=r.device)
    dist.all_gather(list(parts), part, group=group)
    return (unpack(parts) if only_sign else parts).reshape(-1)[:size].view(r.shape).to(r.dtype)


def pack(votes: torch.Tensor) -> torch.Tensor:
    """-1, 0, 1 of shape (..., 5, n), five in a byte, in base 3: shape (..., n).

    >>> import torch
    >>> from lionk_torch.distributed.exchange import pack, unpack
    >>> packed = pack(torch.tensor([[1], [0], [-1], [-1], [1]], dtype=torch.int8))
    >>> packed, unpack(packed).flatten()
    (tensor([191], dtype=torch.uint8), tensor([ 1,  0, -1, -1,  1], dtype=torch.int8))
    """
    first, *rest = (votes + 1).to(torch.uint8).unbind(-2)
    return reduce(lambda packed, digit: packed.mul_(3).add_(digit), rest, first.clone())


def unpack(packed: torch.Tensor) -> torch.Tensor:
    digits = []
    for _ in range(5):
        above = packed // 3
        digits.append(packed - 3 * above)
        packed = above
    return torch.stack(digits[::-1], dim=-2).to(torch.int8).sub_(1)


def step(method: Method, functions: list[Any], given: list[list[torch.Tensor]], lr: Any, lam: Any) -> None:
    """``method.update`` in place, of many tensors with one message where K is made entry by entry."""
    K = method.K
    if not K.by_entry:
        for (x, m, g), own in zip(zip(*given, strict=True), functions, strict=True):
            for old, new in zip((x, m), method.update(x, m, g, lr, lam, K=own), strict=True):
                old.copy_(new)
        return
    kinds: dict[Any, list[Any]] = {}
    for arrays in zip(*given, strict=True):
        if arrays[0].numel():
            kinds.setdefault(tuple(a.dtype for a in arrays), []).extend(pieces(arrays, MESSAGE))
    for every in kinds.values():
        for some in chunks(every, lambda arrays: arrays[0].numel(), MESSAGE):
            x, m, g = (torch.cat([a.reshape(-1) for a in column]) for column in zip(*some, strict=True))
            done = method.update(x, m, g, lr, lam, K=functions[0])
            sizes = [arrays[0].numel() for arrays in some]
            for old, new in zip(zip(*some, strict=True), done, strict=False):
                for a, b in zip(old, new.split(sizes), strict=True):
                    a.copy_(b.view(a.shape))


def check_same(params: list[torch.Tensor], group: Any) -> None:
    """Refuse to step parameters that are not the same at all workers: they would never become so."""
    sums = [crc32(p.detach().reshape(-1).view(torch.uint8).cpu().numpy()) for p in params]
    low = torch.tensor(sums, dtype=torch.int64, device=params[0].device)
    high = low.clone()
    dist.all_reduce(low, dist.ReduceOp.MIN, group=group)
    dist.all_reduce(high, dist.ReduceOp.MAX, group=group)
    if not torch.equal(low, high):
        place = int((low != high).nonzero()[0, 0])
        raise RuntimeError(
            f"with exchange, x must be the same at all workers, but parameter {place} of a group differs: seed alike, "
            "or torch.distributed.broadcast the parameters first"
        )
