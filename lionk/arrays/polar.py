"""The polar factor ``U V^H`` of matrices: exact by the SVD, or approximate from matrix products alone."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import Any

from . import namespace as _xp
from . import reductions
from . import spectral as _spectral
from .namespace import Array, Namespace
from .newton_schulz import JORDAN, SETS, NewtonSchulzSet, published
from .spectral import adjoint
from .value import Value, fields, replace, value_class

METHODS = ("svd", "newton_schulz")


@value_class
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
        x = x / _xp.astype(xp, reductions.unit_scale(xp, x, x.ndim - 2), x.dtype)[..., None, None]
        wide, eps, n = x.shape[-2] <= x.shape[-1], _xp.eps(x), max(x.shape[-2:])
        tol, resolve = self.limits(eps, x.shape)
        low = (resolve - n * eps / 2) / min(x.shape[-2:]) ** 0.125
        gram = _gram(xp, x, wide)
        square = gram @ gram
        top = xp.sqrt(reductions.norm(xp, square, x.ndim - 2))  # (sum of s^8)^(1/4), at least s_1^2
        top = _xp.astype(xp, xp.where(top == 0, xp.ones_like(top), top), x.dtype)[..., None, None]
        x, gram, square = x / xp.sqrt(top), gram / top, square / top**2
        first, rest = _in_two(_quintics(tol, low), max(x.shape[-2:]) / min(x.shape[-2:]))
        for k, (a, b, c) in enumerate(first):
            if k:
                gram = _gram(xp, x, wide)
                square = gram @ gram
            x = _times(a, b * gram + c * square, x, wide)
        if rest:
            gram = _gram(xp, x, wide) if first else gram
            x = _times(0, _of_gram(xp, gram, rest), x, wide)
        return x + xp.astype(_spectral._no_limit(xp, poison)[..., None], x.dtype)


def _gram(xp: Namespace, x: Array, wide: bool) -> Array:
    """The smaller of ``x x^H`` and ``x^H x``."""
    return x @ adjoint(xp, x) if wide else adjoint(xp, x) @ x


def _times(a: float, poly: Array, x: Array, wide: bool) -> Array:
    """``a x + poly x``, or ``a x + x poly`` of a tall x."""
    product = poly @ x if wide else x @ poly
    return a * x + product if a else product


def _of_gram(xp: Namespace, gram: Array, steps: Steps) -> Array:
    """The product Q of the polynomials of these steps, from the Gram matrix alone: the steps take x to Q x.

    A step with ``p = a + b G + c G^2`` takes x to ``p x`` and G to ``p G p``; all of them commute.
    """
    eye = xp.eye(gram.shape[-1], dtype=gram.dtype, device=_xp.device(gram))
    q: Array = None
    for k, (a, b, c) in enumerate(steps):
        p = a * eye + b * gram + c * (gram @ gram)
        q = p if q is None else p @ q
        if k + 1 < len(steps):
            gram = p @ (gram @ p)
    return q


Steps = tuple[tuple[float, float, float], ...]
GRAM = 0.1  # the least singular value that a Gram matrix keeps to a hundredth of its digits


def _in_two(steps: tuple[tuple[float, float, float, float], ...], ratio: float) -> tuple[Steps, Steps]:
    """The steps on x, and those on its Gram matrix: where small singular values have grown, and where it is cheaper.

    In units of m^3, for m x n with ``ratio = n/m``: a step on x takes ``2 ratio + 1``. One on the Gram matrix takes 4,
    the first and the last less, and ``2 ratio`` go into making the matrix and multiplying by what comes out.
    """
    first = next((k for k, (*_, low) in enumerate(steps) if low >= GRAM), len(steps))
    left = len(steps) - first
    if 4 * left - 3 + 2 * ratio >= left * (2 * ratio + 1):
        first = len(steps)
    plain = tuple((a, b, c) for a, b, c, _ in steps)
    return plain[:first], plain[first:]


WIDEST = 0.1  # the least singular value that a step is made for: to smaller ones it is no more than a factor
SLACK = 0.01  # of 1 - low, by which the interval goes beyond 1, so that rounding at 1, where p is steep, stays inside
FLAT = 0.99  # from here on the limit of the quintics for low = 1 is as good, and no equation is close to singular


@cache
def _quintics(tol: float, low: float) -> tuple[tuple[float, float, float, float], ...]:
    """Coefficients of steps that take singular values in [low, 1] to [1 - tol, 1], each from what the last one left.

    With each step stands the least singular value that it gets.
    """
    steps = []
    while 1 - low > tol:
        a, b, c, top = _closest_quintic(max(low, WIDEST))
        steps.append((a / top, b / top, c / top, low))
        low = min(low * (a + low**2 * (b + low**2 * c)), 2 - top) / top
    return tuple(steps)


def _closest_quintic(low: float) -> tuple[float, float, float, float]:
    """The odd quintic closest to 1 from low to a bit over 1, by the exchange of Remez: a, b, c and the largest value.

    In ``t = s^2``, ``(a s + b s^3 + c s^5)/s`` is a parabola through four points ``(1 -+ e)/s``: a divided difference,
    which vanishes, gives e.
    """
    if low > FLAT:
        return 15 / 8, -10 / 8, 3 / 8, 1.0
    high = 1 + SLACK * (1 - low)
    inner, e = ((3 * low + high) / 4, (low + 3 * high) / 4), 1.0
    while True:
        s = (low, *inner, high)
        t = [v * v for v in s]
        f, g = (
            _differences(t, [sign / v for sign, v in zip(signs, s, strict=True)]) for signs in ((1,) * 4, (1, -1) * 2)
        )
        last, e = e, f[3] / g[3]
        p, q, c = (u - e * v for u, v in zip(f[:3], g[:3], strict=True))
        a, b = p - q * t[0] + c * t[0] * t[1], q - c * (t[0] + t[1])
        if abs(e - last) <= 1e-15:
            return a, b, c, 1 + e
        root = math.sqrt(9 * b * b - 20 * a * c)
        inner = math.sqrt((-3 * b - root) / (10 * c)), math.sqrt((-3 * b + root) / (10 * c))


def _differences(t: list[float], y: list[float]) -> list[float]:
    """Newton's divided differences ``[t_0], [t_0, t_1], ...``"""
    found = []
    for k in range(len(t)):
        found.append(y[0])
        y = [(v - u) / (t[i + k + 1] - t[i]) for i, (u, v) in enumerate(pairwise(y))]
    return found


def solver(polar: Any) -> NewtonSchulz | NewtonSchulzSet | None:
    """What ``polar=`` of a function names: None is the SVD."""
    if polar == "svd":
        return None
    if polar == "newton_schulz":
        return NewtonSchulz()
    if isinstance(polar, str):
        return published(polar)
    if isinstance(polar, dict):
        try:
            return NewtonSchulz(**polar)
        except TypeError as error:
            raise ValueError(f"polar takes tol and resolve of the Newton-Schulz solver, got {polar!r}") from error
    raise ValueError(
        f'polar must be "svd", "newton_schulz", a dict with its tol and resolve, or a published set, got {polar!r}'
    )


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
            0 <= d <= min(1, 20 min(m, n)^(1/8) s/(resolve s_1))   below

        It cannot tell a small singular value from 0: where the SVD cuts, this method has a ramp. Rounding noise grows
        with it, from ``max(m, n) eps`` by up to ``20 min(m, n)^(1/8)/resolve``: a smaller ``resolve`` is no free gain.
        It is meant for devices where products are fast and an SVD is not; on a CPU the SVD is the faster one.
    tol : float, optional
        Accuracy of "newton_schulz"; default ``eps``.
    resolve : float, optional
        The smallest ratio ``s/s_1`` that ends up within ``tol``, at least ``max(m, n) eps``; default ``sqrt(eps)``.

    Raises
    ------
    ValueError
        An unknown method, fewer than two axes, or a ``resolve`` that the dtype cannot tell from 0.

    Sources: the quintics of Polar Express (2505.16932) and CANS (2506.10935), with the interval bounded as there; the
    first division, by ``(sum of s^8)^(1/8)`` instead of ``|x|_F``, which the first products give, and the bounds on d
    are derived here.

    >>> import lionk, numpy as np
    >>> q = lionk.polar(np.diag([4.0, 1e-3, 0.0]), "newton_schulz")
    >>> print(np.round(q.diagonal(), 12))
    [1. 1. 0.]
    """
    xp = _xp.namespace(x)
    _xp.floating(x)
    _spectral.check_matrix(x, "polar")
    if method not in METHODS:
        raise ValueError(f'method must be "svd" or "newton_schulz", got {method!r}')
    z = _xp.astype(xp, x, xp.float32) if _xp.is_low_precision(x) else x
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
    _xp.floating(x)
    _spectral.check_matrix(x, "muon_ns5")
    return replace(SETS["muon"], steps=(JORDAN,) * steps)(xp, x)
