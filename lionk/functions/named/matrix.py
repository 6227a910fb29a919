"""Functions of the last two axes, a matrix: how each is built, and what the tables say of it."""

from __future__ import annotations

import functools
from typing import Any

from ...arrays.later import Later
from ..base import ConvexFunction
from ..definitions.support import Support
from ..registry.entries import Builder, registered
from ..registry.parameters import positive
from . import scalar as s
from . import vector as v
from .groups import slices

eigen_lift = Later("lionk.functions.calculus.eigen", "eigen_lift")
two_sided = Later("lionk.functions.calculus.linear", "two_sided")
spectral_lift = Later("lionk.functions.calculus.spectral", "spectral_lift")
birkhoff_set = Later("lionk.sets.birkhoff", "Birkhoff")
infimal_convolution = Later("lionk.functions.calculus.sums", "infimal_convolution")


def lifted(k: Builder, lift: Builder = spectral_lift) -> Builder:
    """The spectral lift of a named function, with that function's parameters."""

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
    return spectral_lift(s.l1())


def spectral() -> ConvexFunction:
    return spectral_lift(v.linf())


def frobenius() -> ConvexFunction:
    return spectral_lift(v.l2())


def spectral_row(bound: float = 0.5) -> ConvexFunction:
    return infimal_convolution(nuclear(), slices("l2", -1)().scale(positive("bound", bound)))


def birkhoff() -> ConvexFunction:
    return Support(birkhoff_set())


def whitened_nuclear(left: Any = None, right: Any = None) -> ConvexFunction:
    return two_sided(spectral_lift(s.l1()), left, right, roots=False)


def kronecker(left: Any = None, right: Any = None) -> ConvexFunction:
    return two_sided(s.half_square(), left, right, roots=True)


registered("matrix", [
    ("nuclear", nuclear, "sum s_i(X)", "U V'", "0 if s_1(Y) <= 1", "s_1(X) <= 1/lam", "2506.15054 (Muon)"),
    ("spectral", spectral, "s_1(X)", "u_1 v_1'", "0 if sum s_i(Y) <= 1", "sum s_i(X) <= 1/lam",
     "2512.09678 (Neon)"),
    ("ky_fan", lifted(v.top_k), "sum of the k largest s_i(X)", "U_k V_k'",
     "0 if s_1(Y) <= 1 and sum s_i(Y) <= k", "s_1(X) <= 1/lam and sum s_i(X) <= k/lam", "2512.09678 (Fanion)"),
    ("schatten", lifted(v.lp), "|s(X)|_p", "U (s/|s|_p)^(p-1) V'", "0 if |s(Y)|_q <= 1",
     "|s(X)|_q <= 1/lam", "2605.11181 (Freon)"),
    ("schatten_power", lifted(s.power), "sum s_i^p / p", "U s^(p-1) V'", "sum s_i(Y)^q / q",
     "adds lam^(q-1) sum s_i(X)^q / q", "2603.10067 (HTMuon)"),
    ("frobenius", frobenius, "|X|_F", "X/|X|_F", "0 if |Y|_F <= 1", "|X|_F <= 1/lam", "derived here"),
    ("spectral_huber", lifted(s.huber), "sum huber(s_i)", "U clip(s/delta, 0, 1) V'",
     "delta/2 |Y|_F^2 if s_1(Y) <= 1", "s_1(X) <= 1/lam, adds delta lam/2 |X|_F^2", "derived here"),
    ("spectral_clip", lifted(s.clip), "sum clip(s_i)", "U min(s, bound) V'",
     "1/2 |Y|_F^2 if s_1(Y) <= bound", "s_1(X) <= bound/lam, adds lam/2 |X|_F^2", "2605.26459 (MuCon)"),
    ("spectral_pseudo_huber", lifted(s.pseudo_huber), "sum sqrt(s_i^2 + delta^2) - delta",
     "U s/sqrt(s^2 + delta^2) V'", "delta sum 1 - sqrt(1 - s_i(Y)^2)", "s_1(X) <= 1/lam, smooth inside",
     "2605.31371 (SoftMuon)"),
    ("spectral_dead_zone", lifted(s.dead_zone), "sum max(s_i - threshold, 0)", "U 1[s > threshold] V'",
     "threshold sum s_i(Y) if s_1(Y) <= 1", "s_1(X) <= 1/lam, adds threshold sum s_i(X)", "derived here"),
    ("half_nuclear_squared", v.half_squared(nuclear), "1/2 (sum s_i)^2", "(sum s_i) U V'",
     "1/2 s_1(Y)^2", "adds lam/2 s_1(X)^2", "PolarGrad, 2505.21799"),
    ("nuclear_frobenius", v.mixture(nuclear, frobenius), "alpha sum s_i + (1-alpha) |X|_F",
     "alpha U V' + (1-alpha) X/|X|_F", "0 on the sum of the two balls", "lam X in that sum", "2512.09678 (F-Muon)"),
    ("nuclear_l1", v.mixture(nuclear, s.l1), "alpha sum s_i + (1-alpha) sum |X_ij|",
     "alpha U V' + (1-alpha) sign(X)", "0 on the sum of the two balls", "lam X in that sum", "2512.09678 (S-Muon)"),
    ("spectral_row", spectral_row, "min over X = U + V of sum s_i(U) + bound times the row norms of V",
     "the slope that both have at the split", "0 if s_1(Y) <= 1 and every row norm <= bound",
     "s_1(X) <= 1/lam and row norms <= bound/lam", "derived here"),
    ("whitened_nuclear", whitened_nuclear, "sum s_i(L X R)", "L' U V' R'", "0 if s_1(L^-T Y R^-T) <= 1",
     "s_1(L^-T X R^-T) <= 1/lam", "derived here"),
    ("kronecker", kronecker, "1/2 <X, L X R>", "L X R", "1/2 <Y, L^-1 Y R^-1>",
     "adds lam/2 <X, L^-1 X R^-1>", "derived here"),
    ("spectral_log_cosh", lifted(s.log_cosh), "delta sum log cosh(s_i/delta)", "U tanh(s/delta) V'",
     "delta sum of the entropy of s_i(Y)", "s_1(X) <= 1/lam, with an entropy", "derived here"),
    ("spectral_softsign", lifted(s.softsign), "sum s_i - delta log(1 + s_i/delta)", "U s/(delta + s) V'",
     "delta sum -s_i - log(1 - s_i)", "s_1(X) < 1/lam, with a barrier", "derived here"),
    ("spectral_arctan", lifted(s.arctan), "sum arctan(s_i)", "U (2/pi) atan(s/delta) V'",
     "-(2 delta/pi) sum log cos(pi s_i/2)", "s_1(X) < 1/lam, with a barrier", "derived here"),
    ("spectral_soft_threshold", lifted(s.soft_threshold), "1/2 sum max(s_i - threshold, 0)^2",
     "U max(s - threshold, 0) V'", "1/2 |Y|_F^2 + threshold sum s_i(Y)", "adds lam/2 |X|_F^2 + threshold sum s_i(X)",
     "Cai et al. 2010"),
    ("spectral_elastic", lifted(s.elastic), "sum s_i + mu/2 |X|_F^2", "U V' + mu X",
     "sum max(s_i(Y) - 1, 0)^2/(2 mu)", "a penalty on the distance to s_1(X) <= 1/lam", "derived here"),
    ("spectral_top_k_l2", lifted(v.top_k_l2), "|.|_2 of the k largest s_i(X)", "U_k s_k V_k'/|s_k|_2",
     "0 if the k-support norm of s(Y) <= 1", "k-support norm of s(X) <= 1/lam", "1406.4445"),
    ("spectral_k_support", lifted(v.k_support), "the k-support norm of s(X)",
     "U max(s, u) V'/K(X) on the range of X", "0 if the k largest s_i(Y) have |.|_2 <= 1",
     "the k largest s_i(X) have |.|_2 <= 1/lam", "1406.4445"),
    ("spectral_owl", lifted(v.owl), "sum w_i s_i(X)", "U diag(w) V', ties shared",
     "0 if the k largest s_i(Y) sum to <= w_1 + ... + w_k", "those sums of s(X) are <= the sums of w/lam",
     "derived here"),
    ("spectral_k_norm", lifted(v.k_norm), "max(s_1(X), sum s_i(X)/k)", "u_1 v_1', or U V'/k",
     "0 if the k largest s_i(Y) sum to <= 1", "the k largest s_i(X) sum to <= 1/lam", "Bhatia 1997, IV.2"),
    ("half_spectral_squared", v.half_squared(spectral), "1/2 s_1(X)^2", "s_1 u_1 v_1'",
     "1/2 (sum s_i(Y))^2", "adds lam/2 (sum s_i(X))^2", "derived here"),
])  # fmt: skip
registered("square", [
    ("birkhoff", birkhoff, "max over permutations p of sum X_{i,p(i)}", "the best permutation matrix",
     "0 if Y is doubly stochastic", "lam X doubly stochastic", "Birkhoff 1946"),
])  # fmt: skip
registered("symmetric", [
    ("lambda_max", eigen(v.largest), "largest eigenvalue of the symmetric part of X",
     "v_1 v_1', ties shared", "0 if Y is symmetric, w(Y) >= 0, trace Y = 1", "X on the spectraplex of size 1/lam",
     "Overton 1988"),
    ("trace_positive_part", eigen(s.relu), "sum max(w_i(X), 0)", "projector on w > 0",
     "0 if Y is symmetric, 0 <= w(Y) <= 1", "0 <= w(X) <= 1/lam", "derived here"),
    ("trace_plus", eigen(v.simplex_plus), "max(0, largest eigenvalue of the symmetric part of X)",
     "v_1 v_1' if its eigenvalue is > 0, ties shared", "0 if Y is symmetric, w(Y) >= 0, trace Y <= 1",
     "w(X) >= 0 and trace X <= 1/lam", "derived here"),
    ("sum_largest_eigenvalues", eigen(v.capped_simplex, "k"), "sum of the k largest w_i(X)",
     "V_k V_k', ties shared", "0 if Y is symmetric, 0 <= w(Y) <= 1, trace Y = k", "X in the Fantope of size k/lam",
     "Overton and Womersley 1993"),
    ("log_trace_exp", eigen(v.log_sum_exp, "delta"), "delta log trace exp(X/delta)",
     "exp(X/delta)/trace", "delta trace Y log Y on the spectraplex", "the spectraplex, with von Neumann's entropy",
     "Tsuda et al. 2005"),
    ("trace_exp", eigen(s.exp), "trace exp X", "exp X", "trace Y log Y - Y if w(Y) >= 0",
     "w(X) >= 0, with an entropy", "Tsuda et al. 2005"),
    ("trace_softplus", eigen(s.softplus, "delta"), "delta sum log(1 + exp(w_i/delta))",
     "sigmoid(X/delta)", "delta trace Y log Y + (I-Y) log(I-Y) if 0 <= w(Y) <= 1",
     "0 <= w(X) <= 1/lam, with an entropy", "derived here"),
])  # fmt: skip
