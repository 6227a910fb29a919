"""The namespace of NumPy without wrappers around its functions, which cost an array of a few entries more than the
functions themselves.

NumPy follows the standard by itself; array_api_compat adds what it lacks, and checks. What comes out is the same, bit
for bit.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from array_api_compat import is_numpy_namespace

# What NumPy has itself as the standard asks for it, and the operations that its reductions repeat.
OWN = (
    "arange", "asarray", "empty", "empty_like", "eye", "finfo", "full", "full_like", "linspace", "matmul",
    "ones", "zeros",
)  # fmt: skip
REDUCTIONS = {"sum": "add", "max": "maximum", "min": "minimum", "all": "logical_and", "any": "logical_or"}

_MADE: dict[ModuleType, ModuleType] = {}


def unwrapped(xp: Any) -> Any:
    """This namespace of array_api_compat, with NumPy's own functions if it is that of NumPy."""
    if not isinstance(xp, ModuleType):
        return xp
    if xp not in _MADE:
        made = _numpy(xp) if is_numpy_namespace(xp) else xp
        _MADE[xp] = _MADE[made] = made
    return _MADE[xp]


def _numpy(xp: Any) -> ModuleType:
    own: Any = sys.modules["numpy"]
    made = ModuleType(xp.__name__)
    vars(made).update({**vars(xp), **{name: getattr(own, name) for name in OWN}})

    def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
        return own.zeros(x.shape, x.dtype if dtype is None else dtype)

    def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
        return own.ones(x.shape, x.dtype if dtype is None else dtype)

    def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
        return x.astype(dtype, copy=copy)

    def flip(x: Any, /, *, axis: Any = None) -> Any:
        return x[..., ::-1] if axis == -1 else xp.flip(x, axis=axis)

    def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
        made = x.copy()
        made.sort(axis, "stable")
        return flip(made, axis=axis) if descending else made

    def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
        if not descending:
            return x.argsort(axis, "stable")
        return x.shape[axis] - 1 - flip(flip(x, axis=axis).argsort(axis, "stable"), axis=axis)  # ties in their order

    def cumulative_sum(x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Any:
        if axis is None or include_initial:
            return xp.cumulative_sum(x, axis=axis, dtype=dtype, include_initial=include_initial)
        return x.cumsum(axis, dtype)

    def moveaxis(x: Any, source: Any, destination: Any, /) -> Any:
        return x if source == destination else xp.moveaxis(x, source, destination)

    def reshape(x: Any, /, shape: Any, *, copy: Any = None) -> Any:
        return x.reshape(shape) if copy is None else xp.reshape(x, shape, copy=copy)

    def take(x: Any, indices: Any, /, *, axis: Any = None) -> Any:
        return x.take(indices, axis)

    for f in (zeros_like, ones_like, astype, flip, sort, argsort, cumulative_sum, moveaxis, reshape, take):
        setattr(made, f.__name__, f)
    for name, ufunc in REDUCTIONS.items():
        setattr(made, name, _reduction(getattr(own, ufunc).reduce))
    return made


def _reduction(reduce: Any) -> Any:
    def reduction(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        return reduce(x, axis, dtype, None, keepdims)

    return reduction
