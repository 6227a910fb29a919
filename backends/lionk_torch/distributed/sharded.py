"""Parameters in pieces: DTensor, as ``fully_shard`` and tensor parallelism make them, on meshes of any shape.

The step is made on the local pieces. What dK needs of the others depends on K:

- elementwise K: nothing. The result is that of the whole, bit for bit.
- sums, maxima, norms of rows, order statistics (l2, lp, log_sum_exp, row_l1_l2, linf, top_k, ...) of even pieces:
  numbers, by all-reduces (``lionk_torch.distributed.spread``). Reductions are made in another order: to rounding.
- functions of matrices whose blocks (heads, experts, ``block_lift``) lie on one rank each: nothing.
- other functions of matrices: the readout, gathered. Each matrix has one rank that computes its dK, such that all have
  about as much to do, and the result is sent back in pieces. To rounding, where one device and many are not the same.
- the rest (uneven pieces, a K with array parameters, sorting as owl does): the readout is gathered, one parameter at a
  time, and every rank computes dK of the whole.

MARS and rescaled masks (``lionk.variants``) need a norm, or a share, of the whole: a number of each piece, gathered.
Parameters that are replicated, or plain, need nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import torch

import lionk
from lionk.arrays.containers import tree_norm
from lionk.arrays.layout import Sections
from lionk.arrays.value import has_arrays
from lionk.functions.calculus.parts import PartLift
from lionk.optimizer.lion_k import LionK
from lionk.recording.program import NotTraceableError


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


def in_place_of(a: torch.Tensor, p: Any) -> Any:
    """a, the piece that is here, as what p is: a DTensor placed like it, or a itself."""
    return _dtensor(a, p) if is_sharded(p) else a


def places(p: Any, start: int) -> torch.Tensor:
    """The numbers of the entries of the piece that is here in the whole, plus ``start``, as int32 modulo 2^32.

    Those along each axis are placed like p along it; nothing is sent.
    """
    from torch.distributed.tensor import Replicate, distribute_tensor

    found = torch.zeros((), dtype=torch.int64, device=p.device)
    for axis, size in enumerate(p.shape):
        there = [_along(at) if not at.is_replicate() and at.dim == axis else Replicate() for at in p.placements]
        number = distribute_tensor(torch.arange(size, device=p.device), p.device_mesh, there, src_data_rank=None)
        found = found[..., None] * size + number.to_local()
    return (found + start).to(torch.int32)


def _along(at: Any) -> Any:
    """Sharded as by ``at``, which says along which axis of many, along the only one."""
    factor = {"split_factor": at.split_factor} if hasattr(at, "split_factor") else {}
    return type(at)(0, **factor)


def _number(axes: Iterable[tuple[int, int]]) -> int:
    """The number of a place from the size of each axis and the coordinate there."""
    return reduce(lambda number, axis: number * axis[0] + axis[1], axes, 0)


def norm(parts: list[torch.Tensor], p: Any) -> torch.Tensor:
    """The Euclidean norm of the whole, from those of the parts of the piece that is placed like p."""
    here = tree_norm(torch.stack(parts))
    return tree_norm(_of_all(here, p)) if is_sharded(p) else here


def mean(p: Any) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The mean of the whole, from the piece of it that is placed like p; None if p is a whole."""
    return (lambda a: _of_all(a.sum(), p).sum() / p.numel()) if is_sharded(p) else None


def norm_of(p: Any) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The norm of the whole, from the piece of it that is placed like p; None if p is a whole."""
    return (lambda a: norm([tree_norm(a)], p)) if is_sharded(p) else None


def _of_all(number: torch.Tensor, p: Any) -> Any:
    """The numbers of all pieces of p, once for copies, as a vector that every rank has."""
    from torch.distributed.tensor import DTensor, Replicate, Shard

    placements = [Replicate() if placement.is_replicate() else Shard(0) for placement in p.placements]
    return DTensor.from_local(number.reshape(1), p.device_mesh, placements, run_check=False).full_tensor()


def functions(method: LionK, params: list[Any], given: list[list[torch.Tensor]], weight_decay: Any) -> list[Any]:
    """What stands for K in ``LionK.update`` on the piece of each parameter; K itself where that is right."""
    K = method.K
    found: list[Any] = [K] * len(params)
    matrices: dict[Any, list[int]] = {}  # by their mesh, all of whose ranks hold them
    for i, p in enumerate(params):
        if not is_sharded(p) or all(placement.is_replicate() for placement in p.placements):
            continue
        alone = blocks_here(K, p)
        if alone is not None:
            found[i] = alone
        elif K.traits.structure == "matrix":
            matrices.setdefault(p.device_mesh, []).append(i)
        elif not K.by_entry:  # such arrays are as large as the whole
            found[i] = InPieces(K, p)
    for numbers in matrices.values():
        columns = [[column[i] for i in numbers] for column in given]
        for i, u in zip(numbers, _shared_out(method, [params[i] for i in numbers], columns, weight_decay), strict=True):
            found[i] = Known(u)
    return found


def blocks_here(K: Any, p: Any) -> Any:
    """What stands for K on this rank's piece of p, if every block of K lies on one rank; else None.

    The same at all ranks, since it depends on the sizes of the whole and of the mesh only.
    """
    shards = [(n, at) for n, at in zip(p.device_mesh.shape, p.placements, strict=True) if not at.is_replicate()]
    if len(shards) != 1 or not shards[0][1].is_shard():
        return None
    ranks, axis = shards[0][0], shards[0][1].dim
    per_rank = -(-p.shape[axis] // ranks)  # of all but the last ones that have some
    if isinstance(K, PartLift) and isinstance(K.layout, Sections) and isinstance(K.layout.sections, int):
        if K.layout.axis % p.ndim != axis or p.shape[axis] % K.layout.sections:
            return None
        block = p.shape[axis] // K.layout.sections
        mine = p.to_local().shape[axis] // block if per_rank % block == 0 else None
        return None if mine is None else PartLift(K.inner, Sections(K.layout.axis, mine)) if mine else _Readout()
    alike = K.traits.stacks and axis < p.ndim - 2 and "'size'" not in str(K.spec)  # a factor of the size of the stack
    return K if alike else None


def _dtensor(r: torch.Tensor, p: Any, placements: Any = None) -> Any:
    """r, which is the local part, as a DTensor of p's shape."""
    from torch.distributed.tensor import DTensor

    placements = p.placements if placements is None else placements
    return DTensor.from_local(r, p.device_mesh, placements, run_check=False, shape=p.shape, stride=p.stride())


class InPieces:
    """Stands for K on a piece of p: with reductions where they suffice, else gathered."""

    def __init__(self, K: lionk.ConvexFunction, p: Any) -> None:
        self.K, self.p = K, p

    def subgradient(self, r: torch.Tensor) -> torch.Tensor:
        from . import spread

        readout = _dtensor(r, self.p)
        if spread.possible(self.K, self.p) and not has_arrays(self.K):
            try:
                return local(spread.subgradient(self.K, readout), self.p)
            except NotTraceableError:  # raised alike at every rank
                pass
        return local(placed(self.K.subgradient(readout.full_tensor()), self.p), self.p)


class Known:
    """Stands for K where its subgradient was found before."""

    def __init__(self, u: torch.Tensor) -> None:
        self.u = u

    def subgradient(self, r: torch.Tensor) -> torch.Tensor:
        return self.u


class _Readout:
    """Keeps what ``LionK.update`` asks K's subgradient of."""

    def subgradient(self, r: torch.Tensor) -> torch.Tensor:
        self.r = r
        return r


def _shared_out(
    method: LionK, params: list[Any], given: list[list[torch.Tensor]], weight_decay: Any
) -> list[torch.Tensor]:
    """The piece of dK for each parameter, in rounds of one for each rank, all of a round of about the same cost."""
    mesh = params[0].device_mesh
    here = _number(zip(mesh.shape, mesh.get_coordinate(), strict=True))
    order = sorted(range(len(params)), key=lambda i: -params[i].numel() * min(params[i].shape[-2:], default=1))
    found: dict[int, torch.Tensor] = {}
    for start in range(0, len(order), mesh.size()):
        some = order[start : start + mesh.size()]
        mine: dict[int, torch.Tensor] = {}
        for place, i in enumerate(some):
            asked: Any = _Readout()
            x, m, g = (column[i] for column in given)
            method.update(x, m, g, 0.0, weight_decay, K=asked)
            found[i] = asked.r
            gathered = _dtensor(asked.r, params[i]).full_tensor()
            if place == here:
                mine[i] = gathered
        computed = {i: method.K.subgradient(r) for i, r in mine.items()}
        for i in some:
            u = computed[i] if i in computed else found[i].new_zeros(params[i].shape)
            found[i] = _sum_in_pieces(u, params[i])
    return [found[i] for i in range(len(params))]


def _sum_in_pieces(u: torch.Tensor, p: Any) -> torch.Tensor:
    """The sum of the ranks' u, in the pieces of p."""
    from torch.distributed.tensor import Partial, Shard

    total = _dtensor(u, p, [Partial()] * p.device_mesh.ndim)
    if all(type(placement) is Shard or placement.is_replicate() for placement in p.placements):
        return total.redistribute(p.device_mesh, p.placements).to_local()
    return local(placed(total.full_tensor(), p), p)
