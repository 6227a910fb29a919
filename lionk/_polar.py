"""The polar factor ``U V^H`` of matrices: exact by the SVD, or approximate from matrix products alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from . import _spectral, _xp
from ._spectral import adjoint
from ._value import Value
from ._xp import Array, Namespace

METHODS = ("svd", "newton_schulz")


@dataclass(eq=False, repr=False)
class NewtonSchulz(Value):
    """The matmul-only solver of ``lionk.polar``, as data: its accuracy ``tol`` and the ratio ``resolve``."""

    tol: float | None = None
    resolve: float | None = None

    def __post_init__(self) -> None:
        for f in fields(self):
            v = getattr(self, f.name)
            if v is not None and (isinstance(v, bool) or not isinstance(v, (int, float)) or not 0 < v < 1):
                raise ValueError(f"{f.name} must be a number between 0 and 1, got {v!r}")

    @property
    def spec(self) -> dict[str, float]:
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}

    def limits(self, eps: float, shape: tuple[int, ...]) -> tuple[float, float]:
        """tol and resolve for one dtype and shape. ValueError for a ratio that the dtype cannot tell from 0."""
        noise = max(shape[-2:]) * eps
        resolve = max(math.sqrt(eps), 4 * noise) if self.resolve is None else self.resolve
        if resolve < noise:
            raise ValueError(
                f"resolve={resolve:g} is below max(m, n) eps = {noise:.2g}: such singular values are rounding noise in "
                "this dtype and shape; take a larger ratio or a wider dtype"
            )
        return eps if self.tol is None else max(self.tol, eps), min(resolve, 1.0)

    def __call__(self, xp: Namespace, x: Array) -> Array:
        if 0 in x.shape:
            return x
        x, poison = _spectral._guarded(xp, x)
        x = _xp.divide(xp, x, _xp.unit_scale(xp, x, x.ndim - 2)[..., None, None] + xp.zeros_like(x))
        x = _xp.divide(xp, x, _xp.norm(xp, x, x.ndim - 2)[..., None, None] + xp.zeros_like(x))
        wide = x.shape[-2] <= x.shape[-1]
        for a in _factors(*self.limits(_xp.eps(xp, x), x.shape), min(x.shape[-2:])):
            xh = adjoint(xp, x)
            cube = (x @ xh) @ x if wide else x @ (xh @ x)
            x = 1.5 * a * x - 0.5 * a**3 * cube
        return x + xp.astype(_spectral._no_limit(xp, poison)[..., None], x.dtype)


def _factors(tol: float, resolve: float, rank: int) -> list[float]:
    """What the iterates are multiplied by before each step ``X -> 3/2 X - 1/2 X X^H X``.

    Singular values lie in [low, 1]. The factor that makes the least of ``f(a s)`` over that interval largest is
    ``a^2 = 3/(1 + low + low^2)``; the interval is never taken to be wider than [0.1, 1], so that rounding cannot push
    the largest value over the zero of f.
    """
    low, factors = resolve / (2 * math.sqrt(rank)), []
    while 1 - low > tol:
        c = max(low, 0.1)
        a = math.sqrt(3 / (1 + c + c * c))
        low = min(1.5 * s - 0.5 * s**3 for s in (a * low, a))
        factors.append(a)
    return factors


def solver(polar: Any) -> NewtonSchulz | None:
    """What ``polar=`` of a function names: None is the SVD."""
    if polar == "svd":
        return None
    if polar == "newton_schulz":
        return NewtonSchulz()
    if isinstance(polar, dict):
        try:
            return NewtonSchulz(**polar)
        except TypeError as error:
            raise ValueError(f"polar takes tol and resolve of the Newton-Schulz solver, got {polar!r}") from error
    raise ValueError(f'polar must be "svd", "newton_schulz", or a dict with its tol and resolve, got {polar!r}')


def polar(x: Array, method: str = "svd", *, tol: float | None = None, resolve: float | None = None) -> Array:
    """The polar factor ``U V^H`` of ``x = U diag(s) V^H``: the least-norm subgradient of the nuclear norm.

    Parameters
    ----------
    x : array (..., m, n)
        Leading axes are independent matrices. 16-bit arrays are computed with in float32.
    method : "svd" or "newton_schulz"
        "svd" is exact; singular values below ``max(m, n) eps s_1`` count as 0.
        "newton_schulz" takes matrix products only, on any library and device. Their number is fixed ahead by ``tol``,
        ``resolve`` and min(m, n). Singular values d of the result, up to rounding (a few ``max(m, n) eps``)::

            1 - tol <= d <= 1                           where  s >= resolve s_1
            0 <= d <= min(1, 16 sqrt(min(m, n)) s/(resolve s_1))   below

        It cannot tell a small singular value from 0: where the SVD cuts, this method has a ramp. Rounding noise grows
        with it, from ``max(m, n) eps`` by up to ``16 sqrt(min(m, n))/resolve``: a smaller ``resolve`` is no free gain.
        It is meant for devices where products are fast and an SVD is not; on a CPU the SVD is the faster one.
    tol : float, optional
        Accuracy of "newton_schulz"; default ``eps``.
    resolve : float, optional
        The smallest ratio ``s/s_1`` that ends up within ``tol``, at least ``max(m, n) eps``; default ``sqrt(eps)``.

    Raises
    ------
    ValueError
        An unknown method, fewer than two axes, or a ``resolve`` that the dtype cannot tell from 0.

    Sources: the scaled cubic of Chen and Chow (2014), which is the degree-3 case of Polar Express (2505.16932) and of
    CANS (2506.10935), with the interval bounded as there; the bounds are derived here.

    >>> import lionk, numpy as np
    >>> q = lionk.polar(np.diag([4.0, 1e-3, 0.0]), "newton_schulz")
    >>> print(np.round(q.diagonal(), 12))
    [1. 1. 0.]
    """
    xp = _xp.namespace(x)
    _xp.check_floating(xp, x)
    _spectral.check_matrix(x, "polar")
    if method not in METHODS:
        raise ValueError(f'method must be "svd" or "newton_schulz", got {method!r}')
    z = _xp.astype(xp, x, xp.float32) if _xp.is_low_precision(xp, x) else x
    if method == "newton_schulz":
        return _xp.astype(xp, NewtonSchulz(tol, resolve)(xp, z), x.dtype)
    if tol is not None or resolve is not None:
        raise ValueError('tol and resolve belong to method="newton_schulz"; the SVD is exact')
    return _xp.astype(xp, _spectral.map_singular_values(xp, z, xp.sign, rank=True, merge=False), x.dtype)


def muon_ns5(x: Array, steps: int = 5) -> Array:
    """Muon's quintic Newton-Schulz map (Jordan et al. 2024), in x's own dtype: an update, the dK of no convex K.

    ``X -> a X + b X X^H X + c X (X^H X)^2`` with (a, b, c) = (3.4445, -4.7750, 2.0315), ``steps`` times, after division
    by ``|X|_F``. It does not converge: after five steps normalised singular values >= 0.002 lie in [0.68, 1.2024], and
    smaller ones below that. It is not monotone (there are X and Y with ``<X - Y, ns5(X) - ns5(Y)> < 0``), so no K has
    it as a subgradient and Fenchel-Young does not hold. What holds is the range: ``s_1(ns5(X)) <= 1.2024``, so with
    weight decay lam it keeps ``s_1(X) <= 1.2024/lam``, not ``1/lam``.

    >>> import lionk, numpy as np
    >>> y = lionk.conventions.muon_ns5(np.diag([3.0, 2.0, 0.1]))
    >>> print(np.round(y.diagonal(), 2))
    [1.12 0.68 1.07]
    """
    xp = _xp.namespace(x)
    _xp.check_floating(xp, x)
    _spectral.check_matrix(x, "muon_ns5")
    if 0 in x.shape:
        return x
    x = _xp.divide(xp, x, _xp.norm(xp, x, x.ndim - 2)[..., None, None] + xp.zeros_like(x))
    wide = x.shape[-2] <= x.shape[-1]
    for _ in range(steps):
        gram = x @ adjoint(xp, x) if wide else adjoint(xp, x) @ x
        poly = -4.7750 * gram + 2.0315 * gram @ gram
        x = 3.4445 * x + (poly @ x if wide else x @ poly)
    return x
