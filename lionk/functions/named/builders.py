"""The builders: every named function as a composition of the definitions and rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...sets.atoms import Ball, Box
from ...sets.top_k import TopK, whole
from ..base import ConvexFunction
from ..definitions.support import L2, Support
from ..registry.later import Later
from ..registry.parameters import descending, entries, first, nonnegative, ordered, positive

add = Later("lionk.functions.calculus.sums", "add")
ellipsoid = Later("lionk.functions.calculus.linear", "ellipsoid")
quadratic = Later("lionk.functions.definitions.quadratic", "quadratic")
eigen_lift = Later("lionk.functions.calculus.eigen", "eigen_lift")
group_lift = Later("lionk.functions.calculus.group", "group_lift")
radial_lift = Later("lionk.functions.calculus.group", "radial_lift")
rotated = Later("lionk.functions.calculus.linear", "rotated")
two_sided = Later("lionk.functions.calculus.linear", "two_sided")
unit_log_sum_exp = Later("lionk.functions.definitions.log_sum_exp", "LogSumExp")
moreau_envelope = Later("lionk.functions.calculus.moreau", "moreau_envelope")
ridge = Later("lionk.functions.calculus.moreau", "ridge")
power = Later("lionk.functions.definitions.scalar", "power")
scalar = Later("lionk.functions.definitions.scalar", "scalar")
spectral_lift = Later("lionk.functions.calculus.spectral", "spectral_lift")
widen = Later("lionk.functions.calculus.affine", "widen")
polytope_set = Later("lionk.sets.hull", "Polytope")
birkhoff_set = Later("lionk.sets.birkhoff", "Birkhoff")
k_support_ball = Later("lionk.sets.k_support", "KSupportBall")
top_k_l2_ball = Later("lionk.sets.k_support", "TopKL2Ball")
maximum = Later("lionk.functions.calculus.sums", "maximum")
unit_smooth_linf = Later("lionk.functions.definitions.smooth_linf", "SmoothMax")
sorted_set = Later("lionk.sets.sorted", "Sorted")
owl_ball = Later("lionk.sets.owl_ball", "OwlBall")
box_simplex_set = Later("lionk.sets.box_simplex", "BoxSimplex")
falling_set = Later("lionk.sets.chain", "Falling")
chain_set = Later("lionk.sets.chain", "Chain")
differences_set = Later("lionk.sets.zero_sum", "Differences")
positive_part = Later("lionk.functions.calculus.positive", "positive_part")
centered = Later("lionk.functions.calculus.centered", "centered")
infimal_convolution = Later("lionk.functions.calculus.sums", "infimal_convolution")

Builder = Callable[..., ConvexFunction]


# -- scalar: a sum over all entries -----------------------------------------------------------------------------


def l1() -> ConvexFunction:
    return Support(Box())


def half_square() -> ConvexFunction:
    return power(2)


def huber(delta: float = 1.0) -> ConvexFunction:
    return moreau_envelope(l1(), positive("delta", delta))


def clip(bound: float = 1.0) -> ConvexFunction:
    return moreau_envelope(Support(Box(upper=positive("bound", bound))), 1.0)


def dead_zone(threshold: float = 1.0) -> ConvexFunction:
    return widen(scalar("dead_zone"), threshold) if nonnegative("threshold", threshold) else l1()


def soft_threshold(threshold: float = 1.0) -> ConvexFunction:
    if not nonnegative("threshold", threshold):
        return half_square()
    return ridge(Support(Box(upper=float(threshold))), 1.0).conjugate


def elastic(mu: float = 1.0) -> ConvexFunction:
    return ridge(l1(), mu)


def log_cosh(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("log_cosh"), delta)


def pseudo_huber(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("pseudo_huber"), delta)


def softsign(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("softsign"), delta)


def arctan(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("arctan"), delta)


def asinh(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("asinh"), delta)


def cosh(delta: float = 1.0) -> ConvexFunction:
    return asinh(delta).conjugate


def exp() -> ConvexFunction:
    return scalar("exp")


def softplus(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("softplus"), delta)


def box(lower: Any = -1.0, upper: Any = 1.0) -> ConvexFunction:
    lower, upper = entries("lower", lower), entries("upper", upper)
    if not ordered(lower, upper):
        raise ValueError(f"box needs lower <= upper, got lower={lower!r}, upper={upper!r}")
    return Support(Box(lower, upper))


def relu() -> ConvexFunction:
    return Support(Box(0.0, 1.0))


def berhu(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("berhu"), positive("delta", delta))


def relu_square() -> ConvexFunction:
    return positive_part(half_square())


def weighted_l1(weights: Any = None) -> ConvexFunction:
    return Support(Box(upper=1.0 if weights is None else entries("weights", weights, least=0)))


# -- vector: all entries as one ---------------------------------------------------------------------------------


def l2() -> ConvexFunction:
    return L2


def lp(p: float = 1.5) -> ConvexFunction:
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not p >= 1:
        raise ValueError(f"lp needs an exponent p >= 1 (inf allowed), got {p!r}")
    if p == 1:
        return l1()
    dual = 1.0 if p == math.inf else p / (p - 1)
    return linf() if dual == 1 else Support(Ball(2.0 if p == 2 else dual))


def linf() -> ConvexFunction:
    return Support(TopK(1))


def top_k(k: int = 1) -> ConvexFunction:
    return Support(TopK(k))


def capped_simplex(k: int = 1) -> ConvexFunction:
    return Support(TopK(whole("k", k), absolute=False))


def cvar(k: float = 1.0) -> ConvexFunction:
    return Support(TopK(positive("k", k), absolute=False))


def l2_plus() -> ConvexFunction:
    return positive_part(l2())


def simplex_plus() -> ConvexFunction:
    return positive_part(linf())


def capped_plus(k: int = 1) -> ConvexFunction:
    return positive_part(top_k(k))


def k_norm(k: int = 1) -> ConvexFunction:
    return Support(owl_ball(k=whole("k", k)))


def dual_owl(weights: Any = None) -> ConvexFunction:
    w = descending(weights, absolute=True)
    if w is not None and not first(w) > 0:
        raise ValueError(f"dual_owl needs a first weight > 0, got {weights!r}: its ball would be unbounded")
    return Support(owl_ball(w))


def total_variation() -> ConvexFunction:
    return Support(chain_set())


def monotone() -> ConvexFunction:
    return Support(falling_set())


def spread() -> ConvexFunction:
    return Support(differences_set())


def std() -> ConvexFunction:
    return centered(l2())


def box_simplex(lower: Any = 0.0, upper: Any = 0.5) -> ConvexFunction:
    lower, upper = entries("lower", lower), entries("upper", upper)
    if not ordered(lower, upper):
        raise ValueError(f"box_simplex needs lower <= upper, got lower={lower!r}, upper={upper!r}")
    return Support(box_simplex_set(lower, upper))


def top_k_l2(k: int = 1) -> ConvexFunction:
    return Support(k_support_ball(k))


def k_support(k: int = 1) -> ConvexFunction:
    return Support(top_k_l2_ball(k))


def owl(weights: Any = None) -> ConvexFunction:
    return Support(sorted_set(descending(weights, absolute=True)))


def permutahedron(weights: Any = None) -> ConvexFunction:
    return Support(sorted_set(descending(weights, absolute=False), absolute=False))


def largest() -> ConvexFunction:
    return capped_simplex(1)


def log_sum_exp(delta: float = 1.0) -> ConvexFunction:
    return widen(unit_log_sum_exp(), delta)


def smooth_linf(delta: float = 1.0) -> ConvexFunction:
    return widen(unit_smooth_linf(), delta)


def polytope(vertices: Any = None) -> ConvexFunction:
    return largest() if vertices is None else Support(polytope_set(vertices))


def max_l1_l2(alpha: float = 0.5) -> ConvexFunction:
    return maximum(l1().scale(positive("alpha", alpha)), l2())


def huber_l2(delta: float = 1.0) -> ConvexFunction:
    return moreau_envelope(l2(), positive("delta", delta))


def half_group_squared(axis: int | None = -1, groups: Any = None) -> ConvexFunction:
    return radial_lift(half_square(), group_l1_l2(axis, groups))


def half_squared(norm: Builder) -> Builder:
    return lambda: radial_lift(half_square(), norm())


def along(k: Builder, norm: str = "l2") -> Builder:
    def build(axis: int | None = -1, groups: Any = None) -> ConvexFunction:
        return group_lift(k(), norm, axis, groups=groups)

    return build


def group_l1_l2(axis: int | None = -1, groups: Any = None, weights: Any = None) -> ConvexFunction:
    return group_lift(weighted_l1(weights), "l2", axis, groups=groups)


def wide_along(k: Builder) -> Builder:
    def build(delta: float = 1.0, axis: int | None = -1, groups: Any = None) -> ConvexFunction:
        return group_lift(k(delta), "l2", axis, groups=groups)

    return build


def envelope(k: Builder) -> Builder:
    return lambda mu=1.0: moreau_envelope(k(), mu)


def moreau_top_k(k: int = 1, mu: float = 1.0) -> ConvexFunction:
    return moreau_envelope(top_k(k), mu)


def moreau_lp(p: float = 1.5, mu: float = 1.0) -> ConvexFunction:
    return moreau_envelope(lp(p), mu)


def soft_ball(mu: float = 1.0) -> ConvexFunction:
    return ridge(l2(), mu)


def mixture(first: Builder, second: Builder) -> Builder:
    def build(alpha: float = 0.5) -> ConvexFunction:
        if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be in [0, 1], got {alpha!r}")
        if alpha in (0, 1):
            return first() if alpha == 1 else second()
        return add(first().scale(float(alpha)), second().scale(1 - float(alpha)))

    return build


# -- matrix: the last two axes ----------------------------------------------------------------------------------


def lifted(k: Builder, lift: Builder = spectral_lift) -> Builder:
    """The spectral lift of a named function, with that function's parameters."""
    import functools

    @functools.wraps(k)
    def build(*args: Any, **parameters: Any) -> ConvexFunction:
        return lift(k(*args, **parameters))

    return build


def eigen(k: Builder, parameter: str = "") -> Builder:
    """The eigen lift of a named function, with one of that function's parameters or none."""
    if not parameter:
        return lambda: eigen_lift(k())
    return lifted(k, eigen_lift)


def nuclear() -> ConvexFunction:
    return spectral_lift(l1())


def spectral() -> ConvexFunction:
    return spectral_lift(linf())


def frobenius() -> ConvexFunction:
    return spectral_lift(l2())


def slices(norm: str, axis: int) -> Builder:
    return lambda: group_lift(l1(), norm, axis, 2)


def spectral_row(bound: float = 0.5) -> ConvexFunction:
    return infimal_convolution(nuclear(), slices("l2", -1)().scale(positive("bound", bound)))


def birkhoff() -> ConvexFunction:
    return Support(birkhoff_set())


def rotated_l1(rotation: Any = None) -> ConvexFunction:
    return rotated(Support(Box()), rotation)


def whitened_nuclear(left: Any = None, right: Any = None) -> ConvexFunction:
    return two_sided(spectral_lift(Support(Box())), left, right, roots=False)


def kronecker(left: Any = None, right: Any = None) -> ConvexFunction:
    return two_sided(power(2), left, right, roots=True)
