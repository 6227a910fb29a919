"""Functions of all entries as one vector: how each is built, and what the tables say of it."""

from __future__ import annotations

import math
from typing import Any

from ...arrays.later import Later
from ...sets.ball import Ball
from ...sets.top_k import TopK, whole
from ..base import ConvexFunction
from ..definitions.support import Support
from ..registry.entries import Builder, registered
from ..registry.parameters import descending, entries, first, ordered, positive
from . import scalar as s

add = Later("lionk.functions.calculus.sums", "add")
ellipsoid = Later("lionk.functions.calculus.linear", "ellipsoid")
quadratic = Later("lionk.functions.definitions.quadratic", "quadratic")
radial_lift = Later("lionk.functions.calculus.radial", "radial_lift")
rotated = Later("lionk.functions.calculus.linear", "rotated")
unit_log_sum_exp = Later("lionk.functions.definitions.log_sum_exp", "LogSumExp")
moreau_envelope = Later("lionk.functions.calculus.moreau", "moreau_envelope")
ridge = Later("lionk.functions.calculus.moreau", "ridge")
widen = Later("lionk.functions.calculus.affine", "widen")
polytope_set = Later("lionk.sets.hull", "Polytope")
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

_PAPER = "2310.05898"


def l2() -> ConvexFunction:
    return Support(Ball(2.0))


def lp(p: float = 1.5) -> ConvexFunction:
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not p >= 1:
        raise ValueError(f"lp needs an exponent p >= 1 (inf allowed), got {p!r}")
    if p == 1:
        return s.l1()
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
    return maximum(s.l1().scale(positive("alpha", alpha)), l2())


def huber_l2(delta: float = 1.0) -> ConvexFunction:
    return moreau_envelope(l2(), positive("delta", delta))


def half_squared(norm: Builder) -> Builder:
    return lambda: radial_lift(s.half_square(), norm())


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


def rotated_l1(rotation: Any = None) -> ConvexFunction:
    return rotated(s.l1(), rotation)


registered("vector", [
    ("l2", l2, "|x|_2", "x/|x|_2", "0 if |y|_2 <= 1", "|x|_2 <= 1/lam", "Cutkosky and Mehta 2020"),
    ("lp", lp, "|x|_p", "sign(x) (|x|/|x|_p)^(p-1)", "0 if |y|_q <= 1", "|x|_q <= 1/lam",
     _PAPER),
    ("linf", linf, "max |x_i|", "sign(x)/ties on the largest |x_i|", "0 if |y|_1 <= 1", "|x|_1 <= 1/lam",
     "derived here"),
    ("top_k", top_k, "sum of the k largest |x_i|", "sign(x) on the k largest, ties shared",
     "0 if |y|_inf <= 1 and |y|_1 <= k", "|x_i| <= 1/lam and |x|_1 <= k/lam", _PAPER),
    ("top_k_l2", top_k_l2, "|.|_2 of the k largest |x_i|", "x_S/|x_S|_2 on the k largest, ties shared",
     "0 if the k-support norm of y <= 1", "k-support norm of x <= 1/lam", "1204.5043"),
    ("k_support", k_support, "the k-support norm: sqrt(sum |x_i| max(|x_i|, u))",
     "sign(x) max(|x|, u)/K(x), 0 at 0", "0 if the k largest |y_i| have |.|_2 <= 1",
     "the k largest |x_i| have |.|_2 <= 1/lam", "1204.5043"),
    ("capped_simplex", capped_simplex, "sum of the k largest x_i", "1 on the k largest, ties shared",
     "0 if 0 <= y <= 1 and sum y = k", "0 <= x_i <= 1/lam, sum x = k/lam", "derived here"),
    ("max", largest, "max x_i", "1/ties on the largest x_i", "0 on the simplex",
     "x on the simplex of size 1/lam", "derived here"),
    ("owl", owl, "sum w_i |x|_(i), |x| descending", "sign(x) w[rank], ties shared",
     "0 if the k largest |y_i| sum to <= w_1 + ... + w_k", "those sums of |x| are <= the sums of w/lam",
     "Bogdan et al. 2015 (SLOPE)"),
    ("permutahedron", permutahedron, "sum w_i x_(i), x descending", "w[rank], ties shared",
     "0 on the hull of all permutations of w", "x in that hull, scaled by 1/lam", "Rado 1952"),
    ("log_sum_exp", log_sum_exp, "delta log sum exp(x_i/delta)", "softmax(x/delta)",
     "delta sum y log y on the simplex", "x on the simplex of size 1/lam, with an entropy",
     "Boyd and Vandenberghe 2004"),
    ("l2_plus", l2_plus, "|max(x, 0)|_2", "max(x, 0)/|max(x, 0)|_2", "0 if y >= 0 and |y|_2 <= 1",
     "x_i >= 0 and |x|_2 <= 1/lam", "derived here"),
    ("simplex_plus", simplex_plus, "max(0, x_1, ..., x_n)", "1/ties on the largest x_i > 0",
     "0 if y >= 0 and sum y <= 1", "x_i >= 0 and sum x <= 1/lam", "derived here"),
    ("capped_plus", capped_plus, "sum of the k largest max(x_i, 0)",
     "1 on the k largest x_i > 0, ties shared", "0 if 0 <= y <= 1 and sum y <= k",
     "0 <= x_i <= 1/lam and sum x <= k/lam", "derived here"),
    ("cvar", cvar, "sum of the k largest x_i, k real: the last one by its part",
     "1 on the k largest, the rest of k on the next, ties shared", "0 if 0 <= y <= 1 and sum y = k",
     "0 <= x_i <= 1/lam, sum x = k/lam", "Rockafellar and Uryasev 2000 (k times the CVaR)"),
    ("k_norm", k_norm, "max(|x|_inf, |x|_1/k)", "sign(x) on the largest |x_i|, or sign(x)/k",
     "0 if the k largest |y_i| sum to <= 1", "the k largest |x_i| sum to <= 1/lam", "Bhatia 1997, IV.2"),
    ("dual_owl", dual_owl, "max_j (sum of the j largest |x_i|)/(w_1 + ... + w_j)",
     "sign(x)/(w_1 + ... + w_j) on the j largest", "0 if sum w_i |y|_(i) <= 1, |y| descending",
     "sum w_i |x|_(i) <= 1/lam", "1409.4271"),
    ("total_variation", total_variation, "sum |x_(i+1) - x_i|",
     "sign(x_i - x_(i-1)) - sign(x_(i+1) - x_i), means over runs", "0 if sum y = 0 and |y_1 + ... + y_i| <= 1",
     "sum x = 0 and |x_1 + ... + x_i| <= 1/lam", "Rudin, Osher, Fatemi 1992"),
    ("monotone", monotone, "max(0, x_1, x_1 + x_2, ..., x_1 + ... + x_n)",
     "1 up to the first largest sum, then 0", "0 if 1 >= y_1 >= ... >= y_n >= 0", "1/lam >= x_1 >= ... >= x_n >= 0",
     "Barlow et al. 1972"),
    ("range", spread, "max x_i - min x_i", "1/ties on the largest, -1/ties on the smallest",
     "0 if sum y = 0 and |y|_1 <= 2", "sum x = 0 and |x|_1 <= 2/lam", "derived here"),
    ("std", std, "|x - mean x|_2", "(x - mean x)/|x - mean x|_2", "0 if sum y = 0 and |y|_2 <= 1",
     "sum x = 0 and |x|_2 <= 1/lam", "derived here"),
    ("box_simplex", box_simplex, "max <x, y> over lower <= y <= upper, sum y = 1",
     "upper on the largest x_i, lower on the smallest, ties level", "0 if lower <= y <= upper and sum y = 1",
     "lower <= lam x <= upper and sum x = 1/lam", "derived here"),
    ("smooth_linf", smooth_linf, "delta log sum 2 cosh(x_i/delta)", "sinh(x/delta)/sum cosh(x_j/delta)",
     "delta times an entropy on |y|_1 <= 1", "|x|_1 <= 1/lam, with an entropy", "derived here"),
    ("polytope", polytope, "max_j <v_j, x>", "mean of the v_j tied for the maximum", "0 on conv{v_j}",
     "lam x in conv{v_j}", "Rockafellar 1970"),
    ("max_l1_l2", max_l1_l2, "max(alpha |x|_1, |x|_2)", "that of the larger one; halfway at a tie",
     "0 on the hull of both balls", "lam x in that hull", "derived here"),
    ("quadratic", quadratic, "1/2 x'Px", "Px", "1/2 y'P^-1 y", "adds lam/2 x'P^-1 x", "Rockafellar 1970"),
    ("ellipsoid", ellipsoid, "sqrt(x'Px)", "Px/sqrt(x'Px)", "0 if y'P^-1 y <= 1", "x'P^-1 x <= 1/lam^2",
     "Rockafellar 1970"),
    ("rotated_l1", rotated_l1, "|Qx|_1", "Q' sign(Qx)", "0 if |Qy|_inf <= 1", "|Qx|_inf <= 1/lam",
     "derived here"),
    ("huber_l2", huber_l2, "|x|^2/(2 delta) if |x| <= delta, else |x| - delta/2", "x/max(delta, |x|)",
     "delta/2 |y|^2 if |y|_2 <= 1", "|x|_2 <= 1/lam, adds delta lam/2 |x|^2", "2506.01913 (clipping)"),
    ("half_l1_squared", half_squared(s.l1), "1/2 |x|_1^2", "|x|_1 sign(x)", "1/2 |y|_inf^2",
     "adds lam/2 |x|_inf^2", "derived here"),
    ("half_linf_squared", half_squared(linf), "1/2 |x|_inf^2", "|x|_inf d|x|_inf", "1/2 |y|_1^2",
     "adds lam/2 |x|_1^2", "derived here"),
    ("sparsemax", envelope(largest), "envelope of max: min_z max(z) + |x-z|^2/(2 mu)",
     "projection of x/mu on the simplex", "mu/2 |y|^2 on the simplex",
     "x on the simplex of size 1/lam, adds mu lam/2 |x|^2", "1602.02068"),
    ("moreau_top_k", moreau_top_k, "envelope of top_k", "projection of x/mu on the top_k set",
     "mu/2 |y|^2 on that set", "as top_k, adds mu lam/2 |x|^2", "Moreau 1965"),
    ("moreau_linf", envelope(linf), "envelope of linf", "projection of x/mu on the l1 ball",
     "mu/2 |y|^2 if |y|_1 <= 1", "|x|_1 <= 1/lam, adds mu lam/2 |x|^2", "Moreau 1965"),
    ("moreau_lp", moreau_lp, "envelope of lp", "projection of x/mu on the lq ball",
     "mu/2 |y|^2 if |y|_q <= 1", "|x|_q <= 1/lam, adds mu lam/2 |x|^2", "Moreau 1965"),
    ("soft_ball", soft_ball, "|x|_2 + mu/2 |x|_2^2", "x/|x|_2 + mu x", "max(|y|_2 - 1, 0)^2/(2 mu)",
     "a penalty on the distance to |x|_2 <= 1/lam", "derived here"),
    ("l1_plus_l2", mixture(s.l1, l2), "alpha |x|_1 + (1-alpha) |x|_2",
     "alpha sign(x) + (1-alpha) x/|x|_2", "0 on the sum of the two balls", "lam x in that sum", "derived here"),
])  # fmt: skip
