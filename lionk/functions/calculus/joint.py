"""What is known of two functions together: the traits of their sum, and whether its proximal operator is closed."""

from __future__ import annotations

from ...sets.base import joint_traits
from ...sets.rules import ball_radius
from ..array_function import ArrayFunction
from ..base import ConvexFunction, Traits, inherited


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
