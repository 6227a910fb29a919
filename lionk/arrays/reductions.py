"""Reductions over the event of an array that cannot overflow: sums, extremes, norms, order statistics.

The first ``batch`` axes are independent problems, as everywhere in private hooks; see ``namespace``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .namespace import Array, Namespace, astype, cut, device, eps, event_size, finite, flat, kind, spread, visible

# By the name of a namespace that cannot sort, or would gather the array: its own (x, k) -> (cut, above, at), and its
# own (x, k) -> the k largest entries.
ORDER_STATISTIC: dict[str, Any] = {}

LARGEST: dict[str, Any] = {}

RUN = 32  # entries that are added one after another
AXES = tuple(range(64))  # those of an event are a part of it


def total(xp: Namespace, x: Array, batch: int) -> Array:
    """Sum over the event (0 if it is empty)."""
    axes = AXES[batch : x.ndim]
    if not axes:
        return x
    own = kind(x)
    return own.sum(x, axes) if own.xp is xp else xp.sum(x, axis=axes)


def peak(xp: Namespace, x: Array, batch: int) -> Array:
    """``max |x|`` over the event (0 if it is empty)."""
    r = xp.abs(x)
    axes = AXES[batch : r.ndim]
    if not axes:
        return r
    if 0 in x.shape and event_size(x, batch) == 0:
        return xp.sum(r, axis=axes)
    own = kind(r)
    return own.max(r, axes) if own.xp is xp else xp.max(r, axis=axes)


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
    return (8 + math.log2(max(event_size(x, batch), 2))) * eps(x)


def unit_scale(xp: Namespace, x: Array, batch: int) -> Array:
    """``max |x|`` where it can be divided by, else 1: dividing by it first keeps squares and powers in range."""
    m = peak(xp, x, batch)
    if m.ndim == 0 and visible(m):
        return m if 0 < m < math.inf else xp.ones_like(m)
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
    """``Re <x, y>`` over the event; 16-bit arrays are multiplied and summed in float32."""
    if (own := kind(x)).low or own.complex or kind(y).complex:
        return _inner_of(xp, x, y, batch)
    return total(xp, x * y, batch)


def _inner_of(xp: Namespace, x: Array, y: Array, batch: int) -> Array:
    """``inner`` of complex arrays, or of 16-bit ones."""
    a, b = kind(x), kind(y)
    if a.complex or b.complex:
        return total(xp, xp.real(xp.conj(x) * y), batch)
    return total(xp, astype(xp, x, a.computed) * astype(xp, y, b.computed), batch)


def magnitude(xp: Namespace, x: Array) -> Array:
    """``|x|``, 0 where it is not finite: as a share of a bound on rounding."""
    return xp.abs(finite(xp, x))


def products(xp: Namespace, x: Array, s: Array, batch: int) -> Array:
    """``sum |x_i s_i|`` over the finite entries of both."""
    return total(xp, magnitude(xp, x) * magnitude(xp, s), batch)


def norms(xp: Namespace, x: Array, s: Array, batch: int) -> Array:
    """``|x| |s|`` of the finite entries of both."""
    return norm(xp, finite(xp, x), batch) * norm(xp, finite(xp, s), batch)


def poison(xp: Namespace, x: Array, batch: int) -> Array:
    """What the entries that are not finite make of a nonnegative measure: NaN, inf, or 0 if there are none."""
    return peak(xp, xp.where(xp.isfinite(x), xp.zeros_like(x), x), batch)


def none(a: Array) -> bool:
    """Is it certain that no entry is true? An array made under a trace is not looked at."""
    return visible(a) and not bool(kind(a).any(a, None))


def some(a: Array) -> bool:
    """Is it certain that an entry is true? An array made under a trace is not looked at."""
    return visible(a) and bool(kind(a).any(a, None))


def limit(xp: Namespace, f: Callable[[Array], Array], sizes: Callable[[Array], Array], x: Array) -> Array:
    """f(x), f linear; where entries of x are infinite, its limit as large numbers in their place grow alike.

    ``sizes(|x|)``: what the rounding of f(x) is relative to, entry by entry.
    """
    if kind(x).complex or none(xp.isinf(x)):
        return f(x)
    large = cut(xp, x)
    z = f(large)
    far = math.sqrt(eps(x)) * sizes(xp.where(xp.isinf(x), xp.abs(large), xp.zeros_like(x)))
    return xp.where((far > 0) & (xp.abs(z) > far), math.inf * xp.where(z > 0, 1 + far, -1 - far), z)
