"""The discrete Lyapunov function of Lion-K, its dissipation, and the exact identity between them.

Chen, Liu, Liang, Liu 2023 (2310.05898), Theorem 4.1, gives the inequality; the constants and the identity are derived
here. ``h`` is the implicit step: ``lr`` for implicit decay, ``lr/(1 - lr lam)`` for explicit decay.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..arrays.containers import scaled, tree_inner, tree_map
from ..arrays.namespace import Array
from ..optimizer.jobs import implicit_lr
from ..optimizer.lion_k import LionK
from .objective import decay_of, over


class Coefficients(NamedTuple):
    """The coefficients of the Lyapunov function (c) and of its dissipation (a, b). b is None where b1 = b2: D2 is 0."""

    h: float
    c: float
    a: float
    b: float | None


def coefficients(h: float, beta1: float, beta2: float, weight_decay: float) -> Coefficients:
    """``c = h b1/q``, ``a = 1 + c lam``, ``b = b1 (1-b2)/((b2-b1) q)`` with ``q = h lam (1-b1) + 1 - b2``.

    ``h > 0`` is the implicit step. b is negative for b1 > b2: the identity still holds, the descent does not.
    """
    if not (0 < h < math.inf and 0 <= beta1 <= 1 and 0 <= beta2 <= 1 and 0 <= weight_decay < math.inf):
        raise ValueError(
            "the coefficients need h > 0, betas in [0, 1] and weight_decay >= 0, "
            f"got {h!r}, ({beta1!r}, {beta2!r}) and {weight_decay!r}"
        )
    q = h * weight_decay * (1 - beta1) + (1 - beta2)
    if not q > 0:
        raise ValueError("h lam (1 - b1) + (1 - b2) must be > 0: b2 = 1 has no Lyapunov function here")
    c = h * beta1 / q
    return Coefficients(
        h, c, 1 + c * weight_decay, None if beta1 == beta2 else beta1 * (1 - beta2) / ((beta2 - beta1) * q)
    )


def coefficients_of(opt: LionK, lr: float) -> Coefficients:
    """The coefficients of one step of ``opt`` with this learning rate; explicit decay needs ``lr lam < 1``, lr > 0."""
    lam = float(opt.weight_decay)
    h = implicit_lr(float(lr), lam) if opt.decay == "explicit" else float(lr)
    if not h > 0:
        raise ValueError(f"the Lyapunov function needs a step > 0, got lr={lr!r}")
    return coefficients(h, *opt.betas, lam)


class At(NamedTuple):
    """A point and what the Lyapunov function is made of there, each number computed once.

    ``dual`` is ``K*(lam x)``; at lam = 0 it is ``-K(0)``, which is K*(0) where K is smallest at 0.
    """

    x: Any
    m: Any
    f: Any
    grad: Any
    dual: Array
    value: Array  # K(m)
    product: Array  # Re <m, x>


def point_of(
    K: Any, lam: float, x: Any, m: Any, f: Any, grad: Any, tol: float | None = None, batch: int = 0
) -> At:  # fmt: skip
    """The numbers of a point; with ``batch = 1`` of each of a stack of them, for a K that is bound to stacks."""
    dual = K.conjugate.value(scaled(x, lam), tol) if lam else -1 * K.value(tree_map(lambda a: 0 * a, m))
    tree_map(_check_shapes, x, m)
    return At(x, m, f, grad, dual, K.value(m), tree_inner(m, x, batch))


def _check_shapes(x: Array, m: Array) -> None:
    if x.shape != m.shape:
        raise ValueError(f"x and m must have one shape, got {tuple(x.shape)} and {tuple(m.shape)}")


def lyapunov_at(at: At, lam: float, c: Any) -> Array:
    """``lyapunov`` from the numbers of the point."""
    F = at.f + at.dual / lam if lam else at.f
    return F + c * (at.value + at.dual - lam * at.product)


def lyapunov(K: Any, f: Any, x: Any, m: Any, weight_decay: float, c: float, tol: float | None = None) -> Array:
    """``H(x, m) = f(x) + K*(lam x)/lam + c (K*(lam x) + K(m) - lam Re<m, x>)``, 0-d; H >= F.

    At lam = 0, ``f(x) + c (K(m) - K(0))``, which needs 0 in dK(0).
    """
    lam = decay_of(weight_decay)
    return lyapunov_at(point_of(over(K, x), lam, x, m, f, None, tol), lam, c)


class Descent(NamedTuple):
    """One step, as the theory sees it. ``before`` and ``after`` are H with the coefficient c of this step.

    residual : ``after - before + h (a D1 + b D2) - bregman_f + noise + (1/lam + c) bregman_conjugate + c bregman_K``,
        0 in exact arithmetic; ``scale``: the sum of the magnitudes of its terms, and of ``|g_i| (|x_i| + |x'_i|)``,
        which is what the rounding of f grows with where f itself is small.
    """

    coefficients: Coefficients
    before: Array
    after: Array
    D1: Array
    D2: Array
    bregman_f: Array
    bregman_conjugate: Array
    bregman_K: Array
    residual: Array
    scale: Array


def descent(
    opt: LionK,
    lr: float,
    x: Any,
    m: Any,
    f: Any,
    grad: Any,
    x_next: Any,
    m_next: Any,
    f_next: Any,
    *,
    noisy_grad: Any = None,
    tol: float | None = None,
) -> Descent:
    """The terms of the exact identity for the step of ``opt`` from (x, m) to (x_next, m_next).

    Parameters
    ----------
    opt, lr
        The optimizer and the learning rate of this step.
    x, m, f, grad
        Where the step started; f and grad are the full function and gradient there.
    x_next, m_next, f_next
        Where it ended.
    noisy_grad : optional
        The gradient that the step used, if it was not ``grad``.
    tol : float, optional
        Of membership in dom K* (None: the default of ``ConvexFunction.value``).

    Notes
    -----
    ``D1 = <r - p, u - lam x'> >= 0`` and ``D2 = <r - m', u - v> >= 0`` for the readout r, ``u = dK(r)``, ``v = dK(m')``
    and ``p = dK*(lam x')``. Entries are infinite or NaN where K* is infinite or dK* is empty: the identity does not
    apply there.
    """
    K, lam, k = over(opt.K, x), float(opt.weight_decay), coefficients_of(opt, lr)
    start = point_of(K, lam, x, m, f, grad, tol)
    end = point_of(K, lam, x_next, m_next, f_next, None, tol)
    return descent_of(K, k, opt.betas, lam, start, end, noisy_grad=noisy_grad)


def descent_of(
    K: Any, k: Coefficients, betas: tuple[float, float], lam: float, start: At, end: At, *, noisy_grad: Any = None,
    batch: int = 0,
) -> Descent:  # fmt: skip
    """``descent`` from the numbers of two points and the coefficients of the step, which may be arrays.

    With ``batch = 1`` of a stack of steps, for a K that is bound to stacks.
    """
    (b1, _), used = betas, start.grad if noisy_grad is None else noisy_grad
    readout = tree_map(lambda a, g: b1 * a - (1 - b1) * g, start.m, used)
    y, y_next = scaled(start.x, lam), scaled(end.x, lam)
    u, v = K.subgradient(readout), K.subgradient(end.m)
    p = K.conjugate.subgradient(y_next)
    dx = _difference(end.x, start.x)

    D1 = tree_inner(_difference(readout, p), _difference(u, y_next), batch)
    D2 = tree_inner(_difference(readout, end.m), _difference(u, v), batch)
    if k.b is None:
        D2 = 0 * D2
    bregman_f = end.f - start.f - tree_inner(start.grad, dx, batch)
    noise = 0 * D1 if noisy_grad is None else tree_inner(_difference(used, start.grad), dx, batch)
    bregman_conjugate = start.dual - end.dual - tree_inner(p, _difference(y, y_next), batch)
    bregman_K = start.value - end.value - tree_inner(v, _difference(start.m, end.m), batch)
    before, after = lyapunov_at(start, lam, k.c), lyapunov_at(end, lam, k.c)
    dissipated = k.h * (k.a * D1 + (0.0 if k.b is None else k.b) * D2)
    over_dual = (1 / lam + k.c if lam else 0.0) * bregman_conjugate
    terms = (after, -1 * before, dissipated, -1 * bregman_f, noise, over_dual, k.c * bregman_K)
    sizes = tree_map(lambda a, b: abs(a) + abs(b), start.x, end.x)
    scale = sum(abs(t) for t in terms) + tree_inner(tree_map(abs, start.grad), sizes, batch)
    return Descent(k, before, after, D1, D2, bregman_f, bregman_conjugate, bregman_K, sum(terms), scale)


def _difference(a: Any, b: Any) -> Any:
    return tree_map(lambda s, t: s - t, a, b)
