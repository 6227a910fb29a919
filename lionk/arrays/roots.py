"""Iterations: roots of nondecreasing functions, fixed points, and projections found by moving repeatedly.

Where values can be looked at (NumPy, array-api-strict, PyTorch on a CPU and JAX, all eager), an iteration ends when it
has converged. Under a jit, on lazy arrays, and on accelerators, where looking at a value makes the host wait, it takes
a fixed number of steps, and nothing branches on data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any

from . import plain
from .namespace import Array, Namespace, clip, device, divide, eps, looped, only_nan, spread
from .namespace import visible as visible
from .numbers import floats
from .reductions import inner, peak, some

FEW = 12  # roots that are searched for one by one, with floats, since operations on small arrays cost more
SPARE = 8  # the most steps that bracketing takes beyond the number that halving needs

Map = Callable[[Array], Array]


def settled(xp: Namespace, last: Array, x: Array, unit: Any = 0.0) -> bool:
    """Did a step change nothing but rounding, of x or of ``unit``? False where values cannot be looked at.

    NaN counts as settled.
    """
    return visible(x) and not some(xp.abs(x - last) > eps(x) * (unit + xp.abs(x)))


def repeated(xp: Namespace, move: Map, start: Array, steps: int, unit: float = 0.0) -> Array:
    """``x = move(x)``, at most ``steps`` times, until x is settled: Newton's method on convex functions."""
    x = start
    if not visible(x):
        return looped(lambda state: (move(*state),), (x,), steps)[0]
    for _ in range(steps):
        last, x = x, move(x)
        if settled(xp, last, x, unit):
            break
    return x


def accelerated(xp: Namespace, move: Map, start: Array, steps: int, batch: int) -> Array:
    """``u = move(w)`` repeated, with w ahead of u by momentum (Beck and Teboulle 2009), and none where the last step
    went against ``u - w`` (the gradient restart of O'Donoghue and Candes 2015), in each block for itself. It ends early
    once neither u nor w moves.
    """
    t = xp.ones_like(peak(xp, start, batch))

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        last, w, t = state
        u = move(w)
        t = xp.where(inner(xp, w - u, u - last, batch) > 0, xp.ones_like(t), t)
        grown = (1 + xp.sqrt(1 + 4 * t * t)) / 2
        return u, u + spread(xp, (t - 1) / grown, u) * (u - last), grown

    state = start, start, t
    if not visible(start):
        return looped(step, state, steps)[0]
    for _ in range(steps):
        (last, ahead, _), state = state, step(state)
        if settled(xp, last, state[0]) and settled(xp, ahead, state[0]):
            break
    return state[0]


def bracket(
    xp: Namespace, increasing: Map, low: Array, high: Array, extra: int = 0, ends: tuple[Array, Array] | None = None,
    first: bool = True,
) -> tuple[Array, Array]:  # fmt: skip
    """The ends of an interval in which a nondecreasing function changes its sign: ``increasing < 0`` at the first,
    unless it is ``low``, and ``>= 0`` at the second, unless it is ``high``.

    It shrinks until the dtype has no digits left of ``high - low``, or of the root; jumps (kinks of K) are found like
    roots, and where the function is 0 on an interval, its left end. ``extra`` halvings are for an interval much wider
    than 1 in a logarithm, where the root is likely to lie next to ``high``. ``ends``: the function's values at both,
    where they are known. ``first=False``: where the function is 0, any end will do, which takes a step or two.
    """
    count = int(-math.log2(eps(low))) + 4 + extra
    low, high = low + 0 * high, high + 0 * low
    x = high - 4 if extra else low + (high - low) / 2
    value = increasing(x)
    if not visible(low, high, value):

        def halved(ends: tuple[Array, ...]) -> tuple[Array, ...]:
            low, high = ends
            middle = low + (high - low) / 2
            below = increasing(middle) < 0
            return xp.where(below, middle, low), xp.where(below, high, middle)

        low, high = looped(halved, (low, high), count)
        return low, high
    shape, points, values = low.shape, (x, low, high), (value, *(ends or (math.nan * low, math.nan * low)))
    facts = count, eps(low), float(xp.finfo(low.dtype).max) / 8, first
    if shape != value.shape or not 0 < math.prod(shape) <= FEW:
        return _answered(_narrowed(xp, points, values, *facts), increasing)

    def array(numbers: list[float]) -> Array:
        made = xp.asarray(numbers if shape else numbers[0], dtype=low.dtype, device=device(low))
        return xp.reshape(made, shape) if len(shape) > 1 else made

    each = zip(*(floats(xp, a) for a in (*points, *values)), strict=True)
    searches = [_narrowed(plain, one[:3], one[3:], *facts) for one in each]
    found = _together(searches, lambda x: floats(xp, increasing(array(x))))
    return array([low for low, _ in found]), array([high for _, high in found])


Search = Generator[Any, Any, tuple[Any, Any]]  # yields a point, is sent the value there, and returns both ends


def _answered(search: Search, increasing: Map) -> tuple[Array, Array]:
    """What the search finds, its points asked for one after another."""
    value: Any = None
    while True:
        try:
            x = search.send(value)
        except StopIteration as end:
            ends: tuple[Array, Array] = end.value
            return ends
        value = increasing(x)


def _together(searches: list[Search], increasing: Callable[[list[float]], list[float]]) -> list[tuple[float, float]]:
    """The ends that each search finds, all of them asked at once; those that are done stay where they are."""
    x, found, running = [0.0] * len(searches), [(0.0, 0.0)] * len(searches), list(range(len(searches)))
    values: Any = [None] * len(searches)
    while running:
        left = []
        for i in running:
            try:
                x[i] = searches[i].send(values[i])
                left.append(i)
            except StopIteration as end:
                found[i] = end.value
        running = left
        values = increasing(x) if left else values
    return found


def _narrowed(xp: Any, points: Any, values: Any, count: int, small: float, top: float, first: bool) -> Search:
    """``bracket``, from a point between the ends and the values at all three, NaN where they are not known.

    The next point is the root of the inverse quadratic through the last three, where that is monotone (Chandrupatla
    1997), or the middle, as after steps that fall behind halving: at worst ``SPARE`` steps more than halving needs, for
    smooth functions about ten in place of 56.
    """
    x, low, high = points
    wide = high - low
    unit, one = wide * 2.0**-count, 0 * wide + 1

    def finite(value: Array) -> Array:
        return xp.minimum(xp.maximum(value, -top * one), top * one)

    value, under, over = map(finite, values)
    late, early = over < 0, under >= 0  # the root is an end
    low, high = xp.where(late, high, low), xp.where(early, low, high)
    x, value = xp.minimum(xp.maximum(x, low), high), xp.where(late, over, xp.where(early, under, value))
    for j in range(count + SPARE):
        below = value < 0
        last, before = xp.where(below, low, high), xp.where(below, under, over)  # what x takes the place of
        low, under = xp.where(below, x, low), xp.where(below, value, under)
        high, over = xp.where(below, high, x), xp.where(below, over, value)
        if not first:
            low = xp.where(value == 0, x, low)
        far, there = xp.where(below, high, low), xp.where(below, over, under)  # the other end
        span, least = high - low, xp.maximum(unit, small * abs(x))
        if not bool(xp.any((span > 2 * least) & (value == value))):  # NaN: no further
            break
        wide_yet = span > 0
        rise, fall = xp.where(wide_yet, before - there, one), xp.where(wide_yet, value - there, one)
        positive = xp.where(wide_yet, span, one)
        drop = fall / xp.where(abs(rise) > abs(fall), rise, fall)  # 1, and no further, where it does not rise
        longer = abs(far - last) / positive
        curved = (drop * drop * longer < 1) & ((1 - drop) * (1 - drop) * longer < longer - 1)
        curved = curved & (span <= 2.0 ** (SPARE - 2 - j) * wide)
        drop = xp.where(curved, drop, 0.5 * one)
        part = value / fall
        rest = (1 - part) * drop
        part = xp.where(curved, part * (1 - rest + (longer - 1) * rest * drop / (1 - drop)), 0.5 * one)
        edge = least / positive
        x = x + xp.minimum(xp.maximum(part, edge), 1 - edge) * (far - x)
        value = finite((yield x))
    return low, high


def root(xp: Namespace, increasing: Map, low: Array, high: Array, extra: int = 0, first: bool = False) -> Array:
    """Root of a nondecreasing function, finite at ``low`` and ``high``, between them: the middle of its ``bracket``.

    ``first``: the least one, where the function is 0 on an interval; else any one, for which a step or two will do.
    """
    ends = (increasing(low), increasing(high)) if visible(low, high) else None
    low, high = bracket(xp, increasing, low, high, extra, ends, first)
    return low + (high - low) / 2


def piecewise_root(xp: Namespace, increasing: Map, slope: Map, low: Array, high: Array, size: Any) -> Array:
    """Root between ``low`` and ``high`` of a nondecreasing, piecewise linear function with this slope.

    Newton's steps, which end on the piece that holds the root: where the value is below rounding of ``size``, that of
    its terms, and of x. The middle of the bracket takes the place of each third step, and of one that leaves it.
    """
    x = low + (high - low) / 2
    if not visible(low, high, x):
        return root(xp, increasing, low, high)
    small = 8 * eps(x)
    for j in range(3 * int(-math.log2(eps(x)))):
        value, rise = increasing(x), slope(x)
        there = xp.abs(value) <= small * (size + rise * (1 + xp.abs(x)))
        if not some(~there & (value == value)):
            break
        below = value < 0
        low, high = xp.where(below, x, low), xp.where(below, high, x)
        onward = x - divide(xp, value, rise)
        fits = there if j % 3 == 2 else there | ((onward >= low) & (onward <= high))
        x = xp.where(fits, onward, low + (high - low) / 2)
    return x


def preimage(xp: Namespace, slope: Map, y: Array) -> tuple[Array, Array]:
    """The ends of an interval that holds the x of least modulus with y in ``slope(x)``, nondecreasing, entry by entry.

    ``slope(low) <= y <= slope(high)``, where the slope reaches y; else one end is the largest number. The search is
    over log |x|: the ends differ by about 100 eps, relative, or one is 0 and the other the least number; both are 0
    where ``slope(0) = y``. NaN counts as beyond.
    """
    one, reach = xp.ones_like(y), 0.9 * math.log(float(xp.finfo(y.dtype).max))
    at_zero = slope(xp.zeros_like(y))
    side = xp.where(at_zero < y, one, -one)

    def before(r: Array) -> Array:
        return side * (slope(side * xp.exp(r)) - y)

    zero, nan = xp.zeros_like(y), only_nan(xp, y)
    inner_end, outer_end = bracket(xp, before, -reach * one, reach * one)
    near = side * xp.where(inner_end > -reach, xp.exp(inner_end), zero)
    far = side * xp.exp(outer_end)
    low, high = (xp.where(at_zero == y, zero, xp.where(side > 0, a, b)) for a, b in ((near, far), (far, near)))
    return low + nan, high + nan


def middle(xp: Namespace, low: Array, high: Array) -> Array:
    """A point between the ends of ``preimage``: 0 exactly where one of them is."""
    return xp.where((low == 0) | (high == 0), xp.zeros_like(low), low / 2 + high / 2)


def share(xp: Namespace, low: Array, high: Array, y: Array) -> Array:
    """The w in [0, 1] with ``(1 - w) low + w high = y``, for y between them, up to rounding."""
    return clip(xp, divide(xp, y - low, high - low), 0.0, 1.0)


def beyond(xp: Namespace, low: Array, high: Array, y: Array, size: Array) -> Array:
    """0, or infinity where y is not between these slopes at the ends of ``preimage``, up to the rounding of terms of
    this size: slopes end before y at the largest x, and for each unit of y beyond, the conjugate grows by as much.
    """
    room = 64 * eps(y) * (size + xp.abs(y)) + float(xp.finfo(y.dtype).smallest_normal)
    return xp.where((y > high + room) | (y < low - room), math.inf * xp.ones_like(y), xp.zeros_like(y))
