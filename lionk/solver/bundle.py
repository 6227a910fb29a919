"""The weights chosen by the certificate: the rule where f has kinks.

With the anchored K_y (``L = mu lam``, y the center) and the gradients kept so far, ``c_i = f_i - <g_i, x_i>``, let

    x(w) = argmin_z <sum w_i g_i, z> + (L/2) |z - y|^2 + K*(lam z)/lam,    dD/dw_i = c_i + <g_i, x(w)>

on the simplex: D is the dual of the model ``max_i c_i + <g_i, z>`` with the prox term, concave, and its Hessian is at
least ``-G G'/L``, and that where K* is 0 nearby. So a quadratic program in the weights is a step up, and the only one
where nothing holds x back; else its matrix learns from each step (BFGS; Nocedal, Wright 2006, section 6.1). A few of
them, which cost no evaluation of f, give the weights, the next point x(w), and the lower bound
``sum w_i c_i - K(-sum w_i g_i)/lam``. The center moves where F falls by a tenth of what the model promised. This is the
proximal bundle method (Lemarechal 1978; Kiwiel 1990) with K* kept exact, and a step of Lion-K on K_y whose momentum has
these weights. Derived here.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from ..arrays import namespace as _xp
from ..arrays.containers import leaves, tree_inner, tree_map
from ..theory.lower_bound import Average
from . import measures
from .rows import Rows

if TYPE_CHECKING:
    from .anchored import Anchored

BEYOND = 1e6  # times F and the promise: where F rises by more, a gradient hides all others in rounding
FAR = 0.5  # of the proven gap: a model that promises more goes far enough
FALL = 0.7  # L, when the center moves and the model does not go far
RISE = 2.0  # L, where the model goes far, and F is above the center by more than the promise after as many points as
NULLS = 3  # that do not move the center, or where the model goes less far after twice as many
SHARE = 0.1  # of the promise that a point must keep to become the center
SUMMED = 8  # roundings of a sum of gradients, which is made anew at every choice
STEPS = 60  # of the ascent at most
SMALL = 1e-2  # mean of the gradients, beside their size: weights are looked for that make it 0,
ROUNDS = 20  # times at most, each without those that were negative
CLOSE = 0.1  # of the promise: the gap of the ascent that ends it
FLAT = 1e-3  # of the expected curvature: where there is less, so much is taken for it
OVER = 1.5  # where the slope along a step falls by more than so much, the step is cut to where it is 0
RIDGE = 4.0  # eps of the products of gradients, which are that far from exact


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
        H, u = model.products / s.L, _xp.namespace(model.products).asarray(s.weights)
        slope, x, rise = self._at(model, u)
        for step in range(STEPS):
            dual = method.numbers(measures.conjugate, x, method.slack)[0]
            if not math.isfinite(dual):
                x = method.projected(x)
                rise = model.at(x)
                dual = method.numbers(measures.conjugate, x, method.slack)[0]
            top = float(max(rise))
            s.promised = max(s.F - top - dual / lam, 0.0)
            if top - float(u @ rise) <= CLOSE * s.promised or step == STEPS - 1:
                break
            new = on_simplex(H, H @ u + rise, u)
            way = new - u
            bent, steep = H @ way, float(rise @ way)
            expected = float(bent @ way)
            if not (steep > 0 and expected > 0):
                break
            last, before, u = u, rise, new
            slope, x, rise = self._at(model, u)
            fall = before - rise
            much = float(fall @ way)
            flat = much <= FLAT * expected
            H = H - (1 - FLAT if flat else 1.0) * outer(bent, bent / expected)
            if not flat:
                H = H + outer(fall, fall / much)
            if much > OVER * steep:
                u = last + (steep / much) * way
                slope, x, rise = self._at(model, u)
        u = u.tolist()
        now.x = run.backend.synchronize(x)
        method.check(now.x, now.kept["center"], slope)
        s.weights = tuple(u)
        now.m = run.backend.synchronize(tree_map(_minus, slope, now.m))
        now.average = self._average(u, now.m)
        if _square(slope) <= SMALL**2 * model.size:
            self._balance(model, u)

    def _at(self, model: Model, w: Any) -> tuple[Any, Any, Any]:
        """``sum w_i g_i``, x(w), and the gradient of D."""
        slope = model.sum(w)
        x = self.method.prox(self.method.run.now.kept["center"], slope, self.method.state.L)
        return slope, x, model.at(x)

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
        self.offsets, gram = offsets, self.gram(self)
        xp, eps = _xp.namespace(gram), max(map(_xp.eps, leaves(cuts[0])))
        gram = xp.astype(gram, xp.float64)
        self.size = float(xp.max(xp.linalg.diagonal(gram))) or 1.0
        self.products = gram + RIDGE * eps * self.size * xp.eye(len(cuts))

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

    def at(self, x: Any) -> Any:
        """``c_i + <g_i, x>``"""
        xp = _xp.namespace(self.products)
        return xp.asarray(self.offsets) + xp.astype(self.inner(x), xp.float64)


def _square(x: Any) -> float:
    return float(tree_inner(x, x))


def _minus(a: Any, like: Any) -> Any:
    return _xp.astype(_xp.namespace(a), -a, like.dtype)


def outer(u: Any, v: Any) -> Any:
    return u[:, None] * v[None, :]


def on_simplex(H: Any, q: Any, w: Any) -> Any:
    """``argmin u'Hu/2 - q'u`` over weights u >= 0 of sum 1, for a positive definite H, from such weights w.

    With the sum alone, the least over those in use is a linear system. Where one of it is negative, u goes towards it
    until one is 0, which is used no more; else the one comes in along which the function falls most: the method of
    active sets (Lawson, Hanson 1974, chapter 23). Arrays of the host.
    """
    xp, tiny = _xp.namespace(H), 1e-12 * max(map(abs, q.tolist()))
    H = H + 1e-14 * (float(xp.max(xp.abs(H))) or 1.0) * xp.eye(len(q))  # which updates have rounded
    u, used = xp.asarray(w, copy=True), [i for i, a in enumerate(w) if a > 0]
    for _ in range(3 * len(q) + 10):
        one, old = xp.ones((len(used), 1)), u[used]
        rows = [xp.concat([H[used, :][:, used], one], axis=1), xp.concat([one.T, xp.zeros((1, 1))], axis=1)]
        found = xp.linalg.solve(xp.concat(rows), xp.concat([q[used], one[0]]))
        best, level = found[:-1], found[-1]
        ends = {i: a / (a - b) for i, a, b in zip(used, old.tolist(), best.tolist(), strict=True) if b <= 0}
        share = min(ends.values(), default=1.0)
        u[used] = old + share * (best - old)
        if ends:
            lost = [i for i, end in ends.items() if end <= share]
            u[lost], used = 0.0, [i for i in used if i not in lost]
            if share == 0:  # by rounding
                break
            continue
        more = (q - H @ u - level).tolist()
        first = max(range(len(q)), key=more.__getitem__)
        if first in used or not more[first] > tiny:
            break
        used.append(first)
    total = math.fsum(u.tolist())
    return u / total if 0 < total < math.inf else w
