"""What there is one of for each problem of a stack: floats for one problem that can be seen, else an array of them."""

from __future__ import annotations

from typing import Any

from . import namespace as _xp
from . import plain
from .namespace import Array, Namespace


class Numbers:
    """Lengths, steps and answers of the problems along the first ``batch`` axes.

    Of one problem they are floats, and ``of`` is the namespace of floats: a choice between two arrays is then a branch.
    """

    def __init__(self, xp: Namespace, batch: int, like: Array) -> None:
        self.xp, self.alone = xp, batch == 0 and _xp.visible(like)
        self.of: Any = plain if self.alone else xp

    def number(self, a: Array) -> Any:
        return float(a) if self.alone else a

    def whole(self, number: Any) -> Any:
        """The sum over all problems: a float where it can be seen."""
        found = number if self.alone else self.xp.sum(number)
        return float(found) if self.alone or _xp.visible(found) else found

    def ones(self, like: Any) -> Any:
        return 1.0 if self.alone else self.xp.ones_like(like)

    def each(self, number: Any, like: Array) -> Any:
        """Ready for arithmetic with arrays of the problems."""
        return number if self.alone else _xp.spread(self.xp, number, like)

    def choose(self, condition: Any, new: Array, old: Array) -> Array:
        """One or the other array for each problem."""
        if self.alone:
            return new if condition else old
        return self.xp.where(_xp.spread(self.xp, condition, old), new, old)


def floats(xp: Namespace, x: Array) -> list[float]:
    """The entries of an array that can be seen, in order."""
    if x.ndim == 0:
        return [float(x)]
    flat = x if x.ndim == 1 else xp.reshape(x, (-1,))
    if hasattr(flat, "tolist"):
        made: list[float] = flat.tolist()
        return made
    return [float(flat[i]) for i in range(flat.shape[0])]
