"""The names: what is registered, how it is built, and what the tables say of it."""

from __future__ import annotations

from typing import Any

from . import add as _add
from . import affine as _affine
from . import builders as b
from . import group as _group
from . import moreau as _moreau
from .base import ConvexFunction
from .blocks import Blocks, blocks
from .eigen import eigen_lift
from .linear import ellipsoid, linear_map
from .quadratic import quadratic
from .registry import register
from .scalar import power
from .spectral import spectral_lift

# -- the table --------------------------------------------------------------------------------------------------

_PAPER = "2310.05898, Table 2"
_BOX = "|x_i| <= 1/lam"
_TABLE: list[tuple[str, b.Builder, str, str, str, str, str, str]] = [
    # name, builder, kind, K(x), dK(x), K*(y), what it imposes, source
    ("l1", b.l1, "scalar", "sum |x_i|", "sign(x)", "0 if |y_i| <= 1", _BOX, f"{_PAPER} row 2 (Lion)"),
    ("half_square", b.half_square, "scalar", "1/2 sum x_i^2", "x", "1/2 sum y_i^2", "adds lam/2 |x|^2",
     f"{_PAPER} row 1"),
    ("power", power, "scalar", "sum |x_i|^p / p", "sign(x) |x|^(p-1)", "sum |y_i|^q / q, 1/p + 1/q = 1",
     "adds lam^(q-1) sum |x_i|^q / q", "Rockafellar 1970"),
    ("huber", b.huber, "scalar", "x^2/(2 delta) if |x| <= delta, else |x| - delta/2", "clip(x/delta, -1, 1)",
     "delta/2 |y|^2 if |y_i| <= 1", f"{_BOX}, adds delta lam/2 |x|^2", f"{_PAPER} row 6"),
    ("clip", b.clip, "scalar", "x^2/2 if |x| <= bound, else bound |x| - bound^2/2", "clip(x, -bound, bound)",
     "1/2 |y|^2 if |y_i| <= bound", "|x_i| <= bound/lam, adds lam/2 |x|^2", "Huber 1964"),
    ("dead_zone", b.dead_zone, "scalar", "sum max(|x_i| - threshold, 0)", "sign(x) 1[|x| > threshold]",
     "threshold |y|_1 if |y_i| <= 1", f"{_BOX}, adds threshold |x|_1", f"{_PAPER} row 4"),
    ("soft_threshold", b.soft_threshold, "scalar", "1/2 sum max(|x_i| - threshold, 0)^2",
     "sign(x) max(|x| - threshold, 0)", "1/2 |y|^2 + threshold |y|_1", "adds lam/2 |x|^2 + threshold |x|_1",
     "Donoho 1995"),
    ("elastic", b.elastic, "scalar", "sum |x_i| + mu/2 x_i^2", "sign(x) + mu x", "sum max(|y_i| - 1, 0)^2/(2 mu)",
     f"a penalty on the distance to {_BOX}", "derived here"),
    ("log_cosh", b.log_cosh, "scalar", "delta sum log cosh(x_i/delta)", "tanh(x/delta)",
     "delta sum (1+y)/2 log(1+y) + (1-y)/2 log(1-y)", f"{_BOX}, with an entropy", "2605.31371 (SoftSignum)"),
    ("pseudo_huber", b.pseudo_huber, "scalar", "sum sqrt(x_i^2 + delta^2) - delta", "x/sqrt(x^2 + delta^2)",
     "delta sum 1 - sqrt(1 - y^2)", f"{_BOX}, smooth inside", "Charbonnier 1997"),
    ("softsign", b.softsign, "scalar", "sum |x_i| - delta log(1 + |x_i|/delta)", "x/(delta + |x|)",
     "delta sum -|y| - log(1 - |y|)", "|x_i| < 1/lam, with a barrier", "derived here"),
    ("arctan", b.arctan, "scalar", "(2/pi) sum x atan(x/delta) - delta/2 log(1 + x^2/delta^2)", "(2/pi) atan(x/delta)",
     "-(2 delta/pi) sum log cos(pi y/2)", "|x_i| < 1/lam, with a barrier", "RLion, Sci Rep 2025"),
    ("asinh", b.asinh, "scalar", "sum x asinh(x/delta) - sqrt(x^2 + delta^2) + delta", "asinh(x/delta)",
     "delta sum cosh y - 1", "adds delta/lam sum cosh(lam x_i) - 1", "derived here"),
    ("cosh", b.cosh, "scalar", "delta sum cosh x_i - 1", "delta sinh x",
     "sum y asinh(y/delta) - sqrt(y^2 + delta^2) + delta", "adds the hypentropy of lam x", "Ghai et al. 2020"),
    ("exp", b.exp, "scalar", "sum exp x_i", "exp x", "sum y log y - y if y >= 0", "x_i >= 0, with an entropy",
     "Kivinen and Warmuth 1997"),
    ("softplus", b.softplus, "scalar", "delta sum log(1 + exp(x_i/delta))", "sigmoid(x/delta)",
     "delta sum y log y + (1-y) log(1-y) if 0 <= y <= 1", "0 <= x_i <= 1/lam, with an entropy", "derived here"),
    ("box", b.box, "scalar", "sum max(lower x_i, upper x_i)", "upper, lower by sign; nearest to 0 at 0",
     "0 if lower <= y <= upper", "lower <= lam x <= upper", "Rockafellar 1970"),
    ("relu", b.relu, "scalar", "sum max(x_i, 0)", "1[x > 0]", "0 if 0 <= y <= 1", "0 <= x_i <= 1/lam", "derived here"),
    ("weighted_l1", b.weighted_l1, "scalar", "sum w_i |x_i|", "w sign(x)", "0 if |y_i| <= w_i", "|x_i| <= w_i/lam",
     "derived here"),
    ("l2", b.l2, "vector", "|x|_2", "x/|x|_2", "0 if |y|_2 <= 1", "|x|_2 <= 1/lam", "Cutkosky and Mehta 2020"),
    ("lp", b.lp, "vector", "|x|_p", "sign(x) (|x|/|x|_p)^(p-1)", "0 if |y|_q <= 1", "|x|_q <= 1/lam",
     f"{_PAPER} row 3"),
    ("linf", b.linf, "vector", "max |x_i|", "sign(x)/ties on the largest |x_i|", "0 if |y|_1 <= 1", "|x|_1 <= 1/lam",
     "derived here"),
    ("top_k", b.top_k, "vector", "sum of the k largest |x_i|", "sign(x) on the k largest, ties shared",
     "0 if |y|_inf <= 1 and |y|_1 <= k", "|x_i| <= 1/lam and |x|_1 <= k/lam", f"{_PAPER} row 5"),
    ("capped_simplex", b.capped_simplex, "vector", "sum of the k largest x_i", "1 on the k largest, ties shared",
     "0 if 0 <= y <= 1 and sum y = k", "0 <= x_i <= 1/lam, sum x = k/lam", "derived here"),
    ("max", b.largest, "vector", "max x_i", "1/ties on the largest x_i", "0 on the simplex",
     "x on the simplex of size 1/lam", "derived here"),
    ("owl", b.owl, "vector", "sum w_i |x|_(i), |x| descending", "sign(x) w[rank], ties shared",
     "0 if the k largest |y_i| sum to <= w_1 + ... + w_k", "those sums of |x| are <= the sums of w/lam",
     "Bogdan et al. 2015 (SLOPE)"),
    ("permutahedron", b.permutahedron, "vector", "sum w_i x_(i), x descending", "w[rank], ties shared",
     "0 on the hull of all permutations of w", "x in that hull, scaled by 1/lam", "Rado 1952"),
    ("log_sum_exp", b.log_sum_exp, "vector", "delta log sum exp(x_i/delta)", "softmax(x/delta)",
     "delta sum y log y on the simplex", "x on the simplex of size 1/lam, with an entropy",
     "Boyd and Vandenberghe 2004"),
    ("quadratic", quadratic, "vector", "1/2 x'Px", "Px", "1/2 y'P^-1 y", "adds lam/2 x'P^-1 x", "Rockafellar 1970"),
    ("ellipsoid", ellipsoid, "vector", "sqrt(x'Px)", "Px/sqrt(x'Px)", "0 if y'P^-1 y <= 1", "x'P^-1 x <= 1/lam^2",
     "Rockafellar 1970"),
    ("rotated_l1", b.rotated_l1, "vector", "|Qx|_1", "Q' sign(Qx)", "0 if |Qy|_inf <= 1", "|Qx|_inf <= 1/lam",
     "derived here"),
    ("huber_l2", b.huber_l2, "vector", "|x|^2/(2 delta) if |x| <= delta, else |x| - delta/2", "x/max(delta, |x|)",
     "delta/2 |y|^2 if |y|_2 <= 1", "|x|_2 <= 1/lam, adds delta lam/2 |x|^2", "2506.01913 (clipping)"),
    ("half_l1_squared", b.half_squared(b.l1), "vector", "1/2 |x|_1^2", "|x|_1 sign(x)", "1/2 |y|_inf^2",
     "adds lam/2 |x|_inf^2", "derived here"),
    ("half_linf_squared", b.half_squared(b.linf), "vector", "1/2 |x|_inf^2", "|x|_inf d|x|_inf", "1/2 |y|_1^2",
     "adds lam/2 |x|_1^2", "derived here"),
    ("group_l1_l2", b.group_l1_l2, "vector", "sum_g w_g |x_g|_2", "w_g x_g/|x_g|_2", "0 if |y_g|_2 <= w_g",
     "|x_g|_2 <= w_g/lam", "Yuan and Lin 2006"),
    ("group_linf_l2", b.along(b.linf), "vector", "max_g |x_g|_2", "x_g/|x_g|_2 on the largest group",
     "0 if sum_g |y_g|_2 <= 1", "sum_g |x_g|_2 <= 1/lam", "derived here"),
    ("nuclear", b.nuclear, "matrix", "sum s_i(X)", "U V'", "0 if s_1(Y) <= 1", "s_1(X) <= 1/lam", "2506.15054 (Muon)"),
    ("spectral", b.spectral, "matrix", "s_1(X)", "u_1 v_1'", "0 if sum s_i(Y) <= 1", "sum s_i(X) <= 1/lam",
     "2512.09678 (Neon)"),
    ("ky_fan", b.lifted(b.top_k), "matrix", "sum of the k largest s_i(X)", "U_k V_k'",
     "0 if s_1(Y) <= 1 and sum s_i(Y) <= k", "s_1(X) <= 1/lam and sum s_i(X) <= k/lam", "2512.09678 (Fanion)"),
    ("schatten", b.lifted(b.lp), "matrix", "|s(X)|_p", "U (s/|s|_p)^(p-1) V'", "0 if |s(Y)|_q <= 1",
     "|s(X)|_q <= 1/lam", "2605.11181 (Freon)"),
    ("schatten_power", b.lifted(power), "matrix", "sum s_i^p / p", "U s^(p-1) V'", "sum s_i(Y)^q / q",
     "adds lam^(q-1) sum s_i(X)^q / q", "2603.10067 (HTMuon)"),
    ("frobenius", b.frobenius, "matrix", "|X|_F", "X/|X|_F", "0 if |Y|_F <= 1", "|X|_F <= 1/lam", "derived here"),
    ("spectral_huber", b.lifted(b.huber), "matrix", "sum huber(s_i)", "U clip(s/delta, 0, 1) V'",
     "delta/2 |Y|_F^2 if s_1(Y) <= 1", "s_1(X) <= 1/lam, adds delta lam/2 |X|_F^2", "derived here"),
    ("spectral_clip", b.lifted(b.clip), "matrix", "sum clip(s_i)", "U min(s, bound) V'",
     "1/2 |Y|_F^2 if s_1(Y) <= bound", "s_1(X) <= bound/lam, adds lam/2 |X|_F^2", "2605.26459 (MuCon)"),
    ("spectral_pseudo_huber", b.lifted(b.pseudo_huber), "matrix", "sum sqrt(s_i^2 + delta^2) - delta",
     "U s/sqrt(s^2 + delta^2) V'", "delta sum 1 - sqrt(1 - s_i(Y)^2)", "s_1(X) <= 1/lam, smooth inside",
     "2605.31371 (SoftMuon)"),
    ("spectral_dead_zone", b.lifted(b.dead_zone), "matrix", "sum max(s_i - threshold, 0)", "U 1[s > threshold] V'",
     "threshold sum s_i(Y) if s_1(Y) <= 1", "s_1(X) <= 1/lam, adds threshold sum s_i(X)", "derived here"),
    ("half_nuclear_squared", b.half_squared(b.nuclear), "matrix", "1/2 (sum s_i)^2", "(sum s_i) U V'",
     "1/2 s_1(Y)^2", "adds lam/2 s_1(X)^2", "PolarGrad, 2505.21799"),
    ("nuclear_frobenius", b.mixture(b.nuclear, b.frobenius), "matrix", "alpha sum s_i + (1-alpha) |X|_F",
     "alpha U V' + (1-alpha) X/|X|_F", "0 on the sum of the two balls", "lam X in that sum", "2512.09678 (F-Muon)"),
    ("row_l1_l2", b.slices("l2", -1), "matrix", "sum of row norms", "rows divided by their norms",
     "0 if every row norm <= 1", "row norms <= 1/lam", "2603.20527 (RMNP)"),
    ("col_l1_l2", b.slices("l2", -2), "matrix", "sum of column norms", "columns divided by their norms",
     "0 if every column norm <= 1", "column norms <= 1/lam", "2502.07529 (Scion)"),
    ("row_l1_linf", b.slices("linf", -1), "matrix", "sum of row maxima of |X_ij|", "sign at each row's largest",
     "0 if every row has |.|_1 <= 1", "row sums of |X_ij| <= 1/lam", "2502.07529 (Scion)"),
    ("whitened_nuclear", b.whitened_nuclear, "matrix", "sum s_i(L X R)", "L' U V' R'", "0 if s_1(L^-T Y R^-T) <= 1",
     "s_1(L^-T X R^-T) <= 1/lam", "derived here"),
    ("kronecker", b.kronecker, "matrix", "1/2 <X, L X R>", "L X R", "1/2 <Y, L^-1 Y R^-1>",
     "adds lam/2 <X, L^-1 X R^-1>", "derived here"),
    ("group_huber", b.wide_along(b.huber), "vector", "sum_g huber(|x_g|_2)", "x_g/max(delta, |x_g|_2)",
     "delta/2 |y|^2 if |y_g|_2 <= 1", "|x_g|_2 <= 1/lam, adds delta lam/2 |x|^2", "derived here"),
    ("group_pseudo_huber", b.wide_along(b.pseudo_huber), "vector", "sum_g sqrt(|x_g|^2 + delta^2) - delta",
     "x_g/sqrt(|x_g|^2 + delta^2)", "delta sum_g 1 - sqrt(1 - |y_g|^2)", "|x_g|_2 <= 1/lam, smooth inside",
     "derived here"),
    ("group_log_cosh", b.wide_along(b.log_cosh), "vector", "delta sum_g log cosh(|x_g|/delta)",
     "tanh(|x_g|/delta) x_g/|x_g|", "delta sum_g of the entropy of |y_g|", "|x_g|_2 <= 1/lam, with an entropy",
     "derived here"),
    ("col_l1_linf", b.slices("linf", -2), "matrix", "sum of column maxima of |X_ij|", "sign at each column's largest",
     "0 if every column has |.|_1 <= 1", "column sums of |X_ij| <= 1/lam", "2502.07529 (Scion)"),
    ("spectral_log_cosh", b.lifted(b.log_cosh), "matrix", "delta sum log cosh(s_i/delta)", "U tanh(s/delta) V'",
     "delta sum of the entropy of s_i(Y)", "s_1(X) <= 1/lam, with an entropy", "derived here"),
    ("spectral_softsign", b.lifted(b.softsign), "matrix", "sum s_i - delta log(1 + s_i/delta)", "U s/(delta + s) V'",
     "delta sum -s_i - log(1 - s_i)", "s_1(X) < 1/lam, with a barrier", "derived here"),
    ("spectral_arctan", b.lifted(b.arctan), "matrix", "sum arctan(s_i)", "U (2/pi) atan(s/delta) V'",
     "-(2 delta/pi) sum log cos(pi s_i/2)", "s_1(X) < 1/lam, with a barrier", "derived here"),
    ("spectral_soft_threshold", b.lifted(b.soft_threshold), "matrix", "1/2 sum max(s_i - threshold, 0)^2",
     "U max(s - threshold, 0) V'", "1/2 |Y|_F^2 + threshold sum s_i(Y)", "adds lam/2 |X|_F^2 + threshold sum s_i(X)",
     "Cai et al. 2010"),
    ("spectral_elastic", b.lifted(b.elastic), "matrix", "sum s_i + mu/2 |X|_F^2", "U V' + mu X",
     "sum max(s_i(Y) - 1, 0)^2/(2 mu)", "a penalty on the distance to s_1(X) <= 1/lam", "derived here"),
    ("spectral_owl", b.lifted(b.owl), "matrix", "sum w_i s_i(X)", "U diag(w) V', ties shared",
     "0 if the k largest s_i(Y) sum to <= w_1 + ... + w_k", "those sums of s(X) are <= the sums of w/lam",
     "derived here"),
    ("half_spectral_squared", b.half_squared(b.spectral), "matrix", "1/2 s_1(X)^2", "s_1 u_1 v_1'",
     "1/2 (sum s_i(Y))^2", "adds lam/2 (sum s_i(X))^2", "derived here"),
    ("lambda_max", b.eigen(b.largest), "symmetric", "largest eigenvalue of the symmetric part of X",
     "v_1 v_1', ties shared", "0 if Y is symmetric, w(Y) >= 0, trace Y = 1", "X on the spectraplex of size 1/lam",
     "Overton 1988"),
    ("trace_positive_part", b.eigen(b.relu), "symmetric", "sum max(w_i(X), 0)", "projector on w > 0",
     "0 if Y is symmetric, 0 <= w(Y) <= 1", "0 <= w(X) <= 1/lam", "derived here"),
    ("sum_largest_eigenvalues", b.eigen(b.capped_simplex, "k"), "symmetric", "sum of the k largest w_i(X)",
     "V_k V_k', ties shared", "0 if Y is symmetric, 0 <= w(Y) <= 1, trace Y = k", "X in the Fantope of size k/lam",
     "Overton and Womersley 1993"),
    ("log_trace_exp", b.eigen(b.log_sum_exp, "delta"), "symmetric", "delta log trace exp(X/delta)",
     "exp(X/delta)/trace", "delta trace Y log Y on the spectraplex", "the spectraplex, with von Neumann's entropy",
     "Tsuda et al. 2005"),
    ("trace_exp", b.eigen(b.exp), "symmetric", "trace exp X", "exp X", "trace Y log Y - Y if w(Y) >= 0",
     "w(X) >= 0, with an entropy", "Tsuda et al. 2005"),
    ("trace_softplus", b.eigen(b.softplus, "delta"), "symmetric", "delta sum log(1 + exp(w_i/delta))",
     "sigmoid(X/delta)", "delta trace Y log Y + (I-Y) log(I-Y) if 0 <= w(Y) <= 1",
     "0 <= w(X) <= 1/lam, with an entropy", "derived here"),
    ("sparsemax", b.envelope(b.largest), "vector", "envelope of max: min_z max(z) + |x-z|^2/(2 mu)",
     "projection of x/mu on the simplex", "mu/2 |y|^2 on the simplex",
     "x on the simplex of size 1/lam, adds mu lam/2 |x|^2", "1602.02068"),
    ("moreau_top_k", b.moreau_top_k, "vector", "envelope of top_k", "projection of x/mu on the top_k set",
     "mu/2 |y|^2 on that set", "as top_k, adds mu lam/2 |x|^2", "Moreau 1965"),
    ("moreau_linf", b.envelope(b.linf), "vector", "envelope of linf", "projection of x/mu on the l1 ball",
     "mu/2 |y|^2 if |y|_1 <= 1", "|x|_1 <= 1/lam, adds mu lam/2 |x|^2", "Moreau 1965"),
    ("moreau_lp", b.moreau_lp, "vector", "envelope of lp", "projection of x/mu on the lq ball",
     "mu/2 |y|^2 if |y|_q <= 1", "|x|_q <= 1/lam, adds mu lam/2 |x|^2", "Moreau 1965"),
    ("soft_ball", b.soft_ball, "vector", "|x|_2 + mu/2 |x|_2^2", "x/|x|_2 + mu x", "max(|y|_2 - 1, 0)^2/(2 mu)",
     "a penalty on the distance to |x|_2 <= 1/lam", "derived here"),
    ("l1_plus_l2", b.mixture(b.l1, b.l2), "vector", "alpha |x|_1 + (1-alpha) |x|_2",
     "alpha sign(x) + (1-alpha) x/|x|_2", "0 on the sum of the two balls", "lam x in that sum", "derived here"),
    ("half_group_squared", b.half_group_squared, "vector",
     "1/2 (sum_g |x_g|_2)^2", "(sum_g |x_g|_2) x_g/|x_g|_2", "1/2 max_g |y_g|_2^2", "adds lam/2 max_g |x_g|_2^2",
     "derived here"),
]  # fmt: skip

for _name, _build, _kind, *_texts in _TABLE:
    _f, _d, _c, _imposes, _source = _texts
    register(_name, _build, kind=_kind, formula=_f, subgradient=_d, conjugate=_c, constraint=_imposes, source=_source)


# -- rules: what a spec may name -----------------------------------------------------------------------------------


def _conjugate(K: ConvexFunction) -> ConvexFunction:
    return K.conjugate


def _blocks(tree: Any) -> Blocks:
    return blocks(tree)


def _affine_rule(
    K: Any,
    slope: float = 1.0,
    width: float = 1.0,
    shift_by: Any = None,
    tilt_by: Any = None,
    paired: bool = False,
) -> ConvexFunction:
    return _affine.Affine(K, slope, width, shift_by, tilt_by, paired)


_RULES: list[tuple[str, b.Builder, str, str]] = [
    # name, builder, K, its conjugate
    ("scale", _affine.scale, "a K(x), a > 0", "a K*(y/a)"),
    ("dilate", _affine.dilate, "K(a x), a != 0", "K*(y/a)"),
    ("tilt", _affine.tilt, "K(x) + <c, x>", "K*(y - c)"),
    ("shift", _affine.shift, "K(x + b)", "K*(y) - <b, y>"),
    ("affine", _affine_rule, "slope width K((x + shift)/width) + <tilt, x>", "the same, slope and width exchanged"),
    ("blocks", _blocks, "sum K_i(x_i)", "sum K_i*(y_i)"),
    ("add", _add.add, "K1 + K2", "infimal convolution of K1* and K2*"),
    ("infimal_convolution", _add.infimal_convolution, "min over x = u + v of K1(u) + K2(v)", "K1* + K2*"),
    ("moreau_envelope", _moreau.moreau_envelope, "min_z K(z) + |x - z|^2/(2 mu)", "K* + mu/2 |y|^2"),
    ("ridge", _moreau.ridge, "K + mu/2 |x|^2", "Moreau envelope of K*"),
    ("group_lift", _group.group_lift, "k(N(x_1), ..., N(x_G))", "k*(N*(y_1), ..., N*(y_G))"),
    ("radial_lift", _group.radial_lift, "phi(N(x))", "phi*(N*(y))"),
    ("eigen_lift", eigen_lift, "k(eigenvalues of the symmetric part)", "k*(eigenvalues), +inf if not symmetric"),
    ("linear_map", linear_map, "K(Bx), or K(L X R)", "K*(B^-T y)"),
    ("spectral_lift", spectral_lift, "k(singular values)", "k*(singular values)"),
    ("conjugate", _conjugate, "K*", "K"),
]

for _name, _build, _f, _c in _RULES:
    register(_name, _build, kind="rule", formula=_f, conjugate=_c)
