"""What every module needs from the Array API: namespaces, checks, and reductions that cannot overflow.

Convention used by all private hooks: the first ``batch`` axes of an array are independent problems, the axes
after them are the argument of the function (the "event"). ``batch = 0`` is the whole array as one argument,
``batch = ndim`` is every entry on its own.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from operator import matmul
from types import ModuleType
from typing import Any

from array_api_compat import array_namespace as array_namespace
from array_api_compat import device as _device
from array_api_compat import is_array_api_obj as is_array_api_obj

from .unwrapped import unwrapped as unwrapped

Array = Any
Namespace = Any


def namespace(*arrays: Array, name: str = "x") -> Namespace:
    """The compat namespace of the arrays; a TypeError that names the argument if they are not arrays.

    Masked arrays are none: what is masked has no meaning here.
    """
    for a in arrays:
        if not is_array_api_obj(a):
            raise TypeError(
                f"{name} must be an array of an Array API library (NumPy, PyTorch, JAX, CuPy, Dask), got "
                f"{type(a).__name__}; wrap it, e.g. numpy.asarray({name}, dtype=float)"
            )
        if hasattr(a, "mask") and hasattr(a, "filled"):
            raise TypeError(
                f"{name} is a masked array, and its mask would be ignored: fill it, {name}.filled(0.0), or take the "
                f"entries that count, {name}.compressed()"
            )
    try:
        return unwrapped(array_namespace(*arrays))
    except TypeError as error:
        raise TypeError(f"{name} are arrays of different libraries; convert them to one ({error})") from error


def device(x: Array) -> Any:
    """Where new arrays go beside x; None if it lies on several devices, of which JAX tells the sharding."""
    if kind(x).ufuncs is not None:
        return "cpu"
    found = _device(x)
    return None if len(getattr(found, "device_set", ())) > 1 else found


class Kind:
    """What is known of the arrays of one type and dtype, looked up once: their library, and facts of the dtype."""

    __slots__ = (
        "all",
        "any",
        "asarray",
        "chunked",
        "complex",
        "computed",
        "differentiable",
        "dot",
        "eps",
        "integer",
        "low",
        "max",
        "min",
        "real",
        "real_dtype",
        "sign",
        "sum",
        "ufuncs",
        "vecdot",
        "visible",
        "xp",
    )

    def __init__(self, xp: Namespace, x: Array) -> None:
        dtype = x.dtype
        self.xp = xp
        self.chunked = hasattr(x, "chunks")
        library, name = type(x).__module__.partition(".")[0], type(x).__name__
        seen = library in ("numpy", "array_api_strict") or name == "ArrayImpl"
        self.visible = None if library == "torch" else seen  # to a branch; None: each array has to be asked
        self.differentiable = type(x).__module__.startswith(("torch", "jax"))
        own = x.__array_namespace__() if hasattr(x, "__array_namespace__") else xp
        self.sign, self.asarray = own.sign, own.asarray  # of a library that follows the standard, without a wrapper
        self.ufuncs = own if type(x).__module__ == "numpy" else None  # NumPy's, without a wrapper
        self.dot = matmul if self.ufuncs is None else own.ndarray.dot  # of two vectors: half the time of NumPy's matmul
        self.vecdot = None if self.ufuncs is None else xp.vecdot  # of stacks of them, bit for bit the same
        self.sum, self.max, self.min, self.all, self.any = _reductions(xp, self.ufuncs)
        self.real = _isdtype(xp, dtype, "real floating")
        self.complex = _isdtype(xp, dtype, "complex floating")
        self.integer = _isdtype(xp, dtype, "integral")
        self.real_dtype = dtype  # of ``abs(x)``
        if self.complex:
            self.real_dtype = xp.float32 if dtype == xp.complex64 else xp.float64
        info = xp.finfo(self.real_dtype) if self.real or self.complex else None
        self.eps = 0.0 if info is None else float(info.eps)  # of the real dtype
        self.low = self.real and info is not None and int(info.bits) < 32  # computed in float32 and rounded once
        self.computed = xp.float32 if self.low else dtype


def _reductions(xp: Namespace, ufuncs: Any) -> list[Any]:
    """Sum, extremes, "all" and "any" over some axes, ``(x, axes)``: of NumPy its ufuncs', which its functions wrap."""
    if ufuncs is not None:
        return [getattr(ufuncs, name).reduce for name in ("add", "maximum", "minimum", "logical_and", "logical_or")]
    return [lambda x, axes, f=f: f(x, axis=axes) for f in (xp.sum, xp.max, xp.min, xp.all, xp.any)]


_KINDS: dict[Any, Kind] = {}
ARRAYS: set[type] = set()  # the types of arrays that were seen


def seen(x: Any) -> Kind | None:
    """``kind(x)`` if such an array was seen before; None for all that may be no array."""
    try:
        return _KINDS.get((type(x), x.dtype))
    except (AttributeError, TypeError):
        return None


def kind(x: Array, name: str = "x") -> Kind:
    """What is known of arrays like x. Raises the TypeError of ``namespace`` if x is no array."""
    try:
        return _KINDS[type(x), x.dtype]
    except (AttributeError, KeyError, TypeError):  # no array; not seen yet
        xp = namespace(x, name=name)
    found = Kind(xp, x)
    if isinstance(xp, ModuleType):  # and not the namespace of one record
        _KINDS[type(x), x.dtype] = found
        ARRAYS.add(type(x))
    return found


def floating(x: Array, name: str = "x") -> Kind:
    """``kind``, which refuses integers and booleans: a convex function is evaluated in real or complex arithmetic."""
    found = kind(x, name)
    if not (found.real or found.complex):
        raise TypeError(
            f"{name} has dtype {x.dtype}, a floating-point dtype is needed; convert it first, e.g. "
            f"xp.astype({name}, xp.float32)"
        )
    if found.chunked and any(n != n for n in x.shape):  # NaN: the size of a chunk is not known
        raise ValueError(
            f"{name} has chunks of unknown size, shape {tuple(x.shape)}: call {name}.compute_chunk_sizes() first"
        )
    return found


def is_complex(x: Array) -> bool:
    return kind(x).complex


def is_real(x: Array) -> bool:
    return kind(x).real


def is_integer(x: Array) -> bool:
    return kind(x).integer


def _isdtype(xp: Namespace, dtype: Any, kind: str) -> bool:
    try:
        return bool(xp.isdtype(dtype, kind))
    except TypeError:  # a dtype from outside the library, such as ml_dtypes.bfloat16 in NumPy
        return False


def real_dtype(x: Array) -> Any:
    """The dtype of ``abs(x)``."""
    return kind(x).real_dtype


def eps(x: Array) -> float:
    """Machine epsilon of x's real dtype."""
    return kind(x).eps


def is_low_precision(x: Array) -> bool:
    """float16 and bfloat16 (and narrower): computed in float32 and rounded once."""
    return kind(x).low


def astype(xp: Namespace, x: Array, dtype: Any) -> Array:
    return x if x.dtype == dtype else xp.astype(x, dtype)


def parameter(xp: Namespace, value: Any, like: Array, name: str = "parameter") -> Any:
    """A parameter ready for arithmetic with ``like``: numbers stay numbers, tuples become arrays, arrays are cast."""
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, tuple):
        return xp.asarray(value, dtype=real_dtype(like), device=device(like))
    if namespace(value, name=name) is not xp:
        raise TypeError(f"{name} is an array of another library than the argument; move the function with K.to(like=x)")
    if is_complex(value) and not is_complex(like):
        raise TypeError(f"{name} is complex but the argument is real; convert the argument first")
    return astype(xp, value, like.dtype if is_complex(value) else real_dtype(like))


def unlike(made: Any, x: Array) -> str:
    """What a user's function of x made, if it is no array of x's shape; else empty."""
    shape = getattr(made, "shape", None)
    if shape is None:
        return type(made).__name__
    return "" if tuple(shape) == tuple(x.shape) else f"shape {tuple(shape)}"


def event_size(x: Array, batch: int) -> int:
    return math.prod(x.shape[batch:])


def flat(xp: Namespace, x: Array, batch: int) -> Array:
    """The event as one axis: shape ``x.shape[:batch] + (n,)``."""
    shape = (*x.shape[:batch], event_size(x, batch))
    return x if x.shape == shape else xp.reshape(x, shape)


def spread(xp: Namespace, r: Array, x: Array) -> Array:
    """Append axes to a reduced array, so that it broadcasts against the events of ``x``; one number does so anyway."""
    return xp.reshape(r, tuple(r.shape) + (1,) * (x.ndim - r.ndim)) if x.ndim > r.ndim > 0 else r


def beside(xp: Namespace, t: Any, z: Array) -> Any:
    """A step t to broadcast against z, which has as many problems; a number does so anyway."""
    return xp.reshape(t, (t.shape[0],) + (1,) * (z.ndim - 1)) if getattr(t, "ndim", 0) else t


def scaled_map(xp: Namespace, f: Any, factor: Any, y: Array) -> Array:
    """``factor f(y/factor)``, with the entries that f leaves as they are bit for bit."""
    z = y / factor
    moved = f(z)
    return xp.where(moved == z, y, factor * moved)


def sign(xp: Namespace, x: Array) -> Array:
    """The standard's sign: ``x/|x|`` for complex x, 0 at 0, and no library warns there."""
    of = kind(x)
    if of.complex:
        return divide(xp, x, xp.astype(xp.abs(x), x.dtype))
    return of.sign(x) if xp is of.xp else xp.sign(x)  # that of a namespace around the library, for pieces of arrays


_NUMBERS = {float, int, type(None)}


def clip(xp: Namespace, x: Array, low: Any, high: Any) -> Array:
    """The standard's clip, for bounds in x's dtype: by NumPy's own functions, its wrapper costs ten times more."""
    own = kind(x)
    if own.ufuncs is None or xp is not own.xp:
        return xp.clip(x, low, high)
    if _NUMBERS.issuperset((type(low), type(high))):
        return x.clip(low, high)
    x = x if low is None else own.ufuncs.maximum(x, low)
    return x if high is None else own.ufuncs.minimum(x, high)


def between(xp: Namespace, x: Array, bound: float) -> Array:
    """``clip(x, -bound, bound)`` of a bound > 0: by two extremes in NumPy, whose clip costs a small array more."""
    ufuncs = kind(x).ufuncs
    return xp.clip(x, -bound, bound) if ufuncs is None else ufuncs.minimum(ufuncs.maximum(x, -bound), bound)


def zero(xp: Namespace, v: Array) -> Array:
    """0 like one value; NumPy's ``zeros_like`` costs it more than all other operations on it."""
    return v.dtype.type(0) if kind(v).ufuncs is not None else xp.zeros_like(v)


def divide(xp: Namespace, x: Array, y: Array) -> Array:
    """``x / y``, and 0 where y is 0: by a branch where y is one number of NumPy's."""
    if y.ndim == 0 and kind(y).ufuncs is not None:
        return x / y if y != 0 else xp.zeros_like(x)
    zero = y == 0
    return xp.where(zero, xp.zeros_like(x), x / xp.where(zero, xp.ones_like(y), y))


def only_nan(xp: Namespace, x: Array) -> Array:
    """Zeros, with x's NaN kept."""
    return xp.where(xp.isnan(x), x, xp.zeros_like(x))


def finite(xp: Namespace, x: Array) -> Array:
    """x with 0 for NaN and infinite entries: for a projection whose result is not used where they are."""
    good = xp.isfinite(x)
    if x.ndim == 0 and kind(x).ufuncs is not None:
        return x if good else zero(xp, x)
    return xp.where(good, x, xp.zeros_like(x))


def has_loop(*arrays: Array) -> bool:
    """Is a loop one operation of their library? In a program of JAX it is, and must be: its compiler takes its time for
    each copy of a step, hours for nested ones.
    """
    return "jax" in sys.modules and any(type(a).__module__.partition(".")[0] == "jax" for a in arrays)


def looped(step: Callable[[tuple[Any, ...]], tuple[Any, ...]], state: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """``state = step(state)``, ``count`` times, for arrays that cannot be looked at and keep their shapes."""
    if has_loop(*state):
        made: tuple[Any, ...] = sys.modules["jax"].lax.fori_loop(0, count, lambda _, s: step(s), state)
        return made
    for _ in range(count):
        state = step(state)
    return state


def visible(x: Array, *more: Array) -> bool:
    """Can a branch look at these arrays without waiting for a device, and without breaking a trace?"""
    if more:
        return all(map(visible, (x, *more)))
    known = kind(x).visible
    if known is not None:
        return known
    torch = sys.modules["torch"]
    plain = type(x) is torch.Tensor or type(x) is torch.nn.Parameter
    if not plain or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return x.device.type == "cpu" and not torch._C._functorch.is_functorch_wrapped_tensor(x)


def positive(xp: Namespace, v: Array) -> Array:
    """``max(v, 0)``, by a branch where v is one value that can be seen."""
    if v.ndim == 0 and visible(v):
        return v if not v < 0 else v - v if v > -math.inf else xp.zeros_like(v)
    return xp.maximum(v, 0.0)


def cut(xp: Namespace, x: Array) -> Array:
    """x with large numbers, whose squares are finite, for its infinite entries."""
    if is_complex(x):
        return xp.where(xp.isinf(x), xp.zeros_like(x), x)
    far = float(xp.finfo(x.dtype).max) ** 0.25
    return xp.where(xp.isinf(x), far * xp.sign(x), x)
