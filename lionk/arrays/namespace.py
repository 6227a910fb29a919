"""What every module needs from the Array API: namespaces, checks, and reductions that cannot overflow.

Convention used by all private hooks: the first ``batch`` axes of an array are independent problems, the axes
after them are the argument of the function (the "event"). ``batch = 0`` is the whole array as one argument,
``batch = ndim`` is every entry on its own.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

from array_api_compat import array_namespace as array_namespace
from array_api_compat import device as _device
from array_api_compat import is_array_api_obj as is_array_api_obj

Array = Any
Namespace = Any

# By the name of a namespace that cannot sort, or would gather the array: its own (x, k) -> (cut, above, at), and its
# own (x, k) -> the k largest entries.
ORDER_STATISTIC: dict[str, Any] = {}
LARGEST: dict[str, Any] = {}


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
        return array_namespace(*arrays)
    except TypeError as error:
        raise TypeError(f"{name} are arrays of different libraries; convert them to one ({error})") from error


def device(x: Array) -> Any:
    """Where new arrays go beside x; None if it lies on several devices, of which JAX tells the sharding."""
    found = _device(x)
    return None if len(getattr(found, "device_set", ())) > 1 else found


class Kind:
    """What is known of the arrays of one type and dtype, looked up once: their library, and facts of the dtype."""

    __slots__ = (
        "chunked",
        "complex",
        "computed",
        "differentiable",
        "eps",
        "integer",
        "low",
        "real",
        "real_dtype",
        "sign",
        "xp",
    )

    def __init__(self, xp: Namespace, x: Array) -> None:
        dtype = x.dtype
        self.xp = xp
        self.chunked = hasattr(x, "chunks")
        self.differentiable = type(x).__module__.startswith(("torch", "jax"))
        own = x.__array_namespace__() if hasattr(x, "__array_namespace__") else xp
        self.sign = own.sign  # of real arrays: where the library follows the standard, its own needs no wrapper
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


_KINDS: dict[Any, Kind] = {}


def kind(x: Array, name: str = "x") -> Kind:
    """What is known of arrays like x. Raises the TypeError of ``namespace`` if x is no array."""
    try:
        return _KINDS[type(x), x.dtype]
    except (AttributeError, KeyError, TypeError):  # no array; not seen yet
        xp = namespace(x, name=name)
    found = Kind(xp, x)
    if isinstance(xp, ModuleType):  # and not the namespace of one record
        _KINDS[type(x), x.dtype] = found
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


def check_floating(xp: Namespace, x: Array, name: str = "x") -> None:
    """See ``floating``."""
    floating(x, name)


def is_complex(xp: Namespace, x: Array) -> bool:
    return kind(x).complex


def is_real(xp: Namespace, x: Array) -> bool:
    return kind(x).real


def is_integer(xp: Namespace, x: Array) -> bool:
    return kind(x).integer


def _isdtype(xp: Namespace, dtype: Any, kind: str) -> bool:
    try:
        return bool(xp.isdtype(dtype, kind))
    except TypeError:  # a dtype from outside the library, such as ml_dtypes.bfloat16 in NumPy
        return False


def real_dtype(xp: Namespace, x: Array) -> Any:
    """The dtype of ``abs(x)``."""
    return kind(x).real_dtype


def eps(xp: Namespace, x: Array) -> float:
    """Machine epsilon of x's real dtype."""
    return kind(x).eps


def is_low_precision(xp: Namespace, x: Array) -> bool:
    """float16 and bfloat16 (and narrower): computed in float32 and rounded once."""
    return kind(x).low


def astype(xp: Namespace, x: Array, dtype: Any) -> Array:
    return x if x.dtype == dtype else xp.astype(x, dtype)


def parameter(xp: Namespace, value: Any, like: Array, name: str = "parameter") -> Any:
    """A parameter ready for arithmetic with ``like``: numbers stay numbers, tuples become arrays, arrays are cast."""
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, tuple):
        return xp.asarray(value, dtype=real_dtype(xp, like), device=device(like))
    if namespace(value, name=name) is not xp:
        raise TypeError(f"{name} is an array of another library than the argument; move the function with K.to(like=x)")
    if is_complex(xp, value) and not is_complex(xp, like):
        raise TypeError(f"{name} is complex but the argument is real; convert the argument first")
    return astype(xp, value, like.dtype if is_complex(xp, value) else real_dtype(xp, like))


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
    """Append axes to a reduced array, so that it broadcasts against the events of ``x``."""
    return xp.reshape(r, tuple(r.shape) + (1,) * (x.ndim - r.ndim)) if x.ndim > r.ndim else r


def total(xp: Namespace, x: Array, batch: int) -> Array:
    """Sum over the event (0 if it is empty)."""
    axes = tuple(range(batch, x.ndim))
    return xp.sum(x, axis=axes) if axes else x


def peak(xp: Namespace, x: Array, batch: int) -> Array:
    """``max |x|`` over the event (0 if it is empty)."""
    r = xp.abs(x)
    axes = tuple(range(batch, r.ndim))
    if not axes:
        return r
    if event_size(x, batch) == 0:
        return xp.sum(r, axis=axes)
    return xp.max(r, axis=axes)


def kth_largest(xp: Namespace, x: Array, k: int, batch: int) -> Array:
    """The k-th largest entry of the event, 1 <= k <= n; NaN counts as larger than all."""
    own = None if batch or k == 1 else ORDER_STATISTIC.get(xp.__name__)
    if own is not None:
        return own(x, k)[0]
    if k == 1:
        axes = tuple(range(batch, x.ndim))
        return xp.max(x, axis=axes) if axes else x
    ordered = xp.sort(flat(xp, x, batch), axis=-1)
    return ordered[..., ordered.shape[-1] - k]


def order_statistic(xp: Namespace, x: Array, k: int, batch: int) -> tuple[Array, Array, Array]:
    """The k-th largest entry, how many are larger, and how many equal it; both counts in x's dtype."""
    own = None if batch or k == 1 else ORDER_STATISTIC.get(xp.__name__)
    if own is not None:
        found: tuple[Array, Array, Array] = own(x, k)
        return found
    cut = kth_largest(xp, x, k, batch)
    level = spread(xp, cut, x)
    above, at = (total(xp, xp.astype(b, x.dtype), batch) for b in (x > level, x == level))
    return cut, above, at


def largest(xp: Namespace, x: Array, k: int, batch: int) -> Array:
    """The k largest entries of the event in descending order, along one axis; NaN counts as larger than all."""
    own = None if batch else LARGEST.get(xp.__name__)
    return own(x, k) if own else xp.sort(flat(xp, x, batch), axis=-1, descending=True)[..., :k]


RUN = 32  # entries that are added one after another


def running_sum(xp: Namespace, x: Array) -> Array:
    """``x[..., 0] + ... + x[..., i]``, by blocks of blocks: the error grows with the logarithm of the length."""
    n = x.shape[-1]
    if n <= RUN:
        return xp.cumulative_sum(x, axis=-1)
    short = -n % RUN
    z = xp.concat([x, xp.zeros_like(x[..., :short])], axis=-1) if short else x
    within = xp.cumulative_sum(xp.reshape(z, (*x.shape[:-1], (n + short) // RUN, RUN)), axis=-1)
    through = running_sum(xp, within[..., -1])
    before = xp.concat([xp.zeros_like(through[..., :1]), through[..., :-1]], axis=-1)
    return xp.reshape(within + before[..., None], (*x.shape[:-1], n + short))[..., :n]


def sums_from_end(xp: Namespace, x: Array) -> Array:
    """``x[..., i] + x[..., i+1] + ...``"""
    return xp.flip(running_sum(xp, xp.flip(x, axis=-1)), axis=-1)


def widest(xp: Namespace, x: Array) -> Any:
    """The real dtype with the most digits that the library has where x lies."""
    dtypes = xp.__array_namespace_info__().dtypes(kind="real floating", device=device(x))
    return dtypes.get("float64", xp.float32)


def slack(xp: Namespace, x: Array, batch: int) -> float:
    """What rounding makes of a sum over the event, relative to the sum of the magnitudes: a bound with room."""
    return (8 + math.log2(max(event_size(x, batch), 2))) * eps(xp, x)


def scaled_map(xp: Namespace, f: Any, factor: Any, y: Array) -> Array:
    """``factor f(y/factor)``, with the entries that f leaves as they are bit for bit."""
    z = y / factor
    moved = f(z)
    return xp.where(moved == z, y, factor * moved)


def unit_scale(xp: Namespace, x: Array, batch: int) -> Array:
    """``max |x|`` where it can be divided by, else 1: dividing by it first keeps squares and powers in range."""
    m = peak(xp, x, batch)
    return xp.where((m > 0) & (m < math.inf), m, xp.ones_like(m))


def norm(xp: Namespace, x: Array, batch: int = 0) -> Array:
    """Euclidean norm of the event, safe from overflow and underflow."""
    m = unit_scale(xp, x, batch)
    return m * unit_norm(xp, x / spread(xp, m, x), batch)


def unit_norm(xp: Namespace, x: Array, batch: int) -> Array:
    """``norm`` where the largest entry is 1 already, or all are 0."""
    r = xp.abs(x)
    return xp.sqrt(total(xp, r * r, batch))


def inner(xp: Namespace, x: Array, y: Array, batch: int = 0) -> Array:
    """``Re <x, y>`` over the event."""
    if kind(x).complex or kind(y).complex:
        return total(xp, xp.real(xp.conj(x) * y), batch)
    return total(xp, x * y, batch)


def sign(xp: Namespace, x: Array) -> Array:
    """The standard's sign: ``x/|x|`` for complex x, 0 at 0, and no library warns there."""
    of = kind(x)
    if of.complex:
        return divide(xp, x, xp.astype(xp.abs(x), x.dtype))
    return of.sign(x) if xp is of.xp else xp.sign(x)  # that of a namespace around the library, for pieces of arrays


def divide(xp: Namespace, x: Array, y: Array) -> Array:
    """``x / y``, and 0 where y is 0."""
    zero = y == 0
    return xp.where(zero, xp.zeros_like(x), x / xp.where(zero, xp.ones_like(y), y))


def only_nan(xp: Namespace, x: Array) -> Array:
    """Zeros, with x's NaN kept."""
    return xp.where(xp.isnan(x), x, xp.zeros_like(x))


def poison(xp: Namespace, x: Array, batch: int) -> Array:
    """What the entries that are not finite make of a nonnegative measure: NaN, inf, or 0 if there are none."""
    return peak(xp, xp.where(xp.isfinite(x), xp.zeros_like(x), x), batch)


def finite(xp: Namespace, x: Array) -> Array:
    """x with 0 for NaN and infinite entries: for a projection whose result is not used where they are."""
    return xp.where(xp.isfinite(x), x, xp.zeros_like(x))
