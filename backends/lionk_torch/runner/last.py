"""What is remembered of the tensors of a call until the next one, which mostly brings the same.

Thousands of tiny tensors take longer to look at than to step, and one takes as long.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import chain, compress
from operator import attrgetter, gt, is_, methodcaller
from typing import Any

from .small import GRAD, Large, Work

_KIND, _STRIDES = attrgetter("dtype", "device", "layout", "shape"), methodcaller("stride")


class Last:
    """What was found out of the tensors of the last call, for when the same parameters and moments come again.

    Large gradients are not kept: their memory is the user's.
    """

    def __init__(self, kept: list[str], counted: bool) -> None:
        """``kept``: the names of the arrays beside x and m; ``counted``: are the places of entries given, too?"""
        import torch

        self._own: list[list[Any]] = []
        self._kept, self._counted = kept, counted
        self._types, self._place = {torch.Tensor, torch.nn.Parameter}, torch.Tensor.data_ptr

    def keep(self, jobs: list[Any], large: dict[int, Large], work: Work, members: list[list[int]]) -> None:
        """``large``, all that are stepped by themselves, and ``members`` of each group, by their places in ``jobs``."""
        columns = [list(column) for column in zip(*(job[:-1] for job in jobs), strict=True)]
        self._starts_given = columns.pop() if self._counted else []
        grads, self._own = columns.pop(GRAD), columns
        self.work, self._members = work, members
        self._is_small = [i not in large for i in range(len(jobs))]
        self._small = list(compress(grads, self._is_small))
        self._every, self._strides_of_x = list(chain.from_iterable(columns)), list(map(_STRIDES, columns[0]))
        self._places, self._grad_places = self._at(self._every), self._at(grads)
        self._kinds = _kinds(grads)
        self._large, self._kinds_of_large = list(large), _kinds([grads[i] for i in large])
        self._spans = [end - start for start, end in map(span, grads)]
        written = sorted(map(span, self._every))
        self._starts, self._ends = [*(start for start, _ in written), math.inf], [end for _, end in written]
        if any(map(gt, self._ends, self._starts[1:])):
            self.forget()  # they interleave: what lies apart of them is not seen from their ends

    def forget(self) -> None:
        self._own = []

    def _at(self, tensors: list[Any]) -> list[int]:
        return list(map(self._place, tensors))

    def find(self, x: Any, m: Any, grads: Any, beside: dict[str, Any]) -> bool:
        """Are these the tensors that were kept, where they were? Gradients may be new ones that fit."""
        if not self._own:
            return False
        for given, kept in zip((x, m, *map(beside.get, self._kept)), self._own, strict=True):
            if not (isinstance(given, list) and len(given) == len(kept) and all(map(is_, given, kept))):
                return False
        if self._counted and beside.get("index") != self._starts_given:
            return False
        return isinstance(grads, list) and self.fits(grads)

    def fits(self, grads: list[Any]) -> bool:
        """Are the tensors that were kept where they were, and do these gradients fit them?"""
        if not self._own or len(grads) != len(self._own[0]):
            return False
        # ``data`` may have been exchanged
        if self._at(self._every) != self._places or list(map(_STRIDES, self._own[0])) != self._strides_of_x:
            return False
        places = self._at(grads)
        small = list(compress(grads, self._is_small)) if self.work.groups else []
        if places == self._grad_places and all(map(is_, small, self._small)):
            return not self._large or self._alike([grads[i] for i in self._large], self._kinds_of_large)
        if not (self._alike(grads, self._kinds) and self._apart(places)):
            return False
        for group, members in zip(self.work.groups, self._members, strict=True):
            group.replace_gradients([grads[i] for i in members])
        self._small, self._grad_places = small, places
        return True

    def _alike(self, grads: list[Any], kinds: tuple[list[Any], ...]) -> bool:
        return self._types.issuperset(map(type, grads)) and _kinds(grads) == kinds

    def _apart(self, places: list[int]) -> bool:
        """Lies nothing that is written where these gradients do?"""
        for start, before, size in zip(places, self._grad_places, self._spans, strict=True):
            if start != before:
                k = bisect_right(self._starts, start)
                if (k and self._ends[k - 1] > start) or start + size > self._starts[k]:
                    return False
        return True


def _kinds(grads: list[Any]) -> tuple[list[Any], ...]:
    """What makes a gradient fit where the last one did."""
    return list(map(_KIND, grads)), list(map(_STRIDES, grads))


def span(a: Any) -> tuple[int, int]:
    """The addresses that a plain tensor lies between."""
    size = a.numel()
    if size and not a.is_contiguous():
        size = 1 + sum((n - 1) * s for n, s in zip(a.shape, a.stride(), strict=True))
    start = a.data_ptr()
    return start, start + size * a.element_size()
