"""`scipy_method`: `lionk.minimize` in the manners of `scipy.optimize.minimize`."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import Bounds, OptimizeResult, OptimizeWarning, approx_fprime

import lionk

SUCCESS, MAXITER, NOT_FINITE, STOPPED = 0, 1, 2, 99  # status, as far as SciPy's own methods agree on numbers


def scipy_method(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    callback: Any = None,
    tol: float = 1e-3,
    K: Any = None,
    weight_decay: float | None = None,
    lr: Any = None,
    betas: tuple[float, float] = (0.9, 0.99),
    decay: str = "explicit",
    convex: bool | None = None,
    atol: float = 0.0,
    maxiter: int = 10_000,
    disp: bool = False,
    **unknown: Any,
) -> OptimizeResult:
    """``scipy.optimize.minimize(fun, x0, jac=True, method=lionk_numpy.scipy_method, options={...})``.

    With ``bounds`` it minimises f over the box ``lb <= x <= ub``, every iterate being in it: K is the support function
    of the box and the weight decay 1 (2310.05898, section 2). Without, ``f(x) + K*(lam x)/lam`` for the options below.

    Parameters
    ----------
    fun, x0, args, jac, callback
        As in SciPy; without ``jac`` the gradient is taken by forward differences, backward at an upper bound. x0 is
        moved into the bounds.
    bounds : scipy.optimize.Bounds or pairs
        All finite.
    hess, hessp, constraints
        Not used: a RuntimeWarning says so.
    tol, atol, lr, betas, decay, convex, maxiter
        Options as in ``lionk.minimize``: stop when the gap is at most ``atol + tol |F|``.
    K, weight_decay
        Options where there are no bounds; default: "l1" and 0, Lion without constraint.
    disp : bool
        Option: show a progress bar.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``fun`` is f at x; beside SciPy's fields: ``objective`` F, ``gap`` (for convex f, ``F - min F <= gap``),
        ``history`` and ``certificate`` as in ``lionk.Result``. status: 0 success, 1 maxiter or no further progress,
        2 f or its gradient not finite, 99 callback.

    Examples
    --------
    >>> import lionk_numpy, scipy.optimize
    >>> r = scipy.optimize.minimize(
    ...     lambda x: ((x - 2) @ (x - 2), 2 * (x - 2)), [0.0, 0.0], jac=True, method=lionk_numpy.scipy_method,
    ...     bounds=[(0, 1), (0, 5)], options={"convex": True, "atol": 1e-6})
    >>> r.success, r.x.round(2).tolist()
    (True, [1.0, 2.0])
    """
    if unknown:
        text = f"Unknown solver options: {', '.join(unknown)}"
        warnings.warn(text, OptimizeWarning, stacklevel=3)
    for name, given in (("hess", hess), ("hessp", hessp), ("constraints", constraints or None)):
        if given is not None:
            warnings.warn(f"lionk does not use {name}", RuntimeWarning, stacklevel=3)
    x0 = np.array(x0, dtype=None if np.asarray(x0).dtype.kind == "f" else float)
    low, high = -np.inf, np.inf
    if bounds is not None:
        if K is not None or weight_decay is not None:
            raise ValueError("bounds are the constraint of K = box: give bounds, or K and weight_decay, not both")
        low, high = _read(bounds, x0)
        x0, K, weight_decay = np.clip(x0, low, high), lionk.K("box", lower=low, upper=high), 1.0
    counts = {"fun": 0, "jac": 0}

    def value(x: Any) -> float:
        counts["fun"] += 1
        return float(fun(x, *args))

    def gradient(x: Any) -> Any:
        counts["jac"] += 1
        if callable(jac):
            return np.asarray(jac(x, *args), dtype=x.dtype)
        return np.asarray(approx_fprime(x, value, _differences(x, low, high)), dtype=x.dtype)

    notify = _Callback(callback)
    try:
        result = lionk.minimize(
            value, x0, K=K or "l1", weight_decay=weight_decay or 0.0, lr=lr, betas=betas, decay=decay, jac=gradient,
            convex=convex, tol=tol, atol=atol, maxiter=maxiter, callback=notify, progress=disp,
        )  # fmt: skip
        message, status = result.message, SUCCESS if result.success else STOPPED if notify.halted else MAXITER
    except lionk.NonFiniteError as error:
        if error.result is None:
            return OptimizeResult(
                x=x0, fun=np.nan, success=False, status=NOT_FINITE, message=str(error), nit=0, nfev=counts["fun"],
                njev=counts["jac"],
            )  # fmt: skip
        result, message, status = error.result, str(error), NOT_FINITE
    return OptimizeResult(
        x=result.x, fun=result.fun, jac=gradient(result.x), success=status == SUCCESS, status=status, message=message,
        nit=result.nit, nfev=counts["fun"], njev=counts["jac"], objective=result.objective, gap=result.gap,
        history=result.history, certificate=result.certificate,
    )  # fmt: skip


def _differences(x: Any, low: Any, high: Any) -> Any:
    """Steps of finite differences that stay within the bounds: forward, or to the side that has room."""
    h, up, down = np.sqrt(np.finfo(x.dtype).eps) * np.maximum(1, np.abs(x)), high - x, x - low
    step = np.where(up >= h, h, np.where(down >= up, -np.minimum(h, down), up))
    return np.where(step == 0, h, step)  # low = high: there is no other side


def _read(bounds: Any, x0: Any) -> tuple[Any, Any]:
    """Lower and upper bounds as arrays like x0."""
    if isinstance(bounds, Bounds):
        low, high = bounds.lb, bounds.ub
    else:
        pairs = list(bounds)
        if len(pairs) != x0.size or any(len(pair) != 2 for pair in pairs):
            raise ValueError(f"bounds must be {x0.size} pairs (low, high), one for each variable, got {len(pairs)}")
        low = [-np.inf if a is None else a for a, _ in pairs]
        high = [np.inf if b is None else b for _, b in pairs]
    low, high = (np.broadcast_to(np.asarray(b, dtype=x0.dtype), x0.shape).copy() for b in (low, high))
    if not (low <= high).all():
        raise ValueError("one of the lower bounds is greater than its upper bound, or NaN")
    if not np.isfinite(low).all() or not np.isfinite(high).all():
        raise ValueError(
            "every bound must be finite: Lion-K moves towards the corners of the box; put a large number where a "
            "variable is free, or use options={'K': ..., 'weight_decay': ...} without bounds"
        )
    return low, high


class _Callback:
    """SciPy's two kinds of callbacks, which end a run by StopIteration, on lionk's one."""

    def __init__(self, callback: Any) -> None:
        self.callback, self.halted = callback, False
        self.named = callback is not None and "intermediate_result" in inspect.signature(callback).parameters

    def __call__(self, info: Any) -> bool:
        if self.callback is None or info.nit == 0:
            return False
        now = OptimizeResult(x=info.x.copy(), fun=info.f, objective=info.objective, gap=info.gap, nit=info.nit)
        try:
            self.callback(intermediate_result=now) if self.named else self.callback(now.x)
        except StopIteration:
            self.halted = True
        return self.halted
