"""What of an array's shape a record depends on."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..arrays.layout import KERNEL
from ..functions.base import ConvexFunction
from ..functions.calculus.parts import PartLift
from ..optimizer.lion_k import LionK


class Extent(NamedTuple):
    """What of an array's shape a record depends on.

    ``shape``: None for a record of entries, (n,) for one of all n entries, (1, ..., 1, n) for one of each slice with n
    entries along the axis ``along``, which counts as the last. ``many``: is there more than one slice?
    """

    shape: tuple[int, ...] | None
    along: int | None = None
    many: bool = False

    @classmethod
    def of(cls, opt: LionK, K: ConvexFunction, shape: tuple[int, ...]) -> Extent:
        """The extent of a step with this K on arrays of this shape."""
        structure, along, ndim = K.traits.structure, K.traits.along, len(shape)
        if opt.whole:
            return cls((math.prod(shape),))
        if structure == "elementwise":
            return cls(None)
        if structure == "rowwise" and along is not None and -ndim <= along < ndim:
            n = shape[along]
            return cls((1,) * (ndim - 1) + (n,), along % ndim, math.prod(shape) != n)
        return cls((math.prod(shape),))

    def viewed(self, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arrays with as many axes as the record: of contiguous ones that are ``seen`` as matrices, views."""
        if self.shape is None or self.along is None or arrays[0].ndim == len(self.shape):
            return arrays
        return tuple(a.reshape((-1, self.shape[-1]) if self.along else (self.shape[-1], -1)) for a in arrays)


def seen(opt: LionK, K: ConvexFunction, shape: tuple[int, ...], contiguous: bool) -> tuple[ConvexFunction, Extent]:
    """The function whose step is recorded for an array of this shape, and the extent of the record.

    Contiguous arrays are seen as matrices where that is the same step: convolution kernels are matrices by definition;
    slices along the last of many axes, or the first one, are rows or columns.
    """
    if contiguous and isinstance(K, PartLift) and K.layout == KERNEL and len(shape) > 1:
        K, shape = K.inner, (shape[0], math.prod(shape[1:]))
    elif contiguous and K.traits.structure == "rowwise" and len(shape) > 2 and K.traits.along in (0, -1):
        rows = shape[:-1] if K.traits.along else shape[:1]
        shape = (math.prod(rows), math.prod(shape[len(rows) :]))
    return K, Extent.of(opt, K, shape)
