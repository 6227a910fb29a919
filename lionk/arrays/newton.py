"""Newton's method for a few unknowns, its derivative by differences: where other iterations take hundreds of steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from . import namespace as _xp
from .namespace import Array, Namespace
from .numbers import Numbers
from .reductions import unit_norm

FEW = 64  # unknowns of Newton's method, at most
DAMPING = 1e-13, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 0.1, 1.0  # of Newton's steps
FALL = 0.3  # of the residual, that a good Newton step leaves at most
STALLED = 3  # Newton steps that leave more than 4/5 of the residual, one after another


def solvable(z: Array, batch: int) -> bool:
    """Are the unknowns few, real, and can values be seen, as ``newton`` needs it?"""
    return 0 < _xp.event_size(z, batch) <= FEW and not _xp.is_complex(z) and _xp.visible(z)


def difference(xp: Namespace, z: Array, unit: Array) -> Array:
    """The steps of a difference from z, entry by entry, of numbers about as large as ``unit`` or z."""
    return math.sqrt(_xp.eps(z)) * xp.maximum(xp.abs(z), 1e-3 * unit)


def newton(
    xp: Namespace, residual: Callable[[Array, int], Array], start: Array, unit: Array, close: float, batch: int
) -> Array:
    """z with ``residual(z, batch) = 0``, minus a monotone function, real and where values can be seen: damped steps.

    The derivative is taken by differences of all entries at once, as problems along one more axis before z's. It need
    not exist everywhere: where the function is linear piece by piece, the steps end in the right piece, exactly. A
    multiple of the identity is added, which makes any derivative of a monotone function regular: where the least one
    leaves more than ``FALL`` of the residual, several are tried at once. Where a step leaves less, the derivative is
    corrected by what it has shown (Broyden 1965) in place of differences. Ends at ``close`` times ``unit``, or without
    progress. Derived here.
    """
    n, shape, made = _xp.event_size(start, batch), start.shape, Numbers(xp, batch, start)
    of, identity = made.of, xp.eye(n, dtype=start.dtype, device=_xp.device(start))
    each = xp.reshape(identity, (n, *[1] * batch, *shape[batch:]))
    damping = [max(d, 16 * _xp.eps(start)) for d in DAMPING]
    more = xp.stack([d * identity for d in damping[1:]])
    more = xp.reshape(more, (len(damping) - 1, *[1] * batch, n, n))

    def row(a: Array) -> Array:
        """The entries of z's problems along the last axis but one; the last is 1."""
        return xp.reshape(a, (*a.shape[: a.ndim + batch - len(shape)], n, 1))

    def length(r: Array) -> Any:
        return made.number(unit_norm(xp, r / unit, batch))

    def tried(z: Array, r: Array, slopes: Array, size: Array) -> Iterator[tuple[Array, Array]]:
        """Points ahead of z, and the residuals there: of the least damping, then of each other one."""
        right = row(_xp.finite(xp, r))
        ahead = z + xp.reshape(xp.linalg.solve(slopes + damping[0] * identity * size, right), shape)
        yield ahead, residual(ahead, batch)
        moves = xp.linalg.solve(slopes[None, ...] + more * size, right[None, ...])
        ahead = z[None, ...] + xp.reshape(moves, (len(damping) - 1, *shape))
        there = residual(ahead, batch + 1)
        yield from ((ahead[k, ...], there[k, ...]) for k in range(len(damping) - 1))

    z, r = start, residual(start, batch)
    least, since, slopes, fell = length(r), 0, identity, False
    while since < STALLED and bool(of.any(least > close)):
        last, before, new = least, (z, r), not fell
        if new:
            step = difference(xp, z, unit)
            change = r[None, ...] - residual(z[None, ...] + each * step[None, ...], batch + 1)
            columns = xp.moveaxis(row(change)[..., 0], 0, -1)
            slopes = _xp.finite(xp, columns / xp.matrix_transpose(row((z + step) - z)))
        size = _xp.clip(xp, xp.max(xp.abs(slopes), axis=(-2, -1), keepdims=True), 1.0, None)
        try:
            for k, (ahead, there) in enumerate(tried(z, r, slopes, size)):
                if k == 1 and not new:
                    break
                found = length(there)
                better = found < least
                z, r = made.choose(better, ahead, z), made.choose(better, there, r)
                least = of.where(better, found, least)
                fell = not bool(of.any((least > FALL * last) & (least > close)))
                if fell:
                    break
        except (ValueError, RuntimeError):  # the LinAlgError of NumPy and of PyTorch: singular whatever is added
            return z
        since = 0 if bool(of.any(least < 0.8 * last)) else since + new
        if fell:
            move, change = row(z - before[0]), row(r - before[1])
            along = _xp.divide(xp, move, xp.sum(move * move, axis=-2, keepdims=True) + xp.zeros_like(move))
            slopes = slopes - (change + slopes @ move) @ xp.matrix_transpose(along)
    return z
