"""The Lion-K ordinary differential equation, integrated on any array library, with its dissipation identity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays.containers import scaled, tree_inner, tree_map
from ..arrays.namespace import Array
from ..optimizer.lion_k import LionK
from .objective import over


class FlowParameters(NamedTuple):
    """``m' = -alpha grad f(x) - gamma m``, ``x' = dK(m + eps m') - lam x``; alpha, gamma > 0, 0 <= eps gamma <= 1."""

    alpha: float = 1.0
    gamma: float = 1.0
    eps: float = 0.5
    weight_decay: float = 1.0

    @property
    def c(self) -> float:
        """Coefficient of the Lyapunov function: ``(1 - eps gamma)/(1 + eps lam)``."""
        return (1 - self.eps * self.gamma) / (1 + self.eps * self.weight_decay)


def flow_parameters(opt: LionK, lr: float) -> FlowParameters:
    """The flow whose Euler step of size lr is one step of ``opt``: ``gamma = (1-b2)/lr``, ``eps = lr (1-b1)/(1-b2)``.

    Explicit decay is the forward Euler step; implicit decay takes the decay at the new point (derived here).
    """
    b1, b2 = opt.betas
    rate = (1 - b2) / lr
    return FlowParameters(rate, rate, lr * (1 - b1) / (1 - b2), float(opt.weight_decay))


@dataclass(frozen=True)
class Flow:
    """A trajectory: times, points, momenta, and at each time f, H and the two dissipations.

    ``dissipated`` is the integral of ``a D1 + b D2`` (Simpson on the steps); in exact arithmetic
    ``H(t) + dissipated(t)`` is constant where K and K* are differentiable: ``residual`` is its largest change.
    """

    t: list[float]
    x: list[Any]
    m: list[Any]
    f: list[float]
    H: list[float]
    D1: list[float]
    D2: list[float]
    dissipated: list[float]
    parameters: FlowParameters

    @property
    def residual(self) -> float:
        return max(abs(h + d - self.H[0]) for h, d in zip(self.H, self.dissipated, strict=True))


def flow(
    fun: Callable[[Any], tuple[Any, Any]],
    x0: Any,
    m0: Any = None,
    *,
    K: Any,
    parameters: FlowParameters | None = None,
    time: float = 10.0,
    steps: int = 1000,
) -> Flow:
    """Integrate the Lion-K flow by the classical Runge-Kutta method of order 4 with fixed steps.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> (f, grad)``.
    x0, m0 : array or container of arrays
        Start; ``m0`` None means 0.
    K : str, dict or ConvexFunction
        The order 4, and the identity, need K and K* differentiable along the path; a kinked K is integrated to order 1.
    parameters : FlowParameters, optional
        Default: 1, with eps = 1/2. See ``flow_parameters`` for those of an optimizer.
    time, steps
        Length of the interval, and number of steps in it.

    Returns
    -------
    Flow

    Notes
    -----
    ``H = alpha f + gamma K*(lam x)/lam + c FY(m, lam x)``; ``dH/dt = -(gamma + lam)/(1 + eps lam) D1
    - (1 - eps gamma)/(eps (1 + eps lam)) D2`` with ``D1 = <lam x - dK(r), dK*(lam x) - r>``, ``D2 = <r - m, dK(r) -
    dK(m)>``, ``r = m + eps m'`` (2310.05898, Theorem 3.1; constants derived here).
    """
    p = parameters or FlowParameters()
    for name in ("alpha", "gamma", "weight_decay"):
        if not getattr(p, name) > 0:
            raise ValueError(f"{name} must be > 0, got {getattr(p, name)!r}")
    if not 0 <= p.eps * p.gamma <= 1:
        raise ValueError(f"eps * gamma must be in [0, 1], got {p.eps * p.gamma!r}")
    if not (steps >= 1 and time > 0):
        raise ValueError(f"time > 0 and steps >= 1 are needed, got {time!r} and {steps!r}")
    function = over(K, x0)
    for a in [x0] if hasattr(x0, "shape") else []:
        _xp.floating(a, "x0")
    lam = p.weight_decay

    def rate(x: Any, m: Any) -> tuple[Any, Any]:
        grad = fun(x)[1]
        dm = tree_map(lambda g, a: -p.alpha * g - p.gamma * a, grad, m)
        u = function.subgradient(_axpy(m, p.eps, dm))
        return tree_map(lambda s, a: s - lam * a, u, x), dm

    def observe(x: Any, m: Any) -> tuple[float, float, float, float]:
        f, grad = fun(x)
        r = _axpy(m, p.eps, tree_map(lambda g, a: -p.alpha * g - p.gamma * a, grad, m))
        y, u = scaled(x, lam), function.subgradient(r)
        H = p.alpha * f + p.gamma / lam * function.conjugate.value(y)
        if p.c:  # else 0 times infinity outside dom K*
            H = H + p.c * function.fenchel_young(m, y)
        D1 = tree_inner(_axpy(y, -1.0, u), _axpy(function.conjugate.subgradient(y), -1.0, r))
        D2 = tree_inner(_axpy(r, -1.0, m), _axpy(u, -1.0, function.subgradient(m)))
        return float(f), float(H), float(D1), float(D2)

    def loss(D1: float, D2: float) -> float:
        width = 1 + p.eps * lam
        return (p.gamma + lam) / width * D1 + ((1 - p.eps * p.gamma) / (p.eps * width) * D2 if p.eps else 0.0)

    dt = time / steps
    x, m = x0, tree_map(lambda a: 0 * a, x0) if m0 is None else m0
    out = Flow([0.0], [x], [m], [], [], [], [], [0.0], p)
    _append(out, observe(x, m))
    for i in range(steps):
        (mid_x, mid_m), (x, m) = _runge_kutta(rate, x, m, dt)
        middle = observe(mid_x, mid_m)
        before = loss(out.D1[-1], out.D2[-1])
        out.t.append((i + 1) * dt)
        out.x.append(x)
        out.m.append(m)
        _append(out, observe(x, m))
        mean = (before + 4 * loss(*middle[2:]) + loss(out.D1[-1], out.D2[-1])) / 6
        out.dissipated.append(out.dissipated[-1] + dt * mean)
    return out


def _append(out: Flow, seen: tuple[float, float, float, float]) -> None:
    for series, value in zip((out.f, out.H, out.D1, out.D2), seen, strict=True):
        series.append(value)


def _axpy(x: Any, a: float, y: Any) -> Any:
    return tree_map(lambda s, t: s + a * t, x, y)


def _runge_kutta(rate: Callable[[Any, Any], tuple[Any, Any]], x: Any, m: Any, dt: float) -> tuple[Any, Any]:
    """The point half way (cubic Hermite, order 4) and the point after one step."""
    k1 = rate(x, m)
    k2 = rate(_axpy(x, dt / 2, k1[0]), _axpy(m, dt / 2, k1[1]))
    k3 = rate(_axpy(x, dt / 2, k2[0]), _axpy(m, dt / 2, k2[1]))
    k4 = rate(_axpy(x, dt, k3[0]), _axpy(m, dt, k3[1]))

    def combine(z: Any, i: int) -> Any:
        slope = tree_map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1[i], k2[i], k3[i], k4[i])
        return _axpy(z, dt, slope)

    new = combine(x, 0), combine(m, 1)
    end = rate(*new)

    def half(z: Any, w: Any, s: Array, e: Array) -> Any:
        return tree_map(lambda a, b, c, d: (a + b) / 2 + dt / 8 * (c - d), z, w, s, e)

    return (half(x, new[0], k1[0], end[0]), half(m, new[1], k1[1], end[1])), new
