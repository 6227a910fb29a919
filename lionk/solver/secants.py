"""The curvature that f has shown: the rule where fast steps are slow, since f is far steeper in some directions.

With the points x_i and gradients g_i that are kept, ``s_i = x_i - y`` and ``t_i = g_i - g`` from the anchor y, the
Hessian of f is taken for ``L I + U'U``. The rows of U are made of the t_i so that ``U'U s_i = t_i``, by symmetric
updates of rank one from 0, the newest pair first. For a quadratic f of Hessian H this holds for all pairs, and
``0 <= U'U <= H``: L is for the directions of which nothing is known, and falls as more is. The next point is

    x' = argmin_z <g, z - y> + (L/2) |z - y|^2 + |U (z - y)|^2/2 + K*(lam z)/lam,

a proximal quasi-Newton step (Lee, Sun, Saunders 2014). Its dual has one number for each row,

    max_a  -|a|^2/2 + min_z <g + U'a, z - y> + (L/2) |z - y|^2 + K*(lam z)/lam,

and the minimum in it is a prox of K* (Becker, Fadili 2012), which costs no evaluation of f. The gradient of the dual is
``U (z - y) - a``, and half its square is how far z is from the minimum. So x' is a step of Lion-K on the anchored K_y:
its momentum is g and as much of the changes of gradients as their curvature asks for. The combination is made here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..arrays import namespace as _xp
from . import measures, rule
from .bundle import CLOSE, SHARE, outer
from .combined import combined
from .rows import Rows

if TYPE_CHECKING:
    from .anchored import Anchored

FAR = 1e6  # times what was promised: where F rises by more, the model of the anchor learns nothing
LEAST, MOST = 5, 100  # pairs that are kept,
ENTRIES = 1 << 22  # of no more entries together where there are more than the least
FALL, RISE = 0.1, 10.0  # L, where F falls by a tenth of what the model promised, and where it does not
FINE = 2 / 3  # eps to this power: what a pair adds to the others, or L to U'U, is above rounding
STEPS = 100  # of the dual's ascent at most, and
LOOKS = 20  # points on a line, to where it is so much less steep:
LEVEL = 0.9


class Secants:
    """The points and gradients that are kept, as ``Progress.kept["points"]`` and ``["cuts"]``, the newest first."""

    def __init__(self, method: Anchored, memory: int) -> None:
        self.method = method
        self.memory = min(memory, method.run.size, MOST, max(ENTRIES // max(method.run.size, 1), LEAST))
        self.possible = memory > 1

    def advance(self, point: Any, F: float, rounding: float) -> None:
        run, s, record = self.method.run, self.method.state, self.method.record
        now = run.now
        here, kept = {"anchor": now.x, "grad": point.grad}, now.kept
        s.mass = 0.0
        if not kept:
            now.kept, s.f, s.F = here, point.f, F
        else:
            fell = rule.fell(s, F, rounding, SHARE * s.promised)
            s.L *= FALL if fell else RISE
            record.compared, record.taken_back = record.compared + 1, record.taken_back + (not fell)
            if fell:
                here, kept, s.f, s.F = kept, {**kept, **here}, point.f, F
            if F <= s.F + FAR * s.promised:
                for name, of in (("points", "anchor"), ("cuts", "grad")):
                    kept = {**kept, name: [here[of], *kept.get(name, ())][: self.memory]}
            now.kept = kept
        self.choose()

    def choose(self) -> None:
        """The next point."""
        method, run = self.method, self.method.run
        now = run.now
        x, slope = self._step()
        if not method.dual_is_finite(x):
            x = method.projected(x)
        now.x = run.backend.synchronize(x)
        method.check(now.x, now.kept["anchor"], slope)

    def _curvature(self) -> Rows | None:
        """U"""
        kept, backend = self.method.run.now.kept, self.method.run.backend
        if "cuts" not in kept:
            return None
        points, cuts = (
            Rows(backend, [measures.difference(a, kept[of]) for a in kept[name]])
            for name, of in (("points", "anchor"), ("cuts", "grad"))
        )
        C = _wide(points.gram(cuts))
        xp = _xp.namespace(C)
        T, unit = C[:0, :], xp.eye(C.shape[0])
        for row, one in zip(C, unit, strict=True):
            t = one - (T @ row) @ T
            more = float(t @ row)
            if more > self.fine * float(row @ one):
                T = xp.concat([T, (t / math.sqrt(more))[None, :]])
        return cuts.mixed(T) if T.shape[0] else None

    @property
    def fine(self) -> float:
        return float(self.method.run.eps**FINE)

    def _step(self) -> tuple[Any, Any]:
        """x', and the slope of the plain step from the anchor that leads to it."""
        method, s, kept = self.method, self.method.state, self.method.run.now.kept
        anchor, grad = kept["anchor"], kept["grad"]
        U = self._curvature()
        if U is None:
            x = method.prox(anchor, grad, s.L)
            s.promised = self._promised(x, 0.0)
            return x, grad
        gram = _wide(U.gram(U))
        xp = _xp.namespace(gram)
        one = xp.eye(gram.shape[0])
        s.L = max(s.L, self.fine * float(xp.max(gram)))

        def at(a: Any) -> tuple[Any, Any, Any]:
            slope = combined(1.0, grad, 1.0, U.sum(a))
            x = method.prox(anchor, slope, s.L)
            return _wide(U.inner(measures.difference(x, anchor))) - a, x, slope

        H = xp.linalg.inv(one + gram / s.L)
        a = -H @ _wide(U.inner(grad)) / s.L
        d, x, slope = at(a)
        for _ in range(STEPS):
            w, missed = d + a, float(d @ d) / 2
            s.promised = self._promised(x, float(w @ w) / 2)
            if missed <= max(CLOSE * s.promised, method.run.eps * abs(s.F)):
                break
            p = H @ d
            if not float(p @ d) > 0:
                H, p = one, d
            step, (new, x, slope) = _along(at, a, p, steep := float(p @ d))
            a, fall, d = a + step, d - new, new
            if abs(float(d @ p)) > LEVEL * steep:  # nowhere on the line, to rounding
                break
            much = float(step @ fall)
            if much > 0:
                q = H @ fall
                H = H + (1 + float(fall @ q) / much) * outer(step, step / much) - _both(q, step / much)
        return x, slope

    def _promised(self, x: Any, bent: float) -> float:
        """How far the model of F falls from the anchor to x."""
        s, kept = self.method.state, self.method.run.now.kept
        dual, turn, apart = self.method.numbers(measures.modelled, x, kept["anchor"], kept["grad"], self.method.slack)
        return max(s.F - s.f - dual / self.method.run.lam - turn - s.L / 2 * apart - bent, 0.0)


def _along(at: Any, a: Any, p: Any, slope: float) -> tuple[Any, Any]:
    """The step along p to where the slope of the dual, which falls, is less, and what is there."""
    low, high, t, found = (0.0, slope), (math.inf, 0.0), 1.0, at(a + p)
    for _ in range(LOOKS):
        new = float(found[0] @ p)
        if abs(new) <= LEVEL * slope:
            break
        low, high = ((t, new), high) if new > 0 else (low, (t, new))
        if high[0] == math.inf:
            t *= 4.0
        else:
            zero = low[1] / (low[1] - high[1])
            t = low[0] + min(max(zero, 0.1), 0.9) * (high[0] - low[0])
        found = at(a + t * p)
    return t * p, found


def _both(u: Any, v: Any) -> Any:
    found = outer(u, v)
    return found + found.T


def _wide(a: Any) -> Any:
    xp = _xp.namespace(a)
    return xp.astype(a, xp.float64)
