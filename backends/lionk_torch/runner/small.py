"""Small tensors of one kind, stepped as one; and what is remembered of all tensors until the next call.

Thousands of tiny tensors take longer to look at than to step.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain, compress
from operator import is_
from typing import Any

from lionk.recording.emit import Arrays, pieces
from lionk.recording.passes import Task

from .plan import Plan, limit, operations, plain

SMALL = 1 << 14  # entries below which tensors are gathered
MANY = 100  # of them, from which on a loop over them is worth its compilation


class Group:
    """Small contiguous tensors, gathered, stepped and put back; those that lie one after the other stay where they are.

    The copies are as large as the tensors, and stay. There are none where somebody else makes the step.
    """

    def __init__(self, plan: Plan, group: list[Arrays]) -> None:
        self.plan, self.rows = plan, [list(map(_row, column)) for column in zip(*group, strict=True)]
        self.flat: list[Any] = []  # x, m and gradients, each as one tensor
        self._memory: tuple[Any, ...] | None = None

    def _gather(self) -> None:
        import torch

        joined = [_joined(rows) for rows in self.rows]
        self.copied = [whole is None for whole in joined]
        self.flat = [torch.cat(r) if a is None else a for r, a in zip(self.rows, joined, strict=True)]
        self.parts = [flat.split([r.numel() for r in self.rows[0]]) for flat in self.flat[:2]]

    def replace_gradients(self, grads: Iterable[Any]) -> None:
        import torch

        self.rows[2], self._memory = list(map(_row, grads)), None
        if self.flat and not self.copied[2]:
            self.copied[2], self.flat[2] = True, torch.cat(self.rows[2])

    def task(self, known: dict[int, Any]) -> Task:
        """The step, with the numbers that are known before the first pass."""
        return self.as_one(
            partial(self._tiles, self.plan.program.numbers(self.plan.passes[0].numbers, known, operations()))
        )

    def as_one(self, step: Callable[[Arrays], None]) -> Task:
        """``step`` made of all tensors as one."""
        return partial(self._step, step)

    def _tiles(self, numbers: list[Any], flat: Arrays) -> None:
        for part in pieces(flat, limit(self.plan.device)):
            self.plan.run(0, part, numbers)

    def memory(self) -> tuple[Any, ...]:
        """The addresses of many tensors, a row for x, m and gradients, and their sizes; () for few of them."""
        import numpy as np
        import torch

        if self._memory is None:
            plain = len(self.rows[0]) >= MANY and not any(map(torch.Tensor.is_neg, chain.from_iterable(self.rows)))
            sizes = [r.numel() for r in self.rows[0]]
            self._memory = (np.asarray([_places(rows) for rows in self.rows]), np.asarray(sizes)) if plain else ()
        return self._memory

    def written_by(self, task: Task) -> None:
        """A step that somebody else makes, of which autograd knows nothing."""
        import torch

        task()
        for rows in self.rows[:2]:
            torch.autograd.graph.increment_version(rows)

    def _step(self, step: Callable[[Arrays], None]) -> None:
        import torch

        if not self.flat:
            self._gather()
        for rows, flat, copied in zip(self.rows, self.flat, self.copied, strict=True):
            if copied:
                torch.cat(rows, out=flat)
        step((self.flat[0], self.flat[1], self.flat[2]))
        for rows, parts, copied in zip(self.rows, self.parts, self.copied, strict=False):
            if copied:
                torch._foreach_copy_(rows, parts)
            else:
                torch.autograd.graph.increment_version(rows)


def _row(a: Any) -> Any:
    return a.detach() if a.ndim == 1 else a.detach().view(-1)


def _joined(rows: list[Any]) -> Any:
    """The tensors as one, if each starts in memory where the one before it ends; else None."""
    first, size = rows[0], 0
    if first.device.type not in ("cpu", "cuda"):
        return None
    for r in rows:
        if r.data_ptr() != first.data_ptr() + size * first.element_size():
            return None
        size += r.numel()
    return _at(first, size)


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
        if plain(a) and a.is_contiguous() and 0 < a.numel() < SMALL and a.device.type in ("cpu", "cuda"):
            kinds.setdefault((a.dtype, a.device), []).append(i)
    for places in kinds.values():
        rows = [tensors[i].view(-1) for i in places]
        for i, part in zip(places, torch.cat(rows).split(list(map(len, rows))), strict=True):
            tensors[i] = torch.from_dlpack(part.view(tensors[i].shape))
    return tensors


class Last:
    """What was found out of the tensors of the last call, for when the same parameters and moments come again.

    Large gradients are not kept: their memory is the user's.
    """

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self._x: list[Any] = []

    def large(self, grads: list[Any]) -> list[tuple[Plan, Arrays]]:
        """The tensors that are stepped by themselves, with their plans."""
        return [(plan, (self._x[i], self._m[i], grads[i])) for i, plan in self._large.items()]

    def keep(self, jobs: list[Any], large: dict[int, Plan], groups: list[Group], members: list[list[int]]) -> None:
        """``large`` and ``members`` (of each group): the places in ``jobs`` of all that are there."""
        self._x, self._m, grads = ([job[k] for job in jobs] for k in range(3))
        self._large, self.groups, self._members = large, groups, members
        self._is_small = [i not in large for i in range(len(jobs))]
        self._like = list(map(_shadow, grads))
        self._grads = list(compress(grads, self._is_small))
        self._places = [_places(self._x), _places(self._m), _places(self._grads)]
        written = sorted(map(span, [*self._x, *self._m]))
        self._starts, self._ends = [start for start, _ in written], [end for _, end in written]
        if any(end > start for end, start in zip(self._ends, self._starts[1:], strict=False)):
            self._x = []  # they interleave: what lies apart of them is not seen from their ends

    def find(self, x: Any, m: Any, grads: Any) -> bool:
        """Are these the tensors that were kept, where they were? Gradients may be new ones that fit."""
        if not all(isinstance(column, list) and len(column) == len(self._x) > 0 for column in (x, m, grads)):
            return False
        if not (all(map(is_, x, self._x)) and all(map(is_, m, self._m))):
            return False
        if [_places(x), _places(m)] != self._places[:2]:  # ``data`` may have been exchanged
            return False
        small = list(compress(grads, self._is_small))
        again = all(map(is_, small, self._grads)) and _places(small) == self._places[2]
        if not all(self._fits(grads[i], self._like[i], x[i]) for i in (self._large if again else range(len(x)))):
            self._x = []
            return False
        if not again:
            for group, members in zip(self.groups, self._members, strict=True):
                group.replace_gradients(grads[i] for i in members)
            self._grads, self._places[2] = small, _places(small)
        return True

    def _fits(self, grad: Any, kept: Any, x: Any) -> bool:
        """A gradient like the one before, with memory of its own."""
        if not plain(grad) or grad.dtype != kept.dtype or grad.device != x.device or grad.stride() != kept.stride():
            return False
        start, end = span(grad)
        i = bisect_right(self._starts, start)
        apart = (i == 0 or self._ends[i - 1] <= start) and (i == len(self._starts) or end <= self._starts[i])
        return apart and grad.shape == x.shape


def _shadow(a: Any) -> Any:
    """A tensor of this kind without memory."""
    import torch

    return torch.empty_strided(a.shape, a.stride(), dtype=a.dtype, device="meta")


def span(a: Any) -> tuple[int, int]:
    """The addresses that a plain tensor lies between."""
    size = a.numel()
    if size and not a.is_contiguous():
        size = 1 + sum((n - 1) * s for n, s in zip(a.shape, a.stride(), strict=True))
    start = a.data_ptr()
    return start, start + size * a.element_size()


def _places(tensors: Iterable[Any]) -> list[int]:
    import torch

    return list(map(torch.Tensor.data_ptr, tensors))
