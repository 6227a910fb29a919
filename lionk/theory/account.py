"""The proof of a run that you make yourself: F against min F, by the gradient at hand and by the momentum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..arrays import namespace as _xp
from ..arrays.containers import inner
from ..backend.discovery import backend_of
from ..functions.bound import bound
from ..optimizer.lion_k import LionK
from .certificate import Certificate, momentum_bound, suboptimality
from .lower_bound import Average, magnitude, rounding_unit, tangent
from .objective import decay_of, gap_rounding, kkt_gap, objective, objective_rounding, over, told


@dataclass(frozen=True)
class Bounds(Certificate):
    """Two bounds of ``F(x) - min F`` with their numbers; each is inf where its statement does not apply."""

    gap: float  # by the gradient at x: G/lam and its rounding
    momentum_gap: float  # by the best of all averages of gradients so far, rounding included


@dataclass
class Account:
    """Keep the numbers that make the momentum of a run with full gradients a proof.

    They are ``a' = b2 a + (1-b2) (f - <g, x>)`` and ``w' = b2 w + (1-b2)``. For convex f, ``min F >= a/w - K(m/w)/lam``
    (``lower_bound.Average``; derived here). They are plain numbers: ``Account(**dataclasses.asdict(account))`` goes on
    with a run. An account begins where the momentum is 0, and is asked before each step. It stays true with other
    learning rates, betas and restarts of x. A step that it has not seen ends it, and so does an f that is seen
    not to be convex.

    >>> import lionk, numpy as np
    >>> opt, account = lionk.LionK("l1", 0.05, weight_decay=1.0), lionk.theory.Account()
    >>> x, target = np.zeros(2), np.asarray([2.0, 0.3])
    >>> state = opt.init(x)
    >>> for _ in range(200):
    ...     f, grad = np.sum((x - target) ** 2) / 2, x - target
    ...     bounds = account.observe(opt, f, x, grad, state.m, state.count, convex=True)
    ...     x, state = opt.step(x, grad, state)
    >>> bool(f - 0.5 <= min(bounds.gap, bounds.momentum_gap) < 0.1)
    True
    """

    average: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # of ``Average``, for the momentum
    fresh: tuple[float, float, float] | None = None  # b2, f - <g, x>, and its scale: of the step that is to come
    count: int = 0  # steps before the last point
    lower: float = -math.inf  # the best lower bound of min F so far
    problem: str = ""  # what F is; for another one there are other bounds
    ended: str = ""  # why the momentum is no certificate, if so
    bent: bool = False  # was f seen to lie below an average of its tangents?

    def observe(
        self, opt: LionK, f: Any, x: Any, grad: Any, m: Any, count: int, *, convex: bool | None = None, why: str = ""
    ) -> Bounds:  # fmt: skip
        """The bounds at x, before the step with this full gradient.

        Parameters
        ----------
        opt : LionK
            Of the step to come: its K, weight decay and second beta are used.
        f : float or 0-d array
        x, grad, m : array or container of arrays
            The point, the gradient of f there, and the momentum of the run, an average of minus the gradients.
        count : int
            Steps made so far, as in the state of ``lionk.LionK`` and of ``lionk_jax.lion_k``.
        convex : bool, optional
            True asserts that f is convex; None leaves it to be seen; False asks for no bound.
        why : str
            Why the momentum averages something else than such gradients, if you know of a reason.
        """
        known = _xp.kind(f).eps if hasattr(f, "dtype") else 0.0
        K, lam, b2, f = over(opt.K, x), decay_of(opt.weight_decay), float(opt.betas[1]), float(f)
        average = self._average(int(count))
        self.ended = self.ended or why
        weight = average.weight or None
        F, gap, rounding, hidden, mm, gx, gg, size, K_g, K_m, mx = backend_of(x).numbers(
            _terms, K, f, x, m, grad, weight, lam=lam
        )
        if weight is None and mm != 0:
            self.ended = self.ended or "the momentum holds gradients from before the first look"
        problem = f"({told(K)}, {lam})"
        if problem != self.problem:
            self.problem, self.lower = problem, -math.inf
        unit = rounding_unit(K, [x, m, grad], known)
        scale = magnitude(f, gg, size, K_g, lam or 1.0)
        self.fresh = b2, f - gx, scale
        if not self.ended:
            self.bent = convex is None and (self.bent or average.bends(mx, f, unit))
            if lam:
                bound = average.bound(K_m, lam, unit)
                self.lower = max(self.lower, bound, Average(1.0, f - gx, scale).bound(K_g, lam, unit))
        convex = False if self.bent else convex
        momentum_gap = F - self.lower + unit * (2 * abs(f) + abs(F)) + hidden
        point = suboptimality(gap, rounding, lam, convex, stochastic=False, momentum_gap=momentum_gap)
        momentum = momentum_bound(momentum_gap, lam, convex, stochastic=False, why=self.ended or _outside(F))
        return Bounds(
            (point, momentum),
            math.inf if point.verdict == "does not apply" else gap + rounding,
            math.inf if momentum.verdict == "does not apply" else momentum_gap,
        )

    def _average(self, count: int) -> Average:
        """What goes with the momentum after so many steps."""
        if count == 0:
            self.average, self.fresh, self.ended = Account.average, None, ""
        elif self.fresh is not None and count == self.count + 1:
            b2, offset, scale = self.fresh
            weight, total, terms, steps = Average(*self.average).then(b2, 1 - b2, offset, scale)
            self.average = weight, total, terms, steps
        elif self.fresh is not None and count != self.count:
            self.ended = f"the momentum holds gradients of steps {self.count + 1} to {count}, which were not looked at"
        self.count = count
        return Average(*self.average)


def _outside(F: float) -> str:
    return "" if math.isfinite(F) else "lam x is outside dom K*"


def _terms(K: Any, f: Any, x: Any, m: Any, grad: Any, weight: Any, *, lam: float) -> tuple[Any, ...]:
    gap, rounding = kkt_gap(K, x, grad, lam), gap_rounding(K, x, grad, lam)
    hidden = objective_rounding(K, x, lam) if lam else 0.0
    found = objective(K, f, x, lam), gap / (lam or 1.0), rounding / (lam or 1.0), hidden, inner(m, m)
    return *found, *tangent(bound(K, x), x, m, grad, weight)
