"""What is known of functions together: the traits of a sum, whether its proximal operator is closed, and a split."""

from __future__ import annotations

import math
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays import roots as _roots
from ...arrays.namespace import Array, Namespace
from ...arrays.splitting import split
from ...arrays.within_ball import within_ball
from ...sets.base import joint_traits
from ...sets.rules import ball_radius
from ..array_function import ArrayFunction
from ..base import ConvexFunction, Traits, inherited
from .moreau import Moreau

SHORT = 1 / 64  # times sqrt(eps), relative to y: a slope that is found from a shorter difference has too few digits


def elementwise(*parts: ConvexFunction) -> bool:
    return all(p.traits.structure == "elementwise" for p in parts)


def joint(a: Traits, b: Traits) -> Traits:
    """What holds of K1 + K2 because it holds of both."""
    smooth = a.smooth and b.smooth
    return Traits(
        **joint_traits(vars(a), vars(b)),
        homogeneous=a.homogeneous and b.homogeneous,
        smooth=smooth,
        bounded_domain=a.bounded_domain and b.bounded_domain,
        open_domain=a.open_domain or b.open_domain,
        selection="min_norm" if smooth else inherited(a, b),
        accuracy=max(a.accuracy, b.accuracy),
    )


def norm_and_ball(K1: ArrayFunction, K2: ArrayFunction) -> tuple[ArrayFunction, ArrayFunction] | None:
    """``(k, r l2)`` if both are homogeneous and one is a multiple of the Euclidean norm: their proxes compose."""
    if K1.traits.homogeneous and K2.traits.homogeneous:
        for k, ball in ((K1, K2), (K2, K1)):
            if ball_radius(ball.conjugate.domain) is not None:
                return k, ball
    return None


def prox_is_closed(K1: ArrayFunction, K2: ArrayFunction) -> bool:
    return elementwise(K1, K2) or norm_and_ball(K1, K2) is not None


def divided(
    xp: Namespace, functions: list[Any], y: Array, batch: int, mu: Any = None, apart: Any = None
) -> tuple[list[Array], Array]:
    """``splitting`` of y, or of ``y - mu s``; or one root where one of two functions is the indicator of a Euclidean
    ball, unless the other part is y to half of its digits or more.
    """
    if len(functions) == 2 and not batch:
        for k, other, order in ((*functions, 1), (*functions[::-1], -1)):
            radius = ball_radius(other.domain) if other.conjugate.traits.homogeneous else None
            if radius:
                parts, s = within_ball(xp, k, radius, y, 0.0 if mu is None else mu)
                least = SHORT * math.sqrt(_xp.eps(y))
                if not _roots.visible(y) or reductions.norm(xp, y - parts[0]) >= least * reductions.norm(xp, y):
                    return parts[::order], s
    *rest, last = functions
    return split(xp, [*rest, last if mu is None else Moreau(last, mu)], y, batch, mu, apart)
