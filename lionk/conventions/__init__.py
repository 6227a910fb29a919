"""How other optimizers write their hyper-parameters, and the LionK that each of them is."""

from __future__ import annotations

import math
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.containers import is_container, tree_map
from ..arrays.namespace import namespace
from ..arrays.newton_schulz import newton_schulz
from ..arrays.polar import muon_ns5
from ..functions import ConvexFunction
from ..functions import K as build
from ..functions.calculus.affine import widen
from ..functions.calculus.block_sum import Blocks
from ..optimizer.jobs import explicit_lr, implicit_lr
from ..optimizer.lion_k import LionK
from .translation import translate, translate_momentum

__all__ = [
    "anchored",
    "betas_from_nesterov",
    "explicit_lr",
    "from_adamw",
    "implicit_lr",
    "momentum_from_gradient_average",
    "muon",
    "muon_ns5",
    "nesterov_from_betas",
    "newton_schulz",
    "scion",
    "signum",
    "sum_momentum",
    "translate",
    "translate_momentum",
]


def betas_from_nesterov(beta_polyak: float, beta_nesterov: float) -> tuple[float, float]:
    """``(b1, b2) = (bn bp, bp)`` for ``M' = bp M - (1-bp) G``, readout ``bn M' - (1-bn) G``. Always b1 <= b2.

    The convention of the Lion-K view of Muon (2506.15054); the map is derived here.
    """
    for name, b in (("beta_polyak", beta_polyak), ("beta_nesterov", beta_nesterov)):
        if not 0 <= b <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {b!r}")
    return beta_nesterov * beta_polyak, beta_polyak


def nesterov_from_betas(beta1: float, beta2: float) -> tuple[float, float]:
    """``(bp, bn) = (b2, b1/b2)``, the inverse of ``betas_from_nesterov``; needs 0 <= b1 <= b2, b2 > 0."""
    if not (0 <= beta1 <= beta2 and beta2 > 0):
        raise ValueError(f"the Nesterov form exists for 0 <= b1 <= b2 with b2 > 0 only, got ({beta1!r}, {beta2!r})")
    return beta2, beta1 / beta2


def momentum_from_gradient_average(m: Any) -> Any:
    """``-m``: frameworks keep the average of the gradients, lionk of minus the gradients. Arrays or containers.

    For a K that is not even, an optimizer that steps along ``-dK(+average)`` is another algorithm, not another sign.
    """
    return tree_map(lambda a: -a, m)


def sum_momentum(K: Any, momentum: float) -> ConvexFunction:
    """``(1-mu) K(x/(1-mu))``: what K becomes for an optimizer whose buffer is the sum ``B' = mu B + g``.

    No change for a norm; a width delta becomes ``(1-mu) delta``. Derived here.
    """
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must be in [0, 1), got {momentum!r}")
    return widen(build(K), 1 - momentum)


def signum(lr: Any = 1e-4, momentum: float = 0.9, weight_decay: Any = 0.0, **options: Any) -> LionK:
    """Signum (Bernstein et al. 2018, 1802.04434): the sign of the new average, so b1 = b2 = momentum and K = l1."""
    return LionK("l1", lr, (momentum, momentum), weight_decay, **options)


def muon(
    lr: Any = 1e-3,
    momentum: float = 0.95,
    weight_decay: Any = 0.1,
    *,
    nesterov: bool = True,
    scaling: str = "none",
    polar: Any = "svd",
    **options: Any,
) -> LionK:
    """Muon with decoupled decay: K = s nuclear, b2 = mu, b1 = mu^2 (Nesterov) or mu.

    Parameters
    ----------
    lr, momentum, weight_decay
        As in torch.optim.Muon, whose buffer is an average.
    scaling, polar
        Of ``lionk.K("muon")``; here without a factor by default.
    """
    K = build("muon", scaling=scaling, polar=polar)
    return LionK(K, lr, (momentum**2 if nesterov else momentum, momentum), weight_decay, **options)


def scion(
    K: Any,
    lr: Any = 1e-3,
    momentum: float = 0.1,
    *,
    scale: float = 1.0,
    constrained: bool = True,
    **options: Any,
) -> LionK:
    """Scion (Pethick et al. 2025, 2502.07529): ``d' = (1-a) d + a g``, ``x' = (1-lr) x - lr s lmo(d')``.

    It is LionK with b1 = b2 = 1 - momentum, K = s N and weight decay 1 (0 if not ``constrained``): the scale s of the
    norm N enters once. The constraint is ``x / s`` in the dual ball of N.
    """
    if not 0 < momentum <= 1:
        raise ValueError(f"momentum is the weight of the new gradient, in (0, 1], got {momentum!r}")
    return LionK(build(K).scale(scale), lr, (1 - momentum, 1 - momentum), 1.0 if constrained else 0.0, **options)


ADAM_RMS = 0.2  # of AdamW's update, seen in training (Liu et al. 2025, 2502.16982)


def from_adamw(K: Any, lr: float, weight_decay: float, like: Any) -> tuple[float, float]:
    """``(lr, weight_decay)`` to start from, given those that work with AdamW, for an array such as ``like``.

    lr is scaled so that the update has the root mean square 0.2 lr of AdamW's, and the decay so that their product,
    by which x shrinks in a step, stays: a fifth of lr and five times the decay for l1 (Chen et al. 2023, 2302.06675:
    3 to 10 times), 0.2 sqrt(max(rows, cols)) for nuclear (2502.16982). dK is measured at one array without structure.

    Raises ValueError for a K that is not homogeneous: its update grows with the gradient, which is not known here.

    >>> import lionk, array_api_strict as xp
    >>> lr, wd = lionk.conventions.from_adamw("l1", 1e-3, 0.1, xp.zeros((4, 3)))
    >>> round(lr, 6), round(wd, 6)
    (0.0002, 0.5)
    """
    function = build(K)
    if not function.traits.homogeneous:
        raise ValueError(f"the size of the update of {function!r} depends on that of the gradient; choose lr by hand")
    xp = namespace(like, name="like")
    count = xp.arange(_xp.event_size(like, 0), dtype=xp.int64, device=_xp.device(like))
    generic = xp.cos(xp.astype(count * count % 1_000_003, xp.float32))
    u = function.subgradient(xp.reshape(generic, tuple(like.shape)))
    size = float(reductions.norm(xp, u)) / math.sqrt(max(_xp.event_size(like, 0), 1))
    if size == 0:
        raise ValueError(f"the update of {function!r} is 0 on this array of shape {tuple(like.shape)}")
    factor = ADAM_RMS / size
    return lr * factor, weight_decay / factor


def anchored(K: Any, x0: Any, weight_decay: float) -> ConvexFunction:
    """``K(x) + Re<weight_decay x0, x>``: decay towards ``x0`` instead of 0.

    ``dK + weight_decay x0`` makes the update ``x + lr (dK(r) - weight_decay (x - x0))``; the constraint becomes
    ``weight_decay (x - x0)`` in dom K*. Derived here. ``x0``: an array or a container of arrays.
    """
    if not weight_decay > 0:
        raise ValueError(
            f"anchored decay needs weight_decay > 0, got {weight_decay!r}: without decay nothing pulls towards x0"
        )
    function = build(K)

    def pull(a: Any, k: ConvexFunction) -> ConvexFunction:
        namespace(a, name="x0")
        return k.tilt(weight_decay * a)

    if is_container(x0):
        return Blocks(tree_map(pull, x0, function.tree if isinstance(function, Blocks) else function))
    return pull(x0, function)
