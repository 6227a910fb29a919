"""Small tensors of one kind, stepped as one, and tensors that are stepped by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate, chain
from typing import Any, NamedTuple

from lionk.recording.emit import Arrays, pieces
from lionk.recording.passes import Task
from lionk.recording.places import Places

from .plan import Plan, plain, seeing

SMALL = 1 << 14  # entries up to which tensors are stepped as one, by a loop over them
TINY = 1 << 12  # and by calls of PyTorch: gathering more takes longer than a call for each
MANY = 100  # of them, or so many entries in all, from which on a loop over them is worth its compilation
LONG = 1 << 17
PATIENCE = 1000  # steps of fewer, after which it is, too
GRAD = 2  # the place of the gradient among the arrays of a step


class Group:
    """Small contiguous tensors, gathered, stepped and put back; those that lie one after the other stay where they are.

    The copies are as large as the tensors, and stay. There are none where somebody else makes the step.
    """

    def __init__(self, plan: Plan, group: list[Arrays]) -> None:
        columns = list(map(list, zip(*group, strict=True)))
        self.plan = plan
        self.rows = {k: list(map(_row, columns[k])) for k in plan.written}
        self.sizes = [r.numel() for r in self.rows[0]]
        self.starts = columns[-1] if isinstance(columns[-1][0], Places) else []  # of the places of entries
        self.grads = columns[GRAD]
        self.flat: list[Any] = []  # x, m, gradients and what is beside, each as one tensor
        self._tiles: list[Arrays] = []  # of these
        self._memory: Any = None
        self._steps = 0

    def _gather(self) -> None:
        """Places for all as one: those that lie side by side stay there, the others have copies."""
        import torch

        flat: dict[int, Any] = {}
        self.parts: dict[int, list[Any]] = {}  # of what is copied
        for k, tensors in (self.rows | {GRAD: self.grads}).items():
            flat[k] = _joined(tensors, self.sizes)
            if flat[k] is None:
                flat[k] = torch.empty(sum(self.sizes), dtype=tensors[0].dtype, device=tensors[0].device)
                self.parts[k] = list(flat[k].split(self.sizes))
        self.flat = [flat[k] for k in sorted(flat)]
        if self.starts:
            self.flat.append(torch.cat([self.plan.entries(p).clone() for p in self.starts]))
        if GRAD in self.parts:
            self._grad_parts()

    def _grad_parts(self) -> None:
        self._tiles = []
        shaped = zip(self.flat[GRAD].split(self.sizes), self.grads, strict=True)
        self.parts[GRAD] = [part.view(g.shape) for part, g in shaped]

    def replace_gradients(self, grads: list[Any]) -> None:
        import torch

        self.grads = grads
        if self.flat and GRAD not in self.parts:
            self.flat[GRAD] = torch.empty_like(self.flat[GRAD])
            self._grad_parts()

    def by_tiles(self, numbers: list[Any]) -> None:
        """The step by the plan of PyTorch, with the numbers that its pass takes."""

        def step(flat: Arrays) -> None:
            self._tiles = self._tiles or list(pieces(flat, self.plan.limit))
            for part in self._tiles:
                self.plan.run(0, part, numbers)

        self.as_one(step)

    def memory(self) -> tuple[Any, ...]:
        """The addresses of many tensors, a row for each array, and their sizes; () where no loop is worth it.

        Those of what is written are looked up once: the tensors of another call make another group.
        """
        import numpy as np
        import torch

        self._steps += 1
        if len(self.sizes) < MANY and sum(self.sizes) < LONG and self._steps <= PATIENCE:
            return ()
        if self._memory is None:
            plain = not any(map(torch.Tensor.is_neg, chain.from_iterable(self.rows.values())))
            places = np.zeros((len(self.plan.exact.arrays), len(self.sizes)), dtype=np.int64)
            for k, rows in self.rows.items():
                places[k] = _places(rows)
            if self.starts:
                places[-1] = [p.start for p in self.starts]
            self._memory = (places, np.asarray(self.sizes)) if plain else ()
        if not self._memory or any(map(torch.Tensor.is_neg, self.grads)):
            return ()
        self._memory[0][GRAD] = _places(self.grads)
        return self._memory

    def written_by(self, task: Task) -> None:
        """A step that somebody else makes, of which autograd knows nothing."""
        import torch

        task()
        for rows in self.rows.values():
            torch.autograd.graph.increment_version(rows)

    def as_one(self, step: Callable[[Arrays], None]) -> None:
        """``step`` made of all tensors as one."""
        import torch

        if not self.flat:
            self._gather()
        for k, parts in self.parts.items():
            torch._foreach_copy_(parts, self.grads if k == GRAD else self.rows[k])
        step(tuple(self.flat))
        for k, rows in self.rows.items():
            if k in self.parts:
                torch._foreach_copy_(rows, self.parts[k])
            else:
                torch.autograd.graph.increment_version(rows)


def _row(a: Any) -> Any:
    return a.detach() if a.ndim == 1 else a.detach().view(-1)


def _joined(tensors: list[Any], sizes: list[int]) -> Any:
    """The tensors as one, if each starts in memory where the one before it ends; else None."""
    first = tensors[0]
    if first.device.type not in ("cpu", "cuda"):
        return None
    ends = list(accumulate((n * first.element_size() for n in sizes), initial=first.data_ptr()))
    return _at(first, sum(sizes)) if _places(tensors) == ends[:-1] else None


class _Address:
    """Bytes at an address, as NumPy and the interface of CUDA devices take them."""

    def __init__(self, first: Any, size: int) -> None:
        seen = {"data": (first.data_ptr(), False), "shape": (size * first.element_size(),), "typestr": "|u1"}
        self.__array_interface__ = self.__cuda_array_interface__ = seen | {"version": 3}


def _at(first: Any, size: int) -> Any:
    """A tensor of ``size`` entries that begins where ``first`` does; the caller keeps what it lies in alive."""
    import numpy as np
    import torch

    address = _Address(first, size)
    if first.device.type == "cpu":
        return torch.from_numpy(np.asarray(address)).view(first.dtype)
    return torch.as_tensor(address, device=first.device).view(first.dtype)


def side_by_side(tensors: list[Any]) -> list[Any]:
    """The tensors, of which the small plain ones of each kind are copied one after the other into one block.

    Each has a storage of its own, of its bytes alone: that is what is saved, or sent to another process, with it.
    """
    import torch

    kinds: dict[Any, list[int]] = {}
    for i, a in enumerate(tensors):
        if plain(a) and a.is_contiguous() and 0 < a.numel() <= SMALL and a.device.type in ("cpu", "cuda"):
            kinds.setdefault((a.dtype, a.device), []).append(i)
    for places in kinds.values():
        rows = [tensors[i].view(-1) for i in places]
        for i, part in zip(places, torch.cat(rows).split(list(map(len, rows))), strict=True):
            tensors[i] = torch.from_dlpack(part.view(tensors[i].shape))
    return tensors


class Large(NamedTuple):
    """A tensor that is stepped by itself, with its moment and what is beside them, as the plan takes them."""

    plan: Plan
    see: Callable[[Any], Any]
    before: Arrays  # the arrays before the gradient, x and m, and those behind it
    behind: Arrays
    at_once: bool  # is its step one pass over one tile?

    @classmethod
    def of(cls, plan: Plan, arrays: Arrays) -> Large:
        at_once = plan.at_once(arrays)
        as_is = at_once and not any(isinstance(a, Places) or not a.is_contiguous() for a in arrays)
        see = _itself if as_is else seeing(plan, arrays)
        own = [a if isinstance(a, Places) else see(a.detach()) for a in arrays]
        return cls(plan, see, tuple(own[:GRAD]), tuple(own[GRAD + 1 :]), at_once)

    def arrays(self, grad: Any) -> Arrays:
        """All of them, with this gradient."""
        return (*self.before, self.see(grad), *self.behind)

    def written(self, arrays: Arrays) -> list[Any]:
        return [arrays[k] for k in self.plan.written]


class Alike(NamedTuple):
    """Tensors of one shape, each of which is stepped by itself in one pass over one tile, by their places in a call."""

    plan: Plan
    rows: dict[int, Large]

    @classmethod
    def among(cls, large: dict[int, Large]) -> list[Alike]:
        """Those of these tensors whose steps are so; they are taken from ``large``."""
        found: dict[Any, dict[int, Large]] = {}
        for i, one in large.items():
            if one.at_once and not one.plan.counts:
                found.setdefault((one.plan, one.before[0].shape), {})[i] = one
        for i in (i for rows in found.values() for i in rows):
            del large[i]
        return [cls(plan, rows) for (plan, _), rows in found.items()]

    def step(self, numbers: list[Any], grads: list[Any]) -> None:
        first = next(iter(self.rows.values()))
        tile, buffers = self.plan.ready(0, first.before[0].shape)
        for i, one in self.rows.items():
            tile(*one.before, one.see(grads[i]), *one.behind, *numbers, *buffers)


class Work(NamedTuple):
    """What is to be done in one call."""

    large: dict[int, Large]  # what is stepped by itself, by its place in the call
    alike: list[Alike]  # and of one shape, in one pass
    groups: list[Group]  # of small tensors


def _itself(a: Any) -> Any:
    return a


def _places(tensors: Iterable[Any]) -> list[int]:
    import torch

    return list(map(torch.Tensor.data_ptr, tensors))
