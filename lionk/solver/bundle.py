"""The weights chosen by the certificate: the rule where f has kinks.

With the anchored K_y (``L = mu lam``, y the center) and the gradients kept so far, ``c_i = f_i - <g_i, x_i>``, let

    x(w) = argmin_z <sum w_i g_i, z> + (L/2) |z - y|^2 + K*(lam z)/lam,    dD/dw_i = c_i + <g_i, x(w)>

on the simplex: D is the dual of the model ``max_i c_i + <g_i, z>`` with the prox term, concave, and its gradient has
the constant ``|G G'|/L``. A few steps of accelerated projected ascent, which cost no evaluation of f, give the weights,
the next point x(w), and the lower bound ``sum w_i c_i - K(-sum w_i g_i)/lam``. The center moves where F falls by a
tenth of what the model promised. This is the proximal bundle method (Lemarechal 1978; Kiwiel 1990) with K* kept exact,
and a step of Lion-K on K_y whose momentum has these weights. Derived here.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from ..arrays import namespace as _xp
from ..arrays.containers import tree_inner, tree_map
from ..theory.lower_bound import Average
from . import measures
from .rows import Rows

if TYPE_CHECKING:
    from .anchored import Anchored

FAR = 0.5  # of the proven gap: a model that promises more goes far enough
FALL = 0.7  # L, when the center moves and the model does not go far
RISE = 2.0  # L, where the model goes far, and F is above the center by more than the promise after as many points as
BEYOND = 1e6  # times F and the promise: where F rises by more, a gradient hides all others in rounding
NULLS = 3  # that do not move the center, or where the model goes less far after twice as many
SHARE = 0.1  # of the promise that a point must keep to become the center
SUMMED = 8  # roundings of a sum of gradients, which is made anew at every choice
STEPS = 200  # of the ascent at most, and
EVERY = 5  # steps between looks at its own gap,
SMALL = 1e-2  # mean of the gradients, beside their size: weights are looked for that make it 0,
ROUNDS = 20  # times at most, each without those that were negative
CLOSE = 0.1  # which ends it at so much of the promise


class Bundle:
    """The gradients that are kept, as ``Progress.kept["cuts"]``, and their numbers in the state of the rule."""

    def __init__(self, method: Anchored, memory: int) -> None:
        self.method, self.memory = method, memory
        self.possible = memory > 1

    def start(self, point: Any, gx: float) -> None:
        """From the best point, with the average of the gradients so far and the gradient of this point."""
        run, s = self.method.run, self.method.state
        now = run.now
        now.kept = {"center": now.low_x, "cuts": [tree_map(lambda a: -a, now.m)]}
        s.mode, s.nulls, s.F = "bundle", 0, now.low
        s.offsets, s.scales, s.weights = (now.average.offset,), (now.average.scale,), (1.0,)
        s.L = self.method.first(now.x, point.grad)
        now.average = now.average._replace(steps=now.average.steps + SUMMED)
        self._keep(point, gx)
        self._choose()

    def advance(self, point: Any, F: float, gx: float) -> None:
        run, s = self.method.run, self.method.state
        now, record = run.now, self.method.record
        record.compared += 1
        if F > s.F + BEYOND * (abs(s.F) + s.promised):
            record.taken_back += 1
            self.retreat()
            return
        far = s.promised > FAR * (now.low - now.lower)
        if F < s.F - SHARE * s.promised:
            s.L, s.nulls = s.L if far else FALL * s.L, 0
            now.kept["center"], s.F = now.x, F
        else:
            record.taken_back += 1
            s.nulls += 1
            if s.nulls >= (NULLS if far else 2 * NULLS) and F > s.F + s.promised:
                s.L, s.nulls = RISE * s.L, 0
            if F < s.F:
                now.kept["center"], s.F = now.x, F
        self._keep(point, gx)
        self._choose()

    def retreat(self) -> None:
        """f was not finite there, or out of all proportion: nearer to the center."""
        s = self.method.state
        s.L *= 4
        self._choose()

    def _keep(self, point: Any, gx: float) -> None:
        """One more gradient; the one of least weight goes when there are too many."""
        now, s = self.method.run.now, self.method.state
        cuts, offsets, scales, weights = list(now.kept["cuts"]), list(s.offsets), list(s.scales), list(s.weights)
        if len(cuts) >= self.memory:
            least = min(range(len(cuts)), key=weights.__getitem__)
            for kept in (cuts, offsets, scales, weights):
                del kept[least]
        total = sum(weights) or 1.0
        s.weights = (*(w / total for w in weights), 0.0) if weights else (1.0,)
        s.offsets = (*offsets, point.f - gx)
        s.scales = (*scales, abs(point.f) + abs(gx))
        now.kept = {**now.kept, "cuts": [*cuts, point.grad]}

    def _choose(self) -> None:
        """The weights, the next point, and the lower bound."""
        method, run, s = self.method, self.method.run, self.method.state
        now, lam = run.now, run.lam
        model = Model(run.backend, now.kept["cuts"], s.offsets)
        rate = s.L / model.size
        u = v = list(s.weights)
        t, x, slope = 1.0, now.kept["center"], now.m
        for step in range(1, STEPS + 1):
            slopes = model.at(method.prox(now.kept["center"], model.sum(v), s.L))
            last, u = u, to_simplex([a + rate * b for a, b in zip(v, slopes, strict=True)])
            turned = sum((a - b) * (b - c) for a, b, c in zip(v, u, last, strict=True)) > 0
            t = 1.0 if turned else t
            grown = (1 + math.sqrt(1 + 4 * t * t)) / 2
            v = [b + (t - 1) / grown * (b - c) for b, c in zip(u, last, strict=True)]
            t = grown
            if step % EVERY == 0 or step == STEPS:
                slope = model.sum(u)
                x = method.prox(now.kept["center"], slope, s.L)
                slopes = model.at(x)
                dual = method.numbers(measures.conjugate, x, method.slack)[0]
                if not math.isfinite(dual):
                    x = method.projected(x)
                    dual = method.numbers(measures.conjugate, x, method.slack)[0]
                top = max(slopes)
                s.promised = max(s.F - top - dual / lam, 0.0)
                if top - sum(a * b for a, b in zip(u, slopes, strict=True)) <= CLOSE * s.promised:
                    break
        now.x = run.backend.synchronize(x)
        method.check(now.x, now.kept["center"], slope)
        s.weights = tuple(u)
        now.m = run.backend.synchronize(tree_map(_minus, slope, now.m))
        now.average = self._average(u, now.m)
        if _square(slope) <= SMALL**2 * model.size:
            self._balance(model, u)

    def _balance(self, model: Model, u: list[float]) -> None:
        """The lower bound of the nearest weights whose gradients have the mean 0, if such are found.

        They are the best ones where the solution is inside of a large constraint, where K(m)/lam is large for any other
        mean; the ascent comes to them slowly.
        """
        w = model.balanced(u)
        if w is not None:
            self._average(w, tree_map(lambda a: -a, model.sum(w)))

    def _average(self, w: list[float], m: Any) -> Average:
        """What goes with the average m of minus the gradients with these weights; its lower bound is accounted for."""
        run, s = self.method.run, self.method.state
        offset, scale = (sum(a * c for a, c in zip(w, terms, strict=True)) for terms in (s.offsets, s.scales))
        found = Average(1.0, offset, scale, run.now.average.steps)
        K_m = run.backend.numbers(measures.upper, self.method.K, m)[0]
        run.now.lower = max(run.now.lower, found.bound(K_m, run.lam, run.unit))
        return found


class Model(Rows):
    """The kept gradients with their offsets."""

    def __init__(self, backend: Any, cuts: list[Any], offsets: tuple[float, ...]) -> None:
        super().__init__(backend, cuts)
        self.offsets, self.size = offsets, self._largest()

    def _largest(self) -> float:
        """The largest eigenvalue of G G', from above: ``|A^4|^(1/4)`` in the Frobenius norm, A = G G'."""
        gram = self.gram(self)
        size = math.sqrt(float((gram * gram).sum()))
        if not 0 < size < math.inf:
            return 1.0
        square = gram / size
        square = square @ square
        fourth = square @ square
        return size * float((fourth * fourth).sum()) ** 0.125

    def balanced(self, w: list[float]) -> list[float] | None:
        """Weights near to these with ``sum_i w_i g_i = 0``; None where none are found."""
        xp, stack = self.stacks[0]
        pinv = getattr(xp.linalg, "pinv", None)  # Dask has none
        if pinv is None or len(self.stacks) > 1 or _xp.is_complex(stack):
            return None
        stack = stack[: self.count]
        put = partial(self.backend.asarray, dtype=stack.dtype, device=_xp.device(stack))
        rows = xp.concat([stack / math.sqrt(self.size), put([[1.0]] * len(w))], axis=1)
        goal = put([0.0] * stack.shape[1] + [1.0])
        for _ in range(ROUNDS):
            used = [i for i, a in enumerate(w) if a > 0]
            some, v = xp.take(rows, put(used, dtype=xp.int64), axis=0), put([w[i] for i in used])
            found = self.backend.to_host(v + (goal - v @ some) @ pinv(some)).tolist()
            near = dict(zip(used, found, strict=True))
            w = [max(near.get(i, 0.0), 0.0) for i in range(len(w))]
            total = math.fsum(w)
            if not total > 0:
                return None
            if min(found) >= 0:
                return [a / total for a in w]
        return None

    def at(self, x: Any) -> list[float]:
        """``c_i + <g_i, x>``"""
        return [c + float(v) for c, v in zip(self.offsets, self.inner(x).tolist(), strict=True)]


def _square(x: Any) -> float:
    return float(tree_inner(x, x))


def _minus(a: Any, like: Any) -> Any:
    return _xp.astype(_xp.namespace(a), -a, like.dtype)


def to_simplex(v: list[float]) -> list[float]:
    """The nearest weights >= 0 of sum 1 (Held, Wolfe, Crowder 1974); the sum is 1 to rounding for large v too."""
    top = max(v)
    v = [a - top for a in v]
    total, cut = 0.0, 0.0
    for count, a in enumerate(sorted(v, reverse=True), 1):
        total += a
        if a * count <= total - 1:
            break
        cut = (total - 1) / count
    weights = [max(a - cut, 0.0) for a in v]
    total = math.fsum(weights)
    return [w / total for w in weights]
