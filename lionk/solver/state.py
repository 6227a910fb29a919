"""The numbers of the anchored rule, which a checkpoint holds; its arrays are in ``Progress.kept``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .rule import DUE


@dataclass
class AnchoredState:
    """``fast``: extrapolated steps. ``secants``: steps by the curvature that f has shown. ``steady``: steps that must
    lower F. ``bundle``: weights chosen by the certificate.

    L is the constant of the quadratic model, t the count of the momentum (Beck, Teboulle 2009), ``mass`` the weight of
    the average of gradients since the last restart. f and F are those of the anchor y that the point of the run was
    made from; ``tested`` says that it was made by a plain step, which must lower F.
    """

    mode: str = "fast"
    L: float = 0.0  # 0: not known yet
    t: float = 1.0
    mass: float = 0.0
    pairs: int = 0  # of neighbours seen
    tested: bool = False
    f: float = math.nan
    F: float = math.inf
    start: float = math.inf  # F where the momentum began
    least: float = math.inf  # the smallest L so far
    jump: float = 0.0  # how far the gradient jumps, ``rule.jumped``
    due: float = DUE  # the evaluation at which fast steps are judged
    then: tuple[float, float] = (math.inf, math.inf)  # F less its lower bound, and L, when they were last
    since: int = 0  # evaluations since F was smallest
    stale: int = 0  # evaluations since F or its lower bound improved
    lowest: float = math.inf  # F, and
    failed: int = 0  # evaluations in a row where f was not finite
    known: float = math.inf  # F less its lower bound, when one of them last improved
    # of the bundle, and of secants
    promised: float = 0.0  # how far the model of F falls to the point of the run
    nulls: int = 0  # points since the center moved
    offsets: tuple[float, ...] = ()  # f_i - <g_i, x_i>
    scales: tuple[float, ...] = ()  # magnitudes of their terms
    weights: tuple[float, ...] = ()
