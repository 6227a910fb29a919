"""Singular values and eigenvalues as the lifts need them: clean at zero, at ties and at non-finite input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import NotAvailable
from . import namespace as _xp
from . import reductions
from .namespace import Array, Namespace

SQUARES = 128  # rows and columns from which on squares in double precision are faster than singular values


def check_matrix(x: Array, what: str) -> None:
    if x.ndim < 2:
        raise ValueError(
            f"{what} acts on the last two axes, got an array of {x.ndim} dimension(s); reshape it to a matrix "
            "(a convolution kernel to (out, -1)) or use a vector function for it"
        )


def _guarded(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """x with non-finite matrices replaced by zero (LAPACK may fail on them), and what those make of singular values.

    That is NaN for a matrix with a NaN, inf for another one with an infinite entry, 0 for all others.
    """
    r = xp.abs(x)
    poison = xp.max(xp.where(xp.isfinite(r), xp.zeros_like(r), r), axis=(-2, -1), keepdims=True)
    return xp.where(poison == 0, x, xp.zeros_like(x)), poison


def _decompose(xp: Namespace, x: Array) -> Any:
    """The reduced SVD; NotAvailable where a library cannot take x at all: split into chunks, or a stack of matrices."""
    try:
        return xp.linalg.svd(x, full_matrices=False)
    except NotImplementedError as error:
        raise NotAvailable(
            "singular values are not available for a matrix that is split along both axes; make it one chunk first, "
            f"x.rechunk(-1) ({str(error).splitlines()[0]})"
        ) from error
    except ValueError as error:
        if x.ndim == 2:
            raise
        raise NotAvailable(
            f"this library has no singular values of a stack of matrices, shape {tuple(x.shape)}; give it one matrix "
            f"at a time, e.g. with lionk.blocks ({str(error).splitlines()[0]})"
        ) from error


def _has_squares(xp: Namespace, x: Array) -> bool:
    """Are squares of this matrix faster than its SVD? On the host, in float32, where double precision is there.

    PyTorch's SVD of a square matrix takes as long as they do.
    """
    oblong, of = 2 * min(x.shape[-2:]) <= max(x.shape[-2:]), _xp.kind(x)
    known = of.ufuncs is not None or (oblong and of.visible is None)  # NumPy's; PyTorch's
    return known and x.dtype == xp.float32 and SQUARES <= min(x.shape[-2:]) and _xp.visible(x)


def _by_squares(xp: Namespace, x: Array) -> Any:
    """U, s and V^H for values that matter, from the eigenvalues of ``X X^H`` in double precision, in half the time.

    Squares lose values below ``1e-8 s1``. Those that LAPACK finds in float32 are noise below ``1e-7 s1``, and with
    ``rank`` they count as 0: there V^H is 0.
    """
    if x.shape[-2] > x.shape[-1]:
        v, s, uh = _by_squares(xp, adjoint(xp, x))
        return adjoint(xp, uh), s, adjoint(xp, v)
    wide = xp.astype(x, xp.float64)
    w, u = xp.linalg.eigh(wide @ adjoint(xp, wide))
    w, u = xp.flip(w, axis=-1), xp.flip(u, axis=-1)
    s = xp.sqrt(xp.maximum(w, xp.zeros_like(w)))
    there = s > _xp.eps(x) * s[..., :1]
    scale = xp.where(there, 1 / xp.where(there, s, xp.ones_like(s)), xp.zeros_like(s))
    vh = scale[..., None] * (adjoint(xp, u) @ wide)
    return tuple(xp.astype(a, x.dtype) for a in (u, s, vh))


def full_svd(xp: Namespace, x: Array) -> Any:
    """The SVD with square factors; NotAvailable where a library has only the reduced one."""
    try:
        return xp.linalg.svd(x, full_matrices=True)
    except (NotImplementedError, ValueError) as error:
        raise NotAvailable(
            f"the distance to this subdifferential needs the full SVD, which this library lacks ({error}); test "
            "membership with K.fenchel_young"
        ) from error


def singular_values(xp: Namespace, x: Array) -> Array:
    """Shape ``(..., min(m, n))``, descending; NaN or inf for a matrix with such an entry."""
    if 0 in x.shape:
        return xp.zeros((*x.shape[:-2], 0), dtype=_xp.real_dtype(x), device=_xp.device(x))
    clean, poison = _guarded(xp, x)
    try:
        s = xp.linalg.svdvals(clean)
    except (NotImplementedError, ValueError):  # Dask has none: array-api-compat 1.16 asks it for full matrices
        s = _decompose(xp, clean)[1]
    return s + poison[..., 0]


def map_singular_values(xp: Namespace, x: Array, f: Callable[[Array], Array], *, rank: bool, merge: bool) -> Array:
    """``U f(s) V^H``.

    Where f leaves all values of a matrix as they are, and neither is asked for, the matrix stays bit for bit.
    ``rank``: values below ``max(m, n) eps s1`` count as 0 before ``f`` (rounding noise would pick arbitrary vectors).
    ``merge``: values closer than that are made equal to the first of their run, for an ``f`` with kinks at ties.
    """
    if 0 in x.shape:
        return x
    clean, poison = _guarded(xp, x)
    # with ``rank`` alone f(0) = 0
    squares = rank and not merge and SQUARES <= x.shape[-1] and _has_squares(xp, x)
    u, s, vh = (_by_squares if squares else _decompose)(xp, clean)
    noise = max(x.shape[-2:]) * _xp.eps(x) * s[..., :1]
    if rank:
        s = xp.where(s > noise, s, xp.zeros_like(s))
    if merge:
        s = _merged(xp, s, noise)
    made = _finite_or_nan(xp, f(s)) + _no_limit(xp, poison)
    out = (u * xp.astype(made, u.dtype)[..., None, :]) @ vh
    return out if rank or merge else xp.where(xp.all(made == s, axis=-1)[..., None, None], x, out)


def noise(xp: Namespace, x: Array) -> float:
    """How much rounding moves singular values or eigenvalues of x, relative to the largest."""
    return (8 + max(x.shape[-2:])) * _xp.eps(x)


def _no_limit(xp: Namespace, poison: Array) -> Array:
    """NaN for infinite entries too, which give vectors no limit."""
    return xp.where(poison == 0, poison, xp.nan * xp.ones_like(poison))[..., 0]


def _finite_or_nan(xp: Namespace, made: Array) -> Array:
    """NaN for infinite values, as of a function without a subgradient there: products with vectors have no limit."""
    return xp.where(xp.isinf(made), xp.nan * xp.ones_like(made), made)


def _merged(xp: Namespace, s: Array, noise: Array) -> Array:
    """Runs of descending values whose neighbours differ by at most ``noise``, each set to its first value."""
    starts = xp.concat([xp.ones_like(s[..., :1], dtype=xp.bool), s[..., :-1] - s[..., 1:] > noise], axis=-1)
    run = xp.cumulative_sum(xp.astype(starts, s.dtype), axis=-1)
    same = xp.astype((run[..., :, None] == run[..., None, :]) & starts[..., None, :], s.dtype)
    return xp.sum(same * s[..., None, :], axis=-1)


def symmetric_part(xp: Namespace, x: Array) -> Array:
    """``(X + X^H)/2``, exactly X where it is symmetric."""
    return x / 2 + adjoint(xp, x) / 2


def asymmetry(xp: Namespace, x: Array) -> Array:
    """``X - (X + X^H)/2``, 0 where X is not finite."""
    x = _xp.finite(xp, x)
    return x - symmetric_part(xp, x)


def adjoint(xp: Namespace, x: Array) -> Array:
    t = xp.matrix_transpose(x)
    return xp.conj(t) if _xp.is_complex(x) else t


def eigh(xp: Namespace, a: Array) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors of a symmetric matrix.

    Where a library has none (Dask): from the SVD of ``A + c I``, positive semidefinite for ``c = |A|_F``; the error is
    of the order of eps c. Derived here.
    """
    if hasattr(xp.linalg, "eigh"):
        return xp.linalg.eigh(a)
    c = reductions.norm(xp, a, a.ndim - 2)[..., None, None]
    u, s, _ = _decompose(xp, a + c * xp.eye(a.shape[-1], dtype=a.dtype, device=_xp.device(a)))
    return xp.flip(s - c[..., 0], axis=-1), xp.flip(u, axis=-1)


def eigenvalues(xp: Namespace, x: Array) -> Array:
    """Of the symmetric part, shape ``(..., n)``, ascending; NaN or inf for a matrix with such an entry."""
    if 0 in x.shape:
        return xp.zeros((*x.shape[:-2], 0), dtype=_xp.real_dtype(x), device=_xp.device(x))
    clean, poison = _guarded(xp, x)
    clean = symmetric_part(xp, clean)
    w = xp.linalg.eigvalsh(clean) if hasattr(xp.linalg, "eigvalsh") else eigh(xp, clean)[0]
    return w + poison[..., 0]


def map_eigenvalues(xp: Namespace, x: Array, f: Callable[[Array], Array], *, rank: bool, merge: bool) -> Array:
    """``Q f(w) Q^H`` for the symmetric part of x; ``rank`` and ``merge`` as for singular values."""
    if 0 in x.shape:
        return x
    clean, poison = _guarded(xp, x)
    w, q = eigh(xp, symmetric_part(xp, clean))
    noise = x.shape[-1] * _xp.eps(x) * xp.max(xp.abs(w), axis=-1, keepdims=True)
    if rank:
        w = xp.where(xp.abs(w) > noise, w, xp.zeros_like(w))
    if merge:
        w = -_merged(xp, -w, noise)
    made = _finite_or_nan(xp, f(w)) + _no_limit(xp, poison)
    out = symmetric_part(xp, (q * xp.astype(made, q.dtype)[..., None, :]) @ adjoint(xp, q))
    if rank or merge:
        return out
    return xp.where(xp.all(made == w, axis=-1)[..., None, None], symmetric_part(xp, x), out)
