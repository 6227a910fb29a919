"""`scipy_method`: `lionk.minimize` in the manners of `scipy.optimize.minimize`."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import Bounds, OptimizeResult, OptimizeWarning

import lionk

REACH = 10.0  # times 1 + max |x0|: where a side without a bound ends at first
SINGLE = float(np.finfo(np.float32).eps)
SUCCESS, MAXITER, NOT_FINITE, STOPPED = 0, 1, 2, 99  # status, as far as SciPy's own methods agree on numbers


def scipy_method(
    fun: Callable[..., Any],
    x0: Any = None,
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
    atol: float = 1e-8,
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
        As in SciPy; without ``jac`` the gradient is taken by forward differences, backward at an upper bound, and no
        bound of the certificate holds. x0 is moved into the bounds.
    bounds : scipy.optimize.Bounds or pairs
        Where one is infinite (None), the box ends at ten times 1 + max |x0|, and further out when x comes near.
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
        ``fun`` is f at x; beside SciPy's fields: ``objective`` F, ``gap`` and ``gap_rounding`` (for convex f and with
        ``jac``, ``F - min F <= gap + gap_rounding`` over the finite box), ``history`` and ``certificate`` as in
        ``lionk.Result``. status: 0 success, 1 maxiter or no further progress, 2 not finite, 99 callback.

    Examples
    --------
    >>> import lionk_numpy, scipy.optimize
    >>> r = scipy.optimize.minimize(
    ...     lambda x: ((x - 2) @ (x - 2), 2 * (x - 2)), [0.0, 0.0], jac=True, method=lionk_numpy.scipy_method,
    ...     bounds=[(0, 1), (0, 5)], options={"convex": True, "atol": 1e-6})
    >>> r.success, r.x.round(2).tolist()
    (True, [1.0, 2.0])
    """
    if x0 is None:  # minimize_scalar has none
        raise TypeError(
            "scipy_method needs a starting point x0, which scipy.optimize.minimize_scalar does not give: call "
            "scipy.optimize.minimize(fun, [start], method=lionk_numpy.scipy_method, bounds=[(low, high)])"
        )
    if unknown:
        text = f"Unknown solver options: {', '.join(unknown)}"
        warnings.warn(text, OptimizeWarning, stacklevel=3)
    for name, given in (("hess", hess), ("hessp", hessp), ("constraints", constraints or None)):
        if given is not None:
            warnings.warn(f"lionk does not use {name}", RuntimeWarning, stacklevel=3)
    x0 = np.array(x0, dtype=None if np.asarray(x0).dtype.kind == "f" else float)
    low = high = np.broadcast_to(np.inf, x0.shape)
    low = -low
    if bounds is not None:
        if K is not None or weight_decay is not None:
            raise ValueError("bounds are the constraint of K = box: give bounds, or K and weight_decay, not both")
        low, high = _read(bounds, x0)
        x0 = np.clip(x0, low, high)
    f = _Function(fun, args, jac, low, high)
    notify = _Callback(callback)
    options = {"lr": lr, "betas": betas, "decay": decay, "convex": convex, "tol": tol, "atol": atol}
    options |= {"callback": notify, "progress": disp, "jac": True}
    try:
        if bounds is None:
            result = lionk.minimize(
                f, x0, K=K or "l1", weight_decay=weight_decay or 0.0, maxiter=_whole(maxiter), **options
            )
        else:
            result = _within(f, x0, low, high, _whole(maxiter), notify, options)
        message, status = result.message, SUCCESS if result.success else STOPPED if notify.halted else MAXITER
    except lionk.NonFiniteError as error:
        if error.result is None:
            return OptimizeResult(
                x=x0, fun=f.last[0], jac=f.last[1], success=False, status=NOT_FINITE, message=str(error), nit=0,
                nfev=f.nfev, njev=f.njev,
            )  # fmt: skip
        result, message, status = error.result, str(error), NOT_FINITE
    return OptimizeResult(
        x=result.x, fun=result.fun, jac=f(result.x)[1].astype(x0.dtype), success=status == SUCCESS, status=status,
        message=message, nit=result.nit, nfev=f.nfev, njev=f.njev, objective=result.objective, gap=result.gap,
        gap_rounding=result.gap_rounding, history=result.history,
        certificate=result.certificate if jac else _restated(result.certificate, _estimated),
    )  # fmt: skip


def _whole(maxiter: Any) -> Any:
    """A whole number that comes as a float, such as 1e4, as SciPy's own methods take it."""
    return int(maxiter) if isinstance(maxiter, float) and maxiter.is_integer() else maxiter


def _within(f: Any, x0: Any, low: Any, high: Any, maxiter: int, notify: Any, options: dict[str, Any]) -> lionk.Result:
    """f over the box. Where a bound is infinite, the box ends at some distance, ten times as far when x comes there.

    A minimum of a convex f over the smaller box that does not touch its artificial ends is one over the larger box.
    """
    x, reach, steps = x0, REACH * (1 + np.max(np.abs(x0), initial=0.0)), 0
    while True:
        ends = np.where(np.isfinite(low), low, x - reach), np.where(np.isfinite(high), high, x + reach)
        notify.before = steps
        result = lionk.minimize(
            f, x, K=lionk.K("box", lower=ends[0], upper=ends[1]), weight_decay=1.0, maxiter=maxiter - steps, **options
        )
        steps += result.nit
        room = np.minimum(
            np.where(np.isfinite(low), np.inf, result.x - ends[0]),
            np.where(np.isfinite(high), np.inf, ends[1] - result.x),
        )
        if np.all(room > reach / 2) or steps >= maxiter or notify.halted:
            if np.isinf([low, high]).any():
                result = replace(result, certificate=_restated(result.certificate, _within_reach))
            return replace(result, nit=steps)
        x, reach = result.x, 10 * reach


def _restated(certificate: Any, of: Any) -> Any:
    return replace(certificate, statements=tuple(map(of, certificate.statements)))


def _within_reach(s: Any) -> Any:
    """A bound where ends of the box stand for infinite ones: nothing is known beyond them."""
    known = s.verdict == "holds" and s.name.endswith("bound")
    return s._replace(text=f"{s.text}, over the finite box of the last steps") if known else s


def _estimated(s: Any) -> Any:
    """Nothing holds that rests on gradients by finite differences."""
    why = "the gradient was found by finite differences, whose error is not known; give jac"
    return s if s.name == "phase I" else s._replace(verdict="does not apply", text=why)


class _Function:
    """f and its gradient, with the numbers of evaluations; the last pair is kept, and not computed again."""

    def __init__(self, fun: Any, args: tuple[Any, ...], jac: Any, low: Any, high: Any) -> None:
        self.fun, self.args, self.jac, self.low, self.high = fun, args, jac, low, high
        self.nfev = self.njev = 0
        self.at: Any = None  # where the last pair was computed
        self.last: tuple[float, Any] = np.nan, None
        self.eps = 0.0  # relative precision of f, as far as its values have shown it

    def __call__(self, x: Any) -> tuple[float, Any]:
        if self.at is not None and np.array_equal(x, self.at):
            return self.last
        f, g = self._value(x), None
        self.njev += 1
        if callable(self.jac):
            whole = _real("jac must return real numbers", self.jac(x.copy(), *self.args))
            fewer = whole.dtype.kind == "f" and whole.dtype.itemsize < x.dtype.itemsize
            g = whole if fewer else whole.astype(x.dtype, copy=False)
            if g.size != x.size or g.shape not in {x.shape, (1, x.size), (x.size, 1)}:
                raise ValueError(f"the gradient must have shape {x.shape}, got {g.shape}")
            g = g.reshape(x.shape)
            if whole.dtype.kind in "biu" and not g.all():
                self._check_zeros(x, f, g)
        else:
            g = self._differences(x, f)
        self.at, self.last = x.copy(), (f, g)
        return f, g

    def _check_zeros(self, x: Any, f: float, g: Any) -> None:
        """Raise ValueError where an entry of a gradient of whole numbers is 0, but f falls: its digits were cut off."""
        eps = max(self.eps, float(np.finfo(x.dtype).eps))
        for i in map(tuple, np.argwhere(g == 0)):
            for h in np.sqrt(eps) * max(1, abs(x[i])) * np.asarray([1, -1]):
                moved = x.copy()
                moved[i] = np.clip(x[i] + h, self.low[i], self.high[i])
                if self._value(moved) < f - 1e-3 * abs(moved[i] - x[i]) - 8 * eps * abs(f):
                    raise ValueError(
                        f"jac returned whole numbers, with 0 at entry {', '.join(map(str, i))}, but f falls there: the "
                        "digits of the gradient were cut off; return an array of floats"
                    )

    def _value(self, x: Any) -> Any:
        self.nfev += 1
        value = _real("fun must return one real number", self.fun(x.copy(), *self.args))
        if value.dtype.kind == "f":
            self.eps = max(self.eps, float(np.finfo(value.dtype).eps))
        if value.size != 1:
            raise ValueError(f"fun must return one number, got an array of shape {value.shape}")
        value = value.reshape(())[()]
        return value if isinstance(value, (np.float16, np.float32)) else float(value)  # whose digits lionk notices

    def _differences(self, x: Any, f: float) -> Any:
        """Forward differences, backward at an upper bound, with steps that suit the precision of f and of x.

        Values that are all numbers of single precision show that f is computed in it: then the steps are taken anew.
        """
        while True:
            eps = max(self.eps, float(np.finfo(x.dtype).eps))
            h, values = _steps(x, self.low, self.high, eps), np.empty(x.shape)
            for i in np.ndindex(x.shape):
                moved = x.copy()
                moved[i] += h[i]
                values[i] = self._value(moved)
                h[i] = moved[i] - x[i]
            seen = np.append(values, f)
            single = np.isfinite(seen).all() and (seen == seen.astype(np.float32)).all()
            if eps >= SINGLE or not single:
                return ((values - f) / h).astype(x.dtype)
            self.eps = SINGLE


def _real(wanted: str, returned: Any) -> Any:
    """What a user's function gave, as an array of numbers."""
    if isinstance(returned, np.ma.MaskedArray):
        raise TypeError(f"{wanted}, got a masked array, whose mask would be ignored; fill it, e.g. .filled(0.0)")
    array = np.asarray(returned)
    try:
        if array.dtype.kind == "O":  # fractions, numbers of other libraries, or none at all
            array = np.array([float(v) for v in array.flat]).reshape(array.shape)
    except (TypeError, ValueError):
        pass  # and is refused
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{wanted}, got {returned!r:.80}")
    return array


def _steps(x: Any, low: Any, high: Any, eps: float) -> Any:
    """Steps of finite differences that stay within the bounds: forward, or to the side that has room."""
    h, up, down = np.sqrt(eps) * np.maximum(1, np.abs(x)), high - x, x - low
    step = np.where(up >= h, h, np.where(down >= up, -np.minimum(h, down), up))
    return np.where(step == 0, h, step)  # low = high: there is no other side


def _read(bounds: Any, x0: Any) -> tuple[Any, Any]:
    """Lower and upper bounds as arrays like x0."""
    if isinstance(bounds, Bounds):
        low, high = bounds.lb, bounds.ub
        for side in (low, high):
            if np.size(side) not in (1, x0.size):
                raise ValueError(
                    f"bounds must have one entry, or {x0.size}, one for each variable; got {np.size(side)}"
                )
    else:
        pairs = list(bounds)
        if len(pairs) != x0.size or any(len(pair) != 2 for pair in pairs):
            raise ValueError(f"bounds must be {x0.size} pairs (low, high), one for each variable, got {len(pairs)}")
        low = [-np.inf if a is None else a for a, _ in pairs]
        high = [np.inf if b is None else b for _, b in pairs]
    low, high = (np.broadcast_to(np.asarray(b, dtype=x0.dtype), x0.shape).copy() for b in (low, high))
    wrong = ~(low <= high) | (low == np.inf) | (high == -np.inf)
    if wrong.any():
        i = int(wrong.ravel().argmax())
        raise ValueError(f"bounds: no number is between {low.ravel()[i]} and {high.ravel()[i]}, those of variable {i}")
    return low, high


class _Callback:
    """SciPy's two kinds of callbacks, which end a run by StopIteration, on lionk's one."""

    def __init__(self, callback: Any) -> None:
        self.callback, self.halted = callback, False
        self.before = 0  # steps of the runs before this one
        self.named = callback is not None and "intermediate_result" in inspect.signature(callback).parameters

    def __call__(self, info: Any) -> bool:
        if self.callback is None or info.nit == 0:
            return False
        now = OptimizeResult(
            x=info.x.copy(), fun=info.f, objective=info.objective, gap=info.gap, nit=self.before + info.nit
        )
        try:
            self.callback(intermediate_result=now) if self.named else self.callback(now.x)
        except StopIteration:
            self.halted = True
        return self.halted
