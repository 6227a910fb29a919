"""`minimize` with ``batch=1``: the arguments of many problems, their f as it is evaluated, and their result."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any

from ..arrays import namespace as _xp
from ..arrays.containers import is_container
from ..backend.discovery import backend_of
from ..errors import NotAvailable
from ..functions import K as build
from ..optimizer.lion_k import State
from ..theory.certificate import Certificate, Statement
from ..theory.objective import EMPTY, hidden
from . import rule
from .loop import Run
from .many import CERTIFIED, CURVES, EXHAUSTED, KINKED, RUNNING, SLOW, ZERO, Many, Stack, advance, begin
from .result import History, Result

ENDS = {
    EXHAUSTED: f"neither F nor its bound improved in {rule.STALE} evaluations",
    KINKED: "f has kinks",
    CURVES: "f is not convex",
    SLOW: "fast steps are slow",
    RUNNING: "maxiter steps made",
}
ALONE = (KINKED, CURVES, SLOW)  # from there on each by itself
KEPT = 1 << 25  # entries, at most, that runs of one problem keep together
FEW = 4  # problems are moved to the last; of more, those that have ended are left out once they are half of them


class Part:
    """Some of the problems, or all: ``of`` takes them out of arrays, ``put`` puts them back among the others."""

    def __init__(self, xp: Any, chosen: Any = None) -> None:
        self.xp, self.whole = xp, chosen is None
        if chosen is None:
            return
        own = [bool(c) for c in chosen]
        order = sorted(range(len(own)), key=lambda i: not own[i])
        back = sorted(range(len(own)), key=order.__getitem__)
        cuts = order[: sum(own)], order[sum(own) :], back
        self._own, self._rest, self._back = (xp.asarray(v, device=_xp.device(chosen)) for v in cuts)

    def of(self, arrays: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(a if self.whole else self.xp.take(a, self._own, axis=0) for a in arrays)

    def put(self, arrays: Iterable[Any], among: Iterable[Any]) -> tuple[Any, ...]:
        if self.whole:
            return tuple(arrays)
        xp = self.xp
        both = [xp.concat([a, xp.take(b, self._rest, axis=0)]) for a, b in zip(arrays, among, strict=True)]
        return tuple(xp.take(a, self._back, axis=0) for a in both)


def solve(
    fun: Any, x0: Any, K: Any, weight_decay: Any, jac: Any, tol: float, atol: float, maxiter: int, convex: bool | None,
    alone: Callable[..., Run],
) -> Result:  # fmt: skip
    """Minimise ``F_b(x_b) = f_b(x_b) + K*(lam_b x_b)/lam_b`` for each b of the first axis of x0.

    ``alone(fun, x, weight_decay, maxiter)`` is the run of one problem: of those whose f has kinks, is not convex, or is
    far steeper in some directions.
    """
    if is_container(x0) or not getattr(x0, "shape", ()) or not x0.shape[0]:
        raise ValueError("with batch=1, x0 must be one array whose first axis counts the problems, of which there is "
                         f"one at least; got {type(x0).__name__} of shape {getattr(x0, 'shape', None)}")  # fmt: skip
    kind = _xp.floating(x0, "x0")
    if kind.low:
        raise ValueError(f"with batch=1, x0 must have 32 bits or more, got {x0.dtype}: convert it first")
    function, backend = build(K), backend_of(x0, "x0")
    if not hasattr(function, "_read") or not function.conjugate.traits.prox:
        raise ValueError(f"batch=1 needs a K of one array whose conjugate has a prox, which {function!r} has not")
    stack = Stack(function, x0, _decays(weight_decay, x0, kind))
    evaluate = _evaluation(fun, jac, backend, x0)
    s, rows = backend.synchronize(begin(stack, x0)), list[Any]()
    if bool(kind.xp.any(x0 != 0)):
        near = backend.synchronize(begin(stack, kind.xp.zeros_like(x0))).x
        F = kind.xp.abs(stack.read(*evaluate(near))[0] + stack.dual(near) / stack.lam)
        s = s._replace(origin=kind.xp.where(kind.xp.isfinite(F), F, 0.0))
    part, whole, points, lam = Part(kind.xp), s, s.x, stack.lam
    while True:
        f, grad = part.of(stack.read(*evaluate(points)))
        s, row = backend.synchronize(advance(stack, s, f, grad, tol, atol, convex, not rows))
        rows.append(part.put(row, rows[-1] if rows else row))
        running, count = s.end == RUNNING, s.end.shape[0]
        left = int(kind.xp.sum(kind.xp.astype(running, s.nit.dtype)))
        if len(rows) > maxiter or not left:
            break
        if 2 * left <= count and count > FEW and not backend.compiles_shapes:
            whole = Many(*part.put(s, whole))
            part = Part(kind.xp, whole.end == RUNNING)
            s = Many(*part.of(whole))
            stack.weigh(*part.of((lam,)))
        (points,) = part.put((s.x,), (points,))
    s = Many(*part.put(s, whole))
    stack.weigh(lam)
    if not bool(kind.xp.any(kind.xp.isfinite(s.low))) and bool(kind.xp.all(kind.xp.isinf(_away(stack, 0 * x0)))):
        raise ValueError(EMPTY)
    return _result(stack, s, rows, evaluate, alone, maxiter)


def _decays(weight_decay: Any, x0: Any, kind: _xp.Kind) -> Any:
    """lam of each problem, an array of shape (B,)."""
    xp, count = kind.xp, x0.shape[0]
    if isinstance(weight_decay, numbers.Real) and not isinstance(weight_decay, bool):
        weight_decay = [float(weight_decay)] * count
    lam = xp.asarray(weight_decay, dtype=kind.real_dtype, device=_xp.device(x0))
    if tuple(lam.shape) != (count,):
        raise ValueError(f"weight_decay must be a number or one for each of {count} problems, got shape {lam.shape}")
    if not bool(xp.all((lam > 0) & (lam < math.inf))):
        raise ValueError(f"with batch=1, each weight_decay must be a finite number > 0, got {weight_decay!r}")
    return lam


def _evaluation(fun: Any, jac: Any, backend: Any, x0: Any) -> Callable[[Any], tuple[Any, Any]]:
    """f of shape (B,) and its gradients, checked. fun and jac get copies."""
    xp, asarray, shape = _xp.namespace(x0), _xp.kind(x0).asarray, tuple(x0.shape)

    def copied(x: Any) -> Any:
        return asarray(x, copy=True)

    if jac is None and backend.value_and_grad is None:
        raise ValueError(f"{backend.name} arrays have no automatic differentiation: pass jac=True or jac=callable")
    if jac is not None and jac is not True and not callable(jac):
        raise TypeError(f"jac must be True, a callable or None, got {jac!r}")
    total = None if jac is not None else backend.value_and_grad(lambda x: xp.sum(fun(x)))

    def evaluate(x: Any) -> tuple[Any, Any]:
        if jac is True:
            out = fun(copied(x))
            if not (isinstance(out, tuple) and len(out) == 2):
                raise TypeError(f"fun must return (f, grad) with jac=True, got {type(out).__name__}")
            f, grad = out
        else:
            f, grad = fun(copied(x)), total(copied(x))[1] if total is not None else jac(copied(x))
        for name, a, wanted in (("f", f, shape[:1]), ("the gradient", grad, shape)):
            if tuple(getattr(a, "shape", ())) != wanted:
                raise ValueError(f"with batch=1, {name} must have shape {wanted}, got {getattr(a, 'shape', a)!r}")
            if _xp.kind(a, name).xp is not xp:
                raise TypeError(f"{name} is an array of another library than x0: return it in the library of x0")
        return backend.settle(f, grad)

    return evaluate


def _result(
    stack: Stack, s: Many, rows: list[Any], evaluate: Any, alone: Any, maxiter: int
) -> Result:  # fmt: skip
    xp, lam, B = stack.xp, stack.lam, s.x.shape[0]
    K, y = stack.conjugate, stack.wide * s.low_x
    gap = xp.where(xp.isfinite(s.low), s.low - s.lower + s.rounding + hidden(K, y) / lam, math.inf)
    fields = {
        "x": s.low_x, "fun": s.low_f, "objective": s.low, "gap": gap, "momentum_gap": gap,
        "gap_rounding": s.rounding,
        "nit": xp.where(s.end == RUNNING, maxiter, s.nit), "success": (s.end == CERTIFIED) | (s.end == ZERO),
    }  # fmt: skip
    ends = [int(e) for e in s.end]
    again = _alone(evaluate, alone, s, stack, [b for b, e in enumerate(ends) if e in ALONE], maxiter)
    for name in fields if again else ():
        column = [getattr(again[b], name) if b in again else fields[name][b, ...] for b in range(B)]
        made = [xp.asarray(v, dtype=fields[name].dtype, device=_xp.device(s.x)) for v in column]
        fields[name] = xp.stack(made)
    if again:
        fields["nit"] = fields["nit"] + s.nit * xp.asarray([b in again for b in range(B)], dtype=s.nit.dtype)
    distance = _away(stack, fields["x"])
    certified, convex = int(xp.sum(xp.astype(fields["success"], s.nit.dtype))), B - ends.count(CURVES)
    whys = [f"{n} of them: {text}" for e, text in ENDS.items() if e not in ALONE and (n := ends.count(e))]
    text = f"F(x) - min F <= gap for {convex} of {B} problems, if f is convex"
    return Result(
        **fields, distance=distance, message="; ".join([f"{certified} of {B} problems certified", *whys]),
        history=_history(lam, *(xp.stack(list(series)) for series in zip(*rows, strict=True))),
        certificate=Certificate((Statement("momentum bound", "holds" if convex else "does not apply", text),)),
        state=State(s.m, int(xp.max(s.nit))), last_x=s.x, weight_decay=lam, K=stack.K,
    )  # fmt: skip


def _away(stack: Stack, x: Any) -> Any:
    """From each x to its feasible points; where no distance is known, 0 or inf."""
    try:
        return stack.away(x)
    except NotAvailable:
        return stack.xp.where(stack.xp.isfinite(stack.dual(x)), 0 * stack.lam, math.inf)


def _history(lam: Any, f: Any, dual: Any, F: Any, gap: Any, L: Any, apart: Any, bound: Any) -> History:
    return History(f, dual / lam, F, gap, F + L / 2 * apart, 0 * L, 1 / L, bound)


def _alone(
    evaluate: Any, alone: Callable[..., Run], s: Many, stack: Stack, chosen: list[int], maxiter: int
) -> dict[int, Result]:
    """These problems, each from its best point by itself: their runs stand side by side, and f is evaluated for all."""
    xp, points = stack.xp, [s.low_x[b, ...] for b in range(s.x.shape[0])]
    seen: dict[int, tuple[Any, Any]] = {}  # f and its gradient where a run is, which takes them from here

    def of(b: int) -> Callable[[Any], tuple[Any, Any]]:
        def fun(x: Any) -> tuple[Any, Any]:
            if b in seen:
                return seen.pop(b)
            f, grad = evaluate(xp.stack([*points[:b], x, *points[b + 1 :]]))
            return f[b], grad[b, ...]

        return fun

    runs: dict[int, Run] = {}
    found: dict[int, Result] = {}
    while chosen or runs:
        while chosen and sum(run.memory * run.size for run in runs.values()) < KEPT:
            b = chosen.pop(0)
            runs[b] = alone(of(b), points[b], float(stack.lam[b]), max(maxiter - int(s.nit[b]), 0))
            runs[b].begin()
        for b, run in runs.items():
            points[b] = run.now.x
        f, grad = evaluate(xp.stack(points))
        seen.update({b: (f[b], grad[b, ...]) for b in runs})
        for b, run in [*runs.items()]:
            result = run.move(run.evaluate(run.now.x, run.now.count))
            if result is not None:
                found[b] = result
                del runs[b]
    return found
