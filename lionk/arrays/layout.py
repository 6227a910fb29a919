"""Arrays seen as parts: slices along an axis (heads, experts), or matrices made of some of the axes (kernels).

Both only move entries, so that inner products and norms are kept.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from .namespace import Array, Namespace
from .value import Value, value_class

Part = tuple[Array, int]  # an array, and how many of its first axes count events


class Layout(Value, ABC):
    """How an array is taken apart: parts of one shape lie in one array, along axes between the batch and the event."""

    @abstractmethod
    def parts(self, xp: Namespace, x: Array, batch: int) -> list[Part]:
        """Arrays of parts. Raises ValueError where x cannot be taken apart so."""

    @abstractmethod
    def join(self, xp: Namespace, parts: list[Array], x: Array, batch: int) -> Array:
        """The inverse, for arrays as ``parts`` makes them of x."""

    @abstractmethod
    def shapes(self, shape: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
        """How many parts of which shape an event has."""

    @property
    @abstractmethod
    def whole(self) -> bool:
        """Is there one part, which has all entries?"""

    @property
    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """Name and parameters of the rule that has this layout."""


@value_class
class Axes(Layout):
    """Matrices whose rows are the axes ``rows`` and whose columns are the axes ``columns``; the other axes count them.

    None for one of the two: all axes that the other one leaves; () for none, which makes one row or column.
    """

    rows: tuple[int, ...] | None = (0,)
    columns: tuple[int, ...] | None = None

    @property
    def whole(self) -> bool:
        return self.rows is None or self.columns is None

    @property
    def spec(self) -> dict[str, Any]:
        if self == KERNEL:
            return {"name": "kernel_lift"}
        given = {"rows": self.rows, "columns": self.columns}
        return {"name": "matrix_lift", **{k: v for k, v in given.items() if v is not None}}

    def _sorted(self, ndim: int) -> tuple[list[int], list[int], list[int]]:
        """The axes of an event that count matrices, make the rows, and make the columns."""
        sides = []
        for name, axes in (("rows", self.rows), ("columns", self.columns)):
            for a in axes or ():
                if not -ndim <= a < ndim:
                    raise ValueError(f"{name} has the axis {a}, which an array of {ndim} dimension(s) does not have")
            sides.append(None if axes is None else [a % ndim for a in axes])
        taken = [a for side in sides for a in side or ()]
        if len(set(taken)) != len(taken):
            raise ValueError(f"rows={self.rows} and columns={self.columns} name an axis of {ndim} twice")
        rest = [a for a in range(ndim) if a not in taken]
        if self.whole and not rest:
            raise ValueError(
                f"a matrix needs axes for its rows and its columns, and an array of {ndim} dimension(s) has none left"
            )
        rows, columns = (rest if side is None else side for side in sides)
        return [] if self.whole else rest, rows, columns

    def parts(self, xp: Namespace, x: Array, batch: int) -> list[Part]:
        stack, rows, columns = self._sorted(x.ndim - batch)
        order = [*range(batch), *(a + batch for a in (*stack, *rows, *columns))]
        y = x if order == list(range(x.ndim)) else xp.permute_dims(x, tuple(order))
        sizes = (math.prod(x.shape[a + batch] for a in side) for side in (rows, columns))
        return [(xp.reshape(y, (*y.shape[: batch + len(stack)], *sizes)), batch + len(stack))]

    def join(self, xp: Namespace, parts: list[Array], x: Array, batch: int) -> Array:
        stack, rows, columns = self._sorted(x.ndim - batch)
        order = [*range(batch), *(a + batch for a in (*stack, *rows, *columns))]
        y = xp.reshape(parts[0], tuple(x.shape[a] for a in order))
        return y if order == list(range(x.ndim)) else xp.permute_dims(y, tuple(order.index(a) for a in range(x.ndim)))

    def shapes(self, shape: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
        count, *matrix = (math.prod(shape[a] for a in side) for side in self._sorted(len(shape)))
        return [(count, tuple(matrix))]


KERNEL = Axes()


@value_class
class Sections(Layout):
    """Slices along ``axis``: as many equal ones as ``sections`` says, or of the sizes that it lists."""

    axis: int
    sections: int | tuple[int, ...]

    @property
    def whole(self) -> bool:
        return self.sections == 1

    @property
    def spec(self) -> dict[str, Any]:
        return {"name": "block_lift", "axis": self.axis, "sections": self.sections}

    def sizes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The sizes of the slices of an event. ValueError where it has no such axis, or other sizes."""
        if not -len(shape) <= self.axis < len(shape):
            raise ValueError(f"axis {self.axis} does not exist in an array of {len(shape)} dimension(s)")
        n = shape[self.axis]
        if isinstance(self.sections, int):
            if n % self.sections:
                raise ValueError(
                    f"axis {self.axis} of an array of shape {shape} has {n} entries, which {self.sections} equal "
                    "sections do not divide; give the sizes of the sections, a list"
                )
            return (n // self.sections,) * self.sections
        if sum(self.sections) != n:
            raise ValueError(
                f"the sections {self.sections} make {sum(self.sections)}, and axis {self.axis} of an array of shape "
                f"{shape} has {n} entries"
            )
        return self.sections

    def parts(self, xp: Namespace, x: Array, batch: int) -> list[Part]:
        sizes, axis = self.sizes(tuple(x.shape[batch:])), self._axis(x, batch)
        if len(set(sizes)) == 1:
            y = xp.reshape(x, (*x.shape[:axis], len(sizes), sizes[0], *x.shape[axis + 1 :]))
            return [(xp.moveaxis(y, axis, batch), batch + 1)]
        slices = self._slices(x, sizes, axis)
        return [
            (xp.stack([s for s in slices if s.shape[axis] == size], axis=batch), batch + 1)
            for size in dict.fromkeys(sizes)
        ]

    def join(self, xp: Namespace, parts: list[Array], x: Array, batch: int) -> Array:
        sizes, axis = self.sizes(tuple(x.shape[batch:])), self._axis(x, batch)
        if len(parts) == 1:
            return xp.reshape(xp.moveaxis(parts[0], batch, axis), x.shape)
        found = dict(zip(dict.fromkeys(sizes), parts, strict=True))
        place = dict.fromkeys(sizes, 0)
        slices = []
        for size in sizes:
            slices.append(found[size][(slice(None),) * batch + (place[size], ...)])
            place[size] += 1
        return xp.concat(slices, axis=axis)

    def shapes(self, shape: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
        sizes, axis = self.sizes(shape), self.axis % len(shape)
        return [(sizes.count(n), (*shape[:axis], n, *shape[axis + 1 :])) for n in dict.fromkeys(sizes)]

    def _axis(self, x: Array, batch: int) -> int:
        return batch + self.axis % (x.ndim - batch)

    @staticmethod
    def _slices(x: Array, sizes: tuple[int, ...], axis: int) -> list[Array]:
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        return [x[(slice(None),) * axis + (slice(e - n, e), ...)] for n, e in zip(sizes, ends, strict=True)]


def axes(name: str, v: Any) -> tuple[int, ...] | None:
    """Some axes, from one or a sequence. Raises TypeError, naming the parameter."""
    if v is None:
        return None
    given = tuple(v) if isinstance(v, (list, tuple)) else (v,)
    if not all(isinstance(a, int) and not isinstance(a, bool) for a in given):
        raise TypeError(f"{name} must be an axis, a list of axes or None, got {v!r}")
    return given


def sections(v: Any) -> int | tuple[int, ...]:
    """A number of equal sections, or their sizes. Raises TypeError or ValueError."""
    sizes = tuple(v) if isinstance(v, (list, tuple)) else (v,)
    if not sizes or not all(isinstance(n, int) and not isinstance(n, bool) for n in sizes):
        raise TypeError(f"sections must be a whole number, or a list of the sizes of the sections, got {v!r}")
    if min(sizes) < 1:
        raise ValueError(f"sections must be at least 1, or sizes of at least 1, got {v!r}")
    return sizes if isinstance(v, (list, tuple)) else v
