"""What a training loop can watch: gap, constraint, phase and sign flips at one point, for one batch."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.containers import leaves, scaled, tree_map
from ..errors import NotAvailable
from ..optimizer.lion_k import LionK
from .objective import distance_to_domain, kkt_gap, over


class Watch(NamedTuple):
    """Where a run stands, for one batch. ``str(watch)`` says it in one line."""

    gap: float  # G for this batch; inf outside the constraint set
    violation: float  # Euclidean distance from lam x to dom K*; nan where no projection is known
    flips: float  # share of the entries whose direction this batch turns round
    phase: str  # "I": on the way into the constraint set; "II": in it; "free": weight decay 0

    def __str__(self) -> str:
        flips = f"{100 * self.flips:.1f} %"
        return f"phase {self.phase}, gap {self.gap:.4g}, violation {self.violation:.3g}, sign flips {flips}"


def watch(opt: LionK, x: Any, m: Any, grad: Any) -> Watch:
    """The state of a run at x, before the step with this gradient.

    The gap of a batch is ``FY(-g, lam x)`` with the gradient of the batch: it measures how far the batch is from being
    satisfied, and bounds the suboptimality of the batch's own objective if that is convex; of the whole, it is a noisy
    estimate that does not vanish at the solution. Flips compare ``dK(b1 m - (1 - b1) g)`` with ``dK(m)``: near 0 the
    momentum leads, near 1/2 the noise does. Derived here.

    Parameters
    ----------
    opt : LionK
    x, m, grad : array or container of arrays

    >>> import lionk, array_api_strict as xp
    >>> opt = lionk.LionK("l1", weight_decay=1.0)
    >>> print(lionk.theory.watch(opt, xp.asarray([0.5, 2.0]), xp.asarray([1.0, 1.0]), xp.asarray([-1.0, 20.0])))
    phase I, gap inf, violation 1, sign flips 50.0 %
    """
    lam = float(opt.weight_decay)
    K = over(opt.K, x)
    try:
        violation = float(distance_to_domain(K, x, lam))
    except NotAvailable:
        violation = float("nan")
    inside = bool(K.conjugate.domain.contains(scaled(x, lam)))
    b1 = opt.betas[0]
    old, new = K.subgradient(m), K.subgradient(tree_map(lambda a, g: b1 * a - (1 - b1) * g, m, grad))
    turned = [_turned(a, b) for a, b in zip(leaves(old), leaves(new), strict=True)]
    share = sum(t for t, _ in turned) / max(sum(n for _, n in turned), 1)
    return Watch(float(kkt_gap(K, x, grad, lam)), violation, share, "free" if lam == 0 else "II" if inside else "I")


def _turned(a: Any, b: Any) -> tuple[float, int]:
    """How many entries of b point against those of a, and how many entries there are."""
    xp = _xp.namespace(a, b)
    against = reductions.inner(xp, a, b, batch=a.ndim) < 0
    return float(xp.sum(xp.astype(against, xp.int64))), _xp.event_size(a, 0)
