"""A second Lyapunov function of the Lion-K flow, for runs without weight decay."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..arrays.containers import tree_inner, tree_map
from ..arrays.namespace import Array
from .objective import over


class SecondLyapunov(NamedTuple):
    """``value`` is H2, and ``rate`` its derivative along the flow: ``-(gamma/b) D1 - (gamma/(1-b)) D2``."""

    value: Array
    rate: Array
    D1: Array
    D2: Array


def second_lyapunov(K: Any, f: Any, grad: Any, m: Any, *, gamma: float = 1.0, eps: float = 0.5) -> SecondLyapunov:
    """``H2 = gamma f + K((1-b) m)/(1-b)``, ``b = eps gamma``, of the flow without decay, and its derivative in time.

    The flow is ``x' = dK(r)``, ``m' = -gamma (g + m)``, ``r = m + eps m'``. With ``p = (1-b) m``, ``u = dK(r)``,
    ``v = dK(p)``, ``D1 = <r - p, u - v> >= 0``, and ``D2 = <p, v> >= 0`` where K is smallest at 0::

        H2' = -(gamma/b) D1 - (gamma/(1-b)) D2

    H2 is eq. 13 of 2310.05898 as cited in C-Optim (2411.16085v4, Example A.2); the derivative is derived here. The rate
    that C-Optim prints in A.3.3 for l1, ``-(1-b) |r|_1 - gamma |m|_1``, does not hold.

    Parameters
    ----------
    K : str, dict or ConvexFunction
    f, grad : f and its gradient at x
    m : array or container of arrays
    gamma : float, > 0
    eps : float
        ``0 < eps gamma < 1``.

    Raises
    ------
    ValueError
        gamma or eps is out of range.

    Examples
    --------
    >>> import lionk, array_api_strict as xp
    >>> at = lionk.theory.second_lyapunov("l1", 1.0, xp.asarray([1.0, -2.0]), xp.asarray([1.0, 0.5]))
    >>> float(at.value), float(at.rate)
    (2.5, -2.5)
    """
    b = eps * gamma
    if not (gamma > 0 and 0 < b < 1):
        raise ValueError(f"the second Lyapunov function needs gamma > 0 and 0 < eps gamma < 1, got {gamma!r}, {eps!r}")
    function = over(K, m)
    p = tree_map(lambda a: (1 - b) * a, m)
    r = tree_map(lambda a, g: a - b * g, p, grad)
    u, v = function.subgradient(r), function.subgradient(p)
    D1 = tree_inner(_difference(r, p), _difference(u, v))
    D2 = tree_inner(p, v)
    value = gamma * f + function.value(p) / (1 - b)
    return SecondLyapunov(value, -(gamma / b) * D1 - (gamma / (1 - b)) * D2, D1, D2)


def _difference(a: Any, b: Any) -> Any:
    return tree_map(lambda s, t: s - t, a, b)
