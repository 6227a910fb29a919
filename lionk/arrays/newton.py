"""Newton's method for a few unknowns, its derivative by differences: where other iterations take hundreds of steps."""

from __future__ import annotations

import math
from collections.abc import Callable

from . import namespace as _xp
from .namespace import Array, Namespace
from .reductions import some, unit_norm

FEW = 64  # unknowns of Newton's method, at most
DAMPING = 1e-13, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 0.1, 1.0  # of Newton's steps
FALL = 0.3  # of the residual, that a good Newton step leaves at most
STALLED = 3  # Newton steps that leave more than 4/5 of the residual, one after another


def solvable(z: Array, batch: int) -> bool:
    """Are the unknowns few, real, and can values be seen, as ``newton`` needs it?"""
    return 0 < _xp.event_size(z, batch) <= FEW and not _xp.is_complex(z) and _xp.visible(z)


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
    n, shape = _xp.event_size(start, batch), start.shape
    identity = xp.eye(n, dtype=start.dtype, device=_xp.device(start))
    each = xp.reshape(identity, (n, *[1] * batch, *shape[batch:]))
    damping = xp.stack([max(d, 16 * _xp.eps(start)) * identity for d in DAMPING])
    damping = xp.reshape(damping, (len(DAMPING), *[1] * batch, n, n))

    def row(a: Array) -> Array:
        """The entries of z's problems along the last axis but one; the last is 1."""
        return xp.reshape(a, (*a.shape[: a.ndim + batch - len(shape)], n, 1))

    z, r = start, residual(start, batch)
    least, since, slopes, fell = unit_norm(xp, r / unit, batch), 0, identity, False
    while since < STALLED and some(least > close):
        last, before, new = least, (z, r), not fell
        if new:
            step = math.sqrt(_xp.eps(z)) * xp.maximum(xp.abs(z), 1e-3 * unit)
            change = r[None, ...] - residual(z[None, ...] + each * step[None, ...], batch + 1)
            columns = xp.moveaxis(row(change)[..., 0], 0, -1)
            slopes = _xp.finite(xp, columns / xp.matrix_transpose(row((z + step) - z)))
        size = _xp.clip(xp, xp.max(xp.abs(slopes), axis=(-2, -1), keepdims=True), 1.0, None)
        for factors in (damping[:1, ...], damping[1:, ...]):
            try:
                moves = xp.linalg.solve(slopes[None, ...] + factors * size, row(_xp.finite(xp, before[1]))[None, ...])
            except (ValueError, RuntimeError):  # the LinAlgError of NumPy and of PyTorch: singular whatever is added
                return z
            ahead = before[0][None, ...] + xp.reshape(moves, (factors.shape[0], *shape))
            there = residual(ahead, batch + 1)
            sizes = unit_norm(xp, there / unit, batch + 1)
            for k in range(factors.shape[0]):
                better = sizes[k, ...] < least
                z, r = (xp.where(_xp.spread(xp, better, z), a[k, ...], old) for a, old in ((ahead, z), (there, r)))
                least = xp.where(better, sizes[k, ...], least)
            fell = not some((least > FALL * last) & (least > close))
            if fell or not new:
                break
        since = 0 if some(least < 0.8 * last) else since + new
        if fell:
            move, change = row(z - before[0]), row(r - before[1])
            along = _xp.divide(xp, move, xp.sum(move * move, axis=-2, keepdims=True) + xp.zeros_like(move))
            slopes = slopes - (change + slopes @ move) @ xp.matrix_transpose(along)
    return z
