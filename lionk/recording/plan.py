"""What the plan of every library needs: operations on numbers, buffers, and arrays in their order in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from threading import local
from typing import Any, Generic, TypeVar

from .emit import Arrays
from .program import COMPARISONS, LOGICAL, PARTS, PYTHON, TESTS, UNARY

T = TypeVar("T")
CALLED = ("where", "maximum", "minimum", "hypot", "atan2")


def meaning(called: Callable[[str], Any], compared: Callable[[str], Any] | None = None, **own: Any) -> dict[str, Any]:
    """Operations on numbers by name: those of Python where they are Python's, as in the reference.

    ``called`` gives the library's function of a name, ``compared`` its comparisons where they are not Python's; ``own``
    says what the constants, the dtypes and the reductions of columns are.
    """
    return {
        **{op: called(op) for op in (*UNARY, *TESTS, *LOGICAL, *CALLED)},
        **PYTHON,
        **({op: compared(op) for op in COMPARISONS} if compared else {}),
        **PARTS,
        **own,
    }


class Known(Generic[T]):
    """What is known before the first pass, found again only where lr or weight decay is another one."""

    def __init__(self, find: Callable[..., T]) -> None:
        """``find(lr, weight_decay, *keys)``: what can be known without the arrays."""
        self._find = find
        self._last: Any = (None, None)

    def __call__(self, lr: Any, weight_decay: Any, *keys: int) -> T:
        if not (type(lr) is type(weight_decay) is float):  # an array may change its value
            return self._find(lr, weight_decay, *keys)
        key, found = self._last
        if key != (lr, weight_decay, *keys):
            found = self._find(lr, weight_decay, *keys)
            self._last = (lr, weight_decay, *keys), found
        return found


class Buffers:
    """Arrays that each thread keeps for the passes it makes: ``take`` gives those of a pass, in the shape of a tile."""

    def __init__(self, make: Callable[[int, Any], Any], limit: int) -> None:
        """``make(size, dtype)`` is a new array; ``limit``: the entries of a tile, for which there is room to spare."""
        self._make, self._limit, self._own = make, limit, local()

    def take(self, key: Any, dtypes: Sequence[Any], shape: tuple[int, ...]) -> list[Any]:
        every: dict[Any, list[Any]] = self._own.__dict__
        found = every.get((key, shape))
        if found is None:
            size = math.prod(shape)
            room = max(size, min(self._limit, 1 << (size - 1).bit_length()))  # a slice may be longer than a tile
            if (key, room) not in every:
                every[key, room] = [self._make(room, d) for d in dtypes]
            found = every[key, shape] = [b[:size].reshape(shape) for b in every[key, room]]
        return found


def in_order(
    arrays: Arrays, strides: Sequence[int], turn: Callable[[Any, list[int]], Any], whole: Callable[[Any], bool]
) -> Callable[[Any], Any]:
    """What sees arrays that lie like these with one axis, if there is one common order in memory; else with the slowest
    axis first.

    ``strides`` are those of the first, ``turn`` permutes axes, and ``whole`` says whether an array is contiguous.
    """
    axes = sorted(range(len(strides)), key=lambda k: -abs(strides[k]))

    def turned(a: Any) -> Any:
        return a if axes == [*range(len(axes))] else turn(a, axes)

    flat = all(whole(turned(a)) for a in arrays)
    return (lambda a: turned(a).reshape(-1)) if flat else turned
